"""What both estimators share: arguments, fitting, outputs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import check_is_fitted

from ...optim import BY_NAME
from ...sequences import Sequences
from ...tables.encoding import Standardise
from ...threads import threads
from ...training import EarlyStopping
from ..callbacks import CallbackSupportMixin, Tasks
from ..optimizers import optimizer_of
from ..validation import given_together, weights_of_rows
from .given import Series, series_of
from .network import KINDS, longer, network_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...history import History
    from ...losses import Loss
    from ...network import Network
    from ...training import EpochRecord

# Numbers of inputs that are scaled and predicted at a time.
_SLAB = 1 << 22


class BaseSequence(CallbackSupportMixin, BaseEstimator):  # type: ignore[misc]
    """What both estimators share."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "layer": [StrOptions(set(KINDS))],
        "n_hidden": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "recurrent_dropout": [Interval(Real, 0, 1, closed="left")],
        "layer_options": [Mapping, None],
        "optimizer": [StrOptions(set(BY_NAME)), type],
        "lr": [Interval(Real, 0, None, closed="neither"), callable, None],
        "optimizer_options": [Mapping, None],
        "clip_norm": [Interval(Real, 0, None, closed="neither"), None],
        "epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "standardize": ["boolean"],
        "early_stopping": ["boolean"],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "validation_rows": [StrOptions({"random", "last"})],
        "warm_start": ["boolean"],
        "dtype": [StrOptions({"float32", "float64"})],
        "random_state": ["random_state"],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "verbose": ["verbose"],
    }

    network_: Network
    history_: History
    standard_: Standardise | None
    # Whether the layers of the last fit take rows of one length only.
    _one_length: bool

    # -- what the estimators differ in -------------------------------------------------------------------------------

    def _targets(self, y: Any, first: bool) -> NDArray[Any]:
        """Training targets (rows, ...), checked; what all of them say is set where they are the first."""
        raise NotImplementedError

    def _encoded(self, y: Any, name: str) -> NDArray[Any]:
        """Targets of other rows, in that form."""
        raise NotImplementedError

    def _begin(self, targets: NDArray[Any], weights: NDArray[Any] | None) -> int:
        """Set what outputs mean, before a first fit to these targets. How many there are."""
        raise NotImplementedError

    def _loss(self) -> Loss:
        """As the network is fitted by it."""
        raise NotImplementedError

    def _network_targets(self, targets: NDArray[Any]) -> NDArray[Any]:
        """As the network takes them."""
        return targets

    def _weights(self, targets: NDArray[Any], sample_weight: NDArray[Any] | None, incremental: bool) -> Any:
        """The rows' weights in the loss."""
        return sample_weight

    def _stratify(self, targets: NDArray[Any]) -> NDArray[Any] | None:
        """What the validation split keeps the shares of."""
        return None

    # -- fitting -----------------------------------------------------------------------------------------------------

    def _fit(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, incremental: bool
    ) -> None:
        """All of `fit` and `partial_fit`. Whatever ends it early leaves the estimator's attributes as they were."""
        before = dict(self.__dict__)
        try:
            self._fit_rows(X, y, sample_weight, X_val, y_val, sample_weight_val, incremental)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _fit_rows(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, sample_weight_val: Any, incremental: bool
    ) -> None:
        if y is None:
            raise ValueError(f"This {type(self).__name__} estimator requires y to be passed, but the target y is None")
        if incremental and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not self.__sklearn_is_fitted__() or not (self.warm_start or incremental)
        series = self._series("X", X, reset=first)
        targets = self._targets(y, first)
        check_consistent_length(series.x, targets)
        weights = self._weights(targets, weights_of_rows(sample_weight, len(series)), incremental)
        training = _of_weight(series, targets, weights)
        validation = None
        if given_together(X_val, y_val, sample_weight_val):
            held = self._series("X_val", X_val, reset=False)
            held_targets = self._encoded(y_val, "y_val")
            check_consistent_length(held.x, held_targets)
            validation = _of_weight(held, held_targets, weights_of_rows(sample_weight_val, len(held)))
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        if not first:
            seed = self._seed
        if self.early_stopping and validation is None:
            training, validation = self._held_out(*training, seed)
        series, targets, weights = training
        times = series.times if validation is None else max(series.times, validation[0].times)
        self._check_times("X", series, times if first else self._times)
        if validation is not None:
            self._check_times("X_val", validation[0], series.times)
        if first:
            self._start(series, targets, weights, times, seed)
        elif times > self._times:
            self.network_ = longer(self.network_, times)
        self._train(X, y, sample_weight, training, validation, 1 if incremental else int(self.epochs))

    def _start(self, series: Series, targets: NDArray[Any], weights: Any, times: int, seed: int) -> None:
        """A new network, and what scales its inputs and outputs."""
        self._seed = seed
        self.standard_ = _standard_of(series, weights) if self.standardize else None
        outputs = self._begin(targets, weights)
        network = network_of(self, times, series.features, outputs, seed)
        network.optimizer = optimizer_of(self, network, self.lr)
        self.network_, self._lock = network, threading.Lock()

    def _train(
        self, X: Any, y: Any, sample_weight: Any, training: _Rows, validation: _Rows | None, epochs: int
    ) -> None:
        """Epochs of the network's own fit."""
        tasks = Tasks(self, X, lambda: y, sample_weight, epochs)
        series, targets, weights = training
        more: dict[str, Any] = {}
        if validation is not None:
            held, held_targets, held_weights = validation
            data = self._inputs(held, self.network_), self._network_targets(held_targets)
            more["validation_data"] = data if held_weights is None else (*data, held_weights)
            if self.early_stopping:
                more["early_stopping"] = EarlyStopping(int(self.patience))
        if tasks.wanted:
            more["callbacks"] = [_epoch_of(tasks)]
        with self._threads():
            self.history_ = self.network_.fit(
                self._inputs(series, self.network_),
                self._network_targets(targets),
                loss=self._loss(),
                optimizer=self.network_.optimizer,
                epochs=epochs,
                batch_size=int(self.batch_size),
                sample_weight=weights,
                clip_norm=None if self.clip_norm is None else float(self.clip_norm),
                verbose=min(int(self.verbose), 2),
                **more,
            )
        self.n_iter_ = len(self.history_)
        best = self.history_.best_epoch if self.early_stopping else None
        self.best_epoch_ = self.network_.epochs_done if best is None else best
        tasks.finish()

    def _held_out(self, series: Series, targets: NDArray[Any], weights: Any, seed: int) -> tuple[_Rows, _Rows]:
        """Rows to train on, and those that validate."""
        if self.validation_rows == "last":
            count = int(np.ceil(self.validation_fraction * len(series)))
            train, held = np.arange(len(series) - count), np.arange(len(series) - count, len(series))
            if not len(train):
                raise ValueError(
                    f"validation_fraction must leave rows to train on; got {self.validation_fraction} of {len(series)}"
                )
        else:
            train, held = train_test_split(
                np.arange(len(series)),
                test_size=self.validation_fraction,
                random_state=seed,
                stratify=self._stratify(targets),
            )
        parts = [(series.take(k), targets[k], None if weights is None else weights[k]) for k in (train, held)]
        return parts[0], parts[1]

    def _threads(self) -> AbstractContextManager[Any]:
        return threads(self.n_jobs) if self.n_jobs is not None and self.n_jobs > 0 else nullcontext()

    # -- inputs and outputs ------------------------------------------------------------------------------------------

    @property
    def _times(self) -> int:
        """That the network is made for."""
        return self.network_.inputs[0].dims[0]

    def _series(self, name: str, X: Any, reset: bool) -> Series:
        """X, with the check of its features."""
        series = series_of(name, X, self)
        if reset:
            self.n_features_in_, self._one_length = series.features, self.layer == "conv"
        elif series.features != self.n_features_in_:
            raise ValueError(
                f"{name} has {series.features} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input."
            )
        if self._one_length and series.lengths is not None:
            k = int((series.lengths != series.times).argmax())
            raise ValueError(
                f"{name} must have rows of one length with layer='conv'; {name}[{k}] has {series.lengths[k]} times of "
                f"{series.times}"
            )
        return series

    def _check_times(self, name: str, series: Series, times: int) -> None:
        """ValueError where the network takes rows of one length, and these have another."""
        if self._one_length and series.times != times:
            raise ValueError(f"{name} must have {times} times with layer='conv', as all rows; got {series.times}")

    def _inputs(self, series: Series, network: Network) -> Sequences:
        """Rows as a network takes them: scaled, zeros behind the end of each."""
        times = network.inputs[0].dims[0]
        found = np.zeros((len(series), times, series.features), network.dtype)
        into = found[:, : series.times]
        scale = self.standard_
        limit = float(np.finfo(network.dtype).max)
        with np.errstate(over="ignore"):
            if scale is None:
                np.clip(series.x, -limit, limit, out=into, casting="same_kind")
            else:
                np.clip((series.x - scale.means) / scale.deviations, -limit, limit, out=into, casting="same_kind")
        there = series.there()
        if there is not None:
            into[~there] = 0
        lengths = series.lengths
        if lengths is None and series.times < times:
            lengths = np.full(len(series), series.times, np.int64)
        return Sequences(found, lengths)

    def _output(self, X: Any) -> NDArray[Any]:
        """What the network gives for X, (rows, outputs)."""
        check_is_fitted(self)
        series = self._series("X", X, reset=False)
        self._check_times("X", series, self._times)
        network = self.network_
        if series.times > self._times:
            # A copy for this call: prediction changes nothing that is kept.
            network = longer(network, series.times)
        out = np.empty((len(series), network.n_out), network.dtype)
        each = max(1, _SLAB // (series.times * series.features))
        with self._lock, self._threads():
            for start in range(0, len(series), each):
                part = slice(start, start + each)
                network.predict(self._inputs(series.take(part), network), out[part])
        return out

    # -- state -------------------------------------------------------------------------------------------------------

    def _as_it_is(self) -> dict[str, Any]:
        """What a copy needs in order to predict as this would now."""
        kept = {name: value for name, value in self.__dict__.items() if name.endswith("_") and name != "history_"}
        own = {"_seed": self._seed, "_one_length": self._one_length, "_lock": threading.Lock()}
        return {**kept, "network_": deepcopy(self.network_), **own}

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = dict(super().__getstate__())
        state.pop("_lock", None)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "network_" in state:
            self._lock = threading.Lock()

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.non_deterministic = False
        return tags


#: Rows, their targets and weights.
_Rows = tuple[Series, "NDArray[Any]", Any]


def _of_weight(series: Series, targets: NDArray[Any], weights: NDArray[Any] | None) -> _Rows:
    """Without rows of weight 0, which count nothing; and without weights that are all 1."""
    if weights is None:
        return series, targets, None
    counts = weights > 0
    if not counts.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    weights = weights[counts]
    return series.take(counts), targets[counts], None if (weights == 1).all() else weights


def _standard_of(series: Series, weights: Any) -> Standardise:
    """Of each feature, over the times that are there."""
    there = series.there()
    x = series.x.reshape(-1, series.features) if there is None else series.x[there]
    if not len(x):
        raise ValueError("X must have at least one time to scale features by; got rows of length 0")
    if weights is not None:
        counts = series.times if series.lengths is None else series.lengths
        weights = np.repeat(weights, counts)
    return Standardise.fit(x, weights, name="X")


def _epoch_of(tasks: Tasks) -> Callable[[EpochRecord], bool]:
    """What is done after an epoch for scikit-learn's callbacks."""

    def after(record: EpochRecord) -> bool:
        tasks.begin()
        return tasks.end()

    return after
