"""Factorization of ratings beside Surprise, and lists for many users beside implicit and NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import peers
from ..tables import Row, row
from ..timing import Contender, alternate
from .movielens import Ratings

EPOCHS = 20


def factorization(ratings: Ratings, data: str, options: Any, threads: int) -> Row:
    """A whole fit with 100 factors and 20 epochs, which are Surprise's defaults; microseconds of an epoch."""
    peers.note(f"recommend: factorization, threads {threads}")
    from schuss.recommend import MatrixFactorization

    matrix = ratings.matrix(positive=False)

    def fit(calls: int) -> None:
        for _ in range(calls):
            MatrixFactorization(random_state=0).fit(matrix)

    contenders = [Contender("ours", fit, unit=EPOCHS, quiet=True)]
    contenders += peers.built([surprise], ratings)
    times = alternate(contenders, 1.0 if options.quick else 10.0, rounds=7, least_rounds=3)
    return row({"data": data, "factors": "100"}, threads, ["ours"], times, None, None)


def surprise(ratings: Ratings) -> Contender | None:
    module, pandas = peers.module("surprise"), peers.module("pandas")
    if module is None or pandas is None:
        return None
    frame = pandas.DataFrame({"u": ratings.users, "i": ratings.items, "r": ratings.values})
    rows = module.Dataset.load_from_df(frame, module.Reader()).build_full_trainset()

    def fit(calls: int) -> None:
        for _ in range(calls):
            module.SVD(random_state=0).fit(rows)

    return Contender("Surprise", fit, unit=EPOCHS)


@dataclass(frozen=True)
class Lists:
    """The best 10 of all items that a user has not had, for each of so many users."""

    users: int
    items: int
    dim: int
    seen: int
    k: int = 10

    @property
    def label(self) -> dict[str, str]:
        return {"users": str(self.users), "items": str(self.items), "dim": str(self.dim)}

    def measured(self, options: Any, threads: int, limits: Any) -> Row:
        peers.note(f"recommend: {self}, threads {threads}")
        from scipy.sparse import csr_matrix

        rng = np.random.default_rng(0)
        users = np.repeat(np.arange(self.users), self.seen)
        items = rng.integers(0, self.items, len(users))
        train = csr_matrix((np.ones(len(users), np.float32), (users, items)), shape=(self.users, self.items))
        train.data[:] = 1
        contenders = [self.ours(train, threads)]
        contenders += peers.built([self.implicit], train, threads)
        contenders.append(self.numpy(train))
        times = alternate(contenders, 1.0 if options.quick else 6.0)
        operations = 2.0 * self.users * self.items * self.dim
        return row(self.label, threads, ["ours"], times, limits.arithmetic(operations) / self.users, None)

    def ours(self, train: Any, threads: int) -> Contender:
        from schuss.recommend import PairwiseRanker

        model = PairwiseRanker(no_components=self.dim, loss="bpr", random_state=0, batch_size=256)
        model.fit(train, epochs=1, num_threads=threads)

        def run(calls: int) -> None:
            for _ in range(calls):
                model.recommend(k=self.k)

        return Contender("ours", run, unit=self.users, quiet=True)

    def implicit(self, train: Any, threads: int) -> Contender | None:
        module = peers.module("implicit.bpr")
        if module is None:
            return None
        # One of its factors is the items' bias.
        model = module.BayesianPersonalizedRanking(factors=self.dim, iterations=1, num_threads=threads, random_state=0)
        model.fit(train, show_progress=False)
        everybody = np.arange(self.users)

        def run(calls: int) -> None:
            for _ in range(calls):
                model.recommend(everybody, train, N=self.k)

        return Contender("implicit", run, unit=self.users)

    def numpy(self, train: Any) -> Contender:
        """500 users at a time: a product, what was seen put last, a partial sort, a sort."""
        rng = np.random.default_rng(0)
        users, items = (rng.normal(size=(n, self.dim)).astype(np.float32) for n in (self.users, self.items))
        bias = rng.normal(size=self.items).astype(np.float32)

        def run(calls: int) -> None:
            for _ in range(calls):
                for start in range(0, self.users, 500):
                    scores = users[start : start + 500] @ items.T + bias
                    part = train[start : start + 500]
                    scores[np.repeat(np.arange(part.shape[0]), np.diff(part.indptr)), part.indices] = -np.inf
                    best = np.argpartition(scores, -self.k, axis=1)[:, -self.k :]
                    order = np.argsort(-np.take_along_axis(scores, best, axis=1), axis=1)
                    np.take_along_axis(best, order, axis=1)

        return Contender("NumPy", run, unit=self.users)


LISTS = (Lists(943, 1682, 10, 80), Lists(5000, 50_000, 64, 50))
