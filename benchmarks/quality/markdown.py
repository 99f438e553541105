"""Tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table with a head."""
    return "\n".join([_line(head), _line(["---"] * len(head)), *map(_line, rows)])
