"""Epochs of compiled steps: the one loop of `Network.fit` and of the estimators with scikit-learn's arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .. import _core
from ..errors import DivergenceError
from . import divergence, rates

if TYPE_CHECKING:
    import numpy as np
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
        As it was given.
    trainer : _core.Trainer
        What makes the steps.
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
        self._dropout_factor = dropout_factor
        self._lrs: NDArray[np.float64] | None = None
        self._decays: list[NDArray[np.float64] | None] | None = None
        self._begun = False
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
        self.context.weights = optimizer._way_to_rest()

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

    def begin(self, seed: int | None, order: NDArray[np.int64] | None = None, *, scheduled: bool = True) -> None:
        """Begin an epoch, whose steps `trainer` then makes. The arguments are those of `run`."""
        optimizer = self.optimizer
        self._begun = False
        self._lrs = rates.of_epoch(optimizer, self.steps) if scheduled else None
        self._decays = rates.decays_of_epoch(optimizer, self.steps) if scheduled else None
        dropouts = rates.of_steps("dropout_factor", self._dropout_factor, optimizer.steps, self.steps)
        if dropouts is not None:
            most = int(dropouts.argmax())
            self._network._core.checked_dropout_factor(dropouts[most], f"dropout_factor({optimizer.steps + most})")
        self.context.weights = optimizer._way_to_rest()
        optimizer._enter_steps()
        self.trainer.start_epoch(seed, self._network.epochs_done, self._lrs, order, self._decays, dropouts)
        self._begun = True

    def write_last(self) -> None:
        """Groups get the rate and the decay of the last step made, or of the one that failed."""
        if not self._begun:
            return
        last = min(max(self.trainer.batches_done, 1), self.steps) - 1
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
        trainer = self.trainer
        interrupted: KeyboardInterrupt | None = None
        while True:
            try:
                if not trainer.run(SLICE):
                    return interrupted
            except KeyboardInterrupt as interrupt:
                if interrupted is not None or not whole:
                    raise
                interrupted = interrupt
            if watch is not None:
                watch(trainer.batches_done, trainer.loss)

    def divergence(self) -> DivergenceError:
        """What is to be said after NotFinite."""
        batch = min(self.trainer.batches_done + 1, self.steps)
        lr = self.optimizer.param_groups[0]["lr"] if self._lrs is None else float(self._lrs[batch - 1])
        return divergence.in_steps(self._network.epochs_done + 1, batch, self.steps, lr, self.trainer.last_loss)
