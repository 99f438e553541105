"""What a ranker learns from: pairs that were seen, their weights, and features of users and items.

All arrays are private copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arrays import real_array
from .matrices import Compressed, Entries, entries, of_entries

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rows = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[Any]]

# Numbers of users, items and features are 32-bit integers in the core.
MOST = 2**31 - 1
# Pairs of an epoch are counted by 32 bits.
MOST_PAIRS = 2**32 - 1


class Features(NamedTuple):
    """Compressed rows of users or items by features: start, columns, values."""

    shape: tuple[int, int]
    rows: Rows


class Pairs(NamedTuple):
    """What an epoch goes through.

    Attributes
    ----------
    shape : (int, int)
        Users and items.
    users, items : ndarray of int32
    liked : ndarray of uint8
        1 where the value is positive.
    weights : ndarray or None
        Of the ranker's dtype.
    known : Compressed
        The items that each user likes.
    """

    shape: tuple[int, int]
    users: NDArray[np.int32]
    items: NDArray[np.int32]
    liked: NDArray[np.uint8]
    weights: NDArray[Any] | None
    known: Compressed


def pairs(interactions: Any, sample_weight: Any, dtype: np.dtype[Any]) -> Pairs:
    """The pairs of interactions; those of weight 0 are left out of what is learnt from, not of what is known."""
    found = _numbered("interactions", interactions)
    liked = found.values > 0
    chosen = Entries(found.users[liked], found.items[liked], found.values[liked], found.shape)
    weights = _weights(sample_weight, found, dtype)
    users, items, kept = found.users, found.items, liked
    if weights is not None and not weights.all():
        counts = weights > 0
        users, items, kept, weights = users[counts], items[counts], kept[counts], weights[counts]
    return Pairs(
        found.shape,
        users.astype(np.int32),
        items.astype(np.int32),
        kept.astype(np.uint8),
        weights,
        of_entries(chosen, positive=True),
    )


def only_liked(found: Pairs) -> Pairs:
    """Those whose values are positive."""
    if found.liked.all():
        return found
    liked = found.liked.astype(bool)
    return found._replace(
        users=found.users[liked],
        items=found.items[liked],
        liked=found.liked[liked],
        weights=None if found.weights is None else found.weights[liked],
    )


def _numbered(name: str, value: Any) -> Entries:
    found = entries(name, value)
    if max(found.shape) > MOST:
        raise ValueError(f"{name} must have at most {MOST} rows and columns; got shape {found.shape}")
    if len(found.users) > MOST_PAIRS:
        raise ValueError(f"{name} must have at most {MOST_PAIRS} entries; got {len(found.users)}")
    return found


def _weights(given: Any, found: Entries, dtype: np.dtype[Any]) -> NDArray[Any] | None:
    """A matrix with the same entries in the same order, or one number for each entry."""
    if given is None:
        return None
    if hasattr(given, "tocoo") or isinstance(given, tuple):
        same = entries("sample_weight", given)
        if hasattr(given, "tocoo") and same.shape != found.shape:
            raise ValueError(f"sample_weight must have the shape of interactions, {found.shape}; got {same.shape}")
        if not (np.array_equal(same.users, found.users) and np.array_equal(same.items, found.items)):
            raise ValueError("sample_weight must have the entries of interactions, in the same order")
        values = same.values
    else:
        values = real_array("sample_weight", given)
        if values.shape != found.users.shape:
            raise ValueError(f"sample_weight must have shape {found.users.shape}, one each entry; got {values.shape}")
    with np.errstate(over="ignore"):
        values = values.astype(dtype)
    wrong = ~((values >= 0) & np.isfinite(values))
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(f"sample_weight must be finite and not negative; entry {at} is {values[at]} as {dtype}")
    return values


def features(name: str, value: Any, least: int, dtype: np.dtype[Any]) -> Features:
    """Rows of users or items by features, at least so many; values of an entry that is there twice are added up."""
    found = _numbered(name, value)
    if found.shape[0] < least:
        raise ValueError(f"{name} must have a row for each of {least}; got shape {found.shape}")
    start, columns, values, shape = of_entries(found, positive=False)
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(values, dtype)
    wrong = ~np.isfinite(values)
    if wrong.any():
        at = int(wrong.argmax())
        raise ValueError(f"{name} must be finite; column {int(columns[at])} has {values[at]} as {dtype}")
    return Features(shape, (start, np.ascontiguousarray(columns, np.int32), values))
