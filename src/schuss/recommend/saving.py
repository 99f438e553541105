"""Recommenders in files: the containers of networks, with a header of another kind."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from ..arguments import file_path, shown
from ..files import header as checks
from ..files.containers import checksum, container
from ..files.contents import Content, _decoded_history, _encoded_history
from ..files.networks import as_damage, check_sums, content_of, header_of
from ..files.writing import replace
from .matrices import Compressed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..history import History

FORMAT = "schuss recommender"
# The newest that this code reads.
VERSION = 1
_HISTORY = checks.SCHEMA_OF_OTHER["history"]
_SCHEMA: dict[str, checks.Check] = {
    "format": checks.one_of(FORMAT),
    "version": checks.whole(1, VERSION),
    "kind": checks.text,
    "params": checks.mapping,
    "numbers": checks.mapping,
    "history": _HISTORY,
    "checksums": checks.mapping,
}


class Parts(NamedTuple):
    """What a recommender consists of.

    Attributes
    ----------
    params : dict
        Arguments of the constructor, as JSON can hold them.
    numbers : dict
        Whatever else is no array, as JSON can hold it.
    arrays : dict
        float32, float64, int64 or uint8, by name.
    history : History
    """

    params: Mapping[str, Any]
    numbers: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    history: History


def write(path: str | os.PathLike[str], kind: str, parts: Parts) -> None:
    """Write a file, as a whole or not at all.

    Parameters
    ----------
    path : str or path
        Ending in .npz or .safetensors.
    kind : str
        The name of the class.
    parts : Parts
    """
    name = file_path("path", path)
    encode = container(name).encode
    arrays = {key: np.ascontiguousarray(array) for key, array in parts.arrays.items()}
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "kind": kind,
        "params": {key: _plain(key, value) for key, value in parts.params.items()},
        "numbers": dict(parts.numbers),
        "history": _encoded_history(parts.history, arrays),
    }
    header["checksums"] = {key: checksum(array) for key, array in arrays.items()}
    text = json.dumps(header)
    checks.record(_SCHEMA)("its header", json.loads(text))
    replace(os.path.realpath(name), encode(arrays, text))


def _plain(name: str, value: Any) -> Any:
    """An argument as JSON can hold it. A generator of random numbers has done its work: there is None in its place."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, (tuple, list)):
        return [_plain(name, part) for part in value]
    if isinstance(value, (np.random.RandomState, np.random.Generator)):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.dtype, type)):
        return np.dtype(value).name
    raise TypeError(f"{name} must be a number, a text or None to be saved; got {shown(value)}")


def read(path: str | os.PathLike[str], kind: str | None = None) -> tuple[str, str, Parts, Content]:
    """The name of a file, which class it is of, its parts, and its arrays, each of which is to be taken once.

    Raises
    ------
    ValueError
        That says what is wrong with it, also if it is of another class.
    """
    name, arrays, text, found = content_of(path)
    with as_damage(name):
        header = header_of(text, found)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError("its header is not that of a recommender")
        version = header.get("version")
        newer = type(version) is int and version > VERSION
        if not newer:
            header = checks.record(_SCHEMA)("its header", header)
            check_sums(header["checksums"], arrays)
            if kind is not None and header["kind"] != kind:
                raise ValueError(f"it holds a {header['kind'][:80]}, expected a {kind}")
            content = Content(arrays)
            history = _decoded_history(header["history"], content)
            return name, header["kind"], Parts(header["params"], header["numbers"], arrays, history), content
    raise ValueError(f"{name} has format version {version}, newer than {VERSION}, the newest that this version reads")


def arrays_of_seen(seen: Compressed) -> dict[str, NDArray[Any]]:
    """What each user has seen, as a file holds it."""
    return {"seen.start": seen.start, "seen.indices": seen.indices.astype(np.int64)}


def seen_of(content: Content, items: int) -> Compressed:
    """The way back; ValueError unless they are compressed rows of so many columns."""
    start, indices = (
        # Copied: what a file holds lies anywhere, and is not to be written to.
        content.pop(name, content._arrays.get(name, _NOTHING).shape[:1], np.int64).copy()
        for name in ("seen.start", "seen.indices")
    )
    users = max(len(start) - 1, 0)
    _core.Ranking(np.zeros((users, 1)), np.zeros((items, 1)), None, None, None, (start, indices), items, None)
    return Compressed(start, indices, np.ones(len(indices), np.float32), (users, items))


_NOTHING = np.zeros(0)
