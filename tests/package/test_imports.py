"""Modules import each other one way: whether at once, late within a function, or for types alone, none leads back."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import schuss

PACKAGE = Path(schuss.__file__).parent

Arrows = dict[tuple[str, str], set[str]]


def modules_of(package: Path) -> dict[str, list[Path]]:
    """Every module's files by its name: of a compiled one its source and its types."""
    found: dict[str, list[Path]] = {}
    for path in sorted(package.rglob("*.p*")):
        if path.suffix in (".pyx", ".pxi"):  # of the one extension
            found.setdefault(f"{package.name}._core", []).append(path)
        elif path.suffix in (".py", ".pyi"):
            parts = path.relative_to(package.parent).with_suffix("").parts
            found.setdefault(".".join(parts[:-1] if parts[-1] == "__init__" else parts), []).append(path)
    return found


def imports_of(tree: ast.AST, when: str = "at once") -> Iterator[tuple[ast.Import | ast.ImportFrom, str]]:
    """Every import statement, and whether it is made at once, late, or for types."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node, when
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for part in node.body:
                yield from imports_of(ast.Module([part], []), "for types")
            for part in node.orelse:
                yield from imports_of(ast.Module([part], []), when)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield from imports_of(node, "late")
        else:
            yield from imports_of(node, when)


def arrows_of(name: str, path: Path, known: set[str]) -> Iterator[tuple[str, str]]:
    """What a module imports of these, and when."""
    if path.suffix in (".pyx", ".pxi"):  # no Python: its lines of imports are
        lines = [line.strip() for line in path.read_text("utf-8").splitlines()]
        source = "\n".join(line for line in lines if line.startswith(("import ", "from ")) and " cimport " not in line)
    else:
        source = path.read_text("utf-8")
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node, when in imports_of(ast.parse(source), "for types" if path.suffix == ".pyi" else "at once"):
        if isinstance(node, ast.Import):
            asked = [alias.name for alias in node.names]
        else:
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            asked = [f"{origin}.{alias.name}" for alias in node.names]
            asked = [whole if whole in known else origin for whole in asked]
        for other in asked:
            if other in known and other != name:
                yield other, when


def arrows(package: Path) -> Arrows:
    modules = modules_of(package)
    found: Arrows = {}
    for name, paths in modules.items():
        for path in paths:
            for other, when in arrows_of(name, path, set(modules)):
                found.setdefault((name, other), set()).add(when)
    return found


def circles(found: Arrows) -> list[set[str]]:
    """Modules each of which leads to all others of its circle."""
    to: dict[str, set[str]] = {}
    for a, b in found:
        to.setdefault(a, set()).add(b)

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        rest = [start]
        while rest:
            for other in to.get(rest.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    rest.append(other)
        return seen

    reach = {name: reached(name) for name in to}
    rings = {frozenset(b for b in reach[a] if a in reach.get(b, ())) for a in to if a in reach[a]}
    return sorted((set(ring) for ring in rings), key=sorted)


def told(circle: set[str], found: Arrows) -> str:
    lines = [f"{a} -> {b} ({', '.join(sorted(found[a, b]))})" for a, b in sorted(found) if {a, b} <= circle]
    return "these modules import each other in a circle:\n  " + "\n  ".join(lines)


def test_no_circles() -> None:
    found = arrows(PACKAGE)
    for circle in circles(found):
        raise AssertionError(told(circle, found))


def test_circles_of_every_kind_are_found(tmp_path: Path) -> None:
    texts = {
        "__init__.py": "from .a import x\n",
        "a.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .b import Y\n",
        "b.py": "class Y:\n    def f(self):\n        from .inner import c\n",
        "inner/__init__.py": "",
        "inner/c.py": "from .. import a\nfrom ..d import z\n",
        "d.py": "from . import _core\n",
        "core/f.pxi": "cimport numpy\ncdef int f():\n    from package.inner import z\n",
        "_core.pyi": "from .d import Z\n",
        "alone.py": "from . import a\nfrom .b import Y\n",
    }
    for name, text in texts.items():
        path = tmp_path / "package" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    found = arrows(tmp_path / "package")
    assert circles(found) == [
        {"package._core", "package.d"},
        {"package.a", "package.b", "package.inner.c"},
    ]
    assert found["package.a", "package.b"] == {"for types"}
    assert found["package.b", "package.inner.c"] == {"late"}
    assert found["package.d", "package._core"] == {"at once"}
    assert found["package._core", "package.d"] == {"for types"}
    assert "package.b -> package.inner.c (late)" in told({"package.a", "package.b", "package.inner.c"}, found)


# What may be missing: all that is installed but NumPy.
WITHOUT = """
import importlib, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "numpy", "schuss"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""
# Doors to other libraries, which are imported where these are.
DOORS = ("schuss.cli", "schuss.sklearn", "schuss.scipy", "schuss.torch", "schuss.interchange.", "schuss.__main__")
DOORS += ("schuss._core",)


def test_modules_need_numpy_alone() -> None:
    names = [name for name in modules_of(PACKAGE) if not name.startswith(DOORS)]
    assert {"schuss.recommend.pairwise", "schuss.tables.model"} <= set(names)
    command = [sys.executable, "-c", WITHOUT, *names]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
