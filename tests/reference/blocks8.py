"""States of 8 bits: the dynamic maps, the nearest codes by search, and the kernels' codes to the last one."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

BLOCK = 256
SMALLEST_NORMAL = np.float32(2.0**-126)
LARGE = np.float32(2.0**100)
SPREAD = 1.12744140625
TINIEST = 2.0**-23
# Powers of ten as they are written: 10.0**d need not be the nearest double.
UNITS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def zero(signed: bool) -> int:
    return 127 if signed else 0


def cells_of(decade: int, signed: bool) -> int:
    return 1 << (decade if signed else decade + 1)


@cache
def dynamic_map(signed: bool) -> NDArray[np.float32]:
    """The value of each code: of every decade the middles of equal cells, as integers times a constant."""
    values = []
    for d, unit in enumerate(UNITS):
        cells = cells_of(d, signed)
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
    """The nearest code, the lower one of two; unsigned, zeros alone are 0."""
    codes = np.searchsorted(halfway(signed), x.astype(float), side="left")
    return np.asarray((codes if signed else np.maximum(codes, x >= SMALLEST_NORMAL)).astype(np.uint8))


@cache
def _lines(signed: bool) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Of decades 0 to 7: cells for each unit of x, what is added to these, and the first code (signed, less 127).

    The last decade is the code of 1 alone; y <= -0.3 is halfway to the code below, in the first one to zero.
    """
    cells, before, first = [], [], []
    for d, unit in enumerate(UNITS):
        count = cells_of(d, signed)
        cells.append(count / (0.9 * unit * SPREAD))
        before.append(-((0.1 + 0.45 / count) * count / 0.9 + TINIEST * cells[-1]))
        first.append(count if signed else count - 1)

    def line(slope: float, y: float, value: float) -> tuple[float, float]:
        return slope / SPREAD, y - slope * (value + TINIEST / SPREAD)

    cells[0], before[0] = line(1e6, -0.3, 2.75e-7) if signed else line(0.8 / 3.875e-7, 0.5, 5.5e-7)
    last = line(32, -0.3, 0.996484375) if signed else line(64, -0.3, 0.9982421875)
    lists = ([*cells, last[0]], [*before, last[1]], [*first, 128 if signed else 255])
    one, two, three = (np.array(values, np.float32) for values in lists)
    return one, two, three


def _multiply_add(a: NDArray[np.float32], b: NDArray[np.float32], c: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded once wherever it decides about a code: doubles hold the product, and nearly all sums, exactly."""
    return np.asarray((a.astype(float) * b.astype(float) + c.astype(float)).astype(np.float32))


def block_codes(values: NDArray[np.float32], absmax: np.float32, signed: bool) -> NDArray[np.uint8]:
    """The codes of a block by the kernels' own operations."""
    if absmax >= LARGE:
        values, absmax = values * np.float32(2.0**-32), absmax * np.float32(2.0**-32)
    scale = np.float32(SPREAD) / absmax
    x = _multiply_add(np.abs(values), np.asarray(scale), np.asarray(np.float32(TINIEST)))
    decade = ((x.view(np.int32) >> 16) * (19592 if signed else 19590) >> 23) - 31
    assert 0 <= decade.min() <= decade.max() <= 7
    cells, before, first = _lines(signed)
    y = _multiply_add(x, cells[decade], before[decade])
    near = np.minimum(y, y * np.float32(2) + np.float32(0.1))
    # Rounded at 2**23, where floats are integers.
    codes = ((near + (np.float32(2.0**23) + first[decade])) - np.float32(2.0**23)).astype(int)
    if signed:
        codes = np.where(np.signbit(values), np.maximum(127 - codes, 0), 127 + codes)
    else:
        codes = np.maximum(codes, values >= SMALLEST_NORMAL)
    return np.asarray(codes.astype(np.uint8))


def narrow(values: NDArray[np.floating], signed: bool) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Codes and the largest magnitude of each block."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        singles = values.astype(np.float32)
        if not signed:
            singles = np.where((singles < 0) & np.isfinite(singles), np.float32(0), np.abs(singles))
        # Kernels flush denormals.
        singles = np.where(np.abs(singles) < SMALLEST_NORMAL, np.copysign(np.float32(0), singles), singles)
        codes = np.full(values.size, zero(signed), np.uint8)
        largest = np.zeros(-(-values.size // BLOCK), np.float32)
        for b in range(largest.size):
            block = singles[b * BLOCK : (b + 1) * BLOCK]
            absmax = np.abs(block).max()
            if not np.isfinite(absmax):
                largest[b] = np.nan
            elif absmax:
                largest[b] = absmax
                codes[b * BLOCK : (b + 1) * BLOCK] = block_codes(block, absmax, signed)
    return codes, largest


def widen(
    codes: NDArray[np.uint8], absmax: NDArray[np.float32], signed: bool, dtype: type[np.floating] = np.float32
) -> NDArray[np.floating]:
    """The elements that codes and the blocks' largest magnitudes mean."""
    with np.errstate(under="ignore"):
        values = dynamic_map(signed)[codes] * np.repeat(absmax, BLOCK)[: codes.size]
    flushed = np.where(np.abs(values) < SMALLEST_NORMAL, np.copysign(np.float32(0), values), values)
    return np.asarray(flushed.astype(dtype))
