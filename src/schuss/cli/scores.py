"""How good predictions are: by numbers, in the units of the table, beside what a constant would reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..losses import Gamma, Gaussian, Loss, Poisson, Quantile, Tweedie

Scores = dict[str, float]

# Beyond that many classes, one against the rest says little and takes long.
MOST_CLASSES_FOR_AUC = 20


@dataclass(frozen=True, eq=False)
class Predicted:
    """What a model says of rows, and what is right.

    Attributes
    ----------
    y : (rows,) int64 numbers of classes, or float64
    values : (rows, classes) probabilities; (rows,) quantities; (rows, quantiles)
    deviations : (rows,) float64 or None
        Of normal distributions around the quantities.
    """

    y: NDArray[Any]
    values: NDArray[np.float64]
    deviations: NDArray[np.float64] | None = None


# ---- classes ------------------------------------------------------------------------------------------------------


def of_classes(found: Predicted) -> Scores:
    """Log loss, accuracy, balanced accuracy and, of few classes, the area under the ROC curve."""
    scores = {
        "log loss": log_loss(found.values, found.y),
        "accuracy": accuracy(found.values, found.y),
        "balanced accuracy": balanced_accuracy(found.values, found.y),
    }
    classes = found.values.shape[1]
    if classes <= MOST_CLASSES_FOR_AUC:
        scores["AUC" if classes == 2 else "AUC, one against the rest"] = auc(found.values, found.y)
    return scores


def log_loss(probabilities: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Mean of -log p of what is right; a p of 0 counts as the least step above it."""
    right = probabilities[np.arange(len(y)), y]
    return float(-np.log(np.maximum(right, np.finfo(np.float64).eps)).mean())


def accuracy(probabilities: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Share of rows whose most probable class is right."""
    return float((probabilities.argmax(axis=1) == y).mean())


def balanced_accuracy(probabilities: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Mean over the classes that are there of the share of their rows that are predicted right."""
    rows = np.bincount(y)
    right = np.bincount(y[probabilities.argmax(axis=1) == y], minlength=len(rows))
    return float((right[rows > 0] / rows[rows > 0]).mean())


def auc(probabilities: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """How often a row of a class is given more of it than a row of another, ties half; the mean over the classes.

    NaN where only one class is there.
    """
    if probabilities.shape[1] == 2:
        return _auc(probabilities[:, 1], y == 1)
    areas = [_auc(column, y == k) for k, column in enumerate(probabilities.T)]
    known = [area for area in areas if area == area]
    return float(np.mean(known)) if known else float("nan")


def _auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    n, rest = int(positive.sum()), int((~positive).sum())
    if not n or not rest:
        return float("nan")
    _, place, times = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(times) - (times - 1) / 2)[place]  # equal scores share the mean of their ranks
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * rest))


def confusion(probabilities: NDArray[np.float64], y: NDArray[np.int64]) -> NDArray[np.int64]:
    """(classes, classes): in how many rows of the class k the class l is predicted."""
    k = probabilities.shape[1]
    return np.bincount(y * k + probabilities.argmax(axis=1), minlength=k * k).reshape(k, k).astype(np.int64)


# ---- quantities ---------------------------------------------------------------------------------------------------


def of_numbers(found: Predicted, loss: Loss | None = None) -> Scores:
    """R2, RMSE and MAE, and what the loss is about beyond that: deviance, pinball loss, likelihood."""
    y, values = found.y, found.values
    if isinstance(loss, Quantile):
        return _of_quantiles(y, values if values.ndim == 2 else values[:, None], loss)
    scores = {"R2": r2(values, y), "RMSE": rmse(values, y), "MAE": mae(values, y)}
    deviance = deviance_of(loss)
    if deviance is not None:
        scores[deviance[0]] = deviance[1](values, y)
    if isinstance(loss, Gaussian) and found.deviations is not None:
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            nll = ((y - values) / found.deviations) ** 2 / 2 + np.log(found.deviations) + np.log(2 * np.pi) / 2
        scores["negative log-likelihood"] = float(nll.mean())
    return scores


def r2(values: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """1 - squared error over that of the mean; NaN where all are equal."""
    with np.errstate(over="ignore"):
        total, rest = float(((y - y.mean()) ** 2).sum()), float(((y - values) ** 2).sum())
    return 1.0 - rest / total if 0 < total < np.inf else float("nan")


def rmse(values: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Root of the mean squared error."""
    with np.errstate(over="ignore"):
        return float(np.sqrt(((y - values) ** 2).mean()))


def mae(values: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Mean absolute error."""
    return float(np.abs(y - values).mean())


def deviance_of(loss: Loss | None) -> tuple[str, Callable[[NDArray[Any], NDArray[Any]], float]] | None:
    """Name and function of the deviance that a loss makes small."""
    if isinstance(loss, Poisson):
        return "Poisson deviance", lambda values, y: _deviance(values, y, 1.0)
    if isinstance(loss, Gamma):
        return "gamma deviance", lambda values, y: _deviance(values, y, 2.0)
    if isinstance(loss, Tweedie):
        power = loss.power
        return f"Tweedie deviance, power {power:g}", lambda values, y: _deviance(values, y, power)
    return None


def _deviance(mu: NDArray[np.float64], y: NDArray[np.float64], p: float) -> float:
    """Twice the difference of log-likelihoods, the mean over rows."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        if p == 1:
            each = np.where(y > 0, y * np.log(np.where(y > 0, y, 1) / mu), 0.0) - y + mu
        elif p == 2:
            each = y / mu - np.log(y / mu) - 1
        else:
            each = y ** (2 - p) / ((1 - p) * (2 - p)) - y * mu ** (1 - p) / (1 - p) + mu ** (2 - p) / (2 - p)
        return float(2 * each.mean())


def _of_quantiles(y: NDArray[np.float64], values: NDArray[np.float64], loss: Quantile) -> Scores:
    given = loss.quantile
    scores: Scores = {}
    for q, column in zip(given if isinstance(given, tuple) else (given,), values.T, strict=True):
        below = y - column
        scores[f"pinball loss of {q:g}"] = float(np.maximum(q * below, (q - 1) * below).mean())
        scores[f"share of rows below {q:g}"] = float((below <= 0).mean())
    return scores


# ---- constants ----------------------------------------------------------------------------------------------------


def baseline_of_classes(training: NDArray[np.int64], classes: int, y: NDArray[np.int64]) -> Scores:
    """What the shares of classes in training reach as probabilities of every row."""
    shares = np.bincount(training, minlength=classes) / len(training)
    return of_classes(Predicted(y, np.broadcast_to(shares, (len(y), classes))))


def baseline_of_numbers(training: NDArray[np.float64], y: NDArray[np.float64], loss: Loss | None = None) -> Scores:
    """What the mean of training reaches; for MAE its median, for quantiles its quantiles."""
    if isinstance(loss, Quantile):
        constants = np.quantile(training, loss.quantile)
        return of_numbers(Predicted(y, np.broadcast_to(constants, (len(y), np.size(constants)))), loss)
    with np.errstate(over="ignore"):
        mean, deviation = training.mean(), training.std()
    scores = of_numbers(Predicted(y, np.full(len(y), mean), np.full(len(y), deviation)), loss)
    scores["MAE"] = mae(np.full(len(y), np.median(training)), y)
    return scores
