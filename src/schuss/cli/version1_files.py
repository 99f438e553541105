"""Files as models of version 1 read them: the types of columns are guessed from each file, by pandas."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import re
import warnings
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import unknown_name
from ..datasets import NAMES, Table, load
from ..tables import DataError

__all__ = ["open_table", "read"]


def open_table(data: str, *, text: Iterable[str] = ()) -> Table:
    """Read a named data set (see `NAMES`) or a file.

    Parameters
    ----------
    data : str
        A name, or a path. A name wins over a file of the same name; write ``./digits`` for the file.
    text : iterable of str
        As in `read`.

    Raises
    ------
    DataError
        If it is neither, or cannot be read.
    """
    if data in NAMES:
        return load(data)
    if Path(data).exists():
        return read(data, text=text)
    if Path(data).suffix or "/" in data or os.sep in data:
        raise DataError(f"{data}: no such file")
    raise DataError(str(unknown_name("file or data set", data, NAMES)))


def read(path: str | Path, *, text: Iterable[str] = ()) -> Table:
    """Read a CSV file (also gzipped; separator comma, semicolon or tab) or a Parquet file (.parquet, .pq).

    A CSV file whose first line has only numbers has no header; its columns are then called column_1, column_2, ...
    A nameless first column that counts the rows is left out. Dates of Parquet files become days since 1970.

    Parameters
    ----------
    path : str or Path
    text : iterable of str
        Columns of a CSV file to keep as they are written, even if they look like numbers.

    Raises
    ------
    DataError
        If the file is missing, unreadable, empty, or not such a table.
    """
    path = Path(path)
    try:
        import pandas as pd
    except ImportError:
        raise DataError(f"{path}: reading files needs pandas: pip install 'schuss[cli]'") from None
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a file")
    notes: list[str] = []
    endings = [ending.lower() for ending in path.suffixes]
    name = path.name
    while endings and endings[-1] in (".gz", ".csv", ".tsv", ".txt", ".parquet", ".pq"):
        name = name[: -len(endings.pop())]
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = _read_parquet(path, pd)
        else:
            frame = _read_csv(path, pd, text, notes)
    except DataError:
        raise
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow: pip install pyarrow") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:  # also gzip.BadGzipFile
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Warning:
        raise DataError(f"{path}: rows have more values than the header has names") from None
    except (ValueError, EOFError, zlib.error) as error:  # pandas' and pyarrow's errors are ValueErrors
        raise DataError(f"{path}: {_one_line(error)}") from None
    if not len(frame):
        raise DataError(f"{path}: has no rows")
    columns = {str(label).strip(): _column(path, str(label), frame[label], pd) for label in frame.columns}
    return Table(name, columns, tuple(notes))


def _read_parquet(path: Path, pd: Any) -> Any:
    frame = pd.read_parquet(path)
    names = [name for name in frame.index.names if name is not None]
    if names:
        frame = frame.reset_index(names)
    _check_names(path, [str(label) for label in frame.columns])
    return frame


def _read_csv(path: Path, pd: Any, text: Iterable[str], notes: list[str]) -> Any:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    data = data.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    if not data.strip():
        raise DataError(f"{path}: is empty")
    if b"\0" in data[:4096]:
        raise DataError(f"{path}: is not a CSV text file in UTF-8")
    try:
        return _parse_csv(path, data, "utf-8", pd, text, notes)
    except UnicodeDecodeError:
        notes[:] = [f"{path} is not UTF-8; read as Latin-1"]
        return _parse_csv(path, data, "latin-1", pd, text, notes)


def _parse_csv(path: Path, data: bytes, encoding: str, pd: Any, text: Iterable[str], notes: list[str]) -> Any:
    lines = codecs.getincrementaldecoder(encoding)().decode(data[: 1 << 16]).splitlines()
    separator = max(",;\t", key=lambda mark: _outside_quotes(lines[0]).count(mark))
    header = [cell.strip() for cell in next(csv.reader([lines[0]], delimiter=separator))]
    # In a semicolon file the comma is free to be the decimal mark.
    commas = separator == ";" and re.search(r"(^|;)-?\d+,\d+(;|$)", "\n".join(lines[1:21]), re.MULTILINE)
    decimal = "," if commas else "."
    if _only_numbers(header, decimal):
        header = [f"column_{i + 1}" for i in range(len(header))]
        notes.append(f"{path} has no header line; its columns are called {header[0]} to {header[-1]}")
        first = 0
    else:
        first = 1
        if any(_only_numbers([cell], decimal) for cell in header):
            notes.append(f"the first line of {path} is taken as the names of its columns")
    counted = header[0] == ""
    header = [cell or ("row" if i == 0 else f"column_{i + 1}") for i, cell in enumerate(header)]
    _check_names(path, header)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
        frame = pd.read_csv(
            io.BytesIO(data), encoding=encoding, sep=separator, decimal=decimal, header=None, names=header,
            skiprows=first, index_col=False, skipinitialspace=True, low_memory=False,
            dtype={column: "str" for column in text if column in header},
        )  # fmt: skip
    if counted and np.array_equal(frame["row"], np.arange(len(frame)) + (frame["row"].iloc[:1] == 1).sum()):
        frame = frame.drop(columns="row")
        notes.append("the nameless first column only counts the rows; left out")
    return frame


def _outside_quotes(line: str) -> str:
    return re.sub(r'"[^"]*"', "", line)


def _only_numbers(cells: list[str], decimal: str) -> bool:
    if cells in ([str(i) for i in range(len(cells))], [str(i + 1) for i in range(len(cells))]):
        return False  # a header that numbers the columns
    try:
        for cell in cells:
            float(cell.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _check_names(path: Path, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.strip() in seen:
            raise DataError(f"{path}: has two columns called {name.strip()!r}")
        seen.add(name.strip())


def _column(path: Path, name: str, series: Any, pd: Any) -> NDArray[Any]:
    """One column as a Table holds it."""
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind == "boolean":
        if not series.isna().any():
            return np.asarray(series.to_numpy(dtype=bool))
    elif kind in ("date", "datetime", "datetime64"):
        days = (pd.to_datetime(series, utc=True) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
        return np.asarray(days.to_numpy(dtype=np.float64))
    elif kind in ("timedelta", "timedelta64"):
        return np.asarray((series / pd.Timedelta(days=1)).to_numpy(dtype=np.float64))
    elif kind == "empty":
        return np.full(len(series), np.nan)
    elif kind == "decimal":
        return np.asarray(series.astype(float).to_numpy(np.float64))
    elif kind in ("integer", "floating", "mixed-integer-float"):
        return np.asarray(series.astype("Float64").to_numpy(np.float64, na_value=np.nan))
    elif kind not in ("string", "categorical", "mixed-integer", "bytes"):
        raise DataError(f"{path}: column {name!r} holds {kind} values; expected numbers, truth values, dates or text")
    if kind == "categorical" and series.cat.categories.dtype.kind in "biuf":
        return _column(path, name, series.astype(object).infer_objects(), pd)
    missing = series.isna().to_numpy()
    return np.array([None if gone else str(value) for value, gone in zip(series, missing, strict=True)], object)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ") or type(error).__name__
