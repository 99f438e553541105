"""Numbers as people write them: decimal and thousands signs, currencies, percent, words that mean missing.

How a column writes its numbers is found from all of its cells at once. Cells that differ in their digits only are alike
for that, so what is looked at are shapes, in which every digit is a 9 but a leading 0.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["MISSING", "Form", "Found", "find_form", "is_plain", "numbers_of"]

# In lower case. Among numbers, dates and truth values they mean that there is no value; in a column of text they are
# texts as others, for "None" and "NA" are names of classes, too.
MISSING = (
    "?", "??", "-", "--", "---", "–", "—", ".", "..", "...", "*", "**", "***", "/", "#", "n.d.", "n.d", "nd", "n/d",
    "n.a.", "n.a", "na", "n/a", "#n/a", "#na", "#n/a n/a", "<na>", "nan", "-nan", "nat", "none", "null", "nil",
    "(null)", "\\n", "missing", "unknown", "undefined", "not available", "k.a.", "k. a.", "s/d", "s.d.", "#value!",
    "#div/0!", "#ref!", "#num!", "#name?", "#null!", "1.#qnan", "-1.#qnan", "1.#ind", "-1.#ind",
)  # fmt: skip

CURRENCIES = (
    "$", "€", "£", "¥", "₹", "₽", "₩", "₺", "₴", "₪", "฿", "₫", "zł", "kr", "kr.", "R$", "US$", "C$", "A$", "Fr.",
    "CHF", "EUR", "USD", "GBP", "JPY", "CNY", "INR", "AUD", "CAD", "NZD", "SEK", "NOK", "DKK", "PLN", "CZK",
    "HUF", "BRL", "MXN", "ZAR", "KRW", "SGD", "HKD", "TRY", "RUB", "ILS", "Eur", "Euro", "euro", "eur",
)  # fmt: skip
_UNITS = frozenset((*CURRENCIES, "%"))
_SHAPE = str.maketrans("0123456789", "9999999999")
_LEADING_ZERO = re.compile(r"[^0-9]*0(?=[0-9., '’\u00a0\u2009\u202f])")
_WITHOUT_UNIT = re.compile(r"[09.,'’+\-−()\s]")
_GROUPS = {"": "", ",": ",", ".": r"\.", " ": "[ \u00a0\u2009\u202f]", "'": "['’]"}
_WHOLE = frozenset("09+-−")
_SIGNED = re.compile(r"[09][.,'’]|[.,'’][09]|[09][ \u00a0\u2009\u202f][09]")
# Numbers that no table can be trained on; they are refused where they stand.
_INFINITE = frozenset(sign + word for sign in ("", "+", "-") for word in ("inf", "infinity"))
# What float() takes beyond this (underscores, "infinity", digits of other scripts) is no number in a table.
_NOT_PLAIN = re.compile(r"[^0-9+\-.eE\0]")


@dataclass(frozen=True)
class Form:
    """How a column writes its numbers.

    Attributes
    ----------
    decimal : "." or ","
    thousands : "", ",", ".", " " or "'"
        Every space and apostrophe of typography counts as such.
    unit : str
        A currency or "%", before or behind; it may be left out. 12% is 12.
    """

    decimal: str = "."
    thousands: str = ""
    unit: str = ""


# In order: which is taken of forms that read equally many cells.
_FORMS = ((".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"))


@lru_cache(maxsize=256)
def _pattern(form: Form) -> re.Pattern[str]:
    """Of the shapes of numbers in this form."""
    point, group = re.escape(form.decimal), _GROUPS[form.thousands]
    whole = "[09]9*" + (f"|9{{1,3}}(?:{group}999)+" if group else "")
    body = f"(?:(?:{whole})(?:{point}[09]*)?|{point}[09]+)"
    if form.unit:
        unit, space = re.escape(form.unit), "[ \u00a0\u2009\u202f]?"
        one = f"(?:[+−-]?{space}(?:{unit}{space})?|{unit}{space}[+−-]?){body}(?:{space}{unit})?"
    else:
        one = f"[+−-]?{body}(?:[eE][+-]?[09]+)?"
    return re.compile(rf"{one}|\({one}\)")


def shape_of(text: str) -> str:
    """The text with every digit a 9, but for a first 0 that others follow."""
    shape = text.translate(_SHAPE)
    zero = _LEADING_ZERO.match(text)
    return shape if zero is None else f"{shape[: zero.end() - 1]}0{shape[zero.end() :]}"


def is_plain(parts: Iterable[str]) -> bool:
    """Whether texts have no other characters than numbers with a decimal point."""
    return not any(_NOT_PLAIN.search(part) for part in parts)


def numbers_of(texts: list[str], form: Form) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The texts as numbers, NaN for those that are none in this form, and which these are."""
    pattern = _pattern(form)
    fits: dict[str, bool] = {}
    change = str.maketrans({form.decimal: ".", "−": "-", **dict.fromkeys(_SIGNS[form.thousands])})
    values = np.empty(len(texts), np.float64)
    for k, text in enumerate(texts):
        shape = shape_of(text)
        fit = fits.get(shape)
        if fit is None:
            fit = fits[shape] = pattern.fullmatch(shape) is not None
        if not fit:
            values[k] = float(text) if text.lower() in _INFINITE else np.nan
            continue
        if form.unit:
            text = text.replace(form.unit, "").translate(_NO_SPACES)
        text = text.translate(change)
        values[k] = -float(text[1:-1]) if text[0] == "(" else float(text)
    return values, np.isnan(values)


_SIGNS = {"": "", ",": ",", ".": ".", " ": " \u00a0\u2009\u202f", "'": "'’"}
_NO_SPACES = str.maketrans("", "", " \u00a0\u2009\u202f")


@dataclass(frozen=True)
class Found:
    """A form, and how sure it is.

    Attributes
    ----------
    form : Form
    decimal_comma : bool or None
        What the cells say of the decimal sign for sure; None: nothing.
    other : Form or None
        Another form that reads all these cells as well, to other numbers.
    whole : bool
        Whether there are digits only, with a minus, plus or unit at most.
    zeros : bool
        Whether it is so, and some begin with zeros: these are codes and no numbers.
    """

    form: Form
    decimal_comma: bool | None
    other: Form | None
    whole: bool = False
    zeros: bool = False


def find_form(texts: Iterable[str], decimal_comma: bool | None = None) -> Found | None:
    """How these cells write their numbers: the form that reads most of them. None: no cell is a number.

    Parameters
    ----------
    texts : iterable of str
        Without those that mean missing.
    decimal_comma : bool, optional
        What the rest of the table says.
    """
    shapes = Counter(map(shape_of, texts))
    units = Counter[str]()
    for shape, times in shapes.items():
        unit = _WITHOUT_UNIT.sub("", shape)
        if unit + "." in _UNITS and unit + "." in shape:
            unit += "."
        if unit in _UNITS:
            units[unit] += times
    unit = units.most_common(1)[0][0] if units else ""
    readable = {}
    for decimal, thousands in _FORMS:
        form = Form(decimal, thousands, unit)
        fits = _pattern(form).fullmatch
        readable[decimal, thousands] = [shape for shape in shapes if fits(shape)]
    counts = {key: sum(shapes[shape] for shape in fitting) for key, fitting in readable.items()}
    most = max(counts.values())
    if not most:
        return None
    best = [key for key in _FORMS if counts[key] == most]
    fitting = readable[best[0]]
    if all(set(shape) <= _WHOLE for shape in fitting) or (unit and not any(_SIGNED.search(s) for s in fitting)):
        zeros = not unit and any(re.search("09", shape) for shape in fitting)
        return Found(Form("," if decimal_comma else ".", "", unit), None, None, True, zeros)
    # A table that groups by thousands does so in all its numbers.
    grouped = not any("9999" in shape for shape in fitting)
    point, comma = (".", "") in best, (",", "") in best
    by_comma, by_point = (".", ",") in best, (",", ".") in best
    other: tuple[str, str] | None = None
    sure: bool | None
    if point:
        chosen = (",", ".") if by_point and grouped and decimal_comma else (".", "")
        other = ((",", ".") if chosen == (".", "") else (".", "")) if by_point and grouped else None
        sure = None if other else False
    elif comma and by_comma:
        chosen = (".", ",") if (decimal_comma is None and grouped) or decimal_comma is False else (",", "")
        other = (",", "") if chosen == (".", ",") else (".", ",")
        sure = None
    else:
        chosen = best[0]
        if len(best) > 1 and decimal_comma:
            chosen = next((key for key in best if key[0] == ","), chosen)
        sure = (chosen[0] == ",") if len(best) == 1 else None
        if comma:
            chosen, sure = (",", ""), True
    return Found(Form(*chosen, unit), sure, Form(*other, unit) if other else None)
