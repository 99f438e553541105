"""Rankers and ratings reach on MovieLens 100k what LightFM and Surprise reach: skipped where the set is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.recommend import movielens, quality, scores
from schuss import recommend

pytest.importorskip("scipy")
pytestmark = pytest.mark.skipif(movielens.folder() is None, reason=f"no MovieLens 100k, see {movielens.__file__}")

# LightFM's defaults, 10 epochs, what is in training left out: precision of the first 10 and AUC, means of five seeds of
# lightfm-next 1.19.0 (docs/recommend.json).
REACHED = {
    ("10 a user", "bpr"): (0.193, 0.879),
    ("10 a user", "warp"): (0.219, 0.927),
    ("10 a user", "warp-kos"): (0.213, 0.899),
    ("a fifth", "bpr"): (0.261, 0.866),
    ("a fifth", "warp"): (0.314, 0.927),
    ("a fifth", "warp-kos"): (0.292, 0.895),
}
# Twice the standard deviations over seeds.
PRECISION, AUC = 0.01, 0.006
SEEDS = range(3)


@pytest.fixture(scope="module")
def ratings() -> movielens.Ratings:
    return movielens.load()


@pytest.mark.parametrize(("split", "loss"), REACHED)
def test_rankers_reach_lightfm(ratings: movielens.Ratings, split: str, loss: str) -> None:
    found, popular = [], []
    for seed in SEEDS:
        train, test = (part.matrix() for part in movielens.SPLITS[split](ratings, seed))
        model = recommend.PairwiseRanker(loss=loss, random_state=seed)
        model.fit(train, epochs=10)
        found.append(scores.lists(quality.representations(model), train, test))
        popular.append(scores.lists(scores.popularity(train), train, test))
    precision, auc = (np.mean([one[key] for one in found]) for key in ("precision", "auc"))
    least = REACHED[split, loss]
    assert precision > least[0] - PRECISION and auc > least[1] - AUC, (precision, auc)
    assert precision > 1.25 * np.mean([one["precision"] for one in popular])


def test_compiled_metrics_are_those_by_hand(ratings: movielens.Ratings) -> None:
    train, test = (part.matrix() for part in movielens.ten_a_user(ratings, 0))
    model = recommend.PairwiseRanker(loss="warp", random_state=0)
    model.fit(train, epochs=3)
    by_hand = scores.lists(quality.representations(model), train, test)
    for name, call in (
        ("precision", recommend.precision_at_k),
        ("recall", recommend.recall_at_k),
        ("ndcg", recommend.ndcg_at_k),
        ("auc", recommend.auc_score),
    ):
        given: dict[str, Any] = {} if name == "auc" else {"k": scores.K}
        found = float(np.mean(call(model, test, train_interactions=train, **given)))
        assert found == pytest.approx(by_hand[name], abs=2e-4), name


def test_lists_leave_out_what_was_seen(ratings: movielens.Ratings) -> None:
    train, _ = (part.matrix() for part in movielens.fifth(ratings, 0))
    model = recommend.PairwiseRanker(loss="bpr", random_state=0)
    model.fit(train, epochs=1)
    every = quality.representations(model)
    seen = train.toarray() > 0
    items, values = model.recommend(k=10)
    every[seen] = -np.inf
    assert not seen[np.arange(943)[:, None], items].any()
    best = -np.sort(-every, axis=1)[:, :10]
    np.testing.assert_allclose(np.take_along_axis(every, items, axis=1), best, atol=1e-5)
    own = model.get_user_representations()[0][:, None]
    np.testing.assert_allclose(values + own, best, atol=1e-5)


def test_ratings_reach_surprise(ratings: movielens.Ratings) -> None:
    errors = []
    for train, test in quality.folds(ratings, 0):
        model = recommend.MatrixFactorization(random_state=0)
        model.fit(train.matrix(positive=False))
        predicted = model.predict(test.users, test.items)
        errors.append(float(np.sqrt(np.mean((predicted - test.values) ** 2))))
    assert np.mean(errors) < 0.938
