"""Sets of a network's parameters, given as networks, arrays or vectors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import shown
from ..arrays import check_finite, real_array
from ..network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Position:
    """Parameters of a network as a vector, and what its layers keep beside them as another."""

    parameters: Vector
    states: Vector


def _flat(arrays: Iterable[NDArray[Any]]) -> Vector:
    parts = [np.asarray(array, np.float64).ravel() for array in arrays]
    return np.concatenate(parts) if parts else np.empty(0)


def network_of(given: Any, *sets: Any) -> Network:
    if given is not None:
        if not isinstance(given, Network):
            raise TypeError(f"network must be a Network; got {shown(given)} ({type(given).__name__})")
        return given
    for one in sets:
        if isinstance(one, Network):
            return one
    raise ValueError("network must be given where no Network is among the sets of parameters; got None")


def position_of(name: str, given: Any, own: Network) -> Position:
    """A set of parameters; of arrays alone, with the states of the network."""
    shapes = [array.shape for array in own.parameters]
    if isinstance(given, Network):
        theirs = [array.shape for array in given.parameters]
        if theirs != shapes or given.layers != own.layers:
            raise ValueError(f"{name} must have the layers of the other networks, {_short(own)}; got {_short(given)}")
        return Position(_flat(given.parameters), _flat(given._core.states))
    if isinstance(given, (list, tuple)) and len(given) and not np.isscalar(given[0]):
        arrays = [np.asarray(real_array(f"{name}[{k}]", one)) for k, one in enumerate(given)]
        if [array.shape for array in arrays] != shapes:
            raise ValueError(
                f"{name} must have arrays of the shapes of the network's parameters, {shown(shapes)}; got "
                f"{shown([array.shape for array in arrays])}"
            )
        vector = _flat(arrays)
    else:
        array = real_array(name, given)
        if array.shape != (own.n_parameters,):
            raise ValueError(
                f"{name} must be a Network, arrays as its parameters are, or a vector of {own.n_parameters} numbers; "
                f"got an array of shape {array.shape}"
            )
        vector = np.array(array, np.float64)
    check_finite(name, vector)
    return Position(vector, _flat(own._core.states))


def _short(net: Network) -> str:
    return shown(list(net.layers))
