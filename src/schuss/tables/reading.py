"""Files as tables of raw cells: what a cell means is decided later, from its whole column.

What a file is, its first bytes say, not its name; what is no table is refused by what it is.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, cast

from ..arguments import unknown_name
from .cells import Table, table_of
from .csv_files import SAMPLE, CsvFile
from .errors import DataError, one_line
from .other_files import from_json, from_pandas

__all__ = ["open_table", "read_table"]

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
        raise DataError(f"{path}: {one_line(error)}") from None
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
        return from_pandas(path, name, "read_parquet" if head.startswith(b"PAR1") else "read_feather", opened)
    if head.startswith(b"<stata_dta>"):
        return from_pandas(path, name, "read_stata", opened)
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
                found = from_json(path, name, opened, encoding)
                if found is not None:
                    return found
            return CsvFile(path, name, opened, encoding, notes).read()
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


def _from_zip(path: Path, name: str, opened: Callable[[], IO[bytes]]) -> Table:
    try:
        member = _member(path, opened)
    except (RuntimeError, KeyError) as error:  # what is encrypted, of a later version, or damaged
        raise DataError(f"{path}: is an archive that cannot be read: {one_line(error)}") from None
    if member is None:
        return from_pandas(path, name, "read_excel", opened)
    return _read(path, name, member[:16], lambda: io.BytesIO(member))


def _member(path: Path, opened: Callable[[], IO[bytes]]) -> bytes | None:
    """The only file in an archive; None: the archive is a workbook."""
    with opened() as file, zipfile.ZipFile(file) as archive:
        members = [one for one in archive.namelist() if not one.endswith("/") and not one.startswith("__MACOSX")]
        if any(one.startswith("xl/") for one in members):
            return None
        if "mimetype" in members and b"opendocument.spreadsheet" in archive.read("mimetype"):
            return None
        if len(members) != 1:
            what = "of NumPy arrays" if any(one.endswith(".npy") for one in members) else "of several files"
            raise DataError(f"{path}: is an archive {what}; unpack the table that you mean")
        return archive.read(members[0])
