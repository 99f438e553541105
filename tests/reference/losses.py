"""Losses: the weighted mean over rows and its gradient with respect to the prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .activations import sigmoid, softmax

Array = NDArray[Any]

FUSED = {
    "cross_entropy": "softmax",
    "focal": "softmax",
    "binary_cross_entropy": "sigmoid",
    "binary_focal": "sigmoid",
    "poisson": "exp",
    "gamma": "exp",
    "tweedie": "exp",
}
PARAMETER = {"huber": 1.0}


def rows(kind: str, parameter: float, prediction: Array, target: Array) -> tuple[Array, Array]:
    """The loss of each row, and the gradient of each row's loss. Cross-entropies take logits, poisson log rates."""
    z = prediction
    n_out = z.shape[1]
    if kind == "gaussian":
        n = n_out // 2
        r = (z[:, :n] - target) * np.exp(-z[:, n:])
        slopes = np.concatenate([r * np.exp(-z[:, n:]), 1 - r * r], axis=1)
        return (0.5 * r * r + z[:, n:]).mean(axis=1), slopes / n
    if kind == "focal":
        p = softmax(z)
        own = p[np.arange(len(z)), target]
        rest = 1 - own
        factor = rest**parameter - parameter * own * rest ** (parameter - 1) * np.log(own)
        return -(rest**parameter) * np.log(own), factor[:, None] * (p - np.eye(n_out)[target])
    if kind == "cross_entropy":
        if np.issubdtype(target.dtype, np.integer):
            target = np.eye(n_out, dtype=z.dtype)[target]
        q = (1 - parameter) * target + parameter / n_out
        shifted = z - z.max(axis=1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return -(q * log_p).sum(axis=1), softmax(z) * q.sum(axis=1, keepdims=True) - q
    d = z - target
    if kind == "mse":
        value, gradient = d * d, 2 * d
    elif kind == "mae":
        value, gradient = np.abs(d), np.sign(d)
    elif kind == "huber":
        inside = np.abs(d) <= parameter
        value = np.where(inside, 0.5 * d * d, parameter * (np.abs(d) - 0.5 * parameter))
        gradient = np.where(inside, d, parameter * np.sign(d))
    elif kind == "binary_cross_entropy":
        value = np.maximum(z, 0) - z * target + np.log1p(np.exp(-np.abs(z)))
        gradient = sigmoid(z) - target
    elif kind == "binary_focal":
        p = np.where(target == 1, sigmoid(z), sigmoid(-z))
        value = -((1 - p) ** parameter) * np.log(p)
        factor = (1 - p) ** parameter - parameter * p * (1 - p) ** (parameter - 1) * np.log(p)
        gradient = factor * (sigmoid(z) - target)
    elif kind == "quantile":
        value = np.where(d > 0, (1 - parameter) * d, -parameter * d)
        gradient = np.where(d > 0, 1 - parameter, -parameter)
    elif kind == "gamma":
        value, gradient = target * np.exp(-z) + z, 1 - target * np.exp(-z)
    elif kind == "tweedie":
        one, two = 1 - parameter, 2 - parameter
        value = np.exp(two * z) / two - target * np.exp(one * z) / one
        gradient = np.exp(two * z) - target * np.exp(one * z)
    elif kind == "poisson":
        value, gradient = np.exp(z) - target * z, np.exp(z) - target
    else:
        raise ValueError(kind)
    return value.mean(axis=1), gradient / n_out


def value_and_gradient(
    kind: str, parameter: float, prediction: Array, target: Array, weights: Array | None = None
) -> tuple[float, Array]:
    """sum_i w_i l_i / sum_i w_i and its gradient; both zero where all weights are."""
    w = np.ones(len(prediction)) if weights is None else weights
    total = float(w.sum())
    gradient = np.zeros_like(prediction)
    if total == 0:
        return 0.0, gradient
    kept = w > 0  # a row without weight is as good as not there, whatever it holds
    values, slopes = rows(kind, parameter, prediction[kept], target[kept])
    gradient[kept] = slopes * (w[kept] / total)[:, None]
    return float((w[kept] * values).sum() / total), gradient
