"""Matrix factorization as csrc/recommend/factors.h computes it: the same bits; and Surprise's rule."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def dot(p: Array, q: Array) -> Any:
    """The sum of p q in 16 lanes, which a tree adds."""
    rows = np.zeros((-(-p.size // 16), 16), p.dtype)
    rows.ravel()[: p.size] = p * q
    lanes = np.zeros(16, p.dtype)
    for row in rows:
        lanes = lanes + row
    for half in (8, 4, 2, 1):
        lanes[:half] += lanes[half : 2 * half]
    return lanes[0]


def steps(
    tables: dict[str, Array],
    mean: float,
    lr: tuple[float, ...],
    reg: tuple[float, ...],
    ratings: tuple[Array, Array, Array],
    weights: Array | None,
    order: Array,
    biased: bool = True,
) -> float:
    """A step for each rating in this order, into bu, bi, p and q. Returns the sum of squared errors."""
    bu, bi, p, q = (tables[name] for name in ("bu", "bi", "p", "q"))
    real = p.dtype.type
    rates, penalties, total = [real(x) for x in lr], [real(x) for x in reg], 0.0
    for t in order:
        u, i, rating = int(ratings[0][t]), int(ratings[1][t]), ratings[2][t]
        weight = real(1) if weights is None else weights[t]
        known = (real(mean) + bu[u]) + bi[i] if biased else real(mean)
        error = rating - (known + dot(p[u], q[i]))
        total += float(weight) * (float(error) * float(error))
        if biased:
            bu[u] += (rates[0] * weight) * (error - penalties[0] * bu[u])
            bi[i] += (rates[1] * weight) * (error - penalties[1] * bi[i])
        a, b = p[u].copy(), q[i].copy()
        p[u] = a + (rates[2] * weight) * (error * b - penalties[2] * a)
        q[i] = b + (rates[3] * weight) * (error * a - penalties[3] * b)
    return total


def predict(tables: dict[str, Array], mean: float, users: Array, items: Array, biased: bool = True) -> Array:
    """Users and items out of range have no bias and no factors."""
    bu, bi, p, q = (tables[name] for name in ("bu", "bi", "p", "q"))
    real, out = p.dtype.type, np.empty(len(users), p.dtype)
    for k, (u, i) in enumerate(zip(users, items, strict=True)):
        value, has_user, has_item = real(mean), 0 <= u < len(p), 0 <= i < len(q)
        if biased and has_user:
            value += bu[u]
        if biased and has_item:
            value += bi[i]
        if has_user and has_item:
            value += dot(p[u], q[i])
        out[k] = value
    return out


def surprise(
    p: Array, q: Array, ratings: tuple[Array, Array, Array], epochs: int, lr: float, reg: float
) -> tuple[Array, Array, float]:
    """Surprise's SVD in double, element by element; p and q change. Returns the biases and the mean."""
    mean, bu, bi = float(np.mean(ratings[2])), np.zeros(len(p)), np.zeros(len(q))
    for _ in range(epochs):
        for u, i, r in zip(*ratings, strict=True):
            error = r - (mean + bu[u] + bi[i] + float(p[u] @ q[i]))
            bu[u] += lr * (error - reg * bu[u])
            bi[i] += lr * (error - reg * bi[i])
            a, b = p[u].copy(), q[i].copy()
            p[u] += lr * (error * b - reg * a)
            q[i] += lr * (error * a - reg * b)
    return bu, bi, mean
