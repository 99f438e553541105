"""`fit`: everything checked first, then epochs until something ends them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
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
from ..progress import Progress
from ..sequences import joined
from . import divergence, optimizers, rates, recovery
from .early_stopping import Best, EarlyStopping
from .epochs import Epochs
from .record import EpochRecord
from .split import split
from .switching import SwitchedEpochs

if TYPE_CHECKING:
    from .._core import Calls
    from ..augment import Augment
    from ..metrics import Measure
    from ..optim import Averaged, Optimizer, Switch
    from ..trained import Trained
    from .split import Data


def prepared(
    network: Trained,
    X: Any,
    y: Any,
    *,
    loss: str | Loss | losses.LossFunction,
    optimizer: Optimizer | Averaged | Switch | str | None,
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
    on_divergence: str,
    explosion: float | None,
    resumed: bool | None = None,
) -> Callable[[], Fit]:
    """What makes the fit of `Network.fit`, which documents the arguments. They are checked; nothing has changed yet.

    resumed: whether the network is that of a checkpoint, from `from_checkpoint`; None: it was not asked for.
    """
    chosen = losses.resolve(loss)
    measures = network._measures(metrics, chosen)
    epochs = integer("epochs", epochs, 1) - (0 if resumed is None else network.epochs_done)
    batch_size = None if batch_size is None else integer("batch_size", batch_size, 1)
    drop_last, carry_state = flag("drop_last", drop_last), flag("carry_state", carry_state)
    shuffle = flag("shuffle", not carry_state if shuffle is None else shuffle)
    check_carrying(network, carry_state, shuffle, validation_fraction)
    training_metrics = flag("training_metrics", training_metrics)
    restores = flag("restore_on_divergence", restore_on_divergence)
    recovers, explosion = recovery.checked(on_divergence, explosion, restores)
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
    arrays = [*network.parameters, *network._core.states]
    best = Best.of(early_stopping, evaluation.recorded, network._core.flat_parameters, arrays)
    if resumed and best is not None and network._stopping is not None:
        best.go_on(network._stopping, network.history._monitor)
    wrapper, switch = optimizers.around(network, optimizer)
    if switch is not None and (recovers or explosion is not None):
        name = "on_divergence must be 'raise'" if recovers else "explosion must be None"
        raise ValueError(f"{name} with a Switch: there is no going back behind it, and no measure on both sides of it")
    optimizer, new_lr = optimizers.resolve(network, optimizer, lr)
    if dropout_factor is not None:
        made = optimizer.steps if switch is None else switch.steps
        network._core.checked_dropout_factor(dropout_factor(made) if callable(dropout_factor) else dropout_factor)
    used: list[object] = [dropout_factor, new_lr]
    for each in (optimizer,) if switch is None else (switch.first, switch.second):
        used += _decay_schedules(each) if each is optimizer and new_lr is not None else _schedules(each)
    for part in rates.told(used):
        part.monitored(evaluation.recorded)
    rows = inputs.rows(training[0])
    batch_size = rows if batch_size is None else min(batch_size, rows)
    check_carried_batches(carry_state and not drop_last, rows, batch_size)
    epochs_of: Callable[..., Epochs] = Epochs if switch is None else SwitchedEpochs
    steps = epochs_of(
        network,
        optimizer if switch is None else switch,
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
        if asked:
            from .callback import FitRecord, begin

            done, names = network.epochs_done, tuple(evaluation.recorded)
            begin(asked, FitRecord(network, done, done + epochs, names, chosen, bool(resumed)))
        if new_lr is not None:
            optimizer._set_lr(new_lr)
        network.optimizer, network._wrapper = optimizer, wrapper
        name = chosen.name if isinstance(chosen, Loss) else getattr(chosen, "__name__", None)
        history = History() if resumed is None else deepcopy(network.history)
        made = Fit(network, steps, evaluation, best, asked, shuffle, epochs, verbose, dropout_factor, history, name)
        if recovers or explosion is not None:
            made.recoveries = recovery.Recoveries(made, best, dropout_factor, recovers, restores, explosion)
        return made

    return begun


def fit(network: Trained, X: Any, y: Any, **arguments: Any) -> History:
    """`Network.fit`, which documents it. Everything is checked before anything changes."""
    if arguments["resume"] is None:
        del arguments["resume"]
        return prepared(network, X, y, **arguments)().run()
    from .resuming import from_checkpoint

    with from_checkpoint(network, arguments) as checked:
        begun = prepared(network, X, y, **checked)
    return begun().run()


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


def check_carried_batches(carries_all: bool, rows: int, batch_size: int) -> None:
    """ValueError where rows go on from batch to batch, all of them, and the last batch is shorter."""
    if carries_all and rows % batch_size:
        raise ValueError(
            f"batch_size must divide the rows with carry_state, as row i of a batch goes on in row i of the next; got "
            f"{batch_size} for {rows} rows"
        )


def _decay_schedules(optimizer: Optimizer) -> list[object]:
    return [group.get("decay_schedule") for group in optimizer.param_groups]


def _schedules(optimizer: Optimizer) -> list[object]:
    return [optimizer.param_groups[0]["schedule"], *_decay_schedules(optimizer)]


def _checked_callbacks(callbacks: Any) -> list[Callable[[EpochRecord], Any]]:
    found = items("callbacks", callbacks, "functions of an EpochRecord")
    for k, callback in enumerate(found):
        if not callable(callback) or callback is EarlyStopping or rates.is_schedule(callback):
            from ..hints import of_no_callback

            raise TypeError(f"callbacks[{k}] must be callable{of_no_callback(callback)}; got {shown(callback)}")
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
    network : Network
        What is fitted.
    last_epoch : int
        The number of the last epoch planned, counted over all fits.
    recoveries : Recoveries or None
        What is done about divergence before it ends the fit.
    """

    def __init__(
        self,
        network: Trained,
        steps: Epochs,
        evaluation: _Evaluation,
        best: Best | None,
        callbacks: Sequence[Callable[[EpochRecord], Any]],
        shuffle: bool,
        epochs: int,
        verbose: int,
        dropout_factor: object,
        history: History,
        loss: str | None,
    ) -> None:
        self.network, self.steps = network, steps
        self.recoveries: recovery.Recoveries | None = None
        self._dropout_factor = dropout_factor
        self._start = 0.0
        self._evaluation, self._best, self._callbacks = evaluation, best, callbacks
        self._seed = network.seed if shuffle else None
        self.last_epoch = network.epochs_done + epochs
        self._epochs_left = epochs  # counted here too: callbacks may write network.epochs_done
        self._progress = Progress(verbose, self.last_epoch, steps.steps)
        self.history = history
        history._loss = loss
        network._stopping = None if best is None else best.memory
        self.history._monitor = network.history._monitor = None if best is None else best.monitor

    @property
    def optimizer(self) -> Optimizer:
        """Which makes the steps now."""
        return self.steps.optimizer

    def run(self) -> History:
        """All epochs. However they end, the network is one to be used, and the histories say why."""
        stopped: str | None = self.over
        try:
            with self.steps.context:
                while stopped is None:
                    self._start = perf_counter()
                    try:
                        stopped = self._epoch()
                    except DivergenceError as error:
                        if self.recoveries is None or not self.recoveries.survives(error):
                            raise
        except DivergenceError:
            stopped = "diverged"
            raise
        except KeyboardInterrupt:
            stopped = "interrupted"
            raise
        finally:
            # As in close(), at whose entry a second Ctrl-C could come before.
            self.history.stopped = self.network.history.stopped = stopped or "failed"
            self._progress.close()
            self.leave(stopped or "failed")
        return self.history

    @property
    def over(self) -> str | None:
        """Why there is no epoch left before the first one, as after a checkpoint of the last; None: there is."""
        if self._epochs_left <= 0:
            return "finished"
        return "early_stopping" if self._best is not None and self._best.is_over else None

    def _epoch(self) -> str | None:
        """One epoch; why it is the last one, if it is."""
        if self.recoveries is not None:
            self.recoveries.begin(self._seed)
        try:
            self.steps.run(self._seed, watch=self.watch if self.recoveries is None else self._watch_losses)
        except NotFinite:
            raise self.steps.divergence() from None
        return self._after_steps()

    def close(self, stopped: str) -> None:
        """The fit is over, for this reason."""
        self.history.stopped = self.network.history.stopped = stopped
        self._progress.close()
        self.leave(stopped)

    def leave(self, stopped: str) -> None:
        """Nothing of the fit is under way any more; its callbacks are told so."""
        self.network._stopping = None
        if self._callbacks:
            from .callback import ended

            ended(self._callbacks, stopped)

    def begin_epoch(self) -> None:
        """Begin an epoch, whose steps somebody else makes."""
        if self.recoveries is not None:
            self.recoveries.begin(self._seed)
        self._start = perf_counter()
        self.steps.begin(self._seed)

    def end_epoch(self, found: object) -> str | None:
        """End it where its trainer came to this: False, or an exception. Why it is the last one, if it is."""
        self.steps.write_last()
        if isinstance(found, BaseException) and not isinstance(found, NotFinite):
            raise found
        try:
            if isinstance(found, NotFinite):
                raise self.steps.divergence()
            self.steps.end()
            return self._after_steps()
        except DivergenceError as error:
            if self.recoveries is None or not self.recoveries.survives(error):
                raise
            return None

    def _after_steps(self) -> str | None:
        """What comes after an epoch's steps, to its callbacks; why it is the last one, if it is."""
        if self.recoveries is None:
            return self._recorded()
        self.recoveries.look(over=True)
        return self.recoveries.epoch_is_over(self._recorded())

    def _recorded(self) -> str | None:
        """Evaluate the epoch, note it and tell callbacks; why it is the last one, if it is."""
        network, optimizer, start = self.network, self.optimizer, self._start
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
        in_force = rates.told(_schedules(optimizer), optimizer.steps - 1)
        if self._dropout_factor is not None:
            in_force += rates.told([self._dropout_factor], self.steps.steps_made - 1)
            in_force = list({id(part): part for part in in_force}.values())
        for part in in_force:
            part.report(logs[part.monitored(self._evaluation.recorded)])
        self._epochs_left -= 1
        self._progress.epoch(network.epochs_done, seconds, logs)
        if self._callbacks and self._is_asked_to_stop(seconds, logs):
            return "callback"
        if best is not None and best.is_over:
            return "early_stopping"
        return "finished" if self._epochs_left == 0 or network.epochs_done >= self.last_epoch else None

    def _check_parameters(self) -> None:
        """The steps of an epoch are to leave finite parameters."""
        if not divergence.has_finite_parameters(self.network):
            epoch, rate = self.network.epochs_done + 1, self.optimizer.param_groups[0]["lr"]
            raise divergence.of_parameters(epoch, self.steps.steps, rate, self.steps.last_loss)

    def _is_asked_to_stop(self, seconds: float, logs: dict[str, float]) -> bool:
        """Call all callbacks; whether one has said True."""
        network = self.network
        losses = self.steps.batch_losses
        record = EpochRecord(network.epochs_done, self.last_epoch, logs, network, self.optimizer, seconds, losses)
        answers = [callback(record) for callback in self._callbacks]
        return any(isinstance(answer, (bool, np.bool_)) and answer for answer in answers)

    def undoing(self, epochs: int) -> Calls:
        """The calls that take so many epochs away from the histories, which are then to be made again."""
        calls: Calls = [(setattr, self, "_epochs_left", self._epochs_left + epochs)]
        for history in (self.history, self.network.history):
            calls += history._undoing(epochs)
        return calls

    def _watch_losses(self, batches: int, loss: float) -> None:
        self.watch(batches, loss)
        if self.recoveries is not None:
            self.recoveries.look()

    def watch(self, batches: int, loss: float) -> None:
        """So many batches of an epoch are done, with this mean loss."""
        self._progress.batch(self.network.epochs_done + 1, batches, loss)
