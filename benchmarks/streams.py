"""The bandwidth that a step could have: bare passes (`streams.c`) over as many arrays as it reads and writes."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .native import compiled_by_any
from .team import Team
from .timing import Contender, fastest

# Arrays read, and how many of them are written too, of each pass that a step makes over memory.
Passes = tuple[tuple[int, int], ...]

# An array begins so many bytes after the end of the one before. Each at the beginning of a page of its own is slower:
# lines of one wait for stores of another, and share rows of memory.
_LINE, _APART = 64, 17 * 64
_HUGE = 1 << 21
_ITEM = 4
# So many loops take part beside the others, the fastest of a trial. From so many elements on it is the same trial.
_CHOSEN = 3
_FAR = 10_000_000
_ADAM: Passes = ((4, 3),)
# Rows of a table that are fetched ahead.
_ROWS_AHEAD = (0, 1, 2, 4, 8)
NOTE = (
    "bare: loops that read as many arrays as the optimizer does and write as many of them, pass by pass, with next to "
    "no arithmetic (`streams.c`, -O3 -march=native), each thread its share, without waiting for the others. There are "
    "several (plain, unrolled, at two places, prefetching in four ways), over ordinary and over huge pages; the best "
    f"{_CHOSEN} of a trial take turns with everybody, and the best of them counts. of bare: its time over ours, the "
    "median over the rounds; its GB/s: bytes that the passes read and write."
)


@cache
def _loops(arrays: int, written: int) -> ctypes.CDLL | None:
    found = compiled_by_any("streams.c", "-O3", f"-DARRAYS={arrays}", f"-DWRITTEN={written}")
    if found is not None:
        pointer, long = ctypes.c_void_p, ctypes.c_long
        found.stream.argtypes, found.stream.restype = [pointer, long, ctypes.c_int, long], None
        found.stream_rows.argtypes, found.stream_rows.restype = (
            [pointer, pointer, *[long] * 2, ctypes.c_int, long],
            None,
        )
        found.loop_name.restype = ctypes.c_char_p
    return found


def moved(passes: Passes, size: int) -> int:
    """Bytes that a step over so many float32 parameters reads and writes."""
    return sum(arrays + written for arrays, written in passes) * _ITEM * size


class _Memory:
    """Zeros for so many arrays, all of them there, on ordinary or huge pages."""

    def __init__(self, arrays: int, nbytes: int, huge: bool) -> None:
        step = -(-nbytes // _LINE) * _LINE + _APART
        self._map = mmap.mmap(-1, arrays * step + 2 * _HUGE)
        if huge:
            self._map.madvise(mmap.MADV_HUGEPAGE)
        elif hasattr(mmap, "MADV_NOHUGEPAGE"):
            self._map.madvise(mmap.MADV_NOHUGEPAGE)
        first = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        first += -first % _HUGE
        self.starts = [first + k * step for k in range(arrays)]
        for start in self.starts:
            ctypes.memset(start, 0, nbytes)

    def pointers(self, offset: int = 0) -> ctypes.Array[ctypes.c_void_p]:
        """To the arrays, so many bytes after their beginnings."""
        return (ctypes.c_void_p * len(self.starts))(*[start + offset for start in self.starts])


def _contender(name: str, shares: Sequence[Callable[[int], object]], *kept: Any) -> Contender:
    """All threads their shares; what is to be kept is kept."""
    team = Team(len(shares))

    def run(calls: int, _kept: Any = kept) -> None:
        team.run([partial(share, calls) for share in shares])

    return Contender(name, run, quiet=True)


def _pages(size: int) -> list[bool]:
    """Whether huge, for arrays of this size."""
    return [False, True] if hasattr(mmap, "MADV_HUGEPAGE") and size * _ITEM >= _HUGE else [False]


# Which loops were best, on huge pages or not, of those passes that have been seen.
_best: dict[tuple[Passes, int, int], list[tuple[bool, int]]] = {}


def contenders(passes: Passes, size: int, threads: int) -> list[Contender]:
    """The best of the loops; none where there is no compiler. Their names begin with "bare"."""
    loops = [found for found in (_loops(*one) for one in passes) if found is not None]
    if len(loops) < len(passes):
        return []
    names = _names(loops[0])
    key = passes, min(size, _FAR), threads
    ways = _best.get(key, [(huge, number) for huge in _pages(size) for number in range(len(names))])
    most = max(arrays for arrays, _ in passes)
    memories = {huge: _Memory(most, size * _ITEM, huge) for huge in sorted({huge for huge, _ in ways})}
    found = {f"bare: {names[number]}{', huge pages' if huge else ''}": (huge, number) for huge, number in ways}
    width = loops[0].width()
    # Whole bursts, at two places.
    vectors = size * _ITEM // threads // (16 * width) * 16
    turns = []
    for name, (huge, number) in found.items():
        shares = [
            partial(_share, loops, memories[huge].pointers(k * vectors * width), vectors, number)
            for k in range(threads)
        ]
        turns.append(_contender(name, shares, memories[huge]))
    if key not in _best:
        turns = fastest(turns, _CHOSEN)
        _best[key] = [found[one.name] for one in turns]
    return turns


def moving(nbytes: int, threads: int) -> list[Contender]:
    """Loops over the arrays of Adam (four, three of them written) that move so many bytes together."""
    return contenders(_ADAM, nbytes // moved(_ADAM, 1), threads)


def _share(loops: list[ctypes.CDLL], arrays: Any, vectors: int, number: int, calls: int) -> None:
    if len(loops) == 1:
        loops[0].stream(arrays, vectors, number, calls)
        return
    for _ in range(calls):
        for one in loops:
            one.stream(arrays, vectors, number, 1)


def _names(loops: ctypes.CDLL) -> list[str]:
    """Of the loops, by their numbers."""
    found: list[str] = []
    while (name := loops.loop_name(len(found))) is not None:
        found.append(name.decode())
    return found


def row_contenders(passes: Passes, size: int, rows: NDArray[np.int64], length: int, threads: int) -> list[Contender]:
    """The same for some rows of tables of so many elements."""
    loops = _loops(*passes[0])
    if loops is None:
        return []
    bounds = [len(rows) * k // threads for k in range(threads + 1)]
    turns = []
    for huge in _pages(size):
        memory = _Memory(passes[0][0], size * _ITEM, huge)
        for ahead in _ROWS_AHEAD:
            shares = []
            for start, end in pairwise(bounds):
                arrays = memory.pointers()
                # The gradient holds the rows alone.
                for k in range(passes[0][1], passes[0][0]):
                    arrays[k] = memory.starts[k] + start * length * _ITEM
                index = rows[start:end].ctypes.data
                shares.append(partial(loops.stream_rows, arrays, index, end - start, length, ahead))
            name = f"bare: {ahead} rows ahead{', huge pages' if huge else ''}"
            turns.append(_contender(name, shares, memory, rows))
    return fastest(turns, _CHOSEN)
