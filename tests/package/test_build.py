"""The build: what is compiled, in which order, and what is compiled again. On an extension of three small sources."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.c import compiler

pytest.importorskip("setuptools", minversion="77")
pytest.importorskip("Cython", minversion="3.1")
native = compiler.native_compiler()
pytestmark = pytest.mark.skipif(native is None, reason="needs a C compiler")

ROOT = Path(__file__).resolve().parents[2]
SETUP = f"""
import sys
from glob import glob
sys.path.insert(0, {str(ROOT)!r})
from setuptools import Extension, setup
from build_tools.incremental import BuildExt

class Build(BuildExt):
    flags_of_translated = ["-DTRANSLATED"]

setup(
    name="toy",
    ext_modules=[Extension(
        "toy",
        ["toy.pyx", "slow/one.c", "slow/two.c", "three.c"],
        include_dirs=["."],
        depends=glob("*.h") + glob("*/*.h"),
        extra_compile_args=["-O0"],
    )],
    cmdclass={{"build_ext": Build}},
)
"""
FILES = {
    "setup.py": SETUP,
    "toy.pyx": 'include "more.pxi"\ncdef extern from "one.h":\n    int one()\n    int two()\n    int three()\n',
    "more.pxi": "def total():\n    return one() + two() + three()\n",
    "one.h": "int one(void);\nint two(void);\nint three(void);\n",
    "deep.h": "enum { TWO = 2 };\n",
    "two.h": '#include "deep.h"\n',
    "slow/one.c": '#include "one.h"\n#ifndef ONE\n#define ONE 1\n#endif\nint one(void) { return ONE; }\n',
    "slow/two.c": '#include "one.h"\n#include "two.h"\nint two(void) { return TWO; }\n',
    "three.c": '#include "one.h"\nint three(void) { return 3; }\n',
}
ALL = ["toy.pyx", "toy.c", "slow/one.c", "slow/two.c", "three.c"]


class Toy:
    """A folder with the extension."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        without = {"CC", "CFLAGS", "CPPFLAGS", "LDSHARED", "MAX_JOBS"}
        clean = {name: value for name, value in os.environ.items() if name not in without}
        return subprocess.run(
            [sys.executable, "setup.py", "build_ext", "--inplace", *arguments],
            cwd=self.folder,
            env=clean | {"MAX_JOBS": "1"} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def files_made(self) -> dict[Path, tuple[int, int]]:
        kept = [path for path in self.folder.glob("build/objects/**/*") if path.suffix in (".o", ".c")]
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in kept}

    def build(self, *arguments: str, **environment: str) -> list[str]:
        """Sources that were compiled or translated, in their order."""
        before = self.files_made()
        done = self.run(*arguments, **environment)
        assert done.returncode == 0, done.stdout + done.stderr
        made = sorted((at[1], path) for path, at in self.files_made().items() if before.get(path) != at)
        names = {"toy.c": "toy.pyx", "toy.o": "toy.c"}
        return [names.get(path.name) or re.sub(r".*objects/\w+/(.*)\.o", r"\1", path.as_posix()) for _, path in made]

    def total(self) -> int:
        code = "import toy; print(toy.total())"
        done = subprocess.run([sys.executable, "-c", code], cwd=self.folder, capture_output=True, check=True)
        return int(done.stdout)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    toy = Toy(tmp_path_factory.mktemp("toy"))
    assert toy.build() == ALL
    assert toy.total() == 6
    return toy.folder


@pytest.fixture
def toy(built: Path, tmp_path: Path) -> Toy:
    """A copy of its own, built."""
    shutil.copytree(built, tmp_path / "toy")
    return Toy(tmp_path / "toy")


def test_what_is_up_to_date_is_skipped_also_when_it_is_touched(toy: Toy) -> None:
    later = time.time() + 10
    for name in FILES:
        os.utime(toy.folder / name, (later, later))
    assert toy.build() == []
    assert toy.total() == 6


@pytest.mark.parametrize(
    ("name", "old", "new", "compiled", "total"),
    [
        ("three.c", "return 3", "return 4", ["three.c"], 7),
        ("deep.h", "TWO = 2", "TWO = 5", ["slow/two.c"], 9),
        ("one.h", "int one", "extern int one", ["toy.c", "slow/one.c", "slow/two.c", "three.c"], 6),
        ("more.pxi", "one() +", "10 * one() +", ["toy.pyx", "toy.c"], 15),
    ],
)
def test_a_change_compiles_what_read_it(
    toy: Toy, name: str, old: str, new: str, compiled: list[str], total: int
) -> None:
    """Even where the file pretends to be older than the object."""
    path = toy.folder / name
    toy.write(name, path.read_text(encoding="utf-8").replace(old, new))
    os.utime(path, (1e9, 1e9))
    assert toy.build() == compiled
    assert toy.total() == total
    assert toy.build() == []


def test_a_new_header_that_is_found_first(toy: Toy) -> None:
    toy.write("slow/unrelated.h", "")
    assert toy.build() == []
    toy.write("slow/two.h", "enum { TWO = 8 };\n")
    assert toy.build() == ["slow/two.c"]
    assert toy.total() == 12
    (toy.folder / "slow/two.h").unlink()
    assert toy.build() == ["slow/two.c"]


def test_flags_and_their_way_back(toy: Toy) -> None:
    assert toy.build(CFLAGS="-DONE=7") == ALL[1:]
    assert toy.total() == 12
    # What belongs to other flags is kept, and linked again though it is older.
    assert toy.build() == []
    assert toy.total() == 6
    toy.write("setup.py", SETUP.replace('"-O0"', '"-O0", "-DONE=3"'))
    assert toy.build() == ALL[1:]
    assert toy.total() == 8
    toy.write("setup.py", SETUP.replace("-DTRANSLATED", "-O1"))
    assert toy.build() == ["toy.c"]


def test_another_compiler_and_another_version_of_it(toy: Toy) -> None:
    assert native is not None
    wrapper = toy.folder / "wrapper"

    def version(text: str) -> None:
        wrapper.write_text(f'#!/bin/sh\ncase " $* " in *" -v "*) echo {text};; esac\nexec {native} "$@"\n')
        wrapper.chmod(0o755)

    version("first")
    assert toy.build(CC=str(wrapper)) == ALL[1:]
    assert toy.build(CC=str(wrapper)) == []
    version("second")
    assert toy.build(CC=str(wrapper)) == ALL[1:]
    assert toy.build(CPATH=str(toy.folder)) == ALL[1:]


def test_a_damaged_object_and_a_lost_header_are_noticed(toy: Toy) -> None:
    (broken,) = toy.folder.glob("build/objects/*/three.c.o")
    broken.write_bytes(broken.read_bytes()[:-1])
    (toy.folder / "deep.h").unlink()
    toy.write("two.h", "enum { TWO = 2 };\n")
    assert toy.build() == ["slow/two.c", "three.c"]
    assert toy.total() == 6


def test_the_slowest_start_first_on_all_cpus(toy: Toy) -> None:
    """A compiler waits until as many run as there are jobs."""
    log = toy.folder / "log"
    log.mkdir()
    wrapper = toy.folder / "wrapper"
    wrapper.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, sys, time\n"
        f"log = pathlib.Path({str(log)!r})\n"
        "source = next((a for a in sys.argv if a.endswith('.c')), None)\n"
        "if source:\n"
        "    (log / source.replace('/', '-')).write_text(str(time.monotonic_ns()))\n"
        "    end = time.monotonic() + 30\n"
        "    while len(list(log.iterdir())) < 3 and time.monotonic() < end: time.sleep(0.01)\n"
        f"os.execvp({native!r}, [{native!r}, *sys.argv[1:]])\n"
    )
    wrapper.chmod(0o755)
    start = time.monotonic()
    toy.build(CC=str(wrapper), MAX_JOBS="3")
    assert time.monotonic() - start < 25, "three did not run at once"
    last = max(log.iterdir(), key=lambda path: int(path.read_text()))
    assert last.name == "three.c"
    shutil.rmtree(toy.folder / "build")
    assert toy.build("-j1", MAX_JOBS="3") == ALL


def test_a_failing_source_stops_the_build_and_says_why(toy: Toy) -> None:
    toy.write("slow/one.c", "int one(void) { return nonsense; }\n")
    toy.write("three.c", "int three(void) { return 9; }\n")
    before = toy.files_made()
    done = toy.run()
    assert done.returncode != 0
    assert "slow/one.c:1:" in done.stderr and "nonsense" in done.stderr
    assert toy.files_made() == before, "went on after the failure"
    assert not list(toy.folder.glob("build/objects/**/tmp*"))
    toy.write("slow/one.c", FILES["slow/one.c"])
    assert toy.build() == ["three.c"]
    assert toy.total() == 12
    toy.write("slow/one.c", "int one(void) { return nonsense; }\n")
    toy.write("more.pxi", "def total():\n    return 0\n")
    before = toy.files_made()
    done = toy.run(MAX_JOBS="2")
    changed = {path.name for path, at in toy.files_made().items() if before[path] != at}
    assert changed <= {"toy.c"}, "what Cython made was compiled after the failure"
    assert re.search("exit (code|status)", done.stderr.splitlines()[-1])
    toy.write("more.pxi", "def total(:\n")
    done = toy.run()
    assert done.returncode != 0
    assert "more.pxi:1:" in done.stderr and "toy.pyx" in done.stderr.splitlines()[-1]


def test_versions_of_python_share_what_has_no_python_in_it() -> None:
    """The flags with which Python itself was built differ, targets must not be mixed."""
    from build_tools.incremental import without_pythons_own

    def core(flags: str) -> list[str]:
        return without_pythons_own(f"gcc {flags} -fPIC".split(), flags.split())

    assert core("-Wno-unused-result -Wsign-compare -DNDEBUG -g -fwrapv -O3 -Wall") == ["gcc", "-fPIC"]
    assert core("-fno-strict-overflow -Wsign-compare -DNDEBUG -g -O3 -Wall") == ["gcc", "-fPIC"]
    for kept in ("-arch arm64", "-isysroot /sdk", "-m32", "--target=x", "-Wp,-D_FORTIFY_SOURCE=2", "-fstack-protector"):
        assert core(f"-g {kept} -O2") == ["gcc", *kept.split(), "-fPIC"]


def test_the_users_flags_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    from build_tools.incremental import without_pythons_own

    monkeypatch.setenv("CFLAGS", "-fwrapv -Wextra")
    assert without_pythons_own(["cc", "-fwrapv", "-g", "-Wextra"], ["-fwrapv", "-g"]) == ["cc", "-fwrapv", "-Wextra"]


def test_another_python_compiles_only_what_includes_it(toy: Toy) -> None:
    """As if it were another one: what Python adds to the flags differs."""
    config = toy.folder / "sitecustomize.py"
    config.write_text(
        "import sysconfig\nv = sysconfig.get_config_vars()\nv['CFLAGS'] = '-Wall -g -O1 -fno-strict-overflow'\n"
    )
    assert toy.build(PYTHONPATH=str(toy.folder)) == ["toy.c"]
    assert toy.total() == 6


def test_others_find_what_is_up_to_date(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    from build_tools.incremental import objects_of

    monkeypatch.chdir(toy.folder)
    kept, sources = Path("build", "objects"), ["slow/one.c", "slow/two.c", "three.c"]
    (written,) = [path for path in kept.glob("*/settings") if (path.parent / "three.c.o").exists()]
    command = ast.literal_eval(written.read_text())[0]
    find = partial(objects_of, kept, command, sources=sources, headers=["deep.h", "one.h", "two.h"])
    assert find(flags=["-O0"]) == {source: written.parent / f"{source}.o" for source in sources}
    assert find(flags=["-O1"]) is None and objects_of(kept, ["other"], ["-O0"], sources, []) is None
    toy.write("deep.h", "enum { TWO = 3 };\n")
    assert find(flags=["-O0"]) is None
    toy.build()
    assert find(flags=["-O0"]) is not None


@pytest.mark.parametrize(("wanted", "asked", "jobs"), [("5", None, 5), ("5", 2, 2), ("0", None, 1), ("7", True, 7)])
def test_jobs(monkeypatch: pytest.MonkeyPatch, wanted: str, asked: int | None, jobs: int) -> None:
    from build_tools.incremental import job_count

    monkeypatch.setenv("MAX_JOBS", wanted)
    assert job_count(asked) == jobs


def test_jobs_without_a_wish_are_the_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    from build_tools.incremental import job_count

    monkeypatch.delenv("MAX_JOBS", raising=False)
    assert 1 <= job_count(None) <= (os.cpu_count() or 1)


@pytest.mark.parametrize("edited", [False, True])
def test_what_changes_while_it_is_read_is_made_again(tmp_path: Path, edited: bool) -> None:
    from build_tools.incremental import make

    source = tmp_path / "source"
    source.write_text("old")
    time.sleep(0.05)
    made = []

    def how(folder: Path) -> tuple[Path, list[str]]:
        made.append(source.read_text())
        (folder / "out").write_text(made[-1])
        if edited and len(made) == 1:
            source.write_text("new")
        return folder / "out", [str(source)]

    build: Callable[[], Path] = lambda: make(tmp_path / "out", "settings", how)  # noqa: E731
    build()
    time.sleep(0.05)
    assert build().read_text() == ("new" if edited else "old")
    build()
    assert made == (["old", "new"] if edited else ["old"])


def test_depfiles(tmp_path: Path) -> None:
    from build_tools.incremental import read_depfile

    path = tmp_path / "depfile"
    path.write_bytes(b"x.o: C:\\a\\ b\\c.c \\\n d.h \\\r\n  e\\#.h f$$.h\n")
    assert read_depfile(path) == [r"C:\a b\c.c", "d.h", "e#.h", "f$.h"]
