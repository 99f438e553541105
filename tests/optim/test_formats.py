"""Numbers of other formats, widened and narrowed: their twins, other libraries, every instruction set, any place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from schuss import _core
from tests.reference import formats

Array = NDArray[Any]
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
each_format = pytest.mark.parametrize("name", list(formats.CODES))
each_half = pytest.mark.parametrize("name", ["bfloat16", "float16", "split"])

ALL_CODES = np.arange(65536, dtype=np.uint16)
WHICH = {"seed": 2**40 + 17, "number": 3, "t": 2**33 + 5, "first": 48}


def bits(x: Array) -> Array:
    return x.view(f"u{x.itemsize}")


def narrowed(name: str, x: Array, **which: int) -> tuple[Array, Array | None]:
    codes = np.zeros(len(x), formats.CODES[name])
    more = np.zeros(len(x), np.uint16) if name == "split" else None
    _core.narrow(name, x, codes, more, **which)
    return codes, more


def widened(name: str, codes: Array, more: Array | None, dtype: str) -> Array:
    out = np.zeros(len(codes), dtype)
    _core.widen(name, codes, more, out)
    return out


def floats_to_narrow() -> Array:
    """What each format begins and ends with, and numbers beside: ties, neighbours, the largest, denormals, NaN."""
    generator = np.random.default_rng(1)
    of_bf16 = ALL_CODES.astype(np.uint32) << 16
    # Halves of the last place of bfloat16 and float16, and what is beside them.
    ends = [0, 1, 0x0FFF, 0x1000, 0x1001, 0x2FFF, 0x3000, 0x3001, 0x7FFF, 0x8000, 0x8001, 0xFFFF]
    beside = [of_bf16 | end for end in ends]
    of_f16 = formats.widen_float16(ALL_CODES, "float32")
    with np.errstate(over="ignore", invalid="ignore"):
        middle = ((of_f16[1:].astype(float) + of_f16[:-1]) / 2).astype(np.float32).view(np.uint32)
    drawn = generator.integers(0, 2**32, 50_000, dtype=np.uint64).astype(np.uint32)
    every = np.concatenate([*beside, of_f16.view(np.uint32), middle, middle + 1, middle - np.uint32(1), drawn])
    return every.view(np.float32)


FLOATS = floats_to_narrow()


def doubles_to_narrow() -> Array:
    """The same, their neighbours, halves of the last place of floats, denormal ones too, and any bits."""
    generator = np.random.default_rng(2)
    with np.errstate(all="ignore"):
        x = FLOATS[::7].astype(float)
        halves = (x + np.nextafter(FLOATS[::7], np.float32(np.inf))) / 2
    drawn = generator.integers(0, 2**64, 50_000, dtype=np.uint64).view(float)
    tiny = generator.integers(0, 2**25, 20_000) * 2.0**-150
    # Around the smallest normal float, what rounds up to it, and what rounds up to an infinity.
    ends = 2.0**-126 - 2.0 ** np.arange(-153, -148)
    largest = 2.0**128 - 2.0 ** np.arange(102, 105)
    near = [np.nextafter(halves, np.inf), np.nextafter(halves, -np.inf)]
    return np.concatenate([x, halves, *near, drawn, tiny, -tiny, ends, largest, -largest, [2.0**128, 5e-324, -0.0]])


NUMBERS = {"float32": FLOATS, "float64": doubles_to_narrow()}


@each_dtype
@each_format
def test_narrow_as_the_twin(isa: str, dtype: str, name: str) -> None:
    x = NUMBERS[dtype]
    codes, more = narrowed(name, x, **WHICH)
    expected, beside = formats.narrow(name, x, **WHICH)
    assert_array_equal(codes, expected)
    if beside is not None:
        assert more is not None
        assert_array_equal(more, beside)


@each_dtype
@each_format
def test_widen_as_the_twin(isa: str, dtype: str, name: str) -> None:
    """Every pattern of 16 bits; of floats and doubles what is narrowed above."""
    generator = np.random.default_rng(3)
    codes = ALL_CODES if formats.CODES[name] is np.uint16 else bits(NUMBERS[name])
    more = generator.integers(0, 65536, len(codes)).astype(np.uint16) if name == "split" else None
    expected = formats.widen(name, codes, more, dtype)
    assert_array_equal(bits(widened(name, codes, more, dtype)), bits(expected))


def test_bfloat16_as_ml_dtypes(isa: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    with np.errstate(over="ignore", invalid="ignore"):
        expected = FLOATS.astype(ml_dtypes.bfloat16)
    numbers = ~np.isnan(FLOATS)
    codes, _ = narrowed("bfloat16", FLOATS)
    assert_array_equal(codes[numbers], expected.view(np.uint16)[numbers])
    assert np.isnan(codes.view(ml_dtypes.bfloat16)[~numbers].astype(float)).all()
    assert_array_equal(
        bits(widened("bfloat16", ALL_CODES, None, "float32")),
        bits(ALL_CODES.view(ml_dtypes.bfloat16).astype("float32")),
    )


def test_float16_as_numpy(isa: str) -> None:
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        expected = FLOATS.astype(np.float16)
    numbers = ~np.isnan(FLOATS)
    codes, _ = narrowed("float16", FLOATS)
    assert_array_equal(codes[numbers], expected.view(np.uint16)[numbers])
    assert np.isnan(codes.view(np.float16)[~numbers]).all()
    reals = ALL_CODES.view(np.float16).astype("float32")
    found = widened("float16", ALL_CODES, None, "float32")
    assert_array_equal(bits(found)[~np.isnan(reals)], bits(reals)[~np.isnan(reals)])
    assert np.isnan(found[np.isnan(reals)]).all()


@each_dtype
@pytest.mark.parametrize(("name", "infinity", "quiet"), [("bfloat16", 0x7F80, 0x40), ("float16", 0x7C00, 0x200)])
def test_codes_come_back(isa: str, dtype: str, name: str, infinity: int, quiet: int) -> None:
    """All of them, but for NaN, which are quiet afterwards, with the rest of their payload."""
    codes, _ = narrowed(name, widened(name, ALL_CODES, None, dtype))
    magnitude = ALL_CODES & 0x7FFF
    assert_array_equal(codes, np.where(magnitude > infinity, ALL_CODES | quiet, ALL_CODES))


@each_dtype
def test_split_loses_nothing(isa: str, dtype: str) -> None:
    with np.errstate(invalid="ignore"):
        x = FLOATS.astype(dtype)
    high, low = narrowed("split", x)
    assert low is not None
    back = widened("split", high, low, dtype)
    numbers = ~np.isnan(x)
    assert_array_equal(bits(back)[numbers], bits(x)[numbers])
    assert np.isnan(back[~numbers]).all()
    # The higher half alone is a bfloat16 next to the number: the nearest, away from zero where two are as near.
    nearest, _ = narrowed("bfloat16", x)
    tie = (bits(FLOATS) & 0xFFFF) == 0x8000
    assert_array_equal(high[~tie], nearest[~tie])
    assert_array_equal(high[tie & numbers], (bits(FLOATS)[tie & numbers] >> 16) + 1)


@each_dtype
@pytest.mark.parametrize("name", ["bfloat16", "bfloat16_stochastic", "float16", "split"])
def test_nan_stays_with_its_sign(isa: str, dtype: str, name: str) -> None:
    """Also where rounding would carry out of its payload."""
    x = np.array([0x7F800001, 0x7FFFFFFF, 0x7FC00000, 0xFF800001, 0xFFFFFFFF, 0xFFC08000], np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        back = widened(name, *narrowed(name, x.astype(dtype)), dtype)
    assert np.isnan(back).all()
    assert_array_equal(np.signbit(back), np.signbit(x))


@each_dtype
def test_denormals_stay(isa: str, dtype: str) -> None:
    """Kernels flush them in what they compute; the smallest of all formats are stored and read all the same."""
    for name in ("bfloat16", "float16", "split"):
        codes = np.array([1, 0x8001], np.uint16)
        more = np.zeros(2, np.uint16) if name == "split" else None
        found = widened(name, codes, more, dtype)
        least = 2.0**-24 if name == "float16" else 2.0**-133
        assert_array_equal(found, np.array([least, -least], dtype))
        assert_array_equal(narrowed(name, found)[0], codes)
    other = "float64" if dtype == "float32" else "float32"
    x = np.array([2.0**-149, -(2.0**-130), 2.0**-126 - 2.0**-149], other)
    assert_array_equal(widened(other, bits(x), None, dtype), x.astype(dtype))
    assert_array_equal(narrowed(other, x.astype(dtype))[0], bits(x))


def test_doubles_round_once_to_floats(isa: str) -> None:
    """Up to the smallest normal number, and to the infinities."""
    x = NUMBERS["float64"]
    with np.errstate(all="ignore"):
        expected = x.astype("float32")
    numbers = ~np.isnan(x)
    assert_array_equal(narrowed("float32", x)[0][numbers], bits(expected)[numbers])
    assert_array_equal(bits(widened("float64", bits(x), None, "float32"))[numbers], bits(expected)[numbers])
    assert np.float32(2.0**-126) in expected and np.isinf(expected).any()


def in_guard(array: Array, shift: int) -> tuple[Array, Callable[[], bool]]:
    """A copy that begins `shift` items past a multiple of 64 bytes, and whether what is around it is as it was."""
    room = np.full(array.nbytes + 512, 0xA5, np.uint8)
    first = -room.ctypes.data % 64 + 64 + shift * array.itemsize
    copy = room[first : first + array.nbytes].view(array.dtype)
    copy[:] = array
    return copy, lambda: bool((room[:first] == 0xA5).all() and (room[first + array.nbytes :] == 0xA5).all())


def sizes() -> Iterator[tuple[int, int]]:
    """Sizes, and how many items past a line arrays begin."""
    for n in range(71):
        yield n, n % 17
    for n in (127, 128, 129, 255, 511, 1000, 1024, 1025, 4099):
        yield from ((n, shift) for shift in (0, 1, 3, 9))


@each_dtype
@each_format
def test_any_size_and_place(isa: str, dtype: str, name: str) -> None:
    """The same bits as in one array of all, and nothing written beside."""
    x = NUMBERS[dtype][:: len(NUMBERS[dtype]) // 4200]
    codes, more = formats.narrow(name, x, **WHICH)
    reals = formats.widen(name, codes, more, dtype)
    for n, shift in sizes():
        source, source_kept = in_guard(x[:n], shift)
        to, kept = in_guard(np.zeros_like(codes[:n]), (shift + 1) % 5)
        beside, beside_kept = (
            (None, lambda: True) if more is None else in_guard(np.zeros_like(more[:n]), (shift + 2) % 7)
        )
        _core.narrow(name, source, to, beside, **WHICH)
        assert_array_equal(to, codes[:n])
        assert beside is None or (beside == more[:n]).all()  # type: ignore[index]
        out, out_kept = in_guard(np.zeros(n, dtype), (shift + 3) % 11)
        _core.widen(name, to, beside, out)
        assert_array_equal(bits(out), bits(reals[:n]))
        assert kept() and beside_kept() and source_kept() and out_kept(), (n, shift)
        assert_array_equal(bits(source), bits(x[:n]))


@each_dtype
@each_format
def test_beside_pages_that_may_not_be_touched(
    isa: str, dtype: str, name: str, place: Callable[[str, Array], Array]
) -> None:
    for n in (1, 7, 8, 15, 33, 130):
        for where in ("page end", "page start"):
            x = place(where, NUMBERS[dtype][:n])
            expected, more = formats.narrow(name, x, **WHICH)
            to = place(where, np.zeros_like(expected))
            beside = None if more is None else place(where, np.zeros_like(more))
            _core.narrow(name, x, to, beside, **WHICH)
            assert_array_equal(to, expected)
            out = place(where, np.zeros(n, dtype))
            _core.widen(name, to, beside, out)
            assert_array_equal(bits(out), bits(formats.widen(name, expected, more, dtype)))


STOCHASTIC = "bfloat16_stochastic"


def fractions(lower_half: Array) -> Array:
    """1 plus so many 65536ths of bfloat16's last place there."""
    return (0x3F800000 + lower_half.astype(np.uint32)).view(np.float32)


def test_numbers_are_those_of_philox(isa: str) -> None:
    """Element e rounds by number e % 8 of block e / 8: a half of word e % 8 / 2, the lower one first."""
    first, n = 8 * (2**32 - 2) + 3, 40
    key, high = (0x12345678, 0x9ABCDEF0), 7
    which = {"seed": key[1] << 32 | key[0], "number": 2**32 - 1, "t": high << 32 | 9, "first": first}
    numbers = []
    for e in range(first, first + n):
        block = _core.philox((e // 8 % 2**32, 2**32 - 1, 9, formats.ROUNDING_STREAM + high), key)
        numbers.append(block[e % 8 // 2] >> 16 * (e % 2) & 0xFFFF)
    drawn = np.array(numbers)
    for less in (0, 1):  # a number rounds away from zero exactly if its fraction and the draw reach 65536
        reach = np.minimum(65536 - drawn - less, 65535)
        codes, _ = narrowed(STOCHASTIC, fractions(reach), **which)
        assert_array_equal(codes == 0x3F81, drawn + reach >= 65536)


@each_dtype
def test_mean_is_unbiased(isa: str, dtype: str) -> None:
    """For every fraction, within five standard errors; what is exact stays."""
    lower = np.array([0, 1, 100, 0x2000, 0x4000, 0x8000, 0xC001, 0xFF00, 0xFFFF]).repeat(4096)
    for sign in (1, -1):
        x = (sign * fractions(lower)).astype(dtype)
        found = np.array(
            [widened(STOCHASTIC, narrowed(STOCHASTIC, x, seed=5, number=2, t=t)[0], None, dtype) for t in range(1, 17)]
        )
        away = (np.abs(found) - 1) * 128  # 0 or 1: places of bfloat16 above 1
        assert set(np.unique(away)) == {0.0, 1.0}
        share = away.reshape(16, 9, 4096).mean(axis=(0, 2))
        p = lower[::4096] / 65536
        assert (np.abs(share - p) <= 5 * np.sqrt(p * (1 - p) / (16 * 4096))).all()


def test_small_additions_are_not_lost(isa: str) -> None:
    """An eighth of a place, 512 times: nearest never moves, stochastic rounding arrives on average."""
    p, _ = narrowed(STOCHASTIC, np.ones(4096, np.float32))
    nearest = p.copy()
    for t in range(512):
        p, _ = narrowed(STOCHASTIC, widened(STOCHASTIC, p, None, "float32") + np.float32(2.0**-10), seed=1, t=t)
        nearest, _ = narrowed("bfloat16", widened("bfloat16", nearest, None, "float32") + np.float32(2.0**-10))
    assert (nearest == 0x3F80).all()
    assert abs(widened(STOCHASTIC, p, None, "float32").mean() - 1.5) < 0.003


@each_dtype
def test_cuts_do_not_matter(isa: str, dtype: str) -> None:
    """Runs of any length, which begin anywhere."""
    x = NUMBERS[dtype][:3000]
    which = {"seed": 11, "number": 4, "t": 6}
    whole, _ = narrowed(STOCHASTIC, x, first=32, **which)
    for cuts in (range(0, 3000, 16), range(0, 3000, 1024), [0, 16, 160, 176, 1200, 2992], [0, 1, 2, 9, 140, 1001]):
        ends = [*cuts, len(x)]
        parts = [narrowed(STOCHASTIC, x[i:j], first=32 + i, **which)[0] for i, j in pairwise(ends)]
        assert_array_equal(np.concatenate(parts), whole)


def test_other_numbers_for_each_seed_array_step_and_element(isa: str) -> None:
    x = fractions(np.full(512, 0x8000))
    base = {"seed": 1, "number": 1, "t": 1, "first": 0}
    found = [narrowed(STOCHASTIC, x, **base)[0]]
    for other in ({"seed": 2}, {"seed": 1 + 2**32}, {"number": 2}, {"t": 2}, {"t": 1 + 2**32}, {"first": 512}):
        found.append(narrowed(STOCHASTIC, x, **{**base, **other})[0])
    for i, a in enumerate(found):
        assert_array_equal(a, formats.narrow(STOCHASTIC, x, **base)[0] if i == 0 else a)
        for b in found[:i]:
            assert 190 < np.count_nonzero(a != b) < 322  # half of 512, and six standard deviations


@each_dtype
def test_what_is_finite_stays_finite(isa: str, dtype: str) -> None:
    largest = np.finfo(np.float32).max
    x = np.array([largest, -largest] * 500 + [np.inf, -np.inf], dtype)
    codes, _ = narrowed(STOCHASTIC, x, **WHICH)
    assert_array_equal(codes, [0x7F7F, 0xFF7F] * 500 + [0x7F80, 0xFF80])
    nearest, _ = narrowed("bfloat16", x)
    assert_array_equal(nearest, [0x7F80, 0xFF80] * 501)


def test_stochastic_is_next_to_the_number(isa: str) -> None:
    """Of all patterns: the bfloat16 towards zero, or the one after it."""
    x = FLOATS[np.isfinite(FLOATS)]
    codes, _ = narrowed(STOCHASTIC, x, **WHICH)
    towards = bits(x) >> 16
    step = codes.astype(np.int64) - towards
    exact = (bits(x) & 0xFFFF) == 0
    assert set(np.unique(step)) == {0, 1}
    assert (step[exact] == 0).all()


@each_half
def test_wrong_rooms_are_refused(name: str) -> None:
    x, more = np.ones(4, np.float32), np.zeros(4, np.uint16) if name == "split" else None
    with pytest.raises(ValueError, match="codes has 6 bytes, expected 8"):
        _core.narrow(name, x, np.zeros(3, np.uint16), more)
    with pytest.raises(ValueError, match="codes has 10 bytes, expected 8"):
        _core.widen(name, np.zeros(5, np.uint16), more, x)
    with pytest.raises(ValueError, match="codes is not aligned to its items"):
        _core.narrow(name, x, np.zeros(9, np.uint8)[1:], more)
    with pytest.raises(ValueError, match="more has 2 bytes, expected"):
        _core.narrow(name, x, np.zeros(4, np.uint16), np.zeros(1, np.uint16))
    with pytest.raises(KeyError, match="float8"):
        _core.narrow("float8", x, np.zeros(4, np.uint16))
    assert_array_equal(x, 1)
