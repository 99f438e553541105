"""Every optimizer reaches the optimum of published test functions from their usual starts."""

"""Every optimizer finds the minimum of published test functions from their usual starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import schuss

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Valley:
    """A function by its gradient, where to start and where its only minimum is."""

    gradient: Callable[[Array], Array]
    start: tuple[float, ...]
    optimum: tuple[float, ...]


def rosenbrock(x: Array) -> Array:
    bend = x[1] - x[0] ** 2
    return np.array([-400 * x[0] * bend - 2 * (1 - x[0]), 200 * bend])


def beale(x: Array) -> Array:
    a, b = x
    terms = [(value - a + a * b**k, k) for k, value in ((1, 1.5), (2, 2.25), (3, 2.625))]
    return np.array([sum(2 * f * (b**k - 1) for f, k in terms), sum(2 * f * a * k * b ** (k - 1) for f, k in terms)])


CURVATURES = np.array([1.0, 10.0, 100.0])
VALLEYS = {
    "rosenbrock": Valley(rosenbrock, (-1.2, 1.0), (1.0, 1.0)),
    "beale": Valley(beale, (1.0, 1.0), (3.0, 0.5)),
    "parabola": Valley(lambda x: 2 * (x - 3), (-5.0,), (3.0,)),
    "ill-conditioned": Valley(lambda x: CURVATURES * x, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
}


@dataclass(frozen=True)
class Way:
    """An optimizer with options, and (lr, steps) for each function in the order of VALLEYS."""

    optimizer: str
    rates: tuple[tuple[float, int], ...]
    options: dict[str, Any] = field(default_factory=dict)
    decays: bool = False
    """Whether lr falls to zero in a line: steps of one size go back and forth otherwise."""


WAYS = [
    Way("SGD", ((1e-3, 9000), (0.02, 2000), (0.1, 200), (0.01, 1500)), {"momentum": 0.9}),
    Way("ASGD", ((1e-3, 60_000), (0.02, 6000), (0.1, 200), (0.01, 1500)), {"lambd": 1e-8}),
    Way("ScheduleFreeSGD", ((3e-3, 10_000), (0.03, 3000), (1.0, 500), (0.1, 2000)), {"r": 8.0}),
    Way("ScheduleFreeAdamW", ((0.01, 10_000), (0.1, 3000), (0.5, 1000), (0.1, 2000)), {"r": 8.0}),
    Way("LARS", ((3.0, 3000), (1.0, 2000), (3.0, 10_000), (10.0, 1000)), decays=True),
    Way("NovoGrad", ((0.003, 1000), (0.003, 1000), (0.003, 1000), (0.003, 1000)), decays=True),
    Way("LAMB", ((0.01, 10_000), (0.01, 1000), (0.1, 10_000), (0.03, 1000)), decays=True),
    Way("Rprop", ((0.01, 6000), (0.01, 300), (0.01, 200), (0.01, 200)), {"step_sizes": (1e-9, 50)}),
    Way("Lion", ((1e-3, 10_000), (3e-3, 3000), (0.03, 1000), (0.01, 1000)), decays=True),
    Way("Signum", ((3e-3, 10_000), (3e-3, 3000), (0.03, 1000), (0.01, 1000)), decays=True),
]


@pytest.mark.parametrize("valley", list(VALLEYS))
@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join([way.optimizer, *map(str, way.options)]))
def test_reaches_the_optimum(way: Way, valley: str) -> None:
    of = VALLEYS[valley]
    rate, steps = way.rates[list(VALLEYS).index(valley)]
    x = np.array(of.start)
    lr: Any = (lambda step: rate * max(0.0, 1 - step / steps)) if way.decays else rate
    optimizer = getattr(schuss, way.optimizer)(x, lr=lr, **way.options)
    for _ in range(steps):
        optimizer.step(of.gradient(x))
    optimizer._leave_steps()  # where parameters are not what counts
    np.testing.assert_allclose(x, of.optimum, atol=1e-3)


class Function(NamedTuple):
    gradient: Callable[[Array], Any]
    start: tuple[float, ...]
    minimum: tuple[float, ...]


def rosenbrock(x: Array) -> tuple[float, float]:
    """Of (1 - a)^2 + 100 (b - a^2)^2."""
    a, b = x.tolist()
    return 2 * (a - 1) - 400 * a * (b - a * a), 200 * (b - a * a)


def beale(x: Array) -> tuple[float, float]:
    """Of the squares of 1.5 - a + a b, 2.25 - a + a b^2 and 2.625 - a + a b^3."""
    a, b = x.tolist()
    r = [(c - a + a * b**k, k) for k, c in ((1, 1.5), (2, 2.25), (3, 2.625))]
    return 2 * sum(v * (b**k - 1) for v, k in r), 2 * sum(v * a * k * b ** (k - 1) for v, k in r)


CURVATURES = np.array([1.0, 10.0, 100.0, 1000.0])
FUNCTIONS = {
    "rosenbrock": Function(rosenbrock, (-1.2, 1.0), (1.0, 1.0)),
    "beale": Function(beale, (1.0, 1.0), (3.0, 0.5)),
    "parabola": Function(lambda x: 2 * (x - (3.0, -2.0)), (0.0, 0.0), (3.0, -2.0)),
    "ill-conditioned": Function(lambda x: CURVATURES * x, (1.0, 1.0, 1.0, 1.0), (0.0, 0.0, 0.0, 0.0)),
}


# Steps and options that each optimizer needs.
ROWS: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {
    "SGD": {
        "rosenbrock": (2000, {"lr": 0.001, "momentum": 0.9}),
        "beale": (200, {"lr": 0.01, "momentum": 0.9}),
        "parabola": (100, {"lr": 0.05}),
        "ill-conditioned": (500, {"lr": 0.002, "momentum": 0.9}),
    },
    "AdaGrad": {
        "rosenbrock": (20000, {"lr": 0.2}),
        "beale": (500, {"lr": 1.0}),
        "parabola": (100, {"lr": 1.0}),
        "ill-conditioned": (100, {"lr": 0.2}),
    },
    "RMSProp": {
        "rosenbrock": (20000, {"lr": 0.0002}),
        "beale": (20000, {"lr": 0.0002}),
        "parabola": (100, {"lr": 0.05}),
        "ill-conditioned": (100, {"lr": 0.02}),
    },
    "Adam": {
        "rosenbrock": (1000, {"lr": 0.2}),
        "beale": (200, {"lr": 0.2}),
        "parabola": (200, {"lr": 0.1}),
        "ill-conditioned": (200, {"lr": 0.02}),
    },
    "AdamW": {
        "rosenbrock": (1000, {"lr": 0.2, "weight_decay": 0.0}),
        "beale": (200, {"lr": 0.2, "weight_decay": 0.0}),
        "parabola": (200, {"lr": 0.1, "weight_decay": 1e-5}),
        "ill-conditioned": (200, {"lr": 0.02}),
    },
    "Adadelta": {
        "rosenbrock": (50000, {"lr": 0.03, "eps": 1e-8}),
        "beale": (10000, {"lr": 0.02}),
        "parabola": (200, {"lr": 10.0}),
        "ill-conditioned": (100, {"lr": 10.0}),
    },
    "Adamax": {
        "rosenbrock": (5000, {"lr": 0.02}),
        "beale": (500, {"lr": 0.5}),
        "parabola": (200, {"lr": 0.1}),
        "ill-conditioned": (200, {"lr": 0.05}),
    },
    "NAdam": {
        "rosenbrock": (10000, {"lr": 0.002}),
        "beale": (200, {"lr": 0.2}),
        "parabola": (100, {"lr": 0.2}),
        "ill-conditioned": (100, {"lr": 0.1}),
    },
    "RAdam": {
        "rosenbrock": (10000, {"lr": 0.005}),
        "beale": (2000, {"lr": 0.02}),
        "parabola": (200, {"lr": 0.2}),
        "ill-conditioned": (5000, {"lr": 0.001}),
    },
    "AdaBelief": {
        "rosenbrock": (1000, {"lr": 0.2}),
        "beale": (200, {"lr": 0.2}),
        "parabola": (200, {"lr": 0.02}),
        "ill-conditioned": (100, {"lr": 0.5}),
    },
    "Yogi": {
        "rosenbrock": (1000, {"lr": 0.5}),
        "beale": (200, {"lr": 0.2}),
        "parabola": (200, {"lr": 0.05}),
        "ill-conditioned": (200, {"lr": 0.02}),
    },
    "ADOPT": {
        "rosenbrock": (500, {"lr": 5.0}),
        "beale": (200, {"lr": 0.5}),
        "parabola": (200, {"lr": 0.1}),
        "ill-conditioned": (200, {"lr": 0.05}),
    },
    "AdEMAMix": {
        "rosenbrock": (2000, {"lr": 0.02, "betas": (0.9, 0.999, 0.99), "alpha": 2.0}),
        "beale": (500, {"lr": 0.1, "betas": (0.9, 0.999, 0.99), "alpha": 2.0}),
        "parabola": (200, {"lr": 2.0}),
        "ill-conditioned": (200, {"lr": 0.5}),
    },
    "Adan": {
        "rosenbrock": (2000, {"lr": 0.005}),
        "beale": (2000, {"lr": 0.002}),
        "parabola": (100, {"lr": 1.0}),
        "ill-conditioned": (100, {"lr": 0.5}),
    },
    "FTRL": {
        "rosenbrock": (20000, {"lr": 0.2}),
        "beale": (500, {"lr": 1.0}),
        "parabola": (100, {"lr": 1.0}),
        "ill-conditioned": (100, {"lr": 0.2}),
    },
}


@pytest.mark.parametrize("function", list(FUNCTIONS))
@pytest.mark.parametrize("optimizer", list(ROWS))
def test_reaches_the_minimum(optimizer: str, function: str) -> None:
    gradient, start, minimum = FUNCTIONS[function]
    steps, options = ROWS[optimizer][function]
    x, g = np.array(start), np.empty(len(start))
    opt = getattr(schuss, optimizer)(x, **options)
    for _ in range(steps):
        g[:] = gradient(x)
        opt.step(g)
    assert np.linalg.norm(x - minimum) < 1e-3


@pytest.mark.parametrize("function", list(FUNCTIONS))
def test_gradients_of_the_functions(function: str) -> None:
    """They vanish at the minimum and not at the start."""
    gradient, start, minimum = FUNCTIONS[function]
    np.testing.assert_allclose(gradient(np.array(minimum)), 0, atol=1e-12)
    assert np.linalg.norm(gradient(np.array(start))) > 1
