"""Layers of Keras for images and series, and ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import shown
from ..layers import AvgPool, Conv1D, Conv2D, Flatten, GlobalAvgPool, GlobalMaxPool, MaxPool
from .keras_layers import activation_of, end
from .keras_variables import bound
from .parts import Binding, Part

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..layers.base import Shape
    from .keras_layers import Reader, Writer

# What only pads, which the convolution behind does itself here.
PADS = ("ZeroPadding1D", "ZeroPadding2D")


def _needs(where: str, layer: Any, **settings: Any) -> None:
    """ValueError where a setting is another."""
    for name, value in settings.items():
        if getattr(layer, name) != value:
            raise ValueError(f"{where} must have {name}={value!r}; got {shown(getattr(layer, name))}")


def _kernel(variable: Any) -> Binding:
    """Weights of a convolution: (height, width, channels, n_out) there, (height width channels, n_out) here."""
    there = bound(variable)

    def read() -> NDArray[Any]:
        found = there.read()
        return found.reshape(-1, found.shape[-1])

    return Binding(read, lambda array: there.write(array.reshape(tuple(variable.shape))))


def _convolution(layer: Any, where: str, shape: Shape) -> list[Part]:
    _needs(where, layer, groups=1, data_format="channels_last")
    arrays = {"weight": _kernel(layer.kernel)}
    if layer.use_bias:
        arrays["bias"] = bound(layer.bias)
    kind = Conv1D if type(layer).__name__ == "Conv1D" else Conv2D
    made = kind(
        layer.filters,
        layer.kernel_size,
        activation_of(layer.activation, where),
        stride=layer.strides,
        padding=layer.padding,
        dilation=layer.dilation_rate,
        bias=bool(layer.use_bias),
    )
    return [Part(made, arrays, where)]


def _pool(layer: Any, where: str, shape: Shape) -> list[Part]:
    _needs(where, layer, data_format="channels_last")
    kind = MaxPool if type(layer).__name__.startswith("Max") else AvgPool
    return [Part(kind(layer.pool_size, layer.strides, layer.padding), {}, where)]


def _of_all(layer: Any, where: str, shape: Shape) -> list[Part]:
    _needs(where, layer, data_format="channels_last", keepdims=False)
    return [Part(GlobalMaxPool() if "Max" in type(layer).__name__ else GlobalAvgPool(), {}, where)]


def _flatten(layer: Any, where: str, shape: Shape) -> list[Part]:
    _needs(where, layer, data_format="channels_last")
    return [Part(Flatten(), {}, where)] if shape.dims else []


# By the names of classes of keras.layers.
READERS: dict[str, Reader] = {
    "Conv1D": _convolution,
    "Conv2D": _convolution,
    **dict.fromkeys(("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"), _pool),
    **dict.fromkeys(
        ("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D"), _of_all
    ),
    "Flatten": _flatten,
}


def padded(parts: Sequence[Part], where: str, layer: Any) -> list[Part]:
    """Parts of a convolution, which pads what the layer before it does."""
    part = parts[0] if parts else None
    if part is None or part.layer.kind not in ("conv1d", "conv2d"):
        raise ValueError(f"{where} must come before a convolution, which pads here")
    described = part.layer.described()
    if described["padding"] != "valid":
        raise ValueError(f"{where} must come before a layer with padding='valid'; got {shown(described['padding'])}")
    del described["kind"]
    sides = layer.padding if isinstance(layer.padding[0], (tuple, list)) else (layer.padding,)
    described["padding"] = tuple(tuple(side) for side in sides)
    return [part._replace(layer=type(part.layer)(**described)), *parts[1:]]


def _made_convolution(layer: Any, shape: Shape, where: str) -> list[Any]:
    import keras

    found = layer.after(shape, where).axes(where)
    rank, padding = len(found), layer.padding
    pads = []
    if not isinstance(padding, str):
        sides: Any = tuple((axis.before, axis.after) for axis in found)
        padding = "valid"
        if np.any(sides):
            pads = [getattr(keras.layers, f"ZeroPadding{rank}D")(sides if rank == 2 else sides[0])]
    made = getattr(keras.layers, f"Conv{rank}D")(
        layer.n_out,
        tuple(axis.kernel for axis in found),
        strides=tuple(axis.stride for axis in found),
        padding=padding,
        dilation_rate=tuple(axis.dilation for axis in found),
        use_bias=layer.bias,
    )
    return [*pads, made, *end(layer.activation, layer.alpha, layer.dropout, where)]


def _made_pool(layer: Any, shape: Shape, where: str) -> list[Any]:
    import keras

    found, padding = layer.after(shape, where).axes(where), layer.padding
    pads = any(axis.before or axis.after for axis in found)
    if pads and (not isinstance(padding, str) or getattr(layer, "count_include_pad", False)):
        raise ValueError(f"{where}.padding must be 'valid' or 'same', and not be counted, for Keras; got {layer}")
    kind = "MaxPooling" if layer.kind == "max_pool" else "AveragePooling"
    made = getattr(keras.layers, f"{kind}{len(found)}D")(
        tuple(axis.kernel for axis in found),
        tuple(axis.stride for axis in found),
        padding=padding if isinstance(padding, str) else "valid",
    )
    return [made]


def _made_of_all(layer: Any, shape: Shape, where: str) -> list[Any]:
    import keras

    kind = "GlobalMaxPooling" if layer.kind == "global_max_pool" else "GlobalAveragePooling"
    return [getattr(keras.layers, f"{kind}{len(shape.dims)}D")()]


def _made_flatten(layer: Any, shape: Shape, where: str) -> list[Any]:
    import keras

    return [keras.layers.Flatten()]


# By the kinds of our layers.
WRITERS: dict[str, Writer] = {
    "conv1d": _made_convolution,
    "conv2d": _made_convolution,
    "max_pool": _made_pool,
    "avg_pool": _made_pool,
    "global_max_pool": _made_of_all,
    "global_avg_pool": _made_of_all,
    "flatten": _made_flatten,
}
