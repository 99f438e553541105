"""ReLU with a learnable slope below zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..arguments import number
from .base import ColumnLayer, optional_size


@dataclass(init=False, repr=False, eq=False)
class PReLU(ColumnLayer):
    """``Y = x if x > 0 else a x`` with a learnable slope a for each column, (n,).

    As torch's PReLU with num_parameters=n; torch's default is one slope for all.

    Parameters
    ----------
    n : int, optional
        Columns; follows from the layer before.
    slope : float
        At which a starts.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, Delving deep into rectifiers (2015), https://arxiv.org/abs/1502.01852

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([schuss.Dense(4, 16), schuss.PReLU(), schuss.Dense(3)], seed=0)
    >>> net.named_parameters()["layers.1.slope"].shape
    (16,)
    """

    kind: ClassVar[str] = "prelu"
    n: int | None
    slope: float

    def __init__(self, n: int | None = None, *, slope: float = 0.25) -> None:
        self._set(n=optional_size("n", n), slope=number("slope", slope, "(-inf, inf)"))

    def starts(self) -> dict[str, float | tuple[str, float]]:
        return {"slope": self.slope}

    def row(self) -> tuple[str, str, str, str]:
        return f"PReLU {self.n}", "", f"{self.slope:g}", ""
