"""What all layers share: descriptions that know their shapes. Nothing here holds an array."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, fields
from math import prod
from typing import Any, ClassVar, NamedTuple

from ..arguments import integer, number
from ..habits import hinted

# alpha's default and interval, for the activations that have one.
ALPHA = {"leaky_relu": (0.01, "[0, inf)"), "elu": (1.0, "(0, inf)")}


# What makes numbers of that which is none.
MAKE_NUMBERS = {
    "codes": "an Embedding turns codes into numbers",
    "compressed rows": "a Dense or an EmbeddingBag turns compressed rows into numbers",
}

# How an array starts: a value for all elements, or kind and scale of random ones.
Start = float | tuple[str, float]


class Shape(NamedTuple):
    """What comes into a layer: so many columns, of numbers, of codes, or compressed, at each of some positions.

    Attributes
    ----------
    columns : int
        Of one position: the features of a time, the channels of a place in an image.
    codes : bool
        Whether they are codes.
    dims : tuple of int
        How many positions a row has: (times,), (height, width), or () for one.
    sparse : bool
        Whether they are numbers in compressed rows.
    """

    columns: int
    codes: bool = False
    dims: tuple[int, ...] = ()
    sparse: bool = False

    @property
    def holds(self) -> str:
        """What they are."""
        return "codes" if self.codes else "compressed rows" if self.sparse else "numbers"

    @property
    def positions(self) -> int:
        """How many there are in all."""
        return prod(self.dims)

    @property
    def of_row(self) -> tuple[int, ...]:
        """The shape of a row's array."""
        return (*self.dims, self.columns)


# What dataclasses would write for each class, Layer has once for all: that takes a tenth of the time at import.
@dataclass(init=False, repr=False, eq=False)
class Layer:
    """A description of one layer, which does not change.

    Sizes that follow from the layer before may be None until the layer stands in a network, whose `layers` have them
    all.

    Attributes
    ----------
    kind : str
        The name in files and in the compiled core.
    """

    kind: ClassVar[str]
    # The name in the compiled core, where that is another than in files.
    _core_kind: ClassVar[str | None] = None
    # What it takes, first what it mostly does: see `Shape.holds`.
    _takes: ClassVar[tuple[str, ...]] = ("numbers",)
    # Whether it has an activation, alpha and dropout.
    _has_end: ClassVar[bool] = False
    # Whether it knows positions: others work at each position alike, and `shape` says nothing of them.
    _spatial: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = hinted("layers")(vars(cls)["__init__"])  # type: ignore[method-assign]

    def __setattr__(self, name: str, value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}: layers do not change; make another one")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}: layers do not change")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash((type(self), *self.__dict__.values()))

    def __repr__(self) -> str:
        shown = (f"{field.name}={getattr(self, field.name)!r}" for field in fields(self) if field.repr)
        return f"{type(self).__name__}({', '.join(shown)})"

    def after(self, shape: Shape, name: str) -> Layer:
        """The same layer with all its sizes, behind what has this shape.

        Raises
        ------
        ValueError
            If it does not fit; the message calls the layer `name`.
        """
        raise NotImplementedError

    @property
    def end(self) -> tuple[str, float, float]:
        """What comes behind what it computes, where there is such an end: activation, alpha, dropout."""
        made: Any = self
        return made.activation, made.alpha or 0.0, made.dropout

    def _check_storage(self, shape: Shape, name: str) -> None:
        if shape.holds not in self._takes:
            hint = f": {MAKE_NUMBERS[shape.holds]}" if "numbers" in self._takes else ""
            raise ValueError(
                f"{name}, {type(self).__name__}, must come behind {self._takes[0]}; got {shape.holds}{hint}"
            )

    @property
    def columns_in(self) -> int | None:
        """Columns that come in, if the layer alone tells how many numbers these are."""
        return getattr(self, "n", None) if "numbers" in self._takes else None

    @property
    def shape_in(self) -> Shape | None:
        """The shape of what comes in, if the layer alone tells it."""
        return None if self.columns_in is None else Shape(self.columns_in)

    @property
    def shape(self) -> Shape:
        """The shape of what comes out, once all sizes are there. `_spatial` says whether it tells positions."""
        raise NotImplementedError

    @property
    def n_parameters(self) -> int:
        """Numbers that training changes, once all sizes are there."""
        raise NotImplementedError

    def sizes(self) -> dict[str, int]:
        """The sizes that the core wants, by its names."""
        return {}

    def numbers(self) -> dict[str, float]:
        """The numbers that the core wants, by its names."""
        return {}

    def starts(self) -> dict[str, Any]:
        """How each array starts, by name: a value for all elements, an array of them, or kind and scale of random
        ones."""
        return {}

    def repeats(self, name: str) -> tuple[bool, tuple[int, ...] | None]:
        """Of an array whose start is random: whether all rows have the same draws, and the widths of neighbouring
        columns that share one; None: each has its own."""
        return False, None

    def row(self) -> tuple[str, str, str, str]:
        """The layer in a summary: what it is, activation, initialisation, dropout."""
        raise NotImplementedError

    def described(self) -> dict[str, Any]:
        """What a file holds of it: kind and arguments."""
        return {"kind": self.kind, **{field.name: getattr(self, field.name) for field in fields(self)}}

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)


@dataclass(init=False, repr=False, eq=False)
class ColumnLayer(Layer):
    """A layer that gives back as many columns as come in, n, and has so many vectors of that length."""

    n: int | None
    _vectors: ClassVar[int] = 1

    def after(self, shape: Shape, name: str) -> ColumnLayer:
        self._check_storage(shape, name)
        arguments = {**self.described(), "n": matched(name, self.n, shape, "n")}
        del arguments["kind"]
        return type(self)(**arguments)

    @property
    def shape(self) -> Shape:
        return Shape(self.n or 0)

    @property
    def n_parameters(self) -> int:
        return self._vectors * (self.n or 0)

    def sizes(self) -> dict[str, int]:
        return {"n": self.n or 0}


def optional_size(name: str, value: Any) -> int | None:
    """A size of at least 1, or None: it follows from the layer before."""
    return None if value is None else integer(name, value, 1)


def matched(name: str, size: int | None, shape: Shape, what: str) -> int:
    """The size of a layer behind this shape."""
    if size is not None and size != shape.columns:
        raise ValueError(f"{name}.{what} must be {shape.columns}, what comes before it has; got {size}")
    return shape.columns


def checked_alpha(activation: str, alpha: Any) -> float | None:
    """Alpha of an activation, its default for None. ValueError where it has none."""
    if activation in ALPHA:
        default, interval = ALPHA[activation]
        return default if alpha is None else number("alpha", alpha, interval)
    if alpha is not None:
        raise ValueError(f"alpha must be None for activation {activation!r}; got {alpha!r}")
    return None
