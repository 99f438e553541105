"""Threads for loops in C, each kept to a CPU of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor


class Team:
    """So many threads; where it is one, the caller itself. They end with the object."""

    def __init__(self, threads: int) -> None:
        numbers = range(threads if threads > 1 else 0)
        self._workers = [ThreadPoolExecutor(1, initializer=_keep_to, initargs=(k,)) for k in numbers]

    def run(self, calls: Sequence[Callable[[], object]]) -> None:
        """All at once, each always on the same thread, and wait (ctypes lets the others run)."""
        if not self._workers:
            for call in calls:
                call()
            return
        for future in [worker.submit(call) for worker, call in zip(self._workers, calls, strict=True)]:
            future.result()


def _keep_to(number: int) -> None:
    """Keep the calling thread to one of the process's CPUs: some systems are slow to spread threads."""
    if hasattr(os, "sched_setaffinity"):
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, [cpus[number % len(cpus)]])
