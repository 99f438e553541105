"""Random changes of images, place by place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .philox import blocks

Array = NDArray[Any]
STREAM = 3 << 20


def _below(bits: Any, n: int) -> int:
    return int(bits) * n >> 32


def _places(size: int, shift: int, flip: bool, crop: float, moved: Any, share: Any, placed: Any) -> list[int]:
    """For each place of the result that of the image, -1 outside."""
    by = _below(moved, 2 * shift + 1) - shift
    first, step = 0, 1 << 16
    if crop < 1:
        least = max(int(crop * size), 1)
        kept = least + _below(share, size - least + 1)
        first, step = _below(placed, size - kept + 1), (kept << 16) // size
    found = []
    for p in range(size):
        q = p - by
        if not 0 <= q < size:
            found.append(-1)
            continue
        q = size - 1 - q if flip else q
        found.append(first + (q * step + step // 2 >> 16))
    return found


def augmented(
    x: Array,
    seed: int,
    draw: int,
    *,
    shift: tuple[int, int] = (0, 0),
    flip: bool = False,
    flip_vertical: bool = False,
    crop: float = 1.0,
    fill: float = 0.0,
) -> Array:
    """x (rows, height, width, channels): row k as row k of a batch."""
    result = np.full_like(x, fill)
    for row, image in enumerate(x):
        words = blocks(seed, STREAM, row, draw, 1)[0]
        placed = blocks(seed, STREAM + 1, row, draw, 1)[0]
        down = _places(
            x.shape[1], shift[0], flip_vertical and bool(int(words[2]) & 2), crop, words[0], words[3], placed[0]
        )
        across = _places(x.shape[2], shift[1], flip and bool(int(words[2]) & 1), crop, words[1], words[3], placed[1])
        for i, p in enumerate(down):
            for j, q in enumerate(across):
                if p >= 0 and q >= 0:
                    result[row, i, j] = image[p, q]
    return result
