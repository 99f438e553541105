"""Epochs of steps: scikit-learn's order of everything random, its stopping rules and messages; an epoch is one call."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from .._core import NotFinite
from ..schedules.base import told
from ..training.epochs import Epochs
from ..training.split import parted
from . import model
from .callbacks import Tasks
from .held import Held
from .memory import Memory
from .progress import Report
from .rate import Rate
from .solver import optimizer_of, rate_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network import Network
    from ..optim import Optimizer
    from .base import BaseMLP
    from .objective import Objective

# Pickles of before name Rate by this module.
__all__ = ["Rate", "fit"]

TOO_SMALL = "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."


def fit(
    est: BaseMLP,
    X: Any,
    y: NDArray[Any],
    sample_weight: Any,
    objective: Objective,
    incremental: bool,
    held: Held | None,
) -> None:
    """All epochs of a fit, or the one of a partial_fit."""
    network, memory = est._network, Memory(est)
    own = est.random_order == "schuss"
    if not (incremental or (own and est.warm_start)) or network.optimizer is None:
        network.optimizer = optimizer_of(est, network)
        est._optimizer = rate_of(est, network.optimizer)
    elif own:
        memory.resume()
    if est.early_stopping and held is None:
        if incremental:
            raise ValueError("partial_fit does not support early_stopping=True")
        X, y, sample_weight, held = _split(est, X, y, sample_weight, own)
    memory.complete(held is not None)
    steps = steps_of(est, network, network.optimizer, X, y, sample_weight, objective)
    validation = None if held is None else _Validation(est, network, objective, held)
    tasks = Tasks(est, X, lambda: est._decoded(y), sample_weight, 1 if incremental else est.max_iter)
    _Fit(est, memory, steps, validation, tasks, X.shape[0], incremental).run()


class _Fit:
    """A fit that is ready to go: epochs, until something ends them."""

    def __init__(
        self,
        est: BaseMLP,
        memory: Memory,
        steps: Epochs,
        validation: _Validation | None,
        tasks: Tasks,
        rows: int,
        incremental: bool,
    ) -> None:
        self._est, self._memory, self._steps = est, memory, steps
        self._validation, self._tasks = validation, tasks
        self._rows, self._incremental = rows, incremental
        self._epochs = 1 if incremental else est.max_iter
        self._report = Report(est.verbose, self._epochs)
        self._own = est.random_order == "schuss"
        self._scheduled = callable(est.learning_rate)
        self._in_order = np.arange(rows, dtype=np.int64)
        self._order = self._in_order if est.shuffle and not self._own else None

    def run(self) -> None:
        """All epochs, and what they leave on the estimator."""
        est = self._est
        try:
            est.n_iter_ = 0
            with self._steps.context:
                while self._epoch():
                    pass
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)
        finally:
            self._report.close()
        if est.early_stopping and (not self._incremental or est.stopped_):
            self._memory.restore(self._own)
        self._tasks.finish()

    def _epoch(self) -> bool:
        """An epoch from its first step to its end; whether there is to be another."""
        est, memory = self._est, self._memory
        self._tasks.begin()
        finite, interrupt = self._make_steps()
        memory.epoch(self._steps.loss if finite else np.nan, self._rows)
        self._report.epoch(est.n_iter_, est.loss_)
        if not finite:
            memory.give_up(self._epochs)
            if not self._incremental:
                _warn_of_the_end(est)
            return False
        if self._validation is not None:
            self._validate(self._validation)
        patient = memory.count()
        est._optimizer.epoch_ends(est.t_)
        if self._scheduled:
            self._tell_schedule()
        stop = not patient and self._has_to_stop()
        stop |= self._tasks.end()
        if self._incremental and est.early_stopping:
            est.stopped_ = stop
        if interrupt is not None:
            raise interrupt
        if stop or self._incremental:
            return False
        if est.n_iter_ == est.max_iter:
            _warn_of_the_end(est)
        return bool(est.n_iter_ < est.max_iter)

    def _make_steps(self) -> tuple[bool, KeyboardInterrupt | None]:
        """The steps of an epoch: whether all was finite, and an interrupt that has waited for their end."""
        est, network = self._est, self._est._network
        if self._order is not None:
            shuffled = self._in_order.copy()
            est._random_state.shuffle(shuffled)
            self._order = self._order[shuffled]
        if not self._scheduled:
            for group in self._steps.optimizer.param_groups:
                group["lr"] = est._optimizer.learning_rate
        seed = network.seed if self._own and est.shuffle else None
        finite, interrupt = True, None
        try:
            interrupt = self._steps.run(seed, self._order, scheduled=self._scheduled, whole=self._own)
        except NotFinite:
            finite = False
        network.epochs_done += 1
        return finite, interrupt

    def _validate(self, validation: _Validation) -> None:
        loss, score = validation(self._est)
        self._memory.validation(loss, score)
        if score is not None:
            self._report.validation(score)

    def _tell_schedule(self) -> None:
        """What depends on how training goes gets the epoch's loss."""
        optimizer = self._steps.optimizer
        for part in told(optimizer.param_groups[0]["schedule"], optimizer.steps - 1):
            part.report(self._memory.latest)

    def _has_to_stop(self) -> bool:
        """Out of patience: whether there is no smaller rate to go on at."""
        est = self._est
        what = "Validation score" if est.early_stopping else "Training loss"
        message = f"{what} did not improve more than tol={est.tol:f} for {est.n_iter_no_change:d} consecutive epochs."
        if est._optimizer.stops(message, self._report.prints):
            return True
        self._memory.forget_count()
        return False


def steps_of(
    est: BaseMLP,
    network: Network,
    optimizer: Optimizer,
    X: Any,
    y: NDArray[Any],
    sample_weight: Any,
    objective: Objective,
) -> Epochs:
    """What makes the steps over these rows."""
    rows = X.shape[0]
    if est.batch_size == "auto":
        batch_size = min(200, rows)
    else:
        if est.batch_size > rows:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped", stacklevel=5
            )
        batch_size = int(np.clip(est.batch_size, 1, rows))
    data = (
        model.rows_of(X, network.dtype),
        objective.targets(y, network.dtype),
        None if sample_weight is None else np.ascontiguousarray(sample_weight, dtype=np.float64),
    )
    return Epochs(
        network,
        optimizer,
        objective.loss,
        data,
        batch_size,
        clip_value=float(est.clip_value or 0.0),
        clip_norm=float(est.clip_norm or 0.0),
        penalty=(0, float(est.l1), float(est.alpha)) if est.l1 > 0 or est.alpha > 0 else None,
        counts_rows=True,
    )


def _split(est: BaseMLP, X: Any, y: NDArray[Any], sample_weight: Any, own: bool) -> tuple[Any, NDArray[Any], Any, Held]:
    """Training and validation data."""
    rows = X.shape[0]
    if own:
        train, test = parted(rows, est.validation_fraction, est._network.seed)
    else:
        train, test = train_test_split(
            np.arange(rows),
            random_state=est._random_state,
            test_size=est.validation_fraction,
            stratify=est._stratify(y),
        )
    if len(test) < 2:
        raise ValueError(TOO_SMALL)
    weights = sample_weight_val = None
    if sample_weight is not None:
        weights, sample_weight_val = sample_weight[train], sample_weight[test]
        for part, of_part in (("training", weights), ("validation", sample_weight_val)):
            if not of_part.any():
                raise ValueError(
                    f"sample_weight must be above 0 in a row of the {part} split, where all rows have 0: "
                    "Sample weights must contain at least one non-zero number."
                )
    y_val = y[test]
    return X[train], y[train], weights, Held(X[test], y_val, est._decoded(y_val), sample_weight_val)


class _Validation:
    """What is looked at after each epoch."""

    def __init__(self, est: BaseMLP, network: Network, objective: Objective, held: Held) -> None:
        self._network, self._objective, self._held = network, objective, held
        encoded = held.encoded.reshape(len(held.encoded), -1)
        self._targets = objective.targets(encoded, network.dtype)
        self._weights = None if held.weights is None else np.ascontiguousarray(held.weights, dtype=np.float64)
        scoring = est.scoring
        self._scorer = None if scoring is None or scoring == "loss" else check_scoring(est, scoring)

    def __call__(self, est: BaseMLP) -> tuple[float, float | None]:
        """The network's loss as it is, and the score that early stopping looks at, where that is asked for."""
        loss = self._loss()
        if not est.early_stopping:
            return loss, None
        held = self._held
        if self._scorer is not None:
            weights = {} if held.weights is None else {"sample_weight": held.weights}
            return loss, float(self._scorer(est, held.X, held.y, **weights))
        return loss, -loss if est.scoring == "loss" else est._validation_score(held)

    def _loss(self) -> float:
        core, loss = self._network._core, self._objective.loss
        if callable(loss):
            out = model.output(self._network, self._held.X)
            more = () if self._weights is None else (self._weights,)
            return float(loss(out, self._targets, *more)[0])
        total = value = 0.0
        for part, x in model.slabs(self._held.X, self._network.dtype):
            weights = None if self._weights is None else self._weights[part]
            rows = float(len(x)) if weights is None else float(weights.sum())
            value += rows * core.loss(x, self._targets[part], weights, loss)
            total += rows
        return value / total if total > 0 else 0.0


def _warn_of_the_end(est: BaseMLP) -> None:
    warnings.warn(
        f"Stochastic Optimizer: Maximum iterations ({est.max_iter:d}) "
        "reached and the optimization hasn't converged yet.",
        ConvergenceWarning,
        stacklevel=7,
    )
