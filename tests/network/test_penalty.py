"""Trainer's additions: a penalty on weights, an order from outside, compressed rows, losses counted by rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import schuss
from schuss import _core
from tests.reference import losses

Array = NDArray[Any]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def make(dtype: str, hidden: int = 9, solver: str = "sgd") -> tuple[schuss.Network, schuss.Optimizer]:
    net = schuss.Network([schuss.Dense(5, hidden, "tanh"), schuss.Dense(hidden, 3)], seed=1, dtype=dtype)
    groups: Any = [{"params": list(net.parameters[0::2])}, {"params": list(net.parameters[1::2])}]
    kind = {"sgd": schuss.SGD, "adam": schuss.Adam, "lamb": schuss.LAMB, "lbfgs": None}[solver]
    assert kind is not None
    return net, kind(groups, lr=0.05)


def data(rows: int, dtype: str) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(rows)
    return rng.normal(size=(rows, 5)).astype(dtype), rng.integers(0, 3, rows), rng.uniform(0.2, 2, rows)


def trained(
    dtype: str,
    rows: int = 50,
    penalty: tuple[int, float, float] | None = (0, 0.3, 0.7),
    weighted: bool = True,
    compressed: str = "",
    order: Array | None = None,
    hidden: int = 9,
    solver: str = "sgd",
    function: bool = False,
    counts_rows: bool = True,
) -> tuple[list[Array], float]:
    net, opt = make(dtype, hidden, solver)
    X, y, w = data(rows, dtype)
    given: Any = X
    if compressed:
        columns = np.tile(np.arange(5, dtype=compressed), rows)
        given = (np.arange(0, 5 * rows + 1, 5), columns, X.ravel())

    def own(z: Array, t: Array, weights: Array | None = None) -> tuple[float, Array]:
        value, gradient = losses.value_and_gradient("cross_entropy", 0.0, z, t, weights)
        return value, np.ascontiguousarray(gradient, dtype=z.dtype)

    trainer = _core.Trainer(
        net._core, opt._stepper, opt.param_groups, own if function else ("cross_entropy", 0.0), given, y,
        w if weighted else None, 16, 0.0, 0.0, penalty=penalty, counts_rows=counts_rows,
    )  # fmt: skip
    for epoch in range(3):
        trainer.start_epoch(None, epoch, None, order)
        while trainer.run(0.0):
            pass
    return [p.copy() for p in net.parameters], trainer.loss


def by_hand(dtype: str, rows: int, l1: float, l2: float, weighted: bool, order: Array, counts_rows: bool) -> Any:
    """The same in plain NumPy, in double."""
    net, _ = make(dtype)
    W1, b1, W2, b2 = (p.astype(float) for p in net.parameters)
    X, y, w = data(rows, dtype)
    w = w if weighted else np.ones(rows)
    for _ in range(3):
        total, counted = 0.0, 0.0
        for start in range(0, rows, 16):
            batch = order[start : start + 16]
            x, weights = X[batch].astype(float), w[batch]
            h = np.tanh(x @ W1 + b1)
            value, d = losses.value_and_gradient("cross_entropy", 0.0, h @ W2 + b2, y[batch], weights)
            share = weights.sum()
            value += sum(l1 * np.abs(W).sum() + l2 / 2 * (W**2).sum() for W in (W1, W2)) / share
            total += value * (len(batch) if counts_rows else share)
            counted += len(batch) if counts_rows else share
            down = (d @ W2.T) * (1 - h * h)
            slopes = [x.T @ down, down.sum(axis=0), h.T @ d, d.sum(axis=0)]
            for W, k in ((W1, 0), (W2, 2)):
                slopes[k] = slopes[k] + (l1 * np.sign(W) + l2 * W) / share
            for p, slope in zip((W1, b1, W2, b2), slopes, strict=True):
                p -= 0.05 * slope
    return [W1, b1, W2, b2], total / counted


@dtypes
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 0.7), (0.3, 0.0), (0.3, 0.7), (0.0, 0.0)])
@pytest.mark.parametrize("counts_rows", [True, False])
def test_against_numpy(dtype: str, weighted: bool, l1: float, l2: float, counts_rows: bool, isa: str) -> None:
    order = np.random.default_rng(3).permutation(50)
    wanted, value = by_hand(dtype, 50, l1, l2, weighted, order, counts_rows)
    penalty = (0, l1, l2) if l1 or l2 else None
    for function in (False, True):
        found, loss = trained(
            dtype, penalty=penalty, weighted=weighted, order=order, counts_rows=counts_rows, function=function
        )
        tolerance = 1e-5 if dtype == "float32" else 1e-13
        assert loss == pytest.approx(value, rel=tolerance)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, atol=tolerance * np.max(np.abs(b)))


@dtypes
@pytest.mark.parametrize("solver", ["sgd", "adam", "lamb"])
def test_same_bits_everywhere(
    dtype: str, solver: str, each_fma_isa: Callable[[], Iterator[str]], set_threads: Callable[[int], None]
) -> None:
    results = []
    for _ in each_fma_isa():
        for threads in (1, 2, 3):
            set_threads(threads)
            results.append(trained(dtype, 600, hidden=300, solver=solver))
    for found, loss in results[1:]:
        assert loss == results[0][1]
        for a, b in zip(found, results[0][0], strict=True):
            np.testing.assert_array_equal(a, b)


@dtypes
@pytest.mark.parametrize("indices", ["int32", "int64"])
def test_compressed_rows_are_as_dense_ones(dtype: str, indices: str, threads: int) -> None:
    order = np.random.default_rng(4).permutation(50)
    for given in (None, order):
        dense, value = trained(dtype, order=given)
        found, loss = trained(dtype, order=given, compressed=indices)
        assert loss == value
        for a, b in zip(found, dense, strict=True):
            np.testing.assert_array_equal(a, b)


@dtypes
@pytest.mark.parametrize("shape", [(50, 1), (9, 9001), (4200, 3)], ids=str)
def test_compressed_rows_of_any_shape(dtype: str, shape: tuple[int, int], isa: str, threads: int) -> None:
    """One batch of all rows, a few percent of them not zero."""
    rng = np.random.default_rng(5)
    X = np.where(rng.random(shape) < 0.05, rng.normal(size=shape), 0).astype(dtype)
    X[0, 0] = X[-1, -1] = 1
    y = rng.integers(0, 3, len(X))
    starts = np.concatenate([[0], np.cumsum(np.count_nonzero(X, axis=1))])
    results = []
    for given in (X, (starts, np.flatnonzero(X) % shape[1], X[X != 0])):
        net = schuss.Network([schuss.Dense(shape[1], 9, "tanh"), schuss.Dense(9, 3)], seed=1, dtype=dtype)
        opt = schuss.SGD(net.parameters, lr=0.05)
        loss = ("cross_entropy", 0.0)
        trainer = _core.Trainer(net._core, opt._stepper, opt.param_groups, loss, given, y, None, len(X), 0.0, 0.0)
        for epoch in range(2):
            trainer.start_epoch(None, epoch, None, np.arange(len(X)))
            while trainer.run(0.0):
                pass
        results.append((trainer.loss, [p.copy() for p in net.parameters]))
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_penalty_does_not_stay() -> None:
    """Steps that the optimizer makes later have none."""
    net, opt = make("float64")
    X, y, _ = data(50, "float64")
    trainer = _core.Trainer(
        net._core,
        opt._stepper,
        opt.param_groups,
        ("cross_entropy", 0.0),
        X,
        y,
        None,
        50,
        0.0,
        0.0,
        penalty=(0, 1.0, 1.0),
    )
    trainer.start_epoch(None, 0, None)
    assert not trainer.run(1.0)
    before = [p.copy() for p in net.parameters]
    opt.step([np.zeros_like(p) for p in (*net.parameters[0::2], *net.parameters[1::2])])
    for a, b in zip(before, net.parameters, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"penalty": (2, 0.0, 1.0)}, "penalty is on group 2"),
        ({"x": (np.array([0, 1, 2]), np.array([0, 5], np.int32), np.ones(2))}, "a column out of range"),
        ({"x": (np.array([0, 2, 2]), np.array([1, 0], np.int32), np.ones(2))}, "columns do not increase"),
        ({"x": (np.array([0, 0, 2]), np.array([1, 1], np.int32), np.ones(2))}, "columns do not increase"),
        ({"x": (np.array([0, 1, 1]), np.array([0, 1], np.int32), np.ones(2))}, "start must rise from 0 to 2"),
        ({"x": (np.array([0, 1, 2], np.int32), np.array([0, 1], np.int32), np.ones(2))}, "start is int32"),
        ({"x": (np.array([0, 1, 2]), np.array([0, 1], np.int16), np.ones(2))}, "indices is int16"),
    ],
)
def test_bad_input(change: dict[str, Any], message: str) -> None:
    net, opt = make("float64")
    x = change.get("x", np.ones((2, 5)))
    with pytest.raises((ValueError, TypeError), match=message):
        _core.Trainer(
            net._core, opt._stepper, opt.param_groups, ("cross_entropy", 0.0), x, np.array([0, 1]), None, 2, 0.0, 0.0,
            penalty=change.get("penalty"),
        )  # fmt: skip


def test_an_order_has_to_fit() -> None:
    net, opt = make("float64")
    X, y, _ = data(20, "float64")
    trainer = _core.Trainer(net._core, opt._stepper, opt.param_groups, ("cross_entropy", 0.0), X, y, None, 8, 0.0, 0.0)
    for order in (np.arange(19), np.arange(1, 21), np.arange(20) - 1):
        with pytest.raises(ValueError, match="order is not of 20 rows"):
            trainer.start_epoch(None, 0, None, order)


def test_an_epoch_that_is_over_stays_so() -> None:
    """Whoever has not heard of it may ask again."""
    net, opt = make("float64", solver="adam")
    X, y, _ = data(20, "float64")
    trainer = _core.Trainer(net._core, opt._stepper, opt.param_groups, ("cross_entropy", 0.0), X, y, None, 8, 0.0, 0.0)
    assert not trainer.run(1.0)
    trainer.start_epoch(None, 0, None)
    assert not trainer.run(1.0)
    before = [p.copy() for p in net.parameters]
    assert not trainer.run(1.0) and opt.steps == 3
    for a, b in zip(before, net.parameters, strict=True):
        np.testing.assert_array_equal(a, b)
