"""Bins between the quantiles of numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...arguments import integer
from .base import training_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray


def quantile_bins(X: Any, n_bins: int = 48) -> list[NDArray[np.float64]]:
    """Edges of bins that hold equally many training rows, for `schuss.PiecewiseLinear`.

    Parameters
    ----------
    X : array of shape (rows, columns)
        Finite numbers.
    n_bins : int
        At most so many bins a column: equal quantiles make one edge.

    Returns
    -------
    list of arrays
        Rising edges for each column, at least two of them. A constant column c has the bin from c to c + 1, or to the
        next number of float64 where that is c.

    Raises
    ------
    ValueError, TypeError
        If X is no matrix of finite numbers, or has no row.

    References
    ----------
    Y. Gorishniy, I. Rubachev, A. Babenko, On embeddings for numerical features in tabular deep learning (2022),
    https://arxiv.org/abs/2203.05556

    Examples
    --------
    >>> from schuss.tables import quantile_bins
    >>> quantile_bins([[0.0], [1.0], [2.0], [2.0], [9.0]], 4)
    [array([0., 1., 2., 9.])]
    """
    X = training_numbers("X", X, missing=False)
    n_bins = integer("n_bins", n_bins, 1)
    return [_edges(np.quantile(column, np.linspace(0.0, 1.0, n_bins + 1))) for column in X.T]


def _edges(quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
    edges = np.unique(quantiles)
    if len(edges) > 1:
        return edges
    only = float(edges[0])
    return np.array([only, max(only + 1.0, float(np.nextafter(only, np.inf)))])
