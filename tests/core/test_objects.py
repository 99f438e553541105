"""What the compiler made: no wide instruction where any CPU may come by, and nothing exported but the module."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from schuss import _core
from tests.c import compiler

native = compiler.native_compiler()
pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads ELF files"),
    pytest.mark.skipif(not (shutil.which("nm") and shutil.which("objdump")), reason="needs nm and objdump"),
]
x86_only = pytest.mark.skipif(platform.machine() != "x86_64", reason="x86-64 instructions")
needs_compiler = pytest.mark.skipif(native is None, reason="needs a C compiler")

FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
# VEX and EVEX instructions: AVX and later, and whatever touches their registers.
WIDE = re.compile(r"^ *[0-9a-f]+:\s+(?:\{\w+\}\s+)?(?:v(?!er[rw]\b)\w+|.*%(?:ymm|zmm|k[0-7]\b))")
# What linkers of old put into every library.
OF_THE_LINKER = {"_init", "_fini", "_edata", "_end", "__bss_start"}


def lines_of(*command: str | Path) -> list[str]:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def wide_instructions(binary: Path) -> Iterator[tuple[str, str]]:
    """(function, instruction) of every one that not all x86-64 CPUs have."""
    function = "?"
    for line in lines_of("objdump", "-d", "--no-show-raw-insn", binary):
        if found := FUNCTION.match(line):
            function = found[1]
        elif WIDE.match(line):
            yield function, line.strip()


def symbols(binary: Path, *options: str) -> list[tuple[str, str]]:
    """(kind, name) of the symbols defined."""
    found = [line.split()[-2:] for line in lines_of("nm", "--defined-only", *options, binary)]
    return [(kind, name) for kind, name in found]


def base_name(function: str) -> str:
    """Without what the compiler appends to the parts and copies it makes of a function."""
    return function.split(".")[0]


def objects(wide: bool) -> dict[Path, Path]:
    """Those of the wide instruction sets, or all others."""
    assert native is not None
    every = compiler.core_objects(native)
    return {s: o for s, o in every.items() if (s.parent.name == "isa" and "baseline" not in s.name) == wide}


@x86_only
@needs_compiler
def test_only_the_wide_sets_have_wide_instructions() -> None:
    for source, binary in objects(wide=False).items():
        assert not list(wide_instructions(binary))[:3], source.name
    for source, binary in objects(wide=True).items():
        if source.name.startswith("avx"):
            assert any(wide_instructions(binary)), source.name


@needs_compiler
def test_objects_of_wide_sets_define_their_table_alone() -> None:
    """Anything else, a weak copy of an inline function above all, could be linked in place of a plain one."""
    for source, binary in objects(wide=True).items():
        names = [name for _, name in symbols(binary, "--extern-only")]
        empty = ("avx" in source.name) != (platform.machine() == "x86_64")
        assert names == ([] if empty else [f"kernels_{source.stem}"])


@x86_only
@needs_compiler
def test_wide_instructions_of_the_extension_are_in_kernels() -> None:
    extension = Path(_core.__file__)
    if not symbols(extension):
        pytest.skip("the extension is stripped")
    kernels = {base_name(n) for o in objects(wide=True).values() for kind, n in symbols(o) if kind == "t"}
    found = {base_name(function) for function, _ in wide_instructions(extension)}
    assert found
    assert not found - kernels


def test_extension_exports_its_init_function_alone() -> None:
    names = {name for _, name in symbols(Path(_core.__file__), "--dynamic")}
    assert names - OF_THE_LINKER == {"PyInit__core"}


def test_extension_has_no_startup_code_that_changes_arithmetic() -> None:
    """A link with -ffast-math adds code that flushes denormals in the thread that imports."""
    assert "set_fast_math" not in {name for _, name in symbols(Path(_core.__file__))}
