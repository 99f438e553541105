"""Rules that take sums over whole arrays before they update: the bits of their NumPy twins, however the work is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import _core
from tests.reference import norms, optim, sums
from tests.reference.rule_cases import MEASURED_CASES, MEASURED_STAGE_CASES, Case

Array = NDArray[Any]
Place = Callable[[str, Array], Array]
SetThreads = Callable[[int], None]

STEPS = 12
BLOCK = sums.BLOCK
SIZES = (0, 1, 15, 16, 17, 35, 48, BLOCK - 1, 0, BLOCK, BLOCK + 1, 2 * BLOCK + 3, 40_001, 7, 100_003)
"""Arrays of all kinds: of no, one and several blocks, some that threads share, some that one thread has alone."""
PLACES = ("aligned", "unaligned", "page end", "page start")
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def state_shapes(case: Case, p: Array) -> list[tuple[int, ...]]:
    single = norms.ONE_NUMBER.get(case.group["rule"], ())
    return [() if k in single else p.shape for k in range(optim.slots(case.group))]


@lru_cache(maxsize=4)
def problem(dtype: str, sizes: tuple[int, ...], steps: int) -> tuple[list[Array], list[list[Array]]]:
    """Parameters, some of them zeros, and gradients."""
    rng = np.random.default_rng(sum(sizes))
    params = [(rng.normal(size=n) * (k % 4 > 0)).astype(dtype) for k, n in enumerate(sizes)]
    scales = rng.choice([0.5, 1.0, 2.0], size=(steps, len(sizes)))
    return params, [[(rng.normal(size=n) * k).astype(dtype) for n, k in zip(sizes, row, strict=True)] for row in scales]


def run_twin(case: Case, dtype: str, sizes: tuple[int, ...], steps: int, lengths: tuple[float, ...]) -> list[Array]:
    """All parameters and states after the last step."""
    start, grads = problem(dtype, sizes, steps)
    params = [p.copy() for p in start]
    states = [[np.zeros(shape, dtype) for shape in state_shapes(case, p)] for p in params]
    memory: dict[str, float] = {}
    for t, gs in enumerate(grads, 1):
        norm = lengths[t - 1] if lengths else None
        optim.step(params, gs, states, [case.group], t, norm=norm, memory=memory, **case.stages)
    return [*params, *(s for of in states for s in of)]


cached_twin = lru_cache(maxsize=8)(run_twin)


def run_core(
    case: Case, dtype: str, sizes: tuple[int, ...], steps: int, arrays: Sequence[tuple[Array, Array]]
) -> tuple[list[Array], tuple[float, ...]]:
    """The same from the core, in (parameter, gradient) arrays, and the global norms."""
    start, grads = problem(dtype, sizes, steps)
    params = [p for p, _ in arrays]
    for p, values in zip(params, start, strict=True):
        p[...] = values
    stepper = _core.Stepper(params, [0] * len(params), [case.group])
    lengths = []
    for gs in grads:
        for (_, g), values in zip(arrays, gs, strict=True):
            g[...] = values
        stepper.step([g for _, g in arrays], [case.group], **case.stages)
        lengths.append(stepper.grad_norm)
        assert not stepper.nonfinite
        for (_, g), values in zip(arrays, gs, strict=True):
            assert_array_equal(g, values, err_msg="a step must only read the gradients")
    found = [*(p.copy() for p in params), *(s.copy() for of in stepper.states for s in of)]
    return found, tuple(lengths) if "clip_norm" in case.stages else ()


def assert_same(got: Sequence[Array], wanted: Sequence[Array], count: int) -> None:
    """Count: of the parameters among them."""
    assert len(got) == len(wanted)
    for k, (a, b) in enumerate(zip(got, wanted, strict=True)):
        bits = a.dtype.str.replace("f", "u")
        assert a.dtype == b.dtype
        assert_array_equal(a.view(bits), b.view(bits), err_msg=f"parameter {k}" if k < count else f"state {k - count}")


@dtypes
@pytest.mark.parametrize("case", MEASURED_CASES + MEASURED_STAGE_CASES, ids=str)
def test_same_bits_as_twin(
    case: Case, dtype: str, each_isa: Callable[[], Iterator[str]], set_threads: SetThreads, place: Place
) -> None:
    placed = [(place(PLACES[k % 4], np.empty(n, dtype)), np.empty(n, dtype)) for k, n in enumerate(SIZES)]
    for _ in each_isa():
        for threads in (1, 2, 3, 8):
            set_threads(threads)
            got, lengths = run_core(case, dtype, SIZES, STEPS, placed)
            assert_same(got, cached_twin(case, dtype, SIZES, STEPS, lengths), len(SIZES))


@dtypes
@pytest.mark.parametrize("case", [case for case in MEASURED_CASES if case.optimizer != "Prodigy"], ids=str)
def test_an_array_has_the_same_bits_alone(case: Case, dtype: str, set_threads: SetThreads) -> None:
    """Whatever other arrays there are, before it and after it."""
    set_threads(2)
    p0, grads = problem(dtype, SIZES, 3)
    together = [p.copy() for p in p0]
    optimizer = getattr(schuss, case.optimizer)(together, **case.options)
    for gs in grads:
        optimizer.step(gs)
    for k, p in enumerate(p.copy() for p in p0):
        alone = getattr(schuss, case.optimizer)(p, **case.options)
        for gs in grads:
            alone.step(gs[k])
        assert_array_equal(p, together[k])


def test_sums_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 17, BLOCK + 5, 100_003):
        x, y = rng.normal(size=n), rng.normal(size=n)
        np.testing.assert_allclose(sums.dot(x, y), np.dot(x, y), rtol=1e-12, atol=1e-12)


KINDS = {case.optimizer: case for case in reversed(MEASURED_CASES)}  # of each, its first
kinds = pytest.mark.parametrize("case", KINDS.values(), ids=list(KINDS))
LOTS = (3, 20_000, 0, 9, 60_001, 17)
IN_TURN = [k % 2 for k in range(len(LOTS))]
"""The groups of these arrays."""


def made(case: Case, params: list[Array], **options: Any) -> schuss.Optimizer:
    kind: type[schuss.Optimizer] = getattr(schuss, case.optimizer)
    return kind(params, **case.options | options)


def assert_as(optimizer: schuss.Optimizer, other: schuss.Optimizer) -> None:
    """Averages that one of them keeps aside."""
    mine, theirs = ({k: v for k, v in o.state_dict().items() if k != "averages"} for o in (optimizer, other))
    np.testing.assert_equal(mine, theirs)
    for mine, theirs in zip(optimizer.param_groups, other.param_groups, strict=True):
        for p, q in zip(mine["params"], theirs["params"], strict=True):
            assert_array_equal(p, q)


@dtypes
@kinds
def test_many_small_arrays(case: Case, dtype: str, set_threads: SetThreads) -> None:
    """One thread has most of them from beginning to end; of some, each has a part."""
    sizes = (*np.random.default_rng(1).integers(0, 400, 500).tolist(), 50_000)
    for threads in (1, 2, 3):
        set_threads(threads)
        arrays = [(np.empty(n, dtype), np.empty(n, dtype)) for n in sizes]
        assert_same(run_core(case, dtype, sizes, 3, arrays)[0], run_twin(case, dtype, sizes, 3, ()), len(sizes))


@kinds
def test_arrays_of_nothing(case: Case) -> None:
    for params in ([np.empty(0)], [np.empty((0, 3)), np.empty(0)]):
        optimizer = made(case, params)
        optimizer.step([np.empty_like(p) for p in params])
        assert optimizer.steps == 1


@dtypes
@kinds
def test_gradients_of_zero(case: Case, dtype: str, threads: int) -> None:
    """Parameters stay where they are, zeros too, and nothing becomes NaN."""
    start = problem(dtype, LOTS, 1)[0]
    for params in ([p.copy() for p in start], [np.zeros_like(p) for p in start]):
        optimizer = made(case, params, weight_decay=0.0)
        before = [p.copy() for p in params]
        for _ in range(3):
            optimizer.step([np.zeros_like(p) for p in params])
        for p, q in zip(params, before, strict=True):
            assert_array_equal(p, q)


@dtypes
@kinds
def test_groups(case: Case, dtype: str, set_threads: SetThreads) -> None:
    """Numbers of their own for groups whose arrays come in turn."""
    start, grads = problem(dtype, LOTS, 3)
    groups = [case.group | {"lr": 0.5, "weight_decay": 0.3}, case.group | {"maximize": True, "eps": 1e-3}]
    for threads in (1, 2, 5):
        set_threads(threads)
        params = [p.copy() for p in start]
        stepper = _core.Stepper(params, IN_TURN, groups)
        twins = [p.copy() for p in start]
        states = [[np.zeros(shape, dtype) for shape in state_shapes(case, p)] for p in params]
        memory: dict[str, float] = {}
        for t, gs in enumerate(grads, 1):
            stepper.step(gs, groups)
            optim.step(twins, gs, states, groups, t, group_of=IN_TURN, memory=memory)
        found = [*params, *(s for of in stepper.states for s in of)]
        assert_same(found, [*twins, *(s for of in states for s in of)], len(LOTS))


@dtypes
@kinds
def test_with_rules_that_need_no_sums(case: Case, dtype: str, set_threads: SetThreads) -> None:
    """The core takes a rule for each group."""
    start, grads = problem(dtype, LOTS, 3)
    groups = [case.group, optim.options("adam", lr=0.1)]
    for threads in (1, 2, 3):
        set_threads(threads)
        params, twins = [p.copy() for p in start], [p.copy() for p in start]
        shapes = [[p.shape] * 2 if k % 2 else state_shapes(case, p) for k, p in enumerate(params)]
        stepper = _core.Stepper(params, IN_TURN, groups)
        states = [[np.zeros(shape, dtype) for shape in of] for of in shapes]
        memory: dict[str, float] = {}
        for t, gs in enumerate(grads, 1):
            stepper.step(gs, groups)
            optim.step(twins, gs, states, groups, t, group_of=IN_TURN, memory=memory)
        assert_same(params, twins, len(LOTS))


@dtypes
@kinds
def test_zeroed_gradients_and_averages(case: Case, dtype: str, threads: int) -> None:
    start, grads = problem(dtype, LOTS, 4)
    plain, staged = made(case, [p.copy() for p in start]), made(case, [p.copy() for p in start])
    averaged = schuss.EMA(staged, 0.75, start=2)
    averages = [p.copy() for p in start]
    for t, gs in enumerate(grads, 1):
        spent = [g.copy() for g in gs]
        plain.step(gs)
        staged.step(spent, zero_grad=True)
        for g in spent:
            assert_array_equal(g, 0)
        for average, p in zip(averages, plain.param_groups[0]["params"], strict=True):
            average[...] = average if t < 2 else p if t == 2 else average + np.asarray(0.25, dtype) * (p - average)
    assert_as(staged, plain)
    for average, kept in zip(averages, averaged.averages, strict=True):
        assert_array_equal(average, kept)


@dtypes
@kinds
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nonfinite_gradients(case: Case, dtype: str, bad: float, threads: int) -> None:
    """Skipped and refused, nothing has happened; else the array is lost, and seen to be."""
    start, grads = problem(dtype, LOTS, 4)
    optimizer, other = made(case, [p.copy() for p in start]), made(case, [p.copy() for p in start])
    spoiled = [g.copy() for g in grads[2]]
    spoiled[4][50_000] = bad
    for gs in grads[:2]:
        optimizer.step(gs)
        other.step(gs)
    for options in ({"on_nonfinite": "skip"}, {"on_nonfinite": "raise"}, {"clip_norm": 1.0}):
        if options == {"on_nonfinite": "skip"}:
            optimizer.step(spoiled, **options)
        else:
            with pytest.raises(schuss.DivergenceError):
                optimizer.step(spoiled, **options)
        assert optimizer.nonfinite
        assert_as(optimizer, other)
    for gs in grads[2:]:  # the same step again, from where it was
        optimizer.step(gs)
        other.step(gs)
        assert not optimizer.nonfinite
    assert_as(optimizer, other)
    optimizer.step(spoiled)
    assert optimizer.nonfinite
    assert not np.isfinite(optimizer.param_groups[0]["params"][4][50_000])
    lost = np.isnan(optimizer.param_groups[0]["params"][4])
    if case.optimizer == "Prodigy":  # d is what is lost
        assert np.count_nonzero(lost) == 1
        assert not np.isfinite(optimizer.state_dict()["param_groups"][0]["d_numerator"])
    elif np.isnan(bad):
        assert lost.all()


@kinds
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_fit_that_diverges_goes_back(case: Case, threads: int, set_threads: SetThreads) -> None:
    """To parameters, states and memory of a point from which it goes on as if nothing had happened."""
    set_threads(threads)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 8)).astype(np.float32)
    y = X[:, :1].copy()

    def network() -> tuple[schuss.Network, schuss.Optimizer]:
        net = schuss.Network([schuss.Dense(8, 40, "tanh"), schuss.Dense(40, 1)], seed=3)
        return net, getattr(schuss, case.optimizer)(net.parameters, **case.options | {"maximize": False})

    def fit(net: schuss.Network, optimizer: schuss.Optimizer, epochs: int, target: Array) -> None:
        net.fit(X, target, loss="mse", optimizer=optimizer, epochs=epochs, batch_size=20, verbose=0)

    whole, whole_optimizer = network()
    fit(whole, whole_optimizer, 3, y)
    net, optimizer = network()
    fit(net, optimizer, 2, y)
    kept = optimizer.state_dict()
    bad = y.copy()
    bad[35] = 1e30  # its gradient overflows
    with pytest.raises(schuss.DivergenceError):
        fit(net, optimizer, 1, bad)
    np.testing.assert_equal(optimizer.state_dict(), kept)
    fit(net, optimizer, 1, y)
    np.testing.assert_equal(optimizer.state_dict(), whole_optimizer.state_dict())
    for p, q in zip(net.parameters, whole.parameters, strict=True):
        assert_array_equal(p, q)


def test_prodigy_has_one_distance() -> None:
    """For all groups, whatever their other numbers."""
    params = [np.ones(30), np.ones((2, 3)), np.ones(4)]
    groups = [{"params": params[:1], "weight_decay": 0.1}, {"params": params[1:], "lr": 0.5}]
    optimizer = schuss.Prodigy(groups, d0=0.01)
    assert optimizer.d == 0.01
    for _ in range(30):
        optimizer.step([p + 5 for p in params])
    assert {entry["d"] for entry in optimizer.state_dict()["param_groups"]} == {optimizer.d}
    assert 0.1 < optimizer.d < 6
    for key, value in (("d0", 1.0), ("d_coef", 2.0), ("growth_rate", 2.0), ("beta3", 0.5)):
        with pytest.raises(ValueError, match=rf"params\[1\]\['{key}'\]"):
            schuss.Prodigy([{"params": [np.ones(3)]}, {"params": [np.ones(3)], key: value}])


def test_prodigy_decouple_may_be_changed() -> None:
    p, q = np.ones(5), np.ones(5)
    optimizer, other = (schuss.Prodigy(x, d0=0.1, weight_decay=0.5, decouple=x is q) for x in (p, q))
    other.param_groups[0]["decouple"] = False
    for one in (optimizer, other):
        one.step(np.arange(5.0))
    assert_array_equal(p, q)


@kinds
def test_gradients_of_some_rows_are_refused(case: Case) -> None:
    p = np.ones((4, 3))
    with pytest.raises(TypeError, match="whole arrays"):
        made(case, [p]).step([schuss.Rows([1], np.ones((1, 3)))])
    assert_array_equal(p, 1)
