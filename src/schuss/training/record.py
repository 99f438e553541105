"""What callbacks get."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..optim import Optimizer
    from ..trained import Trained


@dataclass(frozen=True)
class EpochRecord:
    """What a callback gets after each epoch.

    Attributes
    ----------
    epoch, epochs : int
        Number of the epoch and of the last one planned, from 1, counted over all fits.
    logs : dict of float
        What was recorded for it, such as "loss" and "val_loss".
    network, optimizer
        Those being fitted; ``optimizer.param_groups[0]["lr"]`` may be changed.
    seconds : float
        What the epoch took.
    batch_losses : array of float64
        The loss of each of its batches, as it was before the batch's step.
    """

    epoch: int
    epochs: int
    logs: dict[str, float]
    network: Trained = field(repr=False)
    optimizer: Optimizer = field(repr=False)
    seconds: float
    batch_losses: NDArray[np.float64] = field(repr=False)
