"""The search for a rate: sweeps say where to look, short trainings at a few rates there say which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .result import RateSweep
from .suggestions import (
    CAUTION,
    Start,
    centre,
    even,
    last_low,
    left_at,
    median_curve,
    progress,
    reached,
    smoothed,
    steepest,
    valley,
    weights,
)

if TYPE_CHECKING:
    from .suggestions import Floats

    #: The losses of a training for each ladder of rates and number of a draw; the last argument may end one early.
    Make = Callable[[Sequence[Floats], Sequence[int], Callable[[Floats], bool] | None], list[Floats]]

# Where nobody says what is to be swept.
LOWEST, HIGHEST = 1e-6, 10.0
# So much further down, and so often, where the first rates are too large already.
DEEPER, TIMES = 1e-4, 3
# A sweep's first rates are too large where it diverges within this share of them.
EARLY = 0.25
# Rates tried lie apart by a factor of 2, or of 4 where there is little to spend.
FINE, COARSE = 1, 2
ENOUGH = 400
# Steps of a trial, and the draws of batches that each rate is tried on.
SHORT, LONG = 20, 24
DRAWS = 6
# No further ones are needed after so many whose mean is known to so many octaves.
FEW_DRAWS, SURE = 3, 0.15
# Rates tried, at most.
MOST_RATES = 24
# A rate at the edge of those tried is the last one where it weighs less than this.
EDGE = 0.05
# Draws of trials are none of the sweeps'.
TRIALS = 1000


@dataclass(frozen=True)
class Plan:
    """What is swept, and what it may cost.

    Attributes
    ----------
    low, high : float or None
        The first and the last rate; None: wherever it has to be looked.
    steps : int
        In all, about.
    sweeps : int
    """

    low: float | None
    high: float | None
    steps: int
    sweeps: int

    @property
    def rungs(self) -> int:
        """Rates of a sweep."""
        return int(np.clip(0.2 * self.steps / self.sweeps, 14, 48))


def search(make: Make, plan: Plan, tries: bool) -> RateSweep:
    """Sweep, and where trainings may begin anew as often as one likes (tries), try rates."""
    low, high = plan.low or min(LOWEST, (plan.high or HIGHEST) / 10), plan.high or HIGHEST
    made = 0
    for again in range(TIMES + 1):
        rates = np.geomspace(low, high, plan.rungs)
        losses = make([rates] * plan.sweeps, range(plan.sweeps), _ends)
        start = Start.of(losses)
        losses = [_cut(one) for one in losses]
        made += sum(map(len, losses))
        curve = smoothed(median_curve(losses, len(rates)))
        end = left_at(curve, start)
        if end is None or end >= EARLY * len(rates) or plan.low is not None or not tries or again == TIMES:
            break
        low, high = low * DEEPER, float(rates[max(end, 1)])
    notes = []
    known = even(curve if end is None else curve[:end])
    if end is not None:
        curve[end:] = np.inf
    if not len(known):
        notes.append(f"training diverges at {rates[0]:.3g} already: look further down, at smaller lr_min")
        known = np.array([0.0])
    diverges = None if end is None else float(rates[end])
    within = rates[: len(known)]
    lowest = float(within[last_low(known, start)])
    found = {
        "valley": valley(within, known),
        "steepest": steepest(within, known),
    }
    tried = Trials(make, plan, start.loss)
    suggestion = found["valley"] if not tries else tried.best(lowest, plan.steps - made)
    if tries and suggestion is None:
        notes.append("no rate has lowered the loss in a few steps: this is a tenth of where the curve is lowest")
        suggestion = lowest / CAUTION
    if tries and tried.open:
        notes.append("the best rates lie at the edge of what was tried")
    assert suggestion is not None
    return RateSweep(
        suggestion=suggestion,
        **found,
        safe=min(suggestion / 2.0, (lowest if diverges is None else diverges) / CAUTION),
        diverges=diverges,
        start=start.loss,
        rates=rates,
        losses=losses,
        curve=curve,
        trial_rates=np.array(tried.rates),
        trial_losses=np.array(tried.losses),
        steps=made + tried.made,
        notes=tuple(notes),
    )


def _end(losses: Floats) -> int | None:
    """Where a sweep has diverged. It depends on no loss beyond the next one: so it is the same whenever one looks."""
    return left_at(smoothed(np.where(np.isnan(losses), np.inf, losses))[:-1], Start.of([losses]))


def _ends(losses: Floats) -> bool:
    """Whether a sweep may end here."""
    return _end(losses) is not None


def _cut(losses: Floats) -> Floats:
    """A sweep up to where it has diverged, however much further it has gone."""
    end = _end(losses)
    return losses if end is None else losses[: end + 2]


class Trials:
    """Short trainings at rates that are powers of 2, or of 4: so seeds that look elsewhere first try the same rates.

    Attributes
    ----------
    rates, losses : list of float
        Those tried, rising, and where trainings at them have come to.
    made : int
        Steps.
    open : bool
        Whether rates beyond those tried may be better.
    """

    def __init__(self, make: Make, plan: Plan, start: float) -> None:
        self._make, self._plan, self._start = make, plan, start
        # What trials are measured from, for each draw.
        self._starts: list[float] = []
        self._apart, self._steps = (FINE, LONG) if plan.steps >= ENOUGH else (COARSE, SHORT)
        # Where trials of each power came to, one a draw.
        self._reached: dict[int, list[float]] = {}
        self.made, self.open = 0, False

    @property
    def rates(self) -> list[float]:
        return [2.0 ** (self._apart * k) for k in sorted(self._reached)]

    @property
    def losses(self) -> list[float]:
        return [float(np.mean(self._reached[k])) for k in sorted(self._reached)]

    def best(self, lowest: float, steps: int) -> float | None:
        """The rate that is best by what is tried around the lowest point of the sweeps, at about so many steps.

        None if none is better than no training.
        """
        middle = round(np.log2(lowest) / self._apart)
        first = range(middle - 2, middle + 1) if self._apart == FINE else range(middle - 1, middle + 1)
        wanted = [k for k in first if self._allowed(k)] or [middle]
        draws = 0
        # First as many rates as it takes until the best lie within, then those that count on other batches too.
        while wanted or draws < DRAWS:
            if not wanted:
                if self._is_sure():
                    break
                wanted = self._counting()
                draws += 1
            affordable = (steps - self.made) // self._steps
            if not wanted or (draws and affordable < len(wanted)):
                break
            new = wanted[: max(affordable, 2)] if not draws else wanted
            self._try(new, [draws] if new[0] in self._reached else range(draws + 1))
            wanted = self._beyond()
            if not draws and affordable <= len(new):
                break
        self.open = bool(self._beyond())
        powers, gains = self._gains()
        if not gains.max() > 0:
            return None
        return self._limited(centre(2.0 ** (self._apart * powers), gains))

    def _try(self, powers: Sequence[int], draws: Sequence[int]) -> None:
        """Trials of these rates on the batches of these draws."""
        for draw in draws:
            if draw == len(self._starts):
                self._starts.append(self._start_of(draw))
        pairs = [(power, draw) for power in powers for draw in draws]
        ladders = [np.full(self._steps, 2.0 ** (self._apart * power)) for power, _ in pairs]
        found = self._make(ladders, [TRIALS + draw for _, draw in pairs], None)
        self.made += sum(map(len, found))
        for (power, _), losses in zip(pairs, found, strict=True):
            self._reached.setdefault(power, []).append(reached(losses, self._steps))

    def _start_of(self, draw: int) -> float:
        """The loss of a draw's batches without training, where there are steps enough to find out."""
        if self._apart != FINE:
            return self._start
        losses = self._make([np.zeros(self._steps)], [TRIALS + draw], None)[0]
        self.made += len(losses)
        found = reached(losses, self._steps)
        return found if np.isfinite(found) else self._start

    def _gains(self) -> tuple[Floats, Floats]:
        """The powers tried, rising, and their progress."""
        powers = sorted(self._reached)
        return np.array(powers, np.float64), np.array([progress(self._starts, self._reached[k]) for k in powers])

    def _is_sure(self) -> bool:
        """Whether what each draw says alone differs so little that further ones would not move the answer much."""
        draws = len(self._starts)
        if draws < FEW_DRAWS:
            return False
        powers = [k for k in sorted(self._reached) if len(self._reached[k]) == draws]
        said = []
        for draw, start in enumerate(self._starts):
            gains = np.array([progress([start], [self._reached[k][draw]]) for k in powers])
            if not gains.max() > 0:
                return False
            said.append(np.log2(centre(2.0 ** (self._apart * np.array(powers, np.float64)), gains)))
        return bool(np.std(said, ddof=1) < SURE * np.sqrt(draws))

    def _counting(self) -> list[int]:
        """Those that weigh anything."""
        powers, gains = self._gains()
        return [int(k) for k in powers[weights(gains) > EDGE]]

    def _beyond(self) -> list[int]:
        """Rates next to those tried that may be better still, the more promising one first."""
        powers, gains = self._gains()
        low, high = int(powers[0]) - 1, int(powers[-1]) + 1
        if not gains.max() > 0:
            # Nothing was learned: all of them were too large.
            return [low] if self._allowed(low) and len(powers) < MOST_RATES else []
        weighs = weights(gains)
        sides = sorted([(-weighs[0], low), (-weighs[-1], high)])
        return [k for weight, k in sides if -weight > EDGE and self._allowed(k) and len(powers) < MOST_RATES]

    def _allowed(self, power: int) -> bool:
        rate = 2.0 ** (self._apart * power)
        return (self._plan.low or 0.0) <= rate <= (self._plan.high or np.inf)

    def _limited(self, rate: float) -> float:
        return float(np.clip(rate, self._plan.low or 0.0, self._plan.high or np.inf))
