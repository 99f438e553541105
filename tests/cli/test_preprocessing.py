"""A table becomes a matrix that follows from the training rows alone, and survives JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schuss.datasets import DataError, Table
from schuss.preprocessing import Preprocessing, Target, find_target, known_rows, prepare, split


def table(**columns: Any) -> Table:
    made = {}
    for name, values in columns.items():
        column = np.asarray(values)
        text = column.dtype == object or column.dtype.kind == "U"
        made[name] = np.array(values, object) if text else column if column.dtype == bool else column.astype(np.float64)
    return Table("table", made)


def fitted(columns: Table, rows: list[int] | None = None) -> Preprocessing:
    target = Target.find(columns, "y")
    return Preprocessing.fit(columns, target, np.array(rows or range(columns.n_rows)))[0]


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        ("abc", None, "c"),
        (["a", "Target", "b"], None, "Target"),
        (["y", "label", "b"], None, "label"),
        (["class", "b"], None, "class"),
        (["target", "b"], "b", "b"),
    ],
)
def test_find_target(names: list[str], wanted: str | None, expected: str) -> None:
    assert find_target(table(**{name: [1, 2] for name in names}), wanted) == expected


def test_no_target() -> None:
    with pytest.raises(DataError, match="no column 'z' to predict; its columns are 'a', 'b'"):
        find_target(table(a=[1], b=[1]), "z")
    with pytest.raises(DataError, match="only the column 'a'"):
        find_target(table(a=[1]))


@pytest.mark.parametrize(
    ("values", "task", "classes"),
    [
        ([0, 1, 2] * 4, "classification", (0, 1, 2)),
        (list(range(20)) * 2, "classification", tuple(range(20))),
        (list(range(21)) * 2, "regression", ()),
        ([0, 0, 1, 1, 7], "regression", ()),  # 7 only once
        ([0.5, 1.5] * 4, "regression", ()),
        ([True, False] * 2, "classification", (False, True)),
        (["b", "a"] * 2, "classification", ("a", "b")),
    ],
)
def test_task(values: list[Any], task: str, classes: tuple[Any, ...]) -> None:
    found = Target.find(table(x=values, y=values), "y")
    assert (found.task, found.classes) == (task, classes)
    assert [type(label) for label in found.classes] == [type(label) for label in classes]


def test_task_by_hand() -> None:
    numbers = table(y=[0.5, 1.5] * 3)
    assert Target.find(numbers, "y", "classification").classes == (0.5, 1.5)
    assert Target.find(table(y=[0, 1] * 3), "y", "regression").task == "regression"
    with pytest.raises(DataError, match=r"not numeric \(row 2: 'x'\)"):
        Target.find(table(y=np.array(["1", "x"], object)), "y", "regression")


@pytest.mark.parametrize("values", [["a"] * 3, [2.0] * 3, [True] * 3])
def test_one_class_only(values: list[Any]) -> None:
    with pytest.raises(DataError, match=r"target 'y' is .* in all 3 rows"):
        Target.find(table(y=values), "y")


def test_too_many_classes() -> None:
    with pytest.raises(DataError, match="9 distinct values in 10 rows"):
        Target.find(table(y=[*"abcdefghi", "a"]), "y")


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=200),
    st.floats(0, 0.9),
    st.integers(0, 2**32),
)
@settings(max_examples=100, deadline=None)
def test_split_is_a_stratified_partition(labels: list[int], fraction: float, seed: int) -> None:
    y = np.array(labels)
    rows, held_out = split(len(y), fraction, seed, y)
    np.testing.assert_array_equal(np.sort(np.concatenate([rows, held_out])), np.arange(len(y)))
    assert set(y[rows]) == set(labels)
    for label in set(labels):
        assert abs(int((y[held_out] == label).sum()) - fraction * int((y == label).sum())) <= 1 + 1e-6
    again = split(len(y), fraction, seed, y)
    np.testing.assert_array_equal(rows, again[0])
    np.testing.assert_array_equal(held_out, again[1])


def test_split_depends_on_the_seed() -> None:
    first, second = split(100, 0.2, 0)[1], split(100, 0.2, 1)[1]
    assert len(first) == len(second) == 20
    assert set(first) != set(second)


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


def test_many_categories_keep_the_frequent_ones() -> None:
    texts = [f"t{i:03}" for i in range(150)] + ["t149"] * 3 + ["t148"] * 2
    data = table(a=texts, y=[0, 1] * 77 + [1])
    preprocessing, notes = Preprocessing.fit(data, Target.find(data, "y"), np.arange(data.n_rows))
    assert preprocessing.n_inputs == 100
    matrix = preprocessing.transform(data)
    assert matrix[149].sum() == matrix[148].sum() == 1 and matrix[120].sum() == 0
    assert "150 categories" in notes[0]


def test_useless_columns_are_left_out_and_named() -> None:
    data = table(
        same=[3.0] * 30,
        word=["w"] * 30,
        none=[np.nan] * 30,
        name=[f"n{i}" for i in range(30)],
        good=np.arange(30.0),
        y=[0, 1] * 15,
    )
    preprocessing, notes = Preprocessing.fit(data, Target.find(data, "y"), np.arange(30))
    assert [column.name for column in preprocessing.columns] == ["good"]
    told = "; ".join(notes)
    assert "'same', 'word': the same value" in told and "'none': no values" in told and "'name': its 30 texts" in told


def test_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match=r"no column to learn from.*'a'.*same value"):
        fitted(table(a=[1.0] * 4, y=[0, 1] * 2))


def test_infinite_values_are_told_with_their_row() -> None:
    with pytest.raises(DataError, match="column 'a' is infinite in row 3"):
        fitted(table(a=[1.0, 2.0, np.inf, 4.0], y=[0, 1] * 2), [0, 1])
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


def test_only_training_rows_are_learned_from() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=50)
    data = table(a=values, y=values * 2)
    ready = prepare(data, seed=3)
    assert (len(ready.training[1]), ready.n_validation, ready.n_rows) == (40, 10, 50)
    np.testing.assert_allclose(ready.training[0].mean(), 0, atol=1e-6)
    np.testing.assert_allclose(ready.training[1].std(), 1, rtol=1e-9)
    assert prepare(data, validation=0.0).validation is None
    with pytest.raises(DataError, match="too few"):
        prepare(table(a=[1.0, 2], y=[0.5, 1]), validation=0.2)
