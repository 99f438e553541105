"""Numbers in place of missing ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .base import FLOAT64, Step, numbers, training_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class MedianFill(Step):
    """The median of the training rows stands for a missing number (NaN), beside columns that say so.

    A column in which training rows were missing gets a further column behind all numbers: 1 where the number is
    missing, else 0. A number that is missing only later is filled in without a trace.

    Parameters
    ----------
    medians : (columns,) array of float64
        0 for a column of which training had no number.
    indicated : (columns,) array of int64
        1 where there is an indicator, else 0.

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.tables import MedianFill
    >>> fill = MedianFill.fit([[1.0, 5.0], [3.0, np.nan], [8.0, 7.0]])
    >>> fill.transform([[np.nan, np.nan]])
    array([[3., 6., 1.]])
    """

    _arrays: ClassVar[Mapping[str, np.dtype[Any]]] = {"medians": FLOAT64, "indicated": np.dtype(np.int64)}
    medians: NDArray[np.float64]
    indicated: NDArray[np.int64]

    @classmethod
    def fit(cls, X: Any, *, indicators: bool = True) -> MedianFill:
        """Learn the medians of training rows (rows, columns).

        Raises
        ------
        ValueError, TypeError
            If X is no matrix of real numbers, or one is infinite.
        """
        X = training_numbers("X", X)
        missing = np.isnan(X)
        gaps = missing.any(axis=0)
        some = ~missing.all(axis=0)
        medians = np.zeros(X.shape[1])
        for column in np.flatnonzero(some):
            values = X[:, column]
            medians[column] = _median(values[~missing[:, column]] if gaps[column] else values)
        # A column that is always missing says nothing, and neither does its indicator.
        return cls(medians, (gaps & some & indicators).astype(np.int64))

    @property
    def width(self) -> int:
        """Columns that come out."""
        return len(self.medians) + int(self.indicated.sum())

    def filled(self, X: Any) -> NDArray[np.float64]:
        """(rows, columns) with all numbers there, without the indicators."""
        X = numbers("X", X, len(self.medians))
        return np.where(np.isnan(X), self.medians, X)

    def indicators(self, X: Any) -> NDArray[np.float64]:
        """(rows, indicators) of 1.0 where a number is missing, else 0.0."""
        X = numbers("X", X, len(self.medians))
        missing: NDArray[np.float64] = np.isnan(X[:, self.indicated == 1]).astype(np.float64)
        return missing

    def transform(self, X: Any) -> NDArray[np.float64]:
        """(rows, width): the filled numbers, then the indicators.

        Raises
        ------
        ValueError, TypeError
            If X is no such matrix, or a number is infinite.
        """
        return np.hstack([self.filled(X), self.indicators(X)])


def _median(values: NDArray[np.float64]) -> float:
    """Half of each of the two in the middle, so that their sum cannot overflow."""
    halves = np.partition(values, [(len(values) - 1) // 2, len(values) // 2])
    low, high = float(halves[(len(values) - 1) // 2]), float(halves[len(values) // 2])
    middle = (low + high) / 2
    return middle if np.isfinite(middle) else low / 2 + high / 2
