"""Dates as people write them: in which order day, month and year come, found from all cells of a column.

A time of day and a zone may follow each date, and differ from cell to cell. Microseconds since 1970 come out, in UTC
where a zone is given.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["CALLED", "ORDERS", "PARTS", "find_orders", "part_of", "times_of"]

# Names of orders: year, month (m: as a number, b: as a word), day; "hm": a time of day alone.

CALLED = {
    "ymd": "dates (year, month, day)",
    "dmy": "dates (day, month, year)",
    "mdy": "dates (month, day, year)",
    "dby": "dates (day, month, year)",
    "bdy": "dates (month, day, year)",
    "ybd": "dates (year, month, day)",
    "ym": "months (year, month)",
    "by": "months (month, year)",
    "yq": "quarters (year, quarter)",
    "hm": "times of day",
}
ORDERS = tuple(CALLED)
PARTS = ("month", "weekday", "hour")

_DAY = 86_400_000_000
_HOUR = 3_600_000_000
_MONTHS = {
    name: k + 1
    for k, names in enumerate(
        ("jan january", "feb february", "mar march", "apr april", "may", "jun june", "jul july", "aug august",
         "sep sept september", "oct october", "nov november", "dec december")
    )
    for name in names.split()
}  # fmt: skip
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s+)?"
_WORD = r"(?P<b>[a-z]{3,9})\.?"
_Y4, _Y, _M, _D = r"(?P<y>\d{4})", r"(?P<y>\d{4}|\d{2})", r"(?P<m>\d{1,2})", r"(?P<d>\d{1,2})"
_DATES = {
    "ymd": rf"{_Y4}(?P<s>[-/.]){_M}(?P=s){_D}",
    "dmy": rf"{_D}(?P<s>[-/.]){_M}(?P=s){_Y}",
    "mdy": rf"{_M}(?P<s>[-/]){_D}(?P=s){_Y}",
    "dby": rf"{_D}(?:st|nd|rd|th)?\.?[-\s/]?\s*{_WORD}[-\s/,]?\s*{_Y}",
    "bdy": rf"{_WORD}[-\s/]?{_D}(?:st|nd|rd|th)?(?:,?\s+|[-/]){_Y4}",
    "ybd": rf"{_Y4}[-\s/]{_WORD}[-\s/]{_D}",
    "ym": rf"{_Y4}-(?P<m>\d{{2}})",
    "by": rf"{_WORD}(?:[-/]|[\s,]\s*(?=\d{{4}}$)){_Y}",
    "yq": rf"{_Y4}[-\s]?q(?P<q>[1-4])",
}
_TIME = r"(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?(?:\s*(?P<p>[ap])\.?m\.?)?"
_ZONE = r"(?:\s*(?P<z>z|utc|gmt|[+-]\d{2}(?::?\d{2})?))?"


@lru_cache
def _pattern(order: str) -> re.Pattern[str]:
    if order == "hm":
        return re.compile(_TIME, re.ASCII)
    time = rf"(?:(?:t|,?\s+){_TIME}{_ZONE})?" if "d" in order else ""
    return re.compile(_WEEKDAY + _DATES[order] + time, re.ASCII)


def times_of(texts: list[str], order: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The texts as microseconds since 1970, 0 for those that are no dates in this order, and which these are."""
    match = _pattern(order).fullmatch
    found = [_time(match(text.lower())) for text in texts]
    values = np.array([0 if value is None else value for value in found], np.int64)
    return values, np.array([value is None for value in found], bool)


def _time(match: re.Match[str] | None) -> int | None:
    if match is None:
        return None
    parts = match.groupdict()
    micro = 0
    if "y" in parts:
        year = int(parts["y"])
        if len(parts["y"]) == 2:
            year += 1900 if year >= 69 else 2000  # as POSIX has it
        month = int(parts.get("m") or 0) or _MONTHS.get(parts.get("b") or "", 0) or 3 * int(parts.get("q") or 0) - 2
        try:
            day = datetime.date(year, month, int(parts.get("d") or 1))
        except ValueError:
            return None
        micro = (day.toordinal() - 719_163) * _DAY
    if parts.get("H"):
        hour, minute, second = int(parts["H"]), int(parts["M"]), int(parts["S"] or 0)
        if parts["p"]:
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + 12 * (parts["p"] == "p")
        if hour > 23 or minute > 59 or second > 60:
            return None
        fraction = (parts["f"] or "").ljust(6, "0")[:6]
        micro += hour * _HOUR + minute * 60_000_000 + second * 1_000_000 + int(fraction)
    zone = parts.get("z")
    if zone and zone[0] in "+-":
        hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
        micro -= (1 if zone[0] == "+" else -1) * (hours * _HOUR + minutes * 60_000_000)
    return micro


def find_orders(texts: Iterable[str]) -> list[tuple[str, int]]:
    """The orders that read most of these texts, the likeliest first, and how many they read. Empty: none reads any."""
    texts = list(texts)
    few = texts[:: max(1, len(texts) // 50)]
    counts = {}
    for order in ORDERS:
        if not times_of(few, order)[1].all():
            counts[order] = int((~times_of(texts, order)[1]).sum())
    most = max(counts.values(), default=0)
    return [(order, most) for order in ORDERS if most and counts.get(order) == most]


def part_of(times: NDArray[np.int64], part: str) -> NDArray[np.float64]:
    """Days since 1970, month from 1, weekday from 0 (Monday), or hour of microseconds since 1970."""
    if part == "days":
        return times / _DAY
    if part == "month":
        months = times.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
        return (months % 12 + 1).astype(np.float64)
    if part == "weekday":
        return ((times // _DAY + 3) % 7).astype(np.float64)
    return (times % _DAY // _HOUR).astype(np.float64)
