"""From what a table's network gives to what is predicted, and from targets to what it is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import unknown_name
from ..losses import (
    BY_NAME,
    CrossEntropy,
    Focal,
    Gamma,
    Gaussian,
    Loss,
    Poisson,
    Quantile,
    Tweedie,
)
from ..targets import check_range
from .encoding import Standardise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Losses whose network gives the logarithm of what is predicted.
LOG_LINK = (Poisson, Gamma, Tweedie)
OF_CLASSES = {"cross_entropy": CrossEntropy(), "log_loss": CrossEntropy(), "focal": Focal()}
OF_NUMBERS = {
    **{name: BY_NAME[name] for name in ("mse", "mae", "huber", "quantile", "poisson", "gamma", "tweedie", "gaussian")},
    "squared_error": BY_NAME["mse"],
    "absolute_error": BY_NAME["mae"],
}


def resolved(loss: Any, classes: bool) -> Loss | None:
    """The loss for a name or an object; None stays None, for the recipe's own. ValueError, TypeError: not for this."""
    known = OF_CLASSES if classes else OF_NUMBERS
    if loss is None:
        return None
    if isinstance(loss, str):
        if loss not in known:
            raise unknown_name("loss", loss, known)
        return known[loss]
    kinds = tuple({type(of_name) for of_name in known.values()})
    if not isinstance(loss, Loss):
        raise TypeError(f"loss must be a name, a loss object or None; got {loss!r} ({type(loss).__name__})")
    if type(loss) not in kinds:
        what = "classes" if classes else "numbers"
        raise ValueError(f"loss must be one for {what}: {', '.join(known)}, or an object of these; got {loss!r}")
    return loss


@dataclass(frozen=True)
class Head:
    """What a network's outputs mean.

    Attributes
    ----------
    loss : Loss
        That the network is fitted by.
    classes : int
        How many there are; 0: a quantity is predicted.
    standard : Standardise or None
        Of a quantity: the network works in these units.
    activation : str
        What the network's outputs have gone through: none ("identity"); "softmax" or "exp", where the mean of members
        of an ensemble within the network is one of probabilities or of amounts.
    """

    loss: Loss
    classes: int = 0
    standard: Standardise | None = None
    activation: str = "identity"

    @classmethod
    def of_numbers(cls, loss: Loss, y: NDArray[np.float64], weights: NDArray[np.float64] | None) -> Head:
        """For training targets (rows,) of a quantity.

        Raises
        ------
        ValueError
            If the loss has no value for one of them.
        """
        check_range(loss, y, "y")
        column = y.reshape(-1, 1)
        standard = Standardise.fit(column, weights)
        if isinstance(loss, LOG_LINK):
            mean = standard.means if standard.means[0] > 0 else np.ones(1)
            standard = Standardise(np.zeros(1), mean, standard.lows, standard.highs)
        return cls(loss, 0, standard)

    @property
    def outputs(self) -> int:
        """How many the loss needs."""
        if self.classes:
            return self.classes
        if isinstance(self.loss, Gaussian):
            return 2
        return len(self.quantiles) or 1

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Those that have an output each; none, unless there are several."""
        if isinstance(self.loss, Quantile) and isinstance(self.loss.quantile, tuple):
            return self.loss.quantile
        return ()

    @property
    def limited(self) -> bool:
        """Whether outputs are quantities in standard units, which may be kept within those of training."""
        return self.classes == 0 and not isinstance(self.loss, (*LOG_LINK, Gaussian))

    @property
    def log_link(self) -> bool:
        """Whether the network gives the logarithm of what is predicted."""
        return isinstance(self.loss, LOG_LINK)

    # -- targets -----------------------------------------------------------------------------------------------------

    def targets(self, y: NDArray[Any]) -> NDArray[Any]:
        """What the loss takes: labels (rows,), or float64 (rows, targets)."""
        if self.standard is None:
            return y
        standard = self.standard.transform(y.reshape(-1, 1))
        return np.repeat(standard, len(self.quantiles), axis=1) if self.quantiles else standard

    # -- predictions -------------------------------------------------------------------------------------------------

    def probabilities(self, outputs: Sequence[NDArray[Any]], temperature: float) -> NDArray[np.float64]:
        """(rows, classes): the mean over all networks of the softmax of their logits by the temperature."""
        total = np.zeros((len(outputs[0]), self.classes))
        for output in outputs:
            logits = output.astype(np.float64)
            if self.activation == "softmax":
                logits = np.log(np.maximum(logits, np.finfo(np.float64).tiny))
            total += softmax(logits / temperature)
        return total / len(outputs)

    def quantities(self, outputs: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """(rows,), or with several quantiles (rows, quantiles), in the target's own units."""
        assert self.standard is not None
        parts = [output.astype(np.float64) for output in outputs]
        if isinstance(self.loss, Gaussian):
            parts = [part[:, :1] for part in parts]
        if self.log_link and self.activation != "exp":
            with np.errstate(over="ignore"):
                parts = [np.exp(part) for part in parts]
        mean = sum(parts[1:], parts[0]) / len(parts)
        found: NDArray[np.float64] = mean * self.standard.deviations + self.standard.means
        return found if self.quantiles else found[:, 0]

    def deviations(self, outputs: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
        """(rows,) of the normal distributions of a gaussian loss: that of their mixture, where there are several."""
        assert self.standard is not None
        parts = [output.astype(np.float64) for output in outputs]
        with np.errstate(over="ignore"):
            variance = sum((np.exp(2 * part[:, 1]) for part in parts), np.zeros(len(parts[0]))) / len(parts)
        means = np.stack([part[:, 0] for part in parts])
        return np.sqrt(variance + means.var(axis=0)) * self.standard.deviations[0]  # type: ignore[no-any-return]


def softmax(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = e / e.sum(axis=1, keepdims=True)
    return shares
