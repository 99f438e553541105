"""Activations with a learnable share a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .._core import ACTIVATIONS
from ..arguments import choice, number
from .base import ColumnLayer, checked_alpha, optional_size

NAMES = tuple(name for name in ACTIVATIONS if name not in ("identity", "softmax"))


@dataclass(init=False, repr=False, eq=False)
class ParametricActivation(ColumnLayer):
    """``Y = X + a (act(X) - X)`` with a learnable share a for each column, (n,).

    With a = 1, its start unless told otherwise, it is the activation; with a = 0 nothing happens: each neuron finds
    out how nonlinear it is to be (Holzmüller, Grinsztajn, Steinwart, "Better by default: strong pre-tuned MLPs and
    boosted trees on tabular data", 2024).

    Parameters
    ----------
    name : str
        As `Dense`'s activation, but for identity and softmax.
    n : int, optional
        Columns; follows from the layer before.
    share : float
        At which a starts.
    alpha : float, optional
        As `Dense`'s.

    Raises
    ------
    ValueError, TypeError
        If a name is not known or a number out of range.

    Examples
    --------
    >>> import schuss
    >>> hidden = [schuss.Dense(9, 64), schuss.ParametricActivation("mish")]
    >>> net = schuss.Network([*hidden, schuss.Dense(1)], seed=0)
    >>> net.named_parameters()["layers.1.share"].shape
    (64,)
    """

    kind: ClassVar[str] = "parametric"
    name: str
    n: int | None
    share: float
    alpha: float | None

    def __init__(self, name: str, n: int | None = None, *, share: float = 1.0, alpha: float | None = None) -> None:
        name = choice("name", name, NAMES)
        self._set(
            name=name,
            n=optional_size("n", n),
            share=number("share", share, "(-inf, inf)"),
            alpha=checked_alpha(name, alpha),
        )

    def numbers(self) -> dict[str, float]:
        return {"activation": float(ACTIVATIONS.index(self.name)), "alpha": self.alpha or 0.0}

    def starts(self) -> dict[str, float | tuple[str, float]]:
        return {"share": self.share}

    def row(self) -> tuple[str, str, str, str]:
        return f"ParametricActivation {self.n}", self.name, f"{self.share:g}", ""
