"""Convolutions of images and of series."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, NamedTuple

from .._core import ACTIVATIONS
from ..arguments import choice, flag, integer, number, shown
from .base import Layer, Shape, checked_alpha
from .dense import _INIT
from .initialisers import INITIALISERS, initial_scale

Padding = str | tuple[tuple[int, int], ...]


class Side(NamedTuple):
    """One side of a kernel, and the zeros before and after the positions that it goes over."""

    size: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def reach(self) -> int:
        """Positions from the first that a kernel sees to the last."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def out(self) -> int:
        """Positions that come out; less than 1 if the kernel does not fit."""
        return (self.size + self.before + self.after - self.reach) // self.stride + 1


def side_of(size: int, kernel: int, stride: int, dilation: int, padding: str | tuple[int, int]) -> Side:
    """One side with its zeros.

    "same" gives ceil(size / stride) positions, with as many zeros before as after, or one more after; "causal" puts all
    zeros before.
    """
    reach = (kernel - 1) * dilation + 1
    if padding == "same":
        zeros = max(0, (-(-size // stride) - 1) * stride + reach - size)
        return Side(size, kernel, stride, dilation, zeros // 2, zeros - zeros // 2)
    if padding == "causal":
        return Side(size, kernel, stride, dilation, reach - 1, 0)
    before, after = (0, 0) if isinstance(padding, str) else padding
    return Side(size, kernel, stride, dilation, before, after)


def per_side(name: str, value: Any, sides: int, low: int) -> tuple[int, ...]:
    """A number for each side: one for all, or a tuple of them."""
    values = value if isinstance(value, (tuple, list)) else (value,) * sides
    if len(values) != sides:
        raise ValueError(f"{name} must be a number or {sides} of them; got {shown(value)}")
    return tuple(integer(name, each, low) for each in values)


def checked_padding(padding: Any, sides: int, names: tuple[str, ...]) -> Padding:
    """A name, or the zeros before and after each side."""
    if isinstance(padding, str):
        return choice("padding", padding, names)
    values = padding if isinstance(padding, (tuple, list)) else (padding,) * sides
    if sides == 1 and len(values) == 2 and not isinstance(values[0], (tuple, list)):
        values = (values,)
    if len(values) != sides:
        raise ValueError(f"padding must be a name, a number or {sides} of them; got {shown(padding)}")
    return tuple(
        (integer("padding", each[0], 0), integer("padding", each[1], 0))
        if isinstance(each, (tuple, list)) and len(each) == 2
        else (integer("padding", each, 0),) * 2
        for each in values
    )


@dataclass(init=False, repr=False, eq=False)
class _Convolution(Layer):
    """What both have in common."""

    _core_kind: ClassVar[str | None] = "convolution"
    _spatial: ClassVar[bool] = True
    _has_end: ClassVar[bool] = True
    _sides: ClassVar[int]
    _paddings: ClassVar[tuple[str, ...]]
    n_out: int
    kernel: tuple[int, ...]
    activation: str
    stride: tuple[int, ...]
    padding: Padding
    dilation: tuple[int, ...]
    bias: bool
    init: str
    dropout: float
    alpha: float | None
    input_shape: tuple[int, ...] | None

    def __init__(
        self,
        n_out: int,
        kernel: int | tuple[int, ...],
        activation: str = "identity",
        *,
        stride: int | tuple[int, ...] = 1,
        padding: Any = "valid",
        dilation: int | tuple[int, ...] = 1,
        bias: bool = True,
        init: str | None = None,
        dropout: float = 0.0,
        alpha: float | None = None,
        input_shape: tuple[int, ...] | None = None,
    ) -> None:
        activation = choice("activation", activation, ACTIVATIONS)
        if activation == "softmax":
            raise ValueError("activation must not be 'softmax' for a convolution; got 'softmax'")
        if input_shape is not None:
            if not isinstance(input_shape, (tuple, list)) or len(input_shape) != self._sides + 1:
                raise ValueError(f"input_shape must have {self._sides + 1} numbers; got {shown(input_shape)}")
            input_shape = tuple(integer("input_shape", size, 1) for size in input_shape)
        self._set(
            n_out=integer("n_out", n_out, 1),
            kernel=per_side("kernel", kernel, self._sides, 1),
            activation=activation,
            stride=per_side("stride", stride, self._sides, 1),
            padding=checked_padding(padding, self._sides, self._paddings),
            dilation=per_side("dilation", dilation, self._sides, 1),
            bias=flag("bias", bias),
            init=choice("init", _INIT.get(activation, "glorot_uniform") if init is None else init, INITIALISERS),
            dropout=number("dropout", dropout, "[0, 1)"),
            alpha=checked_alpha(activation, alpha),
            input_shape=input_shape,
        )

    def after(self, shape: Shape, name: str) -> Layer:
        self._check_storage(shape, name)
        if len(shape.dims) != self._sides:
            what = "(height, width, channels)" if self._sides == 2 else "(times, channels)"
            raise ValueError(f"{name}, {type(self).__name__}, must come behind {what}; got {shape.of_row}")
        if self.input_shape not in (None, shape.of_row):
            raise ValueError(f"{name}.input_shape must be {shape.of_row}, what comes before; got {self.input_shape}")
        arguments = {**self.described(), "input_shape": shape.of_row}
        del arguments["kind"]
        made = type(self)(**arguments)
        for k, side in enumerate(made._all_sides):
            if side.out < 1:
                raise ValueError(
                    f"{name}.kernel must fit into what comes in: along side {k} it reaches over {side.reach} positions "
                    f"of {side.size + side.before + side.after}, zeros included; got kernel {self.kernel[k]}"
                )
        return made

    @property
    def columns_in(self) -> int | None:
        return None if self.input_shape is None else self.input_shape[-1]

    @property
    def shape_in(self) -> Shape | None:
        return None if self.input_shape is None else Shape(self.input_shape[-1], dims=self.input_shape[:-1])

    @property
    def _all_sides(self) -> list[Side]:
        assert self.input_shape is not None
        sizes = zip(self.input_shape[:-1], self.kernel, self.stride, self.dilation, strict=True)
        return [
            side_of(*each, self.padding if isinstance(self.padding, str) else self.padding[k])
            for k, each in enumerate(sizes)
        ]

    @property
    def shape(self) -> Shape:
        return Shape(self.n_out, dims=tuple(side.out for side in self._all_sides))

    @property
    def _depth(self) -> int:
        """The rows of W."""
        return prod(self.kernel) * (1 if self.input_shape is None else self.input_shape[-1])

    @property
    def n_parameters(self) -> int:
        return (self._depth + self.bias) * self.n_out

    def sizes(self) -> dict[str, int]:
        assert self.input_shape is not None
        height, width = [Side(1, 1, 1, 1, 0, 0), *self._all_sides][-2:]
        return {
            "height": height.size,
            "width": width.size,
            "n_in": self.input_shape[-1],
            "n_out": self.n_out,
            "kernel_height": height.kernel,
            "kernel_width": width.kernel,
            "stride_height": height.stride,
            "stride_width": width.stride,
            "dilation_height": height.dilation,
            "dilation_width": width.dilation,
            "top": height.before,
            "bottom": height.after,
            "left": width.before,
            "right": width.after,
        }

    def numbers(self) -> dict[str, float]:
        return {"bias": float(self.bias)}

    def starts(self) -> dict[str, Any]:
        return {"weight": initial_scale(self.init, self._depth, self.n_out), "bias": 0.0}

    def row(self) -> tuple[str, str, str, str]:
        came = "x".join(map(str, self.input_shape or ()))
        kernel = "x".join(map(str, self.kernel))
        return f"{came}, kernel {kernel} -> {self.n_out}", self.activation, self.init, f"{self.dropout:g}"


@dataclass(init=False, repr=False, eq=False)
class Conv2D(_Convolution):
    """``Y = dropout(act(W * X + b))``, W moved over images of (height, width, channels).

    W has the shape (kernel height * kernel width * channels, n_out), in this order, and b (n_out,). The kernel is
    not turned.

    Parameters
    ----------
    n_out : int
        Channels that come out, at least 1.
    kernel : int or (int, int)
        Its height and width.
    activation : str
        As `Dense`'s, but for softmax.
    stride : int or (int, int)
        From one position of the kernel to the next.
    padding : {"valid", "same"}, int, (int, int) or ((int, int), (int, int))
        Zeros around the image. "valid": none. "same": so many that ceil(size / stride) positions come out; where their
        number is odd, the extra one is below and on the right. Numbers: above and below, left and right; pairs: each
        side by itself.
    dilation : int or (int, int)
        From one element of the kernel to the next.
    bias : bool
        Whether there is a b. It starts at zero.
    init : str, optional
        How W starts: as `Dense`'s, with kernel height * kernel width * channels inputs.
    dropout, alpha : float
        As `Dense`'s.
    input_shape : (int, int, int), optional
        Height, width and channels of what comes in.

    Raises
    ------
    ValueError, TypeError
        If a name is not known, a number out of range, or the kernel larger than the image with its zeros.

    References
    ----------
    Y. LeCun et al., Gradient-based learning applied to document recognition (1998).
    """

    kind: ClassVar[str] = "conv2d"
    _sides: ClassVar[int] = 2
    _paddings: ClassVar[tuple[str, ...]] = ("valid", "same")


@dataclass(init=False, repr=False, eq=False)
class Conv1D(_Convolution):
    """``Y = dropout(act(W * X + b))``, W moved over series of (times, channels).

    As `Conv2D` with one side: `kernel`, `stride` and `dilation` are numbers, `padding` a number or a pair, zeros before
    and after. With padding "causal" all zeros are before: what comes out depends on nothing later.

    Examples
    --------
    >>> import schuss
    >>> layer = schuss.Conv1D(8, 3, "relu", padding="causal", dilation=2, input_shape=(24, 5))
    >>> layer.n_parameters
    128
    """

    kind: ClassVar[str] = "conv1d"
    _sides: ClassVar[int] = 1
    _paddings: ClassVar[tuple[str, ...]] = ("valid", "same", "causal")
