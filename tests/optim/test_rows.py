"""Gradients of some rows: those rows step as if they were all there is, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import schuss
from tests.reference.rule_cases import RULE_CASES, Case

SHAPE = (40, 3, 5)
ROWS = np.array([31, 0, 7, 39, 12])


def by_element(case: Case) -> bool:
    opt = getattr(schuss, case.optimizer)(np.ones(3), **case.options)
    try:
        opt.step([schuss.Rows([0], np.ones(1))])
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", [case for case in RULE_CASES if by_element(case)], ids=str)
def test_rows_step_alone(case: Case, dtype: str) -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=SHAPE).astype(dtype)
    whole, part = start.copy(), start[ROWS].copy()
    kind = getattr(schuss, case.optimizer)
    sparse, dense = kind(whole, **case.options), kind(part, **case.options)
    for _ in range(4):
        g = rng.normal(size=part.shape).astype(dtype)
        sparse.step([schuss.Rows(ROWS, g)])
        dense.step([g])
    assert_array_equal(whole[ROWS], part)
    others = np.setdiff1d(np.arange(SHAPE[0]), ROWS)
    assert_array_equal(whole[others], start[others])
    fresh = kind(start.copy(), **case.options)._states()[0]
    for name, state in sparse._states()[0].items():
        if state.shape == SHAPE:
            assert_array_equal(state[ROWS], dense._states()[0][name])
            assert_array_equal(state[others], fresh[name][others])


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_many_rows_over_threads(threads: int, set_threads: Callable[[int], None]) -> None:
    set_threads(threads)
    rng = np.random.default_rng(1)
    p = rng.normal(size=(3000, 77)).astype(np.float32)
    part, rest = p[::2].copy(), p[1::2].copy()
    g = rng.normal(size=part.shape).astype(np.float32)
    other, h = np.zeros(501, np.float32), np.ones(501, np.float32)
    schuss.Adam([p, other], lr=0.1).step([schuss.Rows(np.arange(0, 3000, 2), g), h], clip_norm=2.0)
    twin = np.zeros(501, np.float32)
    schuss.Adam([part, twin], lr=0.1).step([g, h], clip_norm=2.0)
    assert_array_equal(p[::2], part)
    assert_array_equal(p[1::2], rest)
    assert_array_equal(other, twin)


def test_rows_that_come_again_are_added_up() -> None:
    p, twin = np.ones((4, 2)), np.ones((4, 2))
    rows = schuss.Rows([2, 0, 2, 2], [[1.0, 2], [3, 4], [5, 6], [7, 8]])
    assert_array_equal(rows.indices, [0, 2])
    assert_array_equal(rows.values, [[3, 4], [13, 16]])
    schuss.SGD(p, lr=0.1).step([rows])
    dense = np.zeros((4, 2))
    dense[[0, 2]] = rows.values
    schuss.SGD(twin, lr=0.1).step([dense])
    assert_array_equal(p, twin)


def test_dense_again_and_none() -> None:
    p, twin = np.ones((6, 2)), np.ones((6, 2))
    opt, dense = schuss.SGD(p, lr=0.1), schuss.SGD(twin, lr=0.1)
    opt.step([schuss.Rows([1], np.ones((1, 2)))])
    opt.step([schuss.Rows(np.empty(0), np.empty((0, 2)))])
    opt.step([np.ones((6, 2))])
    first = np.zeros((6, 2))
    first[1] = 1
    dense.step([first])
    dense.step([np.ones((6, 2))])
    assert_array_equal(p, twin)
    assert opt.steps == 3


def test_fit_after_rows() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 8)).astype(np.float32), rng.integers(0, 3, 30)
    nets = [schuss.Network([schuss.Dense(8, 5, "relu"), schuss.Dense(5, 3)], seed=0) for _ in range(2)]
    opts = [schuss.SGD(net.parameters, lr=0.1) for net in nets]
    rows = np.ones((2, 5), np.float32)
    whole = np.zeros((8, 5), np.float32)
    whole[[1, 3]] = rows
    zeros = [np.zeros_like(p) for p in nets[0].parameters[1:]]
    opts[0].step([schuss.Rows([1, 3], rows), *zeros])
    opts[1].step([whole, *zeros])
    for net, opt in zip(nets, opts, strict=True):
        net.fit(X, y, loss="cross_entropy", optimizer=opt, epochs=2, batch_size=7)
    for a, b in zip(nets[0].parameters, nets[1].parameters, strict=True):
        assert_array_equal(a, b)


def test_nonfinite_and_zeroed() -> None:
    p = np.ones((5, 2))
    opt = schuss.SGD(p, lr=0.1)
    rows = schuss.Rows([1, 2], np.array([[1.0, np.inf], [0, 0]]))
    with pytest.raises(schuss.DivergenceError):
        opt.step([rows], on_nonfinite="raise")
    assert_array_equal(p, 1)
    good = schuss.Rows([1, 2], np.ones((2, 2)))
    opt.step([good], zero_grad=True)
    assert_array_equal(good.values, 0)


def test_rows_in_any_form_of_gradients() -> None:
    p, q = np.ones((5, 2)), np.ones((5, 2))
    rows = schuss.Rows([1, 3], np.ones((2, 2)))
    schuss.SGD(p, lr=0.1).step(rows)
    schuss.SGD([{"params": q}], lr=0.1).step([rows])
    assert_array_equal(p, q)
    assert_array_equal(p[:, 0], [1, 0.9, 1, 0.9, 1])
    schuss.SGD({"p": p, "q": q}, lr=0.1).step({"q": rows, "p": rows})
    assert_array_equal(p[:, 0], [1, 0.8, 1, 0.8, 1])
    with pytest.raises(ValueError, match="grads has 1 arrays, expected 2"):
        schuss.SGD([p, q]).step(rows)


def test_bad_rows_change_nothing() -> None:
    p = np.ones((5, 2))
    opt = schuss.Adam(p)
    for rows, error, text in (
        (schuss.Rows([5], np.ones((1, 2))), ValueError, r"row 5, expected rows in \[0, 5\)"),
        (schuss.Rows([-1, 2], np.ones((2, 2))), ValueError, "row -1"),
        (schuss.Rows([1], np.ones((1, 3))), ValueError, r"rows of shape \(3,\), expected \(2,\)"),
        (schuss.Rows([1], np.ones((1, 3), np.float16)), ValueError, r"rows of shape \(3,\), expected \(2,\)"),
    ):
        with pytest.raises(error, match=text):
            opt.step([rows])
    opt_0d = schuss.SGD(np.ones(()))
    with pytest.raises(ValueError, match="rows of shape"):
        opt_0d.step([schuss.Rows([0], np.ones((1,)))])
    assert_array_equal(p, 1)
    assert opt.steps == 0
    averaged = schuss.EMA(schuss.Adam(np.ones((5, 2))))
    with pytest.raises(TypeError, match="looks at whole arrays"):
        averaged.step([schuss.Rows([1], np.ones((1, 2)))])
    for kind in (schuss.ASGD, schuss.ScheduleFreeSGD, schuss.ScheduleFreeAdamW):  # they average over all steps
        q = np.ones((5, 2))
        with pytest.raises(TypeError, match="looks at whole arrays"):
            kind(q).step([schuss.Rows([1], np.ones((1, 2)))])
        assert_array_equal(q, 1)
    for arguments, error, text in (
        (([0.5], np.ones((1, 2))), TypeError, "indices must be integers"),
        (([[1]], np.ones((1, 2))), TypeError, "indices must be integers"),
        (([1], np.ones((2, 2))), ValueError, "values must have one row"),
        (([1], [[1, 2]]), TypeError, "values must be float32, float64 or 16-bit floats"),
        (([1], np.ones((1, 2), np.longdouble)), TypeError, "values must be float32, float64 or 16-bit floats"),
        (([1], np.ones((1, 2), complex)), TypeError, "values must be float32, float64 or 16-bit floats"),
    ):
        with pytest.raises(error, match=text):
            schuss.Rows(*arguments)
    assert "1 rows" in repr(schuss.Rows([1], np.ones((1, 2))))
