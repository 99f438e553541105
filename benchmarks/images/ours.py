"""schuss's convolutions."""

from __future__ import annotations

from typing import Any

import schuss

from .. import comparison, ours
from ..steps import Steps
from .cases import Case, Conv


def layers(case: Case) -> list[Any]:
    """From the input on."""
    made: Any = schuss
    found: list[Any] = [made.Input("x", case.shape)]
    for one in case.layers:
        if isinstance(one, Conv):
            found.append(made.Conv2D(one.filters, one.kernel, "relu", padding=one.margin))
        else:
            found.append(made.MaxPool(2))
    return [*found, made.Flatten(), made.Dense(case.hidden, "relu"), made.Dense(case.classes)]


def network(case: Case) -> schuss.Network:
    """With the case's start weights."""
    return ours.started(layers(case), case.weights.values())


def fit(case: Case) -> ours.Fit:
    return ours.Fit(case, network(case))


def train_step(case: Case) -> Steps:
    return ours.step_by_step(case, network(case))


MAKERS: tuple[comparison.Maker, ...] = (fit, train_step)
