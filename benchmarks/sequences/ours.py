"""schuss's recurrent layers."""

from __future__ import annotations

from typing import Any

import schuss

from .. import comparison, ours
from ..steps import Steps
from .cases import Case


def network(case: Case) -> schuss.Network:
    """With the case's start weights."""
    made: Any = schuss
    recurrent = getattr(made, case.kind)(case.units, input_shape=case.row_shape)
    return ours.started([recurrent, schuss.Dense(case.classes)], case.weights.values())


def fit(case: Case) -> ours.Fit:
    return ours.Fit(case, network(case))


def train_step(case: Case) -> Steps:
    return ours.step_by_step(case, network(case))


MAKERS: tuple[comparison.Maker, ...] = (fit, train_step)
