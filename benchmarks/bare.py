"""Bare loops in C that show what the machine can do, and nothing of ours: `peak.c`, compiled here and now."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np

from .native import compiled_by_any
from .team import Team
from .timing import best

# Vectors ahead that a line is fetched; 0: left to the hardware.
_AHEAD = (0, 8, 32)
# Enough for a sample that starting threads does not shorten.
_OPERATIONS = 1e9
_BYTES = 1e9
_PAGE = 4096


@cache
def library() -> ctypes.CDLL | None:
    """The loops of `peak.c`, or None where no C compiler makes them."""
    loops = compiled_by_any("peak.c", "-O3", "-funroll-loops", "-ffp-contract=fast")
    if loops is None:
        return None
    long, number = ctypes.c_long, ctypes.c_float
    loops.multiply_add.argtypes = [long, number, number]
    loops.multiply_add.restype = number
    loops.stream.argtypes = [ctypes.c_void_p, long, ctypes.c_int, long, long, number]
    loops.stream.restype = None
    return loops


def multiply_add(loops: ctypes.CDLL, threads: int, seconds: float) -> tuple[float, str]:
    """GFLOP/s of float32 multiply-adds in registers, and what did it."""
    rounds = round(_OPERATIONS / loops.operations())
    amount = float(threads * rounds * loops.operations())
    rate = _together(amount, [partial(loops.multiply_add, rounds, 0.5, 1.0)] * threads, seconds)
    return rate, f"multiply-adds in registers, {8 * loops.width()}-bit vectors"


def stream(loops: ctypes.CDLL, threads: int, seconds: float, touched: int) -> tuple[float, str]:
    """GB/s of reading and writing again and again as much memory as was touched, all threads their share, and how."""
    width = loops.width()
    # Three arrays of whole vectors for each thread.
    n = max(1, touched // (3 * width * threads))
    size = 3 * width * n
    rounds = max(1, round(_BYTES / (2 * size)))
    memories = [_aligned(size) for _ in range(threads)]
    found = []
    for arrays in (1, 3):
        for ahead in _AHEAD:
            shape = 3 * n // arrays, arrays, ahead, rounds, 1.0
            calls = [partial(loops.stream, memory.ctypes.data, *shape) for memory in memories]
            rate = _together(2.0 * size * rounds * threads, calls, seconds)
            how = f"{arrays} {'array' if arrays == 1 else 'arrays'}" + (", prefetched" if ahead else "")
            found.append((rate, how))
    return max(found)


def _aligned(size: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """Zeros on a page of their own, each written once: memory that is there."""
    memory = np.empty(size + _PAGE, np.uint8)
    start = -memory.ctypes.data % _PAGE
    found = memory[start : start + size]
    found[...] = 0
    return found


def _together(amount: float, calls: Sequence[Callable[[], object]], seconds: float) -> float:
    """In units of 1e9 a second; all calls at once."""
    team = Team(len(calls))
    return 1e-9 * amount / best(lambda: team.run(calls), seconds)
