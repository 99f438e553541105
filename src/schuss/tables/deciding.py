"""What each column is: found out from all of its cells, and where they leave a doubt, from the other columns."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from . import dates
from .cells import EXACT, Table, Text, Typed
from .columns import Boolean, Category, Column, Date, Dropped, Number, joined, numbers_in, plain_numbers
from .errors import DataError, many
from .numerals import MISSING, Form, find_form, numbers_of

__all__ = ["decide_columns", "decimal_comma_of", "few_enough", "how_read", "listed"]

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
_PAIRS = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"})
# Names of columns that number the rows, if no two of their values are equal.
_ID = re.compile(r"(?i:id|index|idx|key|rownames?|row\.names|row|rowid|rownum|uuid|guid)|.*[ _.\-](?i:id)|.*[a-z]I[dD]")


@dataclass
class _Hints:
    """What the columns say of each other: how the table writes decimals, and whether days come before months.

    `unsure`: columns that could be read in two ways; `whole`: those of whole numbers, which show no decimal sign.
    And for the user: how dates are read, and words that mean that a value is missing, with their number.
    """

    decimal_comma: bool | None = None
    day_first: bool | None = None
    commas: set[bool] = field(default_factory=set)
    days: set[bool] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    dates: dict[str, str] = field(default_factory=dict)
    words: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)


def decide_columns(table: Table, leave: Collection[str] = ()) -> tuple[list[Column], list[str]]:
    """What each column is, and what the user should know.

    Columns whose cells can be read in two ways are read as the others are.
    """
    decided: dict[str, tuple[Column, list[str]]] = {}
    hints = _Hints()
    for name in table.names:
        if name not in leave:
            decided[name] = _decide(table, name, hints)
    later = _Hints(
        decimal_comma=_decimal_comma(hints, table),
        day_first=_only(hints.days) if hints.days else _only(hints.commas),
    )
    for name, (column, told) in decided.items():
        if name in hints.unsure:
            decided[name] = _decide(table, name, later)
        elif name in hints.whole and later.decimal_comma and isinstance(column, Number):
            decided[name] = replace(column, decimal=","), told
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


def _decimal_comma(hints: _Hints, table: Table) -> bool | None:
    return _only(hints.commas) if hints.commas else table.decimal_comma


def decimal_comma_of(table: Table, leave: Collection[str] = ()) -> bool | None:
    """What the columns, or else the separator, say of the decimal sign; None: nothing, or both."""
    hints = _Hints()
    for name in table.names:
        if name not in leave:
            _decide(table, name, hints)
    return _decimal_comma(hints, table)


def _only(values: set[bool]) -> bool | None:
    return next(iter(values)) if len(values) == 1 else None


def listed(names: list[str]) -> str:
    """Columns, for a message."""
    shown = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"column{'s' if len(names) > 1 else ''} {shown}"


def _decide(table: Table, name: str, hints: _Hints) -> tuple[Column, list[str]]:
    if re.fullmatch(r"__index_level_\d+__", name):
        return Dropped(name, "the index of a pandas frame"), []
    cells = table.cells(name)
    where = f"{table.name}: column {name!r}"
    counts_rows = name == table.names[0] and name in table.nameless
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
        numbers_in(cells, Form(), (), where)
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
    parts = [joined(part) for part in cells.parts]
    whole = not any(re.search(r"[.eE]", part) for part in parts)
    if not whole and not any(re.search(r"\.(?!\d{3}(?:\0|$))|(?:^|\0)[+-]?0?\.", part) for part in parts):
        return None  # the points may be between thousands
    if whole and any(re.search(r"(?:^|\0)[+-]?0\d", part) for part in parts):
        return None
    values = plain_numbers(cells)
    if values is None:
        return None
    known = values[~np.isnan(values)]
    if not len(known):
        return Dropped(name, NO_VALUES), []
    if whole and np.abs(known).max() > EXACT:
        return None
    numbers_in(Typed("number", values, np.isnan(values)), Form(), (), where)
    if not whole:
        hints.commas.add(False)
    if whole:
        hints.whole.add(name)
    if known.min() == known.max() and len(known) == len(values):
        return Dropped(name, CONSTANT), []
    return _number(name, known, Form(), counts_rows, whole), []


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
            if found.other is not None:
                hints.unsure.add(name)
            elif found.whole:
                hints.whole.add(name)
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
            if both:
                hints.unsure.add(name)
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
