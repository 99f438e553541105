"""Dense layers side by side, one for each group of columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .._core import ACTIVATIONS
from ..arguments import choice, flag, integer, number
from .base import Layer, Shape, checked_alpha, optional_size
from .initialisers import ELEMENTWISE, initial_scale


@dataclass(init=False, repr=False, eq=False)
class GroupedDense(Layer):
    """``Y_j = dropout(act(X_j W_j + b_j))`` for each of so many groups of columns, side by side.

    W has the shape (groups, n_in, n_out), b (groups, n_out); from (rows, groups * n_in) comes (rows, groups * n_out).
    It is what embeddings of numbers have behind their first layer, where a group is a column of the table (the NLinear
    of Y. Gorishniy, I. Rubachev, A. Babenko, "On embeddings for numerical features in tabular deep learning", 2022),
    and the heads of an ensemble, where it is a member (Y. Gorishniy, A. Kotelnikov, A. Babenko, "TabM", 2024).

    Parameters
    ----------
    groups : int
        At least 1.
    n_in : int or None
        Columns of a group; None: follows from the layer before.
    n_out : int
        What a group gives.
    activation : str
        As `Dense`'s, but for softmax.
    bias : bool
        Whether there is a b.
    init : str
        How each W_j starts: as `Dense`'s, but for orthogonal. With "uniform", torch's start, b starts as W does, in
        +-1 / sqrt(n_in); with all others at zero.
    dropout, alpha : float
        As `Dense`'s.

    Raises
    ------
    ValueError, TypeError
        If a name is not known or a number out of range.

    Examples
    --------
    >>> import schuss
    >>> heads = schuss.GroupedDense(32, 64, 3)
    >>> net = schuss.Network([schuss.Dense(9, 32 * 64, "relu"), heads], seed=0)
    >>> net.named_parameters()["layers.1.weight"].shape, net.n_out
    ((32, 64, 3), 96)
    """

    kind: ClassVar[str] = "grouped_dense"
    _has_end: ClassVar[bool] = True
    groups: int
    n_in: int | None
    n_out: int
    activation: str
    bias: bool
    init: str
    dropout: float
    alpha: float | None

    def __init__(
        self,
        groups: int,
        n_in: int | None,
        n_out: int,
        activation: str = "identity",
        *,
        bias: bool = True,
        init: str = "uniform",
        dropout: float = 0.0,
        alpha: float | None = None,
    ) -> None:
        activation = choice("activation", activation, ACTIVATIONS)
        if activation == "softmax":
            raise ValueError("activation must not be 'softmax', which is over all columns, for layers side by side")
        self._set(
            groups=integer("groups", groups, 1),
            n_in=optional_size("n_in", n_in),
            n_out=integer("n_out", n_out, 1),
            activation=activation,
            bias=flag("bias", bias),
            init=choice("init", init, ELEMENTWISE),
            dropout=number("dropout", dropout, "[0, 1)"),
            alpha=checked_alpha(activation, alpha),
        )

    def after(self, shape: Shape, name: str) -> GroupedDense:
        self._check_storage(shape, name)
        each, rest = divmod(shape.columns, self.groups)
        if rest:
            raise ValueError(f"{name}.groups must divide {shape.columns}, what comes before it has; got {self.groups}")
        if self.n_in not in (None, each):
            raise ValueError(f"{name}.n_in must be {each}, a group of what comes before it has; got {self.n_in}")
        arguments = {**self.described(), "n_in": each}
        del arguments["kind"]
        return GroupedDense(**arguments)

    @property
    def columns_in(self) -> int | None:
        return None if self.n_in is None else self.groups * self.n_in

    @property
    def shape(self) -> Shape:
        return Shape(self.groups * self.n_out)

    @property
    def n_parameters(self) -> int:
        return self.groups * self.n_out * ((self.n_in or 0) + self.bias)

    def sizes(self) -> dict[str, int]:
        return {"groups": self.groups, "n_in": self.n_in or 0, "n_out": self.n_out}

    def numbers(self) -> dict[str, float]:
        return {"bias": float(self.bias)}

    def starts(self) -> dict[str, float | tuple[str, float]]:
        drawn = initial_scale(self.init, self.n_in or 1, self.n_out)
        return {"weight": drawn, "bias": drawn if self.init == "uniform" else 0.0}

    def row(self) -> tuple[str, str, str, str]:
        return f"{self.groups} x ({self.n_in} -> {self.n_out})", self.activation, self.init, f"{self.dropout:g}"
