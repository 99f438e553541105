"""Layers of torch for images and series with their channels first, and ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import shown
from ..layers import (
    AvgPool,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
)
from .parts import Binding, Part
from .torch_layers import end
from .torch_tensors import bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..layers.base import Shape
    from ..layers.windows import Axis
    from .torch_layers import Reader, Writer

# What only pads, which the layer behind does itself here; those that may stand behind, and what they pad with.
PADS = ("ZeroPad1d", "ZeroPad2d", "ConstantPad1d", "ConstantPad2d")
_PADDED = {"conv1d": 0.0, "conv2d": 0.0, "max_pool": -np.inf}


def _needs(where: str, module: Any, **settings: Any) -> None:
    """ValueError where a setting is another."""
    for name, value in settings.items():
        if getattr(module, name) != value:
            raise ValueError(f"{where} must have {name}={value!r}; got {shown(getattr(module, name))}")


def _kernel(tensor: Any) -> Binding:
    """Weights of a convolution: (n_out, channels, height, width) there, (height width channels, n_out) here."""

    def read() -> NDArray[Any]:
        found: NDArray[Any] = np.moveaxis(tensor.detach().cpu().numpy(), (0, 1), (-1, -2))
        return found.reshape(-1, found.shape[-1])

    def write(array: NDArray[Any]) -> None:
        import torch

        n_out, channels, *kernel = tensor.shape
        there = np.moveaxis(array.reshape(*kernel, channels, n_out), (-1, -2), (0, 1))
        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(there)))

    return Binding(read, write)


def _convolution(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    _needs(where, module, groups=1, padding_mode="zeros")
    arrays = {"weight": _kernel(module.weight)}
    if module.bias is not None:
        arrays["bias"] = bound(module.bias)
    kind = Conv1D if type(module).__name__ == "Conv1d" else Conv2D
    layer = kind(
        module.out_channels,
        module.kernel_size,
        stride=module.stride,
        padding=module.padding,
        dilation=module.dilation,
        bias=module.bias is not None,
    )
    return [Part(layer, arrays, where)]


def _batch_norm(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    _needs(where, module, affine=True, track_running_stats=True)
    if module.momentum is None:
        raise ValueError(f"{where} must have a momentum; got None")
    names = ("weight", "bias", "running_mean", "running_var")
    arrays = {name: bound(getattr(module, name)) for name in names}
    return [Part(BatchNorm(momentum=module.momentum, eps=module.eps), arrays, where)]


def _max_pool(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    _needs(where, module, ceil_mode=False, return_indices=False)
    if np.any(np.asarray(module.dilation) != 1):
        raise ValueError(f"{where} must have dilation=1; got {shown(module.dilation)}")
    return [Part(MaxPool(module.kernel_size, module.stride, module.padding), {}, where)]


def _avg_pool(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    _needs(where, module, ceil_mode=False)
    if getattr(module, "divisor_override", None) is not None:
        raise ValueError(f"{where} must have divisor_override=None; got {module.divisor_override}")
    counts = bool(module.count_include_pad)
    return [Part(AvgPool(module.kernel_size, module.stride, module.padding, count_include_pad=counts), {}, where)]


def _of_all(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    if np.any(np.asarray(module.output_size) != 1):
        raise ValueError(f"{where} must have output_size=1; got {shown(module.output_size)}")
    return [Part(GlobalAvgPool() if "Avg" in type(module).__name__ else GlobalMaxPool(), {}, where)]


def _flatten(module: Any, where: str, shape: Shape, sequences: bool) -> list[Part]:
    _needs(where, module, start_dim=1, end_dim=-1)
    return [Part(Flatten(), {}, where)] if shape.dims else []  # behind a pool of all positions there is one already


# By the names of classes of torch.nn. Networks with one of these have their channels first.
READERS: dict[str, Reader] = {
    "Conv1d": _convolution,
    "Conv2d": _convolution,
    "BatchNorm2d": _batch_norm,
    "MaxPool1d": _max_pool,
    "MaxPool2d": _max_pool,
    "AvgPool1d": _avg_pool,
    "AvgPool2d": _avg_pool,
    **dict.fromkeys(("AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d"), _of_all),
    "Flatten": _flatten,
}
# Those that others have in another way where the channels are not first.
ALSO: dict[str, Reader] = {"BatchNorm1d": _batch_norm}


def order_behind(shape: Shape) -> NDArray[np.intp]:
    """Of all positions in one row: where each column stands in torch, whose channels come first."""
    places = np.arange(shape.positions * shape.columns).reshape(shape.columns, *shape.dims)
    return np.moveaxis(places, 0, -1).reshape(-1)


def reordered(part: Part, order: NDArray[np.intp]) -> Part:
    """A part whose columns stand so in torch: all its arrays but a dense layer's bias have a row for each of them."""
    there = np.argsort(order)

    def turned(binding: Binding) -> Binding:
        return Binding(lambda: binding.read()[order], lambda array: binding.write(array[there]))

    dense = False
    if isinstance(part.layer, Dense):
        dense = True
        if part.layer.n_in != len(order):
            raise ValueError(f"{part.where} must have in_features={len(order)}; got {part.layer.n_in}")
    arrays = {name: binding if dense and name == "bias" else turned(binding) for name, binding in part.arrays.items()}
    return part._replace(arrays=arrays)


def padded(parts: Sequence[Part], where: str, module: Any) -> list[Part]:
    """Parts of a module whose layer pads what the module before it does."""
    part = parts[0] if parts else None
    if part is None or part.layer.kind not in _PADDED:
        raise ValueError(f"{where} must come before a convolution or a max pool, which pad here")
    described = part.layer.described()
    value, own = _PADDED[described.pop("kind")], described["padding"]
    if float(module.value) != value:
        raise ValueError(f"{where} must have value={value:g} before {part.where}; got {module.value:g}")
    if np.any(np.asarray(own if not isinstance(own, str) else 1) != 0):
        raise ValueError(f"{where} must come before a layer that does not pad; got padding={shown(own)}")
    sides = module.padding
    described["padding"] = tuple(zip(sides[::2], sides[1::2], strict=True))[::-1]
    return [part._replace(layer=type(part.layer)(**described)), *parts[1:]]


def _sides(found: tuple[Axis, ...], most: Sequence[int] | None = None) -> tuple[Any, list[int]]:
    """Padding as torch's layers have it, and what a module before them pads where it is not the same on both sides, or
    more than `most`."""
    even = all(axis.before == axis.after for axis in found)
    if even and (most is None or all(axis.before <= limit for axis, limit in zip(found, most, strict=True))):
        return tuple(axis.before for axis in found), []
    return (0,) * len(found), [side for axis in reversed(found) for side in (axis.before, axis.after)]


def _made_convolution(layer: Any, shape: Shape, where: str) -> list[Any]:
    import torch

    found = layer.after(shape, where).axes(where)
    rank = len(found)
    padding, before = _sides(found)
    made = getattr(torch.nn, f"Conv{rank}d")(
        shape.columns,
        layer.n_out,
        tuple(axis.kernel for axis in found),
        tuple(axis.stride for axis in found),
        padding,
        tuple(axis.dilation for axis in found),
        bias=layer.bias,
    )
    pads = [getattr(torch.nn, f"ConstantPad{rank}d")(before, 0.0)] if before else []
    return [*pads, made, *end(layer.activation, layer.alpha, layer.dropout)]


def _made_pool(layer: Any, shape: Shape, where: str) -> list[Any]:
    import torch

    found = layer.after(shape, where).axes(where)
    rank, largest = len(found), layer.kind == "max_pool"
    padding, before = _sides(found, [axis.kernel // 2 for axis in found])
    if before and not largest:
        raise ValueError(
            f"{where}.padding must be the same on both sides, and at most half of the kernel, for torch; got {layer}"
        )
    options = {} if largest else {"count_include_pad": layer.count_include_pad}
    made = getattr(torch.nn, f"{'Max' if largest else 'Avg'}Pool{rank}d")(
        tuple(axis.kernel for axis in found), tuple(axis.stride for axis in found), padding, **options
    )
    return [getattr(torch.nn, f"ConstantPad{rank}d")(before, -np.inf), made] if before else [made]


def _made_of_all(layer: Any, shape: Shape, where: str) -> list[Any]:
    import torch

    how = "Max" if layer.kind == "global_max_pool" else "Avg"
    return [getattr(torch.nn, f"Adaptive{how}Pool{len(shape.dims)}d")(1), torch.nn.Flatten()]


def _made_flatten(layer: Any, shape: Shape, where: str) -> list[Any]:
    import torch

    return [torch.nn.Flatten()]


def made_batch_norm(layer: BatchNorm, shape: Shape, where: str) -> list[Any]:
    """Modules of torch for a BatchNorm behind channels that come first."""
    import torch

    kind = torch.nn.BatchNorm2d if len(shape.dims) == 2 else torch.nn.BatchNorm1d
    return [kind(shape.columns, eps=layer.eps, momentum=layer.momentum)]


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
