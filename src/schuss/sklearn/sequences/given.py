"""Sequences as users have them: arrays, lists of arrays, `Sequences`; checked, and brought into one array."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import config_context
from sklearn.utils.validation import check_array

from ...arguments import shown
from ...arrays import check_where, padded, real_array
from ...sequences import Sequences

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHAPES = "(rows, times, features) or (rows, times), or be a list of arrays of different lengths"


@dataclass(frozen=True)
class Series:
    """Rows that go through times.

    Attributes
    ----------
    x : array (rows, times, features)
        float32 or float64; what lies behind the end of a row is finite.
    lengths : array of int64 (rows,) or None
        How many times of each row are there; None: all.
    """

    x: NDArray[Any]
    lengths: NDArray[np.int64] | None

    @property
    def times(self) -> int:
        """Of the longest row that there may be."""
        return int(self.x.shape[1])

    @property
    def features(self) -> int:
        """At each time."""
        return int(self.x.shape[2])

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: NDArray[Any] | slice) -> Series:
        """Some of the rows."""
        return Series(self.x[rows], None if self.lengths is None else self.lengths[rows])

    def there(self) -> NDArray[np.bool_] | None:
        """(rows, times): which times are there; None: all."""
        return None if self.lengths is None else np.arange(self.times) < self.lengths[:, None]


def series_of(name: str, X: Any, estimator: Any) -> Series:
    """X in any of its forms.

    Raises
    ------
    ValueError, TypeError
        If it is none of them, or a number that is there is not finite.
    """
    lengths = None
    if isinstance(X, Sequences):
        if X.state is not None:
            raise ValueError(f"{name} must have no state; got Sequences with one")
        X, lengths = X.x, X.lengths
    elif _is_list(X):
        X, lengths = _of_list(name, X)
    # Without its dispatch scikit-learn's check gives NumPy's arrays, whatever library they come from.
    with config_context(array_api_dispatch=False):
        x = check_array(
            X,
            dtype=(np.float64, np.float32),
            allow_nd=True,
            ensure_min_features=0,
            estimator=estimator,
            input_name=name,
        )
    if x.ndim not in (2, 3):
        raise ValueError(f"{name} must have shape {_SHAPES}; got {x.shape}")
    for axis, what in ((1, "feature" if x.ndim == 2 else "time"), (2, "feature")):
        if x.ndim > axis and x.shape[axis] == 0:
            # The words of scikit-learn's own check, which its users know.
            raise ValueError(f"Found array with 0 {what}(s) (shape={x.shape}) while a minimum of 1 is required.")
    if x.ndim == 2:
        x = x[:, :, None]
    return Series(x, None if lengths is None else _lengths_of(name, lengths, x))


def _is_list(X: Any) -> bool:
    """Whether X is rows one by one, which may have different lengths."""
    if isinstance(X, (list, tuple)):
        return any(isinstance(row, (list, tuple)) or np.ndim(row) > 0 for row in X)
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    return kind == "O" and getattr(X, "ndim", 0) == 1 and any(np.ndim(row) > 0 for row in X)


def _of_list(name: str, rows: Iterable[Any]) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """One array of them, zeros behind each, and their lengths where these are not all the same."""
    found = [real_array(f"{name}[{k}]", row) for k, row in enumerate(rows)]
    array, lengths = padded(name, found)
    return array, None if (lengths == array.shape[1]).all() else lengths


def _lengths_of(name: str, lengths: Any, x: NDArray[Any]) -> NDArray[np.int64] | None:
    found = real_array(f"{name}.lengths", lengths)
    if found.dtype.kind not in "iu":
        raise TypeError(f"{name}.lengths must be integers; got dtype {found.dtype}")
    if found.shape != (len(x),):
        raise ValueError(f"{name}.lengths must have shape ({len(x)},), one a row; got {shown(found.shape)}")
    check_where(f"{name}.lengths", found, (found >= 0) & (found <= x.shape[1]), f"in [0, {x.shape[1]}]")
    return None if (found == x.shape[1]).all() else found.astype(np.int64)
