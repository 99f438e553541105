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
# Two batches after each other whose losses have risen so many times further than a median may have thrown parameters
# to where what is learned later is not worth much.
FAR = 10.0
# Of the way from the start down to the best median, what may be lost again.
SHARE = 0.5
# The standard deviation of a normal distribution in its median absolute deviations.
NORMAL = 1.4826


def _middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Medians along the last axis: of so few numbers np.median takes many times as long."""
    n = values.shape[-1]
    ordered = np.sort(values)
    return (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2


class Spikes:
    """A rule for batch losses: none of the medians of 8 batches may lie above the best one before by more than
    `explosion` times the spread of losses, and half of what was gained since the start. And where a single loss has
    risen that far above those of the start, the epoch is to end with losses below these: else a few steps have thrown
    the parameters to where nothing is learned any more. Nor may two losses after each other rise 10 times as far.

    Attributes
    ----------
    level, spread : float
        The best median, and how losses scatter around theirs. NaN, 0 before there is one.
    limit : float
        What a median may not exceed.
    ago : int
        How many batches ago, at the last look, the first of those began whose median exceeded it.
    """

    def __init__(self, explosion: float | None) -> None:
        self._explosion = explosion
        self._start, self._scatter, self._peak = nan, inf, -inf
        self.level, self.spread = nan, 0.0
        self._left: NDArray[np.float64] = np.empty(0)
        self._last = nan
        self.ago = 0

    def begin(self, losses: NDArray[np.float64], is_fresh: bool = True) -> None:
        """Losses of one state: that before the first step, or one from which training goes on."""
        if len(losses) and np.isfinite(losses).all():
            self._start = self.level = float(_middle(losses))
            self.spread = self._scatter = NORMAL * float(_middle(np.abs(losses - self.level)))
            if not is_fresh or len(losses) < 4:  # of fewer the scatter is not known
                self._scatter = inf
            self._peak, self._left, self._last = -inf, np.empty(0), self.level

    def is_spoiled(self, losses: NDArray[np.float64]) -> bool:
        """Whether losses of one state are so high that those of the next steps can hardly be below the limits."""
        if not len(losses) or not np.isfinite(losses).all():
            return True
        median = float(_middle(losses))
        return self._is_high(median) or self._is_beyond(median + NORMAL * float(_middle(np.abs(losses - median))), True)

    @property
    def is_low(self) -> bool:
        """Whether the last losses are nearer to the best ones than to the limit."""
        return not self._is_high(self._last)

    def _is_high(self, median: float) -> bool:
        return isfinite(self.level) and median > self.level + (self.limit - self.level) / 2

    def _is_beyond(self, median: float, over: bool) -> bool:
        if self._explosion is None:
            return False
        was_thrown = self._peak > self._start + self._explosion * self._scatter
        return median > self.limit or (over and was_thrown and median > self._start - 2 * self._scatter)

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
        far = np.flatnonzero(last > self._start + FAR * self._explosion * self._scatter)
        if isfinite(self._start) and (np.diff(far) == 1).any():
            self.ago = len(last) - int(far[0])
            return float(last[far].max())
        self._peak = max(self._peak, float(losses.max(initial=-inf)))
        whole = len(last) - len(last) % BLOCK
        blocks = last[:whole].reshape(-1, BLOCK)
        medians = _middle(blocks)
        if len(medians):
            spread = NORMAL * float(_middle(np.abs(blocks - medians[:, None]).ravel()))
            if not isfinite(self.level):
                self._start = self.level = float(medians[0])
            for k in np.flatnonzero(~(medians < self.level)):
                if self._is_beyond(float(medians[k]), False):
                    self.ago = len(last) - BLOCK * int(k)
                    return float(medians[k])
            self.level = min(self.level, float(medians.min()))
            self.spread = max(spread, self.spread / 2) if self.spread else spread
        self._left = last[whole:]
        self._last = float(_middle(last[-BLOCK:])) if len(last) else self._last
        self.ago = BLOCK
        if over and len(last) >= BLOCK:
            median = float(_middle(last[-BLOCK:]))
            if self._is_beyond(median, True):
                return median
        return None

    def way_back(self) -> Calls:
        """The calls by which everything becomes as it is now."""
        names = ("_start", "_scatter", "_peak", "level", "spread", "_left", "_last")
        return [(setattr, self, name, getattr(self, name)) for name in names]
