"""What comes into a network, named."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

from ..arguments import choice, integer, shown
from .base import Layer, Shape


def _row_shape(n: Any) -> tuple[int, ...]:
    """The shape of a row from the number of its columns, or from the shape itself."""
    if not isinstance(n, (list, tuple)):
        return (integer("n", n, 1),)
    if not 2 <= len(n) <= 3:
        raise ValueError(
            f"n must be a number of columns, (times, features), or (height, width, channels); got {shown(tuple(n))}"
        )
    return tuple(integer(f"n[{k}]", each, 1) for k, each in enumerate(n))


@dataclass(init=False, repr=False, eq=False)
class Input(Layer):
    """One input of a network: it stands first in the network, or in a branch of a `Concatenate`.

    A network whose first layer tells its sizes needs none. Two inputs of one name are one.

    Parameters
    ----------
    name : str
        By which data are given: ``fit({"numbers": X, "codes": C}, y, ...)``.
    n : int or tuple of int
        Columns; or the shape of a row: (times, features), or (height, width, channels) of an image. An attribute `n` is
        how many numbers a row has in all, `row_shape` the shape.
    dtype : {None, "int64"}
        None: real numbers, in the network's dtype. "int64": codes, which an `Embedding` takes.
    channels : {"last", "first"}
        Where data have their channels. "first": arrays are (rows, channels, height, width), as in torch, and n is
        (channels, height, width); or (rows, features, times). They are turned around when they come in, so that layers,
        whose channels are last, and what they compute are the same.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([
    ...     schuss.Concatenate([
    ...         [schuss.Input("numbers", 5)],
    ...         [schuss.Input("codes", 3, dtype="int64"), schuss.Embedding(100, 8)],
    ...     ]),
    ...     schuss.Dense(32, "relu"), schuss.Dense(1),
    ... ], seed=0)
    >>> [(put.name, put.n) for put in net.inputs]
    [('numbers', 5), ('codes', 3)]
    """

    kind: ClassVar[str] = "input"
    name: str
    n: int
    dtype: str | None
    row_shape: tuple[int, ...]
    channels: str

    def __init__(self, name: str, n: Any, *, dtype: Any = None, channels: str = "last") -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"name must be a name; got {shown(name)} ({type(name).__name__})")
        if dtype is not None:
            dtype = choice("dtype", getattr(dtype, "__name__", str(dtype)), ("int64",))
        row = _row_shape(n)
        channels = choice("channels", channels, ("last", "first"))
        if channels == "first" and len(row) == 1:
            raise ValueError(f"channels must be last where n, {row[0]}, is a number of columns; got {channels!r}")
        self._set(name=name, n=prod(row), dtype=dtype, row_shape=row, channels=channels)

    def __repr__(self) -> str:
        n = self.row_shape if len(self.row_shape) > 1 else self.n
        first = "" if self.channels == "last" else f", channels={self.channels!r}"
        return f"Input(name={self.name!r}, n={n}, dtype={self.dtype!r}{first})"

    @property
    def codes(self) -> bool:
        """Whether these are codes rather than numbers."""
        return self.dtype is not None

    def after(self, shape: Shape, name: str) -> Input:
        raise ValueError(f"{name} must not be an Input: something comes before it")

    @property
    def shape(self) -> Shape:
        columns, dims = self.row_shape[-1], self.row_shape[:-1]
        if self.channels == "first":
            columns, dims = self.row_shape[0], self.row_shape[1:]
        return Shape(columns, self.codes, dims)

    @property
    def n_parameters(self) -> int:
        return 0

    def sizes(self) -> dict[str, int]:
        shape = self.shape
        return {"n": shape.columns, "positions": prod(shape.dims)}

    def numbers(self) -> dict[str, float]:
        return {"codes": float(self.codes)}

    def row(self) -> tuple[str, str, str, str]:
        size = " x ".join(map(str, self.row_shape))
        first = "" if self.channels == "last" else " (channels first)"
        return f"Input {self.name!r} {size}{' codes' if self.codes else ''}{first}", "", "", ""

    def described(self) -> dict[str, Any]:
        n: Any = list(self.row_shape) if len(self.row_shape) > 1 else self.n
        found = {"kind": self.kind, "name": self.name, "n": n, "dtype": self.dtype}
        return found if self.channels == "last" else {**found, "channels": self.channels}
