"""What comes into a network, named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
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
    n : int or tuple
        Columns; or the shape of a row: (times, features) of a sequence, (height, width, channels) of an image. Data are
        then (rows, times, features) or (rows, height, width, channels); one feature or channel may be left out there.
    dtype : {None, "int64", "sparse"} or Hashed
        None: real numbers, in the network's dtype. "int64": codes, which an `Embedding` takes. "sparse": rows of n columns of
        which few are not zero, as a sparse matrix of scipy or as `schuss.Bags`, which a `Dense` and an `EmbeddingBag` take.
        `schuss.Hashed(n)`: raw categories, strings or integers, whose codes an `Embedding` takes.
    channels : {"last", "first"}
        "first": n is (channels, height, width), or (features, times), and data come so. They are brought into the
        other order, which layers have; what comes out has that one too.

    Attributes
    ----------
    n : int
        Columns, features or channels.
    dims : tuple of int
        (times,), (height, width), or ().

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
    _spatial: ClassVar[bool] = True
    name: str
    n: int
    dtype: Any
    dims: tuple[int, ...]
    channels: str

    def __init__(
        self,
        name: str,
        n: int | Iterable[int],
        *,
        dtype: Any = None,
        dims: Iterable[int] = (),
        channels: str = "last",
    ) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"name must be a name; got {shown(name)} ({type(name).__name__})")
        if dtype is not None:
            dtype = _kind_of(dtype)
        channels = choice("channels", channels, ("last", "first"))
        if isinstance(n, (tuple, list)):
            sizes = tuple(integer(f"n[{k}]", size, 1) for k, size in enumerate(n))
            if not 1 <= len(sizes) <= 3 or tuple(dims):
                raise ValueError(
                    f"n must be columns, (times, features) or (height, width, channels); got {shown(tuple(n))}"
                )
            first = channels == "first"
            columns, places = (sizes[0], sizes[1:]) if first else (sizes[-1], sizes[:-1])
        else:
            columns, places = integer("n", n, 1), tuple(integer("dims", size, 1) for size in dims)
        if dtype == "sparse" and places:
            raise ValueError(f"n must be columns where dtype is 'sparse'; got {shown(n)}")
        if channels == "first" and not places:
            raise ValueError("channels must be 'last' without times or places; got 'first'")
        self._set(name=name, n=columns, dtype=dtype, dims=places, channels=channels)

    @property
    def codes(self) -> bool:
        """Whether these are codes rather than numbers."""
        return self.dtype is not None and not self.sparse

    @property
    def sparse(self) -> bool:
        """Whether these are compressed rows."""
        return isinstance(self.dtype, str) and self.dtype == "sparse"

    @property
    def makes_codes(self) -> bool:
        """Whether codes are made here, of raw categories."""
        return self.dtype is not None and not isinstance(self.dtype, str)

    def after(self, shape: Shape, name: str) -> Input:
        raise ValueError(f"{name} must not be an Input: something comes before it")

    @property
    def shape(self) -> Shape:
        return Shape(self.n, self.codes, self.dims, self.sparse)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """The shape of a row as data have it."""
        return (self.n, *self.dims) if self.channels == "first" else (*self.dims, self.n)

    @property
    def n_parameters(self) -> int:
        return 0

    def sizes(self) -> dict[str, int]:
        return {"n": self.n, "positions": prod(self.dims)}

    def numbers(self) -> dict[str, float]:
        return {"codes": 2.0 if self.sparse else float(self.codes)}

    def row(self) -> tuple[str, str, str, str]:
        shape = " x ".join(map(str, self.shape.of_row))
        holds = f" {self.dtype}" if self.makes_codes else " codes" if self.codes else " sparse" if self.sparse else ""
        return f"Input {self.name!r} {shape}{holds}", "", "", ""

    def __repr__(self) -> str:
        of_row = self.n if not self.dims else self.row_shape
        channels = f", channels={self.channels!r}" if self.channels != "last" else ""
        return f"Input(name={self.name!r}, n={of_row!r}, dtype={self.dtype!r}{channels})"

    def described(self) -> dict[str, Any]:
        """What a file holds of it; without what it may also have since newer versions, where it has none of that."""
        held = super().described()
        if self.makes_codes:
            held["dtype"] = self.dtype.described()
        if not self.dims:
            del held["dims"], held["channels"]
        return held


def _kind_of(dtype: Any) -> Any:
    """What an input's dtype may be: a name, or the one who makes codes."""
    if isinstance(dtype, str):
        return choice("dtype", dtype, ("int64", "sparse"))
    from ..hashed import Hashed  # few inputs have it

    if isinstance(dtype, Hashed):
        return dtype
    if isinstance(dtype, Mapping):
        return Hashed.of_description(dtype)
    return choice("dtype", getattr(dtype, "__name__", str(dtype)), ("int64", "sparse"))
