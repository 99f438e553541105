"""AdamW over parameters and states that lie in files, mapped into memory: as fast as what, and does the disk limit it.

``python -m benchmarks.memory_maps FOLDER [RESULTS.json]``: needs Linux, and three times 400 MB in the folder, whose
files have no names and end with the process. Each way is timed with all of it in the system's page cache, and cold:
before each step nothing of the files is in memory, after it all of it is on the disk. So it is where parameters and
states are larger than memory, when each page is read once and written once by every step. The gradient stays in memory.
"""

from __future__ import annotations

import inspect
import json
import mmap
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    from . import machine

    machine.keep_to(2)

import numpy as np
from numpy.typing import NDArray

import schuss

from . import peers
from .cases import LEARNING_RATE, Float

SIZE, CACHED_STEPS, COLD_STEPS = 100_000_000, 7, 3
STATES = 2
_BLOCK = 1 << 24


def mapped(size: int, folder: str) -> Float:
    """Zeros in a file without a name."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(4 * size)
        return np.memmap(file, np.float32, "r+", shape=(size,))


def in_memory(folder: str) -> tuple[Any, list[Float]]:
    p = np.full(SIZE, 0.05, np.float32)
    return schuss.AdamW([p], lr=LEARNING_RATE), []


def parameters(folder: str) -> tuple[Any, list[Float]]:
    p = mapped(SIZE, folder)
    p += np.float32(0.05)
    return schuss.AdamW([p], lr=LEARNING_RATE), [p]


def parameters_and_states(folder: str) -> tuple[Any, list[Float]]:
    """States are placed in a folder by an argument of `set_precision`, where there is one."""
    optimizer, found = parameters(folder)
    place = getattr(optimizer, "set_precision", None)
    if place is None or "directory" not in inspect.signature(place).parameters:
        raise NotImplementedError("states cannot be placed in a folder")
    place(directory=folder)
    return optimizer, [*found, *optimizer._stepper.states[0]]


WAYS = (in_memory, parameters, parameters_and_states)


def forget(arrays: Iterable[NDArray[Any]], folder: str) -> None:
    """Write all of it to the disk, and keep nothing of it in memory."""
    write_back(folder)
    for array in arrays:
        base: Any = array
        while base is not None and not isinstance(base, mmap.mmap):
            base = base.base
        if base is not None:
            base.madvise(mmap.MADV_DONTNEED)  # the pages of the file stay as they are
    for number in _files(folder):
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)


def write_back(folder: str) -> None:
    for number in _files(folder):
        os.fsync(number)


def _files(folder: str) -> list[int]:
    """Those that are open within the folder."""
    found, home = [], os.path.realpath(folder)
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith(f"{home}/"):
                found.append(int(name))
        except OSError:
            continue
    return found


def timed(way: Callable[[str], tuple[Any, list[Float]]], folder: str) -> dict[str, float]:
    """Seconds of a step: with all of it in memory, and cold; its writing back to the disk apart."""
    optimizer, arrays = way(folder)
    grads = [np.random.default_rng(0).standard_normal(SIZE, np.float32)]
    optimizer.step(grads)
    found = {"cached": _median(lambda: optimizer.step(grads), CACHED_STEPS)}
    if arrays:
        steps, writes = [], []
        for _ in range(COLD_STEPS):
            forget(arrays, folder)
            steps.append(_seconds(lambda: optimizer.step(grads)))
            writes.append(_seconds(lambda: write_back(folder)))
        both = [a + b for a, b in zip(steps, writes, strict=True)]
        found |= {"cold step": statistics.median(steps), "step and writing": statistics.median(both)}
    return found


def limit(folder: str, files: int) -> dict[str, float]:
    """Seconds to read as many bytes of a cold file from the beginning to the end, and to write them."""
    block = np.random.default_rng(0).integers(0, 256, _BLOCK, np.uint8)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:

        def write() -> None:
            file.seek(0)
            for _ in range(files * 4 * SIZE // _BLOCK):
                file.write(block.data)
            os.fsync(file.fileno())

        def read() -> None:
            file.seek(0)
            while file.readinto(block.data):
                pass

        write()
        reads, writes = [], []
        for _ in range(COLD_STEPS):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            reads.append(_seconds(read))
            writes.append(_seconds(write))
        return {"reading": statistics.median(reads), "writing": statistics.median(writes)}


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _median(call: Callable[[], object], times: int) -> float:
    return statistics.median(_seconds(call) for _ in range(times))


def main() -> None:
    folder, *rest = sys.argv[1:]
    rows: dict[str, dict[str, float]] = {}
    for way in WAYS:
        try:
            rows[way.__name__] = timed(way, folder)
        except NotImplementedError as error:
            peers.note(f"{way.__name__} left out: {error}")
    rows["limit of the parameters"] = limit(folder, 1)
    rows["limit of parameters and states"] = limit(folder, 1 + STATES)
    for name, cells in rows.items():
        print(f"{name:32}", "  ".join(f"{key} {value:.3f} s" for key, value in cells.items()), flush=True)
    if rest:
        document = {"parameters": SIZE, "load": machine.load(), **machine.versions(), "seconds": rows}
        Path(rest[0]).write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
