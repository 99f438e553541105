"""Schedules as data, and in the files of networks: what was saved goes on as if nothing had happened."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import schuss
from schuss import schedules as s
from schuss.schedules.plain import as_data, of_data

PLATEAU = s.ReduceOnPlateau(0.1, patience=1, mode="max", monitor="val_accuracy")
PLATEAU.report(0.5)
PLATEAU.report(0.1)
SCHEDULES = [
    s.Constant(0.1),
    s.Linear(0.1, 20, 0.01),
    s.Polynomial(0.1, 20, power=2.0),
    s.Exponential(0.1, 0.9),
    s.InverseSqrt(0.1, 10),
    s.InverseTime(0.1, 0.5),
    s.Step(0.1, 5),
    s.MultiStep(0.1, [3, 7]),
    s.PiecewiseConstant([3, 7], [0.1, 0.2, 0.3]),
    s.PiecewiseLinear([0, 5, 9], [0.0, 1.0, 0.1]),
    s.Cosine(0.1, 20, warmup_steps=4),
    s.CosineRestarts(0.1, 5),
    s.Cyclic(0.01, 0.1, 5),
    s.CosLog(0.1, 20),
    s.FlatCos(0.1, 20),
    s.OneCycle(0.1, 20),
    s.WarmUp(4, 0.1),
    s.PerEpoch(3, s.Exponential(0.1, 0.9)),
    s.Sequence([s.Linear(0.1, 5, 0.2), 0.2, s.Cosine(0.2, 10)], [5, 8]),
    0.5 * s.Cosine(0.1, 20) * s.Step(1.0, 4),
    PLATEAU,
    s.WarmUp(3, PLATEAU) * s.Cosine(1.0, 20),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda schedule: repr(schedule)[:40])
def test_data_and_back(schedule: s.Schedule) -> None:
    entries, places = as_data([schedule])
    found = of_data(json.loads(json.dumps(entries)))
    assert places == [len(found) - 1]
    assert found[-1] == schedule
    np.testing.assert_array_equal(found[-1].values(30), schedule.values(30))


def test_all_kinds_are_tested() -> None:
    kinds = {name for name in s.__all__ if isinstance(getattr(s, name), type)} - {"Schedule", "PlateauState"}
    assert kinds - {type(schedule).__name__ for schedule in SCHEDULES} == {"Lambda", "Multiplicative"}


def test_an_object_in_several_places_stays_one() -> None:
    plateau = s.ReduceOnPlateau(0.1)
    entries, places = as_data([plateau, None, s.WarmUp(3, plateau), plateau, 0.1])
    found = of_data(json.loads(json.dumps(entries)))
    assert places == [0, None, 1, 0, None]
    assert isinstance(found[1], s.WarmUp) and found[1].then is found[0]


def test_functions_are_no_data() -> None:
    class Own(s.Constant):
        pass

    given = [s.Lambda(lambda step: 0.1), s.WarmUp(3, s.Multiplicative(0.1, lambda step: 0.9)), lambda step: 0.1]
    assert as_data([*given, Own(0.1)])[1] == [None] * 4


@pytest.mark.parametrize("kind", ["schedules", "Schedule", "PlateauState", "Unknown", "eval"])
def test_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="schedule"):
        of_data([{"kind": kind, "arguments": {}}])


@pytest.mark.parametrize("name", ["cosine", "plateau", "both"])
def test_a_network_goes_on_with_its_schedule(tmp_path: Path, name: str) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 5)), rng.integers(0, 3, 100)

    def fitted(stop: bool) -> schuss.Network:
        plateau = s.ReduceOnPlateau(0.05, factor=0.5, patience=0)
        cosine = s.Cosine(0.05, 60, warmup_steps=10)
        lr = {"cosine": cosine, "plateau": plateau, "both": s.WarmUp(5, plateau) * s.Cosine(1.0, 100)}[name]
        net = schuss.Network([schuss.Dense(5, 7, "relu"), schuss.Dense(7, 3)], seed=3)
        net.fit(X, y, loss="cross_entropy", lr=lr, epochs=6, validation_fraction=0.3)
        if stop:
            net.save(tmp_path / "net.npz")
            net = schuss.load(tmp_path / "net.npz")
        net.fit(X, y, loss="cross_entropy", epochs=6, validation_fraction=0.3)
        return net

    whole, halves = fitted(False), fitted(True)
    np.testing.assert_array_equal(halves.history.lr, whole.history.lr)
    for a, b in zip(halves.parameters, whole.parameters, strict=True):
        np.testing.assert_array_equal(a, b)
    assert halves.optimizer is not None and whole.optimizer is not None
    assert halves.optimizer.param_groups[0]["schedule"] == whole.optimizer.param_groups[0]["schedule"]
