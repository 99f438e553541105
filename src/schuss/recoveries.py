"""What a fit did about divergence, as its history has it."""

from __future__ import annotations

from typing import NamedTuple

# Why a fit goes back.
REASONS = ("loss", "gradient", "parameters", "validation", "explosion", "search", "plateau")


class Recovery(NamedTuple):
    """One time that a fit went back to its last good state.

    Attributes
    ----------
    epoch : int
        The epoch that was spoiled, from 1, counted over all fits.
    batch : int or None
        The batch in it, from 1; None if validation told.
    loss : float
        What it was there.
    lr_before, lr_after : float
        The first group's rate there, and what it has become.
    reason : str
        "loss", "gradient", "parameters" or "validation": what was not finite; "explosion": the loss rose; "search":
        nothing was wrong, another rate was tried after a divergence. "plateau": the fit did not go back; after a
        search an epoch's loss did not fall any more.
    """

    epoch: int
    batch: int | None
    loss: float
    lr_before: float
    lr_after: float
    reason: str
