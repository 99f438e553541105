"""Arrays and a text to bytes, and back with the text's checksum, in the format that a file's ending names."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import npz, tensors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Content = dict[str, NDArray[Any]]

# Name of the JSON text in the file, and of its checksum.
HEADER = "schuss"
HEADER_CHECKSUM = "schuss_crc32"


class Container(NamedTuple):
    """Writer and reader of a format.

    Attributes
    ----------
    encode : callable
        ``(content, text) -> bytes``.
    decode : callable
        ``(name, bytes) -> (content, text, checksum)``; ValueError that begins with the name.
    """

    encode: Callable[[Content, str], bytes]
    decode: Callable[[str, bytes], tuple[Content, str, int]]


def container(path: str) -> Container:
    """That of a path's ending."""
    ending = os.path.splitext(path)[1].lower()
    if ending == ".npz":
        return Container(_encode_npz, _decode_npz)
    if ending == ".safetensors":
        try:
            import safetensors.numpy  # noqa: F401
        except ImportError:
            raise ImportError(".safetensors files need safetensors: pip install safetensors; or use .npz") from None
        return Container(_encode_safetensors, _decode_safetensors)
    raise ValueError(f"path must end in .npz or .safetensors; got {path!r}")


def checksum(array: NDArray[Any]) -> int:
    """Of an array's bytes."""
    from zlib import crc32

    return crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def checksum_of_text(text: str) -> int:
    """Of a text's bytes."""
    from zlib import crc32

    return crc32(text.encode())


def _encode_npz(content: Content, text: str) -> bytes:
    header = np.frombuffer(text.encode(), np.uint8)
    return npz.encode({**content, HEADER: header, HEADER_CHECKSUM: np.array(checksum(header), np.int64)})


def _decode_npz(name: str, data: bytes) -> tuple[Content, str, int]:
    try:
        content = npz.decode(data)
        header, found = content.pop(HEADER, None), content.pop(HEADER_CHECKSUM, None)
        if header is None or found is None:
            raise _not_ours(name)
        if header.dtype != np.uint8 or header.ndim != 1 or found.dtype != np.int64 or found.ndim != 0:
            raise ValueError(f"its {HEADER!r} entry is no text with a checksum")
        return content, header.tobytes().decode(), int(found)
    except ValueError as error:
        raise _damaged(name, error) from None


def _encode_safetensors(content: Content, text: str) -> bytes:
    return tensors.encode(content, {HEADER: text, HEADER_CHECKSUM: str(checksum_of_text(text))})


def _decode_safetensors(name: str, data: bytes) -> tuple[Content, str, int]:
    try:
        content, metadata = tensors.decode(data)
        text, found = metadata.get(HEADER), metadata.get(HEADER_CHECKSUM)
        if text is None or found is None:
            raise _not_ours(name)
        if set(metadata) != {HEADER, HEADER_CHECKSUM}:
            raise ValueError(f"its texts must be {HEADER!r} and {HEADER_CHECKSUM!r} alone")
        if not (found.isascii() and found.isdigit() and len(found) <= 10):
            raise ValueError(f"its {HEADER_CHECKSUM!r} entry is no checksum")
        return content, text, int(found)
    except ValueError as error:
        raise _damaged(name, error) from None


class _NotOursError(ValueError):
    """A whole file of another kind."""


def _not_ours(name: str) -> ValueError:
    return _NotOursError(f"{name} is not a file of a schuss network: it has no {HEADER!r} entry")


def _damaged(name: str, error: ValueError) -> ValueError:
    return error if isinstance(error, _NotOursError) else ValueError(f"{name} is damaged or truncated: {error}")
