"""Pooling by plain loops over windows: values, gradients, and how far a maximum is from being another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def windows(size: int, kernel: int, stride: int, before: int, after: int) -> list[slice]:
    """What of [0, size) lies in each window."""
    starts = range(-before, size + after - kernel + 1, stride)
    return [slice(max(start, 0), min(start + kernel, size)) for start in starts]


def pool(
    x: Array, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[tuple[int, int]], how: str
) -> tuple[Array, Callable[[Array], Array], float]:
    """Of x (rows, height, width, channels): "max", "mean" of what is there, or "padded mean" of all of a window.

    Returns the value, the function from the gradient by it to that by x, and the least distance of two largest.
    """
    down, across = (
        windows(size, k, s, before, after)
        for size, k, s, (before, after) in zip(x.shape[1:3], kernel, stride, padding, strict=True)
    )

    def places() -> Iterator[tuple[tuple[int, int], tuple[slice, slice]]]:
        for i, rows in enumerate(down):
            for j, columns in enumerate(across):
                yield (i, j), (rows, columns)

    y = np.empty((len(x), len(down), len(across), x.shape[3]))
    gap = np.inf
    for (i, j), (rows, columns) in places():
        window = x[:, rows, columns].reshape(len(x), -1, x.shape[3])
        if how == "max":
            y[:, i, j] = window.max(axis=1)
            if window.shape[1] > 1:
                largest = np.sort(window, axis=1)
                gap = min(gap, float((largest[:, -1] - largest[:, -2]).min()))
        else:
            y[:, i, j] = window.sum(axis=1) / (window.shape[1] if how == "mean" else kernel[0] * kernel[1])

    def slope(d: Array) -> Array:
        dx = np.zeros(x.shape)
        for (i, j), (rows, columns) in places():
            window = x[:, rows, columns].reshape(len(x), -1, x.shape[3])
            if how == "max":
                share = np.zeros(window.shape)
                np.put_along_axis(share, window.argmax(axis=1)[:, None], 1.0, axis=1)
            else:
                share = np.full(window.shape, 1 / (window.shape[1] if how == "mean" else kernel[0] * kernel[1]))
            dx[:, rows, columns] += (share * d[:, None, i, j]).reshape(dx[:, rows, columns].shape)
        return dx

    return y, slope, gap
