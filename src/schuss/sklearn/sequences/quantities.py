"""From what the network of a regressor gives to what is predicted, and from targets to what it is fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from ...losses import Gaussian, Loss, Quantile
from ...tables.encoding import Standardise
from ...tables.heads import LOG_LINK

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Quantities:
    """What the outputs of a regressor's network mean.

    Attributes
    ----------
    loss : Loss
        As the user has it.
    shape : tuple of int
        Of the targets of one row: (), (outputs,), or more.
    standard : Standardise
        Of these targets, flat: the network works in these units.
    """

    loss: Loss
    shape: tuple[int, ...]
    standard: Standardise

    @classmethod
    def of(cls, loss: Loss, y: NDArray[np.float64], weights: Any, standardize: bool) -> Quantities:
        """For training targets (rows, ...), which the loss has values for."""
        flat = y.reshape(len(y), -1)
        standard = Standardise.fit(flat, weights)
        ones, zeros = np.ones_like(standard.means), np.zeros_like(standard.means)
        means, deviations = standard.means, standard.deviations
        if isinstance(loss, LOG_LINK):
            # The network gives logarithms, so that a unit is a factor.
            means, deviations = zeros, np.where(means > 0, means, 1.0)
        if not standardize:
            means, deviations = zeros, ones
        return cls(loss, y.shape[1:], Standardise(means, deviations, standard.lows, standard.highs))

    @property
    def quantiles(self) -> tuple[float, ...]:
        """Those that have an output each; none, unless there are several."""
        if isinstance(self.loss, Quantile) and isinstance(self.loss.quantile, tuple):
            return self.loss.quantile
        return ()

    @property
    def outputs(self) -> int:
        """Of the network."""
        each = 2 if isinstance(self.loss, Gaussian) else len(self.quantiles) or 1
        return prod(self.shape) * each

    @property
    def network_loss(self) -> Loss:
        """As the network is fitted by it: with several quantiles, they are the same for each target."""
        return Quantile(self.quantiles * prod(self.shape)) if self.quantiles else self.loss

    def targets(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, targets) in the network's units, each as often as it has quantiles."""
        found = self.standard.transform(y.reshape(len(y), -1))
        return np.repeat(found, len(self.quantiles), axis=1) if self.quantiles else found

    def predicted(self, output: NDArray[Any]) -> NDArray[np.float64]:
        """(rows, ...) as y is, with several quantiles one more axis of them at the end."""
        found = output.astype(np.float64)
        rows, means, deviations = len(found), self.standard.means, self.standard.deviations
        if isinstance(self.loss, Gaussian):
            found = found[:, : len(means)]
        if isinstance(self.loss, LOG_LINK):
            with np.errstate(over="ignore"):
                found = np.exp(found)
        if self.quantiles:
            found = found.reshape(rows, -1, len(self.quantiles)) * deviations[:, None] + means[:, None]
            return found.reshape(rows, *self.shape, len(self.quantiles))
        return (found * deviations + means).reshape(rows, *self.shape)

    def spread(self, output: NDArray[Any]) -> NDArray[np.float64]:
        """The standard deviations that a gaussian loss has learned, in the shape of y."""
        count = len(self.standard.means)
        with np.errstate(over="ignore"):
            found = np.exp(output[:, count:].astype(np.float64)) * self.standard.deviations
        return found.reshape(len(output), *self.shape)
