"""What each kind of peer needs of the columns: made from the training rows, as its documentation says to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

NUMBERS = make_column_selector(dtype_include=np.number)
WORDS = make_column_selector(dtype_exclude=np.number)


class Categories(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Text becomes pandas' category type with the categories of the training rows; others are missing.

    Parameters
    ----------
    most : int, optional
        At most so many categories a column, the most frequent ones; others are missing.
    missing : str, optional
        A category for gaps, also where training has none, and for what training has not.
    medians : bool
        Fill gaps among numbers with the median of the training rows.
    """

    def __init__(self, most: int | None = None, missing: str | None = None, medians: bool = False) -> None:
        self.most = most
        self.missing = missing
        self.medians = medians

    def fit(self, X: pd.DataFrame, y: Any = None) -> Categories:
        """Remember the categories of each column of text, and the medians."""
        words = WORDS(X)
        counts = {name: X[name].value_counts() for name in words}
        self.kinds_ = {
            name: pd.CategoricalDtype([*sorted(count.index[: self.most]), *([self.missing] if self.missing else [])])
            for name, count in counts.items()
        }
        self.medians_ = X[NUMBERS(X)].median() if self.medians else None
        return self

    def transform(self, X: pd.DataFrame) -> pd.DataFrame:
        """Return the columns of text as categories."""
        known = {name: X[name].where(X[name].isin(kind.categories)) for name, kind in self.kinds_.items()}
        if self.missing is not None:
            known = {name: column.fillna(self.missing) for name, column in known.items()}
        X = X.assign(**{name: column.astype(self.kinds_[name]) for name, column in known.items()})
        return X if self.medians_ is None else X.fillna(self.medians_.to_dict())


def scaled() -> ColumnTransformer:
    """One-hot for text, standard scaling after the median for numbers, and a column that says where a gap was."""
    numbers: Pipeline = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    words = OneHotEncoder(handle_unknown="ignore")
    return ColumnTransformer([("numbers", numbers, NUMBERS), ("words", words, WORDS)])


def ordinal() -> ColumnTransformer:
    """Text as the number of its category, for trees that take gaps but no categories."""
    words = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer([("words", words, WORDS)], remainder="passthrough")
