"""The matrix product: accuracy, shapes, and the bits of chains of fused multiply-adds; sums of columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from schuss import _core
from tests.reference import gemm as twin
from tests.reference import optim, sums
from tests.reference.network import nodes_of

Array = NDArray[Any]
Place = Callable[[str, Array], Array]

LARGE = [(70, 300, 700), (130, 2100, 530), (1, 3000, 1500), (1500, 900, 1), (513, 1, 517), (300, 260, 33)]
# Few columns, few rows, a rest of few columns: computed as tiles of the transposed product, or by wide panels.
THIN = [(64, 64, 2), (100, 32, 10), (40, 70, 1), (131, 41, 3), (33, 130, 14), (50, 200, 33), (200, 300, 20)]
THIN += [(3, 70, 200), (1, 100, 64), (2, 300, 130), (1, 33, 1), (129, 1, 5), (260, 67, 9)]
# The first strip of rows packs B: heights of the strips at their least and most, a last panel of each kind.
PACKED = [(57, 300, 130), (71, 520, 70), (25, 1030, 101), (84, 260, 145)]
LONG_K = twin.LONG_K
TRANSPOSES = [(False, False), (True, False), (False, True), (True, True)]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def factors(m: int, k: int, n: int, dtype: str) -> tuple[Array, Array]:
    rng = np.random.default_rng(m * 1_000_003 + k * 1009 + n)
    return rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)


def multiply(a: Array, b: Array, transposes: tuple[bool, bool]) -> Array:
    """The core's a @ b, where it is given the transposes that it has to undo."""
    ta, tb = transposes
    a = np.ascontiguousarray(a.T) if ta else a
    b = np.ascontiguousarray(b.T) if tb else b
    return _core.gemm(a, b, ta, tb)


def assert_close(got: Array, a: Array, b: Array) -> None:
    """float64 to 1e-13 of the largest element; float32 within the error that k roundings can make."""
    assert got.shape == (a.shape[0], b.shape[1])
    assert got.dtype == a.dtype
    wide_a, wide_b = a.astype(float), b.astype(float)
    wanted = wide_a @ wide_b
    if a.dtype == np.float64:
        assert np.all(np.abs(got - wanted) <= 1e-13 * max(1.0, float(np.max(np.abs(wanted)))))
    else:
        size = np.abs(wide_a) @ np.abs(wide_b)
        bound = (1 + 0.5 * np.sqrt(a.shape[1])) * np.finfo(np.float32).eps * size
        assert np.all(np.abs(got - wanted) <= bound)


@dtypes
def test_small_sizes(dtype: str, isa: str) -> None:
    rng = np.random.default_rng(0)
    sizes: list[tuple[int, int, int]] = [tuple(rng.integers(1, 41, 3).tolist()) for _ in range(150)]
    sizes += [(m, 3, n) for m in (1, 13, 14, 15, 28, 29) for n in (1, 15, 16, 17, 31, 32, 33)]
    for i, (m, k, n) in enumerate(sizes):
        a, b = factors(m, k, n, dtype)
        assert_close(multiply(a, b, TRANSPOSES[i % 4]), a, b)


@dtypes
@pytest.mark.parametrize("size", LARGE, ids=str)
def test_large_sizes(size: tuple[int, int, int], dtype: str, isa: str) -> None:
    a, b = factors(*size, dtype)
    plain = multiply(a, b, (False, False))
    assert_close(plain, a, b)
    for transposes in TRANSPOSES[1:]:
        assert_array_equal(multiply(a, b, transposes), plain)


@dtypes
def test_chain_of_fused_multiply_adds(dtype: str, each_fma_isa: Callable[[], Iterator[str]]) -> None:
    """To the last bit: one accumulator an element, in increasing k, rounded once a step."""
    rng = np.random.default_rng(1)
    sizes: list[tuple[int, int, int]] = [tuple(rng.integers(1, 41, 3).tolist()) for _ in range(20)]
    sizes += [(20, 2100, 33), (61, 200, 37)] + ([(70, 300, 700)] if dtype == "float32" else [])
    products = [(factors(*s, dtype), twin.gemm(*factors(*s, dtype))) for s in sizes]
    for _ in each_fma_isa():
        for i, ((a, b), wanted) in enumerate(products):
            assert_array_equal(multiply(a, b, TRANSPOSES[i % 4]), wanted)


@dtypes
@pytest.mark.parametrize("size", THIN + PACKED[:2], ids=str)
def test_chain_of_thin_products(
    size: tuple[int, int, int], dtype: str, each_fma_isa: Callable[[], Iterator[str]]
) -> None:
    a, b = factors(*size, dtype)
    wanted = twin.gemm(a, b)
    for _ in each_fma_isa():
        for transposes in TRANSPOSES:
            assert_array_equal(multiply(a, b, transposes), wanted)


@dtypes
@pytest.mark.parametrize("k", [LONG_K - 1, LONG_K, LONG_K + 1, 2 * LONG_K + 3])
def test_blocks_of_long_chains(
    k: int, dtype: str, each_fma_isa: Callable[[], Iterator[str]], set_threads: Callable[[int], None]
) -> None:
    """A long sum is one of blocks, wherever it is computed; parts of one product are what smaller ones give."""
    a, b = factors(61, k, 37, dtype)
    wanted = np.full((61, 37), np.nan, dtype)
    wanted[::12] = twin.gemm(a[::12], b)
    wanted[:, ::9] = twin.gemm(a, b[:, ::9])
    known = ~np.isnan(wanted)
    for level in each_fma_isa():
        for threads in (1, 2, 3):
            set_threads(threads)
            for m, n in ((61, 37), (61, 3), (25, 33), (3, 37), (1, 2)):
                for transposes in TRANSPOSES:
                    got = multiply(a[:m], np.ascontiguousarray(b[:, :n]), transposes)
                    some = known[:m, :n]
                    assert_array_equal(got[some], wanted[:m, :n][some], err_msg=f"{level}, {m} x {n}, {transposes}")


@dtypes
def test_more_rows_than_long_sums_are_kept_for(dtype: str, isa: str) -> None:
    a, b = factors(2100, LONG_K + 600, 19, dtype)
    for transposes in TRANSPOSES:
        got = multiply(a, b, transposes)
        for i in (0, 1049, 1050, 1064, 2047, 2048, 2099):
            assert_array_equal(got[i : i + 1], multiply(a[i : i + 1], b, transposes))


@dtypes
def test_gradients_of_many_rows(dtype: str, each_fma_isa: Callable[[], Iterator[str]], threads: int) -> None:
    """Also where they go to the rule block by block and never to memory: from zero, a step of 1 is the gradient."""
    rng = np.random.default_rng(6)
    rows, n_in, n_out = LONG_K + 75, 33, 19
    x, y = rng.normal(size=(rows, n_in)).astype(dtype), rng.normal(size=(rows, n_out)).astype(dtype)
    dout = rng.normal(size=(rows, n_out)).astype(dtype)
    exact = [twin.gemm(x.T, dout), sums.columns(dout)]
    for _ in each_fma_isa():
        net = _core.Net(nodes_of([(n_in, n_out, "identity", 0.0, True, 0.0)]), dtype, 5)
        net.forward(x, True)
        net.backward(dout.copy(), False)
        for gradient, wanted in zip(net.gradients, exact, strict=True):
            assert_array_equal(gradient, wanted)
        net.loss_and_gradients(x, y, None, ("mse", 0.0))
        stored = [g.copy() for g in net.gradients]
        group = optim.options("sgd", lr=1.0)
        stepper = _core.Stepper(net.parameters, [0, 0], [group])
        net.train_step(x, y, None, ("mse", 0.0), stepper, [group])
        for parameter, gradient in zip(net.parameters, stored, strict=True):
            assert_array_equal(parameter, -gradient)


@dtypes
@pytest.mark.parametrize("rows", [1, 255, 256, 257, 1027])
def test_sums_of_columns(rows: int, dtype: str, isa: str, threads: int) -> None:
    """The gradient of a bias: blocks of rows in the dtype, their sums in double."""
    rng = np.random.default_rng(rows)
    for cols in (1, 7, 16, 33, 131):
        net = _core.Net(nodes_of([(2, cols, "identity", 0.0, True, 0.0)]), dtype, 5)
        dout = (rng.normal(size=(rows, cols)) + 1).astype(dtype)
        net.forward(np.ones((rows, 2), dtype), True)
        net.backward(dout, False)
        assert_array_equal(net.gradients[1], sums.columns(dout))


@dtypes
@pytest.mark.parametrize("size", LARGE, ids=str)
def test_same_bits_for_threads_and_instruction_sets(
    size: tuple[int, int, int],
    dtype: str,
    each_fma_isa: Callable[[], Iterator[str]],
    set_threads: Callable[[int], None],
) -> None:
    a, b = factors(*size, dtype)
    results = []
    for _ in each_fma_isa():
        for threads in (1, 2, 3, 7):
            set_threads(threads)
            results.append(multiply(a, b, (False, False)))
    for c in results[1:]:
        assert_array_equal(c, results[0])


@dtypes
def test_rows_do_not_depend_on_their_neighbours(dtype: str, isa: str) -> None:
    """A row of the product is the same bits alone and in a batch, wherever it falls in a tile."""
    a, b = factors(47, 65, 83, dtype)
    whole = multiply(a, b, (False, False))
    for rows in (slice(0, 1), slice(5, 6), slice(13, 20), slice(30, 47)):
        assert_array_equal(multiply(a[rows], b, (False, False)), whole[rows])
    for cols in (slice(0, 1), slice(31, 33), slice(60, 83)):
        assert_array_equal(multiply(a, np.ascontiguousarray(b[:, cols]), (False, False)), whole[:, cols])


@dtypes
def test_ends_of_rows_do_not_depend_on_their_neighbours(dtype: str, isa: str) -> None:
    """Bias, activation and derivative are the same bits for a row alone, an ordinary tile, and in a batch, where some
    of these layers are tiles of the transposed product.
    """
    sizes = [(40, 3, "relu"), (3, 40, "gelu"), (40, 33, "relu"), (33, 18, "tanh"), (18, 2, "identity")]
    net = _core.Net(nodes_of([(i, o, activation, 0.0, True, 0.0) for i, o, activation in sizes]), dtype, 5)
    rng = np.random.default_rng(3)
    for parameter in net.parameters:
        parameter[...] = rng.normal(size=parameter.shape)
    x, dout = rng.normal(size=(70, 40)).astype(dtype), rng.normal(size=(70, 2)).astype(dtype)
    out = np.array(net.forward(x, True))
    dx = np.array(net.backward(dout, True))
    for i in (0, 17, 69):
        assert_array_equal(net.forward(x[i : i + 1], True), out[i : i + 1])
        assert_array_equal(net.backward(dout[i : i + 1], True), dx[i : i + 1])


@dtypes
@pytest.mark.parametrize("placement", ["unaligned", "page end", "page start"])
def test_stays_inside_its_operands(placement: str, dtype: str, isa: str, place: Place) -> None:
    rng = np.random.default_rng(2)
    sizes: list[tuple[int, int, int]] = [tuple(rng.integers(1, 41, 3).tolist()) for _ in range(30)]
    sizes.append((130, 170, 150))
    sizes += [(15, 1200, 70), (29, 700, 101), *THIN, *PACKED]
    for m, k, n in sizes:
        a, b = factors(m, k, n, dtype)
        for ta, tb in TRANSPOSES:
            left = place(placement, np.ascontiguousarray(a.T) if ta else a)
            right = place(placement, np.ascontiguousarray(b.T) if tb else b)
            assert_close(_core.gemm(left, right, ta, tb), a, b)


@dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("size", [(5, 7, 9), (17, 40, 33), (70, 300, 90)], ids=str)
def test_nan_and_infinity_reach_exactly_what_they_should(
    bad: float, size: tuple[int, int, int], dtype: str, isa: str
) -> None:
    m, k, n = size
    for i, p in ((0, 0), (m - 1, k - 1), (m // 2, k // 3)):
        a, b = factors(m, k, n, dtype)
        a[i, p] = bad
        b[p, n // 2] = 0
        for transposes in TRANSPOSES:
            got = multiply(a, b, transposes)
            assert np.all(np.isfinite(np.delete(got, i, axis=0)))
            if np.isnan(bad):
                assert np.all(np.isnan(got[i]))
            else:
                wanted = np.where(b[p] == 0, np.nan, np.copysign(np.inf, b[p]))
                assert_array_equal(got[i], wanted)


@dtypes
def test_empty_products(dtype: str, isa: str) -> None:
    assert _core.gemm(np.ones((0, 3), dtype), np.ones((3, 2), dtype)).shape == (0, 2)
    assert _core.gemm(np.ones((2, 3), dtype), np.ones((3, 0), dtype)).shape == (2, 0)
    assert_array_equal(_core.gemm(np.ones((2, 0), dtype), np.ones((0, 5), dtype)), np.zeros((2, 5)))
