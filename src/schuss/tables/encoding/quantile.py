"""Numbers by their place among the training rows."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...arguments import integer, number
from .base import FLOAT64, Step, numbers, training_numbers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Within this distance of its end a place counts as the end itself, and ends are cut off there.
_END = 1e-7
_NORMAL = NormalDist()
_LOWEST = _NORMAL.inv_cdf(_END - float(np.spacing(1.0)))
_HIGHEST = _NORMAL.inv_cdf(1.0 - (_END - float(np.spacing(1.0))))


@dataclass(frozen=True, eq=False)
class QuantileNormal(Step):
    """Every column made normally distributed: its share of smaller training rows, through the normal quantile function.

    The share is interpolated between quantiles of the training rows, and lies within 5.2 standard deviations.

    Parameters
    ----------
    quantiles : (quantiles, columns) array of float64
        At equal distances from the least number to the greatest.

    Notes
    -----
    ``sklearn.preprocessing.QuantileTransformer(output_distribution="normal", subsample=None)`` gives the same numbers.
    With noise, `fit` sees training rows to which normally distributed numbers were added, so that equal ones differ a
    little: a value that stands for a wide range of shares then lies in its middle. A missing number (NaN) counts for
    nothing in `fit` and stays NaN.

    References
    ----------
    Y. Gorishniy, A. Kotelnikov, A. Babenko, TabM: Advancing tabular deep learning with parameter-efficient ensembling
    (2024), https://arxiv.org/abs/2410.24210, for the numbers of `TabM`'s recipe.

    Examples
    --------
    >>> import numpy as np
    >>> from schuss.tables import QuantileNormal
    >>> normal = QuantileNormal.fit([[0.0], [1.0], [4.0], [9.0], [100.0]])
    >>> normal.transform([[2.5], [4.0], [1000.0]]).round(2)
    array([[-0.32],
           [ 0.  ],
           [ 5.2 ]])
    """

    _arrays: ClassVar[Mapping[str, np.dtype[Any]]] = {"quantiles": FLOAT64}
    quantiles: NDArray[np.float64]

    @classmethod
    def fit(cls, X: Any, *, n_quantiles: int | None = None, noise: float = 0.0, seed: int = 0) -> QuantileNormal:
        """Learn the quantiles of training rows (rows, columns).

        Parameters
        ----------
        X : array of shape (rows, columns)
        n_quantiles : int, optional
            At least 2. Default: a thirtieth of the rows, but 10 at least and 1000 at most. Never more than rows.
        noise : float
            Standard deviation of what is added to each number; at least 0.
        seed : int
            What the noise follows from.

        Raises
        ------
        ValueError, TypeError
            If X is no matrix of real numbers, or one is infinite; if an argument is out of range.
        """
        X = training_numbers("X", X)
        rows = len(X)
        wanted = max(min(rows // 30, 1000), 10) if n_quantiles is None else integer("n_quantiles", n_quantiles, 2)
        if number("noise", noise, "[0, inf)"):
            draw = np.random.Generator(np.random.PCG64(integer("seed", seed, 0)))
            X = X + draw.normal(0.0, noise, X.shape)
        shares = np.linspace(0.0, 1.0, max(1, min(wanted, rows)))
        quantiles = np.zeros((len(shares), X.shape[1]))
        for column in range(X.shape[1]):
            known = X[:, column][~np.isnan(X[:, column])]
            if len(known):
                # Rounding may put one quantile below the one before.
                quantiles[:, column] = np.maximum.accumulate(np.percentile(known, shares * 100.0))
        return cls(quantiles)

    def transform(self, X: Any) -> NDArray[np.float64]:
        """(rows, columns) of normally distributed numbers.

        Raises
        ------
        ValueError, TypeError
            If X is no such matrix, or a number is infinite.
        """
        X = numbers("X", X, self.quantiles.shape[1])
        shares = np.linspace(0.0, 1.0, len(self.quantiles))
        out: NDArray[np.float64] = np.empty_like(X)
        for column in range(X.shape[1]):
            out[:, column] = _normal(X[:, column], self.quantiles[:, column], shares)
        return out


def _normal(
    values: NDArray[np.float64], quantiles: NDArray[np.float64], shares: NDArray[np.float64]
) -> NDArray[np.float64]:
    """One column."""
    # Where quantiles repeat, a value stands for a range of shares: interpolation from below gives one end of it, from
    # above the other, and the middle is taken.
    below = np.interp(values, quantiles, shares)
    above = -np.interp(-values, -quantiles[::-1], -shares[::-1])
    share = 0.5 * (below + above)
    share[values + _END > quantiles[-1]] = 1.0
    share[values - _END < quantiles[0]] = 0.0
    share[np.isnan(values)] = np.nan  # of a constant column, interpolation gives a number for it
    out = np.full(len(values), np.nan)
    out[share <= 0.0], out[share >= 1.0] = _LOWEST, _HIGHEST
    inside = (share > 0.0) & (share < 1.0)
    out[inside] = np.fromiter(map(_NORMAL.inv_cdf, share[inside].tolist()), np.float64, int(inside.sum()))
    limited: NDArray[np.float64] = np.clip(out, _LOWEST, _HIGHEST)
    return limited
