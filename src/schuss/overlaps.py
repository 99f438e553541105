"""Rows that lie closer together than they are long, as windows of a series do: taken as they are, never all copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.lib.stride_tricks import as_strided

from . import arrays

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def found_in(array: NDArray[Any]) -> bool:
    """Whether rows (rows, columns) overlap, each without gaps."""
    if array.flags.c_contiguous or array.ndim != 2 or len(array) < 2 or array.shape[1] < 2:
        return False
    step, item = array.strides
    return item == array.itemsize and 0 <= step < array.shape[1] * item and step % item == 0


def spanned(array: NDArray[Any]) -> NDArray[Any]:
    """All that overlapping rows lie on, once."""
    step = array.strides[0] // array.itemsize
    return as_strided(array, ((len(array) - 1) * step + array.shape[1],), (array.itemsize,), writeable=False)


def converted(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Overlapping rows, aligned and native in dtype. Where that is another, what they lie on is converted once."""
    step = array.strides[0] // array.itemsize
    span = arrays.converted(spanned(array), dtype)
    return as_strided(span, array.shape, (step * span.itemsize, span.itemsize), writeable=False)
