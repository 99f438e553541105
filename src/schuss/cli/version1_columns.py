"""From a table to the matrix that a network of version 1 takes, and back from its outputs to the target's own terms.

What was learned from the training rows (medians, means, categories, classes) is plain data in the model's file, so
that the raw columns are all that prediction needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..arguments import number
from ..datasets import Table
from ..tables import DataError
from ..tables.errors import some

__all__ = ["Preprocessing", "Target", "known_rows"]

Task = Literal["classification", "regression"]

FORMAT = 1


# ---- the target ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes
    ----------
    name : str
        Its column.
    task : "classification" or "regression"
    classes : tuple of str, int, float or bool
        Sorted; the network's output k is the probability of classes[k]. Empty for regression.
    mean, scale : float
        Regression: the network predicts (y - mean) / scale.
    """

    name: str
    task: Task
    classes: tuple[Any, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    def encode(self, table: Table) -> NDArray[Any]:
        """The column for `fit` and `evaluate`: class numbers (rows,) int64, or standardised (rows, 1) float64.

        Raises
        ------
        DataError
            If a value is missing, not a number, or a class that training did not see.
        """
        column = table.columns[self.name]
        where = f"{table.name}: target {self.name!r}"
        if self.task == "regression":
            values = _numbers(column, where)
            _check_known(np.isnan(values), where)
            with np.errstate(over="ignore"):  # the network refuses what is not finite
                return ((values - self.mean) / self.scale)[:, None]
        number_of = {_key(value): number for number, value in enumerate(self.classes)}
        of_text = isinstance(self.classes[0], str)
        keys = _texts(column) if of_text else [_key(value) for value in column.tolist()]
        for row, key in enumerate(keys):
            if key not in number_of:
                raise DataError(f"{where} is {column[row]!s} in row {row + 1}; known classes: {some(self.classes)}")
        return np.fromiter((number_of[key] for key in keys), np.int64, len(keys))

    def decode(self, output: NDArray[Any]) -> NDArray[Any]:
        """(rows, outputs) of the network to classes (object array) or to quantities (float64), (rows,)."""
        if self.task == "regression":
            with np.errstate(over="ignore"):
                return output[:, 0].astype(np.float64) * self.scale + self.mean
        classes = np.empty(len(self.classes), object)
        classes[:] = self.classes
        decoded: NDArray[Any] = classes[output.argmax(axis=1)]
        return decoded

    @property
    def n_outputs(self) -> int:
        return len(self.classes) or 1


def known_rows(table: Table, name: str) -> Table:
    """The table without the rows in which this column has no value, and a note if there are any.

    Raises
    ------
    DataError
        If no row is left, or a value is infinite.
    """
    column = table.columns[name]
    missing = _missing(column)
    if missing.all():
        raise DataError(f"{table.name}: target {name!r} has no values")
    if column.dtype == np.float64:
        _numbers(column, f"{table.name}: target {name!r}")
    if not missing.any():
        return table
    note = f"left out {missing.sum()} of {table.n_rows} rows that have no {name!r}"
    return Table(table.name, {key: values[~missing] for key, values in table.columns.items()}, (*table.notes, note))


# ---- the inputs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NumberColumn:
    """(x - mean) / scale, limited to [-limit, limit]; the median stands for a missing x.

    With `indicator`, a second column is 1.0 where x was missing, else 0.0.
    """

    name: str
    median: float
    mean: float
    scale: float
    limit: float
    indicator: bool

    @property
    def width(self) -> int:
        return 1 + self.indicator

    def encode(self, column: NDArray[Any], where: str, out: NDArray[Any]) -> None:
        values = _numbers(column, where)
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            standard = (np.where(missing, self.median, values) - self.mean) / self.scale
        out[:, 0] = np.clip(standard, -self.limit, self.limit)
        if self.indicator:
            out[:, 1] = missing


@dataclass(frozen=True)
class TextColumn:
    """One column of 0.0 and 1.0 for each category; None stands for a missing value. All 0.0: none of these."""

    name: str
    categories: tuple[str | None, ...]

    @property
    def width(self) -> int:
        return len(self.categories)

    def encode(self, column: NDArray[Any], where: str, out: NDArray[Any]) -> None:
        place_of = {category: place for place, category in enumerate(self.categories)}
        places = np.array([place_of.get(value, -1) for value in _texts(column)], np.int64)
        rows = np.flatnonzero(places >= 0)
        out[:] = 0.0
        out[rows, places[rows]] = 1.0


@dataclass(frozen=True)
class Preprocessing:
    """How the columns of a table become a matrix, and what is predicted."""

    columns: tuple[NumberColumn | TextColumn, ...]
    target: Target

    @property
    def n_inputs(self) -> int:
        return sum(column.width for column in self.columns)

    @property
    def text_columns(self) -> list[str]:
        """The columns that are to be read as text, so that categories such as 01 stay as they are written."""
        names = [column.name for column in self.columns if isinstance(column, TextColumn)]
        if any(isinstance(value, str) for value in self.target.classes):
            names.append(self.target.name)
        return names

    def transform(self, table: Table) -> NDArray[np.float32]:
        """The matrix (rows, n_inputs). Columns that training did not use are ignored.

        Raises
        ------
        DataError
            If a column is missing, or holds text or an infinity where training saw numbers.
        """
        absent = [column.name for column in self.columns if column.name not in table.columns]
        if absent:
            raise DataError(f"{table.name}: lacks {_columns(absent)} that the model was trained on")
        matrix = np.empty((table.n_rows, self.n_inputs), np.float32)
        first = 0
        for column in self.columns:
            part = matrix[:, first : first + column.width]
            column.encode(table.columns[column.name], f"{table.name}: column {column.name!r}", part)
            first += column.width
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it back to an equal object."""
        return {"format": FORMAT, "target": asdict(self.target), "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Preprocessing:
        """Inverse of `to_dict`.

        Raises
        ------
        DataError
            If the data are of a newer format, or damaged.
        """
        if isinstance(data, dict) and type(data.get("format")) is int and data["format"] > FORMAT:
            raise DataError(f"the preprocessing is of format {data['format']}, newer than {FORMAT}; update schuss")
        try:
            given = _checked(data)
        except (TypeError, ValueError) as error:
            raise DataError(f"the preprocessing in the file is damaged: {error}") from None
        columns = [
            TextColumn(column["name"], tuple(column["categories"]))
            if "categories" in column
            else NumberColumn(**column)
            for column in given["columns"]
        ]
        target = {**given["target"], "classes": tuple(given["target"]["classes"])}
        return cls(tuple(columns), Target(**target))


def _checked(data: Any) -> dict[str, Any]:
    """What `Preprocessing.to_dict` has made. ValueError, TypeError that say what is not as it has made it."""
    from ..files.header import array_of, distinct, one_of, optional, record, text, truth, whole

    def within(interval: str) -> Any:
        return lambda name, value: number(name, value, interval)

    def label(name: str, value: Any) -> Any:
        if not isinstance(value, (bool, str)):
            anything(name, value)
        return value

    anything, above = within("(-inf, inf)"), within("(0, inf)")
    of_text = record({"name": text, "categories": distinct(optional(text))})
    of_numbers = record(
        {"name": text, "median": anything, "mean": anything, "scale": above, "limit": above, "indicator": truth}
    )
    target = record(
        {
            "name": text,
            "task": one_of("classification", "regression"),
            "classes": distinct(label),
            "mean": anything,
            "scale": above,
        }
    )

    def column(name: str, value: Any) -> Any:
        return (of_text if isinstance(value, dict) and "categories" in value else of_numbers)(name, value)

    given: dict[str, Any] = record({"format": whole(1, FORMAT), "target": target, "columns": array_of(column)})(
        "its table", data
    )
    if bool(given["target"]["classes"]) != (given["target"]["task"] == "classification"):
        raise ValueError("its table.target.classes must be there for a classification, and only for one")
    return given


def _missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    if column.dtype == object:
        return np.array([value is None for value in column], bool)
    return np.isnan(column) if column.dtype == np.float64 else np.zeros(len(column), bool)


def _numbers(column: NDArray[Any], where: str) -> NDArray[np.float64]:
    """As float64 with NaN where missing."""
    if column.dtype == object:
        for row, value in enumerate(column):
            if value is not None and not _is_number(value):
                raise DataError(f"{where} must be numeric, but row {row + 1} is {value!r}")
        return np.array([np.nan if value is None else float(value) for value in column], np.float64)
    values = column.astype(np.float64, copy=False)
    infinite = np.isinf(values)
    if infinite.any():
        raise DataError(f"{where} is infinite in row {int(infinite.argmax()) + 1}")
    return values


def _texts(column: NDArray[Any]) -> list[str | None]:
    """As text with None where missing; whole numbers are written without a point."""
    if column.dtype == object:
        return list(column)
    if column.dtype == bool:
        return [str(value) for value in column.tolist()]
    return [None if math.isnan(value) else f"{value:.15g}" for value in column.tolist()]


def _check_known(missing: NDArray[np.bool_], where: str) -> None:
    if missing.any():
        raise DataError(f"{where} has no value in row {int(missing.argmax()) + 1}")


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except (TypeError, ValueError):
        return False


def _key(value: Any) -> Any:
    """What makes two class values the same in files that were read differently: True and "True", 1 and 1.0."""
    return str(value) if isinstance(value, bool) else value


def _columns(names: Iterable[str]) -> str:
    names = list(names)
    return f"column{'s' if len(names) > 1 else ''} {some(names, most=5)}"
