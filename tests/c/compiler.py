"""Compiles the C core without Python, with the flags that setup.py gives the extension.

As a program it prints those flags, for scripts.
"""

from __future__ import annotations

import ast
import atexit
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = sorted([*ROOT.glob("csrc/*.c"), *ROOT.glob("csrc/*/*.c")])
PROGRAM = sorted(ROOT.glob("tests/c/*.c"))


def read_flags() -> list[str]:
    """FLAGS of setup.py, which cannot be imported without running the setup."""
    for node in ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "FLAGS":
            return list(ast.literal_eval(node.value))
    raise LookupError("setup.py: no FLAGS")


FLAGS = read_flags()


def native_compiler() -> str | None:
    """The C compiler that Python was built with, or another one that is there."""
    if sys.platform == "win32":
        return None
    wanted = [*(sysconfig.get_config_var("CC") or "").split()[:1], "cc", "gcc", "clang"]
    return next((name for name in wanted if shutil.which(name)), None)


@cache
def folder(compiler: str) -> Path:
    """Where what this compiler makes is kept until the process ends."""
    path = tempfile.mkdtemp(prefix="schuss-c-")
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return Path(path)


def run(*command: str | Path) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stderr}")


def compile_all(compiler: str, sources: list[Path]) -> dict[Path, Path]:
    """The object of each source."""
    objects = {s: folder(compiler) / ("-".join(s.relative_to(ROOT).parts) + ".o") for s in sources}
    # The kernels of one instruction set take seconds each, so they go first.
    slow_first = sorted(sources, key=lambda s: s.parent.name != "isa")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        include = f"-I{ROOT / 'csrc'}"
        list(pool.map(lambda s: run(compiler, *FLAGS, include, "-fPIC", "-c", s, "-o", objects[s]), slow_first))
    return objects


def objects_of_extension(compiler: str) -> dict[Path, Path] | None:
    """Those of the core that building the extension here has left: the same compiler, flags and sources. Or None."""
    try:
        from build_tools.incremental import objects_of
    except ImportError:  # without setuptools nothing has been built here
        return None
    sources = [s.relative_to(ROOT).as_posix() for s in CORE]
    headers = [h.relative_to(ROOT).as_posix() for h in sorted(ROOT.glob("csrc/**/*.h"))]
    if Path.cwd() != ROOT:  # where a build has run, since names are relative
        return None
    found = objects_of(Path("build", "objects"), [compiler, "-fPIC"], FLAGS, sources, headers)
    return found and {ROOT / source: ROOT / path for source, path in found.items()}


@cache
def core_objects(compiler: str) -> dict[Path, Path]:
    """The objects of the core by their sources: those of the extension, else compiled, which takes a minute."""
    return objects_of_extension(compiler) or compile_all(compiler, CORE)


def link(compiler: str, name: str, sources: list[Path]) -> Path:
    """The program that these sources make on top of the core."""
    path = folder(compiler) / name
    objects = [*core_objects(compiler).values(), *compile_all(compiler, sources).values()]
    run(compiler, *objects, "-pthread", "-lm", "-o", path)
    return path


@cache
def program(compiler: str) -> Path:
    """The program tests/c/bits.c."""
    return link(compiler, "bits", PROGRAM)


@cache
def small_program(compiler: str, name: str) -> Path:
    """One of the programs of a single file in tests/c/programs."""
    return link(compiler, name, [ROOT / "tests" / "c" / "programs" / f"{name}.c"])


if __name__ == "__main__":
    print(*FLAGS)
