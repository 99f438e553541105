"""Exceptions of the package's own."""

from __future__ import annotations

# What the messages of a DivergenceError advise.
ADVICE = "try a lower lr, clip_norm=1.0, or inputs scaled to about unit size"


class DivergenceError(ArithmeticError):
    """A loss, a gradient or a validation loss was NaN or infinite, and training has stopped.

    Attributes
    ----------
    epoch : int or None
        Number of the epoch, from 1, counted over all fits of the network; None outside `fit`.
    batch : int or None
        Number of the batch in its epoch, from 1; None if the validation loss diverged, and outside `fit`.
    lr : float or None
        Learning rate of that step.
    loss : float or None
        Loss of that step.
    reason : str or None
        What was not finite in `fit`: "loss", "gradient", "parameters" or "validation"; "explosion": the loss rose.
    """

    def __init__(
        self,
        message: str,
        *,
        epoch: int | None = None,
        batch: int | None = None,
        lr: float | None = None,
        loss: float | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.epoch = epoch
        self.batch = batch
        self.lr = lr
        self.loss = loss
        self.reason = reason
