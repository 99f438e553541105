"""What a column of a table is: decided once, on training rows, and stored as plain data.

Every decision is a frozen dataclass that reads cells by what it holds and never guesses anew, so that the file of a
model alone says how the next table is read. skrub's ``Cleaner`` and ``TableVectorizer`` find out much of the same, but
what they find is in pickled estimators, their words for missing values are the same in text as among numbers ("None"
and "NA" are classes, too), "-" and "n.d." are not among them, the decimal sign has to be told, and numbers come out
as float32. pandas and pyarrow decide on the types of a file at each reading, from that file. Hence these rules.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import dates
from .cells import CALLED, EXACT, SEPARATOR, Cells, Table, Text, Typed
from .errors import DataError, many
from .numerals import MISSING, Form, find_form, is_plain, numbers_of

__all__ = ["Boolean", "Category", "Column", "Date", "Dropped", "Number", "Reading", "decide_columns", "listed"]

MAX_CATEGORIES = 256  # of one column, that are told apart; rarer ones share a code
# A column of so many different texts, and so many to a row, is names or sentences and no categories.
MANY_TEXTS, NEARLY_UNIQUE = 20, 0.5
# Cells that are no numbers in a column of numbers: up to this share, and with so many different numbers.
UNREADABLE, ENOUGH = 0.05, 20
NO_VALUES = "no values"
CONSTANT = "the same value in every training row"
ROW_NUMBERS = "a number of its own for each row"
ALL_DIFFERENT = "all texts are different"
NEARLY_ALL_DIFFERENT = "nearly all texts are different"
FEW_ROWS = 3  # of which nothing is said by all values being different

TRUE = frozenset(("true", "t", "yes", "y", "1", "1.0"))
FALSE = frozenset(("false", "f", "no", "n", "0", "0.0"))
_PAIRS = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"})
TRUTHS = ("False", "True")
# Names of columns that number the rows, if no two of their values are equal.
_ID = re.compile(r"(?i:id|index|idx|key|rownames?|row\.names|row|rowid|rownum|uuid|guid)|.*[ _.\-](?i:id)|.*[a-z]I[dD]")


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
        values, bad = _numbers(cells, self.form, missing, where)
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


def _numbers(
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
    plain = _plain_numbers(cells)
    if plain is not None and (form.decimal == "." or not _has_point(cells)):
        return plain, np.zeros(len(plain), bool)
    texts, places = cells.distinct()
    values, bad = np.full(len(texts) + 1, np.nan), np.zeros(len(texts) + 1, bool)
    known = [k for k, text in enumerate(texts) if text.lower() not in missing]
    values[known], bad[known] = numbers_of([texts[k] for k in known], form)
    return values[places], bad[places]


def _plain_numbers(cells: Text) -> NDArray[np.float64] | None:
    """The numbers, if all cells are such with a decimal point at most, or empty: most columns are, and this is fast."""
    if not is_plain(map(_joined, cells.parts)):
        return None
    try:
        parts = [np.array([float(text or "nan") for text in texts], np.float64) for texts in cells.lists()]
    except ValueError:
        return None
    return np.concatenate(parts) if parts else np.empty(0, np.float64)


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


# ---- deciding -----------------------------------------------------------------------------------------------------


@dataclass
class _Hints:
    """What the columns say of each other: how the table writes decimals, and whether days come before months.

    And for the user: how dates are read, and words that mean that a value is missing, with their number.
    """

    decimal_comma: bool | None = None
    day_first: bool | None = None
    commas: set[bool] = field(default_factory=set)
    days: set[bool] = field(default_factory=set)
    again: bool = False
    dates: dict[str, str] = field(default_factory=dict)
    words: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)


def decide_columns(table: Table, leave: Collection[str] = ()) -> tuple[list[Column], list[str]]:
    """What each column is, and what the user should know.

    Columns whose cells can be read in two ways are read as the others are.
    """
    decided: dict[str, tuple[Column, list[str]]] = {}
    hints = _Hints()
    unsure = []
    for place, name in enumerate(table.names):
        if name in leave:
            continue
        hints.again = False
        decided[name] = _decide(table, name, place, hints)
        if hints.again:
            unsure.append((place, name))
    later = _Hints(
        decimal_comma=_only(hints.commas) if hints.commas else table.decimal_comma,
        day_first=_only(hints.days) if hints.days else _only(hints.commas),
    )
    if later.decimal_comma is not None or later.day_first is not None:
        for place, name in unsure:
            decided[name] = _decide(table, name, place, later)
    columns = [column for column, _ in decided.values()]
    notes = [note for _, told in decided.values() for note in told]
    hints.dates |= later.dates
    for how in dict.fromkeys(hints.dates.values()):
        names = [name for name, its in hints.dates.items() if its == how]
        notes.append(f"read as {how}: {listed(names)}")
    for words in dict.fromkeys(words for words, _ in hints.words.values()):
        where = [f"{name!r} ({many(n, 'row')})" for name, (its, n) in hints.words.items() if its == words]
        more = f" and {len(where) - 5} more" if len(where) > 5 else ""
        in_columns = f"column{'s' if len(where) > 1 else ''} {', '.join(where[:5])}{more}"
        notes.append(f"taken as missing: {', '.join(map(repr, words))} in {in_columns}")
    for why in dict.fromkeys(column.why for column in columns if isinstance(column, Dropped)):
        names = [column.name for column in columns if isinstance(column, Dropped) and column.why == why]
        notes.append(f"left out {listed(names)}: {why}")
    return columns, notes


def _only(values: set[bool]) -> bool | None:
    return next(iter(values)) if len(values) == 1 else None


def listed(names: list[str]) -> str:
    """Columns, for a message."""
    shown = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"column{'s' if len(names) > 1 else ''} {shown}"


def _decide(table: Table, name: str, place: int, hints: _Hints) -> tuple[Column, list[str]]:
    cells = table.cells(name)
    where = f"{table.name}: column {name!r}"
    counts_rows = place == 0 and name in table.nameless
    if isinstance(cells, Typed):
        return _decide_typed(cells, name, counts_rows, where), []
    if cells.declared:
        return _category(name, *cells.distinct(), counts_rows)
    return (
        _decide_plain(cells, name, counts_rows, where, hints)
        or _decide_text(cells, name, counts_rows, where, hints)
    )  # fmt: skip


def _decide_typed(cells: Typed, name: str, counts_rows: bool, where: str) -> Column:
    known = cells.values[~cells.missing]
    if not len(known):
        return Dropped(name, NO_VALUES)
    if cells.kind == "number":
        _numbers(cells, Form(), (), where)
    least, most = known.min(), known.max()
    if least == most and len(known) == len(cells):
        return Dropped(name, CONSTANT)
    if cells.kind == "truth":
        return Boolean(name)
    if cells.kind == "time":
        return _date(name, "ymd", known)
    if cells.kind == "whole" and (most > EXACT or least < -EXACT):
        return _category(name, *cells.distinct(), counts_rows)[0]
    return _number(name, known.astype(np.float64), Form(), counts_rows, cells.kind == "whole")


def _decide_plain(
    cells: Text, name: str, counts_rows: bool, where: str, hints: _Hints
) -> tuple[Column, list[str]] | None:
    """The decision on a column of plain numbers and gaps, in which there is nothing to find out; None: it is none."""
    parts = [_joined(part) for part in cells.parts]
    whole = not any(re.search(r"[.eE]", part) for part in parts)
    if not whole and not any(re.search(r"\.(?!\d{3}(?:\0|$))|(?:^|\0)[+-]?0?\.", part) for part in parts):
        return None  # the points may be between thousands
    if whole and any(re.search(r"(?:^|\0)[+-]?0\d", part) for part in parts):
        return None
    values = _plain_numbers(cells)
    if values is None:
        return None
    known = values[~np.isnan(values)]
    if not len(known):
        return Dropped(name, NO_VALUES), []
    if whole and np.abs(known).max() > EXACT:
        return None
    _numbers(Typed("number", values, np.isnan(values)), Form(), (), where)
    if not whole:
        hints.commas.add(False)
    hints.again |= whole
    if known.min() == known.max() and len(known) == len(values):
        return Dropped(name, CONSTANT), []
    form = Form("," if whole and hints.decimal_comma else ".")
    return _number(name, known, form, counts_rows, whole), []


def _decide_text(cells: Text, name: str, counts_rows: bool, where: str, hints: _Hints) -> tuple[Column, list[str]]:
    texts, places = cells.distinct()
    if not texts:
        return Dropped(name, NO_VALUES), []
    times = np.bincount(places[places >= 0], minlength=len(texts))
    words = [k for k, text in enumerate(texts) if text.lower() in MISSING]
    others = [k for k, text in enumerate(texts) if text.lower() not in MISSING]
    if not others:
        return Dropped(name, NO_VALUES), []
    known = [texts[k] for k in others]
    known_times = times[others]
    gone = {name: (tuple(texts[k] for k in words[:3]), int(times[words].sum()))} if words else {}
    gaps = bool((places < 0).any()) or bool(words)
    notes = []

    def accepted(bad: NDArray[np.bool_], expected: str) -> bool:
        """Whether few enough cells are something else, which the user is then told."""
        if not bad.any():
            return True
        if not few_enough(bad, known_times):
            return False
        rows = int(known_times[bad].sum())
        example = known[int(bad.argmax())]
        notes.append(
            f"column {name!r}: taken as missing: {many(rows, 'cell')} among the {expected}, such as {example!r}"
        )
        return True

    if any({text.lower() for text in known} <= pair for pair in _PAIRS):
        if len({text.lower() for text in known}) == 1 and not gaps:
            return Dropped(name, CONSTANT), []
        hints.words |= gone
        return Boolean(name), notes
    found = find_form(known, hints.decimal_comma)
    if found is not None:
        values, bad = numbers_of(known, found.form)
        if accepted(bad, "numbers"):
            infinite = np.isinf(values)
            if infinite.any():
                row = int((places == others[int(infinite.argmax())]).argmax())
                raise DataError(f"{where} is infinite in row {row + 1}")
            if found.zeros:
                column, _ = _category(name, texts, places, counts_rows)
                return column, [f"column {name!r} has numbers with leading zeros: they are read as text"]
            if found.whole and np.nanmax(np.abs(values)) > EXACT:
                return _category(name, texts, places, counts_rows)
            if found.decimal_comma is not None:
                hints.commas.add(found.decimal_comma)
            hints.again |= found.other is not None or found.whole
            good = values[~bad]
            if good.min() == good.max() and not gaps and not bad.any():
                return Dropped(name, CONSTANT), []
            if found.other is not None and (found.form.thousands or found.form.decimal == ","):
                notes.append(how_read(name, known, found.form, found.other))
            hints.words |= gone
            every = good if len(good) == int(known_times.sum()) else np.repeat(good, known_times[~bad])
            return _number(name, every, found.form, counts_rows, found.whole), notes
    orders = dates.find_orders(known)
    if orders:
        order = orders[0][0]
        both = {"dmy", "mdy"} <= {one for one, _ in orders}
        if both:
            day_first = hints.day_first
            order = "dmy" if day_first else "mdy"
        stamps, bad = dates.times_of(known, order)
        if accepted(bad, "dates"):
            hints.again |= both
            if not both and order in ("dmy", "mdy"):
                hints.days.add(order == "dmy")
            if len(set(stamps[~bad].tolist())) == 1 and not gaps and not bad.any():
                return Dropped(name, CONSTANT), []
            hints.words |= gone
            how = dates.CALLED[order] + (", though it could be the other way round" if both else "")
            hints.dates[name] = how
            return _date(name, order, stamps[~bad]), notes
    column, told = _category(name, texts, places, counts_rows)
    if found is not None and isinstance(column, Category):
        _, bad = numbers_of(known, found.form)
        rows = int(known_times[~bad].sum())
        if rows > known_times.sum() / 2:
            example = known[int(bad.argmax())]
            told.append(
                f"column {name!r} is read as categories: {rows} of its cells are numbers, others such as {example!r}"
                " are not"
            )
    return column, told


def few_enough(bad: NDArray[np.bool_], times: NDArray[np.int64]) -> bool:
    """Whether all different cells, or nearly all, can be read; `times` says how many rows each has."""
    if not bad.any():
        return len(bad) > 0
    rows = int(times[bad].sum())
    return rows <= UNREADABLE * int(times.sum()) and len(bad) - int(bad.sum()) >= ENOUGH


def how_read(name: str, texts: list[str], form: Form, other: Form) -> str:
    """A note on what could be read in two ways."""
    for text in texts:
        (one,), _ = numbers_of([text], form)
        (two,), _ = numbers_of([text], other)
        if one != two:
            return f"column {name!r}: {text!r} is read as {one:g}, not as {two:g}"
    return f"column {name!r}: the decimal sign is {form.decimal!r}"


def _joined(part: str | list[str]) -> str:
    return part if isinstance(part, str) else SEPARATOR.join(part)


def _number(name: str, known: NDArray[np.float64], form: Form, counts_rows: bool, whole: bool) -> Column:
    if (
        whole and (counts_rows or _ID.fullmatch(name)) and len(known) > FEW_ROWS
        and len(np.unique(known)) == len(known)
    ):  # fmt: skip
        return Dropped(name, ROW_NUMBERS)
    return Number(name, form.decimal, form.thousands, form.unit)


def _date(name: str, order: str, known: NDArray[np.int64]) -> Date:
    if order == "hm":
        return Date(name, order)
    varying = []
    for part in dates.PARTS:
        values = dates.part_of(known, part)
        if values.min() != values.max():
            varying.append(part)
    return Date(name, order, tuple(varying))


def _category(name: str, texts: list[str], places: NDArray[np.int64], counts_rows: bool) -> tuple[Column, list[str]]:
    times = np.bincount(places[places >= 0], minlength=len(texts))
    n_known = int(times.sum())
    if not texts:
        return Dropped(name, NO_VALUES), []
    if len(texts) == 1 and n_known == len(places):
        return Dropped(name, CONSTANT), []
    if len(texts) == n_known and (n_known > FEW_ROWS or (counts_rows and n_known > 1)):
        return Dropped(name, ALL_DIFFERENT), []
    if len(texts) > MANY_TEXTS and len(texts) > NEARLY_UNIQUE * n_known:
        return Dropped(name, NEARLY_ALL_DIFFERENT), []
    if len(texts) <= MAX_CATEGORIES:
        return Category(name, tuple(sorted(texts))), []
    by_frequency = sorted(range(len(texts)), key=lambda k: (-int(times[k]), texts[k]))
    told_apart = sorted(texts[k] for k in by_frequency[:MAX_CATEGORIES])
    rare = sorted(texts[k] for k in by_frequency[MAX_CATEGORIES:])
    note = f"column {name!r} has {len(texts)} categories; the {MAX_CATEGORIES} most frequent are told apart"
    return Category(name, tuple(told_apart), tuple(rare)), [note]
