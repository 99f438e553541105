"""Convolutions of images and of series."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, TypeVar

from .._core import ACTIVATIONS
from ..arguments import choice, flag, integer, number
from .base import Layer, Shape, checked_alpha
from .dense import default_init
from .initialisers import INITIALISERS, initial_scale
from .windows import (
    Axis,
    Padding,
    Sizes,
    axes,
    checked_input_shape,
    checked_padding,
    checked_sizes,
    each_of,
    matched_input,
    plane,
    times,
)

Self = TypeVar("Self", bound="_Convolution")


@dataclass(init=False, repr=False, eq=False)
class _Convolution(Layer):
    """What convolutions of one and of two dimensions have in common."""

    _core_kind: ClassVar[str | None] = "convolution"
    _spatial: ClassVar[bool] = True
    _has_end: ClassVar[bool] = True
    _dims: ClassVar[int]
    _paddings: ClassVar[tuple[str, ...]]
    n_out: int
    kernel: Sizes
    activation: str
    stride: Sizes
    padding: Padding
    dilation: Sizes
    bias: bool
    init: str
    dropout: float
    alpha: float | None
    input_shape: tuple[int, ...] | None

    def __init__(
        self,
        n_out: int,
        kernel: Sizes,
        activation: str = "identity",
        *,
        stride: Sizes = 1,
        padding: Any = "valid",
        dilation: Sizes = 1,
        bias: bool = True,
        init: str | None = None,
        dropout: float = 0.0,
        alpha: float | None = None,
        input_shape: Any = None,
    ) -> None:
        activation = choice("activation", activation, ACTIVATIONS)
        if activation == "softmax":
            raise ValueError("activation must not be 'softmax', which is over all columns, for a convolution")
        dims = (1,) * self._dims
        for name, value in (("kernel", kernel), ("stride", stride), ("dilation", dilation)):
            each_of(name, checked_sizes(name, value), dims)
        input_shape = checked_input_shape(input_shape)
        if input_shape is not None and len(input_shape) != self._dims + 1:
            raise ValueError(f"input_shape must be {self._comes_in}, without the rows; got {input_shape}")
        self._set(
            n_out=integer("n_out", n_out, 1),
            kernel=checked_sizes("kernel", kernel),
            activation=activation,
            stride=checked_sizes("stride", stride),
            padding=checked_padding(padding, self._paddings),
            dilation=checked_sizes("dilation", dilation),
            bias=flag("bias", bias),
            init=choice("init", default_init(activation) if init is None else init, INITIALISERS),
            dropout=number("dropout", dropout, "[0, 1)"),
            alpha=checked_alpha(activation, alpha),
            input_shape=input_shape,
        )

    def after(self: Self, shape: Shape, name: str) -> Self:
        self._check_storage(shape, name)
        if shape.dims and len(shape.dims) != self._dims:
            raise ValueError(f"{name}, {type(self).__name__}, must come behind {self._comes_in}; got {shape.of_row}")
        arguments = {**self.described(), "input_shape": matched_input(self, self.input_shape, shape, name)}
        del arguments["kind"]
        found = type(self)(**arguments)
        found.axes(name)
        return found

    @property
    def _comes_in(self) -> str:
        return "(height, width, channels)" if self._dims == 2 else "(times, channels)"

    @property
    def _came_in(self) -> tuple[int, ...]:
        if self.input_shape is None:
            raise ValueError("input_shape follows from the layer before: it is known in a network's layers")
        return self.input_shape

    def axes(self, name: str) -> tuple[Axis, ...]:
        """The dimensions over which the kernel moves."""
        dims = self._came_in[:-1]
        return axes(name, dims, self.kernel, self.stride, self.padding, self.dilation)

    @property
    def columns_in(self) -> int | None:
        return None if self.input_shape is None else self.input_shape[-1]

    @property
    def shape_in(self) -> Shape | None:
        return None if self.input_shape is None else Shape(self.input_shape[-1], dims=self.input_shape[:-1])

    @property
    def shape(self) -> Shape:
        return Shape(self.n_out, dims=tuple(axis.windows for axis in self.axes(type(self).__name__)))

    @property
    def _depth(self) -> int:
        """The rows of W."""
        return prod(each_of("kernel", self.kernel, (1,) * self._dims)) * self._came_in[-1]

    @property
    def n_parameters(self) -> int:
        return (self._depth + self.bias) * self.n_out

    def sizes(self) -> dict[str, int]:
        y, x = plane(self.axes(type(self).__name__))
        return {
            "height": y.size,
            "width": x.size,
            "n_in": self._came_in[-1],
            "n_out": self.n_out,
            "kernel_height": y.kernel,
            "kernel_width": x.kernel,
            "stride_height": y.stride,
            "stride_width": x.stride,
            "dilation_height": y.dilation,
            "dilation_width": x.dilation,
            "top": y.before,
            "bottom": y.after,
            "left": x.before,
            "right": x.after,
        }

    def numbers(self) -> dict[str, float]:
        return {"bias": float(self.bias)}

    def starts(self) -> dict[str, Any]:
        return {"weight": initial_scale(self.init, self._depth, self.n_out), "bias": 0.0}

    def row(self) -> tuple[str, str, str, str]:
        kernel = times(each_of("kernel", self.kernel, (1,) * self._dims))
        came, goes = self._came_in[-1], times(self.shape.of_row)
        return f"{type(self).__name__} {kernel} of {came} -> {goes}", self.activation, self.init, f"{self.dropout:g}"


@dataclass(init=False, repr=False, eq=False)
class Conv2D(_Convolution):
    """``Y = dropout(act(W * X + b))``, with a kernel that moves over images of (height, width, channels).

    W has the shape (kernel height * kernel width * channels, n_out), in this order, and b (n_out,). The kernel is not
    turned.

    Parameters
    ----------
    n_out : int
        Channels that come out, at least 1.
    kernel : int or (int, int)
        Its height and width.
    activation : str
        As `Dense`'s, but for softmax.
    stride : int or (int, int)
        From one place of the kernel to the next.
    padding : {"valid", "same"}, int or tuple
        Zeros around the image. "valid": none. "same": as many as give ceil(size / stride) places, the odd one below
        and to the right, as in Keras. Else how many on each side: one number, one a dimension, or for each dimension a
        pair, before and after.
    dilation : int or (int, int)
        From one element of the kernel to the next.
    bias : bool
        Whether there is a b. It starts at zero.
    init : str, optional
        How W starts: as `Dense`'s, which has as many inputs as W has rows.
    dropout, alpha : float
        As `Dense`'s.
    input_shape : (int, int, int), optional
        (height, width, channels), where it is the network's first layer.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described. In a network: if what comes in is no image, or the kernel is larger than the
        image with its zeros.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, Gradient-based learning applied to document recognition (1998).

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([
    ...     schuss.Conv2D(16, 5, "relu", input_shape=(28, 28, 1)), schuss.MaxPool(2),
    ...     schuss.Conv2D(32, 5, "relu"), schuss.MaxPool(2),
    ...     schuss.Flatten(), schuss.Dense(128, "relu"), schuss.Dense(10),
    ... ], seed=0)
    >>> net.layers[2].input_shape, net.layers[2].shape.of_row
    ((12, 12, 16), (8, 8, 32))
    """

    kind: ClassVar[str] = "conv2d"
    _dims: ClassVar[int] = 2
    _paddings: ClassVar[tuple[str, ...]] = ("valid", "same")


@dataclass(init=False, repr=False, eq=False)
class Conv1D(_Convolution):
    """``Y = dropout(act(W * X + b))``, with a kernel that moves over (times, channels).

    W has the shape (kernel * channels, n_out). All else is as in `Conv2D`, with one number for each size, and one more
    `padding`: with "causal" all zeros come before, so that nothing depends on what is later.

    Parameters
    ----------
    n_out, kernel : int
        Channels that come out, and times that each is computed from.
    activation : str
        As `Dense`'s, but for softmax.
    stride, dilation : int
        As `Conv2D`'s.
    padding : {"valid", "same", "causal"}, int or tuple
        As `Conv2D`'s. A pair, before and after, is ``((2, 0),)``.
    bias, init, dropout, alpha
        As `Conv2D`'s.
    input_shape : (int, int), optional
        (times, channels), where it is the network's first layer.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described. In a network: if what comes in has no times, or too few.

    Examples
    --------
    >>> import schuss
    >>> net = schuss.Network([
    ...     schuss.Conv1D(8, 3, "relu", padding="causal", input_shape=(24, 5)),
    ...     schuss.Conv1D(8, 3, "relu", padding="causal", dilation=2), schuss.GlobalAvgPool(), schuss.Dense(1),
    ... ], seed=0)
    >>> net.layers[1].shape.of_row
    (24, 8)
    """

    kind: ClassVar[str] = "conv1d"
    _dims: ClassVar[int] = 1
    _paddings: ClassVar[tuple[str, ...]] = ("valid", "same", "causal")
