"""How good lists and ratings of MovieLens 100k are: ours, LightFM's, implicit's, Surprise's and what is popular.

``python -m benchmarks.recommend.quality RESULTS.json``: some minutes of one core. Every seed splits the ratings anew
and draws the start anew. What the file already has is not measured again.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .. import peers
from . import movielens, scores

SEEDS = range(5)
EPOCHS = 10
FOLDS = 5

Ranked = Callable[[Any, int], Any]


def _lightfm(loss: str) -> Ranked:
    def fitted(train: Any, seed: int) -> Any:
        model = peers.module("lightfm").LightFM(loss=loss, random_state=seed)
        model.fit(train, epochs=EPOCHS, num_threads=1)
        return representations(model)

    return fitted


def _ours(loss: str, batch_size: int | None = None) -> Ranked:
    def fitted(train: Any, seed: int) -> Any:
        from schuss.recommend import PairwiseRanker

        model = PairwiseRanker(loss=loss, random_state=seed, batch_size=batch_size)
        model.fit(train, epochs=EPOCHS)
        return representations(model)

    return fitted


def representations(model: Any) -> Any:
    """All scores of a model with LightFM's methods."""
    (user_biases, users), (item_biases, items) = model.get_user_representations(), model.get_item_representations()
    return np.asarray(users, np.float64) @ np.asarray(items, np.float64).T + item_biases + user_biases[:, None]


def _implicit(kind: str, **options: Any) -> Ranked:
    def fitted(train: Any, seed: int) -> Any:
        make = getattr(
            peers.module(f"implicit.{kind}"),
            {"als": "AlternatingLeastSquares", "bpr": "BayesianPersonalizedRanking"}[kind],
        )
        model = make(random_state=seed, num_threads=1, **options)
        model.fit(train, show_progress=False)
        return np.asarray(model.user_factors, np.float64) @ np.asarray(model.item_factors, np.float64).T

    return fitted


def _popular(train: Any, seed: int) -> Any:
    return scores.popularity(train)


# What each needs to be installed, and how it gives all scores after training with a seed.
RANKERS: dict[str, tuple[str, Ranked]] = {
    "popularity": ("numpy", _popular),
    "LightFM bpr": ("lightfm", _lightfm("bpr")),
    "LightFM warp": ("lightfm", _lightfm("warp")),
    "LightFM warp-kos": ("lightfm", _lightfm("warp-kos")),
    "ours bpr": ("schuss.recommend", _ours("bpr")),
    "ours warp": ("schuss.recommend", _ours("warp")),
    "ours warp-kos": ("schuss.recommend", _ours("warp-kos")),
    "ours bpr, batches of 256": ("schuss.recommend", _ours("bpr", 256)),
    "implicit BPR, 10 factors, 10 epochs": ("implicit", _implicit("bpr", factors=10, iterations=10)),
    "implicit BPR, 100 factors, 100 epochs": ("implicit", _implicit("bpr", factors=100, iterations=100)),
    "implicit ALS, 32 factors, 15 sweeps": ("implicit", _implicit("als", factors=32, iterations=15)),
}


def ranked(name: str, split: str, ratings: movielens.Ratings) -> dict[str, Any]:
    """All figures of one in one split, seed by seed, and the CPU seconds of the trainings."""
    fit = RANKERS[name][1]
    found: dict[str, Any] = {"left out": [], "left in": [], "seconds": []}
    for seed in SEEDS:
        train, test = (part.matrix() for part in movielens.SPLITS[split](ratings, seed))
        start = time.process_time()
        of_all = fit(train, seed)
        found["seconds"].append(round(time.process_time() - start, 3))
        for key, leave_out in (("left out", True), ("left in", False)):
            found[key].append(
                {name: round(value, 4) for name, value in scores.lists(of_all, train, test, leave_out).items()}
            )
    return found


def folds(ratings: movielens.Ratings, seed: int) -> Iterator[tuple[movielens.Ratings, movielens.Ratings]]:
    """Five parts, each once the test: those of Surprise's KFold(random_state=seed)."""
    order = np.arange(len(ratings))
    np.random.RandomState(seed).shuffle(order)
    for part in np.array_split(order, FOLDS):
        tested = np.zeros(len(ratings), bool)
        tested[part] = True
        yield ratings.halves(tested)


def _surprise(kind: str) -> Callable[..., Any]:
    def predicted(train: movielens.Ratings, test: movielens.Ratings, seed: int) -> Any:
        surprise = peers.module("surprise")
        frame = peers.module("pandas").DataFrame({"u": train.users, "i": train.items, "r": train.values})
        rows = surprise.Dataset.load_from_df(frame, surprise.Reader()).build_full_trainset()
        model = surprise.SVD(random_state=seed) if kind == "SVD" else surprise.BaselineOnly(verbose=False)
        model.fit(rows)
        return [model.predict(u, i).est for u, i in zip(test.users.tolist(), test.items.tolist(), strict=True)]

    return predicted


def _factorized(train: movielens.Ratings, test: movielens.Ratings, seed: int) -> Any:
    from schuss.recommend import MatrixFactorization

    model = MatrixFactorization(random_state=seed)
    model.fit(train.matrix(positive=False))
    return model.predict(test.users, test.items)


RATERS: dict[str, tuple[str, Callable[..., Any]]] = {
    "Surprise baseline": ("surprise", _surprise("baseline")),
    "Surprise SVD": ("surprise", _surprise("SVD")),
    "ours": ("schuss.recommend", _factorized),
}


def rated(name: str, ratings: movielens.Ratings) -> dict[str, Any]:
    """The mean over the folds of the root mean squared error, seed by seed."""
    found: dict[str, Any] = {"rmse": [], "seconds": []}
    for seed in SEEDS:
        errors, start = [], time.process_time()
        for train, test in folds(ratings, seed):
            wrong = np.asarray(RATERS[name][1](train, test, seed)) - test.values
            errors.append(float(np.sqrt(np.mean(wrong**2))))
        found["rmse"].append(round(float(np.mean(errors)), 4))
        found["seconds"].append(round((time.process_time() - start) / FOLDS, 3))
    return found


def measure(path: Path) -> dict[str, Any]:
    """All that the file does not have yet and that can be measured here; it is written after each."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    ratings = movielens.load()
    work: list[tuple[str, str, str, Callable[[], dict[str, Any]]]] = [
        (split, name, needs, lambda name=name, split=split: ranked(name, split, ratings))  # type: ignore[misc]
        for split in movielens.SPLITS
        for name, (needs, _) in RANKERS.items()
    ]
    work += [
        ("ratings", name, needs, lambda name=name: rated(name, ratings))  # type: ignore[misc]
        for name, (needs, _) in RATERS.items()
    ]
    for part, name, needs, call in work:
        of_part = found.setdefault(part, {})
        if name in of_part or peers.module(needs) is None:
            continue
        of_part[name] = call()
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        print(told(part, name, of_part[name]), flush=True)
    return found


def told(part: str, name: str, own: dict[str, Any]) -> str:
    """A row of the tables in docs/recommend.md: means and spread over the seeds."""
    seconds = f"{np.median(own['seconds']):.2f}"
    if "rmse" in own:
        return f"| {name} | {spread(own['rmse'])} | {seconds} |"
    cells = [spread([one[key] for one in own["left out"]]) for key in ("precision", "recall", "ndcg", "auc")]
    inside = [f"{np.mean([one[key] for one in own['left in']]):.3f}" for key in ("precision", "auc")]
    return f"| {name} | {' | '.join(cells)} | {' | '.join(inside)} | {seconds} |"


def spread(values: Any) -> str:
    """The mean and the standard deviation."""
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"


if __name__ == "__main__":
    measure(Path(sys.argv[1]))
