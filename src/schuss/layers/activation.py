"""An activation that stands alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .._core import ACTIVATIONS
from ..arguments import choice, number
from .base import ColumnLayer, checked_alpha, optional_size


@dataclass(init=False, repr=False, eq=False)
class Activation(ColumnLayer):
    """``Y = dropout(act(X))``, for behind layers that have no activation of their own.

    Behind a layer without activation and dropout it costs no pass over memory: that layer applies it.

    Parameters
    ----------
    name : str
        As `Dense`'s activation.
    dropout : float
        Probability in [0, 1) that an output is dropped in training. Not for softmax.
    alpha : float, optional
        As `Dense`'s.
    n : int, optional
        Columns; follows from the layer before.

    Raises
    ------
    ValueError, TypeError
        If a name is not known or a number out of range.

    Examples
    --------
    >>> import schuss
    >>> hidden = [schuss.Dense(4, 16), schuss.LayerNorm(), schuss.Activation("relu")]
    >>> net = schuss.Network([*hidden, schuss.Dense(3)], seed=0)
    """

    kind: ClassVar[str] = "activation"
    _has_end: ClassVar[bool] = True
    _vectors: ClassVar[int] = 0
    name: str
    dropout: float
    alpha: float | None
    n: int | None

    def __init__(self, name: str, *, dropout: float = 0.0, alpha: float | None = None, n: int | None = None) -> None:
        name = choice("name", name, ACTIVATIONS)
        if name == "softmax" and dropout:
            raise ValueError(f"dropout must be 0 for activation 'softmax'; got {dropout!r}")
        self._set(
            name=name,
            dropout=number("dropout", dropout, "[0, 1)"),
            alpha=checked_alpha(name, alpha),
            n=optional_size("n", n),
        )

    @property
    def activation(self) -> str:
        """The name, as other layers call it."""
        return self.name

    def row(self) -> tuple[str, str, str, str]:
        return f"Activation {self.n}", self.name, "", f"{self.dropout:g}"
