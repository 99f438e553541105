"""Every update rule has the bits of its NumPy twin, on every instruction set, however the work is cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from schuss import _core
from tests.reference import optim
from tests.reference.rule_cases import RULE_CASES, STAGE_CASES, Case

Array = NDArray[Any]
Place = Callable[[str, Array], Array]

STEPS = 50
LOOKS = (1, 2, STEPS)
W = 16
SIZES = (0, 1, W - 1, W, W + 1, 2 * W + 3, 3 * W)
LAYOUT = [(p, n) for p in ("aligned", "unaligned", "page end", "page start") for n in SIZES] + [("unaligned", 5003)]
BOUNDS = np.cumsum([n for _, n in LAYOUT])[:-1]
TOTAL = sum(n for _, n in LAYOUT)
MILLION = 1_000_003
MILLION_CASES = [
    Case("SGD", {"lr": 0.1, "momentum": 0.7, "dampening": 0.5, "weight_decay": 0.1, "maximize": True}),
    Case("AdaGrad", {"lr": 0.1, "lr_decay": 0.07}, {"clip_value": 1.0}),
    Case("RMSProp", {"lr": 0.1, "centered": True, "momentum": 0.6}),
    Case("Adam", {"lr": 0.1, "amsgrad": True}, {"grad_scale": 0.3}),
    Case("AdamW", {"lr": 0.1, "weight_decay": 0.3}, {"clip_norm": 700.0}),
    Case("Lion", {"lr": 0.1, "weight_decay": 0.3}),
    Case("Rprop", {"lr": 0.1}),
    Case("ASGD", {"lr": 0.1, "t0": 0.0}),
    Case("ScheduleFreeSGD", {"lr": 0.1, "weight_decay": 0.1}, {"clip_norm": 700.0}),
    Case("ScheduleFreeAdamW", {"lr": 0.1, "weight_decay": 0.1}),
]
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def gradient(rng: np.random.Generator, n: int, dtype: str) -> Array:
    """Normal, of changing scale, away from zero."""
    g = rng.normal(size=n)
    return np.asarray((g + np.copysign(1e-3, g)) * rng.choice([0.5, 1.0, 2.0])).astype(dtype)


@lru_cache(maxsize=4)
def problem(dtype: str, n: int, steps: int) -> tuple[Array, list[Array]]:
    rng = np.random.default_rng(n)
    return rng.normal(size=n).astype(dtype), [gradient(rng, n, dtype) for _ in range(steps)]


def run_twin(case: Case, dtype: str, n: int, steps: int, norms: tuple[float, ...]) -> dict[int, list[Array]]:
    """Parameters and states after the steps worth a look. Rules go by element, so one long array does."""
    p0, grads = problem(dtype, n, steps)
    p = p0.copy()
    states = [np.full_like(p, start) for start in case.starts]
    seen = {}
    for t, g in enumerate(grads, 1):
        norm = norms[t - 1] if norms else None
        optim.step([p], [g], [states], [case.group], t, norm=norm, **case.stages)
        if t in LOOKS or t == steps:
            seen[t] = [a.copy() for a in (p, *states)]
    return seen


cached_twin = lru_cache(maxsize=8)(run_twin)


def run_core(
    case: Case, dtype: str, n: int, steps: int, arrays: list[tuple[Array, Array]]
) -> tuple[dict[int, list[Array]], tuple[float, ...]]:
    """The same from the core, over (parameter, gradient) arrays that hold n elements together, and the norms."""
    p0, grads = problem(dtype, n, steps)
    bounds = np.cumsum([p.size for p, _ in arrays])[:-1]
    params = [p for p, _ in arrays]
    for p, part in zip(params, np.split(p0, bounds), strict=True):
        p[...] = part
    n_states = optim.slots(case.group)
    stepper = _core.Stepper(params, [0] * len(params), [case.group])
    for states in stepper.states:
        for s, start in zip(states, case.starts, strict=True):
            if s is not None:  # a slot that these settings leave out
                s[...] = start
    seen = {}
    norms = []
    for t, flat in enumerate(grads, 1):
        for (_, g), part in zip(arrays, np.split(flat, bounds), strict=True):
            g[...] = part
        stepper.step([g for _, g in arrays], [case.group], **case.stages)
        norms.append(stepper.grad_norm)
        assert not stepper.nonfinite
        if t in LOOKS or t == steps:
            states_flat = [
                np.zeros_like(p0) if stepper.states[0][k] is None else np.concatenate([s[k] for s in stepper.states])
                for k in range(n_states)
            ]
            seen[t] = [np.concatenate(params), *states_flat]
    assert stepper.steps == steps
    for (_, g), part in zip(arrays, np.split(grads[-1], bounds), strict=True):
        assert_array_equal(g, part, err_msg="a step must only read the gradients")
    return seen, tuple(norms) if "clip_norm" in case.stages else ()


def compare(got: dict[int, list[Array]], wanted: dict[int, list[Array]], bits: str) -> None:
    for t in wanted:
        for k, (a, b) in enumerate(zip(got[t], wanted[t], strict=True)):
            assert a.dtype == b.dtype
            name = f"state {k - 1}" if k else "parameters"
            assert_array_equal(a.view(bits), b.view(bits), err_msg=f"{name} after step {t}")


@dtypes
@pytest.mark.parametrize("case", RULE_CASES + STAGE_CASES, ids=str)
def test_same_bits_as_twin(case: Case, dtype: str, each_isa: Callable[[], Iterator[str]], place: Place) -> None:
    placed = [(place(p, np.empty(n, dtype)), place(p, np.empty(n, dtype))) for p, n in LAYOUT]
    for _ in each_isa():
        got, norms = run_core(case, dtype, TOTAL, STEPS, placed)
        compare(got, cached_twin(case, dtype, TOTAL, STEPS, norms), dtype.replace("float", "uint"))
        if norms:
            grads = problem(dtype, TOTAL, STEPS)[1]
            stages = {k: v for k, v in case.stages.items() if k != "clip_norm"}
            twin_norms = [optim.global_norm([g], **stages) for g in grads]
            np.testing.assert_allclose(norms, twin_norms, rtol=1e-12 if dtype == "float64" else 1e-6)


@dtypes
@pytest.mark.parametrize("case", MILLION_CASES, ids=str)
def test_same_bits_for_a_million(
    case: Case, dtype: str, each_isa: Callable[[], Iterator[str]], set_threads: Callable[[int], None], place: Place
) -> None:
    """Large enough that threads share the work, in one array and in several of odd sizes."""
    one = [MILLION]
    several = [400_001, 7, 0, 331_072, 33, 268_889, 1]
    assert sum(several) == MILLION
    seen_norms = set()
    for _ in each_isa():
        for threads, sizes in ((1, one), (2, one), (2, several), (3, several)):
            set_threads(threads)
            arrays = [(place("unaligned", np.empty(n, dtype)), np.empty(n, dtype)) for n in sizes]
            got, norms = run_core(case, dtype, MILLION, 3, arrays)
            if sizes == one:
                seen_norms.add(norms)
            compare(got, cached_twin(case, dtype, MILLION, 3, norms), dtype.replace("float", "uint"))
    assert len(seen_norms) == 1, "the norm must not depend on the instruction set or on threads"


@dtypes
@pytest.mark.parametrize("case", [MILLION_CASES[0], MILLION_CASES[3]], ids=str)
def test_each_size_alone(case: Case, dtype: str, isa: str, threads: int) -> None:
    for n in (*SIZES, 4096, 40_001):
        got, _ = run_core(case, dtype, n, 3, [(np.empty(n, dtype), np.empty(n, dtype))])
        compare(got, run_twin(case, dtype, n, 3, ()), dtype.replace("float", "uint"))


@dtypes
def test_groups_and_changing_learning_rates(dtype: str, isa: str, threads: int) -> None:
    """Arrays of any shape, in groups with other rules, with a learning rate that changes each step."""
    rng = np.random.default_rng(3)
    shapes = [(3, 5), (7,), (), (0, 4), (129, 257), (1, 1, 31)]
    group_of = [0, 1, 2, 0, 1, 2]
    cases = [Case("SGD", {"momentum": 0.9, "nesterov": True}), Case("Adam", {"amsgrad": True}), Case("RMSProp")]
    groups = [case.group for case in cases]
    params = [np.asarray(rng.normal(size=s)).astype(dtype) for s in shapes]
    twins = [p.copy() for p in params]
    states = [[np.zeros_like(p) for _ in range(optim.slots(groups[i]))] for p, i in zip(params, group_of, strict=True)]
    stepper = _core.Stepper(params, group_of, groups)
    for t in range(1, 21):
        grads = [np.asarray(rng.normal(size=s)).astype(dtype) for s in shapes]
        groups = [g | {"lr": 0.1 / (t + i)} for i, g in enumerate(groups)]
        stepper.step(grads, groups)
        optim.step(twins, grads, states, groups, t, group_of=group_of)
    for p, twin, got, wanted in zip(params, twins, stepper.states, states, strict=True):
        assert_array_equal(p, twin)
        for a, b in zip(got, wanted, strict=True):
            assert a.shape == p.shape
            assert_array_equal(a, b)


@dtypes
def test_gradients_of_any_layout(dtype: str) -> None:
    """Strided, read-only, big-endian and misaligned gradients give the same bits as plain ones."""
    rng = np.random.default_rng(4)
    g = rng.normal(size=(13, 17)).astype(dtype)
    wide = np.zeros((13, 34), dtype)
    wide[:, ::2] = g
    frozen = g.copy()
    frozen.setflags(write=False)
    odd = np.empty(g.nbytes + 1, np.uint8)[1:].view(g.dtype).reshape(g.shape)
    odd[...] = g
    results = []
    for layout in (g, wide[:, ::2], np.asfortranarray(g), frozen, g.astype(g.dtype.newbyteorder(">")), odd):
        p = np.ones((13, 17), dtype)
        groups = [optim.options("adam", lr=0.1)]
        _core.Stepper([p], [0], groups).step([layout], groups)
        results.append(p)
    for p in results[1:]:
        assert_array_equal(p, results[0])


@dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("position", [0, 15, 16, 33, 50_000])
def test_nonfinite_gradient_is_reported(dtype: str, bad: float, position: int, isa: str, threads: int) -> None:
    p = np.ones(50_001, dtype)
    g = np.ones(50_001, dtype)
    group = optim.options("sgd", lr=0.1)
    stepper = _core.Stepper([p], [0], [group])
    g[position] = bad
    stepper.step([g], [group])
    assert stepper.nonfinite
    g[position] = 1
    stepper.step([g], [group])
    assert not stepper.nonfinite


@dtypes
def test_moments_decay_to_zero_not_to_denormals(dtype: str, isa: str) -> None:
    p = np.full(37, 5.0, dtype)
    g = np.ones(37, dtype)
    group = optim.options("sgd", lr=0.0, momentum=0.5)
    stepper = _core.Stepper([p], [0], [group])
    smallest = np.finfo(dtype).tiny
    stepper.step([g], [group])
    g[...] = 0
    for _ in range(-int(np.log2(smallest))):
        stepper.step([g], [group])
    assert_array_equal(stepper.states[0][0], smallest)
    for _ in range(3):
        stepper.step([g], [group])
        assert_array_equal(stepper.states[0][0], 0)
    assert_array_equal(p, 5)


def test_denormals_are_left_alone_outside_a_step(isa: str, threads: int) -> None:
    p = np.ones(100_001, np.float32)
    stepper = _core.Stepper([p], [0], [optim.options("adam")])

    def denormals_work() -> bool:
        return float((np.full(33, 1e-40, np.float32) * np.float32(0.5))[-1]) > 0 and 5e-324 * 1.0 > 0

    assert denormals_work()
    stepper.step([p.copy()], [optim.options("adam")])
    assert denormals_work()
    with pytest.raises(ValueError, match="shape"):
        stepper.step([p[1:].copy()], [optim.options("adam")])
    assert denormals_work()
