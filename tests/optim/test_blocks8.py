"""States of 8 bits: the maps, the nearest codes, blocks that are odd, on every instruction set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from schuss import _core
from tests.reference import blocks8

Array = NDArray[Any]
each_sign = pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
ALL_CODES = np.arange(256, dtype=np.uint8)


def name_of(signed: bool) -> str:
    return "8bit_signed" if signed else "8bit_unsigned"


def narrowed(x: Array, signed: bool) -> tuple[Array, Array]:
    """Codes and scales, of which nothing beside them is written."""
    blocks = -(-x.size // 256)
    codes, absmax = np.full(x.size + 2, 77, np.uint8), np.full(blocks + 2, 77, np.float32)
    _core.narrow(name_of(signed), x, codes[1:-1], absmax[1:-1])
    assert_array_equal(codes[[0, -1]], 77)
    assert_array_equal(absmax[[0, -1]], 77)
    return codes[1:-1], absmax[1:-1]


def widened(codes: Array, absmax: Array, signed: bool, dtype: str = "float32") -> Array:
    out = np.full(codes.size + 2, 77, dtype)
    _core.widen(name_of(signed), codes, absmax, out[1:-1])
    assert_array_equal(out[[0, -1]], 77)
    return out[1:-1]


def blocks_with_one(x: Array) -> Array:
    """X in blocks that each end with a 1, so that it is divided by 1."""
    blocks = np.zeros((-(-x.size // 255), 256), np.float32)
    filled = np.zeros(len(blocks) * 255, np.float32)
    filled[: x.size] = x
    blocks[:, :255] = filled.reshape(-1, 255)
    blocks[:, 255] = 1
    return blocks.reshape(-1)


def codes_of(x: Array, signed: bool) -> Array:
    return narrowed(blocks_with_one(x), signed)[0].reshape(-1, 256)[:, :255].reshape(-1)[: x.size]


def same_bits(x: Array, y: Array) -> None:
    assert x.dtype == y.dtype
    assert_array_equal(x.view(f"u{x.itemsize}"), y.view(f"u{y.itemsize}"))


def beside(x: Array, steps: int) -> Array:
    """The floats up to so many steps from each of x, which is positive."""
    bits = x.astype(np.float32).view(np.int32)[:, None] + np.arange(-steps, steps + 1, dtype=np.int32)
    return bits.reshape(-1).view(np.float32)


def any_floats(signed: bool, size: int) -> Array:
    generator = np.random.default_rng(size)
    x = generator.normal(size=size) ** 5 * 10.0 ** generator.integers(-6, 3, size=size)
    x[generator.random(size) < 0.1] = 0
    return np.asarray((x if signed else abs(x)).astype(np.float32))


@each_sign
def test_maps_have_their_order_zero_and_one(signed: bool) -> None:
    values = blocks8.dynamic_map(signed)
    assert values.size == 256
    assert (np.diff(values) > 0).all()
    assert values[blocks8.zero(signed)] == 0
    assert values[255] == 1
    if signed:
        same_bits(values[128:255], -values[126::-1])


@each_sign
def test_maps_are_the_known_ones(signed: bool) -> None:
    """Made as bitsandbytes makes them: decades cut by linspace in floats. It rounds more often than we do."""
    values = []
    for d in range(7):
        ends = np.linspace(0.1, 1, blocks8.cells_of(d, signed) + 1, dtype=np.float32)
        middles = (ends[1:] + ends[:-1]) / np.float32(2) * np.float32(10.0 ** (d - 6))
        values += [*middles, *(-middles if signed else [])]
    known = np.sort(np.array([*values, 0, 1], np.float32))
    ours = blocks8.dynamic_map(signed)
    assert (abs(known - ours) <= 2 * np.spacing(abs(ours))).all()
    # A few of bitsandbytes 0.50.2, as it prints them.
    few = {0: -0.99296874, 128: 5.5e-7, 254: 0.99296874} if signed else {1: 3.25e-7, 125: 0.09789063, 254: 0.9964844}
    for code, value in few.items():
        assert ours[code] == pytest.approx(value, rel=3e-7)


@each_sign
@each_dtype
def test_every_code_is_widened_as_the_map_says(isa: str, signed: bool, dtype: str) -> None:
    for scale in [1, 1e-3, 0.7, 3e38, 1.2e-38]:
        absmax = np.array([scale], np.float32)
        expected = blocks8.widen(ALL_CODES, absmax, signed, np.dtype(dtype).type)
        same_bits(widened(ALL_CODES, absmax, signed, dtype), expected)


@each_sign
def test_every_code_is_narrowed_to_itself(isa: str, signed: bool) -> None:
    values = blocks8.dynamic_map(signed)
    assert_array_equal(codes_of(values, signed), ALL_CODES)
    codes, absmax = narrowed(values * np.float32(1e-5), signed)
    assert_array_equal(codes, ALL_CODES)
    assert absmax[0] == np.float32(1e-5)


@each_sign
def test_codes_are_the_nearest_ones(isa: str, signed: bool) -> None:
    """Halfway between two codes the rounding of x decides: two units in its last place, and nowhere else."""
    halfway = blocks8.halfway(signed)
    close = beside(halfway[halfway > 0], 12)
    generator = np.random.default_rng(5)
    spread = np.exp(generator.uniform(np.log(1e-8), 0, 100_000)).astype(np.float32)
    tiny = np.array([0, 1e-38, 1e-30, 1e-20, 1e-10, 1e-8, 1.1e-7, 1.2e-7, 1.3e-7, 1.5e-7], np.float32)
    decades = beside(np.array(blocks8.UNITS[:-1]), 3000)
    x = np.concatenate([close, spread, tiny, decades])
    x = x[x <= 1]
    for sign in [1, -1] if signed else [1]:
        signed_x = np.asarray(x * np.float32(sign))
        found, expected = codes_of(signed_x, signed), blocks8.nearest(signed_x, signed)
        wrong = found != expected
        assert wrong.mean() < 0.01
        # Of those the other one is beside, and as near.
        assert (abs(found[wrong].astype(int) - expected[wrong]) == 1).all()
        between = halfway[np.minimum(found, expected)[wrong]]
        assert (abs(signed_x[wrong] - between) <= 2 * np.spacing(abs(signed_x[wrong]))).all()


@each_sign
@each_dtype
@pytest.mark.parametrize("size", [1, 7, 63, 255, 256, 257, 300, 511, 512, 1024, 5000])
def test_kernels_make_the_codes_of_their_twin(isa: str, signed: bool, dtype: str, size: int) -> None:
    x = any_floats(signed, size).astype(dtype)
    before = x.copy()
    codes, absmax = narrowed(x, signed)
    same_bits(x, before)
    expected_codes, expected_absmax = blocks8.narrow(x, signed)
    assert_array_equal(codes, expected_codes)
    same_bits(absmax, expected_absmax)
    same_bits(widened(codes, absmax, signed, dtype), blocks8.widen(codes, absmax, signed, np.dtype(dtype).type))


@each_sign
def test_close_calls_are_those_of_the_twin(isa: str, signed: bool) -> None:
    halfway = blocks8.halfway(signed)
    x = blocks_with_one(beside(halfway[halfway > 0], 8))
    for scale in [1, 0.3, 7e-5, 2.0**-120, 2.0**120, 2.0**127.9]:
        scaled = np.asarray(x * np.float32(scale))
        scaled[::2] *= -1 if signed else 1
        codes, absmax = narrowed(scaled, signed)
        expected_codes, expected_absmax = blocks8.narrow(scaled, signed)
        assert_array_equal(codes, expected_codes)
        same_bits(absmax, expected_absmax)


@each_sign
def test_zeros_and_the_largest_are_kept(isa: str, signed: bool) -> None:
    x = any_floats(signed, 5000).reshape(-1, 250)
    x = np.concatenate([x, np.zeros((20, 6), np.float32)], axis=1)
    x[:, 17] = abs(x).max(axis=1) * np.float32(1.5)
    found = widened(*narrowed(x.reshape(-1), signed), signed).reshape(x.shape)
    same_bits(found[:, 17], x[:, 17])
    assert (found[x == 0] == 0).all()
    negative_zeros = narrowed(-np.zeros(256, np.float32), signed)
    assert_array_equal(negative_zeros[0], blocks8.zero(signed))


def test_the_largest_magnitude_may_be_negative(isa: str) -> None:
    x = np.linspace(-2, 1, 256, dtype=np.float32)
    codes, absmax = narrowed(x, True)
    assert absmax[0] == 2
    assert codes[0] == 0
    assert codes.max() < 255


@each_sign
@pytest.mark.parametrize("scale", [2.0**-126, 1e-37, 2.0**99, 2.0**100, 2.0**126, 3.4e38])
def test_any_scale_will_do(isa: str, signed: bool, scale: float) -> None:
    x = np.linspace(-1 if signed else 0, 1, 512, dtype=np.float32) * np.float32(scale)
    found = widened(*narrowed(x, signed), signed)
    # Denormals are flushed.
    assert abs(found - x).max() <= 0.008 * scale + 2.0**-126
    same_bits(found[-1:], x[-1:])


@each_sign
@each_dtype
def test_blocks_of_nothing_and_of_what_is_no_number(isa: str, signed: bool, dtype: str) -> None:
    x = np.ones((6, 256), dtype)
    x[0] = 0
    x[1, 200] = np.nan
    x[2, 3] = np.inf
    x[3, 255] = -np.inf
    x[4] = np.float32(1e-39)
    x[5, 7] = -np.nan
    codes, absmax = narrowed(x.reshape(-1), signed)
    assert_array_equal(absmax, np.array([0, np.nan, np.nan, np.nan, 0, np.nan], np.float32))
    assert_array_equal(codes, blocks8.zero(signed))
    found = widened(codes, absmax, signed, dtype).reshape(6, 256)
    assert_array_equal(found[[0, 4]], 0)
    assert np.isnan(found[[1, 2, 3, 5]]).all()


def test_doubles_beyond_floats_are_infinite(isa: str) -> None:
    codes, absmax = narrowed(np.array([1e300, 1.0]), True)
    assert_array_equal(codes, 127)
    assert np.isnan(absmax).all()


def test_unsigned_blocks_take_what_is_negative_as_zero(isa: str) -> None:
    x = np.array([4, -9, 1, -0.0, -1e-30, 2], np.float32)
    codes, absmax = narrowed(x, False)
    assert absmax[0] == 4
    assert_array_equal(codes, blocks8.nearest(np.array([1, 0, 0.25, 0, 0, 0.5]), False))


@each_sign
def test_a_short_block_does_not_look_beyond_its_end(isa: str, signed: bool) -> None:
    x = any_floats(signed, 700)
    longer = np.concatenate([x, np.full(68, np.nan, np.float32)])
    for size in [1, 100, 255, 257, 300, 513]:
        codes, absmax = narrowed(longer[:size], signed)
        expected = blocks8.narrow(x[:size], signed)
        assert_array_equal(codes, expected[0])
        same_bits(absmax, expected[1])


def test_unsigned_what_is_not_zero_stays_so(isa: str) -> None:
    """Steps divide by roots of such states: zeros instead of small numbers would make them as large as 1 / eps."""
    x = np.array([0, 1e-37, 1e-30, 1e-12, 1e-7, 1.62e-7, 1.63e-7, 3.25e-7, 1], np.float32)
    assert_array_equal(codes_of(x, False), [0, 1, 1, 1, 1, 1, 1, 1, 255])
    assert_array_equal(narrowed(np.repeat(x, 300), False)[0] > 0, np.repeat(x, 300) > 0)
