"""What the columns of a table are, decided once on training rows, and tables read by it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Columns", "Schema"]


@dataclass(frozen=True)
class Columns:
    """A table as `Schema.read` reads it: numbers and categories.

    Attributes
    ----------
    numbers : (rows, n) float64
        NaN where a value is missing. Column k is `Schema.number_names[k]`.
    codes : (rows, m) int64
        0: missing; 1 to c: the categories in stored order; c + 1: none of them. Column k is `Schema.category_names[k]`
        and its c is `Schema.cardinalities[k]`.
    unknown : dict of str to (int, tuple of str)
        Of each column with categories that training never saw: in how many rows, and a few of them.
    notes : tuple of str
        What the user should know of these rows.
    """

    numbers: NDArray[np.float64]
    codes: NDArray[np.int64]
    unknown: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Schema:
    """What each column of a table is."""

    columns: tuple[Any, ...]

    @classmethod
    def decide(cls, frame: Any, leave: Collection[str] = ()) -> tuple[Schema, tuple[str, ...]]:
        """Decide on training rows what each column is, and say what is left out or was ambiguous.

        `frame`: pandas or polars DataFrame, dict of arrays, 2-D array, or what `tables.read` returns. `leave`: columns
        that are no inputs, such as the target.
        """
        raise NotImplementedError

    def read(self, frame: Any) -> Columns:
        """The frame's rows, in order. Columns that the schema does not use may be absent."""
        raise NotImplementedError

    @property
    def number_names(self) -> tuple[str, ...]:
        """Names of the columns of `Columns.numbers`."""
        raise NotImplementedError

    @property
    def category_names(self) -> tuple[str, ...]:
        """Names of the columns of `Columns.codes`."""
        raise NotImplementedError

    @property
    def categories(self) -> tuple[tuple[str, ...], ...]:
        """The categories of each column of `Columns.codes`, in the order of their codes, from 1."""
        raise NotImplementedError

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of categories of each column of `Columns.codes`; codes go from 0 to this + 1."""
        return tuple(map(len, self.categories))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it back to an equal object."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Schema:
        """Inverse of `to_dict`. DataError: the data are of a newer format, or damaged."""
        raise NotImplementedError
