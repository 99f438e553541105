"""The losses by name and as objects. Their formulas are computed in the core; here are their numbers.

Every loss is the weighted mean over the rows of a batch, ``sum_i w_i l_i / sum_i w_i``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .arguments import number, shown, unknown_name
from .arrays import converted, real_array
from .habits import teller

#: A loss of one's own: (prediction, target) -> (value, gradient of the value by the prediction).
LossFunction = Callable[[Any, Any], tuple[float, Any]]


class Loss:
    """What all compiled losses share. They are immutable; equal if kind and number are.

    Attributes
    ----------
    name : str
        The loss's name for `fit` and others.
    spec : (str, float)
        Name and number, as the core takes them.
    """

    __slots__ = ("spec",)
    name: ClassVar[str]
    # Name of the loss's number, or empty if it has none.
    _number: ClassVar[str] = ""
    spec: tuple[str, float | tuple[float, ...]]

    def __init__(self) -> None:
        self._set(0.0)

    def _set(self, value: float | tuple[float, ...]) -> None:
        object.__setattr__(self, "spec", (self.name, value))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; make a new one")

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Loss) and other.spec == self.spec

    def __hash__(self) -> int:
        return hash(self.spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.spec[1:] if self._number else ()

    def __repr__(self) -> str:
        value = self.spec[1]
        text = f"{value:g}" if isinstance(value, float) else repr(value)
        return f"{type(self).__name__}({f'{self._number}={text}' if self._number else ''})"


class MSE(Loss):
    """Mean squared error, ``mean over outputs of (p - t)^2``."""

    __slots__ = ()
    name = "mse"


class MAE(Loss):
    """Mean absolute error, ``mean over outputs of |p - t|``."""

    __slots__ = ()
    name = "mae"


class Huber(Loss):
    """Huber's loss, ``d^2 / 2`` where ``|d| <= delta``, else ``delta (|d| - delta / 2)``, mean over outputs.

    Parameters
    ----------
    delta : float
        Positive; in units of the target.

    References
    ----------
    P. J. Huber, Robust Estimation of a Location Parameter, Ann. Math. Statist. 35 (1964).
    """

    __slots__ = ()
    name = "huber"
    _number = "delta"

    def __init__(self, delta: float = 1.0) -> None:
        self._set(number("delta", delta, "(0, inf)"))

    @property
    def delta(self) -> float:
        """Where the square turns into a line."""
        delta = self.spec[1]
        assert isinstance(delta, float)
        return delta


class CrossEntropy(Loss):
    """Cross-entropy from logits, ``-sum_k q_k log softmax(z)_k`` with ``q = (1 - s) t + s / K``.

    Targets are integer labels (rows,) or rows of probabilities (rows, K). With a softmax output layer the loss takes
    what comes before the softmax.

    Parameters
    ----------
    label_smoothing : float
        s, in [0, 1).

    References
    ----------
    C. Szegedy et al., Rethinking the Inception Architecture for Computer Vision (2016), section 7.
    """

    __slots__ = ()
    name = "cross_entropy"
    _number = "label_smoothing"

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self._set(number("label_smoothing", label_smoothing, "[0, 1)"))

    @property
    def label_smoothing(self) -> float:
        """How much of the target is spread over all classes."""
        smoothing = self.spec[1]
        assert isinstance(smoothing, float)
        return smoothing


class BinaryCrossEntropy(Loss):
    """Cross-entropy of independent yes-or-no outputs, ``max(z, 0) - z t + log(1 + exp(-|z|))``, mean over outputs.

    Targets are in [0, 1]; several outputs are several labels. With a sigmoid output layer the loss takes what comes
    before the sigmoid.
    """

    __slots__ = ()
    name = "binary_cross_entropy"


class Poisson(Loss):
    """Poisson deviance without its constant, ``exp(z) - t z``, mean over outputs.

    The network's output z is the logarithm of the rate; targets are counts or rates >= 0.
    """

    __slots__ = ()
    name = "poisson"


class Quantile(Loss):
    """Pinball loss, ``(q - 1) d`` where ``d = t - p < 0``, else ``q d``, mean over outputs.

    p becomes the q-quantile of t.

    Parameters
    ----------
    quantile : float or sequence of float
        q, in (0, 1). Several: one for each output of the network.

    References
    ----------
    R. Koenker, G. Bassett, Regression Quantiles, Econometrica 46 (1978).
    """

    __slots__ = ()
    name = "quantile"
    _number = "quantile"

    def __init__(self, quantile: float | Iterable[float] = 0.5) -> None:
        if isinstance(quantile, Iterable):
            several = [number(f"quantile[{k}]", q, "(0, 1)") for k, q in enumerate(quantile)]
            if not several:
                raise ValueError("quantile must hold at least one number; got none")
            self._set(tuple(several))
        else:
            self._set(number("quantile", quantile, "(0, 1)"))

    @property
    def quantile(self) -> float | tuple[float, ...]:
        """Of all outputs, or of each."""
        return self.spec[1]


class Gamma(Loss):
    """Deviance of gamma distributions without its constant, ``t exp(-z) + z``, mean over outputs.

    The network's output z is the logarithm of the mean; targets are > 0.
    """

    __slots__ = ()
    name = "gamma"


class Tweedie(Loss):
    """Tweedie deviance without its constant, mean over outputs.

    ``exp((2 - p) z) / (2 - p) - t exp((1 - p) z) / (1 - p)``. The network's output z is the logarithm of the mean;
    targets are >= 0, and > 0 where p >= 2.

    Parameters
    ----------
    power : float
        p > 1, but not 2, which is `Gamma` (and 1 is `Poisson`): the variance goes with the p-th power of the mean.
        Between 1 and 2: sums of a Poisson number of gamma variables, as claims are.

    References
    ----------
    B. Jørgensen, Exponential Dispersion Models, J. R. Statist. Soc. B 49 (1987).
    """

    __slots__ = ()
    name = "tweedie"
    _number = "power"

    def __init__(self, power: float = 1.5) -> None:
        power = number("power", power, "(1, inf)")
        if power == 2:
            raise ValueError("power must not be 2, which is Gamma(); got 2")
        self._set(power)

    @property
    def power(self) -> float:
        """How the variance goes with the mean."""
        power = self.spec[1]
        assert isinstance(power, float)
        return power


class Gaussian(Loss):
    """Negative log-likelihood of normal distributions, ``((t - m) / exp(s))^2 / 2 + s``, mean over targets.

    The network has two outputs for each target: first all means m, then the logarithms s of their scales.

    References
    ----------
    D. A. Nix, A. S. Weigend, Estimating the Mean and Variance of the Target Probability Distribution (1994).
    """

    __slots__ = ()
    name = "gaussian"


class Focal(Loss):
    """Focal loss of labels from logits, ``-(1 - p)^gamma log p`` with p the softmax of the label.

    With a softmax output layer the loss takes what comes before the softmax.

    Parameters
    ----------
    gamma : float
        > 0: how much less rows count that are right already.

    References
    ----------
    T.-Y. Lin et al., Focal Loss for Dense Object Detection (2017).
    """

    __slots__ = ()
    name = "focal"
    _number = "gamma"

    def __init__(self, gamma: float = 2.0) -> None:
        self._set(number("gamma", gamma, "(0, inf)"))

    @property
    def gamma(self) -> float:
        """How much less rows count that are right already."""
        gamma = self.spec[1]
        assert isinstance(gamma, float)
        return gamma


class BinaryFocal(Focal):
    """`Focal` of independent yes-or-no outputs, mean over outputs. Targets are 0 or 1.

    With a sigmoid output layer the loss takes what comes before the sigmoid.
    """

    __slots__ = ()
    name = "binary_focal"


BY_NAME: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        MSE(),
        MAE(),
        Huber(),
        CrossEntropy(),
        BinaryCrossEntropy(),
        Poisson(),
        Quantile(),
        Gamma(),
        Tweedie(),
        Gaussian(),
        Focal(),
        BinaryFocal(),
    )
}


def resolve(loss: Loss | LossFunction | str) -> Loss | LossFunction:
    """The loss for a name, a loss object or a function of one's own."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        found = BY_NAME.get(loss)
        if found is None:
            raise unknown_name("loss", loss, BY_NAME)
        return found
    if isinstance(loss, type):
        raise TypeError(f"loss must be an object such as {loss.__name__}(); got the class")
    if callable(loss):
        return loss
    raise TypeError(
        f"loss must be a name, a loss object or a function (prediction, target) -> (value, gradient); "
        f"got {shown(loss)} ({type(loss).__name__})"
    )


def evaluated(loss: LossFunction, prediction: Any, target: Any) -> tuple[float, Any]:
    """Value and gradient of a loss of one's own, checked, the gradient as the core takes it."""
    result = loss(prediction, target)
    if not isinstance(result, tuple) or len(result) != 2:
        raise TypeError(
            f"the loss function must return a tuple (value, gradient); got {shown(result)} ({type(result).__name__})"
        )
    value = np.asarray(result[0])
    if value.ndim != 0 or value.dtype.kind not in "biuf":
        raise TypeError(f"the loss function's value must be a number; got {shown(result[0])}")
    gradient = converted(real_array("the loss function's gradient", result[1]), prediction.dtype)
    if gradient.shape != prediction.shape:
        raise ValueError(
            f"the loss function's gradient must have the prediction's shape {prediction.shape}; got {gradient.shape}"
        )
    return float(value), gradient


if not TYPE_CHECKING:
    __getattr__ = teller(__name__)
