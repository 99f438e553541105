"""Compiles an extension on all CPUs, and of its sources only what has changed.

Each object has a record beside it: a digest of the compiler, its flags, the source, all headers that it read, and the
object. What no longer matches is compiled again. Sources that do not include Python.h are compiled without
what the Python at hand adds, so that all versions of Python share their objects. `objects_of` finds them for others.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import math
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

# What compilers read from the environment. CC, CFLAGS and ARCHFLAGS come with the command.
ENVIRONMENT = ("MACOSX_DEPLOYMENT_TARGET", "SDKROOT", "CPATH", "C_INCLUDE_PATH", "GCC_EXEC_PREFIX", "COMPILER_PATH")
ENVIRONMENT_OF_MSVC = ("INCLUDE", "CL", "_CL_")

# Flags of the build of Python itself that say nothing about the target: each version has others.
PYTHONS_OWN = re.compile(r"-(W[^,]*|g.*|O.*|std=.*|DNDEBUG|fwrapv|fno-strict-overflow)")


def cpu_count() -> int:
    """CPUs that this process may use, within a container's quota."""
    if hasattr(os, "process_cpu_count"):
        count = os.process_cpu_count()
    else:
        count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = count or 1
    try:
        quota, period = map(int, Path("/sys/fs/cgroup/cpu.max").read_text().split())
        return max(1, min(count, math.ceil(quota / period)))
    except (OSError, ValueError):
        return count


def job_count(asked: int | bool | None) -> int:
    """How many compilers run at once: what build_ext was asked for, else MAX_JOBS, else one a CPU."""
    if asked is None or asked is True:
        asked = int(os.environ.get("MAX_JOBS") or cpu_count())
    return max(1, asked)


def without_pythons_own(command: list[str], flags_of_python: Iterable[str]) -> list[str]:
    """The command without the flags that only say how Python was built; the user's CFLAGS stay."""
    command, users = list(command), os.environ.get("CFLAGS", "").split()
    for flag in flags_of_python:
        if PYTHONS_OWN.fullmatch(flag) and flag in command and flag not in users:
            command.remove(flag)
    return command


def read_depfile(path: Path) -> list[str]:
    """The files that a depfile names after its target."""
    _, _, files = re.sub(r"\\\r?\n", " ", os.fsdecode(path.read_bytes())).partition(": ")
    names = re.split(r"(?<!\\)\s+", files)
    return [re.sub(r"\\([ #])", r"\1", name).replace("$$", "$") for name in names if name]


def digest(*parts: str | Path) -> str:
    """Of texts and of files' contents."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(hashlib.sha256(part.read_bytes() if isinstance(part, Path) else os.fsencode(part)).digest())
    return whole.hexdigest()


def record_of(output: Path) -> Path:
    """The record beside an output."""
    return Path(f"{output}.record")


def state(output: Path, settings: str, headers: Iterable[str], inputs: list[str]) -> str:
    """A digest of an output and all that it depends on."""
    names = {os.path.basename(name) for name in inputs}
    namesakes = sorted(name for name in headers if os.path.basename(name) in names)
    return digest(settings, repr(namesakes), *(part for name in inputs for part in (name, Path(name))), output)


def is_current(output: Path, settings: str, headers: Iterable[str] = ()) -> bool:
    """Whether the output's record says that it is what would be made."""
    try:
        known, *inputs = os.fsdecode(record_of(output).read_bytes()).split("\n")
        return known == state(output, settings, headers, inputs)
    except OSError:
        return False


def make(
    output: Path, settings: str, how: Callable[[Path], tuple[Path, list[str]]], headers: Iterable[str] = ()
) -> Path:
    """The output, made unless its record says that it is what would be made.

    how takes an empty folder and returns the file that it made there and the names of all files it was made of.
    Of all headers there are, a new one may be found in place of an input of the same name.
    """
    if is_current(output, settings, headers):
        return output
    output.parent.mkdir(parents=True, exist_ok=True)
    start = time.time()
    # Another build of the same checkout never sees half an object.
    with tempfile.TemporaryDirectory(dir=output.parent) as folder:
        made, inputs = how(Path(folder))
        os.replace(made, output)
    # What was written while it was read is read again next time.
    if all(max(stat.st_mtime, stat.st_ctime) < start for stat in map(os.stat, inputs)):
        known = state(output, settings, headers, inputs)
        record_of(output).write_bytes(os.fsencode("\n".join([known, *inputs])))
    return output


def make_all(jobs: int, tasks: list[list[Callable[[Any], Path]]]) -> list[Path]:
    """Results of all tasks, started in their order, each of them steps that take what the step before made.

    After a step that fails, or Ctrl-C, none is started.
    """
    failures: list[BaseException] = []

    def attempt(task: list[Callable[[Any], Path]]) -> Any:
        made = None
        for step in task:
            if failures:
                return None
            try:
                made = step(made)
            except Exception as error:
                failures.append(error)
        return made

    with ThreadPoolExecutor(jobs) as pool:
        try:
            made = list(pool.map(attempt, tasks))
        except KeyboardInterrupt as error:
            failures.append(error)
    if failures:
        raise failures[0]
    return made


class Compiler:
    """One of setuptools' compilers with what it is given for an extension."""

    def __init__(self, compiler: Any, folder: Path, ext: Any, flags: list[str], *, debug: bool) -> None:
        self.compiler, self.flags, self.debug, self.headers = compiler, flags, debug, ext.depends
        self.include_dirs = ext.include_dirs
        self.msvc = compiler.compiler_type == "msvc"
        command = [compiler.cc, *compiler.compile_options] if self.msvc else compiler.compiler_so
        try:
            done = subprocess.run([*command, "-v"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
            version = os.fsdecode(done.stdout + done.stderr)
        except OSError:  # compiling will say so
            version = ""
        names = ENVIRONMENT + ENVIRONMENT_OF_MSVC if self.msvc else ENVIRONMENT
        environment = [os.environ.get(name) for name in names]
        target = [sysconfig.get_config_var("MACOSX_DEPLOYMENT_TARGET"), compiler.macros, compiler.include_dirs]
        self.settings = repr([command, version, environment, target, flags, self.include_dirs, debug])
        self.folder = folder / digest(self.settings)[:16]

    def write_settings(self) -> None:
        """Beside the objects, so that others can tell what they were made with."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "settings").write_text(self.settings, encoding="utf-8")

    def compile(self, source: str, name: str) -> Path:
        """The source's object, kept under this name."""
        output = self.folder / f"{name}{self.compiler.obj_extension}"

        def how(folder: Path) -> tuple[Path, list[str]]:
            depfile = folder / "depfile"
            ask = ["-MD", "-MF", str(depfile)]
            (made,) = self.compiler.compile(
                [source],
                output_dir=str(folder),
                include_dirs=self.include_dirs,
                debug=self.debug,
                extra_postargs=[*self.flags, *([f"/clang:{word}" for word in ask] if self.msvc else ask)],
            )
            return Path(made), read_depfile(depfile)

        return make(output, self.settings, how, self.headers)


def objects_of(
    kept: Path, command: list[str], flags: list[str], sources: list[str], headers: Iterable[str]
) -> dict[str, Path] | None:
    """Objects that a build has left in its folder, up to date and made with this command and flags; None unless all.

    By their sources, whose names are relative, as in a build.
    """
    for written in kept.glob("*/settings"):
        settings = written.read_text(encoding="utf-8")
        made_with, _, _, _, made_with_flags, *_ = ast.literal_eval(settings)
        objects = {source: written.parent / f"{source}.o" for source in sources}
        same = (made_with, made_with_flags) == (command, flags)
        if same and all(is_current(path, settings, headers) for path in objects.values()):
            return objects
    return None


def translate(source: str, module: str, folder: Path) -> Path:
    """What Cython makes of the source."""
    from Cython import __version__

    output = folder / f"{module}.c"

    def how(folder: Path) -> tuple[Path, list[str]]:
        made = folder / output.name
        command = [sys.executable, "-m", "cython", "-3", "-M", "--module-name", module, source, "-o", str(made)]
        if subprocess.run(command, check=False).returncode:
            raise CompileError(f"Cython cannot translate {source}")
        # Cython's version stands for its own files, which a frontend may keep in a folder that goes.
        read = [
            name for name in read_depfile(Path(f"{made}.dep")) if not name.startswith("..") and not os.path.isabs(name)
        ]
        return made, read

    return make(output, __version__, how)


class BuildExt(build_ext):
    """Compiles an extension's sources in the order given, so the slowest should be first. Names are relative."""

    # Flags of what Cython makes, after those of the extension.
    flags_of_translated: list[str] = []  # noqa: RUF012

    def build_extension(self, ext: Any) -> None:
        """Of C sources and one in Cython."""
        kept = Path(self.get_finalized_command("build").build_base, "objects")

        def compiler(base: Any, *flags: str) -> Compiler:
            return Compiler(base, kept, ext, [*ext.extra_compile_args, *flags], debug=bool(self.debug))

        def drop_include_dirs(compiler: Any, *dropped: str | None) -> None:
            compiler.include_dirs = [name for name in compiler.include_dirs if name not in dropped]

        # A frontend's environment for the build is a new folder each time, with no headers.
        drop_include_dirs(self.compiler, os.path.join(sys.exec_prefix, "include"))
        plain = copy.copy(self.compiler)
        drop_include_dirs(plain, sysconfig.get_path("include"), sysconfig.get_path("platinclude"))
        if plain.compiler_type != "msvc":
            own = (sysconfig.get_config_var("CFLAGS") or "").split()
            plain.set_executables(compiler_so=without_pythons_own(plain.compiler_so, own))
        without_python, with_python = compiler(plain), compiler(self.compiler, *self.flags_of_translated)

        for each in (without_python, with_python):
            each.write_settings()

        def task(source: str) -> list[Callable[[Any], Path]]:
            if source.endswith(".pyx"):
                return [
                    lambda _: translate(source, ext.name, kept),
                    lambda translated: with_python.compile(os.fspath(translated), ext.name),
                ]
            return [lambda _: without_python.compile(source, source)]

        objects = make_all(job_count(self.parallel), [task(source) for source in ext.sources])
        # An object of other flags may be older than what was linked last.
        self.compiler.force = True
        self.compiler.link_shared_object(
            # Where functions lie is felt in calls of a fraction of a microsecond: not to depend on the order above.
            [os.fspath(path) for _, path in sorted(zip(ext.sources, objects, strict=True))],
            self.get_ext_fullpath(ext.name),
            libraries=self.get_libraries(ext),
            library_dirs=ext.library_dirs,
            runtime_library_dirs=ext.runtime_library_dirs,
            extra_postargs=ext.extra_link_args,
            export_symbols=self.get_export_symbols(ext),
            debug=self.debug,
            build_temp=self.build_temp,
            target_lang="c",
        )
