"""What is predicted: classes as they are in the table, or a quantity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..arguments import unknown_name
from .cells import EXACT, Cells, Table, Text, Typed, table_of, text_of
from .columns import Column, Date, Dropped, Number, decide_columns
from .errors import DataError
from .numerals import MISSING, numbers_of
from .schema import FORMAT, check_format, column_from, column_to_dict

__all__ = ["Target", "find_target"]

Task = Literal["classification", "regression"]

TARGET_NAMES = ("target", "label", "class", "y")
MAX_INTEGER_CLASSES = 20  # a target of whole numbers with more distinct values than this is a quantity
# Truth values in any case are bool; "yes" and "no" stay the texts that they are.
_TRUTHS = {"true": True, "false": False}


def find_target(names: Iterable[str], wanted: str | None = None) -> str:
    """The column to predict: the wanted one, else one called target, label, class or y, else the last.

    Raises
    ------
    DataError
        If there is no such column, with the nearest names, or only one column in all.
    """
    names = list(names)
    if wanted is not None and wanted not in names:
        raise DataError(str(unknown_name("target", wanted, names)))
    if len(names) < 2:
        raise DataError(f"the table has only the column {', '.join(map(repr, names))}; nothing to predict it from")
    if wanted is not None:
        return wanted
    by_lower_case = {name.lower(): name for name in names}
    return next((by_lower_case[name] for name in TARGET_NAMES if name in by_lower_case), names[-1])


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes
    ----------
    name : str
    task : "classification" or "regression"
    classes : tuple of str, int, float or bool
        As they are in the table, sorted. Empty for regression.
    counts : bool
        Regression: every value in training was a whole number of at least 0, so that a Poisson loss may fit.
    number : Number or None
        How the column writes numbers, if it holds such.
    missing : tuple of str
        Words, in lower case, that mean that a number or truth value is missing.
    """

    name: str
    task: Task
    classes: tuple[Any, ...] = ()
    counts: bool = False
    number: Number | None = None
    missing: tuple[str, ...] = MISSING

    @classmethod
    def decide(cls, frame: Any, name: str, task: Task | None = None) -> tuple[Target, tuple[str, ...]]:
        """Find out on training rows what the column asks for; rows without a value do not count.

        Text and truth values are classes. So are whole numbers with at most 20 distinct values, each seen at least
        twice; other numbers are quantities. `task` overrides that. Only an empty cell is a missing class where classes
        are text: "None" and "NA" are classes.

        Raises
        ------
        DataError
            If there is no value, only one class or one value, or the column cannot be what `task` says.
        """
        table = table_of(frame)
        where = f"{table.name}: target {name!r}"
        if name not in table:
            raise DataError(str(unknown_name(f"{table.name}: target", name, table.names)))
        cells = table.cells(name)
        number, notes = _number_of(table, name, cells)
        values, missing = _values(cells, number, MISSING, where)
        known = values[~missing]
        if not len(known):
            raise DataError(f"{where} has no values")
        if missing.any():
            notes.append(f"{int(missing.sum())} of {len(cells)} rows have no {name!r} and are left out")
        numeric = known.dtype.kind in "iuf"
        if task == "regression" and not numeric:
            if known.dtype == bool:
                known, numeric = known.astype(np.int64), True
            else:
                raise DataError(f"{where} is not numeric (such as {known[0]!r}); regression needs numbers")
        distinct, times = np.unique(known, return_counts=True)
        if len(distinct) < 2:
            raise DataError(f"{where} is {distinct[0].item() if numeric else distinct[0]!r} in all rows; nothing to learn")
        whole = numeric and bool(np.all(distinct == np.round(distinct)))
        if task is None:
            exact = known.dtype.kind in "iu" and bool((np.abs(distinct.astype(np.float64)) > EXACT).any())
            few = whole and (len(distinct) <= MAX_INTEGER_CLASSES or exact) and times.min() >= 2
            task = "regression" if numeric and not few else "classification"
        if task == "regression":
            counts = whole and float(distinct[0]) >= 0
            if counts and len(distinct) > 2:
                notes.append(f"{name!r} holds counts: a Poisson loss may fit better")
            return cls(name, task, (), counts, number or Number(name)), tuple(notes)
        if len(distinct) > len(known) // 2 and len(distinct) > 2:
            other = " or the task regression" if numeric else ""
            raise DataError(
                f"{where} has {len(distinct)} distinct values in {len(known)} rows, too many for classes; choose "
                f"another column{other}"
            )
        classes = [int(v) if whole else v for v in distinct.tolist()]
        if isinstance(cells, Text) and known.dtype == object:
            words = [c for c in classes if c.lower() in MISSING]
            notes += [f"{name!r}: {word!r} is a class, not a missing value" for word in words]
        return cls(name, task, tuple(classes), False, number), tuple(notes)

    def read(self, frame: Any) -> NDArray[Any]:
        """The column: numbers of classes, or quantities.

        Returns
        -------
        (rows,) int64, -1 where there is no value; or float64, NaN where there is none.

        Raises
        ------
        DataError
            If a class is one that training did not see, a text is no number, or a value is infinite.
        """
        table = table_of(frame)
        where = f"{table.name}: target {self.name!r}"
        cells = table.cells(self.name)
        if self.task == "regression":
            if isinstance(cells, Text) and self.number is not None:
                texts, places = cells.distinct()
                known = [k for k, text in enumerate(texts) if text.lower() not in self.missing]
                _, bad = numbers_of([texts[k] for k in known], self.number.form)
                if bad.any():
                    place = known[int(bad.argmax())]
                    row = int((places == place).argmax())
                    raise DataError(f"{where} must be numbers as in training; row {row + 1} is {texts[place]!r}")
            values, missing = _values(cells, self.number, self.missing, where)
            quantities = np.full(len(values), np.nan)
            quantities[~missing] = values[~missing].astype(np.float64)
            return quantities
        values, missing = _values(cells, self.number, self.missing, where, of_text=isinstance(self.classes[0], str))
        number_of = {_key(value): number for number, value in enumerate(self.classes)}
        codes = np.full(len(values), -1, np.int64)
        rows = np.flatnonzero(~missing)
        for row, value in zip(rows.tolist(), values[rows].tolist(), strict=True):
            code = number_of.get(_key(value))
            if code is None:
                from .columns import listed_values

                raise DataError(f"{where} is {value!r} in row {row + 1}; known classes: {listed_values(self.classes)}")
            codes[row] = code
        return codes

    def decode(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Numbers of classes to the classes, of the same shape: int64, float64 or bool where they are such, else object.

        Whole numbers of 2^63 and more are uint64.
        """
        kinds = set(map(type, self.classes))
        if kinds == {int}:
            table = np.array(self.classes, np.uint64 if max(self.classes) >= 2**63 else np.int64)
        elif kinds in ({float}, {bool}):
            table = np.array(self.classes)
        else:
            table = np.empty(len(self.classes), object)
            table[:] = self.classes
        decoded: NDArray[Any] = table[numbers]
        return decoded

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it back to an equal object."""
        return {
            "format": FORMAT,
            "name": self.name,
            "task": self.task,
            "classes": list(self.classes),
            "counts": self.counts,
            "number": None if self.number is None else column_to_dict(self.number),
            "missing": list(self.missing),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Target:
        """Inverse of `to_dict`.

        Raises
        ------
        DataError
            If the data are of a newer format, or damaged.
        """
        from ..files.header import distinct, one_of, optional, real, record, text, truth, whole

        def label(name: str, value: Any) -> Any:
            return value if isinstance(value, (bool, str, int)) else real(name, value)

        def number(name: str, value: Any) -> Column:
            column = column_from(name, value)
            if not isinstance(column, Number):
                raise ValueError(f"{name}.kind must be 'number'")
            return column

        check_format(data, "the table's target")
        check = record(
            {
                "format": whole(1, FORMAT),
                "name": text,
                "task": one_of("classification", "regression"),
                "classes": distinct(label),
                "counts": truth,
                "number": optional(number),
                "missing": distinct(text),
            }
        )
        try:
            given = check("its target", data)
            if bool(given["classes"]) != (given["task"] == "classification"):
                raise ValueError("its target.classes must be there for a classification, and only for one")
        except (TypeError, ValueError) as error:
            raise DataError(f"the table's target in the file is damaged: {error}") from None
        del given["format"]
        given["classes"], given["missing"] = tuple(given["classes"]), tuple(given["missing"])
        return cls(**given)


def _number_of(table: Table, name: str, cells: Cells) -> tuple[Number | None, list[str]]:
    ...
