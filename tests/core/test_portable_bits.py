"""The C core alone gives the same bits on every instruction set that has a fused multiply-add, on aarch64 too.

tests/c/bits.c runs every kernel and short trainings and prints a hash of what came out, a line each.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from schuss import _core
from tests.c import compiler

CROSS_COMPILER, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
CROSS_LIBRARIES = Path("/usr/aarch64-linux-gnu")
LEVELS = [level for level in _core.isa_levels() if level != "baseline"]
FEWEST_LINES = 200

native = compiler.native_compiler()
needs_compiler = pytest.mark.skipif(native is None, reason="needs a C compiler")


def hashes(*command: str | Path) -> dict[str, str]:
    """What was computed -> hash."""
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    lines = [line.rpartition(" ")[::2] for line in printed.splitlines()]
    found = dict(lines)
    assert len(found) == len(lines) >= FEWEST_LINES
    return found


@cache
def here(level: str, threads: int) -> dict[str, str]:
    """Run once for all tests: what a run prints is looked at, never changed."""
    assert native is not None
    return hashes(compiler.program(native), level, str(threads))


def emulated() -> dict[str, str]:
    return hashes(EMULATOR, "-L", CROSS_LIBRARIES, compiler.program(CROSS_COMPILER), "neon", "2")


@needs_compiler
@pytest.mark.skipif(not LEVELS, reason="needs a CPU with a fused multiply-add")
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_any_number_of_threads(threads: int) -> None:
    for level in LEVELS:
        assert here(level, threads) == here(level, 1)


@needs_compiler
@pytest.mark.skipif(len(LEVELS) < 2, reason="needs a CPU with two levels that have a fused multiply-add")
def test_every_level() -> None:
    first = here(LEVELS[0], 1)
    for level in LEVELS[1:]:
        assert here(level, 1) == first


@needs_compiler
@pytest.mark.skipif(platform.machine() != "x86_64" or "avx2" not in LEVELS, reason="needs x86-64 with AVX2")
@pytest.mark.skipif(
    not (shutil.which(CROSS_COMPILER) and shutil.which(EMULATOR)), reason=f"needs {CROSS_COMPILER} and {EMULATOR}"
)
def test_neon_as_avx2() -> None:
    assert emulated() == here("avx2", 1)
