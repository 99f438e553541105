"""Whether training has diverged, and what is said then."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ADVICE, DivergenceError

if TYPE_CHECKING:
    from ..trained import Trained


def has_finite_parameters(network: Trained) -> bool:
    """Whether all parameters are finite."""
    # The sum is quick. It may overflow, and counts what lies between arrays, where divergence may have left NaN.
    with np.errstate(over="ignore", invalid="ignore"):
        total = network._core.flat_parameters.sum()
    return isfinite(total) or all(np.isfinite(array).all() for array in network.parameters)


def in_steps(epoch: int, batch: int, batches: int, lr: float, loss: float) -> DivergenceError:
    """A step's loss, or where that is finite a gradient, was not finite."""
    what = "a gradient was not finite" if isfinite(loss) else f"the loss was {loss}"
    return DivergenceError(
        f"training diverged: {what} in epoch {epoch}, batch {batch} of {batches}, with lr={lr:g}; {ADVICE}",
        epoch=epoch,
        batch=batch,
        lr=lr,
        loss=loss,
        reason="gradient" if isfinite(loss) else "loss",
    )


def of_parameters(epoch: int, batches: int, lr: float, loss: float) -> DivergenceError:
    """The last step of an epoch, after this loss, made parameters that are not finite."""
    return DivergenceError(
        f"training diverged: parameters were not finite at the end of epoch {epoch}; {ADVICE}",
        epoch=epoch,
        batch=batches,
        lr=lr,
        loss=loss,
        reason="parameters",
    )


def of_explosion(epoch: int, batch: int, batches: int, lr: float, loss: float, limit: float) -> DivergenceError:
    """Losses have risen beyond a limit."""
    return DivergenceError(
        f"training diverged: the median loss of the last batches rose to {loss:g}, beyond {limit:g}, in epoch {epoch}, "
        f"batch {batch} of {batches}, with lr={lr:g}; {ADVICE}",
        epoch=epoch,
        batch=batch,
        lr=lr,
        loss=loss,
        reason="explosion",
    )


def in_validation(epoch: int, lr: float, loss: float) -> DivergenceError:
    """The validation loss was not finite."""
    return DivergenceError(
        f"training diverged: the validation loss was {loss} after epoch {epoch}, with lr={lr:g}; {ADVICE}",
        epoch=epoch,
        lr=lr,
        loss=loss,
        reason="validation",
    )
