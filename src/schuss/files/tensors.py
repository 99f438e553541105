"""The .safetensors format, by the package of that name.

Its header is looked at first: what dtypes there are, and that the sizes it declares are those that are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .npz import MOST_DIMENSIONS

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Bytes of an element of each dtype that is taken.
_DTYPES = {"F32": 4, "F64": 8, "I64": 8, "U8": 1, "U16": 2}
_METADATA = "__metadata__"
_LENGTH = 8


def encode(content: Mapping[str, NDArray[Any]], metadata: dict[str, str]) -> bytes:
    """The bytes of a file."""
    from safetensors.numpy import save

    return save(dict(content), metadata=metadata)


def decode(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Arrays by name, and the texts beside them. ValueError that says what is wrong."""
    from safetensors.numpy import load

    metadata = _checked(data)
    try:
        return load(data), metadata
    # What it raises depends on the damage, and on its version.
    except Exception as error:
        raise ValueError(str(error) or type(error).__name__) from None


def _checked(data: bytes) -> dict[str, str]:
    """The texts in a header that is in order: length, JSON, then the arrays one behind the other."""
    import json

    end = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    if not _LENGTH < end <= len(data):
        raise ValueError(f"its header of {end - _LENGTH} bytes exceeds the file")
    try:
        header = json.loads(data[_LENGTH:end].decode(), object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    if not isinstance(header, dict):
        raise ValueError("its header is no JSON object")
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its header has metadata that are not text")
    spans = [_span(name, described) for name, described in header.items()]
    at = 0
    for first, last in sorted(spans):
        if first != at:
            raise ValueError("its arrays do not lie one behind the other")
        at = last
    if at != len(data) - end:
        raise ValueError(f"its arrays have {at} bytes, the file has {len(data) - end}")
    return metadata


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("its header has a name twice")
    return found


def _span(name: str, described: Any) -> tuple[int, int]:
    """Where an array begins and ends."""
    if not isinstance(described, dict) or set(described) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"its header does not describe the array {name[:80]!r}")
    dtype, shape, offsets = described["dtype"], described["shape"], described["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"its array {name[:80]!r} has a dtype other than {', '.join(_DTYPES)}")
    for numbers in (shape, offsets):
        if (
            not isinstance(numbers, list)
            or len(numbers) > MOST_DIMENSIONS
            or not all(type(n) is int and n >= 0 for n in numbers)
        ):
            raise ValueError(f"its array {name[:80]!r} has a shape or a place that is none")
    size = _DTYPES[dtype]
    for extent in shape:
        size *= extent
    if len(offsets) != 2 or offsets[1] - offsets[0] != size:
        raise ValueError(f"its array {name[:80]!r} does not have the bytes that its shape wants")
    return offsets[0], offsets[1]
