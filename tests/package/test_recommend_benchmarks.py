"""What the benchmarks of recommenders and of rare features say of themselves."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import rare_features, table_size
from benchmarks.limits import Limits
from benchmarks.recommend import linear, movielens, quality, rankers, ratings, scores
from benchmarks.tables import Result, table

pytest.importorskip("scipy")
DOCS = Path(__file__).parents[2] / "docs"


def test_splits_are_what_they_say() -> None:
    ratings = movielens.made_up()
    assert len(ratings) == movielens.N_RATINGS and ratings.matrix().nnz == len(ratings)
    assert set(ratings.values) == {1, 2, 3, 4, 5}
    assert ratings.matrix().getnnz(axis=1).min() > 10
    for split in movielens.SPLITS.values():
        train, test = (part.matrix() for part in split(ratings, 0))
        assert train.multiply(test).nnz == 0 and train.nnz + test.nnz == len(ratings)
    assert (movielens.ten_a_user(ratings, 1)[1].matrix().getnnz(axis=1) == 10).all()
    assert len(movielens.fifth(ratings, 1)[1]) == len(ratings) // 5
    tested = [test for _, test in quality.folds(ratings, 0)]
    assert sum(map(len, tested)) == len(ratings) and len({len(test) for test in tested}) == 1


def test_the_set_is_found_where_the_variable_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float", "1\t1682\t3\t881250949", "943\t2\t5\t0"]
    (tmp_path / "ml-100k.inter").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv(movielens.VARIABLE, str(tmp_path))
    found = movielens.load()
    assert found.users.tolist() == [0, 942] and found.items.tolist() == [1681, 1] and found.values.tolist() == [3, 5]


def test_scores_by_hand() -> None:
    from scipy.sparse import csr_matrix

    of_all = np.arange(20.0)[::-1][None, :].repeat(2, axis=0)  # item 0 is the best
    train, test = np.zeros((2, 20)), np.zeros((2, 20))
    train[0, [0, 1]] = 1
    test[0, [2, 13]] = 1
    found = scores.lists(of_all, csr_matrix(train), csr_matrix(test))  # the second user has no test
    assert found["precision"] == 0.1 and found["recall"] == 0.5
    assert found["auc"] == pytest.approx((16 + 6) / 2 / 16)
    assert found["ndcg"] == pytest.approx(1 / (1 + 1 / math.log2(3)))
    left_in = scores.lists(of_all, csr_matrix(train), csr_matrix(test), leave_out=False)
    assert left_in["auc"] == pytest.approx((16 + 6) / 2 / 18) and left_in["precision"] == 0.1
    assert scores.lists(0 * of_all, csr_matrix(train), csr_matrix(test))["auc"] == 0.5


def test_made_up_rows_are_rare_and_the_truth_is_best() -> None:
    rows = rare_features.made_up(2000, 1.1)(0)
    counts = np.diff(rows.training[0].tocsc().indptr)
    assert np.mean(counts < 50) > 0.5 and counts[0] > 5000
    y = rows.test[1]
    assert rows.truth < rare_features.log_loss(np.zeros(len(y)), y) - 0.05
    z = np.array([1.0, -2.0, 800.0])
    assert rare_features.log_loss(z, np.array([1, 0, 1.0])) == pytest.approx(np.mean(np.log1p(np.exp([-1, -2, -800]))))


def test_runs_learn_are_noted_and_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = rare_features.made_up(200, 1.1)

    def short(seed: int) -> rare_features.Split:
        found = whole(seed)
        parts = [(X[:500], y[:500]) for X, y in (found.training, found.validation, found.test)]
        return rare_features.Split(parts[0], parts[1], parts[2], found.truth)

    problem = rare_features.Problem(short, 4)
    run = problem.run("AdaGrad", 0.1, 0)
    assert run["error"] < 0.7 and run == problem.run("AdaGrad", 0.1, 0)
    monkeypatch.setattr(rare_features, "PROBLEMS", {"one": problem, "two": rare_features.Problem(short, 0)})
    monkeypatch.setattr(rare_features, "REPORTED", range(2))
    monkeypatch.setattr(rare_features, "EPOCHS", 2)
    pytest.importorskip("matplotlib")
    rare_features.main(str(tmp_path / "results.json"), str(tmp_path / "picture.png"))
    noted = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert set(noted["one"]) == set(rare_features.ENTRANTS) and "RowAdaGrad" not in noted["two"]
    assert (tmp_path / "picture.png").stat().st_size > 5000
    monkeypatch.setattr(rare_features, "best_rate", None)  # what is there is not measured again
    rare_features.main(str(tmp_path / "results.json"))


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
def test_tables_of_any_size_are_stepped_and_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(table_size, "SIZES", (50, 400))
    monkeypatch.setattr(table_size, "MOST_WHOLE", 100)
    monkeypatch.setattr(table_size, "STEPS", 2)
    monkeypatch.setattr(table_size, "SECONDS", 0.02)
    assert table_size.codes(50).min() >= 0 and 40 < table_size.codes(50).max() < 50
    table_size.main(str(tmp_path / "results.json"), str(tmp_path / "picture.png"))
    noted = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert {"ours, lazy", "ours, exact"} <= set(noted["400"]) == set(noted["50"]) - {"ours, whole table"}
    assert (tmp_path / "picture.png").stat().st_size > 5000


@pytest.mark.filterwarnings("ignore:Sparse invariant checks:UserWarning")
def test_small_work_is_measured() -> None:
    options, limits = SimpleNamespace(quick=True), Limits(1, 0.001)
    found = Result("small", baselines=["torch", "NumPy"])
    found.rows.append(rankers.Steps(50, 4, 8, count=5).measured(options, 1, limits))
    found.rows.append(ratings.Lists(20, 30, 4, 5).measured(options, 1, limits))
    assert all(np.isfinite(value) and value > 0 for row in found.rows for own in row.samples.values() for value in own)
    assert "of limit" in table(found).text()


def test_ours_and_theirs_learn_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr(linear, "HELD", 500)
    given = linear.data(2000, 500)
    for make in linear.MAKERS:
        one = make(given)
        one.run(3)
        assert np.mean((one.logits() > 0) == (given.y_held > 0)) > 0.6, one.name
    assert linear.compared({"ours": [(0.6, 1.0), (0.5, 2.0)], "SGDClassifier": [(0.7, 1.0), (0.55, 8.0)]}) == [
        "To 0.5500: ours 2.000, SGDClassifier 8.000 CPU seconds, 4.0 times as long."
    ]


def _rows(name: str) -> list[str]:
    noted: dict[str, dict[str, Any]] = json.loads((DOCS / name).read_text(encoding="utf-8"))
    return [
        rare_features.told(entrant, of_part) if name == "rare_features.json" else quality.told(part, entrant, own)
        for part, of_part in noted.items()
        for entrant, own in of_part.items()
    ]


@pytest.mark.parametrize(("page", "name"), [("recommend.md", "recommend.json"), ("sparse.md", "rare_features.json")])
def test_pages_have_the_numbers_that_are_noted(page: str, name: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    for row in _rows(name):
        assert row in text, row
