"""Fitting: the loop over epochs. The loop over batches is compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, inputs, losses, metrics, targets
from .arguments import choice, clipping, flag, integer, items, learning_rate, number, shown
from .errors import ADVICE, DivergenceError
from .history import History
from .losses import Loss
from .optim import Adam, Averaged, Optimizer, by_name
from .progress import Progress

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .network import Network
    from .schedules import ReduceOnPlateau

    Data = tuple[inputs.Data, NDArray[Any], NDArray[np.float64] | None]

# The validation split is the permutation of this epoch number, which no epoch has.
SPLIT_EPOCH = 2**32 - 1
# Seconds in the core between two looks at signals and the progress bar.
SLICE = 0.05


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a monitored quantity has not become better for some epochs.

    Parameters
    ----------
    patience : int
        Epochs without improvement after which training stops; at least 1.
    min_delta : float
        What counts as an improvement is better than the best by more than this; >= 0.
    monitor : str
        A recorded name, such as "val_loss", "loss" or "val_accuracy".
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" knows it for losses and the metrics known by name.
    restore_best : bool
        Whether the network gets the parameters of the best epoch when the fit ends, whatever ended it.

    References
    ----------
    L. Prechelt, Early Stopping - But When? (1998).
    """

    patience: int = 10
    min_delta: float = field(default=0.0, kw_only=True)
    monitor: str = field(default="val_loss", kw_only=True)
    mode: str = field(default="auto", kw_only=True)
    restore_best: bool = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        integer("patience", self.patience, 1)
        number("min_delta", self.min_delta, "[0, inf)")
        choice("mode", self.mode, ("auto", "min", "max"))
        flag("restore_best", self.restore_best)

    def less_is_better(self, names: Sequence[str]) -> bool:
        """Whether less of the monitored quantity is better. ValueError if it is not among the recorded names."""
        if self.monitor not in names:
            hint = "; give validation_data or validation_fraction" if self.monitor.startswith("val_") else ""
            raise ValueError(f"early_stopping's monitor must be one of {', '.join(names)}; got {self.monitor!r}{hint}")
        if self.mode != "auto":
            return self.mode == "min"
        name = self.monitor.removeprefix("val_")
        if name != "loss" and name not in metrics.KNOWN:
            raise ValueError(f"early_stopping's mode must be 'min' or 'max' for the metric {name!r}; got 'auto'")
        return metrics.KNOWN.get(name, True)


@dataclass(frozen=True)
class EpochRecord:
    """What a callback gets after each epoch.

    Attributes
    ----------
    epoch, epochs : int
        Number of the epoch and of the last one planned, from 1, counted over all fits.
    logs : dict of float
        What was recorded for it, such as "loss" and "val_loss".
    network, optimizer
        Those being fitted; ``optimizer.param_groups[0]["lr"]`` may be changed.
    seconds : float
        What the epoch took.
    """

    epoch: int
    epochs: int
    logs: dict[str, float]
    network: Network = field(repr=False)
    optimizer: Optimizer = field(repr=False)
    seconds: float


class _Best:
    """Early stopping's memory: the best value and its parameters."""

    def __init__(self, stopping: EarlyStopping, less_is_better: bool, parameters: NDArray[Any]) -> None:
        self._stopping = stopping
        self._sign = 1.0 if less_is_better else -1.0
        self._value = float("inf")
        self._waited = 0
        self._live = parameters
        self._kept: NDArray[Any] | None = None

    def is_over(self, logs: Mapping[str, float]) -> bool:
        """Look at an epoch; whether patience has run out."""
        value = self._sign * logs[self._stopping.monitor]
        # NaN of a metric is no improvement.
        if value < self._value - self._stopping.min_delta:
            self._value, self._waited = value, 0
            if self._stopping.restore_best:
                if self._kept is None:
                    self._kept = np.empty_like(self._live)
                np.copyto(self._kept, self._live)
        else:
            self._waited += 1
        return self._waited >= self._stopping.patience

    def restore(self) -> bool:
        """Whether there were best parameters, which the network now has."""
        if self._kept is not None:
            np.copyto(self._live, self._kept)
        return self._kept is not None


def fit(
    network: Network,
    X: Any,
    y: Any,
    *,
    loss: str | Loss | losses.LossFunction,
    optimizer: Optimizer | Averaged | str | None,
    lr: float | Callable[[int], float] | None,
    epochs: int,
    batch_size: int | None,
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
    restore_on_divergence: bool,
) -> History:
    """`Network.fit`, which documents it. Everything is checked before anything changes."""
    chosen = losses.resolve(loss)
    measures = network._measures(metrics, chosen)
    epochs = integer("epochs", epochs, 1)
    if batch_size is not None:
        batch_size = integer("batch_size", batch_size, 1)
    shuffle = flag("shuffle", shuffle)
    restore_on_divergence = flag("restore_on_divergence", restore_on_divergence)
    verbose = integer("verbose", int(verbose) if isinstance(verbose, bool) else verbose, 0, 2)
    clip_value, clip_norm = clipping(clip_value, clip_norm)
    callbacks = _checked_callbacks(callbacks)
    training, validation = _split(
        network, X, y, chosen, validation_data, validation_fraction, sample_weight, class_weight
    )
    stopping = _resolve_stopping(early_stopping)
    recorded = ["loss", *measures]
    recorded += [f"val_{name}" for name in recorded] if validation is not None else []
    less_is_better = stopping.less_is_better(recorded) if stopping is not None else True
    optimizer, new_lr = _resolve_optimizer(network, optimizer, lr)
    for plateau in _plateaus(optimizer.param_groups[0]["schedule"] if new_lr is None else new_lr):
        plateau.monitored(recorded)
    rows = inputs.rows(training[0])
    batch = rows if batch_size is None else min(batch_size, rows)
    trainer = _core.Trainer(
        network._core,
        optimizer._stepper,
        optimizer.param_groups,
        chosen.spec if isinstance(chosen, Loss) else partial(losses.evaluated, chosen),
        *training,
        batch,
        clip_value,
        clip_norm,
        restore_on_divergence,
    )
    # From here on things change.
    if new_lr is not None:
        optimizer._set_lr(new_lr)
    network.optimizer = optimizer
    part = History()
    best = None
    if stopping is not None:
        best = _Best(stopping, less_is_better, network._core.flat_parameters)
        part._monitor = stopping.monitor, less_is_better
    network.history._monitor = part._monitor
    last_epoch = network.epochs_done + epochs
    progress = Progress(verbose, last_epoch, trainer.steps_per_epoch)
    stopped = "failed"
    try:
        while True:
            start = perf_counter()
            logs = _run_epoch(network, optimizer, trainer, shuffle, progress)
            optimizer._leave_steps()
            found = network._evaluate(training, chosen, measures, with_loss=False)
            logs.update(found)
            if validation is not None:
                found = network._evaluate(validation, chosen, measures)
                logs.update((f"val_{name}", value) for name, value in found.items())
                _check_validation(network, optimizer, logs["val_loss"])
            network.epochs_done += 1
            seconds = perf_counter() - start
            rate = optimizer.param_groups[0]["lr"]
            for history in (part, network.history):
                history.append(network.epochs_done, seconds, rate, logs)
            over = best is not None and best.is_over(logs)  # first: an interrupt may come while the epoch is shown
            for plateau in _plateaus(optimizer.param_groups[0]["schedule"], optimizer.steps - 1):
                plateau.report(logs[plateau.monitored(recorded)])
            progress.epoch(network.epochs_done, seconds, logs)
            record = EpochRecord(network.epochs_done, last_epoch, logs, network, optimizer, seconds)
            asked = [callback(record) for callback in callbacks]
            if any(isinstance(answer, (bool, np.bool_)) and answer for answer in asked):
                stopped = "callback"
            elif over:
                stopped = "early_stopping"
            elif network.epochs_done >= last_epoch:
                stopped = "finished"
            else:
                continue
            break
    except DivergenceError:
        stopped = "diverged"
        if restore_on_divergence:
            network.epochs_done = trainer.restore()
        raise
    except KeyboardInterrupt:
        stopped = "interrupted"
        raise
    finally:
        optimizer._leave_steps()
        if best is not None:
            best.restore()
        part.stopped = network.history.stopped = stopped
        progress.close()
    return part


def _run_epoch(
    network: Network,
    optimizer: Optimizer,
    trainer: _core.Trainer,
    shuffle: bool,
    progress: Progress,
) -> dict[str, float]:
    """One epoch of steps."""
    lrs = _scheduled(optimizer, trainer.steps_per_epoch)
    epoch = network.epochs_done
    optimizer._enter_steps()
    trainer.start_epoch(network.seed if shuffle else None, epoch, lrs)
    try:
        while trainer.run(SLICE):
            progress.batch(epoch + 1, trainer.batches_done, trainer.loss)
    except _core.NotFinite:
        batch = min(trainer.batches_done + 1, trainer.steps_per_epoch)
        rate = optimizer.param_groups[0]["lr"] if lrs is None else float(lrs[batch - 1])
        value = trainer.last_loss
        what = "a gradient was not finite" if np.isfinite(value) else f"the loss was {value}"
        raise DivergenceError(
            f"training diverged: {what} in epoch {epoch + 1}, batch {batch} of {trainer.steps_per_epoch}, "
            f"with lr={rate:g}; {ADVICE}",
            epoch=epoch + 1,
            batch=batch,
            lr=rate,
            loss=value,
        ) from None
    finally:
        if lrs is not None:
            done = min(max(trainer.batches_done, 1), len(lrs))
            for group in optimizer.param_groups:
                group["lr"] = float(lrs[done - 1])
    # The sum is quick. It may overflow, and counts what lies between the arrays, where divergence may have left NaN.
    suspect = not np.isfinite(network._core.flat_parameters.sum())
    if suspect and not all(np.isfinite(p).all() for p in network.parameters):
        raise DivergenceError(
            f"training diverged: parameters were not finite at the end of epoch {epoch + 1}; {ADVICE}",
            epoch=epoch + 1,
            batch=trainer.steps_per_epoch,
            lr=optimizer.param_groups[0]["lr"],
            loss=trainer.last_loss,
        )
    return {"loss": trainer.loss}


def _check_validation(network: Network, optimizer: Optimizer, value: float) -> None:
    if not np.isfinite(value):
        rate = optimizer.param_groups[0]["lr"]
        epoch = network.epochs_done + 1
        raise DivergenceError(
            f"training diverged: the validation loss was {value} after epoch {epoch}, with lr={rate:g}; {ADVICE}",
            epoch=epoch,
            lr=rate,
            loss=value,
        )


def _scheduled(optimizer: Optimizer, steps: int) -> NDArray[np.float64] | None:
    """The learning rates of an epoch's steps; None without a schedule."""
    schedule = optimizer.param_groups[0]["schedule"]
    if schedule is None:
        return None
    from .schedules import Schedule

    first = optimizer.steps
    if isinstance(schedule, Schedule):
        rates = schedule.values(steps, first)
        for k in np.flatnonzero(~np.isfinite(rates)):
            learning_rate(f"lr({first + k})", float(rates[k]))
        return rates
    checked = (learning_rate(f"lr({step})", schedule(step)) for step in range(first, first + steps))
    return np.fromiter(checked, np.float64, steps)


def _plateaus(schedule: object, step: int | None = None) -> list[ReduceOnPlateau]:
    """Schedules that are to be told how training goes: those in force at a step, or all."""
    if not callable(schedule):
        return []
    from .schedules.plateau import plateaus

    return plateaus(schedule, step)


def _checked_callbacks(callbacks: Any) -> list[Callable[[EpochRecord], Any]]:
    found = items("callbacks", callbacks, "functions of an EpochRecord")
    for k, callback in enumerate(found):
        if not callable(callback):
            raise TypeError(f"callbacks[{k}] must be callable; got {shown(callback)}")
    return found


def _resolve_stopping(given: bool | int | EarlyStopping | None) -> EarlyStopping | None:
    if given is None or given is False:
        return None
    if isinstance(given, EarlyStopping):
        return given
    return EarlyStopping() if given is True else EarlyStopping(integer("early_stopping", given, 1))


def _resolve_optimizer(
    network: Network, given: Optimizer | Averaged | str | None, lr: float | Callable[[int], float] | None
) -> tuple[Optimizer, float | Callable[[int], float] | None]:
    """The optimizer to use, and the learning rate to give to it once everything is checked."""
    if isinstance(given, Averaged):
        given = given.optimizer
    if isinstance(given, Optimizer):
        if lr is not None:
            raise ValueError(f"lr must be None with an Optimizer object, which has its own; got {shown(lr)}")
        network._indices_of(given)
        _check_one_schedule(given)
        return given, None
    if given is not None and not isinstance(given, str):
        raise TypeError(f"optimizer must be an Optimizer or a name; got {shown(given)} ({type(given).__name__})")
    kind = by_name(given) if given is not None else None
    last = network.optimizer
    if last is not None and (kind is None or type(last) is kind):
        if lr is not None:
            learning_rate("lr", lr(last.steps) if callable(lr) else lr)
        else:
            _check_one_schedule(last)
        return last, lr
    kind = kind or Adam
    options = dict(kind._of_network) if lr is None else {**kind._of_network, "lr": lr}
    return kind(network.parameters, **options), None


def _check_one_schedule(optimizer: Optimizer) -> None:
    if len({id(group["schedule"]) for group in optimizer.param_groups}) > 1:
        raise ValueError("optimizer must have one schedule for all its groups in fit; got different ones")


def _split(
    network: Network,
    X: Any,
    y: Any,
    loss: Loss | losses.LossFunction,
    validation_data: Sequence[Any] | None,
    validation_fraction: float,
    sample_weight: Any,
    class_weight: Any,
) -> tuple[Data, Data | None]:
    """Checked training and validation data."""
    fraction = number("validation_fraction", validation_fraction, "[0, 1)")
    if validation_data is not None and fraction > 0:
        raise ValueError(f"validation_fraction must be 0 with validation_data; got {fraction}")
    x, target, weights = network._checked_data(X, y, loss, sample_weight, None)
    validation: Data | None = None
    if validation_data is not None:
        if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
            found = type(validation_data).__name__
            length = f" of {len(validation_data)}" if isinstance(validation_data, (tuple, list)) else ""
            raise ValueError(f"validation_data must be (X, y) or (X, y, sample_weight); got a {found}{length}")
        xv, yv, *rest = validation_data
        names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
        validation = network._checked_data(xv, yv, loss, rest[0] if rest else None, None, names)
    elif fraction > 0:
        rows = inputs.rows(x)
        held = max(1, round(rows * fraction))
        if held >= rows:
            raise ValueError(f"validation_fraction must leave rows to train on; got {fraction} of {rows} rows")
        order = _core.permutation(rows, network.seed, SPLIT_EPOCH)
        out = np.sort(order[rows - held :])
        kept = np.sort(order[: rows - held])
        validation = inputs.taken(x, out), target[out], None if weights is None else weights[out]
        targets.check_not_all_zero(validation[2], "sample_weight in the validation split")
        x, target, weights = inputs.taken(x, kept), target[kept], None if weights is None else weights[kept]
        targets.check_not_all_zero(weights, "sample_weight in the training split")
    if class_weight is not None:
        of_classes = targets.prepare_weights(loss, None, class_weight, target, network.n_out)
        weights = of_classes if weights is None or of_classes is None else weights * of_classes
        targets.check_not_all_zero(weights, "class_weight")
    return (x, target, weights), validation
