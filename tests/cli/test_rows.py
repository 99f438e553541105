"""Which rows train, validate and test, and what is predicted of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")

from hypothesis import given, settings
from hypothesis import strategies as st

from schuss.cli.options import class_weights
from schuss.cli.rows import balanced, split, weights_of, without
from schuss.tables import DataError, Table, Target, find_target, table_of


def table(**columns: Any) -> Table:
    return table_of({name: np.asarray(values) for name, values in columns.items()})


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
    assert find_target(names, wanted) == expected


def test_no_target() -> None:
    with pytest.raises(DataError, match="target 'z' is not known; known: a, b"):
        find_target(["a", "b"], "z")
    with pytest.raises(DataError, match="only the column 'a'"):
        find_target(["a"])


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
    found, _ = Target.decide(table(x=values, y=values), "y")
    assert (found.task, found.classes) == (task, classes)
    assert [type(label) for label in found.classes] == [type(label) for label in classes]


def test_task_by_hand() -> None:
    numbers = table(y=[0.5, 1.5] * 3)
    assert Target.decide(numbers, "y", "classification")[0].classes == (0.5, 1.5)
    assert Target.decide(table(y=[0, 1] * 3), "y", "regression")[0].task == "regression"
    with pytest.raises(DataError, match=r"not numeric \(such as '1'\)"):
        Target.decide(table(y=np.array(["1", "x"], object)), "y", "regression")


@pytest.mark.parametrize("values", [["a"] * 3, [2.0] * 3, [True] * 3])
def test_one_class_only(values: list[Any]) -> None:
    with pytest.raises(DataError, match=r"target 'y' is .* in all 3 rows"):
        Target.decide(table(y=values), "y")


def test_too_many_classes() -> None:
    with pytest.raises(DataError, match="9 distinct values in 10 rows"):
        Target.decide(table(y=[*"abcdefghi", "a"]), "y")


@given(
    st.lists(st.integers(0, 5), min_size=2, max_size=200),
    st.floats(0, 0.5),
    st.floats(0, 0.4),
    st.integers(0, 2**32),
)
@settings(max_examples=100, deadline=None)
def test_split_is_a_stratified_partition(labels: list[int], test: float, validation: float, seed: int) -> None:
    y = np.array([*range(3), *range(3), *labels])  # each class twice
    numbers = np.arange(len(y))
    data = table(number=numbers, y=y)
    few = (test and len(y) * test < 1.001) or (validation and len(y) * (1 - test) * validation < 2.001)
    if few or len(y) < 12:
        return  # see test_too_few
    found = split(data, None, "classification", test, validation, seed)
    trained = found.training.table.cells("number").values
    held = found.test.table.cells("number").values if found.test else np.arange(0)
    np.testing.assert_array_equal(np.sort(np.concatenate([trained, held])), numbers)
    assert found.n_rows == len(y) and found.training.table.names == ("number",)
    classes = np.array(found.target.classes)
    np.testing.assert_array_equal(classes[found.training.y], y[trained])
    assert set(y[trained]) == set(y.tolist())
    for label in set(y.tolist()):
        share = int((y == label).sum()) * int(len(y) * test + 1e-9) / len(y)
        assert abs(int((y[held] == label).sum()) - share) <= 1 + 1e-6
    again = split(data, None, "classification", test, validation, seed)
    np.testing.assert_array_equal(trained, again.training.table.cells("number").values)


def test_split_depends_on_the_seed() -> None:
    data = table(a=np.arange(100), y=np.arange(100) * 0.5)
    first, second = (split(data, None, None, 0.2, 0.2, seed).test for seed in (0, 1))
    assert first and second and len(first.y) == len(second.y) == 20
    assert set(first.y.tolist()) != set(second.y.tolist())


def test_rows_without_a_target_are_left_out() -> None:
    y = np.arange(50) * 0.5
    y[3] = np.nan
    found = split(table(a=np.arange(50.0), y=y), None, None, 0.2, 0.2, 0)
    assert found.n_rows == 49 and any("1 of 50 rows" in note for note in found.notes)
    assert found.test
    for rows in (found.training, found.test):
        np.testing.assert_array_equal(rows.y, rows.table.cells("a").values * 0.5)
    with pytest.raises(DataError, match="'y' has no values"):
        split(table(a=[1.0], y=[np.nan]), None, None, 0.2, 0.2, 0)


@pytest.mark.parametrize(("test", "validation"), [(0.01, 0.2), (0.2, 0.01), (0.9, 0.09)])
def test_too_few(test: float, validation: float) -> None:
    with pytest.raises(DataError, match="too few"):
        split(table(a=np.arange(12.0), y=np.arange(12) * 0.5), None, None, test, validation, 0)


def test_no_test_rows() -> None:
    found = split(table(a=np.arange(12.0), y=np.arange(12) * 0.5), None, None, 0.0, 0.0, 0)
    assert found.test is None and len(found.training.y) == 12


def test_weights_by_name() -> None:
    y = np.array([0, 1, 2, 2, 0])
    np.testing.assert_array_equal(weights_of(y, ("a", "b", "c"), {"c": 0.5, "a": 3.0}), [3.0, 1.0, 0.5, 0.5, 3.0])
    np.testing.assert_array_equal(weights_of(y, (False, 7, "c"), {"7": 2.0, "False": 4.0}), [4.0, 2.0, 1.0, 1.0, 4.0])
    np.testing.assert_array_equal(weights_of(y, ("a", "b", "c"), None), balanced(y, 3))
    assert class_weights("balanced") is None
    assert class_weights("a=1, b, c=d=2.5,=x=1e3") == {"a": 1.0, "b, c=d": 2.5, "=x": 1000.0}


def test_balanced_weights() -> None:
    y = np.array([0, 0, 0, 1, 3, 3])
    weights = balanced(y, 4)
    assert weights.mean() == pytest.approx(1)
    np.testing.assert_allclose(np.bincount(y, weights, 4), [2, 2, 0, 2])


def test_a_column_less() -> None:
    data = table(a=[1, 2], b=["x", "y"])
    rest = without(data, "a")
    assert rest.names == ("b",) and rest.n_rows == 2 and data.names == ("a", "b")
