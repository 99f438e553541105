"""Sums of rows of a table, of those that a bag of codes names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..arguments import choice, integer, number
from .base import Shape, matched
from .table import Table, table_name


@dataclass(init=False, repr=False, eq=False)
class EmbeddingBag(Table):
    """The sum or the mean of the rows of a table W (n, dim) that a bag names: (rows, bags of codes) -> (rows, dim).

    With the codes c and the weights a of a row, y = sum of a W[c], one entry after the other; of the mean, divided by
    how many entries the row has. A row without entries gives zeros.

    Parameters
    ----------
    n : int
        Rows of the table: codes are integers from 0 to n - 1, as many as the input has columns.
    dim : int
        Elements of a row.
    mode : {"sum", "mean"}
        torch's modes. Its mean takes no weights; here weighted rows are summed and divided by their number, not by the
        sum of weights. An entry of a sparse matrix counts even if its value is 0.
    std : float
        Standard deviation of the table's normally distributed start, at least 0. 1 as torch has it.
    table : str, optional
        As for `Embedding`, with which it can have a table in common.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range. When the network is used, a code out of range is a ValueError that names its
        row, before anything has changed.

    Notes
    -----
    Without an `Input` before it, the network has one of the name "x". What comes in is a sparse matrix of scipy or
    `schuss.Bags`.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([schuss.EmbeddingBag(50, 4, "mean"), schuss.Dense(2)], seed=0)
    >>> net.predict(schuss.Bags([[7, 0, 49], []])).shape
    (2, 2)
    """

    kind: ClassVar[str] = "embedding_bag"
    _takes: ClassVar[tuple[str, ...]] = ("compressed rows",)
    n: int
    dim: int
    mode: str
    std: float
    table: str | None

    def __init__(self, n: int, dim: int, mode: str = "sum", *, std: float = 1.0, table: str | None = None) -> None:
        self._set(
            n=integer("n", n, 1),
            dim=integer("dim", dim, 1),
            mode=choice("mode", mode, ("sum", "mean")),
            std=number("std", std, "[0, inf)"),
            table=table_name(table),
        )

    def after(self, shape: Shape, name: str) -> EmbeddingBag:
        self._check_storage(shape, name)
        matched(name, self.n, shape, "n")
        return self

    @property
    def shape_in(self) -> Shape:
        return Shape(self.n, sparse=True)

    @property
    def shape(self) -> Shape:
        return Shape(self.dim)

    def numbers(self) -> dict[str, float]:
        return {"mean": float(self.mode == "mean")}

    def row(self) -> tuple[str, str, str, str]:
        return f"EmbeddingBag {self.mode} of {self.n} -> {self.dim}", "", f"normal {self.std:g}", ""
