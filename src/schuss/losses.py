"""The losses by name and as objects. Their formulas are computed in the core; here are their numbers.

Every loss is the weighted mean over the rows of a batch, ``sum_i w_i l_i / sum_i w_i``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from .arguments import number, shown, unknown_name
from .arrays import converted, real_array

#: A loss of one's own: (prediction, target) -> (value, gradient of the value by the prediction).
LossFunction = Callable[[Any, Any], tuple[float, Any]]


class Loss:
    """What all compiled losses share: a name, and what the core takes."""

    __slots__ = ()
    name: ClassVar[str]

    @property
    def spec(self) -> tuple[str, float]:
        """Name and number, as the core takes them."""
        return self.name, 0.0


@dataclass(frozen=True)
class MSE(Loss):
    """Mean squared error, ``mean over outputs of (p - t)^2``."""

    name: ClassVar[str] = "mse"


@dataclass(frozen=True)
class MAE(Loss):
    """Mean absolute error, ``mean over outputs of |p - t|``."""

    name: ClassVar[str] = "mae"


@dataclass(frozen=True)
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

    delta: float = 1.0
    name: ClassVar[str] = "huber"

    def __post_init__(self) -> None:
        object.__setattr__(self, "delta", number("delta", self.delta, "(0, inf)"))

    @property
    def spec(self) -> tuple[str, float]:
        return self.name, self.delta


@dataclass(frozen=True)
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

    label_smoothing: float = 0.0
    name: ClassVar[str] = "cross_entropy"

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_smoothing", number("label_smoothing", self.label_smoothing, "[0, 1)"))

    @property
    def spec(self) -> tuple[str, float]:
        return self.name, self.label_smoothing


@dataclass(frozen=True)
class BinaryCrossEntropy(Loss):
    """Cross-entropy of independent yes-or-no outputs, ``max(z, 0) - z t + log(1 + exp(-|z|))``, mean over outputs.

    Targets are in [0, 1]; several outputs are several labels. With a sigmoid output layer the loss takes what comes
    before the sigmoid.
    """

    name: ClassVar[str] = "binary_cross_entropy"


@dataclass(frozen=True)
class Poisson(Loss):
    """Poisson deviance without its constant, ``exp(z) - t z``, mean over outputs.

    The network's output z is the logarithm of the rate; targets are counts or rates >= 0.
    """

    name: ClassVar[str] = "poisson"


BY_NAME: dict[str, Loss] = {
    loss.name: loss for loss in (MSE(), MAE(), Huber(), CrossEntropy(), BinaryCrossEntropy(), Poisson())
}


def resolve(loss: Loss | LossFunction | str) -> Loss | LossFunction:
    """The loss for a name, a loss object or a function of one's own."""
    if isinstance(loss, Loss):
        return loss
    if isinstance(loss, str):
        if loss not in BY_NAME:
            raise unknown_name("loss", loss, BY_NAME)
        return BY_NAME[loss]
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
        raise TypeError(f"the loss function must return (value, gradient); got {shown(result)}")
    gradient = converted(real_array("the loss function's gradient", result[1]), prediction.dtype)
    if gradient.shape != prediction.shape:
        raise ValueError(
            f"the loss function's gradient must have the prediction's shape {prediction.shape}; got {gradient.shape}"
        )
    return float(result[0]), gradient
