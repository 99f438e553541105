"""What layers with a table of vectors have in common."""

from __future__ import annotations

from typing import Any

from ..arguments import shown
from .base import Layer


class Table(Layer):
    """A table W (n, dim), the layer's own or, by its name, one of several layers."""

    n: int
    dim: int
    std: float
    table: str | None

    @property
    def n_parameters(self) -> int:
        return self.n * self.dim

    def sizes(self) -> dict[str, int]:
        return {"n": self.n, "dim": self.dim}

    def starts(self) -> dict[str, float | tuple[str, float]]:
        return {"weight": ("normal", self.std)}

    def described(self) -> dict[str, Any]:
        """What a file holds of it, with the name of its table if there is one."""
        held = super().described()
        return {name: value for name, value in held.items() if name != "table" or value is not None}

    def __repr__(self) -> str:
        text = super().__repr__()
        return text if self.table is not None else text.replace(", table=None", "")


def table_name(table: Any) -> str | None:
    """The name of a table that several layers of a network may use, or None: it is the layer's own."""
    if table is not None and (not isinstance(table, str) or not table):
        raise TypeError(f"table must be a name, or None; got {shown(table)}")
    return table
