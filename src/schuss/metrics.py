"""Metrics by name or as functions (prediction, target) -> number."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import items, shown, unknown_name
from .losses import BinaryCrossEntropy, CrossEntropy, Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Metric = Callable[[Any, Any], float]
    Measure = Callable[[NDArray[Any], NDArray[Any], NDArray[np.float64] | None], float]

#: Metrics known by name, and whether less is better.
KNOWN = {"accuracy": False, "mse": True, "mae": True, "r2": False}
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
    if name == "accuracy":
        if isinstance(loss, BinaryCrossEntropy):
            threshold = 0.5 if activation == "sigmoid" else 0.0
            return lambda prediction, target, weights: _mean((prediction > threshold) == (target > 0.5), weights)
        if isinstance(loss, CrossEntropy) or (not isinstance(loss, Loss) and n_out > 1):
            return _accuracy
        raise ValueError(
            f"metric 'accuracy' is for cross_entropy and binary_cross_entropy; got loss "
            f"{loss.name if isinstance(loss, Loss) else shown(loss)}"
        )
    if isinstance(loss, CrossEntropy):
        raise ValueError(f"metric {name!r} is for numbers as targets; got loss cross_entropy")
    return {"mse": _mse, "mae": _mae, "r2": _r2}[name]


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


def _accuracy(prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
    """Share of rows whose largest output is the label, or where the target has its largest."""
    labels = target if target.ndim == 1 else target.argmax(axis=1)
    return _mean(prediction.argmax(axis=1) == labels, weights)


def _mse(prediction: NDArray[Any], target: NDArray[Any], weights: NDArray[np.float64] | None) -> float:
    difference = np.subtract(prediction, target, dtype=np.float64)
    return _mean(difference * difference, weights)


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
