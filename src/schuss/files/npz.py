"""NumPy's .npz: a zip archive, stored and not compressed, of one .npy file an array.

The sizes that an archive and its entries declare are compared with what is there before any of it is read, and arrays
are views of the file's bytes. So reading takes no more memory than the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from zipfile import ZipInfo

    from numpy.typing import NDArray

MAGIC = b"PK\x03\x04"
_ENDING = ".npy"
_NAME = re.compile(r"[A-Za-z0-9_.]{1,200}\.npy")
# Bytes of a zip entry before its name; the last four are the lengths of the name and of what follows it.
_LOCAL = 30
# The only bit of an entry's flags that does not change how it is read: its name is UTF-8.
_UTF8_NAME = 0x800
# The header of a .npy file as NumPy writes it. It is matched and not evaluated.
_ARRAY = re.compile(
    rb"\{'descr': '([<>|][a-z][0-9]+)', 'fortran_order': False, 'shape': \(((?:[0-9]{1,19}, ?)*(?:[0-9]{1,19})?)\), \}"
    rb" *\n"
)
_ARRAY_MAGIC = b"\x93NUMPY\x01\x00"
# Of an array.
MOST_DIMENSIONS = 8
_DTYPES = {
    np.dtype(kind).str.encode(): np.dtype(kind) for kind in (np.float32, np.float64, np.int64, np.uint8, np.uint16)
}


def encode(content: Mapping[str, NDArray[Any]]) -> bytes:
    """The bytes of a file."""
    import io

    file = io.BytesIO()
    np.savez(file, **content)  # type: ignore[arg-type]
    return file.getvalue()


def decode(data: bytes) -> dict[str, NDArray[Any]]:
    """Arrays by name, which are views of the data. ValueError that says what is wrong."""
    import io
    import zipfile

    if not data.startswith(MAGIC):
        raise ValueError("it is not an .npz file")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
    # What it raises depends on the damage, and on Python's version.
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from None
    content: dict[str, NDArray[Any]] = {}
    view = memoryview(data)
    end = 0
    for entry in sorted(entries, key=lambda entry: entry.header_offset):
        if not _NAME.fullmatch(entry.filename) or entry.filename != entry.orig_filename:
            raise ValueError(f"its entry {entry.filename[:80]!r} has no name of an array")
        name = entry.filename.removesuffix(_ENDING)
        if name in content:
            raise ValueError(f"its entry {name!r} is there twice")
        start, found = _bytes_of(entry, name, view)
        if entry.header_offset < end:
            raise ValueError(f"its entry {name!r} lies within another")
        end = start + len(found)
        content[name] = _array(name, found)
    return content


def _bytes_of(entry: ZipInfo, name: str, data: memoryview) -> tuple[int, memoryview]:
    """Where what an entry holds begins, and it itself, if it lies in the file as it is."""
    from zlib import crc32

    if entry.compress_type != 0 or entry.flag_bits & ~_UTF8_NAME or entry.file_size != entry.compress_size:
        raise ValueError(f"its entry {name!r} is compressed or encrypted, expected to be stored")
    start = entry.header_offset
    local = bytes(data[start : start + _LOCAL]) if start >= 0 else b""
    if len(local) < _LOCAL or not local.startswith(MAGIC):
        raise ValueError(f"its entry {name!r} is not where its directory says")
    length = int.from_bytes(local[26:28], "little")
    if bytes(data[start + _LOCAL : start + _LOCAL + length]) != entry.filename.encode():
        raise ValueError(f"its entry {name!r} has another name in its directory")
    start += _LOCAL + length + int.from_bytes(local[28:30], "little")
    if not 0 <= entry.file_size <= len(data) - start:
        raise ValueError(f"its entry {name!r} of {entry.file_size} bytes exceeds the file")
    found = data[start : start + entry.file_size]
    if crc32(found) != entry.CRC:
        raise ValueError(f"its entry {name!r} does not fit its checksum")
    return start, found


def _array(name: str, data: memoryview) -> NDArray[Any]:
    """The array of a .npy file."""
    magic = len(_ARRAY_MAGIC)
    start = magic + 2
    end = start + int.from_bytes(data[magic:start], "little")
    header = _ARRAY.fullmatch(bytes(data[start:end])) if bytes(data[:magic]) == _ARRAY_MAGIC else None
    if header is None or len(data) < end:
        raise ValueError(f"its entry {name!r} is no array as NumPy writes one")
    dtype = _DTYPES.get(header[1])
    if dtype is None:
        raise ValueError(f"its array {name!r} has dtype {header[1].decode()!r}, expected one of {_known()}")
    shape = tuple(int(size) for size in header[2].replace(b" ", b"").split(b",") if size)
    return _viewed(name, data[end:], shape, dtype)


def _viewed(name: str, data: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Bytes as an array, if they are as many as its shape wants."""
    if len(shape) > MOST_DIMENSIONS:
        raise ValueError(f"its array {name!r} has {len(shape)} dimensions, expected at most {MOST_DIMENSIONS}")
    size = dtype.itemsize
    for extent in shape:
        size *= extent
    if size != len(data):
        raise ValueError(f"its array {name!r} of shape {shape} has {len(data)} bytes, expected {size}")
    return (np.frombuffer(data, dtype) if size else np.empty(0, dtype)).reshape(shape)


def _known() -> str:
    return ", ".join(kind.decode() for kind in _DTYPES)
