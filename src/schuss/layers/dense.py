"""Dense layers."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, ClassVar

from .._core import ACTIVATIONS
from ..arguments import choice, flag, integer, number
from .base import Layer, Shape, checked_alpha, optional_size
from .initialisers import INITIALISERS, initial_scale

# Activations that keep about half of a symmetric input start from He's scale, selu from the one that its constants
# are made for, the others from Glorot's.
_HE = ("relu", "leaky_relu", "elu", "gelu", "silu", "mish", "hard_swish", "softplus")
# Arguments that files of older versions do not hold, with what they stand for there.
_LATER = {"parametrization": "standard", "bias_std": 0.0}
_INIT = {**dict.fromkeys(_HE, "he_uniform"), "selu": "lecun_normal"}


def default_init(activation: str) -> str:
    """How weights start in front of this activation, if nothing is said."""
    return _INIT.get(activation, "glorot_uniform")


@dataclass(init=False, repr=False, eq=False)
class Dense(Layer):
    """``Y = dropout(act(X W + b))`` with W of shape (n_in, n_out) and b of shape (n_out,).

    In the neural tangent parametrization ``Y = dropout(act(X W / sqrt(n_in) + b))``: W starts with the standard
    deviation 1, whatever its size, and so one learning rate suits layers of any size.

    Parameters
    ----------
    n_in, n_out : int
        At least 1. One size alone is n_out, as in ``Dense(100, "relu")``: n_in then follows from the layer before.
    activation : str
        identity, relu, leaky_relu, elu, selu, sigmoid, tanh, gelu (the exact erf form), silu, mish, hard_swish,
        softplus, exp, or, in the last layer only, softmax.
    bias : bool
        Whether there is a b. It starts at zero, unless there is a `bias_std`.
    init : str, optional
        How W starts: zeros, orthogonal, {glorot,he,lecun}_{uniform,normal}, normal (with standard deviation 1), or
        uniform (in +-1 / sqrt(n_in), as torch's layers). Default: he_uniform for relu, leaky_relu, elu, gelu, silu,
        mish, hard_swish and softplus, lecun_normal for selu, glorot_uniform for the others; with
        ``parametrization="ntp"`` normal for all.
    dropout : float
        Probability in [0, 1) that an output is dropped in training; the others are divided by 1 - dropout. Not for
        softmax.
    alpha : float, optional
        Slope of leaky_relu below zero, at least 0 (default 0.01), or scale of elu, above 0 (default 1). For no other
        activation.
    parametrization : {"standard", "ntp"}
        "ntp": X W is divided by the root of n_in.
    bias_std : float
        Standard deviation of b's normally distributed start, at least 0.

    Raises
    ------
    ValueError, TypeError
        If a name is not known or a number out of range.

    References
    ----------
    X. Glorot, Y. Bengio (2010); K. He et al. (2015); Y. LeCun et al., Efficient BackProp (1998); A. M. Saxe, J. L.
    McClelland, S. Ganguli (2014), for the initialisers. N. Srivastava et al., Dropout, JMLR 15 (2014). G. Klambauer et
    al., Self-Normalizing Neural Networks (2017), for selu, its constants and its start. D. Misra, Mish (2019).
    A. Howard et al., Searching for MobileNetV3 (2019), for hard_swish. A. Jacot, F. Gabriel, C. Hongler, Neural tangent
    kernel (2018), for the parametrization; D. Holzmüller, L. Grinsztajn, I. Steinwart, Better by default (2024), for
    its use on tables.

    Examples
    --------
    >>> import schuss
    >>> hidden = [schuss.Dense(256, "mish", parametrization="ntp", bias_std=1.0) for _ in range(3)]
    >>> last = schuss.Dense(1, parametrization="ntp", init="zeros")
    >>> net = schuss.Network([schuss.Scale(9), *hidden, last], seed=0)
    >>> round(float(net.parameters[3].std()), 1)
    1.0
    """

    kind: ClassVar[str] = "dense"
    _has_end: ClassVar[bool] = True
    _takes: ClassVar[tuple[str, ...]] = ("numbers", "compressed rows")
    n_in: int | None
    n_out: int
    activation: str
    bias: bool
    init: str
    dropout: float
    alpha: float | None
    parametrization: str
    bias_std: float

    def __init__(
        self,
        n_in: int | None = None,
        n_out: int | str | None = None,
        activation: str = "identity",
        *,
        bias: bool = True,
        init: str | None = None,
        dropout: float = 0.0,
        alpha: float | None = None,
        parametrization: str = "standard",
        bias_std: float = 0.0,
    ) -> None:
        before: int | None = n_in
        after: Any = n_out
        if isinstance(n_out, str) and activation == "identity":  # Dense(100, "relu")
            before, after, activation = None, n_in, n_out
        elif n_out is None:  # Dense(100)
            before, after = None, n_in
        activation = choice("activation", activation, ACTIVATIONS)
        alpha = checked_alpha(activation, alpha)
        if activation == "softmax" and dropout:
            raise ValueError(f"dropout must be 0 for activation 'softmax'; got {dropout!r}")
        parametrization = choice("parametrization", parametrization, ("standard", "ntp"))
        if init is None:
            init = "normal" if parametrization == "ntp" else default_init(activation)
        bias_std = number("bias_std", bias_std, "[0, inf)")
        if bias_std and not bias:
            raise ValueError(f"bias_std must be 0 without a bias; got {bias_std!r}")
        self._set(
            activation=activation,
            n_in=optional_size("n_in", before),
            n_out=integer("n_out", after, 1),
            bias=flag("bias", bias),
            init=choice("init", init, INITIALISERS),
            dropout=number("dropout", dropout, "[0, 1)"),
            alpha=alpha,
            parametrization=parametrization,
            bias_std=bias_std,
        )

    def after(self, shape: Shape, name: str) -> Dense:
        self._check_storage(shape, name)
        if self.n_in is not None:
            return self
        arguments = {**self.described(), "n_in": shape.columns}
        del arguments["kind"]
        return Dense(**arguments)

    @property
    def columns_in(self) -> int | None:
        return self.n_in

    @property
    def shape(self) -> Shape:
        return Shape(self.n_out)

    def sizes(self) -> dict[str, int]:
        return {"n_in": self._n_in, "n_out": self.n_out}

    def numbers(self) -> dict[str, float]:
        return {"bias": float(self.bias), "scale": 1.0 / sqrt(self._n_in) if self.parametrization == "ntp" else 1.0}

    def starts(self) -> dict[str, float | tuple[str, float]]:
        return {"weight": self.initial_scale, "bias": ("normal", self.bias_std) if self.bias_std else 0.0}

    def described(self) -> dict[str, Any]:
        """What a file holds of it; without what it may also have since newer versions, where it has none of that."""
        held = super().described()
        return {name: value for name, value in held.items() if name not in _LATER or value != _LATER[name]}

    def row(self) -> tuple[str, str, str, str]:
        return f"{self.n_in} -> {self.n_out}", self.activation, self.init, f"{self.dropout:g}"

    @property
    def _n_in(self) -> int:
        if self.n_in is None:
            raise ValueError("n_in follows from the layer before: it is known in a network's layers")
        return self.n_in

    @property
    def n_parameters(self) -> int:
        """Weights and biases of this layer."""
        return self._n_in * self.n_out + (self.n_out if self.bias else 0)

    @property
    def initial_scale(self) -> tuple[str, float]:
        """Kind and scale of W's start, as the core takes them."""
        return initial_scale(self.init, self._n_in, self.n_out)
