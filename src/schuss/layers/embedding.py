"""Tables of vectors for codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..arguments import integer, number
from .base import Layer, Shape, matched, optional_size


@dataclass(init=False, repr=False, eq=False)
class Embedding(Layer):
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

    Raises
    ------
    ValueError, TypeError
        If a number is out of range. When the network is used, a code out of range is a ValueError that names its row
        and column, before anything has changed.

    Notes
    -----
    All columns share the table. In training every row of the table is stepped, those that no code named with a
    gradient of zero: optimizers with momentum move them on.

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

    def __init__(self, n: int, dim: int, *, std: float = 1.0, columns: int | None = None) -> None:
        self._set(
            n=integer("n", n, 1),
            dim=integer("dim", dim, 1),
            std=number("std", std, "[0, inf)"),
            columns=optional_size("columns", columns),
        )

    def after(self, shape: Shape, name: str) -> Embedding:
        self._check_storage(shape, name)
        columns = matched(name, self.columns, shape, "columns")
        return Embedding(self.n, self.dim, std=self.std, columns=columns)

    @property
    def shape(self) -> Shape:
        return Shape((self.columns or 0) * self.dim)

    @property
    def n_parameters(self) -> int:
        return self.n * self.dim

    def sizes(self) -> dict[str, int]:
        return {"n": self.n, "dim": self.dim}

    def starts(self) -> dict[str, float | tuple[str, float]]:
        return {"weight": ("normal", self.std)}

    def row(self) -> tuple[str, str, str, str]:
        return f"Embedding {self.columns} codes of {self.n} -> {self.shape.columns}", "", f"normal {self.std:g}", ""
