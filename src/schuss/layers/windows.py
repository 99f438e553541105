"""Windows that move over time or over an image: what convolutions and pools have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..arguments import choice, integer, shown
from .base import Layer, Shape

# One number for all dimensions, or one for each.
Sizes = int | tuple[int, ...]
# Of padding too: a rule, or before and after in each dimension.
Padding = str | int | tuple[int | tuple[int, int], ...]


class Axis(NamedTuple):
    """One dimension: `size` elements and a window every `stride` of them, of `kernel` elements that are `dilation`
    apart, beginning `before` elements ahead of the first."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def span(self) -> int:
        """Elements from a window's first to its last."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def windows(self) -> int:
        """How many windows there are."""
        return (self.size + self.before + self.after - self.span) // self.stride + 1


def checked_sizes(name: str, value: Any) -> Sizes:
    """A whole number of at least 1, or one for each of one or two dimensions."""
    if isinstance(value, (list, tuple)):
        if not 1 <= len(value) <= 2:
            raise ValueError(f"{name} must be a number, or one for each of one or two dimensions; got {len(value)}")
        return tuple(integer(f"{name}[{k}]", each, 1) for k, each in enumerate(value))
    return integer(name, value, 1)


def checked_padding(value: Any, rules: Sequence[str]) -> Padding:
    """One of the rules, or a number, or for each dimension a number or two of them: before and after."""
    if isinstance(value, str):
        return choice("padding", value, rules)
    if not isinstance(value, (list, tuple)):
        return integer("padding", value, 0)
    if not 1 <= len(value) <= 2:
        raise ValueError(f"padding must be a number, or one for each of one or two dimensions; got {len(value)}")
    found: list[int | tuple[int, int]] = []
    for k, each in enumerate(value):
        name = f"padding[{k}]"
        if isinstance(each, (list, tuple)):
            if len(each) != 2:
                raise ValueError(f"{name} must be a number, or before and after; got {shown(each)}")
            found.append((integer(f"{name}[0]", each[0], 0), integer(f"{name}[1]", each[1], 0)))
        else:
            found.append(integer(name, each, 0))
    return tuple(found)


def checked_input_shape(value: Any) -> tuple[int, ...] | None:
    """(times, channels) or (height, width, channels), or None: it follows from the layer before."""
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or not 2 <= len(value) <= 3:
        raise ValueError(
            f"input_shape must be (times, channels) or (height, width, channels), without the rows; got {shown(value)}"
        )
    return tuple(integer(f"input_shape[{k}]", each, 1) for k, each in enumerate(value))


def each_of(name: str, value: Sizes, dims: tuple[int, ...]) -> tuple[int, ...]:
    """One number for each dimension."""
    if isinstance(value, int):
        return (value,) * len(dims)
    if len(value) != len(dims):
        raise ValueError(f"{name} must be a number, or {len(dims)} of them; got {value}")
    return value


def matched_input(layer: Layer, given: tuple[int, ...] | None, shape: Shape, name: str) -> tuple[int, ...]:
    """The input_shape of a layer behind this shape."""
    if not shape.dims:
        raise ValueError(
            f"{name}, {type(layer).__name__}, must come behind (times, channels) or (height, width, channels); got "
            f"{shape.columns} columns: an Input tells them, as Input('x', (28, 28, 1))"
        )
    found = (*shape.dims, shape.columns)
    if given not in (None, found):
        raise ValueError(f"{name}.input_shape must be {found}, what comes before it has; got {given}")
    return found


def axes(
    name: str,
    dims: tuple[int, ...],
    kernel: Sizes,
    stride: Sizes,
    padding: Padding,
    dilation: Sizes = 1,
) -> tuple[Axis, ...]:
    """The dimensions of a layer that errors call `name`.

    "same" gives ceil(size / stride) windows, with what has to be added on both sides, one more after than before where
    it is odd; "causal" adds all of it before, so that no window sees what comes later; "valid" adds nothing.
    """
    kernels = each_of(f"{name}.kernel", kernel, dims)
    strides = each_of(f"{name}.stride", stride, dims)
    dilations = each_of(f"{name}.dilation", dilation, dims)
    found = []
    for k, size in enumerate(dims):
        axis = Axis(size, kernels[k], strides[k], dilations[k], 0, 0)
        if padding == "same":
            added = max((-(-size // axis.stride) - 1) * axis.stride + axis.span - size, 0)
            axis = axis._replace(before=added // 2, after=added - added // 2)
        elif padding == "causal":
            axis = axis._replace(before=axis.span - 1)
        elif not isinstance(padding, str):
            if isinstance(padding, tuple) and len(padding) != len(dims):
                raise ValueError(f"{name}.padding must be a number, or {len(dims)} of them; got {padding}")
            side = padding if isinstance(padding, int) else padding[k]
            before, after = (side, side) if isinstance(side, int) else side
            axis = axis._replace(before=before, after=after)
        found.append(axis)
    if any(axis.span > axis.size + axis.before + axis.after for axis in found):
        spans = " x ".join(str(axis.span) for axis in found)
        padded = " x ".join(str(axis.size + axis.before + axis.after) for axis in found)
        dilated = ", dilated" if any(axis.dilation > 1 for axis in found) else ""
        raise ValueError(
            f"{name}.kernel must be at most {padded}, what comes in with its padding; got {spans}{dilated}"
        )
    return tuple(found)


def plane(found: tuple[Axis, ...]) -> tuple[Axis, Axis]:
    """Height and width; time is the width of an image of height 1."""
    return (Axis(1, 1, 1, 1, 0, 0), found[0]) if len(found) == 1 else (found[0], found[1])


def times(sizes: Sequence[int]) -> str:
    """Sizes as a summary shows them."""
    return " x ".join(map(str, sizes))
