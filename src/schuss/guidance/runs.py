"""Short trainings at rates that are given step by step, each from the same start, on copies of a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..schedules.base import Schedule
from ..training.epochs import SLICE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..trained import Trained
    from ..training.epochs import Epochs

    Rates = NDArray[np.float64]
    Losses = NDArray[np.float64]
    #: What losses so far say: whether the run may end before its last rate.
    Ends = Callable[[Losses], bool]
    Copy = tuple[Trained, Epochs]

# Shuffles of runs have numbers that no epoch of a training has.
FIRST_EPOCH = 2**40
# As many for each draw.
EPOCHS = 2**24


class Ladder(Schedule):
    """A rate for each step, and after them the last one."""

    _rates: Rates
    _first: int

    def __init__(self, rates: Rates, first: int) -> None:
        self._set(_rates=rates, _first=first)

    def _at(self, t: float) -> float:
        return float(self._values(int(t), 1)[0])

    def _values(self, first: int, n: int) -> NDArray[np.float64]:
        steps = np.arange(first - self._first, first - self._first + n)
        found: Rates = self._rates[np.clip(steps, 0, len(self._rates) - 1)]
        return found


class Runs:
    """Makes runs from one start.

    Parameters
    ----------
    copied : callable
        A copy of the network and the steps of an epoch over its rows, which nobody else has.
    seed : int or None
        What the order of the rows follows from, together with the number of the draw. None: as they are.
    together : bool
        Whether they may run side by side: not with losses that are functions of Python's.
    """

    def __init__(self, copied: Callable[[], tuple[Trained, Epochs]], seed: int | None, together: bool = True) -> None:
        self._copied, self._seed, self._together = copied, seed, together
        # What everything begins from, and copies that have made their runs.
        self._start: Copy | None = None
        self._free: list[Copy] = []

    def __call__(self, ladders: Sequence[Rates], draws: Sequence[int], ends: Ends | None = None) -> list[Losses]:
        """The losses of a run for each ladder of rates, on the batches of its draw, as they were before each step.

        One that diverges ends with NaN. One that `ends` may be over before its last rate.
        """
        pairs = list(zip(ladders, draws, strict=True))
        # No more at once than threads are kept busy by: each has a copy of the network.
        size = 2 * _core.get_num_threads()
        parts = (pairs[i : i + size] for i in range(0, len(pairs), size))
        return [losses for part in parts for losses in self._made(part, ends)]

    def _made(self, pairs: Sequence[tuple[Rates, int]], ends: Ends | None) -> list[Losses]:
        """Some of them, side by side."""
        runs = [_Run(*self._begun(), ladder, self._seed, draw) for ladder, draw in pairs]
        waiting = [run for run in runs if run.begin()]
        while waiting:
            trainers = [run.steps.trainer for run in waiting]
            if self._together and len(trainers) > 1:
                found = _core.run_side_by_side(trainers, SLICE)
            else:
                found = [_alone(trainer) for trainer in trainers]
            waiting = [run for run, result in zip(waiting, found, strict=True) if run.goes_on(result, ends)]
            threads = _core.get_num_threads()
            waiting = waiting[threads:] + waiting[:threads]
        self._free += [(run.network, run.steps) for run in runs if run.is_whole]
        return [run.losses for run in runs]

    def _begun(self) -> Copy:
        """A copy as at the start: a new one, or one that has been used and is brought back, which is far quicker."""
        if self._start is None:
            self._start = self._copied()
        if not self._free:
            return self._copied()
        (network, steps), (first, of_first) = self._free.pop(), self._start
        network._core.flat_parameters[...] = first._core.flat_parameters
        network._core.draws = first._core.draws
        steps.optimizer._stepper.copy_from(of_first.optimizer._stepper)
        return network, steps


class _Run:
    """One of them."""

    def __init__(self, network: Trained, steps: Epochs, rates: Rates, seed: int | None, draw: int) -> None:
        self.network, self.steps = network, steps
        self._left, self._seed = len(rates), seed
        self._done: list[Losses] = []
        self.is_whole = False  # whether it has ended with its last rate
        network.epochs_done = FIRST_EPOCH + EPOCHS * draw
        steps.optimizer._set_lr(Ladder(rates, steps.optimizer.steps))

    @property
    def losses(self) -> Losses:
        return np.concatenate(self._done) if self._done else np.empty(0)

    def begin(self) -> bool:
        """Begin its next epoch; False if there is none."""
        if self._left <= 0:
            return False
        self.steps.shorten(self._left)
        self.steps.begin(self._seed)
        return True

    def goes_on(self, found: object, ends: Ends | None) -> bool:
        """Take note of what its trainer came to: True, False or an exception. Whether there is more to do."""
        now = self.steps.trainer.batch_losses
        if found is True:
            if ends is None or not ends(np.concatenate([*self._done, now])):
                return True
            self._done.append(now)
            return False
        if isinstance(found, _core.NotFinite):
            now[-1] = np.nan
            self._done.append(now)
            return False
        if isinstance(found, BaseException):
            raise found
        self._done.append(now)
        self.steps.end()
        self.network.epochs_done += 1
        self._left -= len(now)
        self.is_whole = self._left <= 0
        if ends is not None and ends(self.losses):
            return False
        return self.begin()


def _alone(trainer: _core.Trainer) -> Any:
    try:
        return trainer.run(SLICE)
    except _core.NotFinite as error:
        return error
