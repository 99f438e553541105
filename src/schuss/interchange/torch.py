"""torch's modules."""

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
    Layer,
    LayerNorm,
    MaxPool,
    PReLU,
    Shape,
)
from ..layers.windows import Axis
from .building import Arrays, Building, arrays_of, channels_first_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network import Network

_ACTIVATIONS = {
    "Identity": "identity",
    "ReLU": "relu",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "SELU": "selu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "GELU": "gelu",
    "SiLU": "silu",
    "Mish": "mish",
    "Hardswish": "hard_swish",
    "Softplus": "softplus",
    "Softmax": "softmax",
}


# ---- from torch ------------------------------------------------------------------------------------------------------


def from_torch(module: Any, input_shape: tuple[int, ...] | None = None, *, seed: int | None = None) -> Network:
    """The network that computes what a torch module computes, with its weights.

    Parameters
    ----------
    module : torch.nn.Module
        A Sequential, nested ones too, or a single module: Linear, Conv1d, Conv2d, BatchNorm1d, BatchNorm2d, LayerNorm,
        MaxPool, AvgPool, adaptive pools to one place, Flatten, Dropout, PReLU (whose slope, where it is one for all,
        becomes one a column), zero padding in front of a convolution, and activations.
    input_shape : tuple of int, optional
        Of one row as torch has it: (channels, height, width), (channels, times), or (columns,). Default: what a Linear
        in front tells.
    seed : int, optional
        Of the network, for its dropout and shuffles.

    Returns
    -------
    Network
        It takes the same arrays, with channels first, and gives the same numbers to rounding. Its own layers have their
        channels last: weights behind a Flatten have changed their order. In the module's precision.

    Raises
    ------
    TypeError
        If a module is none of these.
    ValueError
        If a module has a setting that there is not here, or they do not fit together; the message names it.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.interchange.from_torch(module, (3, 32, 32))  # doctest: +SKIP
    """
    modules = list(_modules(module, "module"))
    if input_shape is None:
        if not modules or type(modules[0][1]).__name__ != "Linear":
            raise ValueError("input_shape must be given where no Linear comes first, such as (channels, height, width)")
        input_shape = (modules[0][1].in_features,)
    first = len(input_shape) > 1
    building = Building(Input("x", input_shape if first else input_shape[0], channels="first" if first else "last"))
    for name, each in modules:
        if building.pads and type(each).__name__ not in _PADDED:
            break
        _FROM[type(each).__name__](each, building, name)
    if building.pads:
        raise ValueError(f"{building.pads[0]} must come before a convolution or a MaxPool, which pads here")
    if building.order is not None:
        raise ValueError("module must have a Linear behind its Flatten: without, its columns would be in another order")
    return building.network(seed)


def _modules(module: Any, name: str) -> Iterator[tuple[str, Any]]:
    """The modules in a Sequential, by name."""
    kind = type(module)
    if not kind.__module__.startswith("torch.nn.modules"):
        raise TypeError(
            f"{name} must be a module of torch.nn, or a Sequential of these in the order in which they are called; got "
            f"{shown(kind.__name__)}"
        )
    if kind.__name__ == "Sequential":
        for key, each in module.named_children():
            yield from _modules(each, f"{name}.{key}")
    elif kind.__name__ in _FROM:
        yield name, module
    else:
        raise TypeError(f"{name} must be one of Sequential, {', '.join(_FROM)}; got {kind.__name__}")


def _array(tensor: Any) -> NDArray[Any] | None:
    return None if tensor is None else np.asarray(tensor.detach().cpu().numpy())


def _needs(name: str, module: Any, **settings: Any) -> None:
    """ValueError where a setting is not what this can be here."""
    for key, expected in settings.items():
        found = getattr(module, key, expected)
        if found != expected:
            raise ValueError(f"{name}.{key} must be {expected!r} to be had here; got {shown(found)}")


def _linear(module: Any, building: Building, name: str) -> None:
    if building.shape.dims:
        raise ValueError(f"{name}, Linear, must come behind a Flatten or columns; got {building.shape.of_row}")
    weight = _array(module.weight)
    assert weight is not None
    if building.order is not None:
        if weight.shape[1] != len(building.order):
            raise ValueError(f"{name}.in_features must be {len(building.order)}; got {weight.shape[1]}")
        weight, building.order = weight[:, building.order], None
    layer = Dense(module.in_features, module.out_features, bias=module.bias is not None)
    building.add(layer, name, weight=weight.T, bias=_array(module.bias))


def _pad(module: Any, building: Building, name: str) -> None:
    sides = (module.padding,) * 2 if isinstance(module.padding, int) else module.padding
    pairs = tuple(zip(sides[::2], sides[1::2], strict=True))[::-1]
    building.pads = name, float(module.value), pairs


def _padding(building: Building, padding: Any, value: float) -> Any:
    """A layer's padding, with what a module before it pads."""
    if building.pads is None:
        return padding
    name, found, pairs = building.pads
    if found != value:
        raise ValueError(f"{name}.value must be {value:g} to be had here; got {found:g}")
    if np.any(np.asarray(padding) != 0):
        raise ValueError(f"{name} must come before a layer that does not pad; got padding {shown(padding)}")
    building.pads = None
    return pairs


def _convolution(module: Any, building: Building, name: str) -> None:
    _needs(name, module, groups=1, padding_mode="zeros")
    kind = Conv1D if type(module).__name__ == "Conv1d" else Conv2D
    weight = _array(module.weight)  # (n_out, channels, height, width)
    assert weight is not None
    layer = kind(
        module.out_channels,
        module.kernel_size,
        stride=module.stride,
        padding=_padding(building, module.padding, 0.0),
        dilation=module.dilation,
        bias=module.bias is not None,
    )
    building.add(layer, name, weight=np.moveaxis(weight, (0, 1), (-1, -2)), bias=_array(module.bias))


def _batch_norm(module: Any, building: Building, name: str) -> None:
    _needs(name, module, track_running_stats=True)
    if module.momentum is None:
        raise ValueError(f"{name}.momentum must be a number to be had here; got None")
    building.add(
        BatchNorm(module.num_features, momentum=module.momentum, eps=module.eps),
        name,
        weight=_ordered(building, module.weight),
        bias=_ordered(building, module.bias),
        running_mean=_ordered(building, module.running_mean),
        running_var=_ordered(building, module.running_var),
    )


def _layer_norm(module: Any, building: Building, name: str) -> None:
    if building.shape.dims or len(module.normalized_shape) != 1:
        raise ValueError(f"{name}, LayerNorm, must be over columns to be had here; got {module.normalized_shape}")
    weight, bias = _ordered(building, module.weight), _ordered(building, module.bias)
    building.add(LayerNorm(module.normalized_shape[0], eps=module.eps), name, weight=weight, bias=bias)


def _prelu(module: Any, building: Building, name: str) -> None:
    slope = _array(module.weight)
    assert slope is not None
    slope = np.broadcast_to(slope, building.shape.columns) if slope.size == 1 else slope
    building.add(PReLU(building.shape.columns), name, slope=slope)


def _ordered(building: Building, tensor: Any) -> NDArray[Any] | None:
    """One number a column, in the order of the columns here."""
    array = _array(tensor)
    return array if array is None or building.order is None else array[building.order]


def _max_pool(module: Any, building: Building, name: str) -> None:
    _needs(name, module, ceil_mode=False, return_indices=False)
    if np.any(np.asarray(module.dilation) != 1):
        raise ValueError(f"{name}.dilation must be 1 to be had here; got {shown(module.dilation)}")
    building.add(MaxPool(module.kernel_size, module.stride, _padding(building, module.padding, -np.inf)), name)


def _avg_pool(module: Any, building: Building, name: str) -> None:
    _needs(name, module, ceil_mode=False, divisor_override=None)
    layer = AvgPool(module.kernel_size, module.stride, module.padding, count_include_pad=bool(module.count_include_pad))
    building.add(layer, name)


def _adaptive(module: Any, building: Building, name: str) -> None:
    if np.any(np.asarray(module.output_size) != 1):
        raise ValueError(f"{name}.output_size must be 1 to be had here; got {shown(module.output_size)}")
    building.add(GlobalAvgPool() if "Avg" in type(module).__name__ else GlobalMaxPool(), name)


def _flatten(module: Any, building: Building, name: str) -> None:
    _needs(name, module, start_dim=1, end_dim=-1)
    if not building.shape.dims:  # as behind a pool of all positions
        return
    order = channels_first_order(building.shape)
    building.add(Flatten(), name)
    building.order = None if np.array_equal(order, np.arange(len(order))) else order


def _dropout(module: Any, building: Building, name: str) -> None:
    building.add(Activation("identity", dropout=module.p), name)


def _activation(module: Any, building: Building, name: str) -> None:
    kind, alpha = _ACTIVATIONS[type(module).__name__], None
    if kind == "leaky_relu":
        alpha = module.negative_slope
    elif kind == "elu":
        alpha = module.alpha
    elif kind == "gelu":
        _needs(name, module, approximate="none")
    elif kind == "softplus":
        _needs(name, module, beta=1)
    elif kind == "softmax" and module.dim not in (1, -1):
        raise ValueError(f"{name}.dim must be 1 or -1; got {module.dim}")
    building.add(Activation(kind, alpha=alpha), name)


# Those that pad by themselves.
_PADDED = ("Conv1d", "Conv2d", "MaxPool1d", "MaxPool2d")
_FROM: dict[str, Callable[[Any, Building, str], None]] = {
    "Linear": _linear,
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "LayerNorm": _layer_norm,
    "PReLU": _prelu,
    **dict.fromkeys(("ConstantPad1d", "ConstantPad2d", "ZeroPad1d", "ZeroPad2d"), _pad),
    "MaxPool1d": _max_pool,
    "MaxPool2d": _max_pool,
    "AvgPool1d": _avg_pool,
    "AvgPool2d": _avg_pool,
    **dict.fromkeys(("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d"), _adaptive),
    "Flatten": _flatten,
    "Dropout": _dropout,
    **dict.fromkeys(_ACTIVATIONS, _activation),
}


# ---- to torch --------------------------------------------------------------------------------------------------------


def to_torch(network: Network) -> Any:
    """The torch module that computes what a network computes, with its weights.

    Parameters
    ----------
    network : Network
        Of layers one after the other, as `from_torch` makes them; others are refused.

    Returns
    -------
    torch.nn.Sequential
        In the network's precision, in evaluation mode (``module.train()`` switches its dropout on). It takes images and
        series as torch does, with their channels first, whatever the network's `Input` says.

    Raises
    ------
    TypeError, ValueError
        If there is no such module for a layer; the message names it.
    ImportError
        If there is no torch.

    Examples
    --------
    >>> import schuss
    >>> module = schuss.interchange.to_torch(net)  # doctest: +SKIP
    """
    import torch

    modules: list[Any] = []
    order: NDArray[np.intp] | None = None
    for name, layer, shape, arrays in arrays_of(network):
        made = _TO.get(layer.kind)
        if made is None:
            raise TypeError(f"{name} must have a module in torch; got {type(layer).__name__}")
        if shape.dims and layer.kind in ("dense", "layer_norm"):
            raise TypeError(f"{name}, {type(layer).__name__}, must come behind a Flatten: torch has the channels first")
        if order is not None:
            arrays, order = _reordered(layer, arrays, order)
        modules += made(torch, name, layer, shape, arrays)
        if layer.kind == "flatten":
            order = channels_first_order(shape)
        if layer._has_end:
            modules += _end(torch, layer)
    if order is not None and not np.array_equal(order, np.arange(len(order))):
        raise ValueError("network must have a Dense behind its Flatten: without, its columns would be in another order")
    found = torch.nn.Sequential(*modules)
    return found.to(torch.float64 if network.dtype == np.float64 else torch.float32).eval()


def _reordered(layer: Layer, arrays: Arrays, order: NDArray[np.intp]) -> tuple[Arrays, NDArray[np.intp] | None]:
    """Arrays of a layer whose columns stand elsewhere in torch, and where they stand behind it."""
    there = np.argsort(order)
    if layer.kind == "dense":
        return {**arrays, "weight": arrays["weight"][there]}, None
    return {key: array[there] for key, array in arrays.items()}, order


def _filled(torch: Any, module: Any, **arrays: Any) -> Any:
    with torch.no_grad():
        for key, array in arrays.items():
            if array is not None:
                getattr(module, key).data = torch.tensor(np.array(array))
    return module


def _to_linear(torch: Any, name: str, layer: Any, shape: Shape, arrays: Arrays) -> list[Any]:
    weight, bias = arrays["weight"].T, arrays.get("bias")
    if layer.parametrization == "ntp":
        weight = weight / np.sqrt(layer.n_in).astype(weight.dtype)
    module = torch.nn.Linear(layer.n_in, layer.n_out, bias=bias is not None)
    return [_filled(torch, module, weight=weight, bias=bias)]


def _sides(found: tuple[Axis, ...]) -> tuple[tuple[int, ...], list[int]]:
    """Padding of both sides alike, and what torch's pads take where they are not."""
    if all(axis.before == axis.after for axis in found):
        return tuple(axis.before for axis in found), []
    return (0,) * len(found), [side for axis in reversed(found) for side in (axis.before, axis.after)]


def _to_convolution(torch: Any, name: str, layer: Any, shape: Shape, arrays: Arrays) -> list[Any]:
    found = layer.axes(name)
    rank = len(found)
    padding, uneven = _sides(found)
    kernel = tuple(axis.kernel for axis in found)
    bias = arrays.get("bias")
    module = getattr(torch.nn, f"Conv{rank}d")(
        shape.columns,
        layer.n_out,
        kernel,
        tuple(axis.stride for axis in found),
        padding,
        tuple(axis.dilation for axis in found),
        bias=bias is not None,
    )
    weight = arrays["weight"].reshape(*kernel, shape.columns, layer.n_out)
    filled = _filled(torch, module, weight=np.moveaxis(weight, (-1, -2), (0, 1)), bias=bias)
    return [getattr(torch.nn, f"ConstantPad{rank}d")(uneven, 0.0), filled] if uneven else [filled]


def _to_pool(torch: Any, name: str, layer: Any, shape: Shape, arrays: Arrays) -> list[Any]:
    found = layer.axes(name)
    rank = len(found)
    padding, uneven = _sides(found)
    largest = layer.kind == "max_pool"
    if not uneven and any(2 * axis.before > axis.kernel for axis in found):  # more than torch's pools take
        padding, uneven = (0,) * rank, [side for axis in reversed(found) for side in (axis.before, axis.after)]
    if uneven and not largest and not layer.count_include_pad:
        raise ValueError(
            f"{name}.padding must be the same on both sides, at most half of the kernel, for torch's means"
        )
    options = {} if largest else {"count_include_pad": layer.count_include_pad}
    module = getattr(torch.nn, f"{'Max' if largest else 'Avg'}Pool{rank}d")(
        tuple(axis.kernel for axis in found), tuple(axis.stride for axis in found), padding, **options
    )
    pad = getattr(torch.nn, f"ConstantPad{rank}d")
    return [pad(uneven, -np.inf if largest else 0.0), module] if uneven else [module]


def _to_global(torch: Any, name: str, layer: Any, shape: Shape, arrays: Arrays) -> list[Any]:
    how = "Max" if layer.kind == "global_max_pool" else "Avg"
    return [getattr(torch.nn, f"Adaptive{how}Pool{len(shape.dims)}d")(1), torch.nn.Flatten()]


def _to_batch_norm(torch: Any, name: str, layer: Any, shape: Shape, arrays: Arrays) -> list[Any]:
    made = torch.nn.BatchNorm2d if len(shape.dims) == 2 else torch.nn.BatchNorm1d
    return [_filled(torch, made(layer.n, layer.eps, layer.momentum), **arrays)]


def _to_layer_norm(torch: Any, name: str, layer: Any, shape: Shape, arrays: Arrays) -> list[Any]:
    return [_filled(torch, torch.nn.LayerNorm(layer.n, layer.eps), **arrays)]


def _to_prelu(torch: Any, name: str, layer: Any, shape: Shape, arrays: Arrays) -> list[Any]:
    return [_filled(torch, torch.nn.PReLU(layer.n), weight=arrays["slope"])]


def _to_flatten(torch: Any, name: str, layer: Any, shape: Shape, arrays: Arrays) -> list[Any]:
    return [torch.nn.Flatten()]


def _nothing(torch: Any, name: str, layer: Any, shape: Shape, arrays: Arrays) -> list[Any]:
    return []


def _end(torch: Any, layer: Any) -> list[Any]:
    """Activation and dropout."""
    found = []
    if layer.activation != "identity":
        kinds = {ours: theirs for theirs, ours in _ACTIVATIONS.items()}
        if layer.activation not in kinds:
            raise TypeError(f"activation must be one of {', '.join(kinds)} for torch; got {layer.activation!r}")
        options = [1] if layer.activation == "softmax" else [] if layer.alpha is None else [layer.alpha]
        found.append(getattr(torch.nn, kinds[layer.activation])(*options))
    return [*found, torch.nn.Dropout(layer.dropout)] if layer.dropout else found


_TO: dict[str, Callable[[Any, str, Any, Shape, Arrays], list[Any]]] = {
    "dense": _to_linear,
    "conv1d": _to_convolution,
    "conv2d": _to_convolution,
    "max_pool": _to_pool,
    "avg_pool": _to_pool,
    "global_max_pool": _to_global,
    "global_avg_pool": _to_global,
    "batch_norm": _to_batch_norm,
    "layer_norm": _to_layer_norm,
    "prelu": _to_prelu,
    "flatten": _to_flatten,
    "activation": _nothing,
}
