"""Rankings and their metrics, read off their definitions, user by user."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def order_of(scores: Array, left_out: Array) -> Array:
    """A user's items that are not left out, the best first, equal ones by number."""
    order = np.argsort(-scores.astype(np.float64), kind="stable")
    return order[~left_out[order]]


def best(scores: Array, left_out: Array, k: int) -> tuple[Array, Array]:
    """The first k of each user, -1 and NaN where there are fewer."""
    items, values = np.full((len(scores), k), -1), np.full((len(scores), k), np.nan, scores.dtype)
    for row, (own, out) in enumerate(zip(scores, left_out, strict=True)):
        found = order_of(own, out)[:k]
        items[row, : len(found)], values[row, : len(found)] = found, own[found]
    return items, values


def metric(name: str, scores: Array, test: Array, left_out: Array, k: int, graded: bool = False) -> Array:
    """Of each user; test: gains, of which those greater than 0 are positives."""
    return np.array([_of_user(name, *row, k, graded) for row in zip(scores, test, left_out, strict=True)])


def _of_user(name: str, scores: Array, test: Array, left_out: Array, k: int, graded: bool) -> float:
    positive = (test > 0) & ~left_out
    first = order_of(scores, left_out)[:k]
    hits = int(positive[first].sum())
    if name == "precision":
        return hits / k
    if name == "recall":
        return hits / positive.sum() if positive.any() else 0.0
    if name == "ndcg":
        gains = np.where(positive, test if graded else 1.0, 0.0)
        ideal = np.sort(gains)[::-1][:k]
        most = float((ideal / np.log2(np.arange(len(ideal)) + 2)).sum())
        return float((gains[first] / np.log2(np.arange(len(first)) + 2)).sum()) / most if most else 0.0
    others = scores[~positive & ~left_out]
    if not positive.any() or not others.size:
        return 0.5
    above = (scores[positive][:, None] > others).mean()
    return float(above + (scores[positive][:, None] == others).mean() / 2)
