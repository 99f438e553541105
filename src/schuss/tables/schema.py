"""What the columns of a table are, decided once on training rows, and tables read by it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import dates
from .cells import table_of
from .columns import Boolean, Category, Column, Date, Dropped, Number
from .deciding import decide_columns, listed
from .errors import DataError, many
from .numerals import MISSING

__all__ = ["Columns", "Schema"]

FORMAT = 1
KINDS: dict[str, type[Any]] = {
    "number": Number, "boolean": Boolean, "category": Category, "date": Date, "dropped": Dropped,
}  # fmt: skip


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
    """What each column of a table is.

    Attributes
    ----------
    columns : tuple of Number, Boolean, Category, Date, Dropped
        In the order of the table.
    missing : tuple of str
        Words, in lower case, that mean that a number, date or truth value is missing.
    """

    columns: tuple[Column, ...]
    missing: tuple[str, ...] = MISSING

    @classmethod
    def decide(cls, frame: Any, leave: Collection[str] = ()) -> tuple[Schema, tuple[str, ...]]:
        """Decide on training rows what each column is, and say what is left out or was ambiguous.

        Parameters
        ----------
        frame : DataFrame, dict of arrays, 2-D array, or Table
            pandas' or polars' DataFrame; columns of an array are called column_1, column_2, ...
        leave : collection of str
            Columns that are no inputs, such as the target.

        Raises
        ------
        DataError
            If no column can be learned from, a value is infinite, or two columns have one name.
        """
        table = table_of(frame)
        columns, notes = decide_columns(table, leave)
        if all(isinstance(column, Dropped) for column in columns):
            raise DataError(f"{table.name}: no column to learn from{': ' * bool(notes)}{'; '.join(notes)}")
        if table is not frame:
            notes = [*table.notes, *notes]
        return cls(tuple(columns)), tuple(notes)

    def read(self, frame: Any) -> Columns:
        """The frame's rows, in order. Columns that the schema does not use may be absent.

        Raises
        ------
        DataError
            If a column is absent, holds something else in all of its cells, or a value is infinite.
        """
        table = table_of(frame)
        used = [column for column in self.columns if not isinstance(column, Dropped)]
        absent = [column.name for column in used if column.name not in table]
        if absent:
            raise DataError(f"{table.name}: lacks {listed(absent)} that the model was trained on")
        numbers = np.empty((table.n_rows, len(self.number_names)), np.float64)
        codes = np.empty((table.n_rows, len(self.category_names)), np.int64)
        unknown: dict[str, tuple[int, tuple[str, ...]]] = {}
        notes = []
        missing = frozenset(self.missing)
        n, m = 0, 0
        for column in used:
            where = f"{table.name}: column {column.name!r}"
            reading = column.read(table.cells(column.name), missing, where)
            shown = ", ".join(map(repr, reading.examples))
            if isinstance(column, (Number, Date)):
                width = len(column.names)
                numbers[:, n : n + width] = reading.values
                n += width
            else:
                codes[:, m] = reading.values
                m += 1
            if reading.unknown:
                unknown[column.name] = reading.unknown, reading.examples
                notes.append(
                    f"column {column.name!r}: {reading.unknown} of {many(table.n_rows, 'row')} with categories that"
                    f" training did not see, such as {shown}"
                )
            if reading.unreadable:
                what = "numbers" if isinstance(column, Number) else "dates"
                notes.append(
                    f"column {column.name!r}: taken as missing: {reading.unreadable} of {many(table.n_rows, 'cell')},"
                    f" no {what} as in training, such as {shown}"
                )
        return Columns(numbers, codes, unknown, tuple(notes))

    @property
    def number_names(self) -> tuple[str, ...]:
        """Names of the columns of `Columns.numbers`; those of the parts of dates are "when month" and so on."""
        return tuple(name for column in self.columns if isinstance(column, (Number, Date)) for name in column.names)

    @property
    def category_names(self) -> tuple[str, ...]:
        """Names of the columns of `Columns.codes`."""
        return tuple(column.name for column in self.columns if isinstance(column, (Boolean, Category)))

    @property
    def categories(self) -> tuple[tuple[str, ...], ...]:
        """The categories of each column of `Columns.codes`, in the order of their codes, from 1."""
        return tuple(column.categories for column in self.columns if isinstance(column, (Boolean, Category)))

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """Number of categories of each column of `Columns.codes`; codes go from 0 to this + 1."""
        return tuple(map(len, self.categories))

    @property
    def used_names(self) -> tuple[str, ...]:
        """The columns that a table must have."""
        return tuple(column.name for column in self.columns if not isinstance(column, Dropped))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it back to an equal object."""
        return {
            "format": FORMAT,
            "missing": list(self.missing),
            "columns": [column_to_dict(column) for column in self.columns],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Schema:
        """Inverse of `to_dict`.

        Raises
        ------
        DataError
            If the data are of a newer format, or damaged.
        """
        from ..files.header import array_of, distinct, record, text, whole

        check_format(data, "the table's schema")
        check = record({"format": whole(1, FORMAT), "missing": distinct(text), "columns": array_of(column_from)})
        try:
            given = check("its schema", data)
            names = [column.name for column in given["columns"]]
            if len(set(names)) != len(names):
                raise ValueError("its schema must have each column once")
        except (TypeError, ValueError) as error:
            raise DataError(f"the table's schema in the file is damaged: {error}") from None
        return cls(tuple(given["columns"]), tuple(given["missing"]))


def check_format(data: Any, what: str) -> None:
    """Refuse what a later version has written."""
    if isinstance(data, dict) and type(data.get("format")) is int and data["format"] > FORMAT:
        raise DataError(f"{what} is of format {data['format']}, newer than {FORMAT}; update schuss")


def column_to_dict(column: Column) -> dict[str, Any]:
    """A decision as plain data."""
    kind = next(kind for kind, made in KINDS.items() if type(column) is made)
    fields = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(column).items()}
    return {"kind": kind, **fields}


def column_from(name: str, value: Any) -> Column:
    """Inverse of `column_to_dict`. ValueError, TypeError: it is not as that has made it."""
    from ..files.header import Check, distinct, mapping, one_of, record, text

    kind = one_of(*KINDS)(f"{name}.kind", mapping(name, value).get("kind"))
    of_kind: dict[str, dict[str, Check]] = {
        "number": {"decimal": one_of(".", ","), "thousands": one_of("", ",", ".", " ", "'"), "unit": text},
        "boolean": {},
        "category": {"categories": distinct(text), "rare": distinct(text)},
        "date": {"order": one_of(*dates.ORDERS), "parts": distinct(one_of(*dates.PARTS))},
        "dropped": {"why": text},
    }
    given = record({"kind": text, "name": text, **of_kind[kind]})(name, value)
    del given["kind"]
    made = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    if kind == "number" and made["decimal"] == made["thousands"]:
        raise ValueError(f"{name}.thousands must differ from its decimal; got {made['decimal']!r}")
    column: Column = KINDS[kind](**made)
    return column
