"""CSV in all its dialects, split into raw cells.

Python's own csv splits, and says nothing about types; comments, separator and header are found here.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .cells import SEPARATOR, Table, Text, check_names
from .errors import DataError, many, one_line

__all__ = ["CsvFile"]

CHUNK = 16_384  # rows that are split at a time
SAMPLE = 1 << 18  # bytes from which the dialect is found
SEPARATORS = ",;\t|"


@dataclass
class CsvFile:
    """A CSV file that is being read."""

    path: Path
    name: str
    opened: Callable[[], IO[bytes]]
    encoding: str
    notes: list[str]

    def read(self) -> Table:
        skipped, separator, comments = self._dialect()
        with self.opened() as binary, io.TextIOWrapper(binary, self.encoding, newline="") as file:
            lines = iter(file)
            for _ in range(skipped):
                next(lines)
            try:
                return self._rows(lines, separator, comments)
            except csv.Error as error:
                raise DataError(
                    f"{self.path}: a quote is opened and not closed, or a cell is very long ({one_line(error)})"
                ) from None

    def _dialect(self) -> tuple[int, str, str | None]:
        """How many lines come before the table, the separator, and a header that is a comment."""
        with self.opened() as file:
            data = file.read(SAMPLE)
            whole = len(data) < SAMPLE
        text = codecs.getincrementaldecoder(self.encoding)().decode(data, whole)
        lines = list(io.StringIO(text, newline=""))
        if not whole and len(lines) > 1:
            del lines[-1]
        skipped = 0
        given = None
        commented = None
        for line in lines:
            bare = line.strip("\ufeff\r\n")
            told = re.fullmatch(r'"?sep=(.|\\t)"?[,;\t|]*', bare, re.IGNORECASE)
            if told and skipped == 0:
                given = "\t" if told[1] == "\\t" else told[1]
            elif bare.startswith("#"):
                commented = bare.lstrip("#").strip()
            elif bare.strip():
                break
            skipped += 1
        lines = lines[skipped:]
        if not lines:
            raise DataError(f"{self.path}: has no rows" if commented else f"{self.path}: is empty")
        separator = given or self._separator(lines)
        header = None
        if commented is not None:
            first = next(_records(lines, separator))
            names = next(_records([commented], separator))
            if len(names) == len(first) > 1 and _any_number(first) and not _any_number(names):
                header = commented
        return skipped, separator, header

    def _separator(self, lines: list[str]) -> str:
        """The one by which most of the first rows have as many cells as the header."""
        best, score = ",", (0.0, 0)
        for separator in SEPARATORS:
            rows = [row for row in itertools.islice(_records(lines, separator), 100) if "".join(row).strip()]
            n = len(rows[0]) if rows else 0
            alone = sum(len(row) == 1 for row in rows[1:])
            if n < 2 or alone > len(rows) // 2:  # the header of a single column holds the mark
                continue
            fitting = sum(len(row) == n or _extra(row, n) or len(row) == n + 1 for row in rows) / len(rows)
            if (fitting, n) > score:
                best, score = separator, (fitting, n)
        if score[1] < 2:
            rows = [row for row in itertools.islice(_records(lines, " "), 100) if "".join(row).strip()]
            n = len(rows[0]) if rows else 0
            more = {len(row) for row in rows[1:]}
            if n > 1 and len(rows) > 1 and (more == {n} or more == {n + 1}):
                columns = list(zip(*rows[1:], strict=True))
                if any(all(_is_number(cell) for cell in column) for column in columns):
                    return " "
            unused = (one for one in SEPARATORS if all(len(row) <= 1 for row in _records(lines[:1000], one)))
            best = next(unused, best)
        return best

    def _rows(self, lines: Iterator[str], separator: str, comment: str | None) -> Table:
        path = self.path
        last = [""]
        reader = _records(_remembered(lines, last), separator)
        first = next((row for row in reader if "".join(row).strip()), None)
        if first is None:
            raise DataError(f"{path}: is empty")
        header = [cell.strip() for cell in first]
        ahead: list[list[str]] = []
        if comment is not None:
            header, ahead = [cell.strip() for cell in next(_records([comment], separator))], [first]
        elif _only_numbers(header):
            ahead = [first]
            header = [f"column_{k + 1}" for k in range(len(header))]
            self.notes.append(f"{path} has no header line; its columns are called {header[0]} to {header[-1]}")
        elif any(_is_number(cell) for cell in header):
            self.notes.append(f"the first line of {path} is taken as the names of its columns")
        rows = _Rows(path, len(header))
        chunk = [*ahead, *itertools.islice(reader, CHUNK - len(ahead))]
        if rows.named_by_first_cell(chunk):
            header = ["", *header]
            rows.n = len(header)
            self.notes.append(f"{path} has one name less than columns; the first column holds the names of its rows")
        nameless = []
        for k, label in enumerate(header):
            if not label:
                header[k] = _new_name("row" if k == 0 else f"column_{k + 1}", header)
                nameless.append(header[k])
        check_names(str(path), header)
        while chunk:
            rows.add(chunk)
            chunk = list(itertools.islice(reader, CHUNK))
        if any("\n" in cell.strip() or "\r" in cell.strip() for cell in rows.last) and last[0].count('"') % 2 == 0:
            raise DataError(f"{path}: a quote that is opened in row {rows.length} is not closed")
        if rows.short:
            self.notes.append(
                f"{many(rows.short, 'row')} of {path} with fewer cells than the header; the rest counts as empty"
            )
        if rows.blank:
            self.notes.append(f"left out {many(rows.blank, 'empty line')} of {path}")
        if not rows.length:
            raise DataError(f"{path}: has no rows")
        columns = {
            label: Text(tuple(parts), rows.length) for label, parts in zip(header, rows.parts, strict=True)
        }  # fmt: skip
        return Table(self.name, columns, rows.length, self.notes, nameless, True if separator == ";" else None)


class _Rows:
    """The cells of the rows, gathered by column."""

    def __init__(self, path: Path, n: int) -> None:
        self.path = path
        self.n = n
        self.length = 0
        self.blank = 0
        self.waiting = 0  # lines without anything in a table of one column: rows, if others follow
        self.short = 0
        self.last: list[str] = []
        self._parts: list[list[str | list[str]]] = []

    @property
    def parts(self) -> list[list[str | list[str]]]:
        return self._parts or [[] for _ in range(self.n)]

    def named_by_first_cell(self, chunk: list[list[str]]) -> bool:
        """Whether every row has one cell more than the header has names, and the first are names of rows."""
        rows = [row for row in chunk if "".join(row).strip()]
        if not rows or any(len(row) != self.n + 1 for row in rows) or not any(row[-1].strip() for row in rows):
            return False
        first = [row[0].strip() for row in rows]
        if len(set(first)) < len(first):
            return False
        return first == [str(k + 1) for k in range(len(first))] or not any(map(_is_number, first))

    def add(self, chunk: list[list[str]]) -> None:
        """Rows as they are split: lines without anything are left out, rows too short are filled up."""
        if set(map(len, chunk)) != {self.n}:
            chunk = list(itertools.chain.from_iterable(map(self._fitted, chunk)))
        if not chunk:
            return
        self.last = chunk[-1]
        self.length += len(chunk)
        if not self._parts:
            self._parts = [[] for _ in range(self.n)]
        for part, cells in zip(self._parts, zip(*chunk, strict=True), strict=True):
            joined = SEPARATOR.join(cells)
            if joined.count(SEPARATOR) != len(cells) - 1:
                raise DataError(f"{self.path}: is not a CSV text file: a cell holds a zero byte")
            if (not joined.isascii() or any(map(joined.__contains__, _ASCII_SPACES))) and _SPACES.search(joined):
                joined = SEPARATOR.join([cell.strip() for cell in cells])
            part.append(joined)

    def _fitted(self, row: list[str]) -> list[list[str]]:
        """The row with as many cells as the header has names, or none, or more than one."""
        n = len(row)
        if n == self.n:
            before, self.waiting = self.waiting, 0
            return [*([""] for _ in range(before)), row]
        if n <= 1 and not "".join(row).strip():
            self.blank += self.n > 1
            self.waiting += self.n == 1
            return []
        if n > self.n:
            if any(cell.strip() for cell in row[self.n :]):
                raise DataError(
                    f"{self.path}: rows have more values than the header has names: {n} for {self.n}, such as "
                    + " | ".join(" ".join(cell.split())[:40] for cell in row[:12])
                )
            return [row[: self.n]]
        self.short += 1
        return [row + [""] * (self.n - n)]


_SPACES = re.compile(r"(?:^|\0)\s|\s(?:\0|$)")
# Most columns hold none of these, which is found out faster than what stands around cells.
_ASCII_SPACES = " \t\n\r\v\f\x1c\x1d\x1e\x1f"
_NUMBER = re.compile(r"\s*[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?\s*", re.ASCII)


def _records(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    if separator == " ":
        return csv.reader((_by_tabs(line) for line in lines), delimiter="\t")
    return csv.reader(lines, delimiter=separator, skipinitialspace=True)


def _by_tabs(line: str) -> str:
    """A line whose cells any number of spaces separates, with one tab between."""
    return re.sub(r'("[^"]*")|\s+', lambda found: found[1] or "\t", line.strip())


def _remembered(lines: Iterator[str], last: list[str]) -> Iterator[str]:
    """The lines; the last one that is not empty is in `last`."""
    for line in lines:
        if not line.isspace():
            last[0] = line
        yield line


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def _any_number(cells: list[str]) -> bool:
    return any(map(_is_number, cells))


def _only_numbers(cells: list[str]) -> bool:
    """Whether a first line is data; names that count the columns are a header."""
    if cells in ([str(k) for k in range(len(cells))], [str(k + 1) for k in range(len(cells))]):
        return False
    return all(map(_is_number, cells))


def _extra(row: list[str], n: int) -> bool:
    """Whether cells beyond the header's are all empty."""
    return len(row) > n and not "".join(row[n:]).strip()


def _new_name(name: str, others: list[str]) -> str:
    while name in others:
        name += "_"
    return name
