"""Layers of other libraries as ours, each with the memory that its arrays lie in over there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..layers.graph import built

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..layers import Input, Layer
    from ..layers.base import Shape
    from ..network import Network

    Arrays = dict[str, NDArray[Any]]


class Binding(NamedTuple):
    """An array of ours that another library holds.

    Attributes
    ----------
    read : callable
        What it is there, in our layout.
    write : callable
        Writes ours there.
    """

    read: Callable[[], NDArray[Any]]
    write: Callable[[NDArray[Any]], None]


class Part(NamedTuple):
    """A layer of ours that is one of another library's, or a part of it.

    Attributes
    ----------
    layer : Layer
        Sizes that follow from what comes before may be missing.
    arrays : dict of Binding
        By their names within the layer, as "weight" or "branches.0.0.weight", in the order of `Network.parameters`.
    where : str
        What messages call the other library's layer.
    """

    layer: Layer
    arrays: dict[str, Binding]
    where: str


def shape_behind(first: Input, parts: Sequence[Part]) -> Shape:
    """The shape of what comes out of an input and these."""
    layers = [part.layer for part in parts]
    return built([first, *layers]).shape if layers else first.shape


def network_of(first: Input, parts: Sequence[Part], dtype: Any, seed: int | None) -> Network:
    """A network of these, with their arrays."""
    from ..network import Network

    net = Network([first, *(part.layer for part in parts)], seed=seed, dtype=dtype)
    mine = {**net.named_parameters(), **net.named_states()}
    for k, part in enumerate(parts):
        for name, binding in part.arrays.items():
            array = mine[f"layers.{k + 1}.{name}"]
            found = binding.read()
            if found.shape != array.shape:
                raise ValueError(
                    f"{part.where} must have {name} of shape {array.shape} in our layout; got {found.shape}"
                )
            array[...] = found
    return net


def arrays_of(network: Network) -> list[tuple[str, Arrays]]:
    """Arrays of each layer that has any, by name: ("layers.1", {"weight": ...})."""
    found: dict[str, Arrays] = {}
    for k in range(len(network.layers)):
        prefix = f"layers.{k}."
        for name, array in (*network.named_parameters().items(), *network.named_states().items()):
            if name.startswith(prefix):
                found.setdefault(prefix[:-1], {})[name.removeprefix(prefix)] = array
    return list(found.items())


def written(network: Network, parts: Sequence[Part]) -> Callable[[], None]:
    """Write a network's arrays into what these parts are of. What it gives takes that back.

    Raises
    ------
    ValueError
        If they have other layers, or arrays of other shapes. Nothing has changed.
    """
    mine, theirs = arrays_of(network), [part for part in parts if part.arrays]
    if len(mine) != len(theirs):
        raise ValueError(
            f"the network has {len(mine)} layers with parameters, expected {len(theirs)}: "
            f"{', '.join(part.where for part in theirs)}"
        )
    calls = []
    for (path, arrays), part in zip(mine, theirs, strict=True):
        given = with_biases(arrays, part.arrays)
        for name, binding in part.arrays.items():
            before = binding.read()
            if name not in given or given[name].shape != before.shape or len(given) != len(part.arrays):
                shapes = {name: array.shape for name, array in given.items()}
                expected = {name: binding.read().shape for name, binding in part.arrays.items()}
                raise ValueError(f"{path} must fit into {part.where}, which has {expected}; got {shapes}")
            calls.append((binding, given[name], before.copy()))
    for binding, array, _ in calls:
        binding.write(array)

    def undo() -> None:
        for binding, _, before in calls:
            binding.write(before)

    return undo


def with_biases(arrays: Arrays, wanted: Mapping[str, Any]) -> Arrays:
    """Arrays of a recurrent layer, or of two side by side, with as many biases as are wanted: of two that are added,
    one is their sum, and of one the second is zeros."""
    found = dict(arrays)
    for name in wanted:
        stem, _, last = name.rpartition(".")
        first = f"{stem}.bias" if stem else "bias"
        if last == "recurrent_bias" and name not in found and first in found:
            found[name] = np.zeros_like(found[first])
    for name in arrays:
        stem, _, last = name.rpartition(".")
        first = f"{stem}.bias" if stem else "bias"
        if last == "recurrent_bias" and name not in wanted:
            found[first] = found[first] + found.pop(name)
    return found


def check_dense(put: Input) -> None:
    """ValueError where an input takes what the other library has no counterpart of."""
    if put.sparse or put.makes_codes:
        what = "'sparse'" if put.sparse else put.dtype
        raise ValueError(f"network must take numbers or codes; got an input of dtype {what}")


def check_same(network: Network, x: Any, theirs: NDArray[Any], hint: str) -> None:
    """ValueError unless the network gives for these rows what the other library gives."""
    mine = network.predict(x)
    scale = max(1.0, float(np.abs(mine).max(initial=0)))
    if theirs.size != mine.size or not np.allclose(theirs.reshape(mine.shape), mine, rtol=1e-4, atol=1e-4 * scale):
        found = f"shape {theirs.shape}, expected {mine.shape}" if theirs.size != mine.size else "other numbers"
        raise ValueError(f"what comes out must be that of the layers one after the other; got {found}: {hint}")
