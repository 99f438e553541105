"""Epochs of steps: scikit-learn's order of everything random, its stopping rules and messages; an epoch is one call."""

from __future__ import annotations

import warnings
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import check_scoring
from sklearn.model_selection import train_test_split

from .. import _core
from ..network import Network
from ..optim import Optimizer
from ..training import SLICE, SPLIT_EPOCH, _plateaus, _scheduled
from . import model
from .callbacks import Tasks
from .progress import Report

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .base import BaseMLP
    from .objective import Objective

TOO_SMALL = "The validation set is too small. Increase 'validation_fraction' or the size of your dataset."
SMALLEST_RATE = 1e-6


@dataclass
class Rate:
    """The learning rate from epoch to epoch, in one of scikit-learn's three modes."""

    initial: float
    mode: str
    power: float

    def __post_init__(self) -> None:
        self.learning_rate = float(self.initial)

    def epoch_ends(self, seen: int) -> None:
        """After an epoch, with so many rows seen so far."""
        if self.mode == "invscaling":
            self.learning_rate = float(self.initial) / (seen + 1) ** self.power

    def stops(self, message: str, verbose: Any) -> bool:
        """Whether training that does not get better stops; or goes on at a smaller rate."""
        if self.mode == "adaptive" and self.learning_rate > SMALLEST_RATE:
            self.learning_rate /= 5.0
            if verbose:
                print(f"{message} Setting learning rate to {self.learning_rate:f}")
            return False
        if verbose:
            print(f"{message}{' Learning rate too small.' if self.mode == 'adaptive' else ''} Stopping.")
        return True


@dataclass
class Held:
    """Validation data: y in the form that the network is fitted to, and as the user has it."""

    X: Any
    encoded: NDArray[Any]
    y: NDArray[Any]
    weights: NDArray[Any] | None


def begin(est: BaseMLP) -> None:
    """What a first fit starts from."""
    est.loss_curve_ = []
    est._no_improvement_count = 0
    est._resume = None
    est._best = est._network._core.flat_parameters.copy()
    est.validation_loss_curve_ = None
    if est.early_stopping:
        est.validation_scores_ = []
        est.best_validation_score_ = -np.inf
        est.best_loss_ = None
    else:
        est.best_loss_ = np.inf
        est.validation_scores_ = None
        est.best_validation_score_ = None


def _complete(est: BaseMLP, early_stopping: bool) -> None:
    """What is missing where a first fit was by L-BFGS, without or with early stopping, or where weights were set."""
    state = est.__dict__
    if "loss_curve_" not in state:
        begin(est)
    state.setdefault("_best", None)
    state.setdefault("validation_loss_curve_", None)
    if early_stopping and state.get("validation_scores_") is None:
        est.validation_scores_, est.best_validation_score_, est.best_loss_ = [], -np.inf, None
    if not early_stopping and est.best_loss_ is None:
        est.best_loss_ = np.inf


def own_network(network: Network, random_state: Any) -> Network:
    """A network of the same shape in schuss's own order: initial weights, shuffles and split follow from one seed."""
    words = random_state.randint(0, 1 << 32, size=2, dtype=np.uint64)
    return Network(network.layers, seed=int(words[0] << np.uint64(32) | words[1]), dtype=network.dtype)


def _optimizer(est: BaseMLP, network: Network) -> Optimizer:
    """The solver, over weights as group 0 and biases as group 1."""
    from .base import optimizer_kind

    kind = optimizer_kind(est.solver)
    options: dict[str, Any] = dict(kind._of_network)
    if est.solver == "sgd":
        options["momentum"] = float(est.momentum)
        options["nesterov"] = bool(est.nesterovs_momentum) and est.momentum > 0
        options["dialect"] = "sklearn"
    elif est.solver == "adam":
        options.update(betas=(float(est.beta_1), float(est.beta_2)), eps=float(est.epsilon), dialect="sklearn")
    rate = est.learning_rate
    options["lr"] = deepcopy(rate) if callable(rate) else float(est.learning_rate_init)
    options.update(est.solver_options or {})
    groups: Any = [{"params": list(network.parameters[0::2])}, {"params": list(network.parameters[1::2])}]
    return kind(groups, **options)


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
    network = est._network
    own = est.random_order == "schuss"
    if not (incremental or (own and est.warm_start)) or network.optimizer is None:
        network.optimizer = _optimizer(est, network)
        mode = est.learning_rate if isinstance(est.learning_rate, str) and est.solver != "adam" else "constant"
        est._optimizer = Rate(network.optimizer.param_groups[0]["lr"], mode, est.power_t)
    elif own:
        _resumed(est, network)
    rate, optimizer = est._optimizer, network.optimizer
    if est.early_stopping and incremental and held is None:
        raise ValueError("partial_fit does not support early_stopping=True")
    early_stopping = est.early_stopping
    if early_stopping and held is None:
        X, y, sample_weight, held = _split(est, X, y, sample_weight, own)
    _complete(est, early_stopping)
    rows = X.shape[0]
    trainer = _trainer(est, network, optimizer, X, y, sample_weight, objective)
    validation = _Validation(est, network, objective, held) if held is not None else None
    epochs = 1 if incremental else est.max_iter
    tasks = Tasks(est, X, lambda: est._decoded(y), sample_weight, epochs)
    report = Report(est.verbose, epochs)
    order = np.arange(rows, dtype=np.int64) if est.shuffle and not own else None
    scheduled = callable(est.learning_rate)
    try:
        est.n_iter_ = 0
        for _ in range(epochs):
            tasks.begin()
            if order is not None:
                shuffled = np.arange(rows, dtype=np.int64)
                est._random_state.shuffle(shuffled)
                order = order[shuffled]
            if not scheduled:
                for group in optimizer.param_groups:
                    group["lr"] = rate.learning_rate
            seed = network.seed if own and est.shuffle else None
            finite, interrupt = _run_epoch(network, optimizer, trainer, seed, order, scheduled, own)
            network.epochs_done += 1
            est.n_iter_ += 1
            est.loss_ = trainer.loss if finite else np.nan
            est.t_ += rows
            est.loss_curve_.append(est.loss_)
            report.epoch(est.n_iter_, est.loss_)
            if not finite:
                _give_up(est, network, early_stopping, epochs)
                if not incremental:
                    _warn_of_the_end(est)
                break
            if validation is not None:
                validation.look(est, early_stopping, report)
            _count(est, early_stopping, network)
            rate.epoch_ends(est.t_)
            if scheduled:
                _tell_plateaus(est, optimizer)
            stop = False
            if est._no_improvement_count > est.n_iter_no_change:
                what = "Validation score" if early_stopping else "Training loss"
                message = (
                    f"{what} did not improve more than tol={est.tol:f} for {est.n_iter_no_change:d} consecutive epochs."
                )
                stop = rate.stops(message, report.prints)
                if not stop:
                    est._no_improvement_count = 0
            stop |= tasks.end()
            if incremental and early_stopping:
                est.stopped_ = stop
            if interrupt is not None:
                raise interrupt
            if stop or incremental:
                break
            if est.n_iter_ == est.max_iter:
                _warn_of_the_end(est)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=4)
    finally:
        report.close()
    if early_stopping and (not incremental or est.stopped_):
        _restore(est, network, own)
    tasks.finish()


def _trainer(
    est: BaseMLP,
    network: Network,
    optimizer: Optimizer,
    X: Any,
    y: NDArray[Any],
    sample_weight: Any,
    objective: Objective,
) -> _core.Trainer:
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
    return _core.Trainer(
        network._core,
        optimizer._stepper,
        optimizer.param_groups,
        objective.loss,
        model.rows_of(X, network.dtype),
        objective.targets(y, network.dtype),
        None if sample_weight is None else np.ascontiguousarray(sample_weight, dtype=np.float64),
        batch_size,
        float(est.clip_value or 0.0),
        float(est.clip_norm or 0.0),
        penalty=(0, float(est.l1), float(est.alpha)) if est.l1 > 0 or est.alpha > 0 else None,
        by_rows=True,
    )


def _restore(est: BaseMLP, network: Network, own: bool) -> None:
    """The best parameters become the live ones."""
    flat = network._core.flat_parameters
    est._resume = None
    if est._best is None:
        return
    if own:
        est._resume = est._best.copy(), flat.copy()
    np.copyto(flat, est._best)
    # As in scikit-learn the live ones are from now on the best, until better ones are found.
    est._best = None


def _resumed(est: BaseMLP, network: Network) -> None:
    """Go on from where training was, if nobody has changed the best parameters that were put in its place."""
    kept = est.__dict__.get("_resume")
    if kept is None:
        return
    best, live = kept
    if np.array_equal(network._core.flat_parameters, best):
        np.copyto(network._core.flat_parameters, live)
        est._best = best
    est._resume = None


def _run_epoch(
    network: Network,
    optimizer: Optimizer,
    trainer: _core.Trainer,
    seed: int | None,
    order: NDArray[np.int64] | None,
    scheduled: bool,
    whole: bool,
) -> tuple[bool, KeyboardInterrupt | None]:
    """One epoch of steps; whether everything was finite. whole: an interrupt waits for the epoch's end."""
    lrs = _scheduled(optimizer, trainer.steps_per_epoch) if scheduled else None
    optimizer._enter_steps()
    trainer.start_epoch(seed, network.epochs_done, lrs, order)
    interrupted: KeyboardInterrupt | None = None
    try:
        more = True
        while more:
            try:
                more = trainer.run(SLICE)
            except KeyboardInterrupt as interrupt:
                if interrupted is not None or not whole:
                    raise
                interrupted = interrupt
    except _core.NotFinite:
        return False, interrupted
    finally:
        optimizer._leave_steps()
        if lrs is not None:
            for group in optimizer.param_groups:
                group["lr"] = float(lrs[-1])
    return True, interrupted


def _split(est: BaseMLP, X: Any, y: NDArray[Any], sample_weight: Any, own: bool) -> tuple[Any, NDArray[Any], Any, Held]:
    """Training and validation data."""
    rows = X.shape[0]
    if own:
        order = _core.permutation(rows, est._network.seed, SPLIT_EPOCH)
        held = max(1, round(rows * est.validation_fraction))
        train, test = np.sort(order[: rows - held]), np.sort(order[rows - held :])
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
        if est.validation_loss_curve_ is None:
            est.validation_loss_curve_ = []

    def look(self, est: BaseMLP, early_stopping: bool, report: Report) -> None:
        """Score the network as it is."""
        loss = self._loss()
        est.validation_loss_curve_.append(loss)
        if not early_stopping:
            return
        held = self._held
        if self._scorer is not None:
            weights = {} if held.weights is None else {"sample_weight": held.weights}
            score = float(self._scorer(est, held.X, held.y, **weights))
        elif est.scoring == "loss":
            score = -loss
        else:
            score = est._validation_score(held)
        est.validation_scores_.append(score)
        report.validation(score)

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


def _count(est: BaseMLP, early_stopping: bool, network: Network) -> None:
    """Whether this epoch was better than the best."""
    if early_stopping:
        score = est.validation_scores_[-1]
        worse = score < est.best_validation_score_ + est.tol
        if score > est.best_validation_score_:
            est.best_validation_score_ = score
            if est._best is None:
                est._best = network._core.flat_parameters.copy()
            else:
                np.copyto(est._best, network._core.flat_parameters)
    else:
        loss = est.loss_curve_[-1]
        worse = loss > est.best_loss_ - est.tol
        if loss < est.best_loss_:
            est.best_loss_ = loss
    est._no_improvement_count = est._no_improvement_count + 1 if worse else 0


def _tell_plateaus(est: BaseMLP, optimizer: Optimizer) -> None:
    curve = est.loss_curve_ if est.validation_loss_curve_ is None else est.validation_loss_curve_
    for plateau in _plateaus(optimizer.param_groups[0]["schedule"], optimizer.steps - 1):
        plateau.report(curve[-1])


def _give_up(est: BaseMLP, network: Network, early_stopping: bool, epochs: int) -> None:
    """Nothing is finite any more. The epochs that are left would all be NaN: they are told, not made."""
    network._core.flat_parameters[...] = np.nan
    left = epochs - est.n_iter_
    est.loss_curve_ += [np.nan] * left
    if early_stopping:
        est.validation_scores_ += [float("nan")] * (left + 1)
    est.n_iter_ = epochs


def _warn_of_the_end(est: BaseMLP) -> None:
    warnings.warn(
        f"Stochastic Optimizer: Maximum iterations ({est.max_iter:d}) "
        "reached and the optimization hasn't converged yet.",
        ConvergenceWarning,
        stacklevel=5,
    )
