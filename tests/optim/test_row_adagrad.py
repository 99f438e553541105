"""AdaGrad with one number a row: on matrices and tables, whole and by rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import schuss
from tests.reference import optim
from tests.reference.rule_cases import Case

SHAPES = [(7, 3), (5, 16), (4, 17), (3, 1), (2, 2500), (6, 2, 3), (1, 3, 1, 5), (9,), (), (0, 4), (4, 0)]
CASE = Case("RowAdaGrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.03, "maximize": True})
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


@dtypes
@pytest.mark.parametrize("stages", [{}, {"grad_scale": 0.3, "clip_value": 0.2}], ids=["plain", "staged"])
def test_same_bits_as_twin(dtype: str, stages: dict[str, Any], each_isa: Callable[[], Iterator[str]]) -> None:
    for _ in each_isa():
        rng = np.random.default_rng(0)
        params = [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in SHAPES]
        twins = [p.copy() for p in params]
        states = [[np.zeros(p.shape[:1], dtype)] for p in params]
        opt = schuss.RowAdaGrad(params, **CASE.options)
        for t in range(1, 6):
            grads = [np.asarray(rng.normal(size=shape)).astype(dtype) for shape in SHAPES]
            opt.step(grads, **stages)
            optim.step(twins, grads, states, [CASE.group], t, **stages)
        for p, twin, mine, (total,) in zip(params, twins, opt._states(), states, strict=True):
            assert_array_equal(p, twin)
            assert_array_equal(mine["sum"], total)
            assert mine["sum"].shape == p.shape[:1]


@dtypes
@pytest.mark.parametrize("cols", [1, 3, 16, 17, 64, 300, 2000])
def test_rows_step_as_in_dense_gradients(dtype: str, cols: int) -> None:
    rng = np.random.default_rng(cols)
    start = rng.normal(size=(30, cols)).astype(dtype)
    arrays = start.copy(), start.copy()
    opts = [schuss.RowAdaGrad(p, lr=0.1) for p in arrays]
    for _ in range(5):
        rows = np.unique(rng.integers(0, 29, 7))
        values = rng.normal(size=(len(rows), cols)).astype(dtype)
        whole = np.zeros_like(start)
        whole[rows] = values
        opts[0].step([whole])
        opts[1].step([schuss.Rows(rows, values)])
    assert_array_equal(*arrays)
    assert_array_equal(opts[0]._states()[0]["sum"], opts[1]._states()[0]["sum"])


@dtypes
def test_threads(dtype: str, set_threads: Callable[[int], None]) -> None:
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        rng = np.random.default_rng(1)
        params = [rng.normal(size=shape).astype(dtype) for shape in ((1001, 77), (3, 40_001), (50_000, 1))]
        opt = schuss.RowAdaGrad(params, lr=0.1, weight_decay=0.1)
        for _ in range(3):
            opt.step([rng.normal(size=p.shape).astype(dtype) for p in params], clip_norm=3.0)
        found.append([*params, *(states["sum"] for states in opt._states())])
    for one in found[1:]:
        for a, b in zip(one, found[0], strict=True):
            assert_array_equal(a, b)


def test_averages_and_zeroed_gradients() -> None:
    rng = np.random.default_rng(2)
    p, twin = np.ones((5, 600)), np.ones((5, 600))
    opt = schuss.EMA(schuss.RowAdaGrad(p, lr=0.1), decay=0.5)
    by_hand, average = schuss.RowAdaGrad(twin, lr=0.1), twin.copy()
    for t in range(4):
        g = rng.normal(size=p.shape)
        by_hand.step([g])
        average += (1.0 if t == 0 else 0.5) * (twin - average)
        opt.step([g], zero_grad=True)
        assert_array_equal(g, 0)
    assert_array_equal(p, twin)
    np.testing.assert_allclose(opt.averages[0], average, rtol=1e-14)


def test_nonfinite_gradients_are_seen() -> None:
    p = np.ones((4, 3))
    opt = schuss.RowAdaGrad(p)
    g = np.ones((4, 3))
    g[2, 1] = np.nan
    opt.step([g])
    assert opt.nonfinite
    assert np.isnan(p[2]).all() and np.isfinite(p[[0, 1, 3]]).all()
    with pytest.raises(schuss.DivergenceError):
        opt.step([g], on_nonfinite="raise")


@pytest.mark.parametrize("threads", [1, 2])
def test_in_networks(threads: int, set_threads: Callable[[int], None]) -> None:
    set_threads(threads)
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 3, 40)
    nets = [schuss.Network([schuss.Dense(6, 50, "relu"), schuss.Dense(50, 3)], seed=0) for _ in range(2)]
    opts = [schuss.RowAdaGrad(net.parameters, lr=0.1) for net in nets]
    nets[0].fit(X, y, loss="cross_entropy", optimizer=opts[0], epochs=3, batch_size=40, shuffle=False)
    for _ in range(3):
        nets[1].loss_and_gradients(X, y, "cross_entropy")
        opts[1].step(nets[1].gradients)
    for a, b in zip(nets[0].parameters, nets[1].parameters, strict=True):
        assert_array_equal(a, b)
    assert nets[0].history["loss"][-1] < nets[0].history["loss"][0]
