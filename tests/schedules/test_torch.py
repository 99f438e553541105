"""Every schedule beside torch's scheduler, and beside optax where torch has none. Skipped without them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schuss import schedules as s

STEPS = 400


def of_torch(make: Callable[[Any, Any], Any], lr: float, steps: int = STEPS) -> np.ndarray:
    """The learning rates that a scheduler of torch.optim.lr_scheduler gives an optimizer."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(torch.optim.lr_scheduler, optimizer)
    rates = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the epoch argument, which SequentialLR itself uses
        for k in range(steps):
            if k:
                optimizer.step()
                scheduler.step()
            rates.append(optimizer.param_groups[0]["lr"])
    return np.array(rates)


def assert_close(schedule: s.Schedule, expected: np.ndarray, highest: float | None = None) -> None:
    """To 1e-12 of each rate; near 0 to 1e-15 of the highest, where torch's own sums cancel."""
    atol = 1e-15 * (expected.max() if highest is None else highest)
    np.testing.assert_allclose(schedule.values(len(expected)), expected, rtol=1e-12, atol=atol)


def factor(step: int) -> float:
    return 1.0 / (1.0 + 0.01 * step)


CASES: dict[str, tuple[s.Schedule, Callable[[Any, Any], Any], float]] = {
    "lambda": (s.Lambda(factor, 0.3), lambda t, o: t.LambdaLR(o, factor), 0.3),
    "multiplicative": (s.Multiplicative(0.3, lambda k: 0.99), lambda t, o: t.MultiplicativeLR(o, lambda k: 0.99), 0.3),
    "multiplicative, varying": (
        s.Multiplicative(0.3, lambda k: 1 - 1 / (k + 1) ** 2),
        lambda t, o: t.MultiplicativeLR(o, lambda k: 1 - 1 / (k + 1) ** 2),
        0.3,
    ),
    "step": (s.Step(0.3, 30), lambda t, o: t.StepLR(o, 30), 0.3),
    "step, 1": (s.Step(0.3, 1, 0.97), lambda t, o: t.StepLR(o, 1, 0.97), 0.3),
    "step, rising": (s.Step(0.3, 7, 1.5), lambda t, o: t.StepLR(o, 7, 1.5), 0.3),
    "multistep": (s.MultiStep(0.3, [10, 100, 250]), lambda t, o: t.MultiStepLR(o, [10, 100, 250]), 0.3),
    "multistep, twice": (s.MultiStep(0.3, [0, 7, 7, 9], 0.3), lambda t, o: t.MultiStepLR(o, [0, 7, 7, 9], 0.3), 0.3),
    "multistep, none": (s.MultiStep(0.3, []), lambda t, o: t.MultiStepLR(o, []), 0.3),
    "constant": (s.PiecewiseConstant([5], [0.1, 0.3]), lambda t, o: t.ConstantLR(o), 0.3),
    "constant, given": (
        s.PiecewiseConstant([33], [0.7 * 0.3, 0.3]),
        lambda t, o: t.ConstantLR(o, factor=0.7, total_iters=33),
        0.3,
    ),
    "linear": (s.Linear(0.1, 5, 0.3), lambda t, o: t.LinearLR(o), 0.3),
    "linear, given": (
        s.Linear(0.3 * 0.9, 300, 0.3 * 0.1),
        lambda t, o: t.LinearLR(o, start_factor=0.9, end_factor=0.1, total_iters=300),
        0.3,
    ),
    "exponential": (s.Exponential(0.3, 0.9), lambda t, o: t.ExponentialLR(o, 0.9), 0.3),
    "exponential, rising": (s.Exponential(1e-7, 1.04), lambda t, o: t.ExponentialLR(o, 1.04), 1e-7),
    "polynomial": (s.Polynomial(0.3, 5), lambda t, o: t.PolynomialLR(o), 0.3),
    "polynomial, 2": (s.Polynomial(0.3, 300, 2.0), lambda t, o: t.PolynomialLR(o, 300, 2.0), 0.3),
    "polynomial, 0.9": (s.Polynomial(0.3, 300, 0.9), lambda t, o: t.PolynomialLR(o, 300, 0.9), 0.3),
    "cosine": (s.Cosine(0.3, 150, periodic=True), lambda t, o: t.CosineAnnealingLR(o, 150), 0.3),
    "cosine, 1": (s.Cosine(0.3, 1, 0.1, periodic=True), lambda t, o: t.CosineAnnealingLR(o, 1, 0.1), 0.3),
    "cosine, 7": (s.Cosine(0.3, 7, 0.1, periodic=True), lambda t, o: t.CosineAnnealingLR(o, 7, 0.1), 0.3),
    "cosine, upwards": (s.Cosine(0.3, 90, 1.3, periodic=True), lambda t, o: t.CosineAnnealingLR(o, 90, 1.3), 0.3),
    "restarts": (s.CosineRestarts(0.3, 50), lambda t, o: t.CosineAnnealingWarmRestarts(o, 50), 0.3),
    "restarts, 1": (s.CosineRestarts(0.3, 1), lambda t, o: t.CosineAnnealingWarmRestarts(o, 1), 0.3),
    "restarts, longer": (
        s.CosineRestarts(0.3, 10, 2, 0.01),
        lambda t, o: t.CosineAnnealingWarmRestarts(o, 10, 2, 0.01),
        0.3,
    ),
    "restarts, much longer": (
        s.CosineRestarts(0.3, 3, 5),
        lambda t, o: t.CosineAnnealingWarmRestarts(o, 3, 5),
        0.3,
    ),
    "SWALR": (s.Linear(0.3, 10, 0.05), lambda t, o: swa(o, "linear"), 0.3),
    "SWALR, cosine": (s.Cosine(0.3, 10, 0.05), lambda t, o: swa(o, "cos"), 0.3),
}


def swa(optimizer: Any, strategy: str) -> Any:
    from torch.optim.swa_utils import SWALR

    return SWALR(optimizer, swa_lr=0.05, anneal_epochs=10, anneal_strategy=strategy)


@pytest.mark.parametrize("name", CASES)
def test_like_torch(name: str) -> None:
    schedule, make, lr = CASES[name]
    assert_close(schedule, of_torch(make, lr))


@pytest.mark.parametrize("three_phase", [False, True])
@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("total", [1, 2, 3, 10, 77, STEPS - 1])
@pytest.mark.parametrize("pct", [0.0, 0.05, 0.25, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("factors", [(25.0, 1e4), (10.0, 1.0), (0.5, 3.0)])
def test_one_cycle(three_phase: bool, strategy: str, total: int, pct: float, factors: tuple[float, float]) -> None:
    if three_phase and pct > 0.5:
        with pytest.raises(ValueError, match=r"pct_start with three_phase must be a number in \[0, 0\.5\]"):
            s.OneCycle(1.0, total, pct, three_phase=True)
        return
    schedule = s.OneCycle(0.7, total, pct, strategy, *factors, three_phase=three_phase)
    if pct * total == 1.0:  # torch divides by the length of the phase, which is 0
        assert np.isfinite(schedule.values(2 * total)).all()
        return
    expected = of_torch(
        lambda t, o: t.OneCycleLR(
            o,
            max_lr=0.7,
            total_steps=total,
            pct_start=pct,
            anneal_strategy=strategy,
            div_factor=factors[0],
            final_div_factor=factors[1],
            three_phase=three_phase,
            cycle_momentum=False,
        ),
        lr=0.1,
        steps=total,
    )
    assert_close(schedule, expected, highest=0.7)
    np.testing.assert_array_equal(schedule.values(5, first=total), [schedule(total - 1)] * 5)


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
@pytest.mark.parametrize("gamma", [1.0, 0.99])
@pytest.mark.parametrize("sizes", [(2000, None), (1, None), (7, None), (10, 3), (1, 50), (64, 64)])
@pytest.mark.parametrize("base", [0.0, 0.01])
def test_cyclic(mode: str, gamma: float, sizes: tuple[int, int | None], base: float) -> None:
    arguments: tuple[Any, ...] = (base, 0.3, *sizes, mode, gamma)
    expected = of_torch(lambda t, o: t.CyclicLR(o, *arguments, cycle_momentum=False), 0.3)
    # torch counts within the cycle by dividing and subtracting, which leaves 1e-16 for each cycle passed.
    np.testing.assert_allclose(s.Cyclic(*arguments).values(STEPS), expected, rtol=1e-12, atol=1e-13 * 0.3)


def test_cyclic_defaults() -> None:
    expected = of_torch(lambda t, o: t.CyclicLR(o, 0.1, 0.3, cycle_momentum=False), 0.3, 9000)
    np.testing.assert_allclose(s.Cyclic(0.1, 0.3).values(9000), expected, rtol=1e-12)


def test_one_cycle_defaults() -> None:
    assert_close(s.OneCycle(0.3, STEPS), of_torch(lambda t, o: t.OneCycleLR(o, 0.3, STEPS), 0.1))


SEQUENCES: dict[str, tuple[s.Schedule, Callable[[Any, Any], Any]]] = {
    "warm-up and exponential": (
        s.WarmUp(20, s.Exponential(0.3, 0.99), start=1 / 3),
        lambda t, o: t.SequentialLR(
            o, [t.LinearLR(o, start_factor=1 / 3, total_iters=20), t.ExponentialLR(o, 0.99)], [20]
        ),
    ),
    "warm-up and cosine": (
        s.WarmUp(50, s.Cosine(0.3, 350, 0.01, periodic=True), start=0.01),
        lambda t, o: t.SequentialLR(
            o,
            [t.LinearLR(o, start_factor=0.01, total_iters=50), t.CosineAnnealingLR(o, 350, 0.01)],
            [50],
        ),
    ),
    "three": (
        s.Sequence([s.PiecewiseConstant([1000], [0.03, 0.3]), s.Exponential(0.3, 0.9), s.Step(0.3, 3)], [7, 31]),
        lambda t, o: t.SequentialLR(o, [t.ConstantLR(o, 0.1, 1000), t.ExponentialLR(o, 0.9), t.StepLR(o, 3)], [7, 31]),
    ),
    "warm-up, stable, decay": (
        s.WarmUp(30, s.Sequence([0.3, s.Linear(0.3, 100)], [200]), start=0.1),
        lambda t, o: t.SequentialLR(
            o,
            [
                t.LinearLR(o, start_factor=0.1, total_iters=30),
                t.ConstantLR(o, 1.0, 1),
                t.LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=100),
            ],
            [30, 230],
        ),
    ),
    "chained": (
        s.PiecewiseConstant([40], [0.1, 1.0]) * s.Exponential(0.3, 0.99),
        lambda t, o: t.ChainedScheduler([t.ConstantLR(o, 0.1, 40), t.ExponentialLR(o, 0.99)], o),
    ),
    "chain of three": (
        s.Product(s.Linear(1 / 3, 5, 1.0), s.Step(1.0, 50, 0.5), s.MultiStep(0.3, [3, 90], 0.7)),
        lambda t, o: t.ChainedScheduler([t.LinearLR(o), t.StepLR(o, 50, 0.5), t.MultiStepLR(o, [3, 90], 0.7)], o),
    ),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences_and_products(name: str) -> None:
    schedule, make = SEQUENCES[name]
    assert_close(schedule, of_torch(make, 0.3))


@given(
    metrics=st.lists(
        st.one_of(st.floats(-5, 5), st.sampled_from([1.0, 1.0001, 0.9999, np.nan, np.inf, -np.inf])), max_size=80
    ),
    factor=st.sampled_from([0.1, 0.5, 0.9, 0.9999]),
    patience=st.integers(0, 5),
    threshold=st.sampled_from([0.0, 1e-4, 0.1]),
    threshold_mode=st.sampled_from(["rel", "abs"]),
    cooldown=st.integers(0, 4),
    min_lr=st.sampled_from([0.0, 0.01, 0.3]),
    eps=st.sampled_from([0.0, 1e-8, 0.02]),
    mode=st.sampled_from(["min", "max"]),
)
@settings(deadline=None, max_examples=300)
def test_plateau(metrics: list[float], mode: str, **options: Any) -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode=mode, **options)
    mine = s.ReduceOnPlateau(0.3, mode=mode, **options)
    for metric in metrics:
        before = mine(0)
        changed = mine.report(metric)
        theirs.step(metric)
        assert mine(7) == optimizer.param_groups[0]["lr"]
        assert changed == (mine(0) != before)
        assert mine.state.best == theirs.best
        assert (mine.state.bad, mine.state.cooldown) == (theirs.num_bad_epochs, theirs.cooldown_counter)
        assert mine.state.reports == theirs.last_epoch


def test_plateau_defaults() -> None:
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    mine = s.ReduceOnPlateau(0.3)
    rng = np.random.default_rng(0)
    for k in range(300):
        metric = float(rng.normal() + 1 / (1 + k))
        mine.report(metric)
        theirs.step(metric)
        assert mine(0) == optimizer.param_groups[0]["lr"]
    assert mine(0) < 0.3


def optax_cases(optax: Any) -> dict[str, tuple[s.Schedule, Callable[[int], Any]]]:
    return {
        "exponential": (
            s.Exponential(0.3, 0.5, 70, 0.02),
            optax.exponential_decay(0.3, transition_steps=70, decay_rate=0.5, end_value=0.02),
        ),
        "staircase": (
            s.Exponential(0.3, 0.5, 70, staircase=True),
            optax.exponential_decay(0.3, transition_steps=70, decay_rate=0.5, staircase=True),
        ),
        "rising": (
            s.Exponential(0.01, 1.5, 70, 0.05),
            optax.exponential_decay(0.01, transition_steps=70, decay_rate=1.5, end_value=0.05),
        ),
        "polynomial": (
            s.Polynomial(0.3, 250, 1.7, 0.01),
            optax.polynomial_schedule(0.3, 0.01, power=1.7, transition_steps=250),
        ),
        "cosine": (s.Cosine(0.3, 250, 0.03), optax.cosine_decay_schedule(0.3, 250, alpha=0.1)),
        "warm-up and cosine": (
            s.Cosine(0.3, 250, 0.01, warmup_steps=40),
            optax.warmup_cosine_decay_schedule(0.0, 0.3, warmup_steps=40, decay_steps=250, end_value=0.01),
        ),
        "points": (
            s.PiecewiseLinear([0, 50, 120], [0.1, 0.3, 0.03]),
            optax.piecewise_interpolate_schedule("linear", 0.1, {50: 3.0, 120: 0.1}),
        ),
        "pieces": (
            s.PiecewiseConstant([50, 120], [0.1, 0.05, 0.01]),
            optax.piecewise_constant_schedule(0.1, {50: 0.5, 120: 0.2}),
        ),
        "sequence": (
            s.Sequence([s.Linear(0.1, 50, 0.3), 0.3, s.Cosine(0.3, 100)], [50, 90]),
            optax.join_schedules(
                [
                    optax.linear_schedule(0.1, 0.3, 50),
                    optax.constant_schedule(0.3),
                    optax.cosine_decay_schedule(0.3, 100),
                ],
                [50, 90],
            ),
        ),
    }


OPTAX = [
    "exponential",
    "staircase",
    "rising",
    "polynomial",
    "cosine",
    "warm-up and cosine",
    "points",
    "pieces",
    "sequence",
]


@pytest.mark.parametrize("name", OPTAX)
def test_like_optax(name: str) -> None:
    """In float32, theirs."""
    optax = pytest.importorskip("optax")
    cases = optax_cases(optax)
    assert list(cases) == OPTAX
    schedule, theirs = cases[name]
    expected = [float(theirs(k)) for k in range(0, STEPS, 2)]
    np.testing.assert_allclose(schedule.values(STEPS)[::2], expected, rtol=3e-5, atol=1e-8)
