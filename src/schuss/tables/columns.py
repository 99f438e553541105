"""What a column of a table is: decided once, on training rows, and stored as plain data.

Every decision is a frozen dataclass that reads cells by what it holds and never guesses anew, so that the file of a
model alone says how the next table is read. skrub's ``Cleaner`` and ``TableVectorizer`` find out much of the same, but
what they find is in pickled estimators, their words for missing values are the same in text as among numbers ("None"
and "NA" are classes, too), "-" and "n.d." are not among them, the decimal sign has to be told, and numbers come out
as float32. pandas and pyarrow decide on the types of a file at each reading, from that file. Hence these rules.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import dates
from .cells import CALLED, SEPARATOR, Cells, Text, Typed
from .errors import DataError
from .numerals import Form, is_plain, numbers_of

__all__ = [
    "FALSE",
    "TRUE",
    "Boolean",
    "Category",
    "Column",
    "Date",
    "Dropped",
    "Number",
    "Reading",
    "joined",
    "numbers_in",
    "plain_numbers",
]

TRUE = frozenset(("true", "t", "yes", "y", "1", "1.0"))
FALSE = frozenset(("false", "f", "no", "n", "0", "0.0"))
TRUTHS = ("False", "True")


@dataclass(frozen=True)
class Reading:
    """What reading a column gives.

    Attributes
    ----------
    values : (rows,) int64 or (rows, n) float64
        Codes of categories, or numbers.
    unreadable : int
        Cells that are not what the column is; they count as missing.
    unknown : int
        Categories that training never saw.
    examples : tuple of str
        A few of those.
    """

    values: NDArray[Any]
    unreadable: int = 0
    unknown: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class Number:
    """Numbers, and how they are written where they are text."""

    name: str
    decimal: str = "."
    thousands: str = ""
    unit: str = ""

    @property
    def form(self) -> Form:
        return Form(self.decimal, self.thousands, self.unit)

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name,)

    def read(self, cells: Cells, missing: Collection[str], where: str) -> Reading:
        """(rows, 1) float64. DataError: a value is infinite, all are text, or they are dates."""
        values, bad = numbers_in(cells, self.form, missing, where)
        return Reading(values[:, None], *_told(bad, cells, missing, where, "numbers"))


@dataclass(frozen=True)
class Boolean:
    """Truth values: TRUE and FALSE, yes and no, t and f, 1 and 0, in any case."""

    name: str

    @property
    def categories(self) -> tuple[str, ...]:
        return TRUTHS

    def read(self, cells: Cells, missing: Collection[str], where: str) -> Reading:
        """(rows,) int64: 0 missing, 1 false, 2 true, 3 neither."""
        if isinstance(cells, Typed) and cells.kind == "truth":
            return Reading(np.where(cells.missing, 0, cells.values.astype(np.int64) + 1))
        texts, places = cells.distinct()
        lower = [text.lower() for text in texts]
        codes = [1 if t in FALSE else 2 if t in TRUE else 0 if t in missing else 3 for t in lower]
        return _coded(texts, places, codes, 3)


@dataclass(frozen=True)
class Category:
    """Texts, each one a category.

    Attributes
    ----------
    name : str
    categories : tuple of str
        Sorted.
    rare : tuple of str
        Seen in training, too, but not told apart: they share the code of those never seen.
    """

    name: str
    categories: tuple[str, ...]
    rare: tuple[str, ...] = ()

    def read(self, cells: Cells, missing: Collection[str], where: str) -> Reading:
        """(rows,) int64: 0 missing, then the categories from 1, then what is none of them."""
        texts, places = cells.distinct()
        other = len(self.categories) + 1
        code_of = {category: code + 1 for code, category in enumerate(self.categories)}
        rare = frozenset(self.rare)
        return _coded(texts, places, [code_of.get(text, other) for text in texts], other, rare)


@dataclass(frozen=True)
class Date:
    """Dates: days since 1970, and the parts of them that vary.

    Attributes
    ----------
    name : str
    order : str
        One of `dates.ORDERS`: how they are written where they are text.
    parts : tuple of str
        Of "month", "weekday" and "hour".
    """

    name: str
    order: str = "ymd"
    parts: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.name, *(f"{self.name} {part}" for part in self.parts))

    def read(self, cells: Cells, missing: Collection[str], where: str) -> Reading:
        """(rows, 1 + parts) float64. DataError: they are numbers, or all are other text."""
        times, gone, bad = _times(cells, self.order, missing, where)
        values = np.empty((len(cells), 1 + len(self.parts)))
        for k, part in enumerate(("days", *self.parts)):
            values[:, k] = dates.part_of(times, part)
        values[gone] = np.nan
        return Reading(values, *_told(bad, cells, missing, where, "dates"))


@dataclass(frozen=True)
class Dropped:
    """A column that is no input, and why."""

    name: str
    why: str


Column = Number | Boolean | Category | Date | Dropped


# ---- reading ------------------------------------------------------------------------------------------------------


def _coded(
    texts: list[str],
    places: NDArray[np.int64],
    codes: list[int],
    other: int,
    rare: frozenset[str] = frozenset(),
) -> Reading:
    """Codes of rows from those of the different texts; -1 in `places` is a gap."""
    values = np.array([*codes, 0], np.int64)[places]
    new = [k for k, code in enumerate(codes) if code == other and texts[k] not in rare]
    if not new:
        return Reading(values)
    counts = np.bincount(places[places >= 0], minlength=len(texts))
    return Reading(values, 0, int(counts[new].sum()), tuple(texts[k] for k in new[:3]))


def numbers_in(
    cells: Cells, form: Form, missing: Collection[str], where: str
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """(rows,) numbers with NaN, and which of them are missing because they are no numbers."""
    if isinstance(cells, Typed):
        if cells.kind == "time":
            raise DataError(f"{where} must be numbers as in training; got dates")
        values = np.where(cells.missing, np.nan, cells.values.astype(np.float64))
        bad = np.zeros(len(values), bool)
    else:
        values, bad = _from_text(cells, form, missing)
    infinite = np.isinf(values)
    if infinite.any():
        raise DataError(f"{where} is infinite in row {int(infinite.argmax()) + 1}")
    return values, bad


def _from_text(cells: Text, form: Form, missing: Collection[str]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    plain = plain_numbers(cells)
    if plain is not None and (form.decimal == "." or not _has_point(cells)):
        return plain, np.zeros(len(plain), bool)
    texts, places = cells.distinct()
    values, bad = np.full(len(texts) + 1, np.nan), np.zeros(len(texts) + 1, bool)
    known = [k for k, text in enumerate(texts) if text.lower() not in missing]
    values[known], bad[known] = numbers_of([texts[k] for k in known], form)
    return values[places], bad[places]


def plain_numbers(cells: Text) -> NDArray[np.float64] | None:
    """The numbers, if all cells are such with a decimal point at most, or empty: most columns are, and this is fast."""
    if not is_plain(map(joined, cells.parts)):
        return None
    try:
        parts = [np.array([float(text or "nan") for text in texts], np.float64) for texts in cells.lists()]
    except ValueError:
        return None
    return np.concatenate(parts) if parts else np.empty(0, np.float64)


def joined(part: str | list[str]) -> str:
    return part if isinstance(part, str) else SEPARATOR.join(part)


def _has_point(cells: Text) -> bool:
    return any("." in part if isinstance(part, str) else any("." in text for text in part) for part in cells.parts)


def _times(
    cells: Cells, order: str, missing: Collection[str], where: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """(rows,) microseconds, which are missing, and which of these are no dates."""
    if isinstance(cells, Typed):
        if cells.kind != "time" and not cells.missing.all():
            raise DataError(f"{where} must be dates as in training; got {CALLED[cells.kind]}")
        times = cells.values if cells.kind == "time" else np.zeros(len(cells), np.int64)
        return times, cells.missing, np.zeros(len(cells), bool)
    texts, places = cells.distinct()
    known = [k for k, text in enumerate(texts) if text.lower() not in missing]
    values, gone, bad = (
        np.zeros(len(texts) + 1, np.int64),
        np.ones(len(texts) + 1, bool),
        np.zeros(len(texts) + 1, bool),
    )
    values[known], bad[known] = dates.times_of([texts[k] for k in known], order)
    gone[known] = bad[known]
    return values[places], gone[places], bad[places]


def _told(
    bad: NDArray[np.bool_], cells: Cells, missing: Collection[str], where: str, expected: str
) -> tuple[int, int, tuple[str, ...]]:
    """How many cells are unreadable, and examples. DataError: all that are not empty are."""
    count = int(bad.sum())
    if not count or isinstance(cells, Typed):
        return 0, 0, ()
    texts = cells.texts()
    rows = np.flatnonzero(bad)
    examples = list(dict.fromkeys(texts[row] for row in rows[:100].tolist()))
    if not any(text.strip() and text.strip().lower() not in missing and not bad[k] for k, text in enumerate(texts)):
        raise DataError(f"{where} must be {expected} as in training; row {int(rows[0]) + 1} is {examples[0]!r}")
    return count, 0, tuple(examples[:3])
