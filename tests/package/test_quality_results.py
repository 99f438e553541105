"""The results of benchmarks/quality: what peers are given, kept, and counted."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pandas")
pytest.importorskip("sklearn")

import pandas as pd

from benchmarks.quality import parity, results, summary
from benchmarks.quality.columns import Categories
from benchmarks.quality.loading import Data
from benchmarks.quality.models import PEERS
from benchmarks.quality.scores import SCORES
from benchmarks.quality.splits import split
from benchmarks.quality.tables import TABLES


def _frame(rows: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal(rows)
    words = rng.choice(["a", "b", "c"], rows).astype(object)
    numbers[::7], words[::11] = np.nan, np.nan
    return pd.DataFrame({"number": numbers, "word": words, "count": rng.integers(0, 9, rows)})


def test_categories_are_those_of_the_training_rows() -> None:
    train = pd.DataFrame({"word": ["a", "a", "b", None], "number": [1.0, 3.0, np.nan, 8.0]})
    test = pd.DataFrame({"word": ["c", "b", None], "number": [np.nan, 2.0, 0.0]})
    given = Categories().fit(train).transform(test)
    assert given["word"].isna().tolist() == [True, False, True]
    assert given["number"].isna().tolist() == [True, False, False]
    filled = Categories(missing="?", medians=True).fit(train).transform(test)
    assert filled["word"].tolist() == ["?", "b", "?"] and filled["number"].tolist() == [3.0, 2.0, 0.0]
    few = Categories(most=1).fit(train).transform(train)
    assert few["word"].isna().tolist() == [False, False, True, True]


@pytest.mark.parametrize("name", PEERS)
@pytest.mark.parametrize("task", SCORES)
@pytest.mark.filterwarnings("ignore")
def test_each_peer_takes_words_and_gaps_and_is_scored(name: str, task: str) -> None:
    if name == "lightgbm" and importlib.util.find_spec("lightgbm") is None:
        pytest.skip("lightgbm is not installed")
    X = _frame(120)
    y = X["count"] + 0.5
    if task == "classification":
        y = y.map(lambda number: "many" if number > 5 else "few").astype(object)
    table = TABLES["diamonds" if task == "regression" else "credit"]
    rows = split(Data(table, X, y), 0)
    rows.X_test.loc[0, "word"] = "never seen"
    model = PEERS[name](task == "regression", 0).fit(rows.X_train, rows.y_train)
    scores = SCORES[task](model, rows)
    assert scores["r2" if task == "regression" else "auc"] > 0.8
    assert summary.RANKED_BY[task] in scores and summary.BESIDE[task] in scores


def test_splits_keep_the_shares_of_classes_and_differ() -> None:
    X = _frame(200)
    data = Data(TABLES["credit"], X, pd.Series(["good"] * 180 + ["bad"] * 20))
    first, second = split(data, 0), split(data, 1)
    assert (first.y_test == "bad").sum() == (second.y_test == "bad").sum() == 4
    assert len(first.X_train) == 160 and not first.X_test.equals(second.X_test)
    assert split(data, 0).X_test.equals(first.X_test)


def _row(table: str, number: int, model: str, rmse: float) -> dict[str, object]:
    scores = {"rmse": rmse, "r2": 0.5}
    return {"table": table, "split": number, "model": model, "wall": 1.0, "cpu": 2.0, "scores": scores}


def test_results_are_read_as_they_were_kept_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "kept" / "results.jsonl"
    for row in (
        _row("diamonds", 0, "lightgbm", 9.0),
        _row("diamonds", 0, "lightgbm", 1.0),
        _row("diamonds", 1, "lightgbm", 3.0),
        _row("diamonds", 0, "linear", 2.0),
        _row("ames", 0, "lightgbm", 4.0),
        _row("ames", 0, "linear", 3.0),
        _row("concrete", 0, "linear", 3.0),
        {"table": "concrete", "split": 0, "model": "lightgbm", "error": "ValueError: no"},
    ):
        results.append(path, row)
    with path.open("a", encoding="utf-8") as file:
        file.write('{"table": "cut sho')
    assert len(results.read([path, tmp_path / "none.jsonl"])) == 7
    models = ["lightgbm", "linear"]
    scores = summary.collect([path], "regression", models)
    assert summary.means(scores["diamonds"]) == {"lightgbm": 1.0, "linear": 2.0}
    assert summary.against(scores, "linear", "lightgbm") == (1, 2)
    placed = summary.ranks(scores, models)
    assert list(placed.index) == ["diamonds", "ames"]
    assert placed["linear"].tolist() == [2.0, 1.0] and placed["lightgbm"].tolist() == [1.0, 2.0]
    assert "| ames | 1 | 4 | **3** | 0.500 |" in summary.each_table(scores, models, "regression")
    assert "| linear | 3 | 1.50 | 1 | 1 of 2 |" in summary.overall(scores, models, "lightgbm")


def test_trainings_with_other_seeds_count_for_parity_alone(tmp_path: Path) -> None:
    path = tmp_path / "seeds.jsonl"
    for seed, (ours, theirs) in enumerate([(1.0, 1.0), (3.0, 2.0), (2.0, 3.0)]):
        results.append(path, {**_row("ames", 0, "schuss-realmlp", ours), "seed": seed})
        results.append(path, {**_row("ames", 0, "pytabkit-td", theirs), "seed": seed})
    told = parity.compare(parity.collect([path], 0), "schuss-realmlp", "pytabkit-td")
    assert "| ames | rmse | 3, 3 | 2 (1 to 3) | 2 (1 to 3) | +0.0 | yes |" in told
    scores = summary.collect([path], "regression", ["schuss-realmlp"])
    assert scores["ames"]["schuss-realmlp"].ranked == {0: 1.0}
