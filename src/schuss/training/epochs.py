"""Epochs of compiled steps: the one loop of `Network.fit` and of the estimators with scikit-learn's arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..errors import DivergenceError
from . import divergence, rates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..optim import Optimizer
    from ..trained import Trained

# Seconds in the core between two looks at signals and at who watches.
SLICE = 0.05


class Epochs:
    """Epochs of an optimizer's steps over the same rows.

    Parameters
    ----------
    network, optimizer
        What is trained. Nothing about them changes before the first epoch.
    loss, data, batch_size, clip_value, clip_norm, restores, penalty, counts_rows, drop_last, carries, augment
        As `_core.Trainer` takes them, data being x, y and weights.
    dropout_factor : float or callable, optional
        What probabilities of dropout are multiplied by, at each of the optimizer's steps.
    last : list
        What is to be done when epochs end, as `_core.in_turn` takes it.

    Attributes
    ----------
    context : context manager
        For the epochs to be in. At its end the parameters are what is to be evaluated and used, as they are after each
        epoch too. If it ends by a DivergenceError, and with restores, everything is as at the start of the last epoch
        that was well. It is compiled, so nothing interrupts its end.
    optimizer : Optimizer
        Which makes the steps at present.
    trainer : _core.Trainer
        What makes them.
    steps : int
        Of an epoch.
    """

    def __init__(
        self,
        network: Trained,
        optimizer: Optimizer,
        loss: Any,
        data: tuple[Any, NDArray[Any], NDArray[np.float64] | None],
        batch_size: int,
        *,
        clip_value: float,
        clip_norm: float,
        restores: bool = False,
        penalty: tuple[int, float, float] | None = None,
        counts_rows: bool = False,
        drop_last: bool = False,
        carries: bool = False,
        augment: tuple[Any, ...] | None = None,
        dropout_factor: float | Callable[[int], float] | None = None,
        last: Sequence[tuple[Any, ...]] = (),
    ) -> None:
        self._network, self.optimizer = network, optimizer
        self._precision = optimizer._precision
        self._dropout_factor = dropout_factor
        self._lrs: NDArray[np.float64] | None = None
        self._decays: list[NDArray[np.float64] | None] | None = None
        self._begun = False
        self._first = 0
        self.trainer = _core.Trainer(
            network._core,
            optimizer._stepper,
            optimizer.param_groups,
            loss,
            *data,
            batch_size,
            clip_value,
            clip_norm,
            restores,
            penalty,
            counts_rows,
            drop_last,
            carries,
            augment,
        )
        self.steps = self.trainer.steps_per_epoch
        self.context = _core.Ending(self.trainer, network, DivergenceError if restores else None, last)
        self.trainer.way_to_rest = optimizer._way_to_rest()

    @property
    def steps_made(self) -> int:
        """By all optimizers that train this network in turn."""
        return self.optimizer.steps

    @property
    def loss(self) -> float:
        """The mean loss of the last epoch."""
        return self.trainer.loss

    @property
    def last_loss(self) -> float:
        """The loss of its last batch."""
        return self.trainer.last_loss

    @property
    def batch_losses(self) -> NDArray[np.float64]:
        """The loss of each batch of the last epoch, as it was before the batch's step."""
        return self.trainer.batch_losses

    def shorten(self, steps: int) -> None:
        """From now on an epoch is its first so many steps, or all of them where it has no more."""
        self.trainer.shorten(steps)
        self.steps = self.trainer.steps_per_epoch

    def run(
        self,
        seed: int | None,
        order: NDArray[np.int64] | None = None,
        *,
        scheduled: bool = True,
        whole: bool = False,
        watch: Callable[[int, float], None] | None = None,
    ) -> KeyboardInterrupt | None:
        """Make the steps of the epoch after the network's `epochs_done`.

        Parameters
        ----------
        seed : int or None
            What the order of the rows follows from, with the epoch's number. None: as they are, or in this order.
        scheduled : bool
            Whether the optimizer's schedules say the rates and decays. Groups then have those of the last step made.
        whole : bool
            Whether a first KeyboardInterrupt waits for the epoch's end, and is returned.
        watch : callable, optional
            Called some times a second with the number of batches done and the mean loss so far.

        Raises
        ------
        NotFinite
            If a loss or a gradient was not finite; `divergence` has the numbers.
        """
        self.begin(seed, order, scheduled=scheduled)
        try:
            interrupt = self._all_steps(whole, watch)
        finally:
            self.write_last()
        self.end()
        return interrupt

    def begin(
        self,
        seed: int | None,
        order: NDArray[np.int64] | None = None,
        *,
        scheduled: bool = True,
        rate: float | None = None,
    ) -> None:
        """Begin an epoch, whose steps `trainer` then makes. The arguments are those of `run`; rate: for all steps."""
        self._begin_part(seed, order, scheduled, 0, self.steps, rate=rate)

    def next_part(self) -> bool:
        """Whether the epoch goes on with another optimizer where the trainer has ended. That part has begun then."""
        return False

    def _begin_part(
        self,
        seed: int | None,
        order: NDArray[np.int64] | None,
        scheduled: bool,
        first: int,
        end: int,
        after: _core.Trainer | None = None,
        rate: float | None = None,
    ) -> None:
        """Begin with the epoch's batches from `first` to before `end`; `after` has made those before."""
        optimizer, n = self.optimizer, end - first
        self._begun, self._first = False, first
        self._lrs = rates.of_epoch(optimizer, n) if scheduled else None
        if rate is not None:
            self._lrs = np.full(n, rate)
        self._decays = rates.decays_of_epoch(optimizer, n) if scheduled else None
        made = 0 if self._dropout_factor is None else self.steps_made
        dropouts = rates.of_steps("dropout_factor", self._dropout_factor, made, n)
        if dropouts is not None:
            most = int(dropouts.argmax())
            self._network._core.checked_dropout_factor(dropouts[most], f"dropout_factor({made + most})")
        if n != self.steps:  # they are of the whole epoch
            self._lrs, dropouts = self._placed(self._lrs), self._placed(dropouts)
            self._decays = None if self._decays is None else [self._placed(values) for values in self._decays]
        if optimizer._precision != self._precision:  # its states are others than those that the trainer knows
            raise RuntimeError("set_precision was called within this fit")
        self.trainer.way_to_rest = optimizer._way_to_rest()
        optimizer._enter_steps()
        self.trainer.start_epoch(seed, self._network.epochs_done, self._lrs, order, self._decays, dropouts, end, after)
        self._begun = True

    def _placed(self, values: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
        """Numbers of a part's steps, at their places among those of all steps of the epoch."""
        if values is None:
            return None
        placed = np.zeros(self.steps)
        placed[self._first : self._first + len(values)] = values
        return placed

    def rate_at(self, batch: int) -> float:
        """That of the first group at a batch of the epoch, from 1."""
        return float(self.optimizer.param_groups[0]["lr"] if self._lrs is None else self._lrs[max(batch, 1) - 1])

    def losses_at_rest(self, seed: int | None, batches: int, rate: float) -> NDArray[np.float64]:
        """The losses of the first batches of the epoch to come, by steps of this rate, which are undone again."""
        trainer = self.trainer
        self.begin(seed, rate=rate)
        try:
            while trainer.batches_done < batches and trainer.run(0.0):
                pass
        except _core.NotFinite:  # the epoch itself is to say it
            pass
        finally:
            self._begun = False
            trainer.restore()
        return trainer.batch_losses[:batches]

    def write_last(self) -> None:
        """Groups get the rate and the decay of the last step made, or of the one that failed."""
        if not self._begun:
            return
        last = min(max(self.trainer.batches_done, self._first + 1), self.steps) - 1
        groups = self.optimizer.param_groups
        if self._lrs is not None:
            for group in groups:
                group["lr"] = float(self._lrs[last])
        for group, values in zip(groups, self._decays or (), strict=False):
            if values is not None:
                group["weight_decay"] = float(values[last])

    def end(self) -> None:
        """All steps of the epoch are made."""
        self.optimizer._leave_steps()

    def _all_steps(self, whole: bool, watch: Callable[[int, float], None] | None) -> KeyboardInterrupt | None:
        interrupted: KeyboardInterrupt | None = None
        while True:
            try:
                if not self.trainer.run(SLICE) and not self.next_part():
                    return interrupted
            except KeyboardInterrupt as interrupt:
                if interrupted is not None or not whole:
                    raise
                interrupted = interrupt
            if watch is not None:
                watch(self.trainer.batches_done, self.trainer.loss)

    def divergence(self) -> DivergenceError:
        """What is to be said after NotFinite."""
        batch = min(self.trainer.batches_done + 1, self.steps)
        lr, loss = self.rate_at(batch), self.trainer.last_loss
        return divergence.in_steps(self._network.epochs_done + 1, batch, self.steps, lr, loss)
