"""From a row of the list to features and a target."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .packages import read
from .tables import Table


@dataclass(frozen=True)
class Data:
    """Features as a person would have them (text, numbers, gaps) and what is to be predicted."""

    table: Table
    X: pd.DataFrame
    y: pd.Series


def _text(column: pd.Series) -> pd.Series:
    """Return numbers that are names as text; gaps stay gaps."""
    return column.map(lambda value: str(int(value)), na_action="ignore").astype(object)


def load(table: Table) -> Data:
    """Return a table from its installed package.

    Raises
    ------
    MissingPackage
        If it is not installed, with what to install.
    """
    frame = read(table.package, table.item)
    if table.prepare is not None:
        frame = table.prepare(frame)
    frame = frame[frame[table.target].notna()].reset_index(drop=True)
    y = frame[table.target]
    X = frame.drop(columns=[table.target, *table.drop])
    X = X.assign(**{name: _text(X[name]) for name in table.codes})
    if table.task == "regression":
        y = y.astype(float)
        return Data(table, X, np.log(y) if table.log else y)
    return Data(table, X, _text(y) if y.dtype.kind in "iuf" else y.astype(object))
