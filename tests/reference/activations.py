"""Activations and their derivatives, from the value before the activation. See csrc/schuss.h for the names."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ELEMENTWISE = ("identity", "relu", "leaky_relu", "elu", "sigmoid", "tanh", "gelu", "silu", "softplus", "exp")
ALPHA = {"leaky_relu": 0.01, "elu": 1.0}


def erfc(x: Array) -> Array:
    flat = [math.erfc(v) for v in np.asarray(x, dtype=float).ravel()]
    return np.array(flat, dtype=float).reshape(np.shape(x)).astype(np.asarray(x).dtype)


def sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + e), e / (1 + e)))


def softmax(x: Array) -> Array:
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def forward(name: str, x: Array, alpha: float = 0.0) -> Array:
    """act(x); softmax over the last axis."""
    if name == "identity":
        return x.copy()
    if name == "relu":
        return np.maximum(x, 0)
    if name == "leaky_relu":
        return np.where(x < 0, alpha * x, x)
    if name == "elu":
        return np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)
    if name == "sigmoid":
        return sigmoid(x)
    if name == "tanh":
        return np.asarray(np.tanh(x))
    if name == "gelu":
        return np.asarray(0.5 * x * erfc(-x / math.sqrt(2)))
    if name == "silu":
        return np.asarray(x * sigmoid(x))
    if name == "softplus":
        return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))
    if name == "exp":
        return np.asarray(np.exp(x))
    if name == "softmax":
        return softmax(x)
    raise ValueError(name)


def derivative(name: str, x: Array, alpha: float = 0.0) -> Array:
    """act'(x), element by element; at the kink of relu and leaky_relu the slope of the negative side."""
    if name == "identity":
        return np.ones_like(x)
    if name == "relu":
        return (x > 0).astype(x.dtype)
    if name == "leaky_relu":
        return np.where(x > 0, 1.0, alpha).astype(x.dtype)
    if name == "elu":
        return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))).astype(x.dtype)
    if name == "sigmoid":
        return np.asarray(sigmoid(x) * sigmoid(-x))
    if name == "tanh":
        return np.asarray(1 - np.tanh(x) ** 2)
    if name == "gelu":
        return np.asarray(0.5 * erfc(-x / math.sqrt(2)) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))
    if name == "silu":
        s = sigmoid(x)
        return np.asarray(s * (1 + x * sigmoid(-x)))
    if name == "softplus":
        return sigmoid(x)
    if name == "exp":
        return np.asarray(np.exp(x))
    raise ValueError(name)


def backward(name: str, x: Array, d: Array, alpha: float = 0.0) -> Array:
    """d(loss)/dx from d = d(loss)/d(act(x))."""
    if name == "softmax":
        y = softmax(x)
        return np.asarray(y * (d - (d * y).sum(axis=-1, keepdims=True)))
    return np.asarray(d * derivative(name, x, alpha))
