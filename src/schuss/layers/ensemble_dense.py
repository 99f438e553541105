"""Dense layers of an ensemble that share their weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

from .._core import ACTIVATIONS
from ..arguments import choice, flag, integer, number
from .base import Layer, Shape, Start, checked_alpha, optional_size

_STARTS = ("ones", "signs", "normal")


@dataclass(init=False, repr=False, eq=False)
class EnsembleDense(Layer):
    """``Y_m = dropout(act(((X_m r_m) W) s_m + b_m))`` for each of k members, side by side.

    W, (n_in, n_out), is shared; r (k, n_in), s (k, n_out) and b (k, n_out) are each member's own. A member's columns
    lie together: from (rows, k * n_in), or from (rows, n_in) where all members share what comes in, comes
    (rows, k * n_out). These are the layers of TabM: the first shares its input and starts with random r, the others
    start with ones; `GroupedDense` makes heads of their own for the members, and `MeanOfMembers` one output of them.

    Parameters
    ----------
    n_out : int
        What a member gives.
    activation : str
        As `Dense`'s, but for softmax.
    members : int
        k, at least 1.
    n_in : int, optional
        Columns of a member; follows from the layer before.
    shares_input : bool
        Whether all members get the same columns, as in an ensemble's first layer.
    bias : bool
        Whether there is a b.
    start : {"ones", "signs", "normal"}
        How r starts: with ones, with 1 or -1 as a coin falls, or from the normal distribution. s starts with ones, W
        in +-1 / sqrt(n_in), and b there too, the same for all members.
    start_groups : sequence of int, optional
        Widths of neighbouring columns, n_in in all, that share a draw of r, such as those of one feature's embedding.
        Default: a draw for each column.
    dropout, alpha : float
        As `Dense`'s.

    Raises
    ------
    ValueError, TypeError
        If a name is not known, a number out of range, or start_groups do not add up to n_in.

    References
    ----------
    Y. Wen, D. Tran, J. Ba, "BatchEnsemble: an alternative approach to efficient ensemble and lifelong learning", 2020.
    Y. Gorishniy, A. Kotelnikov, A. Babenko, "TabM: advancing tabular deep learning with parameter-efficient
    ensembling", 2025.

    Examples
    --------
    >>> import schuss
    >>> first = schuss.EnsembleDense(64, "relu", members=8, n_in=5, shares_input=True, start="signs")
    >>> net = schuss.Network([first, schuss.EnsembleDense(64, "relu", members=8)], seed=0)
    >>> {name: p.shape for name, p in net.named_parameters().items() if "layers.1" in name}["layers.1.r"]
    (8, 64)
    """

    kind: ClassVar[str] = "ensemble_dense"
    _has_end: ClassVar[bool] = True
    n_out: int
    activation: str
    members: int
    n_in: int | None
    shares_input: bool
    bias: bool
    start: str
    start_groups: tuple[int, ...] | None
    dropout: float
    alpha: float | None

    def __init__(
        self,
        n_out: int,
        activation: str = "identity",
        *,
        members: int,
        n_in: int | None = None,
        shares_input: bool = False,
        bias: bool = True,
        start: str = "ones",
        start_groups: Iterable[int] | None = None,
        dropout: float = 0.0,
        alpha: float | None = None,
    ) -> None:
        activation = choice("activation", activation, ACTIVATIONS)
        if activation == "softmax":
            raise ValueError("activation must not be 'softmax', which is over all columns, for members side by side")
        n_in = optional_size("n_in", n_in)
        start = choice("start", start, _STARTS)
        groups = None
        if start_groups is not None:
            groups = tuple(integer(f"start_groups[{k}]", width, 1) for k, width in enumerate(start_groups))
            if start == "ones":
                raise ValueError("start_groups must be None for start 'ones', which draws nothing")
            if n_in is not None:
                _check_groups("start_groups", groups, n_in)
        self._set(
            n_out=integer("n_out", n_out, 1),
            activation=activation,
            members=integer("members", members, 1),
            n_in=n_in,
            shares_input=flag("shares_input", shares_input),
            bias=flag("bias", bias),
            start=start,
            start_groups=groups,
            dropout=number("dropout", dropout, "[0, 1)"),
            alpha=checked_alpha(activation, alpha),
        )

    def after(self, shape: Shape, name: str) -> EnsembleDense:
        self._check_storage(shape, name)
        each, rest = (shape.columns, 0) if self.shares_input else divmod(shape.columns, self.members)
        if rest:
            raise ValueError(
                f"{name}.members must divide {shape.columns}, what comes before it has, or share their input; "
                f"got {self.members}"
            )
        if self.n_in not in (None, each):
            raise ValueError(f"{name}.n_in must be {each}, what comes before it has for a member; got {self.n_in}")
        if self.start_groups is not None:
            _check_groups(f"{name}.start_groups", self.start_groups, each)
        arguments: dict[str, Any] = {**self.described(), "n_in": each}
        del arguments["kind"]
        return EnsembleDense(**arguments)

    @property
    def columns_in(self) -> int | None:
        return None if self.n_in is None else self.n_in * (1 if self.shares_input else self.members)

    @property
    def shape(self) -> Shape:
        return Shape(self.members * self.n_out)

    @property
    def n_parameters(self) -> int:
        n_in = self.n_in or 0
        return n_in * self.n_out + self.members * (n_in + self.n_out * (1 + self.bias))

    def sizes(self) -> dict[str, int]:
        return {"n_in": self.n_in or 0, "n_out": self.n_out, "members": self.members}

    def numbers(self) -> dict[str, float]:
        return {"bias": float(self.bias)}

    def starts(self) -> dict[str, Start]:
        scale = 1.0 / sqrt(self.n_in or 1)
        return {
            "weight": ("uniform", scale),
            "r": 1.0 if self.start == "ones" else (self.start, 1.0),
            "s": 1.0,
            "bias": ("uniform", scale),
        }

    def repeats(self, name: str) -> tuple[bool, tuple[int, ...] | None]:
        return name == "bias", self.start_groups if name == "r" else None

    def row(self) -> tuple[str, str, str, str]:
        members = f"{self.members} members, " + ("of one input, " if self.shares_input else "")
        return f"{members}{self.n_in} -> {self.n_out}", self.activation, self.start, f"{self.dropout:g}"


def _check_groups(name: str, groups: tuple[int, ...], n_in: int) -> None:
    if sum(groups) != n_in:
        raise ValueError(f"{name} must add up to {n_in}, the columns of a member; got {sum(groups)}")
