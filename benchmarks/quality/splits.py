"""How rows are divided into training and test."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from sklearn.model_selection import train_test_split

from .loading import Data

SPLITS = 5


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows that no model sees before it is scored."""

    X_train: pd.DataFrame
    X_test: pd.DataFrame
    y_train: pd.Series
    y_test: pd.Series


def split(data: Data, number: int) -> Split:
    """Return split `number` of a table: a fifth of the rows for the test, classes in their shares."""
    classes = data.y if data.table.task == "classification" else None
    parts = train_test_split(data.X, data.y, test_size=0.2, random_state=number, stratify=classes)
    return Split(*(part.reset_index(drop=True) for part in parts))
