"""Recurrent layers of Keras.

Its GRU has the gates z, r, h, and ours r, z, n; its LSTM i, f, c, o as ours. A GRU with reset_after has its two biases
in one array of two rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers import GRU, LSTM, RNN, Concatenate
from ..layers.recurrent import Recurrent
from .keras_variables import bound
from .parts import Binding, Part

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OURS: dict[str, Any] = {"SimpleRNN": RNN, "GRU": GRU, "LSTM": LSTM}
_THEIRS = {ours: theirs for theirs, ours in _OURS.items()}


def _activation(layer: Any, name: str = "activation") -> str:
    found: str = getattr(getattr(layer, name), "__name__", "?")
    return found


def read(layer: Any, where: str) -> list[Part]:
    """The layer of a SimpleRNN, GRU or LSTM."""
    kind = type(layer).__name__
    fixed: dict[str, Any] = {"use_bias": True, "return_state": False}
    if kind == "GRU" or kind == "LSTM":
        fixed["recurrent_activation"] = "sigmoid"
        fixed["activation"] = "tanh"
    for name, expected in fixed.items():
        found = getattr(layer, name) if isinstance(expected, bool) else _activation(layer, name)
        if found != expected:
            raise ValueError(f"{where}, {kind}, must have {name}={expected!r}; got {found!r}")
    if layer.dropout:
        raise ValueError(
            f"{where}, {kind}, must have dropout=0: it drops what comes in, the same at all times; got {layer.dropout}"
        )
    if layer.go_backwards and layer.return_sequences:
        raise ValueError(f"{where}, {kind}, must not go backwards with return_sequences: outputs come in reverse order")
    return [Part(_layer(layer, bool(layer.go_backwards)), _arrays(layer), where)]


def _layer(layer: Any, reverse: bool) -> Recurrent:
    kind = type(layer).__name__
    arguments: dict[str, Any] = {}
    if kind == "GRU":
        arguments["reset"] = "after" if layer.reset_after else "before"
    if kind == "SimpleRNN":
        arguments["activation"] = _activation(layer)
    found: Recurrent = _OURS[kind](
        layer.units,
        return_sequences=bool(layer.return_sequences),
        reverse=reverse,
        recurrent_dropout=float(layer.recurrent_dropout),
        **arguments,
    )
    return found


def read_two(layer: Any, where: str) -> list[Part]:
    """A Bidirectional."""
    both = [layer.forward_layer, layer.backward_layer]
    if layer.merge_mode != "concat":
        raise ValueError(f"{where}, Bidirectional, must have merge_mode='concat'; got {layer.merge_mode!r}")
    for one in both:
        if type(one).__name__ not in _OURS:
            raise TypeError(f"{where}, Bidirectional, must be of one of {', '.join(_OURS)}; got {type(one).__name__}")
    forward = read(both[0], where)[0]
    if both[1].dropout or type(both[1]) is not type(both[0]) or not both[1].go_backwards:
        raise ValueError(f"{where}, Bidirectional, must have two layers that are alike; got {both[1]}")
    arrays = {f"branches.{k}.0.{name}": binding for k, one in enumerate(both) for name, binding in _arrays(one).items()}
    return [Part(Concatenate([forward.layer, _layer(both[1], True)]), arrays, where)]


def _arrays(layer: Any) -> dict[str, Binding]:
    cell = layer.cell
    swapped = type(layer).__name__ == "GRU"
    found = {
        "weight": _with_gates(bound(cell.kernel), swapped),
        "recurrent": _with_gates(bound(cell.recurrent_kernel), swapped),
    }
    bias = _with_gates(bound(cell.bias), swapped)
    if not (swapped and layer.reset_after):
        return {**found, "bias": bias}
    return {**found, "bias": _row(bias, 0), "recurrent_bias": _row(bias, 1)}


def _with_gates(binding: Binding, swapped: bool) -> Binding:
    """With the first two blocks of columns the other way round, if they are."""

    def turned(array: NDArray[Any]) -> NDArray[Any]:
        n = array.shape[-1] // 3
        return np.concatenate([array[..., n : 2 * n], array[..., :n], array[..., 2 * n :]], axis=-1)

    if not swapped:
        return binding
    return Binding(lambda: turned(binding.read()), lambda array: binding.write(turned(array)))


def _row(binding: Binding, k: int) -> Binding:
    """A row of an array."""

    def write(array: NDArray[Any]) -> None:
        whole = binding.read().copy()
        whole[k] = array
        binding.write(whole)

    return Binding(lambda: binding.read()[k], write)


def made(layer: Recurrent, where: str) -> list[Any]:
    """Layers of Keras for a recurrent layer."""
    if layer.reverse and layer.return_sequences:
        raise ValueError(f"{where}, {type(layer).__name__}, must not be reversed with return_sequences, alone")
    return [_made(layer, layer.reverse), *_dropped(layer)]


def made_of_two(layer: Concatenate, where: str) -> list[Any]:
    """Layers of Keras for two directions side by side."""
    import keras

    both: list[Any] = [branch[0] if len(branch) == 1 else None for branch in layer.branches]
    if len(both) != 2 or not all(isinstance(one, Recurrent) for one in both) or both[0].reverse or not both[1].reverse:
        raise ValueError(f"{where}, Concatenate, must be Bidirectional: a Sequential has no other")
    if {**both[1].described(), "reverse": False} != both[0].described():
        raise ValueError(f"{where} must have two directions that are alike; got {layer}")
    return [keras.layers.Bidirectional(_made(both[0], False)), *_dropped(both[0])]


def _made(layer: Recurrent, reverse: bool) -> Any:
    import keras

    arguments: dict[str, Any] = {}
    if isinstance(layer, GRU):
        arguments["reset_after"] = layer.reset == "after"
    if isinstance(layer, RNN):
        arguments["activation"] = layer.activation
    return getattr(keras.layers, _THEIRS[type(layer)])(
        layer.n_hidden,
        return_sequences=layer.return_sequences,
        go_backwards=reverse,
        recurrent_dropout=layer.recurrent_dropout,
        **arguments,
    )


def _dropped(layer: Recurrent) -> list[Any]:
    import keras

    return [keras.layers.Dropout(layer.dropout)] if layer.dropout else []
