"""Keras's models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import shown
from ..layers import (
    Activation,
    AvgPool,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Input,
    LayerNorm,
    MaxPool,
    Shape,
)
from .building import Arrays, Building, arrays_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network import Network

# By the name of the function in Keras.
_ACTIVATIONS = {
    "linear": "identity",
    "relu": "relu",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "gelu": "gelu",
    "silu": "silu",
    "mish": "mish",
    "hard_silu": "hard_swish",
    "softplus": "softplus",
    "exponential": "exp",
    "softmax": "softmax",
}
# Those whose number, or whose exact form, Keras has as layers.
_WITH_NUMBERS = {"leaky_relu": ("LeakyReLU", "negative_slope"), "elu": ("ELU", "alpha")}


# ---- from Keras ------------------------------------------------------------------------------------------------------


def from_keras(model: Any, *, seed: int | None = None) -> Network:
    """The network that computes what a Keras model computes, with its weights.

    Parameters
    ----------
    model : keras.Sequential
        Built, so that its sizes are known, of Dense, Conv1D, Conv2D, BatchNormalization, LayerNormalization, max and
        average pools, global pools, Flatten, Dropout, and activations.
    seed : int, optional
        Of the network, for its dropout and shuffles.

    Returns
    -------
    Network
        It takes the same arrays and gives the same numbers to rounding, in the model's precision.

    Raises
    ------
    TypeError
        If a layer is none of these.
    ValueError
        If a layer has a setting that there is not here; the message names it.

    Notes
    -----
    In training BatchNorm here differs: its running variance takes in variances divided by rows - 1, where Keras divides
    by rows.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.interchange.from_keras(model)  # doctest: +SKIP
    """
    layers = list(_layers(model, "model"))
    shape = getattr(model, "input_shape", None)
    if not isinstance(shape, tuple) or not 2 <= len(shape) <= 4 or any(size is None for size in shape[1:]):
        raise ValueError(f"model must be built with one input of known size; got input_shape {shown(shape)}")
    building = Building(Input("x", shape[1:] if len(shape) > 2 else shape[1]))
    for name, layer in layers:
        _FROM[type(layer).__name__](layer, building, name)
    return building.network(seed)


def _layers(model: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The layers in a Sequential, by name."""
    kind = type(model)
    if not kind.__module__.startswith("keras."):
        raise TypeError(f"{name} must be a keras.Sequential; got {kind.__name__}")
    if kind.__name__ == "Sequential":
        for each in model.layers:
            yield from _layers(each, f"{name}.{each.name}")
    elif kind.__name__ in _FROM:
        yield name, model
    elif kind.__name__ != "InputLayer":
        raise TypeError(f"{name} must be one of Sequential, {', '.join(_FROM)}; got {kind.__name__}")


def _array(variable: Any) -> NDArray[Any] | None:
    if variable is None:
        return None
    found = variable.numpy() if hasattr(variable, "numpy") else variable
    return np.asarray(found)


def _needs(name: str, layer: Any, **settings: Any) -> None:
    for key, expected in settings.items():
        found = getattr(layer, key, expected)
        if found != expected:
            raise ValueError(f"{name}.{key} must be {expected!r} to be had here; got {shown(found)}")


def _function(name: str, layer: Any) -> str:
    """The activation of a layer, by its name here."""
    function = getattr(layer.activation, "__name__", type(layer.activation).__name__)
    if function not in _ACTIVATIONS:
        raise ValueError(f"{name}.activation must be one of {', '.join(_ACTIVATIONS)} to be had here; got {function!r}")
    return _ACTIVATIONS[function]


def _with_activation(building: Building, name: str, layer: Any, made: Any, **arrays: Any) -> None:
    building.add(made, name, **arrays)
    kind = _function(name, layer)
    if kind != "identity":
        building.add(Activation(kind), name)


def _dense(layer: Any, building: Building, name: str) -> None:
    made = Dense(None, layer.units, bias=layer.use_bias)
    _with_activation(
        building, name, layer, made, weight=_array(layer.kernel), bias=_array(layer.bias) if layer.use_bias else None
    )


def _convolution(layer: Any, building: Building, name: str) -> None:
    _needs(name, layer, groups=1, data_format="channels_last")
    kind = Conv1D if type(layer).__name__ == "Conv1D" else Conv2D
    made = kind(
        layer.filters,
        layer.kernel_size,
        stride=layer.strides,
        padding=layer.padding,
        dilation=layer.dilation_rate,
        bias=layer.use_bias,
    )
    bias = _array(layer.bias) if layer.use_bias else None
    _with_activation(building, name, layer, made, weight=_array(layer.kernel), bias=bias)


def _batch_norm(layer: Any, building: Building, name: str) -> None:
    building.add(
        BatchNorm(momentum=1 - layer.momentum, eps=layer.epsilon),
        name,
        weight=_array(layer.gamma) if layer.scale else None,
        bias=_array(layer.beta) if layer.center else None,
        running_mean=_array(layer.moving_mean),
        running_var=_array(layer.moving_variance),
    )


def _layer_norm(layer: Any, building: Building, name: str) -> None:
    axis = layer.axis if isinstance(layer.axis, int) else list(layer.axis)
    if axis not in (-1, [-1], [len(building.shape.of_row)], len(building.shape.of_row)):
        raise ValueError(f"{name}.axis must be the last one to be had here; got {shown(layer.axis)}")
    weight = _array(layer.gamma) if layer.scale else None
    building.add(LayerNorm(eps=layer.epsilon), name, weight=weight, bias=_array(layer.beta) if layer.center else None)


def _pool(layer: Any, building: Building, name: str) -> None:
    _needs(name, layer, data_format="channels_last")
    kind = MaxPool if type(layer).__name__.startswith("Max") else AvgPool
    building.add(kind(layer.pool_size, layer.strides, layer.padding), name)


def _global(layer: Any, building: Building, name: str) -> None:
    _needs(name, layer, data_format="channels_last", keepdims=False)
    building.add(GlobalMaxPool() if "Max" in type(layer).__name__ else GlobalAvgPool(), name)


def _flatten(layer: Any, building: Building, name: str) -> None:
    _needs(name, layer, data_format="channels_last")
    if building.shape.dims:
        building.add(Flatten(), name)


def _dropout(layer: Any, building: Building, name: str) -> None:
    _needs(name, layer, noise_shape=None)
    building.add(Activation("identity", dropout=layer.rate), name)


def _activation(layer: Any, building: Building, name: str) -> None:
    building.add(Activation(_function(name, layer)), name)


def _relu(layer: Any, building: Building, name: str) -> None:
    _needs(name, layer, max_value=None, threshold=0)
    slope = float(layer.negative_slope)
    building.add(Activation("leaky_relu", alpha=slope) if slope else Activation("relu"), name)


def _leaky(layer: Any, building: Building, name: str) -> None:
    building.add(Activation("leaky_relu", alpha=float(layer.negative_slope)), name)


def _elu(layer: Any, building: Building, name: str) -> None:
    building.add(Activation("elu", alpha=float(layer.alpha)), name)


def _softmax(layer: Any, building: Building, name: str) -> None:
    _needs(name, layer, axis=-1)
    building.add(Activation("softmax"), name)


_FROM: dict[str, Callable[[Any, Building, str], None]] = {
    "Dense": _dense,
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    **dict.fromkeys(("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"), _pool),
    **dict.fromkeys(
        ("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D"), _global
    ),
    "Flatten": _flatten,
    "Dropout": _dropout,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "ELU": _elu,
    "Softmax": _softmax,
}


# ---- to Keras --------------------------------------------------------------------------------------------------------


def to_keras(network: Network) -> Any:
    """The Keras model that computes what a network computes, with its weights.

    Parameters
    ----------
    network : Network
        Of layers one after the other, as `from_keras` makes them; others are refused.

    Returns
    -------
    keras.Sequential
        Built, in the network's precision. It takes images and series as Keras does, with their channels last.

    Raises
    ------
    TypeError, ValueError
        If there is no such layer in Keras; the message names it.
    ImportError
        If there is no Keras.

    Examples
    --------
    >>> import schuss
    >>> model = schuss.interchange.to_keras(net)  # doctest: +SKIP
    """
    import keras

    dtype = network.dtype.name
    made: list[Any] = []
    values: list[tuple[Any, list[Any]]] = []
    for name, layer, shape, arrays in arrays_of(network):
        maker = _TO.get(layer.kind)
        if maker is None:
            raise TypeError(f"{name} must have a layer in Keras; got {type(layer).__name__}")
        for each, given in maker(keras, name, layer, shape, arrays, dtype):
            made.append(each)
            values.append((each, given))
        if layer._has_end:
            made += _end(keras, name, layer, dtype)
    model = keras.Sequential([keras.Input(network.inputs[0].shape.of_row, dtype=dtype), *made])
    for each, given in values:
        if given:
            each.set_weights(given)
    return model


# A layer, and its arrays in Keras's order.
Made = list[tuple[Any, list[Any]]]


def _to_dense(keras: Any, name: str, layer: Any, shape: Shape, arrays: Arrays, dtype: str) -> Made:
    weight = arrays["weight"]
    if layer.parametrization == "ntp":
        weight = weight / np.sqrt(layer.n_in).astype(weight.dtype)
    made = keras.layers.Dense(layer.n_out, use_bias=layer.bias, dtype=dtype)
    return [(made, [weight, arrays["bias"]] if layer.bias else [weight])]


def _to_convolution(keras: Any, name: str, layer: Any, shape: Shape, arrays: Arrays, dtype: str) -> Made:
    found = layer.axes(name)
    rank = len(found)
    kernel = tuple(axis.kernel for axis in found)
    pads: Made = []
    padding = layer.padding
    if not isinstance(padding, str):
        padding = "valid"
        sides = tuple((axis.before, axis.after) for axis in found)
        if any(map(any, sides)):
            pad = getattr(keras.layers, f"ZeroPadding{rank}D")(sides[0] if rank == 1 else sides, dtype=dtype)
            pads.append((pad, []))
    made = getattr(keras.layers, f"Conv{rank}D")(
        layer.n_out,
        kernel,
        strides=tuple(axis.stride for axis in found),
        padding=padding,
        dilation_rate=tuple(axis.dilation for axis in found),
        use_bias=layer.bias,
        dtype=dtype,
    )
    weight = arrays["weight"].reshape(*kernel, shape.columns, layer.n_out)
    return [*pads, (made, [weight, arrays["bias"]] if layer.bias else [weight])]


def _to_pool(keras: Any, name: str, layer: Any, shape: Shape, arrays: Arrays, dtype: str) -> Made:
    found = layer.axes(name)
    padding = layer.padding
    if not isinstance(padding, str):
        if any(axis.before or axis.after for axis in found):
            raise ValueError(f"{name}.padding must be 'valid', 'same' or 0 for Keras's pools; got {shown(padding)}")
        padding = "valid"
    if layer.kind == "avg_pool" and layer.count_include_pad and padding == "same":
        raise ValueError(f"{name}.count_include_pad must be False for Keras's pools")
    kind = "MaxPooling" if layer.kind == "max_pool" else "AveragePooling"
    sizes = tuple(axis.kernel for axis in found), tuple(axis.stride for axis in found)
    return [(getattr(keras.layers, f"{kind}{len(found)}D")(*sizes, padding=padding, dtype=dtype), [])]


def _to_global(keras: Any, name: str, layer: Any, shape: Shape, arrays: Arrays, dtype: str) -> Made:
    kind = "GlobalMaxPooling" if layer.kind == "global_max_pool" else "GlobalAveragePooling"
    return [(getattr(keras.layers, f"{kind}{len(shape.dims)}D")(dtype=dtype), [])]


def _to_batch_norm(keras: Any, name: str, layer: Any, shape: Shape, arrays: Arrays, dtype: str) -> Made:
    made = keras.layers.BatchNormalization(momentum=1 - layer.momentum, epsilon=layer.eps, dtype=dtype)
    return [(made, [arrays[key] for key in ("weight", "bias", "running_mean", "running_var")])]


def _to_layer_norm(keras: Any, name: str, layer: Any, shape: Shape, arrays: Arrays, dtype: str) -> Made:
    made = keras.layers.LayerNormalization(epsilon=layer.eps, dtype=dtype)
    return [(made, [arrays["weight"], arrays["bias"]])]


def _to_flatten(keras: Any, name: str, layer: Any, shape: Shape, arrays: Arrays, dtype: str) -> Made:
    return [(keras.layers.Flatten(dtype=dtype), [])]


def _nothing(keras: Any, name: str, layer: Any, shape: Shape, arrays: Arrays, dtype: str) -> Made:
    return []


def _end(keras: Any, name: str, layer: Any, dtype: str) -> list[Any]:
    """Activation and dropout."""
    found: list[Any] = []
    names = {ours: theirs for theirs, ours in _ACTIVATIONS.items()}
    if layer.activation in _WITH_NUMBERS:
        kind, number = _WITH_NUMBERS[layer.activation]
        found.append(getattr(keras.layers, kind)(**{number: layer.alpha}, dtype=dtype))
    elif layer.activation != "identity":
        if layer.activation not in names:
            raise TypeError(f"{name}.activation must be one of {', '.join(names)} for Keras; got {layer.activation!r}")
        found.append(keras.layers.Activation(names[layer.activation], dtype=dtype))
    if layer.dropout:
        found.append(keras.layers.Dropout(layer.dropout, dtype=dtype))
    return found


_TO: dict[str, Callable[[Any, str, Any, Shape, Arrays, str], Made]] = {
    "dense": _to_dense,
    "conv1d": _to_convolution,
    "conv2d": _to_convolution,
    "max_pool": _to_pool,
    "avg_pool": _to_pool,
    "global_max_pool": _to_global,
    "global_avg_pool": _to_global,
    "batch_norm": _to_batch_norm,
    "layer_norm": _to_layer_norm,
    "flatten": _to_flatten,
    "activation": _nothing,
}
