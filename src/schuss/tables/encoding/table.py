"""All steps from a table's columns to the inputs of a network, in one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..errors import DataError
from ..schema import Columns
from .base import INT64, Step, codes, float32
from .missing import MedianFill
from .one_hot import OneHot
from .quantile import QuantileNormal
from .robust import RobustScale

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = {step.__name__: step for step in (MedianFill, OneHot, QuantileNormal, RobustScale)}

# Rows that are transformed together, and one-hot columns that are looked at together.
ROWS_AT_A_TIME = 1 << 14
FLAGS_AT_A_TIME = 8


@dataclass(frozen=True, eq=False)
class Encoding(Step):
    """From `Columns` to a network's inputs by name, in float32 and int64.

    Numbers are filled, then scaled. Indicators of missing numbers and one-hot columns come beside them, scaled by a
    step of their own where there is one. Codes of columns with many categories stay codes, for an `Embedding`: all
    those columns share one table, in which each has rows of its own.

    Parameters
    ----------
    cardinalities : (columns of codes,) array of int64
    fill : MedianFill
    numbers : RobustScale, QuantileNormal or None
        Of the filled numbers.
    one_hot : OneHot
        Of the columns that are not embedded.
    flags : RobustScale or None
        Of indicators and one-hot columns.
    embedded : (columns,) array of int64
        Which columns of codes stay codes.
    parted : bool
        Whether the inputs are "numbers", "flags" and "codes", or "columns", the first two side by side, and "codes".
        What would have no column is none.
    """

    _arrays: ClassVar[Mapping[str, np.dtype[Any]]] = {"cardinalities": INT64, "embedded": INT64}
    cardinalities: NDArray[np.int64]
    fill: MedianFill
    numbers: RobustScale | QuantileNormal | None
    one_hot: OneHot
    flags: RobustScale | None
    embedded: NDArray[np.int64]
    parted: bool = False

    @classmethod
    def fit(
        cls,
        columns: Columns,
        cardinalities: Sequence[int],
        *,
        scaled: str = "robust",
        limit: float | None = 3.0,
        scaled_flags: bool = True,
        binary: str = "one",
        most_one_hot: int | None = None,
        parted: bool = False,
        noise: float = 1e-5,
    ) -> Encoding:
        """Learn from the training rows.

        Parameters
        ----------
        columns : Columns
        cardinalities : sequence of int
            Categories of each column of codes.
        scaled : {"robust", "quantiles", "no"}
            How numbers are.
        limit : float or None
            Of `RobustScale`.
        scaled_flags : bool
            Whether indicators and one-hot columns are scaled robustly.
        binary : {"one", "two"}
            Of `OneHot`.
        most_one_hot : int, optional
            A column of more categories than this stays codes. Default: none does.
        parted : bool
            Whether numbers are an input of their own.
        noise : float
            Of `QuantileNormal`.

        Raises
        ------
        DataError
            If there is no column to learn from.
        ValueError, TypeError
            If an array is not as described.
        """
        sizes = np.array(cardinalities, np.int64).reshape(-1)
        many = sizes > (most_one_hot if most_one_hot is not None else sizes.max(initial=0))
        fill = MedianFill.fit(columns.numbers)
        one_hot = OneHot(sizes[~many], binary)
        # What is filled in says nothing of how numbers are spread: only those that are there count.
        numbers: RobustScale | QuantileNormal | None = None
        if scaled == "robust":
            numbers = RobustScale.fit(columns.numbers, limit=limit)
        elif scaled == "quantiles":
            numbers = QuantileNormal.fit(columns.numbers, noise=noise)
        new = cls(sizes, fill, numbers, one_hot, None, np.flatnonzero(many), parted)
        if scaled_flags:
            parts = [RobustScale.fit(part, limit=limit) for part in new._flags_by_parts(columns)]
            medians = np.concatenate([part.medians for part in parts])
            flags = RobustScale(medians, np.concatenate([part.factors for part in parts]), limit)
            new = cls(sizes, fill, numbers, one_hot, flags, np.flatnonzero(many), parted)
        if not new.widths:
            raise DataError("there is no column to learn from")
        return new

    @property
    def n_numbers(self) -> int:
        """Columns of numbers."""
        return len(self.fill.medians)

    @property
    def n_flags(self) -> int:
        """Indicators and one-hot columns."""
        return self.fill.width - self.n_numbers + self.one_hot.width

    @property
    def table_rows(self) -> int:
        """Rows of the table in which the columns that stay codes are embedded: one a category, and one for the rest."""
        return int((self.cardinalities[self.embedded] + 1).sum())

    @property
    def widths(self) -> dict[str, int]:
        """Columns of each input, by its name and in order."""
        parts = {"numbers": self.n_numbers, "flags": self.n_flags}
        if not self.parted:
            parts = {"columns": self.n_numbers + self.n_flags}
        return {name: width for name, width in {**parts, "codes": len(self.embedded)}.items() if width}

    def chunks(self) -> list[int]:
        """How many inputs come from each column of the table, in order: numbers, indicators, one-hot columns."""
        indicators = self.fill.width - self.n_numbers
        return [1] * (self.n_numbers + indicators) + [width for width in self.one_hot.widths.tolist() if width]

    def places(self, numbers: Sequence[int], codes: Sequence[int]) -> dict[str, list[int]]:
        """Which columns of each input come from these columns of numbers and of codes."""
        indicators = np.cumsum(self.fill.indicated) - 1
        flags = [int(indicators[k]) for k in numbers if self.fill.indicated[k]]
        embedded = self.embedded.tolist()
        told_apart = [k for k in range(len(self.cardinalities)) if k not in embedded]
        ends = np.cumsum(self.one_hot.widths) + int(self.fill.indicated.sum())
        for code in codes:
            if code not in embedded:
                place = told_apart.index(code)
                flags += range(int(ends[place] - self.one_hot.widths[place]), int(ends[place]))
        found = {"codes": [embedded.index(code) for code in codes if code in embedded]}
        if self.parted:
            found.update(numbers=list(numbers), flags=flags)
        else:
            found["columns"] = [*numbers, *(self.n_numbers + k for k in flags)]
        return {name: found[name] for name in self.widths}

    def transform(self, columns: Columns) -> dict[str, NDArray[Any]]:
        """The network's inputs by name.

        Raises
        ------
        ValueError, TypeError
            If an array is not of this table's columns, a number is infinite or a code out of range.
        """
        rows = len(columns.numbers)
        if rows <= ROWS_AT_A_TIME:
            return self._transformed(columns)
        # What is made on the way is float64 and there several times: for all rows at once it takes more than the table.
        first = self._transformed(_part(columns, slice(0, ROWS_AT_A_TIME)))
        found = {name: np.empty((rows, part.shape[1]), part.dtype) for name, part in first.items()}
        for start in range(0, rows, ROWS_AT_A_TIME):
            part = slice(start, start + ROWS_AT_A_TIME)
            for name, values in self._transformed(_part(columns, part)).items():
                found[name][part] = values
        return found

    def _transformed(self, columns: Columns) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {}
        if self.parted:
            found["numbers"], found["flags"] = float32(self._numbers(columns)), float32(self._flags(columns, True))
        else:
            rows = len(columns.numbers)
            both = np.empty((rows, self.n_numbers + self.n_flags), np.float32)
            both[:, : self.n_numbers] = float32(self._numbers(columns))
            both[:, self.n_numbers :] = float32(self._flags(columns, True))
            found["columns"] = both
        found["codes"] = self._codes(columns)
        return {name: found[name] for name in self.widths}

    def _numbers(self, columns: Columns) -> NDArray[np.float64]:
        filled = self.fill.filled(columns.numbers)
        return filled if self.numbers is None else self.numbers.transform(filled)

    def _flags(self, columns: Columns, scaled: bool = False) -> NDArray[np.float64]:
        found = np.hstack([self.fill.indicators(columns.numbers), self.one_hot.transform(self._told_apart(columns))])
        return found if not scaled or self.flags is None else self.flags.transform(found)

    def _flags_by_parts(self, columns: Columns) -> Iterator[NDArray[np.float64]]:
        """The columns of `_flags`, a few at a time: all of them, in float64, take far more than the table."""
        yield self.fill.indicators(columns.numbers)
        chosen, step = self._told_apart(columns), self.one_hot
        for k, (c, width) in enumerate(zip(step.cardinalities.tolist(), step.widths.tolist(), strict=True)):
            column = chosen[:, k]
            if width < c:
                yield OneHot(np.array([c]), step.binary).transform(column[:, None])
                continue
            for low in range(0, c, FLAGS_AT_A_TIME):
                n = min(FLAGS_AT_A_TIME, c - low)
                within = (column > low) & (column <= low + n)
                yield OneHot(np.array([n]), "two").transform(np.where(within, column - low, 0)[:, None])

    def _told_apart(self, columns: Columns) -> NDArray[np.int64]:
        return np.delete(codes("codes", columns.codes, self.cardinalities), self.embedded, axis=1)

    def _codes(self, columns: Columns) -> NDArray[np.int64]:
        """Rows of the shared table: of each column first the one for missing and unknown categories."""
        sizes = self.cardinalities[self.embedded]
        chosen = codes("codes", columns.codes, self.cardinalities)[:, self.embedded]
        chosen = np.where(chosen > sizes, 0, chosen)
        first: NDArray[np.int64] = np.cumsum(sizes + 1) - (sizes + 1)
        return np.ascontiguousarray(chosen + first)

    # -- plain data ---------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        found = super().to_dict()
        for name in ("fill", "numbers", "one_hot", "flags"):
            step = getattr(self, name)
            found[name] = None if step is None else {"step": type(step).__name__, **step.to_dict()}
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Encoding:
        steps = {name: _step(value) for name, value in data.items() if isinstance(value, Mapping)}
        return super().from_dict({**data, **steps})


def _step(data: Mapping[str, Any]) -> Step:
    numbers = dict(data)
    kind = numbers.pop("step", None)
    if kind not in _STEPS:
        raise ValueError(f"step must be one of {', '.join(_STEPS)}; got {kind!r}")
    return _STEPS[kind].from_dict(numbers)


def _part(columns: Columns, rows: slice) -> Columns:
    return Columns(columns.numbers[rows], columns.codes[rows])
