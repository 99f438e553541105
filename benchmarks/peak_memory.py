"""The memory that a training takes: the peak above what the process had before. One process, one training.

``python -m benchmarks.peak_memory SUBJECT LIBRARY MAKER THREADS`` trains the last case of a subject. Imports only what
computes nothing, until the process is kept to its CPUs.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from . import machine


def main() -> None:
    """Print two numbers, bytes: the peak above the start, and the peak."""
    subject, library, maker, threads = sys.argv[1:]
    machine.keep_to(int(threads))
    module, _, name = maker.partition(".")
    importlib.import_module(library)
    cases: Any = importlib.import_module(f".{subject}.cases", __package__)
    make = getattr(importlib.import_module(f".{subject}.{module}", __package__), name)
    print(json.dumps(_of_training(cases.CASES[-1], make)))


def _of_training(case: Any, make: Any) -> tuple[int, int]:
    _ = case.batches
    before = resident()
    make(case).losses(case.checked_steps)
    highest = peak()
    return highest - before, highest


def resident() -> int:
    """Bytes now; the peak starts anew here, where the system lets it."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return peak()


def peak() -> int:
    """Bytes. `ru_maxrss` only where there is nothing better: a process inherits that of the one that started it."""
    try:
        return _status("VmHWM")
    except OSError:
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
