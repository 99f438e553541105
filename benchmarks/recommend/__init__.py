"""Recommenders and rare features: epochs, steps of batches, whole fits and lists, beside those who do the same."""

from __future__ import annotations

from typing import Any

from ..limits import Limits
from ..tables import Result
from . import linear, movielens, rankers, ratings


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    here = movielens.folder() is not None
    of_all = movielens.load() if here else movielens.made_up()
    data = "ML-100k" if here else "made up, as large"
    found = [_epochs(of_all, data, options, threads), _steps(options, threads, limits), linear.result(options, threads)]
    factors = Result("Factorization of ratings", baselines=["Surprise"])
    factors.rows.append(ratings.factorization(of_all, data, options, threads))
    factors.notes = [
        "Microseconds of an epoch in a whole fit of 20 with 100 factors: rates 0.005, penalties 0.02, normal start; "
        "ours is "
        "MatrixFactorization, with what it checks; Surprise's trainset is made before."
    ]
    lists = Result("Lists", baselines=["implicit", "NumPy"])
    lists.rows += [one.measured(options, threads, limits) for one in ratings.LISTS]
    lists.notes = [
        "Microseconds a user: the best 10 items, best first, without what a user has had, for all users in one call. "
        "limit: the products of all pairs alone.",
        *limits.seen(),
    ]
    return [*found, factors, lists]


def _epochs(of_all: movielens.Ratings, data: str, options: Any, threads: int) -> Result:
    found = Result("An epoch of a ranker", baselines=["LightFM"])
    train, _ = movielens.fifth(of_all, 0)
    found.rows += rankers.epochs(train.matrix(), data, options, threads)
    found.notes = [
        f"Microseconds of an epoch over {len(train)} samples in fit_partial with many epochs; 10 components, AdaGrad, "
        "LightFM's defaults. ours and LightFM: a step a sample; with two threads LightFM's race and ours do not: a "
        f"step a sample is one thread's work. ours: batches: steps of {rankers.BATCH} samples, all from the values "
        "before; a different training, beside. implicit: BPR by plain SGD with 10 factors, a different training too, "
        "not among those that best is chosen from."
    ]
    return found


def _steps(options: Any, threads: int, limits: Limits) -> Result:
    found = Result("Steps of BPR with AdaGrad", baselines=["torch"])
    found.rows += [steps.measured(options, threads, limits) for steps in rankers.STEPS]
    found.notes = [
        "Microseconds of a step of a batch: negatives drawn, gradients of a user's and two items' rows, AdaGrad on "
        "touched rows. ours: PairwiseRanker(batch_size=...), which has biases too and draws no known positive as a "
        "negative; torch: Embedding(sparse=True) and Adagrad, negatives by randint. Users and items are drawn evenly. "
        "limit: three rows a sample and their sums, read and written once, at the rate of a bare loop over as much "
        "memory as tables and sums take, in order. bare: the same rows in the order of the samples, each with its "
        "sums behind it, read and written by a loop in C that adds a constant (`rows.c`), in turns with the others.",
        *limits.seen(),
    ]
    return found
