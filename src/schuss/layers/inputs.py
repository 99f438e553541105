"""What comes into a network, named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ..arguments import choice, integer, shown
from .base import Layer, Shape


@dataclass(init=False, repr=False, eq=False)
class Input(Layer):
    """One input of a network: it stands first in the network, or in a branch of a `Concatenate`.

    A network whose first layer tells its sizes needs none. Two inputs of one name are one.

    Parameters
    ----------
    name : str
        By which data are given: ``fit({"numbers": X, "codes": C}, y, ...)``.
    n : int
        Columns.
    dtype : {None, "int64"}
        None: real numbers, in the network's dtype. "int64": codes, which an `Embedding` takes.

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

    def __init__(self, name: str, n: int, *, dtype: Any = None) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"name must be a name; got {shown(name)} ({type(name).__name__})")
        if dtype is not None:
            dtype = choice("dtype", getattr(dtype, "__name__", str(dtype)), ("int64",))
        self._set(name=name, n=integer("n", n, 1), dtype=dtype)

    @property
    def codes(self) -> bool:
        """Whether these are codes rather than numbers."""
        return self.dtype is not None

    def after(self, shape: Shape, name: str) -> Input:
        raise ValueError(f"{name} must not be an Input: something comes before it")

    @property
    def shape(self) -> Shape:
        return Shape(self.n, self.codes)

    @property
    def n_parameters(self) -> int:
        return 0

    def sizes(self) -> dict[str, int]:
        return {"n": self.n, "positions": 1}

    def numbers(self) -> dict[str, float]:
        return {"codes": float(self.codes)}

    def row(self) -> tuple[str, str, str, str]:
        return f"Input {self.name!r} {self.n}{' codes' if self.codes else ''}", "", "", ""
