"""Update rules in plain NumPy that do not go element by element over whole arrays, in place, by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .cases import BETAS, EPS, LEARNING_RATE, Float
from .numpy_rules import Step


def sparse_adam(p: Float, g: Float, rows: Any) -> Step:
    """Adam over some rows of p; g has these alone."""
    m, v, a, b, c = np.zeros_like(p), np.zeros_like(p), np.empty_like(g), np.empty_like(g), np.empty_like(g)
    beta1, beta2 = BETAS
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        correction = (1 - beta2**count) ** 0.5
        np.take(m, rows, axis=0, out=a, mode="clip")
        np.subtract(g, a, out=b)
        np.multiply(b, 1 - beta1, out=b)
        np.add(a, b, out=a)
        m[rows] = a
        np.take(v, rows, axis=0, out=b, mode="clip")
        np.multiply(b, beta2, out=b)
        np.multiply(g, g, out=c)
        np.multiply(c, 1 - beta2, out=c)
        np.add(b, c, out=b)
        v[rows] = b
        np.sqrt(b, out=b)
        np.add(b, EPS, out=b)
        np.divide(a, b, out=a)
        np.multiply(a, LEARNING_RATE * correction / (1 - beta1**count), out=a)
        np.take(p, rows, axis=0, out=b, mode="clip")
        np.subtract(b, a, out=b)
        p[rows] = b

    return step


RULES: dict[str, Callable[..., Step]] = {"SparseAdam": sparse_adam}
