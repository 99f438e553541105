"""A learnable factor a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .base import ColumnLayer, optional_size


@dataclass(init=False, repr=False, eq=False)
class Scale(ColumnLayer):
    """``Y = X s`` with a learnable factor s for each column, (n,), which starts at 1.

    In front of a network it learns which features matter (Holzmüller, Grinsztajn, Steinwart, "Better by default: strong
    pre-tuned MLPs and boosted trees on tabular data", 2024).

    Parameters
    ----------
    n : int, optional
        Columns; follows from the layer before.

    Raises
    ------
    ValueError, TypeError
        If n is not an integer of at least 1.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([schuss.Scale(9), schuss.Dense(256, "selu"), schuss.Dense(1)], seed=0)
    >>> net.named_parameters()["layers.0.scale"].shape
    (9,)
    """

    kind: ClassVar[str] = "scale"
    n: int | None

    def __init__(self, n: int | None = None) -> None:
        self._set(n=optional_size("n", n))

    def starts(self) -> dict[str, float | tuple[str, float]]:
        return {"scale": 1.0}

    def row(self) -> tuple[str, str, str, str]:
        return f"Scale {self.n}", "", "", ""
