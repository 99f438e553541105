"""The loss of a network wherever its parameters are."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import losses
from ..arguments import choice, shown
from ..sequences import joined

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network import Network
    from ..passes import AnyLoss
    from .positions import Position

    Vector = NDArray[np.float64]

# What may be done about the statistics of BatchNorm, and what titles say of it.
_STATISTICS = {
    "recompute": "BatchNorm's statistics anew at each point",
    "interpolate": "BatchNorm's statistics interpolated",
}


def titled(title: str, statistics: str | None) -> str:
    """A title that says what was done about the statistics of BatchNorm."""
    return title if statistics is None else f"{title}\n{_STATISTICS[statistics]}"


class Surface:
    """The loss of a copy of a network, for any parameters.

    Attributes
    ----------
    name : str
        Of the loss.
    statistics : str or None
        What is done about those of BatchNorm; None in a network without.
    """

    def __init__(
        self,
        own: Network,
        X: Any,
        y: Any,
        loss: AnyLoss,
        sample_weight: Any,
        lengths: Any,
        validation_data: Any,
        statistics: str,
    ) -> None:
        statistics = choice("statistics", statistics, _STATISTICS)
        self._loss = losses.resolve(loss)
        self.name = str(getattr(self._loss, "name", getattr(self._loss, "__name__", "loss")))
        self._net = net = copy.deepcopy(own)
        self._data = [net._checked_data(joined(X, lengths), y, self._loss, sample_weight, None)]
        if validation_data is not None:
            if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
                raise ValueError(f"validation_data must be (X, y) or (X, y, weight); got {shown(validation_data)}")
            held = (*validation_data, None)[:3]
            names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
            self._data.append(net._checked_data(held[0], held[1], self._loss, held[2], None, names))
        self.statistics = statistics if net._core.states else None
        # For passes in training mode, which take no rows that overlap.
        self._rows = net._data(joined(X, lengths)) if self.statistics == "recompute" else None
        # How far a pass in training mode moves each of the running statistics.
        self._shares = [float(net._graph.makers[node].momentum) for node, _ in net._core.state_names]  # type: ignore[union-attr]
        if 0.0 in self._shares and self.statistics == "recompute":
            raise ValueError("statistics must be 'interpolate' where a BatchNorm has momentum 0: nothing moves its own")

    def __call__(self, terms: Sequence[tuple[float, Position]]) -> list[float]:
        """The loss at a sum of positions times numbers, of all data."""
        # A position times 1 beside others times 0 is that position to the last bit.
        used = [(weight, one) for weight, one in terms if weight]
        parameters = sum(weight * one.parameters for weight, one in used)
        return self._of(np.asarray(parameters), np.asarray(sum(weight * one.states for weight, one in used)))

    def at(self, parameters: Vector, states: Vector | None) -> float:
        """The loss of the training data at these parameters, and statistics where they are not computed."""
        return self._of(parameters, states)[0]

    def _of(self, parameters: Vector, states: Vector | None) -> list[float]:
        net = self._net
        _write(net.parameters, parameters)
        if self._rows is not None:
            for state in net._core.states:
                state[...] = 0.0
            net._core.forward(self._rows, True, 0.0)
            for state, share in zip(net._core.states, self._shares, strict=True):
                state /= share
        elif self.statistics is not None and states is not None:
            _write(net._core.states, states)
            for state, (_, name) in zip(net._core.states, net._core.state_names, strict=True):
                if name == "running_var":  # beyond the ends a straight line may lead below zero
                    np.maximum(state, 0.0, out=state)
        return [net._evaluate(data, self._loss, {})["loss"] for data in self._data]


def _write(arrays: Iterable[NDArray[Any]], vector: Vector) -> None:
    begin = 0
    with np.errstate(over="ignore"):
        for array in arrays:
            array[...] = vector[begin : begin + array.size].reshape(array.shape)
            begin += array.size
