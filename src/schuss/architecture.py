"""Layers in the compiled core: their arrays, names and groups."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, lengths, losses
from .arguments import integer, shown
from .habits import hinted
from .layers.graph import built
from .optim.grouping import parameter_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .layers import Input, Layer

_DTYPES = ("float32", "float64")
# Of a layer's number in the stream of its initial values: beyond are the numbers of its arrays, up to the 2**20 streams
# that the core has for them.
_STREAM_BITS = 18
# What the core takes for a loss that is given by its name.
_SPECS: dict[str, _core.LossSpec] = {name: loss.spec for name, loss in losses.BY_NAME.items()}


class Architecture:
    """The part of a `Network` that is its arrays."""

    @hinted("network")
    def __init__(self, layers: Sequence[Layer], *, seed: int | None = None, dtype: Any = "float32") -> None:
        if seed is None:
            seed = int.from_bytes(os.urandom(8), "little") >> 1
        self._build(layers, integer("seed", seed, 0, 2**64 - 1), dtype)
        core = self._core
        for (node, name), array in zip((*core.names, *core.state_names), (*core.parameters, *core.states), strict=True):
            layer = self._graph.makers[node]
            starts = layer.starts() if layer is not None else {name: 0.0}
            start = starts[name]
            if isinstance(start, tuple):
                assert layer is not None
                kind, scale = start
                # Each array of a layer has draws of its own, the first those of the layer's number alone.
                stream = self._graph.nodes[node][-1] + (list(starts).index(name) << _STREAM_BITS)
                alike, widths = layer.repeats(name)
                drawn = array
                if alike or widths is not None:
                    drawn = np.empty((1 if alike else len(array), len(widths or array[0])), array.dtype)
                _core.initialise(drawn.reshape(-1, drawn.shape[-1]), kind, scale, self.seed, stream)
                if drawn is not array:
                    array[...] = drawn if widths is None else np.repeat(drawn, widths, axis=1)
            else:
                array[...] = start

    def _build(self, layers: Sequence[Layer], seed: int, dtype: Any) -> None:
        """A network whose parameters are zeros."""
        self._graph = built(layers)
        self.layers: tuple[Layer, ...] = self._graph.layers
        self.inputs: tuple[Input, ...] = self._graph.inputs
        self.dtype: np.dtype[Any] = _checked_dtype(dtype)
        self.n_in = sum(put.n for put in self.inputs)
        self.n_out = self.layers[-1].shape.columns
        self._core = _core.Net(self._graph.nodes, self.dtype, seed)
        # The shape of a row that comes in, if there is one input, and of one that comes out, where they have positions.
        self._row_in = self.inputs[0].row_shape if len(self.inputs) == 1 and self.inputs[0].dims else None
        self._dims_out = self._graph.shape.dims
        self._lengths = lengths.of_graph(self._graph)
        self._shaped = self._core.shaped = bool(self._dims_out) or any(put.dims for put in self.inputs)
        self._one_time: _core.OneTime | None = None
        self._core.named_losses = _SPECS
        self._core.input_names = [put.name for put in self.inputs]
        self._parameters: tuple[NDArray[Any], ...] = tuple(self._core.parameters)
        self._gradients: tuple[NDArray[Any], ...] = tuple(self._core.gradients)

    @property
    def parameters(self) -> tuple[NDArray[Any], ...]:
        """The arrays of all layers, in order, in the network's dtype; of `Dense` W (n_in, n_out) and, if there is one,
        b (n_out,).

        They are views: what is written into them counts, as in ``net.parameters[0][...] = W``. With an optimizer's
        ``rows="exact"``, rows that have missed steps make these when this is read, but not when an array is read that
        was taken from here before.
        """
        self._core.catch_up()
        return self._parameters

    @property
    def gradients(self) -> tuple[NDArray[Any], ...]:
        """What the last backward pass left: one view a parameter, in the order and shapes of `parameters`.

        After `fit` they hold nothing of use: it updates parameters without storing all gradients.
        """
        return self._gradients

    def named_parameters(self) -> dict[str, NDArray[Any]]:
        """`parameters` by name, such as "layers.2.weight", or "layers.1.layers.0.bias" in a `Residual`.

        Returns
        -------
        dict of arrays
            In the order of `parameters`.
        """
        return {self._name(*place): array for place, array in zip(self._core.names, self.parameters, strict=True)}

    def named_states(self) -> dict[str, NDArray[Any]]:
        """What layers keep beside parameters, such as "layers.1.running_mean": views, as `parameters`."""
        return {self._name(*place): a for place, a in zip(self._core.state_names, self._core.states, strict=True)}

    def _name(self, node: int, array: str) -> str:
        return f"{self._graph.paths[node]}.{array}"

    def parameter_groups(self, patterns: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Groups for an optimizer by patterns of names: other rates, decay, or frozen.

        Parameters
        ----------
        patterns : dict of dicts
            Such as ``{"*.bias": {"weight_decay": 0.0}, "layers.0.*": {"lr_factor": 0.1}}``, or ``{"frozen": True}`` for
            what is not to be trained. Later patterns add to earlier ones, and override them.

        Returns
        -------
        list of dict
            To be given to an optimizer: ``schuss.AdamW(net.parameter_groups({...}), lr=1e-3)``. Frozen arrays are in no
            group; training with such an optimizer computes none of what only their gradients would need.

        Raises
        ------
        ValueError, TypeError
            If a pattern fits no name, or all arrays are frozen.
        """
        return parameter_groups(self.named_parameters(), patterns)

    @property
    def seed(self) -> int:
        """What every random choice of this network follows from."""
        return self._core.seed

    @property
    def n_parameters(self) -> int:
        """Numbers that training changes, of all layers."""
        return sum(array.size for array in self._parameters)

    @property
    def state_size(self) -> int:
        """Numbers that a row carries from one pass to the next, of all layers that go through times."""
        return self._core.state

    def initial_state(self, rows: int = 1) -> NDArray[Any]:
        """The state in which sequences begin where none is given: zeros (rows, state_size)."""
        return np.zeros((integer("rows", rows, 1), self.state_size), self.dtype)


def _checked_dtype(dtype: Any) -> np.dtype[Any]:
    found: np.dtype[Any] | None
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or not found.isnative or found.name not in _DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(_DTYPES)}; got {shown(dtype)}")
    return found
