"""The losses by name and as objects. Their formulas are computed in the core; here are their numbers.

Every loss is the weighted mean over the rows of a batch, ``sum_i w_i l_i / sum_i w_i``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from . import _core
from .arguments import number, shown, unknown_name
from .arrays import converted, real_array

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
    spec: tuple[str, float]

    def __init__(self) -> None:
        self._set(0.0)

    def _set(self, value: float) -> None:
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
        return f"{type(self).__name__}({f'{self._number}={self.spec[1]:g}' if self._number else ''})"


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
        return self.spec[1]


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
        return self.spec[1]


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


BY_NAME: dict[str, Loss] = {
    loss.name: loss for loss in (MSE(), MAE(), Huber(), CrossEntropy(), BinaryCrossEntropy(), Poisson())
}

_core.learn_losses(Loss, {name: loss.spec for name, loss in BY_NAME.items()})


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
