"""Tables of vectors for codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..arguments import integer, number
from .base import Shape, matched, optional_size
from .table import Table, table_name


@dataclass(init=False, repr=False, eq=False)
class Embedding(Table):
    """The rows of a table W (n, dim) that codes name: codes (rows, columns) -> (rows, columns * dim), side by side.

    Parameters
    ----------
    n : int
        Rows of the table: codes are integers from 0 to n - 1.
    dim : int
        Elements of a row.
    std : float
        Standard deviation of the table's normally distributed start, at least 0. 1 as torch has it.
    columns : int, optional
        Codes of a row; follows from the input.
    table : str, optional
        A name: all layers of a network that have it use one table, which is one of `Network.parameters` and is trained
        by what all of them see, as items that were looked at and the item in question. They must have the same n, dim
        and std.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range. When the network is used, a code out of range is a ValueError that names its row
        and column, before anything has changed.

    Notes
    -----
    All columns share the table. In training every row of the table is stepped, those that no code named with a
    gradient of zero: optimizers with momentum move them on. With an optimizer's ``rows="lazy"`` or ``rows="exact"`` a
    step takes time and memory for the rows alone that its batch names, however long the table is.

    The gradient of a row is the sum over all codes of the batch that name it, in their order, over the layers in
    theirs.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> words = schuss.Input("words", 3, dtype="int64")
    >>> net = schuss.Network([words, schuss.Embedding(50, 4), schuss.Dense(2)], seed=0)
    >>> net.predict(np.array([[7, 0, 49]])).shape
    (1, 2)
    """

    kind: ClassVar[str] = "embedding"
    _takes: ClassVar[tuple[str, ...]] = ("codes",)
    n: int
    dim: int
    std: float
    columns: int | None
    table: str | None

    def __init__(
        self, n: int, dim: int, *, std: float = 1.0, columns: int | None = None, table: str | None = None
    ) -> None:
        self._set(
            n=integer("n", n, 1),
            dim=integer("dim", dim, 1),
            std=number("std", std, "[0, inf)"),
            columns=optional_size("columns", columns),
            table=table_name(table),
        )

    def after(self, shape: Shape, name: str) -> Embedding:
        self._check_storage(shape, name)
        columns = matched(name, self.columns, shape, "columns")
        return Embedding(self.n, self.dim, std=self.std, columns=columns, table=self.table)

    @property
    def shape(self) -> Shape:
        return Shape((self.columns or 0) * self.dim)

    def row(self) -> tuple[str, str, str, str]:
        named = "" if self.table is None else f" ({self.table})"
        text = f"Embedding {self.columns} codes of {self.n}{named} -> {self.shape.columns}"
        return text, "", f"normal {self.std:g}", ""
