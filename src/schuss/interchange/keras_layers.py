"""Layers of Keras, but for recurrent ones, and ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..layers import Activation, BatchNorm, Dense, Embedding, LayerNorm
from . import keras_recurrent
from .keras_variables import bound
from .parts import Part

if TYPE_CHECKING:
    from ..layers.base import Shape

    # A layer of Keras, what messages call it, the shape of what comes in.
    Reader = Callable[[Any, str, Shape], list[Part]]
    # A layer of ours, the shape of what comes in, what messages call it.
    Writer = Callable[[Any, Shape, str], list[Any]]

# Keras's names of activations and ours.
_ACTIVATIONS = {
    "linear": "identity",
    "relu": "relu",
    "gelu": "gelu",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "silu": "silu",
    "mish": "mish",
    "hard_silu": "hard_swish",
    "softplus": "softplus",
    "exponential": "exp",
    "softmax": "softmax",
    "elu": "elu",
}


def activation_of(function: Any, where: str) -> str:
    """The name here of Keras's function."""
    name = getattr(function, "__name__", "?")
    if name not in _ACTIVATIONS:
        raise ValueError(f"{where} must have an activation of {', '.join(_ACTIVATIONS)}; got {name}")
    return _ACTIVATIONS[name]


def _dense(layer: Any, where: str, shape: Shape) -> list[Part]:
    arrays = {"weight": bound(layer.kernel)}
    if layer.use_bias:
        arrays["bias"] = bound(layer.bias)
    made = Dense(layer.units, activation_of(layer.activation, where), bias=bool(layer.use_bias))
    return [Part(made, arrays, where)]


def _at_each_time(layer: Any, where: str, shape: Shape) -> list[Part]:
    if type(layer.layer).__name__ != "Dense":
        raise TypeError(f"{where}, TimeDistributed, must be of Dense; got {type(layer.layer).__name__}")
    return _dense(layer.layer, where, shape)


def _activation(layer: Any, where: str, shape: Shape) -> list[Part]:
    return [Part(Activation(activation_of(layer.activation, where)), {}, where)]


def _rectified(layer: Any, where: str, shape: Shape) -> list[Part]:
    if layer.max_value is not None or layer.threshold or layer.negative_slope:
        raise ValueError(f"{where}, ReLU, must have no maximum, threshold or slope; got {layer.get_config()}")
    return [Part(Activation("relu"), {}, where)]


def _leaky(layer: Any, where: str, shape: Shape) -> list[Part]:
    return [Part(Activation("leaky_relu", alpha=float(layer.negative_slope)), {}, where)]


def _exponential(layer: Any, where: str, shape: Shape) -> list[Part]:
    return [Part(Activation("elu", alpha=float(layer.alpha)), {}, where)]


def _softmax(layer: Any, where: str, shape: Shape) -> list[Part]:
    if layer.axis not in (-1, len(shape.dims) + 1):
        raise ValueError(f"{where}, Softmax, must have axis=-1; got {layer.axis}")
    return [Part(Activation("softmax"), {}, where)]


def _dropout(layer: Any, where: str, shape: Shape) -> list[Part]:
    if layer.noise_shape is not None and any(n is not None for n in layer.noise_shape):
        raise ValueError(f"{where}, Dropout, must have noise_shape=None; got {layer.noise_shape}")
    return [Part(Activation("identity", dropout=float(layer.rate)), {}, where)] if layer.rate else []


def _layer_norm(layer: Any, where: str, shape: Shape) -> list[Part]:
    axes = list(layer.axis) if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    if axes not in ([-1], [len(shape.dims) + 1]) or not layer.center or not layer.scale:
        raise ValueError(f"{where}, LayerNormalization, must be over axis -1, with center and scale")
    return [Part(LayerNorm(eps=layer.epsilon), {"weight": bound(layer.gamma), "bias": bound(layer.beta)}, where)]


def _batch_norm(layer: Any, where: str, shape: Shape) -> list[Part]:
    if layer.axis not in (-1, len(shape.dims) + 1) or not layer.center or not layer.scale:
        raise ValueError(f"{where}, BatchNormalization, must be over axis -1, with center and scale")
    arrays = {
        "weight": bound(layer.gamma),
        "bias": bound(layer.beta),
        "running_mean": bound(layer.moving_mean),
        "running_var": bound(layer.moving_variance),
    }
    return [Part(BatchNorm(momentum=1 - layer.momentum, eps=layer.epsilon), arrays, where)]


def _embedding(layer: Any, where: str, shape: Shape) -> list[Part]:
    if layer.mask_zero:
        raise ValueError(f"{where}, Embedding, must have mask_zero=False: lengths= says what is there")
    return [Part(Embedding(layer.input_dim, layer.output_dim), {"weight": bound(layer.embeddings)}, where)]


def _masking(layer: Any, where: str, shape: Shape) -> list[Part]:
    raise ValueError(
        f"{where}, Masking, has no counterpart: give the list of the other layers, and lengths= to what you call"
    )


def _nothing(layer: Any, where: str, shape: Shape) -> list[Part]:
    return []


# By the names of classes of keras.layers.
READERS: dict[str, Reader] = {
    "Dense": _dense,
    "TimeDistributed": _at_each_time,
    "Activation": _activation,
    "ReLU": _rectified,
    "LeakyReLU": _leaky,
    "ELU": _exponential,
    "Softmax": _softmax,
    "Dropout": _dropout,
    "LayerNormalization": _layer_norm,
    "BatchNormalization": _batch_norm,
    "Embedding": _embedding,
    "Masking": _masking,
    "InputLayer": _nothing,
    "Identity": _nothing,
    **dict.fromkeys(("SimpleRNN", "GRU", "LSTM"), lambda layer, where, shape: keras_recurrent.read(layer, where)),
    "Bidirectional": lambda layer, where, shape: keras_recurrent.read_two(layer, where),
}


def end(activation: str, alpha: float | None, dropout: float, where: str) -> list[Any]:
    """Layers for what comes behind what a layer computes."""
    import keras

    found = []
    names = {ours: theirs for theirs, ours in _ACTIVATIONS.items()}
    if activation == "leaky_relu":
        found.append(keras.layers.LeakyReLU(negative_slope=alpha))
    elif activation == "elu":
        found.append(keras.layers.ELU(alpha=alpha))
    elif activation != "identity":
        if activation not in names:
            raise ValueError(f"{where}'s activation must be one of {', '.join(names)}; got {activation}")
        found.append(keras.layers.Activation(names[activation]))
    return [*found, keras.layers.Dropout(dropout)] if dropout else found


def _made_dense(layer: Dense, shape: Shape, where: str) -> list[Any]:
    import keras

    if layer.parametrization != "standard":
        raise ValueError(f"{where}.parametrization must be 'standard'; got {layer.parametrization!r}")
    made = keras.layers.Dense(layer.n_out, use_bias=layer.bias)
    return [made, *end(layer.activation, layer.alpha, layer.dropout, where)]


def _made_activation(layer: Activation, shape: Shape, where: str) -> list[Any]:
    return end(layer.name, layer.alpha, layer.dropout, where)


def _made_layer_norm(layer: LayerNorm, shape: Shape, where: str) -> list[Any]:
    import keras

    return [keras.layers.LayerNormalization(epsilon=layer.eps)]


def _made_batch_norm(layer: BatchNorm, shape: Shape, where: str) -> list[Any]:
    import keras

    return [keras.layers.BatchNormalization(momentum=1 - layer.momentum, epsilon=layer.eps)]


def _made_embedding(layer: Embedding, shape: Shape, where: str) -> list[Any]:
    import keras

    if shape.columns != 1:
        raise ValueError(f"{where}, Embedding, must have one code at each time; got {shape.columns}")
    return [keras.layers.Embedding(layer.n, layer.dim)]


# By the kinds of our layers.
WRITERS: dict[str, Writer] = {
    "dense": _made_dense,
    "activation": _made_activation,
    "layer_norm": _made_layer_norm,
    "batch_norm": _made_batch_norm,
    "embedding": _made_embedding,
    **dict.fromkeys(("rnn", "gru", "lstm"), lambda layer, shape, where: keras_recurrent.made(layer, where)),
    "concatenate": lambda layer, shape, where: keras_recurrent.made_of_two(layer, where),
}
