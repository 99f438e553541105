"""Bare loops in C that show what the machine can do, and nothing of ours: `peak.c`, compiled here and now."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache, partial
from pathlib import Path

import numpy as np

from .timing import best

# The whole instruction set of this machine; compilers differ in the name.
_NATIVE = ("-march=native", "-mcpu=native")
_FLAGS = ("-O3", "-funroll-loops", "-ffp-contract=fast", "-shared", "-fPIC")
# Vectors ahead that a line is fetched; 0: left to the hardware.
_AHEAD = (0, 8, 32)
# Enough for a sample that starting threads does not shorten.
_OPERATIONS = 1e9
_BYTES = 1e9
_PAGE = 4096


@cache
def library() -> ctypes.CDLL | None:
    """The loops, or None where no C compiler makes them."""
    given = shlex.split(os.environ.get("CC", ""))
    compilers = [given] if given else [[name] for name in ("cc", "gcc", "clang") if shutil.which(name)]
    source = Path(__file__).with_name("peak.c")
    # A loaded library cannot be deleted everywhere: then its folder stays.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "peak.so"
        for compiler in compilers:
            for native in _NATIVE:
                command = [*compiler, *_FLAGS, native, str(source), "-o", str(path)]
                try:
                    subprocess.run(command, check=True, capture_output=True)
                    return _declared(ctypes.CDLL(str(path)))
                except (OSError, subprocess.CalledProcessError):
                    continue
    print("no C compiler: limits without bare loops", file=sys.stderr, flush=True)
    return None


def _declared(loops: ctypes.CDLL) -> ctypes.CDLL:
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
    """In units of 1e9 a second; all calls at once, each always on the same thread (ctypes lets the others run)."""
    if len(calls) == 1:
        return 1e-9 * amount / best(calls[0], seconds)
    with ExitStack() as stack:
        workers = [
            stack.enter_context(ThreadPoolExecutor(1, initializer=_keep_to, initargs=(k,))) for k in range(len(calls))
        ]

        def all_at_once() -> None:
            for future in [worker.submit(call) for worker, call in zip(workers, calls, strict=True)]:
                future.result()

        return 1e-9 * amount / best(all_at_once, seconds)


def _keep_to(number: int) -> None:
    """Keep the calling thread to one of the process's CPUs: some systems are slow to spread threads."""
    if hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, [cpus[number % len(cpus)]])
