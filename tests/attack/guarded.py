"""Arrays between canaries, and copies to compare with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
CANARY = 0xA5
ROOM = 192  # bytes on each side: more than any vector has
_buffers: list[Array] = []


def guarded(values: Any, dtype: Any, shift: int = 0) -> Array:
    """A copy of the values within a larger buffer, so many items past a multiple of 64 bytes."""
    values = np.asarray(values, dtype)
    buffer: Array = np.full(values.nbytes + 2 * ROOM + 128, CANARY, np.uint8)
    start = ROOM + -(buffer.ctypes.data + ROOM) % 64 + shift * values.itemsize
    inner = buffer[start : start + values.nbytes].view(values.dtype).reshape(values.shape)
    inner[...] = values
    buffer[:start].setflags(write=False)
    _buffers.append(buffer)
    _inside.append((start, start + values.nbytes))
    return inner


_inside: list[tuple[int, int]] = []


def begin() -> None:
    """Forget the buffers of before."""
    _buffers.clear()
    _inside.clear()


def check_canaries() -> None:
    """Nothing has been written beside any array since `begin`."""
    for buffer, (start, end) in zip(_buffers, _inside, strict=True):
        assert (buffer[:start] == CANARY).all() and (buffer[end:] == CANARY).all(), "written beside an array"


def bits(array: Array) -> bytes:
    """What two arrays have in common that are the same bit for bit; a NaN is a NaN."""
    if array.dtype.kind == "f" and np.isnan(array).any():
        array = np.where(np.isnan(array), array.dtype.type(np.nan), array)
    return array.tobytes()


def same(a: Iterable[Array], b: Iterable[Array], what: str) -> None:
    for k, (one, other) in enumerate(zip(a, b, strict=True)):
        assert bits(one) == bits(other), f"{what}, array {k}: {one!r} beside {other!r}"
