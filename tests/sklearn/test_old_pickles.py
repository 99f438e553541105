"""Pickles name classes by their modules: those of before are found where they were."""

from __future__ import annotations

import pickle

import pytest

import schuss


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("schuss.schedules.composed", schuss.schedules.Product),
        ("schuss.training", schuss.EarlyStopping),
        ("schuss.training", schuss.EpochRecord),
    ],
)
def test_classes_that_moved(place: str, kind: type) -> None:
    assert pickle.loads(f"c{place}\n{kind.__name__}\n.".encode()) is kind


def test_learning_rates_of_estimators() -> None:
    pytest.importorskip("sklearn")
    found = pickle.loads(b"cschuss.sklearn.stochastic\nRate\n.")
    assert found(0.5, "adaptive", 0.5).learning_rate == 0.5
