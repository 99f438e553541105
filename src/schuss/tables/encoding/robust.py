"""Scales that outliers do not move, and a limit that lets them keep their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...arguments import number
from .base import FLOAT64, Step, numbers, training_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RobustScale(Step):
    """``z = (x - median) factor`` and then ``z / sqrt(1 + (z / limit)^2)``, which lies within the limit.

    The factor is 1 / (upper quartile - lower quartile); where those are equal, 2 / (maximum - minimum); 0 for a
    constant column.

    Parameters
    ----------
    medians, factors : (columns,) arrays of float64
    limit : float or None
        None: no limit.

    Notes
    -----
    A missing number (NaN) counts for nothing in `fit` and stays NaN.

    References
    ----------
    D. Holzmüller, L. Grinsztajn, I. Steinwart, Better by default: strong pre-tuned MLPs and boosted trees on tabular
    data (2024), https://arxiv.org/abs/2407.04491, section 3.

    Examples
    --------
    >>> from schuss.tables import RobustScale
    >>> scale = RobustScale.fit([[0.0], [1.0], [2.0], [3.0], [1000.0]])
    >>> scale.transform([[2.0], [4.0], [1000.0]]).round(3)
    array([[0.   ],
           [0.949],
           [3.   ]])
    """

    _arrays: ClassVar[Mapping[str, np.dtype[Any]]] = {"medians": FLOAT64, "factors": FLOAT64}
    medians: NDArray[np.float64]
    factors: NDArray[np.float64]
    limit: float | None = 3.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.limit is not None:
            object.__setattr__(self, "limit", number("limit", self.limit, "(0, inf)"))

    @classmethod
    def fit(cls, X: Any, *, limit: float | None = 3.0) -> RobustScale:
        """Learn medians and factors of training rows (rows, columns).

        Raises
        ------
        ValueError, TypeError
            If X is no matrix of real numbers, or one is infinite; if limit is not above 0.
        """
        X = training_numbers("X", X)
        medians, factors = np.zeros(X.shape[1]), np.zeros(X.shape[1])
        for column in range(X.shape[1]):
            values = X[:, column]
            known = values[~np.isnan(values)]
            if len(known):
                medians[column], factors[column] = _median_and_factor(known)
        return cls(medians, factors, limit)

    def transform(self, X: Any) -> NDArray[np.float64]:
        """(rows, columns), scaled and limited.

        Raises
        ------
        ValueError, TypeError
            If X is no such matrix, or a number is infinite.
        """
        X = numbers("X", X, len(self.medians))
        with np.errstate(over="ignore", invalid="ignore"):
            z: NDArray[np.float64] = (X - self.medians) * self.factors
            if self.limit is not None:
                z = smooth_clip(z, self.limit)
        # A difference beyond float64's range, of a column whose factor is 0.
        z[:, self.factors == 0.0] = np.where(np.isnan(X[:, self.factors == 0.0]), np.nan, 0.0)
        return z


def smooth_clip(z: NDArray[np.float64], limit: float) -> NDArray[np.float64]:
    """``z / sqrt(1 + (z / limit)^2)``: near 0 like z, and never beyond the limit."""
    ratio = z / limit
    # hypot neither overflows nor loses what is small; for infinite z the value is the limit.
    clipped: NDArray[np.float64] = np.where(np.isinf(z), np.copysign(limit, z), z / np.hypot(1.0, ratio))
    return clipped


def _median_and_factor(values: NDArray[np.float64]) -> tuple[float, float]:
    with np.errstate(over="ignore", invalid="ignore"):
        lower, median, upper = (float(value) for value in np.quantile(values, [0.25, 0.5, 0.75]))
        width = upper - lower
        if width == 0.0:
            width = 0.5 * (float(values.max()) - float(values.min()))
        # A width that float64 cannot hold, or whose inverse it cannot, is no scale.
        factor = 1.0 / width if width > 0.0 else 0.0
    return median, factor if np.isfinite(factor) else 0.0
