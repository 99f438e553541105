"""What is tested in C, below the interface.

Teams of threads, the choice between them and one thread, allocations, bags, starts and ends of products, sums of
columns, drawn networks, the memory of plans, ways to walk over arrays.
"""

from __future__ import annotations

import subprocess

import pytest

from tests.c import compiler

native = compiler.native_compiler()
NOT_HERE = 77


@pytest.mark.skipif(native is None, reason="needs a C compiler")
@pytest.mark.parametrize(
    "name", ["allocations", "bags", "columns", "ends", "networks", "pace", "plans", "settings", "teams", "ways"]
)
def test_program(name: str) -> None:
    assert native is not None
    done = subprocess.run(
        [compiler.small_program(native, name)], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode == NOT_HERE:
        pytest.skip("cannot be seen on this system")
    assert done.returncode == 0, done.stderr
