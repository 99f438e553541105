"""Recurrent layers of torch.

Gates have torch's order here: r, z, n and i, f, g, o. torch has two biases, holds weights transposed, and several
layers or both directions in one module.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..layers import GRU, LSTM, RNN, Concatenate
from ..layers.recurrent import Recurrent
from .parts import Part
from .torch_tensors import bound

if TYPE_CHECKING:
    from ..layers.base import Shape
    from .parts import Binding

_OURS: dict[str, Any] = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
_ARRAYS = {"weight": "weight_ih", "recurrent": "weight_hh", "bias": "bias_ih", "recurrent_bias": "bias_hh"}


def read(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    """The layers of a torch.nn.RNN, GRU or LSTM; sequences: whether the last of them hands on all times."""
    name = type(module).__name__
    if not module.bias:
        raise ValueError(f"{where}, {name}, must have bias=True; got False")
    if module.proj_size:
        raise ValueError(f"{where}, {name}, must have proj_size=0; got {module.proj_size}")
    parts = []
    for k in range(module.num_layers):
        is_last = k == module.num_layers - 1
        arguments: dict[str, Any] = {
            "return_sequences": sequences or not is_last,
            "dropout": 0.0 if is_last else float(module.dropout),
            "dialect": "torch",
        }
        if name == "RNN":
            arguments["activation"] = module.nonlinearity
        made = [
            _OURS[name](module.hidden_size, reverse=reverse, **arguments)
            for reverse in ((False, True) if module.bidirectional else (False,))
        ]
        arrays = [_arrays(module, f"_l{k}{suffix}") for suffix in ("", "_reverse")[: len(made)]]
        if module.bidirectional:
            named = {f"branches.{i}.0.{key}": one for i, of in enumerate(arrays) for key, one in of.items()}
            parts.append(Part(Concatenate(made), named, f"{where} ({name}, layer {k})"))
        else:
            parts.append(Part(made[0], arrays[0], f"{where} ({name}, layer {k})"))
    return parts


def read_one_array(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    """A `torch_modules.Recurrent`."""
    parts = read(module.layer, where, shape, module.return_sequences)
    if not module.reverse:
        return parts
    if len(parts) > 1 or not isinstance(parts[0].layer, Recurrent):
        raise ValueError(f"{where} must be of one layer and direction to be reversed")
    described = parts[0].layer.described()
    del described["kind"]
    return [parts[0]._replace(layer=type(parts[0].layer)(**{**described, "reverse": True}))]


def _arrays(module: Any, suffix: str) -> dict[str, Binding]:
    return {ours: bound(getattr(module, theirs + suffix)) for ours, theirs in _ARRAYS.items()}


def made(layer: Recurrent, n_in: int, where: str) -> list[Any]:
    """Modules of torch for a recurrent layer."""
    return [_made([layer], n_in, where)]


def made_of_two(layer: Concatenate, n_in: int, where: str) -> list[Any]:
    """Modules of torch for two directions side by side."""
    both: Sequence[Any] = [branch[0] if len(branch) == 1 else None for branch in layer.branches]
    if len(both) != 2 or not all(isinstance(one, Recurrent) for one in both) or both[0].reverse or not both[1].reverse:
        raise ValueError(f"{where}, Concatenate, must be Bidirectional: torch has no other in a Sequential")
    first = both[0].described()
    if {**both[1].described(), "reverse": False} != first:
        raise ValueError(f"{where} must have two directions that are alike; got {layer}")
    return [_made(list(both), n_in, where)]


def _made(layers: list[Recurrent], n_in: int, where: str) -> Any:
    import torch

    from .torch_modules import Recurrent as OneArray

    layer = layers[0]
    name = type(layer).__name__
    if layer.recurrent_dropout:
        raise ValueError(
            f"{where}, {name}, must have recurrent_dropout=0, as torch has none; got {layer.recurrent_dropout}"
        )
    if isinstance(layer, GRU) and layer.reset != "after":
        raise ValueError(f"{where}, GRU, must have reset='after', as torch has no other; got {layer.reset!r}")
    arguments: dict[str, Any] = {"nonlinearity": layer.activation} if isinstance(layer, RNN) else {}
    module = getattr(torch.nn, name)(
        n_in, layer.n_hidden, batch_first=True, bidirectional=len(layers) == 2, **arguments
    )
    one = OneArray(module, layer.return_sequences, reverse=len(layers) == 1 and layer.reverse)
    return torch.nn.Sequential(one, torch.nn.Dropout(layer.dropout)) if layer.dropout else one
