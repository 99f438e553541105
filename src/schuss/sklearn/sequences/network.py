"""The network behind an estimator, from its arguments; and the same network for more times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ... import layers
from ...layers import Dense, Input
from ...network import Network

if TYPE_CHECKING:
    from ...layers import Layer
    from ...layers.recurrent import Recurrent
    from ...parts import NetworkParts

RECURRENT: Mapping[str, Callable[..., Recurrent]] = {"lstm": layers.LSTM, "gru": layers.GRU, "rnn": layers.RNN}
KINDS = (*RECURRENT, "conv")
# Positions that a convolution sees, unless layer_options say otherwise.
_KERNEL = 5


def network_of(est: Any, times: int, features: int, outputs: int, seed: int) -> Network:
    """A new one for rows of so many times."""
    body = _convolutions(est, times) if est.layer == "conv" else _recurrent(est)
    return Network([Input("x", (times, features)), *body, Dense(outputs)], seed=seed, dtype=est.dtype)


def _recurrent(est: Any) -> list[Layer]:
    """Layers each of which hands all times on, but the last, which hands on what it ends with."""
    kind = RECURRENT[est.layer]
    options = {"dropout": float(est.dropout), "recurrent_dropout": float(est.recurrent_dropout)}
    options.update(est.layer_options or {})
    found = [kind(int(est.n_hidden), return_sequences=k + 1 < est.n_layers, **options) for k in range(est.n_layers)]
    return [layers.Bidirectional(layer) if est.bidirectional else layer for layer in found]


def _convolutions(est: Any, times: int) -> list[Layer]:
    """Convolutions, each with a pool of pairs behind it as long as there are pairs."""
    if est.bidirectional or est.recurrent_dropout:
        raise ValueError("bidirectional must be False and recurrent_dropout 0 with layer='conv', which has no state")
    found: list[Layer] = []
    options: dict[str, Any] = {
        "kernel": _KERNEL,
        "activation": "relu",
        "padding": "same",
        "dropout": float(est.dropout),
    }
    options.update(est.layer_options or {})
    for _ in range(est.n_layers):
        found.append(layers.Conv1D(int(est.n_hidden), **options))
        if times >= 2:
            found.append(layers.MaxPool(2))
            times //= 2
    return [*found, layers.Flatten()]


def longer(network: Network, times: int) -> Network:
    """The same network, with all it has, for rows of so many times."""
    put = network.inputs[0]
    rest = [layers.of_description(_of_any_times(layer.described())) for layer in network.layers[1:]]
    parts: NetworkParts = {**network.__getstate__(), "layers": [Input(put.name, (times, put.n)), *rest]}
    return Network._of_parts(deepcopy(parts))


def _of_any_times(described: Any) -> Any:
    """A layer's description, and those in it, without the shape of what comes in."""
    if isinstance(described, list):
        return [_of_any_times(part) for part in described]
    if not isinstance(described, dict):
        return described
    return {key: None if key == "input_shape" else _of_any_times(part) for key, part in described.items()}
