"""The matrix product as the core promises it: chains of fused multiply-adds, in increasing k.

NumPy has no fused multiply-add; here it is built from its error terms. Rounding the inexact part to odd makes the
second rounding harmless: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms using
rounding to odd", IEEE Transactions on Computers 57(4), 2008.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LONG_K = 4096
"""Products of a chain, at most: as in csrc/kernels.h."""


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """A + b rounded, and what the rounding lost (Knuth)."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def halves(a: Array) -> tuple[Array, Array]:
    """A as a sum of two numbers of at most 26 bits (Veltkamp)."""
    c = 134217729.0 * a
    high = c - (c - a)
    return high, a - high


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """A * b rounded, and what the rounding lost (Dekker)."""
    p = a * b
    ah, al = halves(a)
    bh, bl = halves(b)
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def odd_sum(a: Array, b: Array) -> Array:
    """A + b rounded to odd: if inexact, the neighbour whose last bit is one."""
    s, lost = two_sum(a, b)
    even = (s.view(np.uint64) & np.uint64(1)) == 0
    return np.where((lost != 0) & even, np.nextafter(s, np.where(lost > 0, np.inf, -np.inf)), s)


def fma(a: Array, b: Array, c: Array) -> Array:
    """A * b + c, rounded once. Away from overflow and denormals."""
    if c.dtype == np.float32:
        # The product of two float32 is exact in float64.
        return odd_sum(a.astype(float) * b.astype(float), c.astype(float)).astype(np.float32)
    a, b, c = (np.ascontiguousarray(v) for v in np.broadcast_arrays(a, b, c))
    product, low = two_product(a, b)
    high, lost1 = two_sum(c, low)
    high, lost2 = two_sum(product, high)
    return np.asarray(high + odd_sum(lost1, lost2))


def gemm(a: Array, b: Array) -> Array:
    """A @ b for a of shape (m, k) and b of shape (k, n), to the last bit: blocks of LONG_K products, added up."""
    c = chain(a[:, :LONG_K], b[:LONG_K])
    for k in range(LONG_K, a.shape[1], LONG_K):
        c = c + chain(a[:, k : k + LONG_K], b[k : k + LONG_K])
    return c


def chain(a: Array, b: Array) -> Array:
    """A @ b with one chain an element."""
    c = np.zeros((a.shape[0], b.shape[1]), dtype=a.dtype)
    for k in range(a.shape[1]):
        c = fma(np.broadcast_to(a[:, k, None], c.shape), np.broadcast_to(b[k], c.shape), c)
    return c
