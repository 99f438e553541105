"""Pooling: of each channel the largest value, or the mean, of a window; and making one row of all positions."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, TypeVar

from ..arguments import flag
from .base import Layer, Shape
from .windows import (
    Axis,
    Padding,
    Sizes,
    axes,
    checked_input_shape,
    checked_padding,
    checked_sizes,
    matched_input,
    plane,
    times,
)

Self = TypeVar("Self", bound="_OfPositions")


@dataclass(init=False, repr=False, eq=False)
class _OfPositions(Layer):
    """A layer without parameters, of values that have positions."""

    _spatial: ClassVar[bool] = True
    input_shape: tuple[int, ...] | None

    def after(self: Self, shape: Shape, name: str) -> Self:
        self._check_storage(shape, name)
        arguments = {**self.described(), "input_shape": matched_input(self, self.input_shape, shape, name)}
        del arguments["kind"]
        found = type(self)(**arguments)
        found._check(name)
        return found

    def _check(self, name: str) -> None:
        """ValueError if it does not fit behind its input_shape."""

    @property
    def shape_in(self) -> Shape | None:
        return None if self.input_shape is None else Shape(self.input_shape[-1], dims=self.input_shape[:-1])

    @property
    def n_parameters(self) -> int:
        return 0


class _Pool(_OfPositions):
    """Pools of windows, and of all positions."""

    _core_kind: ClassVar[str] = "pool"
    _average: ClassVar[bool] = False
    _counts_padding: ClassVar[bool] = False

    def axes(self, name: str) -> tuple[Axis, ...]:
        """The dimensions that are pooled."""
        raise NotImplementedError

    def sizes(self) -> dict[str, int]:
        assert self.input_shape is not None
        y, x = plane(self.axes(type(self).__name__))
        return {
            "height": y.size,
            "width": x.size,
            "n": self.input_shape[-1],
            "kernel_height": y.kernel,
            "kernel_width": x.kernel,
            "stride_height": y.stride,
            "stride_width": x.stride,
            "top": y.before,
            "bottom": y.after,
            "left": x.before,
            "right": x.after,
        }

    def numbers(self) -> dict[str, float]:
        return {"average": float(self._average), "count_include_pad": float(self._counts_padding)}


@dataclass(init=False, repr=False, eq=False)
class _WindowPool(_Pool):
    """Pools of windows."""

    kernel: Sizes
    stride: Sizes
    padding: Padding

    def _take(self, kernel: Any, stride: Any, padding: Any, input_shape: Any) -> None:
        kernel = checked_sizes("kernel", kernel)
        self._set(
            input_shape=checked_input_shape(input_shape),
            kernel=kernel,
            stride=kernel if stride is None else checked_sizes("stride", stride),
            padding=checked_padding(padding, ("valid", "same")),
        )

    def axes(self, name: str) -> tuple[Axis, ...]:
        assert self.input_shape is not None
        return axes(name, self.input_shape[:-1], self.kernel, self.stride, self.padding)

    def _check(self, name: str) -> None:
        for axis in self.axes(name):
            if max(axis.before, axis.after) >= axis.kernel:
                raise ValueError(
                    f"{name}.padding must be less than kernel, {axis.kernel}, on each side: a window must not be "
                    f"all padding; got {max(axis.before, axis.after)}"
                )

    @property
    def shape(self) -> Shape:
        if self.input_shape is None:
            return Shape(0)
        dims = tuple(axis.windows for axis in self.axes(type(self).__name__))
        return Shape(self.input_shape[-1], dims=dims)

    def row(self) -> tuple[str, str, str, str]:
        found = self.axes(type(self).__name__)
        kernel, stride = times([axis.kernel for axis in found]), times([axis.stride for axis in found])
        out = times([*(axis.windows for axis in found), self.shape.columns])
        step = "" if stride == kernel else f" stride {stride}"
        return f"{type(self).__name__} {kernel}{step} -> {out}", "", "", ""


@dataclass(init=False, repr=False, eq=False)
class MaxPool(_WindowPool):
    """The largest value of each window, for each channel: (rows, height, width, channels) to (rows, windows down,
    windows across, channels), or (rows, times, channels) to (rows, windows, channels).

    Parameters
    ----------
    kernel : int or tuple of int
        The window: one number, or (height, width).
    stride : int or tuple of int, optional
        From window to window. Default: kernel, so that windows lie side by side.
    padding : {"valid", "same"}, int or tuple
        What is added around the image, and is never the largest. "valid": nothing. "same": as much as gives
        ceil(size / stride) windows, the odd one below and to the right, as in Keras. Else how much on each side: one
        number, one a dimension, or for each dimension a pair, before and after; less than kernel.
    input_shape : tuple of int, optional
        (height, width, channels) or (times, channels), where it is the network's first layer.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described. In a network: if what comes in has no positions, or the window is larger
        than what comes in with its padding.

    Notes
    -----
    Of equal values the first, row by row, is the largest and gets the gradient.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([schuss.MaxPool(2, input_shape=(8, 8, 3)), schuss.Flatten(), schuss.Dense(10)], seed=0)
    >>> net.layers[1].input_shape
    (4, 4, 3)
    """

    kind: ClassVar[str] = "max_pool"

    def __init__(self, kernel: Any, stride: Any = None, padding: Any = 0, *, input_shape: Any = None) -> None:
        self._take(kernel, stride, padding, input_shape)


@dataclass(init=False, repr=False, eq=False)
class AvgPool(_WindowPool):
    """The mean of each window, for each channel: (rows, height, width, channels) to (rows, windows down, windows
    across, channels), or (rows, times, channels) to (rows, windows, channels).

    Parameters
    ----------
    kernel : int or tuple of int
        The window: one number, or (height, width).
    stride : int or tuple of int, optional
        From window to window. Default: kernel, so that windows lie side by side.
    padding : {"valid", "same"}, int or tuple
        As of `MaxPool`.
    count_include_pad : bool
        Whether a mean counts the padding, as zeros (torch's default). By default it does not (as in Keras): where a
        window reaches beyond the image, the mean is of what is there.
    input_shape : tuple of int, optional
        (height, width, channels) or (times, channels), where it is the network's first layer.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described. In a network: if what comes in has no positions, or the window is larger
        than what comes in with its padding.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> net = schuss.Network([schuss.AvgPool(2, input_shape=(4, 1))], seed=0)
    >>> net.predict(np.array([[1, 3, 5, 9]]).reshape(1, 4, 1)).ravel().tolist()
    [2.0, 7.0]
    """

    kind: ClassVar[str] = "avg_pool"
    _average: ClassVar[bool] = True
    count_include_pad: bool

    def __init__(
        self,
        kernel: Any,
        stride: Any = None,
        padding: Any = 0,
        *,
        count_include_pad: bool = False,
        input_shape: Any = None,
    ) -> None:
        self._take(kernel, stride, padding, input_shape)
        self._set(count_include_pad=flag("count_include_pad", count_include_pad))

    @property
    def _counts_padding(self) -> bool:  # type: ignore[override]
        return self.count_include_pad


class _GlobalPool(_Pool):
    """Pools of all positions."""

    def axes(self, name: str) -> tuple[Axis, ...]:
        assert self.input_shape is not None
        return axes(name, self.input_shape[:-1], self.input_shape[:-1], 1, 0)

    @property
    def shape(self) -> Shape:
        return Shape(self.input_shape[-1] if self.input_shape else 0)

    def row(self) -> tuple[str, str, str, str]:
        return f"{type(self).__name__} -> {self.shape.columns}", "", "", ""


@dataclass(init=False, repr=False, eq=False)
class GlobalMaxPool(_GlobalPool):
    """The largest value of each channel: (rows, height, width, channels) or (rows, times, channels) to (rows,
    channels).

    Parameters
    ----------
    input_shape : tuple of int, optional
        (height, width, channels) or (times, channels), where it is the network's first layer.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described. In a network: if what comes in has no positions.

    Notes
    -----
    Of equal values the first, row by row, gets the gradient.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([schuss.GlobalMaxPool(input_shape=(50, 8)), schuss.Dense(2)], seed=0)
    >>> net.layers[1].n_in
    8
    """

    kind: ClassVar[str] = "global_max_pool"

    def __init__(self, *, input_shape: Any = None) -> None:
        self._set(input_shape=checked_input_shape(input_shape))


@dataclass(init=False, repr=False, eq=False)
class GlobalAvgPool(_GlobalPool):
    """The mean of each channel: (rows, height, width, channels) or (rows, times, channels) to (rows, channels).

    Parameters
    ----------
    input_shape : tuple of int, optional
        (height, width, channels) or (times, channels), where it is the network's first layer.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described. In a network: if what comes in has no positions.

    References
    ----------
    M. Lin, Q. Chen, S. Yan, Network in network (2013), https://arxiv.org/abs/1312.4400

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([schuss.GlobalAvgPool(input_shape=(7, 7, 64)), schuss.Dense(10)], seed=0)
    >>> net.layers[1].n_in
    64
    """

    kind: ClassVar[str] = "global_avg_pool"
    _average: ClassVar[bool] = True

    def __init__(self, *, input_shape: Any = None) -> None:
        self._set(input_shape=checked_input_shape(input_shape))


@dataclass(init=False, repr=False, eq=False)
class Flatten(_OfPositions):
    """All positions in one row: (rows, height, width, channels) or (rows, times, channels) to (rows, all of them).

    The order is that of the array: row by row, and in each position its channels. torch, whose channels come first, has
    another: weights behind a Flatten change their places between the two.

    Parameters
    ----------
    input_shape : tuple of int, optional
        (height, width, channels) or (times, channels), where it is the network's first layer.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described. In a network: if what comes in has no positions.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([schuss.Flatten(input_shape=(28, 28, 1)), schuss.Dense(10)], seed=0)
    >>> net.layers[1].n_in
    784
    """

    kind: ClassVar[str] = "flatten"

    def __init__(self, *, input_shape: Any = None) -> None:
        self._set(input_shape=checked_input_shape(input_shape))

    @property
    def shape(self) -> Shape:
        return Shape(prod(self.input_shape or (0,)))

    def row(self) -> tuple[str, str, str, str]:
        return f"Flatten -> {self.shape.columns}", "", "", ""
