"""Metrics by name or as functions (prediction, target) -> number."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import items, shown, unknown_name
from .habits import teller
from .losses import BinaryCrossEntropy, CrossEntropy, Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Metric = Callable[[Any, Any], float]
    Measure = Callable[[NDArray[Any], NDArray[Any], NDArray[np.float64] | None], float]

#: Metrics known by name, and whether less is better.
KNOWN = {
    "accuracy": False,
    "error": True,
    "balanced_accuracy": False,
    "log_loss": True,
    "auc": False,
    "mse": True,
    "rmse": True,
    "mae": True,
    "r2": False,
}
EXPECTED = "names or functions (prediction, target) -> number"


def resolve(
    metrics: str | Metric | Iterable[str | Metric], loss: Loss | Callable[..., Any], n_out: int, activation: str
) -> dict[str, Measure]:
    """Name -> function of (prediction, target, weights), for a network with that output layer."""
    found: dict[str, Measure] = {}
    for metric in [metrics] if isinstance(metrics, str) else items("metrics", metrics, EXPECTED):
        if isinstance(metric, str):
            name, measure = metric, _known(metric, loss, n_out, activation)
        elif callable(metric):
            name = getattr(metric, "__name__", type(metric).__name__)
            measure = _own(name, metric)
        else:
            raise TypeError(f"metrics must be {EXPECTED}; got {shown(metric)}")
        if name in found or name == "loss" or name.startswith("val_"):
            raise ValueError(f"metrics must have different names, not 'loss' or 'val_...'; got {name!r}")
        found[name] = measure
    return found


def _known(name: str, loss: Loss | Callable[..., Any], n_out: int, activation: str) -> Measure:
    if name not in KNOWN:
        raise unknown_name("metric", name, KNOWN)
    return _without_warnings(_measure(name, loss, n_out, activation))


def _without_warnings(measure: Measure) -> Measure:
    """A sum or a square of values that are too large for double is infinite or NaN, and that is all."""

    def measured(prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
        if weights is None and prediction.dtype.itemsize < 8:  # sums of squares of float32 are numbers of double
            return measure(prediction, target, weights)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            return measure(prediction, target, weights)

    return measured


def _measure(name: str, loss: Loss | Callable[..., Any], n_out: int, activation: str) -> Measure:
    of_numbers: dict[str, Measure] = {"mse": _mse, "rmse": _rmse, "mae": _mae, "r2": _r2}
    if name in of_numbers:
        if isinstance(loss, CrossEntropy):
            raise ValueError(f"metric {name!r} is for numbers as targets; got loss cross_entropy")
        return of_numbers[name]
    of_classes: _OfClasses
    if isinstance(loss, BinaryCrossEntropy):
        of_classes = _OfTwo(activation == "sigmoid")
    elif isinstance(loss, CrossEntropy) or (not isinstance(loss, Loss) and n_out > 1):
        of_classes = _OfMany(activation == "softmax")
        if name == "auc" and n_out != 2:
            raise ValueError(f"metric 'auc' is for two classes; got a network with {n_out} outputs")
    else:
        raise ValueError(
            f"metric {name!r} is for cross_entropy and binary_cross_entropy; got loss "
            f"{loss.name if isinstance(loss, Loss) else shown(loss)}"
        )
    measure: Measure = getattr(of_classes, name)
    return measure


def _own(name: str, metric: Metric) -> Measure:
    def measure(prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
        value = metric(prediction, target)
        if np.ndim(value) != 0 or np.asarray(value).dtype.kind not in "biuf":
            raise TypeError(f"metric {name!r} must return a number; got {shown(value)} ({type(value).__name__})")
        return float(value)

    return measure


def _mean(values: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
    """Weighted mean over rows of the mean over outputs, in double."""
    rows = values.mean(axis=1, dtype=np.float64) if values.ndim == 2 else values
    return float(np.average(rows, weights=weights)) if weights is None or weights.any() else float("nan")


class _OfClasses(ABC):
    """Metrics of predicted classes.

    Parameters
    ----------
    probabilities : bool
        Whether the network gives these, rather than what they are made of.
    """

    def __init__(self, probabilities: bool) -> None:
        self._probabilities = probabilities

    @abstractmethod
    def _hits(self, prediction: NDArray[Any], target: NDArray[Any]) -> NDArray[np.bool_]:
        """Where the predicted class is the target."""

    @abstractmethod
    def _losses(self, prediction: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
        """The cross-entropy of each row, or of each output of each row."""

    @abstractmethod
    def _columns(
        self, prediction: NDArray[Any], target: NDArray[Any]
    ) -> Iterable[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]]:
        """For each output that is classes of its own: a score of the second one, the classes, and where it hits."""

    def accuracy(self, prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
        """Share of rows whose class is predicted."""
        return _mean(self._hits(prediction, target), weights)

    def error(self, prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
        """Share of rows whose class is not predicted."""
        return _mean(~self._hits(prediction, target), weights)

    def log_loss(self, prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
        """Mean cross-entropy, in double. A probability that is given counts as at least the eps of its dtype."""
        exact = prediction.astype(np.float64)
        if self._probabilities:
            eps = float(np.finfo(prediction.dtype).eps)
            exact = np.clip(exact, eps, 1.0 - eps)
        return _mean(self._losses(exact, target), weights)

    def balanced_accuracy(
        self, prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None
    ) -> float:
        """Mean over the classes that occur of the share of their rows that is predicted."""
        found = [_mean_recall(classes, hits, weights) for _, classes, hits in self._columns(prediction, target)]
        return float(np.mean(found))

    def auc(self, prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
        """Probability that a row of the second class has a higher score than one of the first; ties count half."""
        found = [_area(scores, classes == 1, weights) for scores, classes, _ in self._columns(prediction, target)]
        return float(np.mean(found))


class _OfTwo(_OfClasses):
    """Each output is two classes: binary cross-entropy."""

    def _hits(self, prediction: NDArray[Any], target: NDArray[Any]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (prediction > (0.5 if self._probabilities else 0.0)) == (target > 0.5)
        return found

    def _losses(self, prediction: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._probabilities:
            return -(target * np.log(prediction) + (1.0 - target) * np.log1p(-prediction))
        return np.logaddexp(0.0, prediction) - target * prediction

    def _columns(
        self, prediction: NDArray[Any], target: NDArray[Any]
    ) -> Iterable[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]]:
        hits = self._hits(prediction, target)
        for k in range(prediction.shape[1]):
            yield prediction[:, k].astype(np.float64), (target[:, k] > 0.5).astype(np.int64), hits[:, k]


class _OfMany(_OfClasses):
    """Each row is of one class: cross-entropy."""

    @staticmethod
    def _labels(target: NDArray[Any]) -> NDArray[np.int64]:
        """The class of each row; of a row of probabilities, where it has its largest."""
        return target if target.ndim == 1 else target.argmax(axis=1)

    def _hits(self, prediction: NDArray[Any], target: NDArray[Any]) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = prediction.argmax(axis=1) == self._labels(target)
        return found

    def _losses(self, prediction: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
        if self._probabilities:
            logs = np.log(prediction)
        else:
            below = prediction - prediction.max(axis=1, keepdims=True)
            logs = below - np.log(np.exp(below).sum(axis=1, keepdims=True))
        found: NDArray[np.float64]
        if target.ndim == 1:
            found = -logs[np.arange(len(target)), target.astype(np.int64)]
        else:
            found = -(target * logs).sum(axis=1)
        return found

    def _columns(
        self, prediction: NDArray[Any], target: NDArray[Any]
    ) -> Iterable[tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]]:
        exact = prediction.astype(np.float64)
        scores = exact[:, 1] if self._probabilities or exact.shape[1] < 2 else exact[:, 1] - exact[:, 0]
        yield scores, self._labels(target), self._hits(prediction, target)


def _mean_recall(classes: NDArray[np.int64], hits: NDArray[np.bool_], weights: NDArray[np.float64] | None) -> float:
    w = np.ones(len(classes)) if weights is None else weights
    total, right = np.bincount(classes, w), np.bincount(classes, w * hits)
    occur = total > 0
    return float((right[occur] / total[occur]).mean()) if occur.any() else float("nan")


def _area(scores: NDArray[np.float64], second: NDArray[np.bool_], weights: NDArray[np.float64] | None) -> float:
    """The area under the receiver operating characteristic; NaN where only one class occurs, or a score is NaN."""
    if np.isnan(scores).any():
        return float("nan")
    w = np.ones(len(scores)) if weights is None else weights
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    first_of_ties = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    higher = np.add.reduceat(np.where(second, w, 0.0)[order], first_of_ties)
    lower = np.add.reduceat(np.where(second, 0.0, w)[order], first_of_ties)
    below = np.cumsum(lower) - lower
    pairs = higher.sum() * lower.sum()
    return float((higher * (below + 0.5 * lower)).sum() / pairs) if pairs > 0 else float("nan")


def _mse(prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
    difference = np.subtract(prediction, target, dtype=np.float64)
    return _mean(difference * difference, weights)


def _rmse(prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
    """The root of each output's mean square, and of these the mean."""
    difference = np.subtract(prediction, target, dtype=np.float64)
    squares = difference * difference
    return float(np.mean([np.sqrt(_mean(column, weights)) for column in squares.reshape(len(squares), -1).T]))


def _mae(prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
    return _mean(np.abs(np.subtract(prediction, target, dtype=np.float64)), weights)


def _r2(prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
    """1 - residual over total sum of squares, mean over outputs; NaN for an output whose target is constant."""
    w = np.ones((len(target), 1)) if weights is None else weights[:, None]
    exact = target.astype(np.float64)
    residual = (w * (exact - prediction) ** 2).sum(axis=0)
    centre = (w * exact).sum(axis=0) / w.sum()
    total = (w * (exact - centre) ** 2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(total > 0, 1.0 - residual / total, np.nan).mean())


if not TYPE_CHECKING:
    __getattr__ = teller(__name__)
