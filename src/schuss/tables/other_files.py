"""Tables of files that are no CSV: JSON by Python's json, with whole numbers exact, the others through pandas."""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from .cells import Cells, Table, table_of
from .errors import DataError, one_line

__all__ = ["from_json", "from_pandas"]


def from_pandas(path: Path, name: str, function: str, opened: Callable[[], IO[bytes]]) -> Table:
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
            source: Any = io.BytesIO(file.read())
        if function == "read_excel":
            source = pd.ExcelFile(source)
            if len(source.sheet_names) > 1:
                notes.append(f"only {source.sheet_names[0]!r}, the first of {len(source.sheet_names)} sheets, is read")
        frame = getattr(pd, function)(source, **options)
    except ImportError as error:
        package = re.search(r"`?[Ii]mport (\w+)`? failed|dependency '(\w+)'", str(error))
        needed = (package[1] or package[2]) if package else "pyarrow"
        needed = {"odf": "odfpy"}.get(needed, needed)
        raise DataError(f"{path}: is {_AN[what]}; reading it needs {needed}: pip install {needed}") from None
    except Exception as error:  # the readers' own errors have no common class
        raise DataError(f"{path}: is {_AN[what]} that cannot be read: {one_line(error)}") from None
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


def from_json(path: Path, name: str, opened: Callable[[], IO[bytes]], encoding: str) -> Table | None:
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
                raise DataError(f"{path}: is no valid JSON: {one_line(error)}") from None
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
