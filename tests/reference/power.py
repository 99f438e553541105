"""Powers in double as the core computes them, operation by operation: of whole numbers by squaring, others as in
csrc/optim/power.h."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


def squaring(b: float, t: int) -> float:
    """B to the t, t >= 0."""
    r = 1.0
    while t:
        if t & 1:
            r *= b
        b *= b
        t >>= 1
    return r


def log(x: float) -> float:
    m, e = math.frexp(x)
    if m < 0.70710678118654752:
        m, e = 2 * m, e - 1
    z = (m - 1) / (m + 1)
    square, total = z * z, 0.0
    for k in range(23, 0, -2):
        total = total * square + 1.0 / k
    return e * 0.69314718055994531 + 2 * z * total


def exp(x: float) -> float:
    n = float(math.floor(x * 1.4426950408889634 + 0.5))
    r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10
    total = 1.0
    for k in range(14, 0, -1):
        total = 1 + total * r / k
    return math.ldexp(total, int(n))


def power(x: float, y: float) -> float:
    if y == 0:
        return 1.0
    return exp(y * log(x)) if x > 0 else 0.0


def powers(x: NDArray[Any], y: float) -> NDArray[Any]:
    """The same of each x >= 0, as csrc/optim/rules/ftrl.h has it."""
    if y == 0:
        return np.ones(x.shape)
    m, e = np.frexp(x.astype(float))
    low = m < 0.70710678118654752
    m, e = np.where(low, 2 * m, m), np.where(low, e - 1, e)
    z = (m - 1) / (m + 1)
    square, total = z * z, np.zeros(x.shape)
    for k in range(23, 0, -2):
        total = total * square + 1.0 / k
    power = y * (e * 0.69314718055994531 + 2 * z * total)
    n = np.rint(power * 1.4426950408889634)
    r = (power - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10
    total = np.ones(x.shape)
    for k in range(14, 0, -1):
        total = 1 + total * r * (1.0 / k)
    return np.where(x > 0, np.ldexp(total, n.astype(int)), 0.0)
