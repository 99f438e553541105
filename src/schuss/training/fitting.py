"""`fit`: everything checked first, then epochs until something ends them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from math import isfinite
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, inputs, losses
from .._core import NotFinite
from ..arguments import clipping, flag, integer, items, shown
from ..errors import DivergenceError
from ..history import History
from ..losses import Loss
from ..optim import Averaged
from ..progress import Progress
from . import divergence, optimizers, rates
from .early_stopping import Best, EarlyStopping
from .epochs import Epochs
from .record import EpochRecord
from .split import split

if TYPE_CHECKING:
    from .._core import Calls
    from ..metrics import Measure
    from ..optim import Optimizer
    from ..trained import Trained
    from .split import Data


def fit(
    network: Trained,
    X: Any,
    y: Any,
    *,
    loss: str | Loss | losses.LossFunction,
    optimizer: Optimizer | Averaged | str | None,
    lr: float | Callable[[int], float] | None,
    epochs: int,
    batch_size: int | None,
    drop_last: bool,
    shuffle: bool,
    validation_data: Sequence[Any] | None,
    validation_fraction: float,
    sample_weight: Any,
    class_weight: Any,
    metrics: Any,
    early_stopping: bool | int | EarlyStopping | None,
    callbacks: Iterable[Callable[[EpochRecord], Any]],
    verbose: int,
    clip_norm: float | None,
    clip_value: float | None,
    dropout_factor: float | Callable[[int], float] | None,
    restore_on_divergence: bool,
) -> History:
    """`Network.fit`, which documents it. Everything is checked before anything changes."""
    chosen = losses.resolve(loss)
    measures = network._measures(metrics, chosen)
    epochs = integer("epochs", epochs, 1)
    batch_size = None if batch_size is None else integer("batch_size", batch_size, 1)
    drop_last, shuffle = flag("drop_last", drop_last), flag("shuffle", shuffle)
    restores = flag("restore_on_divergence", restore_on_divergence)
    verbose = integer("verbose", int(verbose) if isinstance(verbose, bool) else verbose, 0, 2)
    clip_value, clip_norm = clipping(clip_value, clip_norm)
    asked = _checked_callbacks(callbacks)
    training, validation = split(
        network, X, y, chosen, validation_data, validation_fraction, sample_weight, class_weight
    )
    evaluation = _Evaluation(network, chosen, measures, training, validation)
    best = Best.of(early_stopping, evaluation.recorded, network._core.flat_parameters)
    given = optimizer
    optimizer, new_lr = optimizers.resolve(network, optimizer, lr)
    if dropout_factor is not None:
        first = dropout_factor(optimizer.steps) if callable(dropout_factor) else dropout_factor
        network._core.checked_dropout_factor(first)
    of_rates = optimizer.param_groups[0]["schedule"] if new_lr is None else new_lr
    for part in rates.told([of_rates, dropout_factor, *_decay_schedules(optimizer)]):
        part.monitored(evaluation.recorded)
    rows = inputs.rows(training[0])
    steps = Epochs(
        network,
        optimizer,
        chosen.spec if isinstance(chosen, Loss) else partial(losses.evaluated, chosen),
        training,
        rows if batch_size is None else min(batch_size, rows),
        clip_value=clip_value,
        clip_norm=clip_norm,
        restores=restores,
        drop_last=drop_last,
        dropout_factor=dropout_factor,
        last=() if best is None else best.restoring,
    )
    # From here on things change.
    if new_lr is not None:
        optimizer._set_lr(new_lr)
    wrapper = given if isinstance(given, Averaged) else network._wrapper
    network.optimizer, network._wrapper = optimizer, wrapper
    return _Fit(network, optimizer, steps, evaluation, best, asked, shuffle, epochs, verbose, dropout_factor).run()


def _decay_schedules(optimizer: Optimizer) -> list[object]:
    return [group.get("decay_schedule") for group in optimizer.param_groups]


def _checked_callbacks(callbacks: Any) -> list[Callable[[EpochRecord], Any]]:
    found = items("callbacks", callbacks, "functions of an EpochRecord")
    for k, callback in enumerate(found):
        if not callable(callback):
            raise TypeError(f"callbacks[{k}] must be callable; got {shown(callback)}")
    return found


class _Evaluation:
    """What is measured after each epoch's steps.

    Attributes
    ----------
    recorded : list of str
        Names of all that is recorded of an epoch, its loss first.
    """

    def __init__(
        self,
        network: Trained,
        loss: Loss | losses.LossFunction,
        measures: Mapping[str, Measure],
        training: Data,
        validation: Data | None,
    ) -> None:
        self._network, self._loss, self._measures = network, loss, measures
        self._training, self._validation = training, validation
        self.recorded = ["loss", *measures]
        if validation is not None:
            self.recorded += [f"val_{name}" for name in self.recorded]

    def __call__(self, loss: float) -> dict[str, float]:
        """All that is recorded of an epoch in whose steps the mean loss was this."""
        found = {"loss": loss}
        if self._measures:
            found.update(self._network._evaluate(self._training, self._loss, self._measures, with_loss=False))
        if self._validation is not None:
            values = self._network._evaluate(self._validation, self._loss, self._measures)
            found.update((f"val_{name}", value) for name, value in values.items())
        return found


class _Fit:
    """A fit whose arguments are checked: epochs, until something ends them."""

    def __init__(
        self,
        network: Trained,
        optimizer: Optimizer,
        steps: Epochs,
        evaluation: _Evaluation,
        best: Best | None,
        callbacks: Sequence[Callable[[EpochRecord], Any]],
        shuffle: bool,
        epochs: int,
        verbose: int,
        dropout_factor: object,
    ) -> None:
        self._network, self._optimizer, self._steps = network, optimizer, steps
        self._dropout_factor = dropout_factor
        self._evaluation, self._best, self._callbacks = evaluation, best, callbacks
        self._seed = network.seed if shuffle else None
        self._last_epoch = network.epochs_done + epochs
        self._epochs_left = epochs  # counted here too: callbacks may write network.epochs_done
        self._progress = Progress(verbose, self._last_epoch, steps.steps)
        self._history = History()
        self._history._monitor = network.history._monitor = None if best is None else best.monitor

    def run(self) -> History:
        """All epochs. However they end, the network is one to be used, and the histories say why."""
        stopped: str | None = None
        try:
            with self._steps.context:
                while stopped is None:
                    stopped = self._epoch()
        except DivergenceError:
            stopped = "diverged"
            raise
        except KeyboardInterrupt:
            stopped = "interrupted"
            raise
        finally:
            self._history.stopped = self._network.history.stopped = stopped or "failed"
            self._progress.close()
        return self._history

    def _epoch(self) -> str | None:
        """An epoch from its first step to its callbacks; why it is the last one, if it is."""
        network, optimizer = self._network, self._optimizer
        start = perf_counter()
        self._make_steps()
        logs = self._evaluation(self._steps.loss)
        if not isfinite(logs.get("val_loss", 0.0)):
            rate = optimizer.param_groups[0]["lr"]
            raise divergence.in_validation(network.epochs_done + 1, rate, logs["val_loss"])
        epoch, seconds, best = network.epochs_done + 1, perf_counter() - start, self._best
        rate = optimizer.param_groups[0]["lr"]
        # All that says that the epoch is over, whatever signals come.
        calls: Calls = [(setattr, network, "epochs_done", epoch)]
        for history in (self._history, network.history):
            calls += history._appending(epoch, seconds, rate, logs)
        _core.in_turn(calls if best is None else calls + best.looking(logs))
        # What was in force at the last step is told.
        schedules = [optimizer.param_groups[0]["schedule"], self._dropout_factor, *_decay_schedules(optimizer)]
        for part in rates.told(schedules, optimizer.steps - 1):
            part.report(logs[part.monitored(self._evaluation.recorded)])
        self._progress.epoch(network.epochs_done, seconds, logs)
        if self._callbacks and self._is_asked_to_stop(seconds, logs):
            return "callback"
        if best is not None and best.is_over:
            return "early_stopping"
        self._epochs_left -= 1
        return "finished" if self._epochs_left == 0 or network.epochs_done >= self._last_epoch else None

    def _make_steps(self) -> None:
        """The steps of an epoch, which are to leave finite parameters."""
        epoch = self._network.epochs_done + 1
        try:
            self._steps.run(self._seed, watch=self._watch)
        except NotFinite:
            raise self._steps.divergence() from None
        if not divergence.has_finite_parameters(self._network):
            rate = self._optimizer.param_groups[0]["lr"]
            raise divergence.of_parameters(epoch, self._steps.steps, rate, self._steps.last_loss)

    def _is_asked_to_stop(self, seconds: float, logs: dict[str, float]) -> bool:
        """Call all callbacks; whether one has said True."""
        network = self._network
        record = EpochRecord(network.epochs_done, self._last_epoch, logs, network, self._optimizer, seconds)
        answers = [callback(record) for callback in self._callbacks]
        return any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers)

    def _watch(self, batches: int, loss: float) -> None:
        self._progress.batch(self._network.epochs_done + 1, batches, loss)
