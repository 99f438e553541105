"""Layers made of layers: a sum with what came in, and branches side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

from ..arguments import shown
from .base import Layer, Shape, optional_size


def _layers(name: str, given: Any) -> tuple[Layer, ...]:
    """Layers from a list of them, or a single one."""
    if isinstance(given, Layer):
        return (given,)
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise TypeError(f"{name} must be a list of layers; got {shown(given)} ({type(given).__name__})")
    found = tuple(given)
    for k, layer in enumerate(found):
        if not isinstance(layer, Layer):
            raise TypeError(f"{name}[{k}] must be a layer; got {shown(layer)} ({type(layer).__name__})")
    return found


@dataclass(init=False, repr=False, eq=False)
class Residual(Layer):
    """``Y = X + f(X)``, f being layers one after the other that give back as many columns as they take.

    The sum costs no pass over memory: f's last layer adds X to what it computes, and the first one's gradient is added
    to Y's.

    Parameters
    ----------
    layers : list of layers
        At least one.

    Raises
    ------
    ValueError, TypeError
        If there is no layer, or one is none.

    References
    ----------
    K. He, X. Zhang, S. Ren, J. Sun, Deep residual learning for image recognition (2015),
    https://arxiv.org/abs/1512.03385

    Examples
    --------
    >>> import schuss
    >>> block = schuss.Residual([schuss.LayerNorm(), schuss.Dense(64, "relu"), schuss.Dense(32)])
    >>> net = schuss.Network([schuss.Dense(8, 32), block, block, schuss.Dense(1)], seed=0)
    """

    kind: ClassVar[str] = "residual"
    layers: tuple[Layer, ...]

    def __init__(self, layers: Iterable[Layer]) -> None:
        found = _layers("layers", layers)
        if not found:
            raise ValueError("layers must hold at least one layer; got none")
        self._set(layers=found)

    @property
    def shape(self) -> Shape:
        return self.layers[-1].shape

    @property
    def n_parameters(self) -> int:
        return sum(layer.n_parameters for layer in self.layers)

    def row(self) -> tuple[str, str, str, str]:
        return "Residual", "", "", ""

    def described(self) -> dict[str, Any]:
        return {"kind": self.kind, "layers": [layer.described() for layer in self.layers]}


@dataclass(init=False, repr=False, eq=False)
class Concatenate(Layer):
    """What several branches make of what comes in, side by side.

    It costs no copy: each branch writes into its columns. A branch that is only an input, or empty, is copied.

    Parameters
    ----------
    branches : list of lists of layers
        At least one. An empty list is what came in itself; a branch may begin with an `Input` of its own. A single
        layer stands for a list of it.

    Raises
    ------
    ValueError, TypeError
        If there is no branch, or what it holds is no layer.

    Examples
    --------
    >>> import schuss
    >>> both = schuss.Concatenate([[], schuss.Dense(16, "relu")])
    >>> net = schuss.Network([schuss.Dense(8, 32, "relu"), both, schuss.Dense(1)])
    >>> net.layers[1].shape.columns
    48
    """

    kind: ClassVar[str] = "concatenate"
    branches: tuple[tuple[Layer, ...], ...]
    n: int | None

    def __init__(self, branches: Iterable[Iterable[Layer] | Layer], n: int | None = None) -> None:
        given: Any = branches
        if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
            raise TypeError(f"branches must be a list of lists of layers; got {shown(given)} ({type(given).__name__})")
        found = tuple(_layers(f"branches[{k}]", branch) for k, branch in enumerate(given))
        if not found:
            raise ValueError("branches must hold at least one list of layers; got none")
        self._set(branches=found, n=optional_size("n", n))

    @property
    def shape(self) -> Shape:
        return Shape(self.n or 0)

    @property
    def n_parameters(self) -> int:
        return sum(layer.n_parameters for branch in self.branches for layer in branch)

    def row(self) -> tuple[str, str, str, str]:
        return f"Concatenate -> {self.n}", "", "", ""

    def described(self) -> dict[str, Any]:
        branches = [[layer.described() for layer in branch] for branch in self.branches]
        return {"kind": self.kind, "branches": branches, "n": self.n}
