"""Functions of a float or of an array of float64, element by element, with the same bits either way.

So each formula is written once. Nearly all is IEEE arithmetic in a fixed order, hence the same on every platform; only
powers that are not whole are the C library's.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The number of a step, or many of them.
T = TypeVar("T", float, "NDArray[np.float64]")

# Taylor coefficients of sin(z) / z in z^2; what is left out is below 1e-19 up to pi / 4.
_SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(8, -1, -1))


def where(condition: Any, a: T, b: T) -> T:
    """The value of a where the condition holds, else that of b."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, a, b)  # type: ignore[return-value]
    return a if condition else b


def minimum(a: T, b: float) -> T:
    """The lesser one."""
    return np.minimum(a, b) if isinstance(a, np.ndarray) else min(a, b)


def maximum(a: T, b: float) -> T:
    """The greater one."""
    return np.maximum(a, b) if isinstance(a, np.ndarray) else max(a, b)


def mix(a: Any, b: Any, w: T) -> T:
    """From a at w = 0 to b at w = 1, both met exactly."""
    return a * (1.0 - w) + b * w  # type: ignore[no-any-return]


def sqrt(x: T) -> T:
    """The square root."""
    return np.sqrt(x) if isinstance(x, np.ndarray) else math.sqrt(x)


def half_cosine(x: T) -> T:
    """(1 + cos(pi x)) / 2 for x in [0, 1]: from 1 down to 0, precise near 0 as well."""
    nearer = where(x < 0.5, x, 1.0 - x)
    z = nearer * (0.5 * math.pi)
    square = z * z
    total = square * 0.0
    for coefficient in _SINE:
        total = total * square + coefficient
    sine = z * total
    return where(x < 0.5, 1.0 - sine * sine, sine * sine)


def whole_power(base: Any, exponent: T) -> T:
    """Base to whole exponents >= 0, by squaring."""
    result = exponent * 0.0 + 1.0
    if isinstance(exponent, np.ndarray):
        bits = exponent.astype(np.int64)
        for k in range(int(bits.max(initial=0)).bit_length()):
            result = np.where((bits >> k) & 1 == 1, result * base, result)
            base = base * base
        return result
    left = int(exponent)
    while left:
        if left & 1:
            result = result * base
        base = base * base
        left >>= 1
    return result


def real_power(base: T, exponent: float) -> T:
    """Powers of a base >= 0 with an exponent > 0."""
    if exponent == int(exponent):
        result = base * 0.0 + 1.0
        left = int(exponent)
        while left:
            if left & 1:
                result = result * base
            base = base * base
            left >>= 1
        return result
    if isinstance(base, np.ndarray):
        return np.fromiter((math.pow(x, exponent) for x in base.tolist()), np.float64, len(base))
    return math.pow(base, exponent)


def exponential(base: float, exponent: T) -> T:
    """Base > 0 to any exponents >= 0; infinite past the largest number."""
    if isinstance(exponent, np.ndarray):
        return np.fromiter((_pow(base, x) for x in exponent.tolist()), np.float64, len(exponent))
    return _pow(base, exponent)


def _pow(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return math.inf


def count(boundaries: tuple[float, ...], t: T, *, at: bool = True) -> Any:
    """How many of the sorted boundaries are before t, or at it."""
    if isinstance(t, np.ndarray):
        return np.searchsorted(np.array(boundaries, np.float64), t, side="right" if at else "left")
    return bisect_right(boundaries, t) if at else bisect_left(boundaries, t)


def take(values: tuple[float, ...], index: Any) -> Any:
    """The values at an index or at an array of them."""
    return np.array(values, np.float64)[index] if isinstance(index, np.ndarray) else values[index]
