"""A network that is built layer by layer, with the arrays that it gets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers import Input, Layer, Shape
from ..network import Network

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# By their names in a layer.
Arrays = dict[str, "NDArray[Any]"]


class Building:
    """Layers one after the other.

    Attributes
    ----------
    shape : Shape
        Of what the last of them gives.
    order : array or None
        Where each column of it stands in the other library, if it stands elsewhere: behind a Flatten whose channels
        came first.
    pads : tuple or None
        Of a layer that only pads, which the next one here does itself: its name, what it pads with, and how much before
        and after in each dimension.
    """

    def __init__(self, first: Input) -> None:
        self.shape = first.shape
        self.order: NDArray[np.intp] | None = None
        self.pads: tuple[str, float, tuple[tuple[int, int], ...]] | None = None
        self._layers: list[Layer] = [first]
        self._arrays: Arrays = {}

    def add(self, layer: Layer, name: str, **arrays: Any) -> None:
        """One more layer, which messages call `name`. Arrays that are None are left as they start."""
        layer = layer.after(self.shape, name)
        shape = layer.shape
        self.shape = shape if layer._spatial else shape._replace(dims=self.shape.dims)
        for key, array in arrays.items():
            if array is not None:
                self._arrays[f"layers.{len(self._layers)}.{key}"] = array
        self._layers.append(layer)

    def network(self, seed: int | None) -> Network:
        """The network of all of them, in the precision of the arrays."""
        wide = any(array.dtype == np.float64 for array in self._arrays.values())
        network = Network(self._layers, seed=seed, dtype="float64" if wide else "float32")
        places = {**network.named_parameters(), **network.named_states()}
        for name, array in self._arrays.items():
            if places[name].size != array.size:
                raise ValueError(f"{name} must have shape {places[name].shape}; got {array.shape}")
            places[name][...] = array.reshape(places[name].shape)
        return network


def channels_first_order(shape: Shape) -> NDArray[np.intp]:
    """Of a row with all positions one after the other: each column's place where the channels come first."""
    places = np.arange(shape.positions * shape.columns).reshape(shape.columns, *shape.dims)
    return np.moveaxis(places, 0, -1).reshape(-1)


def arrays_of(network: Network) -> Iterator[tuple[str, Layer, Shape, Arrays]]:
    """Each layer of a network without branches: its name, itself, what comes into it, and its arrays.

    Raises
    ------
    TypeError
        If it is no network, or has branches or several inputs.
    """
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network; got {type(network).__name__}")
    if len(network.inputs) > 1 or network.inputs[0].codes:
        raise TypeError("network must have one input of numbers")
    named = {**network.named_parameters(), **network.named_states()}
    shape = network.inputs[0].shape
    for k, layer in enumerate(network.layers):
        if isinstance(layer, Input):
            continue
        if layer.kind in ("residual", "concatenate"):
            raise TypeError(f"network.layers[{k}] must be one layer; got {type(layer).__name__}, which has branches")
        start = f"layers.{k}."
        arrays = {name[len(start) :]: array.copy() for name, array in named.items() if name.startswith(start)}
        yield f"network.layers[{k}]", layer, shape, arrays
        shape = layer.shape if layer._spatial else layer.shape._replace(dims=shape.dims)
