"""What a column and a target are: decided once, kept as plain data, and what does not fit it told or refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schuss.tables import DataError, Schema, Target
from schuss.tables.columns import Boolean, Category, Date, Number

NAN = np.nan
LARGE = 2**60 + 1


def test_a_column_of_another_kind_is_refused_or_read() -> None:
    when = np.array(["2020-01-01", "2021-01-01"], "datetime64[D]")
    schema, _ = Schema.decide({"n": [1.5, 2.5], "d": when, "c": ["1", "b"], "b": [True, False]})
    assert schema.columns == (Number("n"), Date("d", "ymd", ("weekday",)), Category("c", ("1", "b")), Boolean("b"))
    with pytest.raises(DataError, match="column 'n' must be numbers as in training; got dates"):
        schema.read({"n": when, "d": when, "c": [1, 1], "b": [1, 0]})
    with pytest.raises(DataError, match="column 'd' must be dates as in training; got numbers"):
        schema.read({"n": [1, 2], "d": [1, 2], "c": [1, 1], "b": [1, 0]})
    with pytest.raises(DataError, match="lacks columns 'n', 'b' that the model was trained on"):
        schema.read({"d": when, "c": [1, 1]})
    read = schema.read({"n": [True, False], "d": ["2020-01-01", "1.1.2020"], "c": [1.0, 2.0], "b": ["Yes", "maybe"]})
    np.testing.assert_array_equal(read.numbers, [[1, 18262, 2], [0, NAN, NAN]])
    assert read.codes.tolist() == [[1, 2], [3, 3]]
    assert read.unknown == {"c": (1, ("2",)), "b": (1, ("maybe",))}
    empty = schema.read({"n": [None], "d": [None], "c": [None], "b": [None]})
    assert np.isnan(empty.numbers).all() and not empty.codes.any()
    none = schema.read({"n": [], "d": [], "c": [], "b": []})
    assert none.numbers.shape == (0, 3) and none.codes.shape == (0, 2)


@pytest.mark.parametrize("bad", [np.inf, "inf", "1e999", "-Infinity"])
def test_infinite_values_are_refused_with_their_row(bad: Any) -> None:
    values = ["1.5", "?", bad, "2"] if isinstance(bad, str) else [1.5, NAN, bad, 2]
    with pytest.raises(DataError, match="table: column 'a' is infinite in row 3"):
        Schema.decide({"a": values})
    schema, _ = Schema.decide({"a": [1.5, 2.5]})
    with pytest.raises(DataError, match="table: column 'a' is infinite in row 3"):
        schema.read({"a": values})


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([3, 1, 3, 1, None], "classification", (1, 3)),
        ([1.0, 2.0, NAN, 1.0, 2.0], "classification", (1, 2)),
        ([LARGE, LARGE + 1] * 2, "classification", (LARGE, LARGE + 1)),
        (["b", " a", "b", " a", None], "classification", (" a", "b")),
        (["yes", "no", "yes", "no"], "classification", ("no", "yes")),
        ([True, False, None, True], "classification", (False, True)),
        ([0.5, 1.5, 0.5], "regression", ()),
        (["1,5", "2,5", "?", "3"], "regression", ()),
        (["01", "02", "01", "02"], "classification", ("01", "02")),
        (list(range(50)), "regression", ()),
    ],
)
def test_targets(values: list[Any], task: str, classes: tuple[Any, ...]) -> None:
    target, _ = Target.decide({"y": values}, "y")
    assert (target.task, target.classes) == (task, classes)
    assert [type(value) for value in target.classes] == [type(value) for value in classes]
    read = target.read({"y": values})
    assert read.dtype == (np.int64 if classes else np.float64)
    if classes:
        kept = [value for value in values if value is not None and value == value]
        assert target.decode(read[read >= 0]).tolist() == kept
        with pytest.raises(DataError, match="known classes"):
            target.read({"y": ["other" if isinstance(classes[0], str) else 77] if classes != (False, True) else [2, 1]})


def test_counts_are_recognised() -> None:
    draws = np.random.default_rng(0)
    assert Target.decide({"y": draws.poisson(30, 500) * (draws.random(500) < 0.9)}, "y")[0].counts
    target, notes = Target.decide({"y": draws.poisson(20, 500)}, "y", "regression")
    assert not target.counts and not notes  # nothing near 0
    for values in (draws.normal(size=500), draws.integers(-5, 100, 500), draws.integers(1950, 2020, 500)):
        assert not Target.decide({"y": values}, "y")[0].counts


def test_a_comma_in_the_target_is_read_as_in_the_other_columns() -> None:
    y = ["1,234", "950", "22,100", "3"]
    for other, value in (("0,5", 1.234), ("0.5", 1234.0)):
        target, notes = Target.decide({"y": y, "b": [other, "7", "8", "9"]}, "y")
        assert target.read({"y": y})[0] == value and any("'1,234' is read as" in note for note in notes)


def test_the_task_can_be_given() -> None:
    assert Target.decide({"y": [1, 2, 1, 2]}, "y", "regression")[0].task == "regression"
    assert Target.decide({"y": [0.5, 1.5, 0.5, 1.5]}, "y", "classification")[0].classes == (0.5, 1.5)
    assert list(map(type, Target.decide({"y": [0.5, 1.0, 0.5, 1.0]}, "y", "classification")[0].classes)) == [
        float,
        float,
    ]
    target, _ = Target.decide({"y": [True, False, None]}, "y", "regression")
    np.testing.assert_array_equal(target.read({"y": [True, None, False]}), [1, NAN, 0])
    with pytest.raises(DataError, match="'y' is not numeric"):
        Target.decide({"y": ["a", "b"]}, "y", "regression")
    with pytest.raises(DataError, match="too many for classes"):
        Target.decide({"y": ["a", "b", "c", "d"]}, "y")
    with pytest.raises(DataError, match="nothing to learn"):
        Target.decide({"y": [1, 1]}, "y")
    with pytest.raises(DataError, match="has no values"):
        Target.decide({"y": [None, None]}, "y")


def test_damaged_data_are_refused() -> None:
    schema, _ = Schema.decide({"a": [1.5, 2.5], "c": ["x", "y"], "d": ["2020-01-01", "2021-02-02"]})
    good = schema.to_dict()
    assert Schema.from_dict(good) == schema
    with pytest.raises(DataError, match="newer than 1; update schuss"):
        Schema.from_dict({**good, "format": 2})
    damages: list[tuple[int, dict[str, Any]]] = [
        (0, {"decimal": ";"}), (0, {"decimal": ",", "thousands": ","}), (0, {"kind": "matrix"}), (0, {"unit": 3}),
        (1, {"categories": ["x", "x"]}), (1, {"categories": "xy"}), (2, {"order": "dym"}), (2, {"parts": ["year"]}),
        (0, {"name": "c"}), (0, {"extra": 1}),
    ]  # fmt: skip
    for place, change in damages:
        columns = [dict(column) for column in good["columns"]]
        columns[place] |= change
        with pytest.raises(DataError, match="schema in the file is damaged"):
            Schema.from_dict({**good, "columns": columns})
    target, _ = Target.decide({"y": ["a", "b", "a"]}, "y")
    for change in ({"classes": []}, {"task": "both"}, {"kind": "date"}, {"classes": ["a", "a"]}, {"counts": 1}):
        with pytest.raises(DataError, match="target in the file is damaged"):
            Target.from_dict({**target.to_dict(), **change})
