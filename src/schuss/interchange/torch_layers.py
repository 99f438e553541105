"""Layers of torch, but for recurrent ones, and ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..layers import Activation, BatchNorm, Dense, Embedding, LayerNorm
from . import torch_recurrent
from .parts import Part
from .torch_tensors import bound, bound_as_it_is

if TYPE_CHECKING:
    from ..layers.base import Shape

    # A module, what messages call it, the shape of what comes in, whether the last recurrent layer hands on all times.
    Reader = Callable[[Any, str, Shape, bool], list[Part]]
    # A layer, the shape of what comes in, what messages call it.
    Writer = Callable[[Any, Shape, str], list[Any]]

# torch's names of activations and ours, and their arguments' defaults that are ours, too.
_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "ReLU": ("relu", {}),
    "SELU": ("selu", {}),
    "Sigmoid": ("sigmoid", {}),
    "Tanh": ("tanh", {}),
    "GELU": ("gelu", {"approximate": "none"}),
    "SiLU": ("silu", {}),
    "Mish": ("mish", {}),
    "Hardswish": ("hard_swish", {}),
    "Softplus": ("softplus", {"beta": 1.0}),
    "LeakyReLU": ("leaky_relu", {}),
    "ELU": ("elu", {}),
    "Softmax": ("softmax", {}),
}
_ALPHA = {"leaky_relu": "negative_slope", "elu": "alpha"}


def _linear(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    arrays = {"weight": bound(module.weight)}
    if module.bias is not None:
        arrays["bias"] = bound(module.bias)
    return [Part(Dense(module.in_features, module.out_features, bias=module.bias is not None), arrays, where)]


def _activation(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    name, fixed = _ACTIVATIONS[type(module).__name__]
    for argument, value in fixed.items():
        if getattr(module, argument) != value:
            raise ValueError(f"{where} must have {argument}={value!r}; got {getattr(module, argument)!r}")
    if name == "softmax" and module.dim not in (-1, len(shape.dims) + 1):
        raise ValueError(f"{where} must have dim=-1, over the columns; got {module.dim}")
    alpha = float(getattr(module, _ALPHA[name])) if name in _ALPHA else None
    return [Part(Activation(name, alpha=alpha), {}, where)]


def _nothing(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    return []


def _dropout(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    return [Part(Activation("identity", dropout=float(module.p)), {}, where)] if module.p else []


def _layer_norm(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    if tuple(module.normalized_shape) != (shape.columns,) or module.weight is None or module.bias is None:
        raise ValueError(f"{where} must be over the columns, {(shape.columns,)}, with weight and bias; got {module}")
    arrays = {"weight": bound(module.weight), "bias": bound(module.bias)}
    return [Part(LayerNorm(eps=module.eps), arrays, where)]


def _batch_norm(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    if shape.dims:
        raise ValueError(f"{where} must come behind rows without times: torch takes them channels first")
    if not module.affine or not module.track_running_stats or module.momentum is None:
        raise ValueError(f"{where} must have weight and bias, running statistics and a momentum; got {module}")
    names = ("weight", "bias", "running_mean", "running_var")
    arrays = {name: bound(getattr(module, name)) for name in names}
    return [Part(BatchNorm(momentum=module.momentum, eps=module.eps), arrays, where)]


def _embedding(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    if module.max_norm is not None or module.padding_idx is not None:
        raise ValueError(f"{where} must have neither max_norm nor padding_idx; got {module}")
    arrays = {"weight": bound_as_it_is(module.weight)}
    return [Part(Embedding(module.num_embeddings, module.embedding_dim), arrays, where)]


# By the names of classes of torch.nn.
READERS: dict[str, Reader] = {
    "Linear": _linear,
    **dict.fromkeys(_ACTIVATIONS, _activation),
    "Identity": _nothing,
    "Dropout": _dropout,
    "LayerNorm": _layer_norm,
    "BatchNorm1d": _batch_norm,
    "Embedding": _embedding,
    **dict.fromkeys(("RNN", "GRU", "LSTM"), torch_recurrent.read),
}


def end(activation: str, alpha: float | None, dropout: float) -> list[Any]:
    """Modules for what comes behind what a layer computes."""
    import torch

    found = []
    if activation != "identity":
        names = {ours: (theirs, fixed) for theirs, (ours, fixed) in _ACTIVATIONS.items()}
        if activation not in names:
            raise ValueError(f"activation {activation!r} must be one of torch's: {', '.join(names)}")
        theirs, arguments = names[activation]
        if activation in _ALPHA:
            arguments = {_ALPHA[activation]: alpha}
        if activation == "softmax":
            arguments = {"dim": -1}
        found.append(getattr(torch.nn, theirs)(**arguments))
    if dropout:
        found.append(torch.nn.Dropout(dropout))
    return found


def _made_dense(layer: Dense, shape: Shape, where: str) -> list[Any]:
    import torch

    if layer.parametrization != "standard":
        raise ValueError(f"{where}.parametrization must be 'standard'; got {layer.parametrization!r}")
    linear = torch.nn.Linear(shape.columns, layer.n_out, bias=layer.bias)
    return [linear, *end(layer.activation, layer.alpha, layer.dropout)]


def _made_activation(layer: Activation, shape: Shape, where: str) -> list[Any]:
    return end(layer.name, layer.alpha, layer.dropout)


def _made_layer_norm(layer: LayerNorm, shape: Shape, where: str) -> list[Any]:
    import torch

    return [torch.nn.LayerNorm(shape.columns, eps=layer.eps)]


def _made_batch_norm(layer: BatchNorm, shape: Shape, where: str) -> list[Any]:
    import torch

    if shape.dims:
        raise ValueError(f"{where}, BatchNorm, must come behind rows without times: torch takes them channels first")
    return [torch.nn.BatchNorm1d(shape.columns, eps=layer.eps, momentum=layer.momentum)]


def _made_embedding(layer: Embedding, shape: Shape, where: str) -> list[Any]:
    import torch

    if shape.columns != 1:
        raise ValueError(f"{where}, Embedding, must have one code at each time; got {shape.columns}")
    return [torch.nn.Embedding(layer.n, layer.dim)]


# By the kinds of our layers.
WRITERS: dict[str, Writer] = {
    "dense": _made_dense,
    "activation": _made_activation,
    "layer_norm": _made_layer_norm,
    "batch_norm": _made_batch_norm,
    "embedding": _made_embedding,
    **dict.fromkeys(
        ("rnn", "gru", "lstm"), lambda layer, shape, where: torch_recurrent.made(layer, shape.columns, where)
    ),
    "concatenate": lambda layer, shape, where: torch_recurrent.made_of_two(layer, shape.columns, where),
}
