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
from ..augment import of_inputs
from ..errors import DivergenceError
from ..history import History
from ..losses import Loss
from ..optim import Averaged
from ..progress import Progress
from ..sequences import joined
from . import divergence, optimizers, rates
from .early_stopping import Best, EarlyStopping
from .epochs import Epochs
from .record import EpochRecord
from .split import split

if TYPE_CHECKING:
    from .._core import Calls
    from ..augment import Augment
    from ..metrics import Measure
    from ..optim import Optimizer
    from ..trained import Trained
    from .split import Data


def prepared(
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
    shuffle: bool | None,
    validation_data: Sequence[Any] | None,
    validation_fraction: float,
    sample_weight: Any,
    class_weight: Any,
    lengths: Any,
    carry_state: bool,
    augment: Augment | None,
    metrics: Any,
    training_metrics: bool,
    early_stopping: bool | int | EarlyStopping | None,
    callbacks: Iterable[Callable[[EpochRecord], Any]],
    verbose: int,
    clip_norm: float | None,
    clip_value: float | None,
    dropout_factor: float | Callable[[int], float] | None,
    restore_on_divergence: bool,
) -> Callable[[], Fit]:
    """What makes the fit of `Network.fit`, which documents the arguments. They are checked; nothing has changed yet."""
    chosen = losses.resolve(loss)
    measures = network._measures(metrics, chosen)
    epochs = integer("epochs", epochs, 1)
    batch_size = None if batch_size is None else integer("batch_size", batch_size, 1)
    drop_last, carry_state = flag("drop_last", drop_last), flag("carry_state", carry_state)
    shuffle = flag("shuffle", not carry_state if shuffle is None else shuffle)
    check_carrying(network, carry_state, shuffle, validation_fraction)
    training_metrics = flag("training_metrics", training_metrics)
    restores = flag("restore_on_divergence", restore_on_divergence)
    verbose = integer("verbose", int(verbose) if isinstance(verbose, bool) else verbose, 0, 2)
    clip_value, clip_norm = clipping(clip_value, clip_norm)
    asked = _checked_callbacks(callbacks)
    changes = of_inputs(augment, network.inputs)
    training, validation = split(
        network, joined(X, lengths), y, chosen, validation_data, validation_fraction, sample_weight, class_weight
    )
    if isinstance(training[0], _core.Sequences) and training[0].state is not None:
        raise ValueError("state must be None in fit: rows begin at zeros, or go on with carry_state=True")
    evaluation = _Evaluation(network, chosen, measures, training if training_metrics else None, validation)
    network._core.catch_up()
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
    batch_size = rows if batch_size is None else min(batch_size, rows)
    if carry_state and rows % batch_size and not drop_last:
        raise ValueError(
            f"batch_size must divide the rows with carry_state, as row i of a batch goes on in row i of the next; got "
            f"{batch_size} for {rows} rows"
        )
    steps = Epochs(
        network,
        optimizer,
        chosen.spec if isinstance(chosen, Loss) else partial(losses.evaluated, chosen),
        training,
        batch_size,
        clip_value=clip_value,
        clip_norm=clip_norm,
        restores=restores,
        drop_last=drop_last,
        carries=carry_state,
        augment=changes,
        dropout_factor=dropout_factor,
        last=() if best is None else best.restoring,
    )

    def begun() -> Fit:
        if new_lr is not None:
            optimizer._set_lr(new_lr)
        wrapper = given if isinstance(given, Averaged) else network._wrapper
        network.optimizer, network._wrapper = optimizer, wrapper
        return Fit(network, optimizer, steps, evaluation, best, asked, shuffle, epochs, verbose, dropout_factor)

    return begun


def fit(network: Trained, X: Any, y: Any, **arguments: Any) -> History:
    """`Network.fit`, which documents it. Everything is checked before anything changes."""
    return prepared(network, X, y, **arguments)().run()


def check_carrying(network: Trained, carry_state: bool, shuffle: bool, validation_fraction: Any) -> None:
    """Whether rows may go on from one batch in the next."""
    if not carry_state:
        return
    if not network.state_size:
        raise ValueError("carry_state must be False for a network without layers that go through times, such as GRU")
    if shuffle:
        raise ValueError("shuffle must be False with carry_state: batches go on from those before")
    if validation_fraction:
        raise ValueError(
            f"validation_fraction must be 0 with carry_state, as it takes rows out; got {shown(validation_fraction)}: "
            f"give validation_data"
        )


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
        training: Data | None,
        validation: Data | None,
    ) -> None:
        self._network, self._loss, self._measures = network, loss, measures
        self._training, self._validation = training, validation
        self.recorded = ["loss"] if training is None else ["loss", *measures]
        if validation is not None:
            self.recorded += [f"val_{name}" for name in ("loss", *measures)]

    def __call__(self, loss: float) -> dict[str, float]:
        """All that is recorded of an epoch in whose steps the mean loss was this."""
        found = {"loss": loss}
        if self._measures and self._training is not None:
            found.update(self._network._evaluate(self._training, self._loss, self._measures, with_loss=False))
        if self._validation is not None:
            values = self._network._evaluate(self._validation, self._loss, self._measures)
            found.update((f"val_{name}", value) for name, value in values.items())
        return found


class Fit:
    """A fit whose arguments are checked: epochs, until something ends them.

    Attributes
    ----------
    steps : Epochs
        What makes its steps.
    history : History
        Of this fit.
    """

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
        self._network, self._optimizer, self.steps = network, optimizer, steps
        self._dropout_factor = dropout_factor
        self._start = 0.0
        self._evaluation, self._best, self._callbacks = evaluation, best, callbacks
        self._seed = network.seed if shuffle else None
        self._last_epoch = network.epochs_done + epochs
        self._epochs_left = epochs  # counted here too: callbacks may write network.epochs_done
        self._progress = Progress(verbose, self._last_epoch, steps.steps)
        self.history = History()
        self.history._monitor = network.history._monitor = None if best is None else best.monitor

    def run(self) -> History:
        """All epochs. However they end, the network is one to be used, and the histories say why."""
        stopped: str | None = None
        try:
            with self.steps.context:
                while stopped is None:
                    self._start = perf_counter()
                    try:
                        self.steps.run(self._seed, watch=self.watch)
                    except NotFinite:
                        raise self.steps.divergence() from None
                    stopped = self._after_steps()
        except DivergenceError:
            stopped = "diverged"
            raise
        except KeyboardInterrupt:
            stopped = "interrupted"
            raise
        finally:
            # As in close(), at whose entry a second Ctrl-C could come before.
            self.history.stopped = self._network.history.stopped = stopped or "failed"
            self._progress.close()
        return self.history

    def close(self, stopped: str) -> None:
        """The fit is over, for this reason."""
        self.history.stopped = self._network.history.stopped = stopped
        self._progress.close()

    def begin_epoch(self) -> None:
        """Begin an epoch, whose steps somebody else makes."""
        self._start = perf_counter()
        self.steps.begin(self._seed)

    def end_epoch(self, found: object) -> str | None:
        """End it where its trainer came to this: False, or an exception. Why it is the last one, if it is."""
        self.steps.write_last()
        if isinstance(found, NotFinite):
            raise self.steps.divergence()
        if isinstance(found, BaseException):
            raise found
        self.steps.end()
        return self._after_steps()

    def _after_steps(self) -> str | None:
        """What comes after an epoch's steps, to its callbacks; why it is the last one, if it is."""
        network, optimizer, start = self._network, self._optimizer, self._start
        self._check_parameters()
        logs = self._evaluation(self.steps.loss)
        if not isfinite(logs.get("val_loss", 0.0)):
            rate = optimizer.param_groups[0]["lr"]
            raise divergence.in_validation(network.epochs_done + 1, rate, logs["val_loss"])
        epoch, seconds, best = network.epochs_done + 1, perf_counter() - start, self._best
        rate = optimizer.param_groups[0]["lr"]
        # All that says that the epoch is over, whatever signals come.
        calls: Calls = [(setattr, network, "epochs_done", epoch)]
        for history in (self.history, network.history):
            calls += history._appending(epoch, seconds, rate, logs)
        if best is not None:
            network._core.catch_up()
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

    def _check_parameters(self) -> None:
        """The steps of an epoch are to leave finite parameters."""
        if not divergence.has_finite_parameters(self._network):
            epoch, rate = self._network.epochs_done + 1, self._optimizer.param_groups[0]["lr"]
            raise divergence.of_parameters(epoch, self.steps.steps, rate, self.steps.last_loss)

    def _is_asked_to_stop(self, seconds: float, logs: dict[str, float]) -> bool:
        """Call all callbacks; whether one has said True."""
        network = self._network
        losses = self.steps.batch_losses
        record = EpochRecord(network.epochs_done, self._last_epoch, logs, network, self._optimizer, seconds, losses)
        answers = [callback(record) for callback in self._callbacks]
        return any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers)

    def watch(self, batches: int, loss: float) -> None:
        """So many batches of an epoch are done, with this mean loss."""
        self._progress.batch(self._network.epochs_done + 1, batches, loss)
