"""What a search for a learning rate has found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True, repr=False, eq=False)
class RateSweep:
    """What `find_lr` has found.

    Attributes
    ----------
    suggestion : float
        The rate to use.
    valley : float
        Two thirds along the longest fall of the curve, in the rate's logarithm.
    steepest : float
        Where the curve falls most, by the rate's logarithm.
    safe : float
        For those who would rather crawl than diverge: half of the suggestion, or a tenth of `diverges` (where nothing
        diverges, of the rate of the lowest loss), whichever is less.
    diverges : float or None
        The first rate at which the loss was NaN, infinite or far above its start; None if it never was.
    start : float
        The loss before any step.
    rates : array of float64
        Those of the sweeps, rising.
    losses : list of arrays
        The loss of each batch of each sweep, as it was before the batch's step. One that has ended early is shorter.
    curve : array of float64
        Their smoothed median for each rate; infinite where training has diverged.
    trial_rates, trial_losses : arrays of float64
        Rates that were tried in short trainings, rising, and the mean loss of those; NaN where one diverged.
    steps : int
        Training steps that were made in all.
    notes : tuple of str
        What is to be known about how sure this is.
    """

    suggestion: float
    valley: float
    steepest: float
    safe: float
    diverges: float | None
    start: float
    rates: Floats
    losses: list[Floats]
    curve: Floats
    trial_rates: Floats
    trial_losses: Floats
    steps: int
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        beyond = "nowhere" if self.diverges is None else f"{self.diverges:.3g}"
        low, high = self.rates[0], self.rates[-1]
        sweeps = f"{len(self.losses)} sweep{'s' if len(self.losses) > 1 else ''}"
        tried = f"{len(self.trial_rates)} rates tried"
        lines = [
            f"RateSweep: use lr={self.suggestion:.3g}",
            f"  safe {self.safe:.3g}   valley {self.valley:.3g}   steepest {self.steepest:.3g}   diverges {beyond}",
            f"  {sweeps} of {len(self.rates)} rates from {low:.3g} to {high:.3g}, {tried}; {self.steps} steps in all",
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw all of it with matplotlib: sweeps, their median, what was tried, and the suggestions.

        Parameters
        ----------
        path : str or path, optional
            Where to save the figure: .png, .pdf, .svg.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from ..plots.rate_sweep import draw_rate_sweep

        return draw_rate_sweep(self, path)
