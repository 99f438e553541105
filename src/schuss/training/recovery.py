"""Divergence that is survived: back to the last good state, on with half the rate, and a search for one that serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, inf, isfinite
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from .. import _core
from ..arguments import choice, number
from ..errors import DivergenceError
from ..recoveries import Recovery
from . import divergence, rates
from .spikes import Spikes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._core import Calls
    from ..history import History
    from ..optim import Optimizer
    from ..trained import Trained
    from .early_stopping import Best
    from .epochs import Epochs

ON_DIVERGENCE = ("raise", "recover")
# How often a fit goes back after a divergence.
MOST = 30
# What one divergence multiplies all rates by.
FACTOR = 0.5
# Copies are this many batches apart at least: what spoils parameters shows in the losses of the batches that follow.
BATCHES = 16
# How many batches a trial of a rate takes at least, in whole epochs, and which share of the fit's epochs.
TRIAL, SHARE = 64, 0.5
# How many rates below the first that does not diverge a search tries at most, and how many of them in a row may be
# worse than the best.
LOWER, WORSE = 12, 2
# How often the rate is halved after a search because the loss has not fallen for some epochs, and for how many.
SLOWER, PATIENCE = 10, 3
# A probe of how losses are scattered makes steps of this rate, which are undone.
NO_RATE = 1e-15


def checked(on_divergence: Any, explosion: Any, restores: bool) -> tuple[bool, float | None]:
    """Whether to recover, and how far losses may rise."""
    recovers = choice("on_divergence", on_divergence, ON_DIVERGENCE) == "recover"
    if recovers and not restores:
        raise ValueError("restore_on_divergence must be True with on_divergence='recover', which goes back to copies")
    return recovers, None if explosion is None else number("explosion", explosion, "(0, inf)")


class Recovering(Protocol):
    """A fit that goes back: what it is of, and the calls that take so many epochs away from its histories."""

    steps: Epochs
    network: Trained
    history: History
    last_epoch: int

    @property
    def optimizer(self) -> Optimizer: ...
    def undoing(self, epochs: int) -> Calls: ...


class _Good(NamedTuple):
    """What is not in the core's copies of the start of an epoch."""

    back: list[tuple[Any, ...]]
    level: float
    spread: float


class Recoveries:
    """How a fit goes on after divergence.

    Parameters
    ----------
    fit : Recovering
    best : Best or None
        Its early stopping.
    dropout_factor
        Its schedule, if it is one.
    recovers : bool
        Whether it goes back; otherwise an explosion ends it.
    restores : bool
        Whether there are copies to go back to.
    explosion : float or None
        How far losses may rise, in their spreads.
    """

    def __init__(
        self,
        fit: Recovering,
        best: Best | None,
        dropout_factor: object,
        recovers: bool,
        restores: bool,
        explosion: float | None,
    ) -> None:
        self._fit, self._best, self._dropout_factor, self._recovers = fit, best, dropout_factor, recovers
        self._spikes = Spikes(explosion)
        self._watches = explosion is not None
        self._good: dict[int, _Good] = {}
        self._since = BATCHES  # batches since the copies were made
        self._seen = 0  # batches of this epoch that have been looked at
        self._failures = 0
        self._seed: int | None = None
        self._first = fit.network.epochs_done
        # Without copies the steps of a probe could not be undone.
        self._probed = not (restores and self._watches)
        self._ends = -1  # the epoch with which a trial is over; below 0: none is under way
        self._losses: list[NDArray[np.float64]] = []  # of a trial
        self._tried: list[tuple[float, float]] = []  # what came of each, and its factor
        self._factor = 1.0  # against the rates before the search
        self._settling = False
        self._least = inf  # loss of an epoch since the search
        self._slower = self._waited = 0

    # -- what a fit calls --------------------------------------------------------------------------------------------

    def begin(self, seed: int | None) -> None:
        """Before the steps of an epoch."""
        steps, network = self._fit.steps, self._fit.network
        self._seen, self._seed = 0, seed
        if not self._recovers:
            if not self._probed:
                self._probe(seed)
            return
        trainer, epoch = steps.trainer, network.epochs_done
        anew = self._ends < 0 and self._since >= BATCHES and self._spikes.is_low
        if anew:
            trainer.set_aside()
            self._since = 0
        trainer.keep(anew)
        if not self._probed:
            self._probe(seed)
            trainer.keep(anew)
        if anew:
            self._good = {k: good for k, good in self._good.items() if k in (trainer.epoch_kept, trainer.epoch_aside)}
            self._good[epoch] = _Good(self._way_back(), self._spikes.level, self._spikes.spread)

    def look(self, over: bool = False) -> None:
        """At the losses of batches since the last look; at the end of an epoch at all that are left.

        Raises
        ------
        DivergenceError
            If they have exploded.
        """
        if not self._watches:
            return
        steps = self._fit.steps
        new = steps.trainer.losses_from(self._seen)
        self._seen += len(new)
        found = self._spikes.found(new, over)
        if found is not None:
            batch, epoch = steps.trainer.batches_done, self._fit.network.epochs_done + 1
            lr = steps.rate_at(batch)
            raise divergence.of_explosion(epoch, batch, steps.steps, lr, found, self._spikes.limit)

    def survives(self, error: DivergenceError) -> bool:
        """Whether the fit goes on after this: if so, everything is as before, and rates are halved."""
        trainer = self._fit.steps.trainer
        if not self._recovers or trainer.epoch_kept is None or self._failures >= MOST:
            return False
        reason = error.reason or "loss"
        after = trainer.batches_done - (self._spikes.ago if reason == "explosion" else 0)
        is_early = self._ends < 0 and self._since + after < BATCHES
        if is_early and trainer.epoch_aside in self._good:
            trainer.take_aside()
        elif trainer.batches_done == 0 and trainer.epoch_kept == self._fit.network.epochs_done:
            return False  # no step has been made from there: no rate is to blame
        if self._settling:
            self._settling = False
            self._tried = []
        self._failures += 1
        self._factor *= FACTOR
        lr = self._fit.optimizer.param_groups[0]["lr"] if error.lr is None else error.lr
        loss = float("nan") if error.loss is None else error.loss
        self._go_back(FACTOR, error.epoch, error.batch, loss, lr, reason)
        if self._watches and self._ends < 0:
            self._check_good()
        self._begin_trial()
        return True

    def epoch_is_over(self, stopped: str | None) -> str | None:
        """After all that belongs to an epoch, why it is the last one; None if another follows, as where a trial is over
        and the fit has gone back once more.
        """
        steps, network = self._fit.steps, self._fit.network
        self._since += steps.steps
        if not self._recovers:
            return stopped
        if self._ends < 0:
            if self._failures and stopped is None:
                self._slow_down(steps.loss)
            return stopped
        self._losses.append(steps.batch_losses)
        if stopped == "callback" or (stopped is None and network.epochs_done < self._ends):
            return stopped
        if self._settling or not self._goes_back():
            self._ends, self._settling, self._tried = -1, False, []
            self._since, self._least = max(self._since, BATCHES), steps.loss
            return stopped
        return None

    # -- the search --------------------------------------------------------------------------------------------------

    def _begin_trial(self) -> None:
        self._losses = []
        steps, planned = self._fit.steps.steps, self._fit.last_epoch - self._first
        self._ends = self._fit.network.epochs_done + max(-(-TRIAL // steps), ceil(SHARE * planned))

    def _goes_back(self) -> bool:
        """A trial is over. Whether another rate is to be tried, or tried again; if so, the fit has gone back."""
        trainer = self._fit.steps.trainer
        losses = np.concatenate(self._losses)
        value = float(np.mean(losses[len(losses) // 2 :]))
        self._tried.append((value, self._factor))
        good = self._good.get(-1 if trainer.epoch_kept is None else trainer.epoch_kept)
        level, spread = (float(losses[0]), 0.0) if good is None or not isfinite(good.level) else good[1:]
        best = min(range(len(self._tried)), key=lambda k: self._tried[k][0])
        worse = len(self._tried) - 1 - best
        # At the start of training a network whose units are dead loses a little, too.
        is_well = self._tried[best][0] < level + (-spread if trainer.epoch_kept == self._first else spread)
        if len(self._tried) <= LOWER and not (is_well and worse >= WORSE):
            self._back_from_trial(FACTOR, value)
            self._factor *= FACTOR
            return True
        if worse == 0:
            return False
        factor = self._tried[best][1] / self._factor
        self._back_from_trial(factor, value)
        self._factor *= factor
        self._settling = True
        return True

    def _back_from_trial(self, factor: float, value: float) -> None:
        epoch, lr = self._fit.network.epochs_done, self._fit.optimizer.param_groups[0]["lr"]
        self._go_back(factor, epoch, self._fit.steps.steps, value, lr, "search")
        self._begin_trial()

    def _slow_down(self, loss: float) -> None:
        """After a search: a rate found in few steps may be too large for many. It is halved, where it does not help."""
        if loss < self._least or self._slower >= SLOWER:
            self._least = min(loss, self._least)
            self._waited = 0
            return
        self._waited += 1
        if self._waited < PATIENCE:
            return
        self._waited = 0
        fit = self._fit
        self._slower += 1
        lr = fit.optimizer.param_groups[0]["lr"]
        note = Recovery(fit.network.epochs_done, fit.steps.steps, loss, lr, lr * FACTOR, "plateau")
        calls = _multiplying(fit.optimizer.param_groups, FACTOR)
        calls += [(history.recoveries.append, note) for history in (fit.history, fit.network.history)]
        _core.in_turn(calls)

    # -- going back --------------------------------------------------------------------------------------------------

    def _probe(self, seed: int | None) -> None:
        """How losses are scattered before the first step."""
        self._probed = True
        self._spikes.begin(self._fit.steps.losses_at_rest(seed, BATCHES, NO_RATE))

    def _check_good(self) -> None:
        """Where the state that the fit has gone back to was spoiled already, the one before is taken. Those to come are
        measured by its losses.
        """
        steps, trainer = self._fit.steps, self._fit.steps.trainer
        trainer.keep(False)
        losses = steps.losses_at_rest(self._seed, BATCHES, NO_RATE)
        kept, aside = trainer.epoch_kept, trainer.epoch_aside
        if self._spikes.is_spoiled(losses) and aside in self._good and kept is not None and aside < kept:
            trainer.take_aside()
            self._return(aside)
            losses = steps.losses_at_rest(self._seed, BATCHES, NO_RATE)
        kept = trainer.epoch_kept
        if kept is not None and kept != self._first:
            self._spikes.begin(losses, is_fresh=False)
            self._good[kept] = _Good(self._way_back(), self._spikes.level, self._spikes.spread)

    def _return(self, to: int, more: Sequence[tuple[Any, ...]] = ()) -> None:
        """Make everything as it was at the start of this epoch, the one that the core's copies are of."""
        fit, network = self._fit, self._fit.network
        calls: Calls = [(fit.steps.trainer.restore,), (setattr, network, "epochs_done", to)]
        calls += fit.undoing(network.epochs_done - to)
        if to in self._good:
            calls += self._good[to].back
        _core.in_turn([*calls, *more, (setattr, self, "_since", 0)])

    def _way_back(self) -> Calls:
        """The calls by which all that is no array of the core becomes as it is now."""
        calls: Calls = self._spikes.way_back()
        if self._best is not None:
            calls += self._best.way_back()
        schedules = [self._fit.optimizer.param_groups[0]["schedule"], self._dropout_factor]
        schedules += [group.get("decay_schedule") for group in self._fit.optimizer.param_groups]
        for part in rates.told(schedules):
            if hasattr(part, "state_dict"):
                calls.append((part.load_state_dict, part.state_dict()))  # type: ignore[attr-defined]
        return calls

    def _go_back(
        self, factor: float, epoch: int | None, batch: int | None, loss: float, lr: float, reason: str
    ) -> None:
        fit = self._fit
        to = fit.steps.trainer.epoch_kept
        if to is None:
            raise RuntimeError("nothing has been copied")
        note = Recovery(epoch or to + 1, batch, loss, lr, lr * factor, reason)
        calls = _multiplying(fit.optimizer.param_groups, factor)
        calls += [(history.recoveries.append, note) for history in (fit.history, fit.network.history)]
        self._return(to, calls)


def _multiplying(groups: list[dict[str, Any]], factor: float) -> Calls:
    """The calls that multiply the rates of groups, and all that their schedule says."""
    schedule = groups[0]["schedule"]
    slower = None if schedule is None else multiplied(schedule, factor)
    return [
        (group.update, {"lr": group["lr"] * factor, "schedule": None if group["schedule"] is None else slower})
        for group in groups
    ]


def multiplied(schedule: Callable[[int], float], factor: float) -> Any:
    """A schedule with all its values multiplied; one that has been before holds one factor all the same."""
    from ..schedules import Constant, Product

    if isinstance(schedule, Product) and len(schedule.factors) > 1 and isinstance(schedule.factors[-1], Constant):
        return Product(*schedule.factors[:-1], Constant(schedule.factors[-1].lr * factor))
    return Product(schedule, Constant(factor))
