"""Modules import one way only: who is used knows nothing of its users, in functions neither."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"


def for_types_alone(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def statements(node: ast.AST) -> list[ast.AST]:
    """All below, but for what only type checkers read."""
    found = []
    for child in ast.iter_child_nodes(node):
        if for_types_alone(child):
            assert isinstance(child, ast.If)
            found += [below for other in child.orelse for below in (other, *statements(other))]
        else:
            found += [child, *statements(child)]
    return found


def modules() -> dict[str, Path]:
    found = {}
    for path in (SOURCE / "schuss").rglob("*.py"):
        name = ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imported(name: str, path: Path, known: set[str]) -> set[str]:
    """Modules of the package that a module imports, at its top or in a function."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found = set()
    for node in statements(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(filter(None, (base, node.module or "")))
            # A package whose submodule is asked for is not what is used.
            names = {f"{source}.{alias.name}" for alias in node.names if alias.name != "_core"}
            found |= {n if n in known else source for n in names}
    return (found & known) - {name}


def circles() -> list[set[str]]:
    """Groups of modules each of which leads to every other."""
    paths = modules()
    edges = {name: imported(name, path, set(paths)) for name, path in paths.items()}
    reached: dict[str, set[str]] = {}
    for name in edges:
        seen: set[str] = set()
        left = [name]
        while left:
            for other in edges[left.pop()] - seen:
                seen.add(other)
                left.append(other)
        reached[name] = seen
    return [{name} | {o for o in reached[name] if name in reached[o]} for name in edges if name in reached[name]]


# Whoever uses these finds out nothing of what stands above them.
ONE_WAY = ("schuss.network", "schuss.passes", "schuss.training", "schuss.serialization", "schuss.files", "schuss.optim",
           "schuss.parts", "schuss.history", "schuss.structure")  # fmt: skip


def test_no_circles() -> None:
    found = {name for circle in circles() for name in circle}
    assert not {name for name in found if name in ONE_WAY or name.startswith(("schuss.files.", "schuss.optim."))}
