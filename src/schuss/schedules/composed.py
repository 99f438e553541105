"""Schedules made of schedules. Each takes numbers and functions among them too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..arguments import integer, items, number
from .base import LAST_STEP, Product, Schedule, as_schedule
from .elementwise import count, mix
from .piecewise import steps_in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .base import AnySchedule, Told

__all__ = ["PerEpoch", "Product", "Sequence", "WarmUp"]


class Sequence(Schedule):
    """One schedule after the other, each from its own step 0.

    At step t it is ``schedules[k](t - boundaries[k - 1])``, where k boundaries are at or before t.

    Parameters
    ----------
    schedules : sequence of schedules, functions or numbers
        At least one.
    boundaries : sequence of int
        The steps at which the next one begins; >= 1, rising, one fewer than schedules.

    Notes
    -----
    ``torch.optim.lr_scheduler.SequentialLR``; optax's join_schedules.
    """

    schedules: tuple[Schedule, ...]
    boundaries: tuple[int, ...]

    def __init__(self, schedules: Iterable[AnySchedule], boundaries: Iterable[int]) -> None:
        given = items("schedules", schedules, "a list of schedules")
        if not given:
            raise ValueError("schedules must hold at least one; got none")
        steps = steps_in_order("boundaries", boundaries, 1)
        if len(steps) != len(given) - 1:
            raise ValueError(f"boundaries must be one fewer than schedules, {len(given) - 1}; got {len(steps)}")
        self._set(
            schedules=tuple(as_schedule(f"schedules[{k}]", part) for k, part in enumerate(given)), boundaries=steps
        )

    def _part(self, t: float) -> tuple[Schedule, float]:
        """The one in force at step t, and which step of its own that is."""
        k = count(self.boundaries, t)
        return self.schedules[k], t - self.boundaries[k - 1] if k else t

    def _at(self, t: float) -> float:
        part, own = self._part(t)
        return part._at(own)

    def _values(self, first: int, n: int) -> NDArray[np.float64]:
        pieces = []
        for part, start, end in zip(self.schedules, (0, *self.boundaries), (*self.boundaries, first + n), strict=True):
            begin = max(first, start)
            if begin < min(end, first + n):
                pieces.append(part._values(begin - start, min(end, first + n) - begin))
        return np.concatenate(pieces) if pieces else np.empty(0)

    def _told(self, t: float | None) -> Iterator[Told]:
        if t is None:
            for part in self.schedules:
                yield from part._told(None)
        else:
            part, own = self._part(t)
            yield from part._told(own)


class WarmUp(Schedule):
    """Along a straight line up to where another schedule starts, which then follows from its own step 0.

    ``then(0) (start + (1 - start) t / steps)`` at step t < steps, ``then(t - steps)`` from there on.

    Parameters
    ----------
    steps : int
        Length of the warm-up; >= 1.
    then : schedule, function or number
        What follows.
    start : float
        Share of then(0) to start with, >= 0. With 0 the first step changes no parameter.

    Notes
    -----
    In torch, SequentialLR of a LinearLR with start_factor=start and of the other. To damp a schedule that runs on
    meanwhile, multiply it: ``Linear(0, steps, 1) * then``.

    References
    ----------
    P. Goyal et al., Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour (2017), section 2.2.
    """

    steps: int
    then: Schedule
    start: float

    def __init__(self, steps: int, then: AnySchedule, start: float = 0.0) -> None:
        self._set(
            steps=integer("steps", steps, 1, LAST_STEP),
            then=as_schedule("then", then),
            start=number("start", start, "[0, inf)"),
        )

    def _at(self, t: float) -> float:
        if t < self.steps:
            return self.then._at(0.0) * mix(self.start, 1.0, t / self.steps)
        return self.then._at(t - self.steps)

    def _values(self, first: int, n: int) -> NDArray[np.float64]:
        ramp = min(max(self.steps - first, 0), n)
        values = np.empty(n)
        if ramp:
            t = np.arange(first, first + ramp, dtype=np.float64)
            values[:ramp] = self.then._at(0.0) * mix(self.start, 1.0, t / self.steps)
        if ramp < n:
            values[ramp:] = self.then._values(first + ramp - self.steps, n - ramp)
        return values

    def _told(self, t: float | None) -> Iterator[Told]:
        if t is None or t >= self.steps:
            yield from self.then._told(None if t is None else t - self.steps)


class PerEpoch(Schedule):
    """A schedule that counts epochs: ``schedule(floor(t / steps_per_epoch))`` at step t.

    Parameters
    ----------
    steps_per_epoch : int
        >= 1. In `Network.fit`: rows / batch_size, rounded up.
    schedule : schedule, function or number
        Of the epoch's number, from 0.
    """

    steps_per_epoch: int
    schedule: Schedule

    def __init__(self, steps_per_epoch: int, schedule: AnySchedule) -> None:
        self._set(
            steps_per_epoch=integer("steps_per_epoch", steps_per_epoch, 1, LAST_STEP),
            schedule=as_schedule("schedule", schedule),
        )

    def _at(self, t: float) -> float:
        return self.schedule._at(t // self.steps_per_epoch)

    def _values(self, first: int, n: int) -> NDArray[np.float64]:
        if n == 0:
            return np.empty(0)
        length = self.steps_per_epoch
        epoch = first // length
        rates = self.schedule._values(epoch, (first + n - 1) // length - epoch + 1)
        return rates[np.arange(first, first + n) // length - epoch]

    def _told(self, t: float | None) -> Iterator[Told]:
        return self.schedule._told(None if t is None else t // self.steps_per_epoch)
