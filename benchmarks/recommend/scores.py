"""Precision and AUC of lists, for whoever can tell all scores: one definition for everybody.

What a user had in training takes no part: neither on a list, nor among what should stand below. Users without anything
in the test are left out of the means.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

K = 10


def lists(scores: NDArray[Any], train: Any, test: Any, leave_out: bool = True) -> Mapping[str, float]:
    """Means over the users.

    Parameters
    ----------
    scores : array (users, items)
    train, test : CSR matrices (users, items)
        What is positive.
    leave_out : bool
        Whether what is in training takes no part. Published figures often leave it in.

    Returns
    -------
    dict
        precision: the share of the first `K` that is in the test. recall: the share of the test that is among them.
        ndcg: with gains of 1 and the best possible as the unit. auc: how often something of the test stands above
        something that is in neither (with training left in: that is not in the test); a tie is half.
    """
    seen = train.toarray() > 0
    wanted = test.toarray() > 0
    found: dict[str, list[float]] = {"precision": [], "recall": [], "ndcg": [], "auc": []}
    gains = 1 / np.log2(np.arange(2, K + 2))
    for own, had, hits in zip(np.asarray(scores, np.float64), seen, wanted, strict=True):
        if not hits.any():
            continue
        own = np.where(had, -np.inf, own) if leave_out else own
        first = np.argsort(-own, kind="stable")[:K]
        right = hits[first]
        found["precision"].append(right.mean())
        found["recall"].append(right.sum() / hits.sum())
        found["ndcg"].append((gains * right).sum() / gains[: hits.sum()].sum())
        others = np.sort(own[~hits & ~had] if leave_out else own[~hits])
        below = np.searchsorted(others, own[hits], "left") + np.searchsorted(others, own[hits], "right")
        found["auc"].append(below.mean() / (2 * len(others)))
    return {name: float(np.mean(values)) for name, values in found.items()}


def popularity(train: Any) -> NDArray[np.float64]:
    """The same scores for everybody: how many had it."""
    counts = np.asarray((train > 0).sum(axis=0), np.float64)
    return np.repeat(counts.reshape(1, -1), train.shape[0], axis=0)
