"""Losses that explode without being NaN, told from noise by running medians, whatever the losses' sign."""

from __future__ import annotations

from math import inf, isfinite, nan
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._core import Calls

# Batches of which a median is taken.
BLOCK = 8
# Of the way from the start down to the best median, what may be lost again.
SHARE = 0.5
# The standard deviation of a normal distribution in its median absolute deviations.
NORMAL = 1.4826


class Spikes:
    """A rule for batch losses: none of the medians of 8 batches may lie above the best one before by more than
    `explosion` times the spread of losses, and half of what was gained since the start. And where a single loss has
    risen that far above those of the start, the epoch is to end with losses below these: else a few steps have thrown
    the parameters to where nothing is learned any more.

    Attributes
    ----------
    level, spread : float
        The best median, and how losses scatter around theirs. NaN, 0 before there is one.
    limit : float
        What a median may not exceed.
    """

    def __init__(self, explosion: float | None) -> None:
        self._explosion = explosion
        self._start, self._scatter, self._peak = nan, 0.0, -inf
        self.level, self.spread = nan, 0.0
        self._left: NDArray[np.float64] = np.empty(0)

    def begin(self, losses: NDArray[np.float64]) -> None:
        """Losses before the first step."""
        if len(losses) and np.isfinite(losses).all():
            self._start = self.level = float(np.median(losses))
            self.spread = self._scatter = NORMAL * float(np.median(np.abs(losses - self.level)))

    @property
    def limit(self) -> float:
        """See above."""
        if self._explosion is None or not isfinite(self.level):
            return inf
        return self.level + max(self._explosion * self.spread, SHARE * (self._start - self.level))

    def found(self, losses: NDArray[np.float64], over: bool) -> float | None:
        """A median that is above the limit, as of these losses after those before; None if there is none. At the end of
        an epoch the last ones count for a block."""
        if self._explosion is None:
            return None
        last = np.concatenate([self._left, losses])
        self._peak = max(self._peak, float(losses.max(initial=-inf)))
        whole = len(last) - len(last) % BLOCK
        blocks = last[:whole].reshape(-1, BLOCK)
        medians = np.median(blocks, axis=1)
        if len(medians):
            spread = NORMAL * float(np.median(np.abs(blocks - medians[:, None])))
            if not isfinite(self.level):
                self._start = self.level = float(medians[0])
            for median in medians[~(medians < self.level)]:
                if median > self.limit:
                    return float(median)
            self.level = min(self.level, float(medians.min()))
            self.spread = max(spread, self.spread / 2) if self.spread else spread
        self._left = last[whole:]
        if over and len(last) >= BLOCK:
            median = float(np.median(last[-BLOCK:]))
            was_thrown = self._peak > self._start + self._explosion * self._scatter
            if median > self.limit or (was_thrown and median > self._start - 2 * self._scatter):
                return median
        return None

    def way_back(self) -> Calls:
        """The calls by which everything becomes as it is now."""
        names = ("_start", "_scatter", "_peak", "level", "spread", "_left")
        return [(setattr, self, name, getattr(self, name)) for name in names]
