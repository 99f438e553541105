"""What belongs to L-BFGS, which keeps its own: nothing of it is left out of pickles, copies and state_dicts."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import schedules

# Each attribute, and where its __getstate__ has it; none: it is of the last step alone.
ATTRIBUTES = {"param_groups": "group", "_form": "form", "_core": "state", "_steps": "state", "_evaluations": "state",
              "_last_loss": "state", "_nonfinite": None}  # fmt: skip


def made() -> tuple[list[np.ndarray], Any]:
    x = [np.linspace(-1, 2, 6)]
    return x, schuss.LBFGS(x, lr=schedules.Cosine(0.5, 30), history_size=4)


def step(x: list[np.ndarray], optimizer: Any) -> None:
    scale = np.arange(1.0, 7)
    optimizer.step(lambda: (float((scale * x[0] ** 4).sum()), [4 * scale * x[0] ** 3]))


def test_attributes_are_in_its_state() -> None:
    x, optimizer = made()
    step(x, optimizer)
    assert set(vars(optimizer)) == set(ATTRIBUTES)
    assert set(optimizer.__getstate__()) == {place for place in ATTRIBUTES.values() if place is not None}


@pytest.mark.parametrize("how", ["pickle", "deepcopy", "state_dict"])
def test_it_goes_on(how: str) -> None:
    x, optimizer = made()
    for _ in range(3):
        step(x, optimizer)
    if how == "state_dict":
        there = [x[0].copy()]
        other = schuss.LBFGS(there)
        other.load_state_dict(optimizer.state_dict())
    else:
        other = pickle.loads(pickle.dumps(optimizer)) if how == "pickle" else copy.deepcopy(optimizer)
        there = other.param_groups[0]["params"]
    for _ in range(3):
        step(x, optimizer)
        step(there, other)
    np.testing.assert_array_equal(x[0], there[0])
    assert other.param_groups[0]["schedule"] == optimizer.param_groups[0]["schedule"]


@pytest.mark.parametrize("places", [None, [1], [-1], ["0"], [True], [], [0, 0]])
def test_schedules_that_do_not_fit_change_nothing(places: Any) -> None:
    x, optimizer = made()
    step(x, optimizer)
    state = optimizer.state_dict()
    before = copy.deepcopy(state)
    wrong = {**state, "schedules": {**state["schedules"], "places": places}}
    with pytest.raises((ValueError, TypeError), match="schedules"):
        optimizer.load_state_dict(wrong)
    np.testing.assert_equal(optimizer.state_dict(), before)
