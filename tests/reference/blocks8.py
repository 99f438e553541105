"""States of 8 bits: the dynamic maps, the nearest codes by search, and the kernels' codes to the last one."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

BLOCK = 256
SMALLEST_NORMAL = np.float32(2.0**-126)
SPREAD = 1.12744140625
# Powers of ten as they are written: 10.0**d need not be the nearest double.
UNITS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def zero(signed: bool) -> int:
    return 127 if signed else 0


@cache
def dynamic_map(signed: bool) -> NDArray[np.float32]:
    """The value of each code. Decade d has 2**d codes signed, 2**(d + 1) unsigned: the middles of equal cells."""
    values = []
    for d, unit in enumerate(UNITS):
        cells = 2**d if signed else 2 ** (d + 1)
        integers = 2 * cells + 18 * np.arange(cells) + 9
        values.append(integers.astype(np.float32) * np.float32(unit / (20 * cells)))
    positive = np.concatenate(values)
    negative = -positive[::-1] if signed else positive[:0]
    result = np.concatenate([negative, np.zeros(1, np.float32), positive, np.ones(1, np.float32)])
    result.setflags(write=False)
    return result


def halfway(signed: bool) -> NDArray[np.float64]:
    """Exactly between each code's value and the next one's."""
    values = dynamic_map(signed).astype(float)
    return np.asarray((values[1:] + values[:-1]) / 2)


def nearest(x: NDArray[np.floating], signed: bool) -> NDArray[np.uint8]:
    """The nearest code, the lower one of two."""
    return np.searchsorted(halfway(signed), x.astype(float), side="left").astype(np.uint8)


def scaled(values: NDArray[np.float32], absmax: np.float32) -> NDArray[np.float32]:
    """x of the elements of a block, times SPREAD, rounded as the kernels do."""
    if absmax >= np.float32(2.0**100):
        values, absmax = values * np.float32(2.0**-32), absmax * np.float32(2.0**-32)
    return np.asarray(values * (np.float32(SPREAD) / absmax))


def _codes(x: NDArray[np.float32], signed: bool) -> NDArray[np.uint8]:
    """The codes of scaled elements by the kernels' own operations."""
    first, cells, code = [], [], []
    for d, unit in enumerate(UNITS):
        count = 2**d if signed else 2 ** (d + 1)
        first.append(SPREAD * unit * (0.1 + 0.45 / count))
        cells.append(count / (0.9 * unit * SPREAD))
        code.append(count if signed else count - 1)
    if signed:
        first[0], cells[0] = SPREAD * 5.75e-7, 1e6 / SPREAD
        first, cells, code = [*first, SPREAD * 1.005859375], [*cells, 32 / SPREAD], [*code, 128]
        size = np.abs(np.maximum(x, np.float32(-0.99 * SPREAD)))
    else:
        slope = 0.8 / 3.875e-7
        first[0], cells[0] = SPREAD * (5.5e-7 - 0.5 / slope), slope / SPREAD
        first, cells, code = [*first, SPREAD * 1.0029296875], [*cells, 64 / SPREAD], [*code, 255]
        size = x
    size = np.maximum(size, np.float32(2.0**-23))
    d = ((size.view(np.int32) >> 16) * (19592 if signed else 19590) >> 23) - 31
    assert d.min() >= 0
    assert d.max() <= 7
    y = (size - np.float32(first)[d]) * np.float32(cells)[d]
    near = np.minimum(y, y * np.float32(2) + np.float32(0.1))
    count = (near + np.float32(code)[d]) - np.float32(0)
    # Rounded at 2**23, where floats are integers.
    integers = ((near + (np.float32(2.0**23) + np.float32(code)[d])) - np.float32(2.0**23)).astype(int)
    del count
    return np.where(x < 0, 127 - integers, 127 + integers).astype(np.uint8) if signed else integers.astype(np.uint8)


def narrow(values: NDArray[np.floating], signed: bool) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Codes and the largest magnitude of each block."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        values = values.astype(np.float32)
        codes = np.full(values.size, zero(signed), np.uint8)
        largest = np.zeros(-(-values.size // BLOCK), np.float32)
        for b in range(largest.size):
            block = values[b * BLOCK : (b + 1) * BLOCK]
            absmax = np.abs(block).max()
            if not np.isfinite(absmax):
                largest[b] = np.nan
            elif absmax >= SMALLEST_NORMAL:
                largest[b] = absmax
                codes[b * BLOCK : (b + 1) * BLOCK] = _codes(scaled(block, absmax), signed)
    return codes, largest


def widen(
    codes: NDArray[np.uint8], absmax: NDArray[np.float32], signed: bool, dtype: type[np.floating] = np.float32
) -> NDArray[np.floating]:
    """The elements that codes and the blocks' largest magnitudes mean."""
    values = dynamic_map(signed)[codes] * np.repeat(absmax, BLOCK)[: codes.size]
    return np.asarray(values.astype(dtype))
