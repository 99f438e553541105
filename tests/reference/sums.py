"""Sums of products as csrc/optim/sums.h takes them, in double, and of columns as csrc/dense/sums.h: the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BLOCK = 8192
"""As in csrc/optim/step.c."""
COLUMN_BLOCK = 256
"""As in csrc/dense/sums.h."""


def columns(terms: Array) -> Array:
    """The sum of the rows: blocks of rows in their own dtype, one row after the other; the blocks in double."""
    if not len(terms):
        return np.zeros(terms.shape[1:], terms.dtype)
    total = np.zeros(terms.shape[1:], np.float64)
    for start in range(0, len(terms), COLUMN_BLOCK):
        total += np.cumsum(terms[start : start + COLUMN_BLOCK], axis=0)[-1]  # unlike sum, one after the other
    return total.astype(terms.dtype)


def dot(x: Array, y: Array) -> float:
    """The sum of x y: a block of each array after the other, 16 lanes in each, then a tree."""
    return add_dot(0.0, x, y)


def add_dot(total: float, x: Array, y: Array) -> float:
    """The same on top of a total."""
    products = np.asarray(x, np.float64).ravel() * np.asarray(y, np.float64).ravel()
    for start in range(0, products.size, BLOCK):
        total += _block(products[start : start + BLOCK])
    return total


def one_block(x: Array) -> float:
    """The sum of squares of all elements as one block."""
    return _block(np.asarray(x, np.float64).ravel() ** 2)


def _block(products: Array) -> float:
    rows = np.zeros((-(-products.size // 16), 16))
    rows.ravel()[: products.size] = products
    lanes = np.cumsum(rows, axis=0)[-1]  # one after the other, unlike sum
    for half in (8, 4, 2, 1):
        lanes[:half] += lanes[half : 2 * half]
    return float(lanes[0])
