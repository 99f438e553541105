"""Piecewise-linear encodings of numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..arguments import number, shown
from .base import Layer, Shape, matched


def _edges(name: str, given: Any) -> tuple[float, ...]:
    """The edges of a column's bins."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list of numbers, edges of bins; got {shown(given)} ({type(given).__name__})")
    listed = given.tolist() if hasattr(given, "tolist") else given
    found = tuple(number(f"{name}[{k}]", edge, "(-inf, inf)") for k, edge in enumerate(listed))
    if len(found) < 2:
        raise ValueError(f"{name} must have at least two edges; got {len(found)}")
    for k in range(1, len(found)):
        if not found[k] > found[k - 1]:
            raise ValueError(f"{name} must increase; got {found[k]!r} after {found[k - 1]!r}")
    return found


@dataclass(init=False, repr=False, eq=False)
class PiecewiseLinear(Layer):
    """How far each number fills the bins of its column: ``[1, ..., 1, (x - left) / width, 0, ..., 0]``.

    One column for each bin of each column, those of the first column first. The first bin is open below and the last
    one above: there values go on as the line does, below 0 and above 1. So the encoding of a column with one bin is a
    line.

    Parameters
    ----------
    bins : list of lists of float
        For each column the edges of its bins: two at least, finite and increasing, such as quantiles without doubles.

    Raises
    ------
    ValueError, TypeError
        If edges are not as described.

    Notes
    -----
    The edges are a state, "edges" (columns, most + 1), rows being filled up with their last edge; "bins" (columns,) has
    how many bins a column has. They are saved, and no optimizer steps them. Where two edges are one number in
    the network's dtype, the bin between them is a step from 0 to 1. As ``PiecewiseLinearEncoding`` of
    rtdl_num_embeddings, which multiplies by 1 / width and adds, and loses digits far from zero.

    References
    ----------
    Y. Gorishniy, I. Rubachev, A. Babenko, On embeddings for numerical features in tabular deep learning (2022),
    https://arxiv.org/abs/2203.05556

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([schuss.PiecewiseLinear([[0, 1, 2, 4], [-1, 1]])], seed=0)
    >>> net.predict([[1.5, 0.0]])
    array([[1. , 0.5, 0. , 0.5]], dtype=float32)
    """

    kind: ClassVar[str] = "piecewise_linear"
    bins: tuple[tuple[float, ...], ...]

    def __init__(self, bins: Any) -> None:
        if isinstance(bins, (str, bytes)) or not isinstance(bins, Iterable):
            raise TypeError(f"bins must be a list of lists of numbers; got {shown(bins)} ({type(bins).__name__})")
        found = tuple(_edges(f"bins[{k}]", edges) for k, edges in enumerate(bins))
        if not found:
            raise ValueError("bins must have edges for at least one column; got none")
        self._set(bins=found)

    def after(self, shape: Shape, name: str) -> PiecewiseLinear:
        self._check_storage(shape, name)
        matched(name, len(self.bins), shape, "bins")
        return self

    @property
    def columns_in(self) -> int | None:
        return len(self.bins)

    @property
    def shape(self) -> Shape:
        return Shape(sum(len(edges) - 1 for edges in self.bins))

    @property
    def n_parameters(self) -> int:
        return 0

    def sizes(self) -> dict[str, int]:
        most = max(len(edges) - 1 for edges in self.bins)
        return {"n": len(self.bins), "most": most, "total": self.shape.columns}

    def starts(self) -> dict[str, Any]:
        length = max(map(len, self.bins))
        edges = [(*edges, *[edges[-1]] * (length - len(edges))) for edges in self.bins]
        return {"edges": np.array(edges), "bins": np.array([len(edges) - 1.0 for edges in self.bins])}

    def row(self) -> tuple[str, str, str, str]:
        return f"PiecewiseLinear {len(self.bins)} -> {self.shape.columns}", "", "", ""

    def described(self) -> dict[str, Any]:
        return {"kind": self.kind, "bins": [list(edges) for edges in self.bins]}
