"""Training and validation data of a fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, inputs, losses, targets
from ..arguments import number
from ..losses import Loss

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..trained import Trained

    Data = tuple[inputs.Data, NDArray[Any], NDArray[np.float64] | None]

# The validation split is the permutation of this epoch number, which no epoch has.
SPLIT_EPOCH = 2**32 - 1


def parted(rows: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The numbers of the rows to train on, and of those to validate on, at least one. Both rise."""
    held = max(1, round(rows * fraction))
    order = _core.permutation(rows, seed, SPLIT_EPOCH)
    return np.sort(order[: rows - held]), np.sort(order[rows - held :])


def split(
    network: Trained,
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
    data: Data = network._checked_data(X, y, loss, sample_weight, None)
    validation: Data | None = None
    if validation_data is not None:
        validation = _given(network, loss, validation_data)
    elif fraction > 0:
        data, validation = _held_out(data, fraction, network.seed)
    if class_weight is not None:
        data = _with_class_weight(data, loss, class_weight, network.n_out)
    return data, validation


def _given(network: Trained, loss: Loss | losses.LossFunction, validation_data: Any) -> Data:
    if not isinstance(validation_data, (tuple, list)) or len(validation_data) not in (2, 3):
        found = type(validation_data).__name__
        length = f" of {len(validation_data)}" if isinstance(validation_data, (tuple, list)) else ""
        raise ValueError(f"validation_data must be (X, y) or (X, y, sample_weight); got a {found}{length}")
    x, y, *rest = validation_data
    names = ("validation_data[0]", "validation_data[1]", "validation_data[2]")
    return network._checked_data(x, y, loss, rest[0] if rest else None, None, names)


def _held_out(data: Data, fraction: float, seed: int) -> tuple[Data, Data]:
    rows = inputs.rows(data[0])
    training_rows, validation_rows = parted(rows, fraction, seed)
    if not len(training_rows):
        raise ValueError(f"validation_fraction must leave rows to train on; got {fraction} of {rows} rows")
    validation, training = _rows_of(data, validation_rows), _rows_of(data, training_rows)
    targets.check_not_all_zero(validation[2], "sample_weight in the validation split")
    targets.check_not_all_zero(training[2], "sample_weight in the training split")
    return training, validation


def _rows_of(data: Data, rows: NDArray[np.int64]) -> Data:
    x, y, weights = data
    n = inputs.rows(x)
    chosen = None if weights is None else targets.select(weights, n, rows)
    return inputs.select(x, rows), targets.select(y, n, rows), chosen


def _with_class_weight(data: Data, loss: Loss | losses.LossFunction, class_weight: Any, n_out: int) -> Data:
    x, y, weights = data
    of_classes = targets.prepare_weights(loss, None, class_weight, y, n_out)
    weights = of_classes if weights is None or of_classes is None else weights * of_classes
    targets.check_not_all_zero(weights, "class_weight")
    return x, y, weights
