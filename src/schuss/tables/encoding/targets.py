"""Quantities in standard units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .base import FLOAT64, Step, numbers, training_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Standardise(Step):
    """``(y - mean) / deviation`` of each column of the target, and back.

    Parameters
    ----------
    means, deviations : (columns,) arrays of float64
        Of the training rows, the deviation that of a whole population. 1 for a constant column.
    lows, highs : (columns,) arrays of float64
        The least and the greatest value of the training rows.

    Examples
    --------
    >>> from schuss.tables import Standardise
    >>> standard = Standardise.fit([[1.0], [3.0]])
    >>> standard.transform([[4.0]]), standard.inverse([[2.0]])
    (array([[2.]]), array([[4.]]))
    """

    _arrays: ClassVar[Mapping[str, np.dtype[Any]]] = dict.fromkeys(("means", "deviations", "lows", "highs"), FLOAT64)
    means: NDArray[np.float64]
    deviations: NDArray[np.float64]
    lows: NDArray[np.float64]
    highs: NDArray[np.float64]

    @classmethod
    def fit(cls, y: Any, sample_weight: Any = None, *, name: str = "y") -> Standardise:
        """Learn from training rows (rows, columns), which messages call by this name.

        Raises
        ------
        ValueError, TypeError
            If y is no matrix of finite numbers, or its deviation is beyond float64's range.
        """
        y = training_numbers(name, y, missing=False)
        lows, highs = y.min(axis=0), y.max(axis=0)
        with np.errstate(over="ignore", invalid="ignore"):
            means = np.average(y, axis=0, weights=sample_weight)
            # In units of the largest difference squares neither overflow nor vanish.
            unit = np.abs(y - means).max(axis=0)
            shares = (y - means) / np.where(unit > 0.0, unit, 1.0)
            deviations = unit * np.sqrt(np.average(np.square(shares), axis=0, weights=sample_weight))
        for column in np.flatnonzero(~np.isfinite(means) | ~np.isfinite(deviations)):
            raise ValueError(
                f"{name} must have a mean and a deviation; column {column} has values from {lows[column]:g} to "
                f"{highs[column]:g}"
            )
        constant = (lows == highs) | (deviations == 0.0)
        return cls(np.where(constant, lows, means), np.where(constant, 1.0, deviations), lows, highs)

    def transform(self, y: Any) -> NDArray[np.float64]:
        """(rows, columns) in units of the deviation from the mean."""
        y = numbers("y", y, len(self.means), missing=False)
        with np.errstate(over="ignore"):
            z: NDArray[np.float64] = (y - self.means) / self.deviations
        return z

    def inverse(self, z: Any) -> NDArray[np.float64]:
        """(rows, columns) in the target's own units; NaN stays NaN."""
        z = numbers("z", z, len(self.means))
        with np.errstate(over="ignore"):
            y: NDArray[np.float64] = z * self.deviations + self.means
        return y

    def limits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The least and the greatest training value, in units of the deviation."""
        return (self.lows - self.means) / self.deviations, (self.highs - self.means) / self.deviations
