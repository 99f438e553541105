"""A column for each category."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from .base import INT64, Step, codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class OneHot(Step):
    """Codes as columns of 0 and 1: code 0 is missing, 1 to c are the categories, c + 1 is one that training had not.

    Two categories make a single column, 1 for the first and -1 for the second, unless ``binary="two"``; others make one
    column each. Missing and unknown ones are zeros in all of them.

    Parameters
    ----------
    cardinalities : (columns,) array of int64
        Categories of each column, c.
    binary : {"one", "two"}
        How many columns two categories make.

    Examples
    --------
    >>> from schuss.tables import OneHot
    >>> OneHot([2, 3]).transform([[1, 3], [2, 0]])
    array([[ 1.,  0.,  0.,  1.],
           [-1.,  0.,  0.,  0.]])
    """

    _arrays: ClassVar[Mapping[str, np.dtype[Any]]] = {"cardinalities": INT64}
    cardinalities: NDArray[np.int64]
    binary: str = "one"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cardinalities.ndim != 1 or (self.cardinalities < 0).any():
            raise ValueError(f"cardinalities must be a list of integers >= 0; got {self.cardinalities.tolist()}")
        if self.binary not in ("one", "two"):
            raise ValueError(f"binary must be 'one' or 'two'; got {self.binary!r}")

    @property
    def widths(self) -> NDArray[np.int64]:
        """Columns that each column of codes makes."""
        single = (self.cardinalities == 2) & (self.binary == "one")
        return np.where(single, 1, self.cardinalities)

    @property
    def width(self) -> int:
        """Columns that come out."""
        return int(self.widths.sum())

    def transform(self, C: Any) -> NDArray[np.float64]:
        """(rows, width) of 0, 1 and -1.

        Raises
        ------
        ValueError, TypeError
            If C is no integer matrix of so many columns, or a code is out of range.
        """
        C = codes("C", C, self.cardinalities)
        out = np.zeros((len(C), self.width))
        rows = np.arange(len(C))
        place = 0
        for k, (c, width) in enumerate(zip(self.cardinalities.tolist(), self.widths.tolist(), strict=True)):
            column = C[:, k]
            if c == 2 and width == 1:
                out[:, place] = np.array([0.0, 1.0, -1.0, 0.0])[column]
            else:
                known = (column >= 1) & (column <= c)
                out[rows[known], place + column[known] - 1] = 1.0
            place += width
        return out
