"""The parts of a network to a file, and from one."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..arguments import file_path, shown
from . import header as checks
from .containers import checksum, checksum_of_text, container
from .contents import decoded, encoded
from .versions import VERSION
from .writing import replace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..parts import NetworkParts


def write(path: str | os.PathLike[str], parts: NetworkParts, others: Sequence[NetworkParts] = ()) -> None:
    """Write a file of a network, and of others beside it; `Network.save` documents it."""
    name = file_path("path", path)
    encode = container(name).encode
    metadata = parts["metadata"]
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dict; got {shown(metadata)}")
    try:
        json.dumps(metadata)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"metadata must be what JSON can hold; {error}") from None
    header, arrays = encoded(parts, others)
    header["checksums"] = {key: checksum(array) for key, array in arrays.items()}
    text = json.dumps(header)
    # What this could not read, it does not write: a counter may have been set to anything.
    decoded(checks.checked(json.loads(text)), arrays)
    replace(os.path.realpath(name), encode(arrays, text))


def read(path: str | os.PathLike[str]) -> tuple[str, list[NetworkParts]]:
    """The name of a file, and the networks in it; `load` documents it. ValueError that says what is wrong with it."""
    name, arrays, text, found = content_of(path)
    with as_damage(name):
        header = header_of(text, found)
        newer = checks.newer_version(header)
        if newer is None:
            header = checks.checked(header)
            check_sums(header["checksums"], arrays)
            return name, decoded(header, arrays)
    raise ValueError(
        f"{name} has format version {newer}, newer than {VERSION}, the newest that this version of schuss reads"
    )


@contextmanager
def as_damage(name: str) -> Iterator[None]:
    """Whatever goes wrong with what a file says is a ValueError that says so."""
    try:
        yield
    except (OSError, MemoryError):
        raise
    # What a constructor raises for an argument that no caller would give may be anything.
    except Exception as error:
        said = str(error) if isinstance(error, (ValueError, TypeError)) else repr(error)
        raise ValueError(f"{name} is damaged: {said}") from None


def content_of(path: str | os.PathLike[str]) -> tuple[str, dict[str, NDArray[Any]], str, int]:
    """The name of a file, its arrays, the text of its header, and what the file says that text's checksum is."""
    name = file_path("path", path)
    decode = container(name).decode
    kind = os.stat(name).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # reading it might never end
        raise ValueError(f"{name} is no regular file")
    with open(name, "rb") as file:
        data = file.read()
    return name, *decode(name, data)


def header_of(text: str, found: int) -> Any:
    """What the text of a header says, if it fits the checksum found with it."""
    if found != checksum_of_text(text):
        raise ValueError("its header does not fit its checksum")
    return json.loads(text)


def check_sums(checksums: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """ValueError unless these are the checksums of these arrays."""
    for name in (*checksums, *arrays):
        if name not in arrays or name not in checksums:
            raise ValueError(f"its array {name[:80]!r} is missing or unexpected")
        if checksum(arrays[name]) != checksums[name]:
            raise ValueError(f"its array {name!r} does not fit its checksum")
