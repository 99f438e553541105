"""C files of this folder, compiled for this machine when the benchmarks run."""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

# The whole instruction set of this machine; compilers differ in the name.
_NATIVE = ("-march=native", "-mcpu=native")


def compilers() -> list[list[str]]:
    """Commands of the C compilers that are here."""
    given = shlex.split(os.environ.get("CC", ""))
    return [given] if given else [[name] for name in ("cc", "gcc", "clang") if shutil.which(name)]


def compiled(source: str, compiler: Sequence[str], *flags: str) -> ctypes.CDLL | None:
    """A C file of this folder, compiled for this machine and loaded; None where that fails."""
    # A loaded library cannot be deleted everywhere: then its folder stays.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        found, path = Path(folder) / "found.o", Path(folder) / "found.so"
        for native in _NATIVE:
            compile_it = [*compiler, *flags, "-fPIC", native, "-c", str(Path(__file__).with_name(source))]
            try:
                subprocess.run([*compile_it, "-o", str(found)], check=True, capture_output=True)
                # Linked without those flags: -ffast-math would change how the whole process rounds.
                link_it = [*compiler, "-shared", str(found), "-o", str(path)]
                subprocess.run(link_it, check=True, capture_output=True)
                return ctypes.CDLL(str(path))
            except (OSError, subprocess.CalledProcessError):
                continue
    return None


def compiled_by_any(source: str, *flags: str) -> ctypes.CDLL | None:
    """The same with the first compiler that can."""
    for compiler in compilers():
        found = compiled(source, compiler, *flags)
        if found is not None:
            return found
    _tell_once()
    return None


@cache
def _tell_once() -> None:
    print("no C compiler: limits without bare loops", file=sys.stderr, flush=True)
