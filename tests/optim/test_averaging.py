"""EMA, SWA, Lookahead, SAM and accumulation around any optimizer: bits of the formulas, torch, and use in `fit`."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import schuss

SHAPES = ((3, 50), (50,), (17,), ())
MAKERS: list[Callable[[Any], schuss.Optimizer]] = [
    lambda p: schuss.SGD(p, lr=0.1),
    lambda p: schuss.SGD(p, lr=0.1, momentum=0.9),
    lambda p: schuss.AdamW(p, lr=0.01),
]
makers = pytest.mark.parametrize("make", MAKERS)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def arrays(seed: int, dtype: Any = "float32", shapes: Any = SHAPES) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def same(a: Any, b: Any) -> None:
    for x, y in zip(a, b, strict=True):
        assert_array_equal(x, y)


@dtypes
@makers
def test_ema(make: Any, dtype: str) -> None:
    params, twin = arrays(0, dtype), arrays(0, dtype)
    ema, plain = schuss.EMA(make(params), 0.9, start=3, every=2), make(twin)
    weight = np.dtype(dtype).type(1 - 0.9)
    expected = [p.copy() for p in params]
    for t in range(1, 12):
        ema.step(arrays(t, dtype))
        plain.step(arrays(t, dtype))
        if t == 3:
            expected = [p.copy() for p in twin]
        elif t > 3 and (t - 3) % 2 == 0:
            expected = [a + weight * (p - a) for a, p in zip(expected, twin, strict=True)]
        same(params, twin)
        same(ema.averages, expected)


@dtypes
@makers
def test_swa(make: Any, dtype: str) -> None:
    params = arrays(0, dtype)
    swa = schuss.SWA(make(params), start=2, every=3)
    seen = []
    for t in range(1, 15):
        swa.step(arrays(t, dtype))
        if t >= 2 and (t - 2) % 3 == 0:
            seen.append([p.copy() for p in params])
    for k, average in enumerate(swa.averages):
        mean = np.mean([arrays_then[k] for arrays_then in seen], axis=0)
        np.testing.assert_allclose(average, mean, rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-6)


@dtypes
@makers
def test_lookahead(make: Any, dtype: str) -> None:
    params, twin = arrays(0, dtype), arrays(0, dtype)
    ahead, plain = schuss.Lookahead(make(params), k=3, alpha=0.4), make(twin)
    slow = [p.copy() for p in twin]
    for t in range(1, 11):
        ahead.step(arrays(t, dtype))
        plain.step(arrays(t, dtype))
        if t % 3 == 0:
            slow = [a + np.dtype(dtype).type(0.4) * (p - a) for a, p in zip(slow, twin, strict=True)]
            for p, a in zip(twin, slow, strict=True):
                p[...] = a
        same(params, twin)
        same(ahead.averages, slow)


def test_two_averages_at_most() -> None:
    params = arrays(0)
    ema = schuss.EMA(schuss.Lookahead(schuss.Adam(params), k=2), 0.5)
    assert isinstance(ema.optimizer, schuss.Adam)
    with pytest.raises(ValueError, match="average number 2 of 2, expected at most 2"):
        schuss.SWA(ema)
    for t in range(4):
        ema.step(arrays(t))
    same(ema.averages, ema.optimizer._stepper.averages[1])


@pytest.mark.parametrize("kind", ["EMA", "SWA"])
def test_as_torch(kind: str) -> None:
    torch = pytest.importorskip("torch")
    start = arrays(0, "float64")
    theirs = torch.nn.ParameterList([torch.nn.Parameter(torch.from_numpy(p.copy())) for p in start])
    options = {"multi_avg_fn": torch.optim.swa_utils.get_ema_multi_avg_fn(0.95)} if kind == "EMA" else {}
    averaged = torch.optim.swa_utils.AveragedModel(theirs, **options)
    reference = torch.optim.Adam(theirs.parameters(), lr=0.01)
    wrapper = schuss.EMA if kind == "EMA" else schuss.SWA
    mine = wrapper(schuss.Adam(start, lr=0.01), **({"decay": 0.95} if kind == "EMA" else {}))
    for t in range(200):
        grads = arrays(t + 1, "float64")
        mine.step(grads)
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.from_numpy(g)
        reference.step()
        averaged.update_parameters(theirs)
    for a, b in zip(mine.averages, averaged.module.parameters(), strict=True):
        np.testing.assert_allclose(a, b.detach().numpy(), rtol=1e-11, atol=1e-13)


def test_applied_and_copied() -> None:
    params = arrays(0)
    ema = schuss.EMA(schuss.SGD(params, lr=0.1), 0.5)
    for t in range(3):
        ema.step(arrays(t + 1))
    before = [p.copy() for p in params]
    with ema.applied():
        same(params, ema.averages)
    same(params, before)
    with pytest.raises(KeyError), ema.applied():
        raise KeyError
    same(params, before)
    ema.copy_to_params()
    same(params, ema.averages)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o)), "state"])
def test_goes_on(how: Any) -> None:
    params = arrays(0)
    mine = schuss.EMA(schuss.Lookahead(schuss.Adam(params, lr=0.1), k=2), 0.7)
    for t in range(5):
        mine.step(arrays(t + 1))
    if how == "state":
        there = [p.copy() for p in params]
        other = schuss.EMA(schuss.Lookahead(schuss.Adam(there, lr=0.1), k=3), 0.1, start=4)
        other.load_state_dict(mine.state_dict())
    else:
        other = how(mine)
        there = other.optimizer._stepper.params
    for t in range(5, 9):
        mine.step(arrays(t + 1))
        other.step(arrays(t + 1))
    same(params, there)
    same(mine.averages, other.averages)


@makers
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("units", [(20, 5, 4), (64, 100, 10)])
def test_in_fit(make: Any, threads: int, units: tuple[int, ...], set_threads: Callable[[int], None]) -> None:
    """The average is the one of the same steps by hand, wherever the updates are made."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(90, units[0])).astype(np.float32)
    y = rng.integers(0, units[-1], len(X))

    def network() -> schuss.Network:
        layers = [schuss.Dense(units[0], units[1], "relu"), schuss.Dense(units[1], units[2])]
        return schuss.Network(layers, seed=1)

    set_threads(threads)
    net = network()
    ema = schuss.EMA(make(net.parameters), 0.9)
    net.fit(X, y, loss="cross_entropy", optimizer=ema, epochs=3, batch_size=32, shuffle=False)
    by_hand = network()
    other = schuss.EMA(make(by_hand.parameters), 0.9)
    for _ in range(3):
        for k in range(0, len(X), 32):
            by_hand.train_step(X[k : k + 32], y[k : k + 32], loss="cross_entropy", optimizer=other)
    same(net.parameters, by_hand.parameters)
    same(ema.averages, other.averages)
    assert not np.array_equal(ema.averages[0], net.parameters[0])


@makers
def test_sam(make: Any) -> None:
    A = np.diag(np.linspace(1, 5, 7))
    p, twin = np.ones(7), np.ones(7)
    sam, plain = schuss.SAM(make([p]), rho=0.1), make([twin])
    for _ in range(20):
        loss = sam.step(lambda: (p @ A @ p / 2, A @ p))
        g = A @ twin
        assert loss == pytest.approx(twin @ A @ twin / 2, rel=1e-12)
        plain.step(A @ (twin + 0.1 / (np.linalg.norm(g) + 1e-12) * g))
        np.testing.assert_allclose(p, twin, rtol=1e-12)


def test_sam_comes_back() -> None:
    p = np.ones(3)
    sam = schuss.SAM(schuss.SGD(p, lr=0.1))
    calls = iter([np.ones(3)])
    with pytest.raises(StopIteration):
        sam.step(lambda: next(calls))
    assert_array_equal(p, 1)
    with pytest.raises(schuss.DivergenceError, match="NaN"):
        sam.first_step(np.array([1.0, np.nan, 0]))
    assert_array_equal(p, 1)
    with pytest.raises(RuntimeError, match="before first_step"):
        sam.second_step(np.ones(3))
    sam.first_step(np.ones(3))
    with pytest.raises(RuntimeError, match="twice"):
        sam.first_step(np.ones(3))
    sam.second_step(np.zeros(3))
    assert_array_equal(p, 1)


@makers
@pytest.mark.parametrize("mean", [True, False])
def test_accumulate(make: Any, mean: bool) -> None:
    params, twin = arrays(0, "float64"), arrays(0, "float64")
    mine, plain = schuss.Accumulate(make(params), 3, mean=mean), make(twin)
    for t in range(4):
        parts = [arrays(10 * t + k, "float64") for k in range(3)]
        assert [mine.step(part) for part in parts] == [False, False, True]
        plain.step([(a + b + c) / (3 if mean else 1) for a, b, c in zip(*parts, strict=True)])
        for p, q in zip(params, twin, strict=True):
            np.testing.assert_allclose(p, q, rtol=1e-12)
    mine.step(arrays(99, "float64"))
    state = mine.state_dict()
    there = [p.copy() for p in params]
    other = schuss.Accumulate(make(there), 3, mean=mean)
    other.load_state_dict(state)
    for t in range(2):
        assert mine.step(arrays(t, "float64")) == other.step(arrays(t, "float64"))
    same(params, there)


def test_bad_arguments() -> None:
    opt = schuss.Adam(np.ones(3))
    for make, text in (
        (lambda: schuss.EMA(opt, 1.5), "decay"),
        (lambda: schuss.EMA(opt, every=0), "every"),
        (lambda: schuss.EMA(opt, start=0), "start"),
        (lambda: schuss.SWA(opt, every=0), "every"),
        (lambda: schuss.Lookahead(opt, k=0), "k must"),
        (lambda: schuss.Lookahead(opt, alpha=2), "alpha"),
        (lambda: schuss.SAM(opt, rho=-1), "rho"),
        (lambda: schuss.Accumulate(opt, 0), "every"),
        (lambda: schuss.Accumulate(opt, 2).step(np.ones(3), grad_scale=0.5), "grad_scale"),
    ):
        with pytest.raises((ValueError, TypeError), match=text):
            make()
    for kind in (schuss.EMA, schuss.SWA, schuss.Lookahead, schuss.SAM, lambda o: schuss.Accumulate(o, 2)):
        with pytest.raises(TypeError, match="optimizer must be an Optimizer"):
            kind(np.ones(3))
    assert opt._averages == []


def test_a_state_that_does_not_fit_changes_nothing() -> None:
    p = np.ones(3)
    ema = schuss.EMA(schuss.Adam(p))
    ema.step(np.ones(3))
    state = ema.state_dict()
    for bad in (
        {},
        {**state, "averages": []},
        {**state, "averages": [{**state["averages"][0], "arrays": [np.ones(4)]}]},
        {**state, "optimizer": {}},
    ):
        with pytest.raises((ValueError, TypeError), match="state_dict"):
            ema.load_state_dict(bad)
    np.testing.assert_equal(ema.state_dict(), state)
