"""Targets and weights as the core takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, arrays
from .arguments import integer, number
from .losses import BinaryCrossEntropy, BinaryFocal, CrossEntropy, Focal, Gamma, Gaussian, Loss, Tweedie

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INT64 = np.dtype(np.int64)
_FLOAT64 = np.dtype(np.float64)
_smallest: Callable[[NDArray[Any]], Any] = np.minimum.reduce

# How far a row of probabilities may be from summing to 1.
ROW_SUM_TOLERANCE = 1e-3


def prepare(
    loss: Loss | Callable[..., Any],
    y: Any,
    rows: int,
    n_out: int,
    dtype: np.dtype[Any],
    name: str = "y",
) -> NDArray[Any]:
    """The targets as the core takes them, shape and range checked. NaN in regression targets is left to check_finite.

    Returns int64 labels (rows,) for cross-entropy with integer labels; (rows, n_out) of dtype else; for a function of
    one's own the array itself, contiguous and native.
    """
    if isinstance(loss, CrossEntropy) or type(loss) is Focal:
        target = _cross_entropy_targets(y, rows, n_out, dtype, name)
        if type(loss) is Focal and target.ndim != 1:
            raise ValueError(f"{name} must be integer labels for focal; got shape {target.shape}")
        return target
    if not isinstance(loss, Loss):
        array = arrays.real_array(name, y)
        _check_rows(name, array, rows)
        return arrays.converted(array, array.dtype.newbyteorder("="))
    if isinstance(loss, Gaussian):
        if n_out % 2:
            raise ValueError(f"loss gaussian needs two outputs of the network for each target; got {n_out}")
        n_out //= 2
    target = _real_targets(y, rows, n_out, dtype, name)
    check_range(loss, target, name)
    return target


def at_positions(name: str, y: Any, rows: int, dims: tuple[int, ...]) -> NDArray[Any]:
    """Targets (rows, *dims) or (rows, *dims, columns) with a row for each position."""
    array = arrays.real_array(name, y)
    if array.shape[: 1 + len(dims)] != (rows, *dims) or array.ndim > 2 + len(dims):
        shape = ", ".join(map(str, (rows, *dims)))
        raise ValueError(
            f"{name} must have shape ({shape}) or ({shape}, columns), one at each position; got {array.shape}"
        )
    return array.reshape(-1, *array.shape[1 + len(dims) :])


def weights_at_positions(name: str, weights: Any, rows: int, dims: tuple[int, ...]) -> NDArray[Any]:
    """Weights (rows,) or (rows, *dims) with one for each position."""
    array = arrays.real_array(name, weights)
    if array.shape == (rows,):
        array = np.broadcast_to(array.reshape(rows, *(1,) * len(dims)), (rows, *dims))
    if array.shape != (rows, *dims):
        raise ValueError(f"{name} must have shape ({rows},) or {(rows, *dims)}; got {array.shape}")
    return array.reshape(-1)


def select(array: NDArray[Any], rows: int, index: NDArray[Any]) -> NDArray[Any]:
    """Of targets or weights of so many rows, with a row for each position, those of the rows of these numbers."""
    rest = array.shape[1:]
    found: NDArray[Any] = array[index] if len(array) == rows else array.reshape(rows, -1, *rest)[index]
    return found.reshape(-1, *rest)


def check_range(loss: Loss, target: NDArray[Any], name: str) -> None:
    """ValueError with the first position of a number that this loss has no value for. NaN is left to check_finite."""
    if not _core.targets_in_range(loss.name, target.reshape(len(target), -1)):
        if isinstance(loss, (BinaryCrossEntropy, BinaryFocal)):
            arrays.check_where(name, target, (target >= 0) & (target <= 1), f"in [0, 1] for {loss.name}")
        arrays.check_where(name, target, target >= 0, f">= 0 for {loss.name}")
    if isinstance(loss, Gamma) or (isinstance(loss, Tweedie) and loss.power >= 2):
        arrays.check_where(name, target, ~(target <= 0), f"> 0 for {loss.name}")


def _check_rows(name: str, array: NDArray[Any], rows: int) -> None:
    if array.ndim == 0 or len(array) != rows:
        raise ValueError(f"{name} must have {rows} rows, as many as its inputs; got shape {array.shape}")


def _real_targets(y: Any, rows: int, n_out: int, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    array = arrays.real_array(name, y)
    _check_rows(name, array, rows)
    if array.ndim == 1 and n_out == 1:
        array = array.reshape(-1, 1)
    if array.shape != (rows, n_out):
        raise ValueError(f"{name} must have shape ({rows}, {n_out}); got {array.shape}")
    return arrays.converted(array, dtype)


def _cross_entropy_targets(y: Any, rows: int, n_out: int, dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    if n_out < 2:
        raise ValueError(
            f"loss cross_entropy needs a network of at least 2 outputs; got {n_out} (binary_cross_entropy takes 1)"
        )
    array = arrays.real_array(name, y, f"; class names as labels: np.unique({name}, return_inverse=True)[1]")
    _check_rows(name, array, rows)
    if array.ndim == 2 and array.shape[1] == n_out:
        return _probability_rows(array, dtype, name)
    if array.shape == (rows, 1):
        array = array.reshape(-1)
    if array.ndim != 1:
        raise ValueError(
            f"{name} must be labels of shape ({rows},) or probabilities of shape ({rows}, {n_out}); got {array.shape}"
        )
    if array.dtype.kind == "f":
        raise TypeError(
            f"{name} must be integer labels for cross_entropy; got dtype {array.dtype}; use {name}.astype(int)"
        )
    labels = arrays.converted(array, _INT64)  # what is too large for it becomes negative
    if not _core.labels_in_range(labels, n_out):
        arrays.check_where(name, array, (array >= 0) & (array < n_out), f"labels from 0 to {n_out - 1}")
    return labels


def _probability_rows(array: NDArray[Any], dtype: np.dtype[Any], name: str) -> NDArray[Any]:
    target = arrays.converted(array, dtype)
    if not _smallest(target.reshape(-1)) >= 0:
        arrays.check_where(name, target, target >= 0, "probabilities >= 0")
    sums = target.sum(axis=1, dtype=np.float64)
    good = np.abs(sums - 1.0) <= ROW_SUM_TOLERANCE
    if not good.all():
        row = int(good.argmin())
        raise ValueError(f"{name} must have rows that sum to 1; row {row} sums to {sums[row]:.6g}")
    return target


def prepare_weights(
    loss: Loss | Callable[..., Any],
    sample_weight: Any,
    class_weight: Any,
    target: NDArray[Any],
    n_out: int,
    name: str = "sample_weight",
) -> NDArray[np.float64] | None:
    """Row weights, float64 (rows,): sample weights times class weights; None if neither is given."""
    if sample_weight is None and class_weight is None:
        return None
    if not isinstance(loss, Loss):
        given = name if sample_weight is not None else "class_weight"
        raise ValueError(f"{given} must be None with a loss function of one's own, which can weight its rows itself")
    weights: NDArray[np.float64] | None = None
    if sample_weight is not None:
        array = arrays.real_array(name, sample_weight)
        if array.shape != (len(target),):
            raise ValueError(f"{name} must have shape ({len(target)},), one a row; got {array.shape}")
        weights = arrays.converted(array, _FLOAT64)
        if not _core.weights_in_range(weights):
            arrays.check_finite(name, weights)
            arrays.check_where(name, weights, weights >= 0, ">= 0")
    if class_weight is not None:
        of_rows = _class_weights(loss, class_weight, target, n_out)
        weights = of_rows if weights is None else weights * of_rows
    return weights


def _class_weights(loss: Loss, class_weight: Any, target: NDArray[Any], n_out: int) -> NDArray[np.float64]:
    if isinstance(loss, CrossEntropy) and target.ndim == 1:
        labels, classes = target, n_out
    elif isinstance(loss, BinaryCrossEntropy) and n_out == 1:
        labels, classes = target.reshape(-1).astype(np.int64), 2
        arrays.check_where("y", target.reshape(-1), labels == target.reshape(-1), "0 or 1 for class_weight")
    else:
        raise ValueError(
            f"class_weight is for cross_entropy with integer labels and binary_cross_entropy with one output; "
            f"got loss {loss.name}, targets of shape {target.shape}"
        )
    weights: NDArray[np.float64]
    if isinstance(class_weight, str):
        if class_weight != "balanced":
            raise ValueError(f"class_weight must be 'balanced', a dict or an array; got {class_weight!r}")
        counts = np.bincount(labels, minlength=classes)
        weights = len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1).astype(np.float64))
    elif isinstance(class_weight, Mapping):
        weights = np.ones(classes)
        for label, weight in class_weight.items():
            index = integer("class_weight's label", label, 0, classes - 1)
            weights[index] = number(f"class_weight[{label}]", weight, "[0, inf)")
    else:
        array = arrays.real_array("class_weight", class_weight)
        if array.shape != (classes,):
            raise ValueError(f"class_weight must have shape ({classes},), one a class; got {array.shape}")
        weights = arrays.converted(array, _FLOAT64)
        arrays.check_finite("class_weight", weights)
        arrays.check_where("class_weight", weights, weights >= 0, ">= 0")
    result: NDArray[np.float64] = weights[labels]
    return result


def check_not_all_zero(weights: NDArray[np.float64] | None, name: str) -> None:
    """ValueError if all rows have weight zero: nothing would be learned or measured, silently."""
    if weights is not None and not weights.any():
        raise ValueError(f"{name} must leave at least one row with a weight above 0; got 0 for every row")
