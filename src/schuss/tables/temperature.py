"""Calibration: the one number that all logits are divided by, found on rows that the networks have not learned from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

# Temperatures between which one is looked for.
_LOW, _HIGH = 0.05, 20.0
_GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
# Of the logarithm of the temperature.
_ACCURACY = 1e-4


def log_loss(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], weights: NDArray[np.float64] | None = None
) -> float:
    """The weighted mean of -log p of each row's label; p counts as at least the smallest normal number."""
    of_label = probabilities[np.arange(len(labels)), labels]
    return float(np.average(-np.log(np.maximum(of_label, np.finfo(np.float64).tiny)), weights=weights))


def best_temperature(
    probabilities: Callable[[float], NDArray[np.float64]],
    labels: NDArray[np.int64],
    weights: NDArray[np.float64] | None = None,
) -> float:
    """The temperature T of the least log loss.

    A term of (log T)^2 / 2 rows is added to the mean, as if log T were normally distributed beforehand: few rows, or
    rows all of which are right, do not drive T to its bounds. The result has no higher log loss than T = 1.

    Parameters
    ----------
    probabilities : callable
        T -> probabilities (rows, classes) of the rows.
    labels : (rows,) int64
    weights : (rows,) float64, optional
    """
    rows = float(len(labels) if weights is None else (weights > 0).sum())

    def cost(logarithm: float) -> float:
        return log_loss(probabilities(math.exp(logarithm)), labels, weights) + logarithm * logarithm / (2.0 * rows)

    low, high = math.log(_LOW), math.log(_HIGH)
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = cost(left), cost(right)
    while high - low > _ACCURACY:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = cost(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = cost(right)
    found = (low + high) / 2.0
    return math.exp(found) if cost(found) < cost(0.0) else 1.0
