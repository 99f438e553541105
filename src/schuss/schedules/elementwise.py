"""Functions of a float or of an array of float64, element by element, with the same bits either way.

So each formula is written once. All is IEEE arithmetic in a fixed order, hence the same bits on every platform, which
the C library's functions and NumPy's vectorised ones do not give.
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
_ROOT_HALF = 0.70710678118654752
_LOG_2, _PER_LOG_2 = 0.69314718055994531, 1.4426950408889634
_LOG_2_HIGH, _LOG_2_LOW = 0.693147180369123816490, 1.90821492927058770002e-10


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


def floor(x: T) -> T:
    """The whole number at or below."""
    return np.floor(x) if isinstance(x, np.ndarray) else float(math.floor(x))


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


def power(base: T, exponent: float) -> T:
    """A base >= 0 to an exponent > 0; by squaring if that is whole."""
    if exponent != int(exponent):
        safe = where(base > 0.0, base, base * 0.0 + 1.0)
        return where(base > 0.0, exp(exponent * log(safe)), base * 0.0)
    result = base * 0.0 + 1.0
    left = int(exponent)
    while left:
        if left & 1:
            result = result * base
        base = base * base
        left >>= 1
    return result


def log(x: T) -> T:
    """The logarithm of x > 0: ``x = 2^e m`` with m near 1, then the series of ``2 atanh((m - 1) / (m + 1))``."""
    m: T
    e: T
    m, e = np.frexp(x) if isinstance(x, np.ndarray) else math.frexp(x)
    low = m < _ROOT_HALF
    m, e = where(low, 2.0 * m, m), where(low, e - 1.0, e * 1.0)
    z = (m - 1.0) / (m + 1.0)
    square = z * z
    total = square * 0.0
    for k in range(23, 0, -2):
        total = total * square + 1.0 / k
    return e * _LOG_2 + 2.0 * z * total


def log2(x: T) -> T:
    """The logarithm of x > 0 to the base 2, exact for powers of 2."""
    return log(x) / _LOG_2


def exp(x: T) -> T:
    """The exponential: ``x = n log 2 + r``, then the series. Infinite above 700, and 0 below -700."""
    inside = minimum(maximum(x, -700.0), 700.0)
    n = floor(inside * _PER_LOG_2 + 0.5)
    r = (inside - n * _LOG_2_HIGH) - n * _LOG_2_LOW  # in two parts, so that r is good to the last bits
    total = r * 0.0 + 1.0
    for k in range(14, 0, -1):
        total = 1.0 + total * r / k
    value: T = np.ldexp(total, n.astype(np.intc)) if isinstance(n, np.ndarray) else math.ldexp(total, int(n))
    return where(x > 700.0, value * 0.0 + math.inf, where(x < -700.0, value * 0.0, value))


def count(boundaries: tuple[float, ...], t: T, *, at: bool = True) -> Any:
    """How many of the sorted boundaries are before t, or at it."""
    if isinstance(t, np.ndarray):
        return np.searchsorted(np.array(boundaries, np.float64), t, side="right" if at else "left")
    return bisect_right(boundaries, t) if at else bisect_left(boundaries, t)


def take(values: tuple[float, ...], index: Any) -> Any:
    """The values at an index or at an array of them."""
    return np.array(values, np.float64)[index] if isinstance(index, np.ndarray) else values[index]
