"""What is minimised: which compiled loss stands for an estimator's, which outputs it needs, and its targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import losses, targets
from ..arrays import converted
from ..losses import Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    #: (prediction, target) -> (mean value, gradient by the prediction); with sample weights as a third argument.
    AnyLoss = Loss | Callable[..., tuple[float, Any]]

#: scikit-learn's names of activations that have another name here.
ACTIVATION_NAMES = {"logistic": "sigmoid"}
OF_CLASSES = {"log_loss": losses.CrossEntropy(), "focal": losses.Focal()}
OF_NUMBERS = {
    "squared_error": losses.MSE(),
    "poisson": losses.Poisson(),
    "absolute_error": losses.MAE(),
    "huber": losses.Huber(),
    "quantile": losses.Quantile(),
    "gamma": losses.Gamma(),
    "tweedie": losses.Tweedie(),
    "gaussian": losses.Gaussian(),
}
_LOG_LINK = (losses.Poisson, losses.Gamma, losses.Tweedie)


@dataclass(frozen=True)
class Objective:
    """One estimator's loss.

    Attributes
    ----------
    loss : tuple or callable
        As the core takes it.
    out_activation : str
        scikit-learn's name of what the output layer ends with.
    n_out : int
        Outputs of the network.
    labels : bool
        Whether targets are labels (rows,), found as the column of y that is set.
    """

    loss: tuple[Any, ...] | Callable[..., tuple[float, Any]]
    out_activation: str
    n_out: int
    labels: bool = False

    def targets(self, y: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        """The targets (rows, columns) as the core takes them."""
        if self.labels:
            labels: NDArray[Any] = y.argmax(axis=1).astype(np.int64, copy=False)
            return labels
        target = converted(y, dtype)
        if target.shape[1] == 1 and self.n_out > 1 and not callable(self.loss) and self.loss[0] == "quantile":
            target = np.repeat(target, self.n_out, axis=1)  # each output is another quantile of the same
        return target


def of_classes(loss: Any, columns: int, exclusive: bool) -> Objective:
    """Classification into so many columns of y, of which one is set if exclusive, else any.

    ValueError where the loss is not for classes.
    """
    chosen = _resolved("loss", loss, OF_CLASSES)
    activation = "softmax" if exclusive else "logistic"
    if not isinstance(chosen, Loss):
        return Objective(_of_function(chosen), activation, columns)
    if isinstance(chosen, losses.Focal):
        name = "focal" if exclusive else "binary_focal"
        return Objective((name, chosen.gamma, "sklearn"), activation, columns, exclusive)
    if not isinstance(chosen, losses.CrossEntropy):
        raise ValueError(f"loss must be one for classes: {', '.join(OF_CLASSES)} or a CrossEntropy; got {loss!r}")
    smoothing = chosen.label_smoothing
    if exclusive:
        return Objective(("cross_entropy", smoothing, "sklearn"), activation, columns, True)
    if smoothing == 0:
        return Objective(("binary_cross_entropy", 0.0, "sklearn"), activation, columns)
    return _Smoothed(("binary_cross_entropy", smoothing, "sklearn"), activation, columns, smoothing=smoothing)


@dataclass(frozen=True)
class _Smoothed(Objective):
    """Targets between 0 and 1."""

    smoothing: float = 0.0

    def targets(self, y: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
        return np.ascontiguousarray((1 - self.smoothing) * y + self.smoothing / 2, dtype=dtype)


def of_numbers(loss: Any, columns: int) -> Objective:
    """Regression of so many columns of y. ValueError where the loss is not for numbers."""
    chosen = _resolved("loss", loss, OF_NUMBERS)
    if not isinstance(chosen, Loss):
        return Objective(_of_function(chosen), "identity", columns)
    if isinstance(chosen, (losses.CrossEntropy, losses.BinaryCrossEntropy, losses.Focal)):
        raise ValueError(f"loss must be one for numbers: {', '.join(OF_NUMBERS)}; got {loss!r}")
    n_out = columns
    if isinstance(chosen, losses.Gaussian):
        n_out = 2 * columns
    elif isinstance(chosen, losses.Quantile) and isinstance(chosen.quantile, tuple):
        n_out = len(chosen.quantile)
        if columns != 1:
            raise ValueError(f"loss with several quantiles needs a y of one column; got {columns}")
    activation = "exp" if isinstance(chosen, _LOG_LINK) else "identity"
    return Objective((*chosen.spec, "sklearn"), activation, n_out)


def check_numbers(loss: Any, y: NDArray[Any], name: str) -> None:
    """ValueError with the first position of a target that the loss has no value for, as a count below 0."""
    chosen = _resolved("loss", loss, OF_NUMBERS)
    if isinstance(chosen, _LOG_LINK):
        dtype = y.dtype if y.dtype in (np.float32, np.float64) else np.float64
        targets.check_range(chosen, np.ascontiguousarray(y, dtype), name)


def _resolved(name: str, given: Any, known: dict[str, Loss]) -> AnyLoss:
    if isinstance(given, str):
        return known[given]
    if isinstance(given, Loss):
        return given
    assert callable(given)  # by the parameter constraints
    return given  # type: ignore[no-any-return]


def _of_function(loss: Callable[..., tuple[float, Any]]) -> Callable[..., tuple[float, Any]]:
    """The function with its results checked."""

    def checked(prediction: Any, target: Any, *weights: Any) -> tuple[float, Any]:
        return losses.evaluated(lambda p, t: loss(p, t, *weights), prediction, target)

    return checked
