"""The sums of a table's gradient, as the core's layers/touched.h has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Codes of a row whose gradients are added in the arrays' dtype; such blocks are added in double.
BLOCK = 256


def gradient_of_codes(users: Sequence[tuple[Array, Array]], rows: int, dim: int) -> Array:
    """The gradient of a table that several layers use, each with its codes (batch, columns) and that by its value.

    The terms of a row of the table come in the order of the layers, then of places.
    """
    dtype = users[0][1].dtype
    terms: list[list[Array]] = [[] for _ in range(rows)]
    for codes, dy in users:
        for code, term in zip(codes.ravel(), dy.reshape(-1, dim), strict=True):
            terms[code].append(term)
    gradient = np.zeros((rows, dim), dtype)
    for row, found in enumerate(terms):
        blocks = []
        for start in range(0, len(found), BLOCK):
            total = np.zeros(dim, dtype)
            for term in found[start : start + BLOCK]:
                total = total + term
            blocks.append(total)
        if len(blocks) == 1:
            gradient[row] = blocks[0]
        elif blocks:
            total_of_blocks = np.zeros(dim)
            for block in blocks:
                total_of_blocks = total_of_blocks + block.astype(np.float64)
            gradient[row] = total_of_blocks.astype(dtype)
    return gradient
