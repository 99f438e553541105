"""Every optimizer reaches the optimum of published test functions from their usual starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

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
    "parabola": Valley(lambda x: 2 * (x - 3), (0.0,), (3.0,)),
    "ill-conditioned": Valley(lambda x: CURVATURES * x, (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
}


@dataclass(frozen=True)
class Way:
    """An optimizer with options, and (lr, steps) for each function in the order of VALLEYS."""

    optimizer: str
    rates: tuple[tuple[float, int], ...]
    options: dict[str, Any] = field(default_factory=dict)
    own: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Options for one function alone."""
    decays: bool = False
    """Whether lr falls to zero in a line: steps of one size go back and forth otherwise."""
    matrix: bool = False
    """Whether the parameters are a matrix of one row."""


WAYS = [
    Way("SGD", ((1e-3, 9000), (0.02, 2000), (0.1, 200), (0.01, 1500)), {"momentum": 0.9}),
    Way("ASGD", ((1e-3, 60_000), (0.02, 6000), (0.1, 200), (0.01, 1500)), {"lambd": 1e-8}),
    Way("ScheduleFreeSGD", ((3e-3, 10_000), (0.03, 3000), (1.0, 500), (0.1, 2000)), {"r": 8.0}),
    Way("ScheduleFreeAdamW", ((0.01, 10_000), (0.1, 3000), (0.5, 1000), (0.1, 2000)), {"r": 8.0}),
    Way("LARS", ((3.0, 3000), (1.0, 2000), (3.0, 10_000), (10.0, 1000)), decays=True),
    Way("Prodigy", ((1.0, 10_000), (1.0, 3000), (1.0, 1000), (1.0, 1000)), decays=True),
    Way("NovoGrad", ((0.003, 1000), (0.003, 1000), (0.003, 1000), (0.003, 1000)), decays=True),
    Way("LAMB", ((0.01, 10_000), (0.01, 1000), (0.1, 10_000), (0.03, 1000)), decays=True),
    Way("Rprop", ((0.01, 6000), (0.01, 300), (0.01, 200), (0.01, 200)), {"step_sizes": (1e-9, 50)}),
    Way("Lion", ((1e-3, 10_000), (3e-3, 3000), (0.03, 1000), (0.01, 1000)), decays=True),
    Way("Adafactor", ((3e-3, 20_000), (0.01, 3000), (0.1, 1000), (0.03, 3000)), decays=True),
    Way(
        "Muon",
        ((0.01, 3000), (0.01, 3000), (0.03, 1000), (0.01, 3000)),
        {"weight_decay": 0.0},
        decays=True,
        matrix=True,
    ),
    Way(
        "SOAP", ((0.02, 3000), (0.02, 3000), (0.1, 1000), (0.03, 3000)), {"weight_decay": 0.0}, decays=True, matrix=True
    ),
    Way("Signum", ((3e-3, 10_000), (3e-3, 3000), (0.03, 1000), (0.01, 1000)), decays=True),
    Way("AdaGrad", ((0.2, 20000), (1.0, 500), (1.0, 100), (0.2, 100))),
    Way("RowAdaGrad", ((0.2, 20000), (1.0, 500), (1.0, 100), (0.2, 100))),
    Way("RMSProp", ((0.0002, 20000), (0.0002, 20000), (0.05, 100), (0.02, 100))),
    Way("Adam", ((0.2, 1000), (0.2, 200), (0.1, 200), (0.02, 200))),
    Way(
        "AdamW",
        ((0.2, 1000), (0.2, 200), (0.1, 200), (0.02, 200)),
        {},
        own={"rosenbrock": {"weight_decay": 0.0}, "beale": {"weight_decay": 0.0}, "parabola": {"weight_decay": 1e-05}},
    ),
    Way("Adadelta", ((0.03, 50000), (0.02, 10000), (10.0, 200), (10.0, 100)), {}, own={"rosenbrock": {"eps": 1e-08}}),
    Way("Adamax", ((0.02, 5000), (0.5, 500), (0.1, 200), (0.05, 200))),
    Way("NAdam", ((0.002, 10000), (0.2, 200), (0.2, 100), (0.1, 100))),
    Way("RAdam", ((0.005, 10000), (0.02, 2000), (0.2, 200), (0.001, 5000))),
    Way("AdaBelief", ((0.2, 1000), (0.2, 200), (0.02, 200), (0.5, 100))),
    Way("Yogi", ((0.5, 1000), (0.2, 200), (0.05, 200), (0.02, 200))),
    Way("ADOPT", ((5.0, 500), (0.5, 200), (0.1, 200), (0.05, 200))),
    Way(
        "AdEMAMix",
        ((0.02, 2000), (0.1, 500), (2.0, 200), (0.5, 200)),
        {},
        own={
            "rosenbrock": {"betas": (0.9, 0.999, 0.99), "alpha": 2.0},
            "beale": {"betas": (0.9, 0.999, 0.99), "alpha": 2.0},
        },
    ),
    Way("Adan", ((0.005, 2000), (0.002, 2000), (1.0, 100), (0.5, 100))),
    Way("FTRL", ((0.2, 20000), (1.0, 500), (1.0, 100), (0.2, 100))),
]


@pytest.mark.parametrize("valley", list(VALLEYS))
@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join([way.optimizer, *map(str, way.options)]))
def test_reaches_the_optimum(way: Way, valley: str) -> None:
    of = VALLEYS[valley]
    rate, steps = way.rates[list(VALLEYS).index(valley)]
    x = np.array(of.start, ndmin=2 if way.matrix else 1)
    lr: Any = (lambda step: rate * max(0.0, 1 - step / steps)) if way.decays else rate
    optimizer = getattr(schuss, way.optimizer)(x, lr=lr, **way.options, **way.own.get(valley, {}))
    for _ in range(steps):
        optimizer.step(of.gradient(x.reshape(-1)).reshape(x.shape))
    optimizer._leave_steps()  # where parameters are not what counts
    np.testing.assert_allclose(x.reshape(-1), of.optimum, atol=1e-3)


def test_gradients_vanish_at_the_optimum() -> None:
    for of in VALLEYS.values():
        np.testing.assert_allclose(of.gradient(np.array(of.optimum)), 0, atol=1e-12)
        assert np.linalg.norm(of.gradient(np.array(of.start))) > 1
