"""Models of version 1: a table becomes a matrix by what was learned from training rows, and that survives JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")

from schuss.cli.version1_columns import NumberColumn, Preprocessing, Target, TextColumn, known_rows
from schuss.datasets import Table
from schuss.tables import DataError


def table(**columns: Any) -> Table:
    made = {}
    for name, values in columns.items():
        column = np.asarray(values)
        text = column.dtype == object or column.dtype.kind == "U"
        made[name] = np.array(values, object) if text else column if column.dtype == bool else column.astype(np.float64)
    return Table("table", made)


def fitted(columns: Table, rows: list[int] | None = None) -> Preprocessing:
    """What version 1 learned from these rows."""
    chosen = np.array(rows or range(columns.n_rows))
    found: list[NumberColumn | TextColumn] = []
    for name, whole in columns.columns.items():
        column = whole[chosen]
        if name == "y":
            continue
        if column.dtype == object:
            texts = {text for text in column if text is not None}
            found.append(TextColumn(name, (*sorted(texts), *([None] if None in set(column) else []))))
            continue
        missing = np.isnan(column.astype(float))
        median = float(np.median(column[~missing]))
        values = np.where(missing, median, column)
        found.append(NumberColumn(name, median, float(values.mean()), float(values.std()), 5.0, bool(missing.any())))
    y = columns.columns["y"]
    labels = y.dtype != np.float64 or bool(np.all(y == np.round(y)))
    if not labels:
        return Preprocessing(tuple(found), Target("y", "regression", (), float(y.mean()), float(y.std())))
    classes = sorted({int(value) if y.dtype == np.float64 else value for value in y.tolist()})
    return Preprocessing(tuple(found), Target("y", "classification", tuple(classes)))


def test_numbers() -> None:
    data = table(a=[1.0, 3.0, np.nan, 100.0], b=[True, False, True, True], y=[0, 1, 0, 1])
    preprocessing = fitted(data, [0, 1, 2])  # median 2, mean 2, deviation sqrt(2/3); row 3 is limited
    matrix = preprocessing.transform(data)
    assert matrix.dtype == np.float32 and matrix.flags.c_contiguous
    unit = 1 / np.sqrt(2 / 3)
    np.testing.assert_allclose(matrix[:, 0], [-unit, unit, 0, 5], rtol=1e-6)
    np.testing.assert_array_equal(matrix[:, 1], [0, 0, 1, 0])  # where a was missing
    np.testing.assert_allclose(matrix[:, 2], np.array([1, -2, 1, 1]) / np.sqrt(2), rtol=1e-6)


def test_a_gap_only_in_prediction_gets_the_median_and_no_indicator() -> None:
    preprocessing = fitted(table(a=[1.0, 2.0, 6.0, 7.0], y=[0, 1, 0, 1]))
    matrix = preprocessing.transform(table(a=[np.nan, 4.0]))
    assert matrix.shape == (2, 1)
    np.testing.assert_array_equal(matrix, [[0.0], [0.0]])  # median and mean are both 4


def test_text() -> None:
    data = table(a=np.array(["u", "v", None, "u"], object), b=["p", "q", "p", "q"], y=[0, 1, 0, 1])
    preprocessing = fitted(data)
    matrix = preprocessing.transform(data)
    np.testing.assert_array_equal(matrix, [[1, 0, 0, 1, 0], [0, 1, 0, 0, 1], [0, 0, 1, 1, 0], [1, 0, 0, 0, 1]])
    unseen = preprocessing.transform(table(a=["new", "u"], b=np.array([None, "q"], object)))
    np.testing.assert_array_equal(unseen, [[0, 0, 0, 0, 0], [1, 0, 0, 0, 1]])


def test_codes_that_look_like_numbers_are_matched_as_text() -> None:
    preprocessing = fitted(table(a=["1", "2", "x"] * 2, y=[0, 1] * 3))
    np.testing.assert_array_equal(preprocessing.transform(table(a=[2.0, np.nan])), [[0, 1, 0], [0, 0, 0]])
    assert preprocessing.text_columns == ["a"]


def test_infinite_values_are_told_with_their_row() -> None:
    preprocessing = fitted(table(a=[1.0, 2.0, 3.0, 4.0], y=[0, 1] * 2))
    with pytest.raises(DataError, match="column 'a' is infinite in row 3"):
        preprocessing.transform(table(a=[1.0, 2.0, np.inf, 4.0]))
    with pytest.raises(DataError, match=r"target 'y' is infinite in row 2"):
        known_rows(table(a=[1.0, 2.0], y=[0.5, np.inf]), "y")


def test_missing_and_changed_columns_are_named() -> None:
    preprocessing = fitted(table(a=[1.0, 2, 3, 4], b=[1.0, 2, 3, 4], c=["u", "v"] * 2, y=[0, 1] * 2))
    with pytest.raises(DataError, match="lacks columns 'b', 'c' that"):
        preprocessing.transform(table(a=[1.0], extra=[1.0]))
    with pytest.raises(DataError, match="column 'a' must be numeric, but row 2 is 'oops'"):
        preprocessing.transform(table(a=np.array(["1", "oops"], object), b=[1.0, 1.0], c=["u", "v"]))


def test_rows_without_a_target_are_left_out() -> None:
    known = known_rows(table(a=[1.0, 2, 3], y=[0.5, np.nan, 1.5]), "y")
    np.testing.assert_array_equal(known.columns["a"], [1, 3])
    assert "left out 1 of 3 rows" in known.notes[0]
    with pytest.raises(DataError, match="'y' has no values"):
        known_rows(table(a=[1.0], y=[np.nan]), "y")


def test_targets_there_and_back() -> None:
    classes = table(a=[1.0, 2, 3, 4], y=["no", "yes"] * 2)
    target = fitted(classes).target
    np.testing.assert_array_equal(target.encode(classes), [0, 1, 0, 1])
    assert target.decode(np.array([[0.2, 0.8], [0.9, 0.1]])).tolist() == ["yes", "no"]
    with pytest.raises(DataError, match="is maybe in row 2; known classes: 'no', 'yes'"):
        target.encode(table(y=["no", "maybe"]))

    quantities = table(a=[1.0, 2, 3, 4], y=[0.5, 1.5, 2.5, 7.5])
    target = fitted(quantities).target
    encoded = target.encode(quantities)
    assert encoded.shape == (4, 1) and abs(encoded.mean()) < 1e-12 and abs(encoded.std() - 1) < 1e-12
    np.testing.assert_allclose(target.decode(encoded), quantities.columns["y"], rtol=1e-12)


def test_json_and_back() -> None:
    data = table(a=[1.0, np.nan, 3.0, 1e-30], b=np.array(["é", None, "e", "é"], object), y=[True, False, True, False])
    before = fitted(data)
    after = Preprocessing.from_dict(json.loads(json.dumps(before.to_dict(), allow_nan=False)))
    assert after == before
    np.testing.assert_array_equal(after.transform(data), before.transform(data))


@pytest.mark.parametrize("damage", [{"format": 99}, {"target": {}}, {"columns": [{"name": "a"}]}])
def test_damaged_or_newer(damage: dict[str, Any]) -> None:
    good = fitted(table(a=[1.0, 2, 3, 4], y=[0, 1] * 2)).to_dict()
    with pytest.raises(DataError, match="preprocessing"):
        Preprocessing.from_dict({**good, **damage})
