"""What is predicted: classes as they are in the table, or a quantity."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..arguments import unknown_name
from .cells import EXACT, Cells, Table, Text, Typed, table_of, text_of
from .columns import FALSE, TRUE, Column, Number
from .deciding import decimal_comma_of, few_enough, how_read
from .errors import DataError, many, some
from .numerals import MISSING, find_form, numbers_of
from .schema import FORMAT, check_format, column_from, column_to_dict

__all__ = ["Target", "find_target"]

Task = Literal["classification", "regression"]
Kind = Literal["text", "truth", "number"]

TARGET_NAMES = ("target", "label", "class", "y")
MAX_INTEGER_CLASSES = 20  # a target of whole numbers with more distinct values than this is a quantity
_LARGEST = 2**64 - 1


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
        Regression: every value in training was a whole number of at least 0, more than two of them, some far less than
        the median, so that a Poisson loss may fit.
    kind : "text", "truth" or "number"
        What the column holds.
    number : Number or None
        How numbers are written where they are text.
    missing : tuple of str
        Words, in lower case, that mean that a number or truth value is missing.
    """

    name: str
    task: Task
    classes: tuple[Any, ...] = ()
    counts: bool = False
    kind: Kind = "number"
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
        kind, number, notes = _kind_of(table, cells, name, where)
        values, times = _counted(cells, kind, number, MISSING)
        if not values:
            raise DataError(f"{where} has no values")
        n_known = sum(times)
        if n_known < len(cells):
            notes.append(f"left out {len(cells) - n_known} of {many(len(cells), 'row')} that have no {name!r}")
        if task == "regression" and kind == "text":
            raise DataError(f"{where} is not numeric (such as {values[0]!r}); regression needs numbers")
        if len(values) < 2:
            raise DataError(f"{where} is {some(values)} in all {n_known} rows; nothing to learn")
        if kind == "number":
            infinite = next((value for value in values if value in (np.inf, -np.inf)), None)
            if infinite is not None:
                raise DataError(f"{where} must be finite; got {infinite}")
        whole = all(isinstance(value, int) for value in values)
        if task is None:
            labels = whole and any(abs(value) > EXACT for value in values)  # no quantity has so many digits
            few = whole and (len(values) <= MAX_INTEGER_CLASSES or labels) and min(times) >= 2
            task = "classification" if kind != "number" or few else "regression"
        if task == "regression":
            counts = whole and len(values) > 2 and _are_counts(values, times)
            if counts:
                notes.append(f"{name!r} holds counts: a Poisson loss may fit better")
            return cls(name, task, (), counts, kind, number), tuple(notes)
        if n_known < len(cells) and kind == "number" and isinstance(cells, Text):
            found, _ = _distinct(cells, kind, number, frozenset(MISSING))
            if any(isinstance(value, _Unreadable) for value in found):  # classes are no numbers, then
                kind, number = "text", None
                values, times = _counted(cells, kind, number, MISSING)
                n_known = sum(times)
        if len(values) > n_known // 2 and len(values) > 2:
            raise DataError(
                f"{where} has {len(values)} distinct values in {n_known} rows, too many for classes; choose another "
                "column" + (" or the task regression" if kind == "number" else "")
            )
        if kind == "text" and isinstance(cells, Text):
            notes += [
                f"{name!r}: {word!r} is a class, not a missing value" for word in values if word.lower() in MISSING
            ]
        if kind == "number" and not whole:
            values = [float(value) for value in values]
        return cls(name, task, tuple(sorted(values)), False, kind, number), tuple(notes)

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
        if self.name not in table:
            raise DataError(f"{table.name}: has no column {self.name!r}")
        cells = table.cells(self.name)
        values, places = _distinct(cells, self.kind, self.number, frozenset(self.missing))
        if self.task == "regression":
            bad = [value for value in values if isinstance(value, _Unreadable)]
            if bad and all(value is None or isinstance(value, _Unreadable) for value in values):
                raise DataError(f"{where} must be numbers as in training; got {some(bad, 3)}")
            real = [np.nan if value is None or isinstance(value, _Unreadable) else float(value) for value in values]
            quantities = np.array([*real, np.nan])[places]
            infinite = np.isinf(quantities)
            if infinite.any():
                raise DataError(f"{where} is infinite in row {int(infinite.argmax()) + 1}")
            return np.asarray(quantities)
        code_of = {value: code for code, value in enumerate(self.classes)}
        codes = []
        for place, value in enumerate(values):
            code = -1 if value is None else code_of.get(value)
            if code is None:
                row = int((places == place).argmax())
                raise DataError(f"{where} is {value!r} in row {row + 1}; known classes: {some(self.classes)}")
            codes.append(code)
        return np.array([*codes, -1], np.int64)[places]

    def decode(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """Numbers of classes to the classes: int64, float64 or bool where they are such, else object.

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
            "kind": self.kind,
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
                "kind": one_of("text", "truth", "number"),
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


class _Unreadable(str):
    """A cell that is not what the column is."""

    __slots__ = ()


def _distinct(
    cells: Cells, kind: Kind, number: Number | None, missing: Collection[str]
) -> tuple[list[Any], NDArray[np.int64]]:
    """The different values, None where a cell has none or another kind's, and which of them each row is; -1: a gap."""
    if isinstance(cells, Typed):
        known = cells.values[~cells.missing]
        distinct, inverse = np.unique(known, return_inverse=True)
        places = np.full(len(cells), -1, np.int64)
        places[~cells.missing] = inverse
        values = distinct.tolist()
        if kind == "text":
            return [text_of(value) for value in values], places
        if kind == "truth":
            return [bool(value) if value in (0, 1) else _Unreadable(text_of(value)) for value in values], places
        return [_exact(value) for value in values], places
    texts = cells.texts()
    different = list(dict.fromkeys(texts))
    place_of = {text: place if text.strip() else -1 for place, text in enumerate(different)}
    places = np.fromiter(map(place_of.__getitem__, texts), np.int64, len(texts))
    if kind == "text":
        return [text if text.strip() else None for text in different], places
    lower = [text.strip().lower() for text in different]
    if kind == "truth":
        truths: dict[str, Any] = {**dict.fromkeys(TRUE, True), **dict.fromkeys(FALSE, False), "": None}
        truths |= dict.fromkeys(missing)
        return [truths.get(word, _Unreadable(text)) for text, word in zip(different, lower, strict=True)], places
    form = (number or Number("")).form
    known_texts = [text.strip() for text, word in zip(different, lower, strict=True) if word and word not in missing]
    numbers, bad = numbers_of(known_texts, form)
    exact = {
        text: _Unreadable(text) if gone else _whole(text, value)
        for text, value, gone in zip(known_texts, numbers.tolist(), bad.tolist(), strict=True)
    }
    return [exact.get(text.strip()) for text in different], places


def _are_counts(values: list[int], times: list[int]) -> bool:
    """Whether whole numbers start near 0: prices and years do not."""
    return 0 <= 10 * min(values) <= float(np.median(np.repeat(np.array(values, np.float64), times)))


def _exact(value: Any) -> Any:
    """A typed number: whole ones as int."""
    return int(value) if isinstance(value, (bool, int)) or value.is_integer() else value


def _whole(text: str, value: float) -> Any:
    """A number that was read as float: whole ones as int, with all digits that are written."""
    bare = text.replace("−", "-")
    if re.fullmatch(r"[+-]?[0-9]+", bare):
        return int(bare)
    return int(value) if value.is_integer() else value


def _counted(cells: Cells, kind: Kind, number: Number | None, missing: Collection[str]) -> tuple[list[Any], list[int]]:
    """The different values, and how many rows each has."""
    values, places = _distinct(cells, kind, number, missing)
    rows = np.bincount(places[places >= 0], minlength=len(values)).tolist()
    times: dict[Any, int] = {}
    for value, n in zip(values, rows, strict=True):
        if value is not None and not isinstance(value, _Unreadable):
            times[value] = times.get(value, 0) + n
    return list(times), list(times.values())


def _kind_of(table: Table, cells: Cells, name: str, where: str) -> tuple[Kind, Number | None, list[str]]:
    """What the column holds, and how its numbers are written."""
    if isinstance(cells, Typed):
        if cells.kind == "time" and not cells.missing.all():
            raise DataError(f"{where} holds dates; expected classes or numbers")
        return ("truth" if cells.kind == "truth" else "number"), None, []
    if cells.declared:
        return "text", None, []
    texts, places = cells.distinct()
    known = [k for k, text in enumerate(texts) if text.lower() not in MISSING]
    times = np.bincount(places[places >= 0], minlength=len(texts))
    words = [k for k, text in enumerate(texts) if text.lower() in MISSING]
    notes = []
    if words:
        shown = ", ".join(repr(texts[k]) for k in words[:3])
        notes.append(f"{name!r}: taken as missing: {shown} in {many(int(times[words].sum()), 'row')}")
    lower = {texts[k].lower() for k in known}
    if lower and lower <= {"true", "false"}:
        return "truth", None, notes
    found = find_form([texts[k] for k in known], table.decimal_comma)
    if found is not None and found.other is not None:
        found = find_form([texts[k] for k in known], decimal_comma_of(table, (name,)))
    if found is None or found.zeros:
        return "text", None, []
    numbers, bad = numbers_of([texts[k] for k in known], found.form)
    if not few_enough(bad, times[known]):
        return "text", None, []
    if bad.any():
        example = texts[known[int(bad.argmax())]]
        rows = int(times[known][bad].sum())
        notes.append(f"{name!r}: taken as missing: {many(rows, 'cell')} among the numbers, such as {example!r}")
    if found.other is not None and (found.form.thousands or found.form.decimal == ","):
        notes.append(how_read(name, [texts[k] for k in known], found.form, found.other))
    if found.whole and np.nanmax(np.abs(numbers)) > _LARGEST:
        return "text", None, []
    return "number", Number(name, found.form.decimal, found.form.thousands, found.form.unit), notes
