"""Which rows train and which validate, for each member of an ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Fold = tuple[NDArray[np.int64], NDArray[np.int64]]


def held_out(rows: int, fraction: float) -> int:
    """How many of so many rows validate, for a fraction in [0, 1): 0 where it is less than a row."""
    return int(rows * fraction + 1e-9)


def folds(rows: int, fraction: float, members: int, seed: int, labels: NDArray[np.int64] | None = None) -> list[Fold]:
    """Numbers of the rows that train and that validate, both rising, for each member.

    The members hold out other rows each, as in cross-validation, as long as there are rows that none has held out yet;
    then other draws follow. Every row trains some member where there are several.

    Parameters
    ----------
    rows : int
    fraction : float
        Of the rows that validate, as `held_out` takes it.
    members : int
    seed : int
        What the draws follow from.
    labels : (rows,) int64, optional
        Classes: each is split in the same proportion, to within a row, and none is left without a row to train on.
    """
    held = held_out(rows, fraction)
    if held == 0:
        return [(np.arange(rows), np.arange(0))] * members
    # So many folds are disjoint.
    each = max(1, rows // held)
    found: list[Fold] = []
    for member in range(members):
        draw, part = divmod(member, each)
        # Named, since the stream of this generator is documented to stay what it is.
        order = np.random.Generator(np.random.PCG64([seed, draw])).permutation(rows)
        if labels is not None:
            order = order[np.argsort(labels[order], kind="stable")]
        chosen = np.zeros(rows, bool)
        # Places at equal distances in an order sorted by class take the right share of every class.
        places = (np.arange(held) * rows + part * rows // each) // held
        chosen[order[np.minimum(places, rows - 1)]] = True
        if labels is not None:
            for label in np.setdiff1d(labels, labels[~chosen]):
                chosen[np.argmax(labels == label)] = False
        found.append((np.flatnonzero(~chosen), np.flatnonzero(chosen)))
    return found
