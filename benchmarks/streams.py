"""The bandwidth that a step could have: bare passes (`streams.c`) over as many arrays as it reads and writes."""

from __future__ import annotations

import ctypes
import mmap
from functools import cache, partial

from .native import compiled_by_any
from .team import Team
from .timing import Contender, fastest

# Arrays read, and how many of them are written too, of each pass that a step makes over memory.
Passes = tuple[tuple[int, int], ...]

# Arrays begin so many bytes further within their pages than the one before: lines of one need not drive out those of
# another, nor wait for its stores.
_APART = 17 * 64
_HUGE = 1 << 21
_ITEM = 4
# So many loops take part beside the others, the fastest of a trial.
_CHOSEN = 3
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
        found.stream.argtypes = [ctypes.c_void_p, ctypes.c_long, ctypes.c_int, ctypes.c_long]
        found.stream.restype = None
        found.loop_name.restype = ctypes.c_char_p
    return found


def moved(passes: Passes, size: int) -> int:
    """Bytes that a step over so many float32 parameters reads and writes."""
    return sum(arrays + written for arrays, written in passes) * _ITEM * size


class _Memory:
    """Zeros for so many arrays, all of them there, on ordinary or huge pages."""

    def __init__(self, arrays: int, nbytes: int, huge: bool) -> None:
        step = -(-(nbytes + arrays * _APART) // _HUGE) * _HUGE
        self._map = mmap.mmap(-1, arrays * step + _HUGE)
        if huge:
            self._map.madvise(mmap.MADV_HUGEPAGE)
        elif hasattr(mmap, "MADV_NOHUGEPAGE"):
            self._map.madvise(mmap.MADV_NOHUGEPAGE)
        first = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        first += -first % _HUGE
        self.starts = [first + k * (step + _APART) for k in range(arrays)]
        for start in self.starts:
            ctypes.memset(start, 0, nbytes)


class _Stream:
    """One loop over one memory, by all threads."""

    def __init__(self, loops: list[ctypes.CDLL], size: int, threads: int, memory: _Memory, number: int) -> None:
        self._loops, self._team, self._memory, self._number = loops, Team(threads), memory, number
        width = self._loops[0].width()
        # Whole bursts, at two places.
        self._vectors = size * _ITEM // threads // (16 * width) * 16
        self._shares = [
            (ctypes.c_void_p * len(memory.starts))(*[start + k * self._vectors * width for start in memory.starts])
            for k in range(threads)
        ]

    def run(self, calls: int) -> None:
        self._team.run([partial(self._share, share, calls) for share in self._shares])

    def _share(self, share: ctypes.Array[ctypes.c_void_p], calls: int) -> None:
        if len(self._loops) == 1:
            self._loops[0].stream(share, self._vectors, self._number, calls)
            return
        for _ in range(calls):
            for loops in self._loops:
                loops.stream(share, self._vectors, self._number, 1)


# Which loops were best, on huge pages or not, of those passes that have been seen.
_best: dict[tuple[Passes, int, int], list[tuple[bool, int]]] = {}


def contenders(passes: Passes, size: int, threads: int) -> list[Contender]:
    """The best of the loops; none where there is no compiler. Their names begin with "bare"."""
    loops = [found for found in (_loops(*one) for one in passes) if found is not None]
    if len(loops) < len(passes):
        return []
    key = passes, size, threads
    pages = [False, True] if hasattr(mmap, "MADV_HUGEPAGE") and size * _ITEM >= _HUGE else [False]
    names = _names(loops[0])
    ways = _best.get(key, [(huge, number) for huge in pages for number in range(len(names))])
    most = max(arrays for arrays, _ in passes)
    memory = {huge: _Memory(most, size * _ITEM, huge) for huge in sorted({huge for huge, _ in ways})}
    found = {f"bare: {names[number]}{', huge pages' if huge else ''}": (huge, number) for huge, number in ways}
    turns = [
        Contender(name, _Stream(loops, size, threads, memory[huge], number).run)
        for name, (huge, number) in found.items()
    ]
    if key not in _best:
        turns = fastest(turns, _CHOSEN)
        _best[key] = [found[one.name] for one in turns]
    return turns


def _names(loops: ctypes.CDLL) -> list[str]:
    """Of the loops, by their numbers."""
    found: list[str] = []
    while (name := loops.loop_name(len(found))) is not None:
        found.append(name.decode())
    return found
