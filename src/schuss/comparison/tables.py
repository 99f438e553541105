"""A table as rows of numbers that a network of dense layers takes."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import number
from ..tables import Encoding, Schema, Standardise, Target, find_target, open_table, table_of
from ..tables.folds import folds
from ..tables.target import Task


@dataclass(frozen=True)
class Prepared:
    """What `compare` takes, from a table.

    Attributes
    ----------
    name : str
        Of the table.
    target : Target
        What is predicted.
    X, y : arrays
        Rows that are trained on: float32 columns; numbers of classes, or quantities in units of their deviation.
    validation_data : (X, y) or None
        Rows held out, of each class the same share.
    notes : tuple of str
        What reading had to decide.
    """

    name: str
    target: Target
    X: NDArray[np.float32]
    y: NDArray[Any]
    validation_data: tuple[NDArray[np.float32], NDArray[Any]] | None
    notes: tuple[str, ...]


def prepared(
    data: Any,
    target: str | None = None,
    *,
    fraction: float = 0.2,
    seed: int = 0,
    regression: bool | None = None,
) -> Prepared:
    """Bring a table into numbers: what each column is, and how it is scaled, is decided on the rows trained on.

    Parameters
    ----------
    data : str, path, DataFrame or Table
        A data set's name, a file, or columns of any kind.
    target : str, optional
        The column to predict. Default: target, label, class, y, or the last.
    fraction : float
        In [0, 1): share of the rows held out.
    seed : int
        What the rows held out follow from.
    regression : bool, optional
        Whether the target is a quantity. Default: found out from it.

    Raises
    ------
    DataError
        If the table cannot be read, or does not have what is asked for.
    """
    table = open_table(data) if isinstance(data, (str, os.PathLike)) else table_of(data)
    task: Task | None = None if regression is None else "regression" if regression else "classification"
    name = find_target(table.names, target)
    column, notes = Target.decide(table, name, task)
    y = column.read(table)
    known = np.flatnonzero(y >= 0 if column.classes else ~np.isnan(y))
    table, y = table.take(known) if len(known) < len(y) else table, y[known]
    labels = y if column.classes else None
    rows, held = folds(len(y), number("fraction", fraction, "[0, 1)"), 1, seed, labels)[0]
    trained = table.take(rows) if len(held) else table
    schema, said = Schema.decide(trained, [name])
    columns = schema.read(trained)
    encoding = Encoding.fit(columns, schema.cardinalities)
    X = encoding.transform(columns)["columns"]
    validation = None
    if not column.classes:
        y = Standardise.fit(y[rows].reshape(-1, 1)).transform(y.reshape(-1, 1))
        said = (
            *said,
            "The target is in units of its deviation from its mean: predicting the mean has an mse of about 1.",
        )
    if len(held):
        validation = encoding.transform(schema.read(table.take(held)))["columns"], y[held]
    return Prepared(table.name, column, X, y[rows], validation, (*notes, *said))
