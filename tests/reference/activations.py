"""Activations and their derivatives, from the value before the activation. See csrc/schuss.h for the names."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ELEMENTWISE = (
    "identity", "relu", "leaky_relu", "elu", "selu", "sigmoid", "tanh", "gelu", "silu", "mish", "hard_swish",
    "softplus", "exp",
)  # fmt: skip
ALPHA = {"leaky_relu": 0.01, "elu": 1.0}
SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848
#: Where an activation is not smooth, of some only for some alpha.
KINKS: dict[str, tuple[float, ...]] = {
    "relu": (0.0,), "leaky_relu": (0.0,), "elu": (0.0,), "selu": (0.0,), "hard_swish": (-3.0, 3.0)
}  # fmt: skip


def erfc(x: Array) -> Array:
    flat = [math.erfc(v) for v in np.asarray(x, dtype=float).ravel()]
    return np.array(flat, dtype=float).reshape(np.shape(x)).astype(np.asarray(x).dtype)


def sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1 / (1 + e), e / (1 + e)))


def softplus(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


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
    if name == "selu":
        return np.asarray(SELU_SCALE * np.where(x < 0, SELU_ALPHA * np.expm1(np.minimum(x, 0)), x))
    if name == "sigmoid":
        return sigmoid(x)
    if name == "tanh":
        return np.asarray(np.tanh(x))
    if name == "gelu":
        return np.asarray(0.5 * x * erfc(-x / math.sqrt(2)))
    if name == "silu":
        return np.asarray(x * sigmoid(x))
    if name == "mish":
        return np.asarray(x * np.tanh(softplus(x)))
    if name == "hard_swish":
        return np.asarray(x * (np.clip(x + 3, 0, 6) / 6))
    if name == "softplus":
        return softplus(x)
    if name == "exp":
        return np.asarray(np.exp(x))
    if name == "softmax":
        return softmax(x)
    raise ValueError(name)


def derivative(name: str, x: Array, alpha: float = 0.0) -> Array:
    """act'(x), element by element; at a kink that of the negative side, of hard_swish that of the straight one."""
    if name == "identity":
        return np.ones_like(x)
    if name == "relu":
        return (x > 0).astype(x.dtype)
    if name == "leaky_relu":
        return np.where(x > 0, 1.0, alpha).astype(x.dtype)
    if name == "elu":
        return np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))).astype(x.dtype)
    if name == "selu":
        return np.asarray(SELU_SCALE * np.where(x > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(x, 0))).astype(x.dtype))
    if name == "sigmoid":
        return np.asarray(sigmoid(x) * sigmoid(-x))
    if name == "tanh":
        return np.asarray(1 - np.tanh(x) ** 2)
    if name == "gelu":
        return np.asarray(0.5 * erfc(-x / math.sqrt(2)) + x * np.exp(-x * x / 2) / math.sqrt(2 * math.pi))
    if name == "silu":
        s = sigmoid(x)
        return np.asarray(s * (1 + x * sigmoid(-x)))
    if name == "mish":
        s = softplus(x)
        return np.asarray(np.tanh(s) + x * sigmoid(x) / np.cosh(np.minimum(s, 350)) ** 2)
    if name == "hard_swish":
        return np.where(np.abs(x) < 3, x / 3 + 0.5, x > 0).astype(x.dtype)
    if name == "softplus":
        return sigmoid(x)
    if name == "exp":
        return np.asarray(np.exp(x))
    raise ValueError(name)


def in_torch(torch: Any) -> dict[str, Callable[[Any], Any]]:
    """The same by torch, with alpha from ALPHA."""
    f = torch.nn.functional
    return {
        "identity": lambda z: z,
        "relu": f.relu,
        "leaky_relu": lambda z: f.leaky_relu(z, ALPHA["leaky_relu"]),
        "elu": f.elu,
        "selu": f.selu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "gelu": f.gelu,
        "silu": f.silu,
        "mish": f.mish,
        "hard_swish": f.hardswish,
        "softplus": f.softplus,
        "exp": torch.exp,
        "softmax": lambda z: f.softmax(z, 1),
    }


def backward(name: str, x: Array, d: Array, alpha: float = 0.0) -> Array:
    """d(loss)/dx from d = d(loss)/d(act(x))."""
    if name == "softmax":
        y = softmax(x)
        return np.asarray(y * (d - (d * y).sum(axis=-1, keepdims=True)))
    return np.asarray(d * derivative(name, x, alpha))
