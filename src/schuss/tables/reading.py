"""Files as tables of raw cells: what a cell means is decided later, from its whole column.

CSV in all its dialects is split by Python's own csv, which says nothing about types; a file's encoding, comments,
separator and header are found here. JSON is read by Python's json, which keeps whole numbers exact. For Parquet, Arrow,
Excel and Stata files pandas is asked, with its types that know gaps. What a file is, its first bytes say, not its name.
"""

from __future__ import annotations

import bz2
import codecs
import csv
import gzip
import io
import itertools
import json
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from ..arguments import unknown_name
from .cells import SEPARATOR, Cells, Table, Text, check_names, table_of
from .errors import DataError, many

__all__ = ["open_table", "read_table"]

CHUNK = 16_384  # rows that are split at a time
SAMPLE = 1 << 18  # bytes from which the dialect is found
SEPARATORS = ",;\t|"
ENDINGS = (".gz", ".bz2", ".xz", ".zip", ".csv", ".tsv", ".txt", ".tab", ".psv", ".dat", ".parquet", ".pq", ".feather",
           ".arrow", ".json", ".jsonl", ".ndjson", ".xlsx", ".xlsm", ".xls", ".ods", ".dta")  # fmt: skip
# First bytes of what is no table to read here, and what to do instead.
REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls); save it as .xlsx or CSV"),
    (b"SQLite format 3\0", "an SQLite database; export the table as CSV or Parquet"),
    (b"\x89HDF\r\n", "an HDF5 file; export the table as CSV or Parquet"),
    (b"CDF\x01", "a NetCDF file; export the table as CSV or Parquet"),
    (b"\x93NUMPY", "a NumPy array without names of columns; write it as CSV or Parquet"),
    (b"Obj\x01", "an Avro file; export the table as CSV or Parquet"),
    (b"ORC", "an ORC file; export the table as Parquet"),
    (b"$FL2", "an SPSS file; export the table as CSV"),
    (b"\0" * 12 + b"\xc2\xea\x81\x60", "a SAS file; export the table as CSV"),
    (b"RDX", "an R data file; write the table with write.csv"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"\x80\x03", "a pickle, which can run any code; write the table as CSV or Parquet"),
    (b"\x80\x04", "a pickle, which can run any code; write the table as CSV or Parquet"),
    (b"\x80\x05", "a pickle, which can run any code; write the table as CSV or Parquet"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it first"),
)


def open_table(data: str | os.PathLike[str]) -> Table:
    """A named data set (see `schuss.datasets.NAMES`) or a file.

    Parameters
    ----------
    data : str or path
        A name, or a path. A name wins over a file of the same name; write ``./digits`` for the file.

    Raises
    ------
    DataError
        If it is neither, or cannot be read.
    """
    from .. import datasets

    text = os.fsdecode(data)
    if text in datasets.NAMES:
        return table_of(datasets.load(text).columns, text)
    if Path(text).exists():
        return read_table(text)
    if Path(text).suffix or "/" in text or os.sep in text:
        raise DataError(f"{text}: no such file")
    raise DataError(str(unknown_name("file or data set", text, datasets.NAMES)))


def read_table(path: str | os.PathLike[str]) -> Table:
    """Read a file: CSV (also compressed), JSON, Parquet, Arrow, Excel or Stata.

    A CSV file may have any of the separators comma, semicolon, tab, vertical line and space, a line ``sep=;``, lines of
    comments (``#``) before the header, and any of the encodings UTF-8, UTF-16 and Windows-1252. Lines without anything
    are no rows, unless there is only one column. A first line that has only numbers is no header.

    Raises
    ------
    DataError
        If the file is missing, unreadable, empty, or no such table: in words, with what it is.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a file")
    name = path.name
    while any(name.lower().endswith(ending) and len(name) > len(ending) for ending in ENDINGS):
        name = name[: -len(Path(name).suffix)]
    try:
        with open(path, "rb") as file:
            head = file.read(16)
        return _read(path, name, head, lambda: open(path, "rb"))
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (ValueError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: {_one_line(error)}") from None
    except OSError as error:  # also gzip.BadGzipFile
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None


def _read(path: Path, name: str, head: bytes, opened: Callable[[], IO[bytes]]) -> Table:
    """What `opened` gives, which may be inside an archive; `head`: its first bytes."""
    for start, what in REFUSED:
        if head.startswith(start):
            raise DataError(f"{path}: is {what}")
    for start, unpack in _PACKED.items():
        if head.startswith(start):
            with opened() as file:
                packed = file.read()
            unpacked = partial(_unpacked, unpack, packed)
            with unpacked() as file:
                head = file.read(16)
            return _read(path, name, head, unpacked)
    if head.startswith(b"PK\x03\x04"):
        return _from_zip(path, name, opened)
    if head.startswith((b"PAR1", b"ARROW1", b"FEA1")):
        return _from_pandas(path, name, "read_parquet" if head.startswith(b"PAR1") else "read_feather", opened)
    if head.startswith(b"<stata_dta>"):
        return _from_pandas(path, name, "read_stata", opened)
    with opened() as file:
        sample = file.read(SAMPLE)
    if not sample.removeprefix(codecs.BOM_UTF8).strip():
        raise DataError(f"{path}: is empty")
    encodings = _encodings(path, sample)
    text = sample.decode(encodings[0], "ignore").lstrip("\ufeff \t\r\n")
    if re.match(r"<(!doctype|html|\?xml|[a-z]+[ >])", text, re.IGNORECASE):
        raise DataError(f"{path}: is a web page or XML, not a table of cells; save the table as CSV")
    if re.match(r"(%.*\n|\s)*@relation\s", text, re.IGNORECASE):
        raise DataError(f"{path}: is an ARFF file; save the table as CSV")
    for encoding in encodings:
        notes = [] if encoding.startswith("utf") else [f"{path} is not UTF-8; read as {_CALLED[encoding]}"]
        try:
            if text.startswith(("{", "[")):
                found = _from_json(path, name, opened, encoding)
                if found is not None:
                    return found
            return _Csv(path, name, opened, encoding, notes).read()
        except UnicodeDecodeError:
            continue
    raise DataError(f"{path}: is not a text file in UTF-8")


_CALLED = {"cp1252": "Windows-1252", "latin-1": "Latin-1"}


def _encodings(path: Path, sample: bytes) -> list[str]:
    """Those to try, one after the other."""
    if sample.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return ["utf-32"]
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ["utf-16"]
    if b"\0" in sample[:4096]:
        even, odd = sample[0:4096:2].count(0), sample[1:4096:2].count(0)
        half = len(sample[:4096]) // 2
        if odd > 0.7 * half and even < 0.1 * half:
            return ["utf-16-le"]
        if even > 0.7 * half and odd < 0.1 * half:
            return ["utf-16-be"]
        raise DataError(f"{path}: is not a CSV text file in UTF-8")
    return ["utf-8-sig", "cp1252", "latin-1"]


def _unpacked(unpack: Callable[[IO[bytes]], IO[bytes]], packed: bytes) -> IO[bytes]:
    return unpack(io.BytesIO(packed))


def _gzip(file: IO[bytes]) -> IO[bytes]:
    return cast("IO[bytes]", gzip.GzipFile(fileobj=file))


_PACKED: dict[bytes, Callable[[IO[bytes]], IO[bytes]]] = {
    b"\x1f\x8b": _gzip,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ": lzma.LZMAFile,
}


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# ---- through pandas -----------------------------------------------------------------------------------------------


def _from_zip(path: Path, name: str, opened: Callable[[], IO[bytes]]) -> Table:
    with opened() as file, zipfile.ZipFile(file) as archive:
        members = [one for one in archive.namelist() if not one.endswith("/") and not one.startswith("__MACOSX")]
        if any(one.startswith("xl/") for one in members):
            return _from_pandas(path, name, "read_excel", opened)
        if "mimetype" in members and b"opendocument.spreadsheet" in archive.read("mimetype"):
            return _from_pandas(path, name, "read_excel", opened)
        if len(members) != 1:
            what = "of NumPy arrays" if any(one.endswith(".npy") for one in members) else "of several files"
            raise DataError(f"{path}: is an archive {what}; unpack the table that you mean")
        data = archive.read(members[0])
    return _read(path, name, data[:16], lambda: io.BytesIO(data))


def _from_pandas(path: Path, name: str, function: str, opened: Callable[[], IO[bytes]]) -> Table:
    what = {"read_parquet": "Parquet", "read_feather": "Arrow", "read_excel": "Excel", "read_stata": "Stata"}[function]
    try:
        import pandas as pd
    except ImportError:
        raise DataError(f"{path}: reading {what} files needs pandas: pip install 'schuss[cli]'") from None
    notes: list[str] = []
    options: dict[str, Any] = {"dtype_backend": "numpy_nullable"}
    if function == "read_excel":
        # Cells as they are typed in the sheet; what words mean that a value is missing is decided later.
        options = {"dtype": object, "keep_default_na": False, "na_values": [""]}
    if function == "read_stata":
        options = {}
    try:
        with opened() as file:
            frame = getattr(pd, function)(io.BytesIO(file.read()), **options)
    except ImportError as error:
        package = re.search(r"`?[Ii]mport (\w+)`? failed|dependency '(\w+)'", str(error))
        needed = (package[1] or package[2]) if package else "pyarrow"
        raise DataError(f"{path}: is {_AN[what]}; reading it needs {needed}: pip install {needed}") from None
    except Exception as error:  # the readers' own errors have no common class
        raise DataError(f"{path}: is {_AN[what]} that cannot be read: {_one_line(error)}") from None
    if not isinstance(frame.index, pd.RangeIndex) and all(label is None for label in frame.index.names):
        notes.append("the index is left out; reset_index() makes a column of it")
    if not len(frame):
        raise DataError(f"{path}: has no rows")
    table = table_of(frame, name)
    return _with_notes(table, [*table.notes, *notes])


_AN = {"Parquet": "a Parquet file", "Arrow": "an Arrow file", "Excel": "an Excel workbook", "Stata": "a Stata file"}


def _with_notes(table: Table, notes: list[str]) -> Table:
    columns = {label: _cells_of(table, label) for label in table.names}
    return Table(table.name, columns, table.n_rows, notes, table.nameless, table.decimal_comma)


def _cells_of(table: Table, label: str) -> Callable[[], Cells]:
    return lambda: table.cells(label)


# ---- JSON ---------------------------------------------------------------------------------------------------------


def _from_json(path: Path, name: str, opened: Callable[[], IO[bytes]], encoding: str) -> Table | None:
    """Records in an array or one in each line, or an object of columns. None: it is no JSON."""
    with opened() as file:
        text = file.read().decode(encoding)
    try:
        value = json.loads(text)
    except ValueError:
        try:
            value = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            if path.suffix.lower() in (".json", ".jsonl", ".ndjson"):
                raise DataError(f"{path}: is no valid JSON: {_one_line(error)}") from None
            return None
    if isinstance(value, dict) and isinstance(value.get("data"), list):
        value = [dict(zip(value["columns"], row, strict=True)) for row in value["data"]] if "columns" in value \
            else value["data"]  # fmt: skip
    columns: dict[str, list[Any]] = {}
    if isinstance(value, dict):
        for label, cells in value.items():
            columns[label] = list(cells.values()) if isinstance(cells, dict) else cells
        if not all(isinstance(cells, list) for cells in columns.values()):
            columns = {label: [cell] for label, cell in value.items()}  # one record
    elif isinstance(value, list) and value and all(isinstance(record, dict) for record in value):
        names = list(dict.fromkeys(itertools.chain.from_iterable(value)))
        columns = {label: [record.get(label) for record in value] for label in names}
    else:
        raise DataError(f"{path}: is JSON, but no array of objects and no object of columns")
    if not columns or not len(next(iter(columns.values()))):
        raise DataError(f"{path}: has no rows")
    arrays = {}
    for label, cells in columns.items():
        arrays[label] = np.empty(len(cells), object)
        arrays[label][:] = cells
    return table_of(arrays, name)


# ---- CSV ----------------------------------------------------------------------------------------------------------


@dataclass
class _Csv:
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
                    f"{self.path}: a quote is opened and not closed, or a cell is very long ({_one_line(error)})"
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
                    + " | ".join(cell.strip()[:40] for cell in row[:12])
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
