"""Whatever a table holds: the saved model gives for the training file what training itself saw, row for row."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import schuss
from schuss.cli.answers import answers_of
from schuss.cli.options import named, recipe_with
from schuss.cli.rows import split
from schuss.cli.train import Run
from schuss.tables import DataError, open_table
from schuss.tables.fitting import Settings

NUMBERS = st.floats(-1e6, 1e6).map(lambda value: f"{value:.4g}")
GAPS = st.sampled_from(["", "?", "NA", "-", "n.d.", "None"])
COLUMNS = [
    NUMBERS,
    st.one_of(NUMBERS, GAPS),
    st.floats(0, 1e6).map(lambda value: f"${value:,.2f}"),
    st.integers(0, 99).map(lambda value: f"{value}%"),
    st.floats(0, 1e4).map(lambda value: f"{value:.2f}".replace(".", ",")),
    st.sampled_from(["TRUE", "FALSE", ""]),
    st.sampled_from(["red", "green", "blue", "", "NA"]),
    st.sampled_from(["01", "02", "10"]),
    st.dates().map(str),
    st.text(max_size=3),
    st.integers(0, 10**19).map(str),
]


@st.composite
def tables(draw: Any) -> list[list[str]]:
    kinds = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4))
    n = draw(st.integers(24, 60))
    target = draw(st.sampled_from([st.sampled_from(["yes", "no", "NA"]), NUMBERS, st.integers(0, 2).map(str)]))
    columns = [draw(st.lists(kind, min_size=n, max_size=n)) for kind in [*kinds, target]]
    header = [*(f"c{k}" for k in range(len(kinds))), "target"]
    return [header, *map(list, zip(*columns, strict=True))]


@given(tables())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_predictions_of_the_training_file(table: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data, path = Path(folder) / "t.csv", Path(folder) / "m.npz"
        with open(data, "w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(table)
        recipe = recipe_with(named("mlp"), {"hidden": (4,), "batch_size": 16})
        try:
            run = Run(split(open_table(str(data)), "target", None, 0.0, 0.2, 0), Settings(recipe, epochs=1))
            run.train()
        except DataError:
            return  # nothing to learn from, a target of one value, zero bytes, ...
        run.tell_scores()
        run.fitted.model.save(path)
        found = answers_of(schuss.load_table(path), open_table(str(data)))
        assert run._columns is not None
        model = run.fitted.model
        of_training = model.outputs(run._columns)
        expected = (
            model.head.probabilities(of_training, model.temperature)
            if model.is_classifier
            else model.head.quantities(of_training)
        )
        said = found.probabilities if model.is_classifier else found.values
        assert said is not None and found.truth is not None
        known = np.array([value is not None for value in found.truth.tolist()])
        np.testing.assert_array_equal(said[known], expected)
