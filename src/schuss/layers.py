"""The description of a dense layer."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import sqrt

from ._core import ACTIVATIONS
from .arguments import choice, flag, integer, number

# alpha's default and interval, for the activations that have one.
ALPHA = {"leaky_relu": (0.01, "[0, inf)"), "elu": (1.0, "(0, inf)")}
# Activations that keep about half of a symmetric input start from He's scale, selu from the one that its constants
# are made for, the others from Glorot's.
_HE = ("relu", "leaky_relu", "elu", "gelu", "silu", "mish", "hard_swish", "softplus")
_INIT = {**dict.fromkeys(_HE, "he_uniform"), "selu": "lecun_normal"}
INITIALISERS = (
    "zeros",
    "orthogonal",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
)


@dataclass(frozen=True)
class Dense:
    """``Y = dropout(act(X W + b))`` with W of shape (n_in, n_out) and b of shape (n_out,).

    Parameters
    ----------
    n_in, n_out : int
        At least 1.
    activation : str
        identity, relu, leaky_relu, elu, selu, sigmoid, tanh, gelu (the exact erf form), silu, mish, hard_swish,
        softplus, exp, or, in the last layer only, softmax.
    bias : bool
        Whether there is a b. It starts at zero.
    init : str, optional
        How W starts: zeros, orthogonal, or {glorot,he,lecun}_{uniform,normal}. Default: he_uniform for relu,
        leaky_relu, elu, gelu, silu, mish, hard_swish and softplus, lecun_normal for selu, glorot_uniform for the
        others.
    dropout : float
        Probability in [0, 1) that an output is dropped in training; the others are divided by 1 - dropout. Not for
        softmax.
    alpha : float, optional
        Slope of leaky_relu below zero, at least 0 (default 0.01), or scale of elu, above 0 (default 1). For no other
        activation.

    Raises
    ------
    ValueError, TypeError
        If a name is not known or a number out of range.

    References
    ----------
    X. Glorot, Y. Bengio (2010); K. He et al. (2015); Y. LeCun et al., Efficient BackProp (1998); A. M. Saxe, J. L.
    McClelland, S. Ganguli (2014), for the initialisers. N. Srivastava et al., Dropout, JMLR 15 (2014). G. Klambauer et
    al., Self-Normalizing Neural Networks (2017), for selu, its constants and its start. D. Misra, Mish (2019).
    A. Howard et al., Searching for MobileNetV3 (2019), for hard_swish.
    """

    n_in: int
    n_out: int
    activation: str = "identity"
    bias: bool = field(default=True, kw_only=True)
    init: str | None = field(default=None, kw_only=True)
    dropout: float = field(default=0.0, kw_only=True)
    alpha: float | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        activation = choice("activation", self.activation, ACTIVATIONS)
        if activation in ALPHA:
            default, interval = ALPHA[activation]
            alpha = default if self.alpha is None else number("alpha", self.alpha, interval)
        elif self.alpha is not None:
            raise ValueError(f"alpha must be None for activation {activation!r}; got {self.alpha!r}")
        else:
            alpha = None
        if activation == "softmax" and self.dropout:
            raise ValueError(f"dropout must be 0 for activation 'softmax'; got {self.dropout!r}")
        init = _INIT.get(activation, "glorot_uniform") if self.init is None else self.init
        checked = {
            "n_in": integer("n_in", self.n_in, 1),
            "n_out": integer("n_out", self.n_out, 1),
            "bias": flag("bias", self.bias),
            "init": choice("init", init, INITIALISERS),
            "dropout": number("dropout", self.dropout, "[0, 1)"),
            "alpha": alpha,
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @property
    def n_parameters(self) -> int:
        """Weights and biases of this layer."""
        return self.n_in * self.n_out + (self.n_out if self.bias else 0)

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of W and, if there is one, b."""
        return [(self.n_in, self.n_out), (self.n_out,)] if self.bias else [(self.n_in, self.n_out)]

    @property
    def initial_scale(self) -> tuple[str, float]:
        """Kind and scale of W's start, as the core takes them."""
        family, _, kind = str(self.init).partition("_")
        if not kind:
            return family, 1.0
        variance = {"glorot": 2.0 / (self.n_in + self.n_out), "he": 2.0 / self.n_in, "lecun": 1.0 / self.n_in}[family]
        # A uniform variable in [-a, a) has variance a^2 / 3.
        return kind, sqrt(3.0 * variance if kind == "uniform" else variance)
