"""Models and rows to what is predicted of them, and to scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..losses import Gaussian, Loss
from ..tables import Columns, TableModel, Target
from .scores import Predicted, Scores, of_classes, of_numbers

if TYPE_CHECKING:
    from ..tables.folds import Fold


def rows_of(columns: Columns, rows: NDArray[np.int64] | None) -> Columns:
    """Some of the rows; None: all."""
    return columns if rows is None else Columns(columns.numbers[rows], columns.codes[rows])


def predicted(model: TableModel, columns: Columns, y: NDArray[Any], rows: NDArray[np.int64] | None = None) -> Predicted:
    """What the model says of rows, or of some of them, beside what is right."""
    if rows is not None and len(rows) < len(y):
        columns, y = rows_of(columns, rows), y[rows]
    outputs = model.outputs(columns)
    if model.is_classifier:
        return Predicted(y, model.head.probabilities(outputs, model.temperature))
    deviations = model.head.deviations(outputs) if isinstance(model.head.loss, Gaussian) else None
    return Predicted(y, model.head.quantities(outputs), deviations)


def out_of_fold(model: TableModel, columns: Columns, y: NDArray[Any], parts: Sequence[Fold]) -> Predicted | None:
    """What is said of rows that validate: of each, the mean over the members that have not trained on it.

    None: none validates.
    """
    held = np.unique(np.concatenate([test for _, test in parts]))
    if not len(held):
        return None
    found = [
        predicted(replace(model, networks=(network,)), columns, y, test)
        for network, (_, test) in zip(model.networks, parts, strict=True)
    ]
    if len(found) == 1:
        return found[0]
    times = np.zeros(len(y))
    total = np.zeros((len(y), *found[0].values.shape[1:]))
    variance = np.zeros(len(y))
    for one, (_, test) in zip(found, parts, strict=True):
        times[test] += 1
        total[test] += one.values
        if one.deviations is not None:
            variance[test] += one.deviations**2
    shape = (-1,) + (1,) * (total.ndim - 1)
    deviations = None if found[0].deviations is None else np.sqrt(variance[held] / times[held])
    return Predicted(y[held], total[held] / times[held].reshape(shape), deviations)


def scores_of(found: Predicted, target: Target, loss: Loss) -> Scores:
    """Those for what is predicted."""
    return of_classes(found) if target.classes else of_numbers(found, loss)
