"""Gradients of some rows of an array, as embeddings and one-hot inputs have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from .arguments import shown
from .foreign import source

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Rows(_core.SortedRows):
    """A gradient that is zero but in some rows: ``opt.step([schuss.Rows(indices, values)])``.

    Only these rows of the parameter and of the optimizer's states are read and written: moments of other rows do not
    decay, and no other row moves ("lazy", as torch's SparseAdam). With plain gradient descent and AdaGrad without
    weight decay that is the same as the dense gradient; with moments it is not, unless the optimizer was made with
    ``rows="exact"`` (see `Optimizer.catch_up`).

    Parameters
    ----------
    indices : array of integers (k,)
        Rows, in any order. Where one comes more than once, its values are added up, in the order given.
    values : array (k, ...)
        float32 or float64, or 16-bit floats, of which a copy in float32 is made; values[i] has the shape of one row.
        Copied if rows have to be sorted or added up, or it is not C-contiguous.

    Raises
    ------
    ValueError, TypeError
        If indices are no integers, or of another number than values. The optimizer's step checks them against its
        parameter, and refuses rules that look at whole arrays or average over all steps (LAMB, Muon, ASGD, ...).
    """

    __slots__ = ()

    def __new__(cls, indices: Any, values: Any) -> Rows:
        index, rows = np.asarray(indices), _wide(values)
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise TypeError(f"indices must be integers of shape (k,); got {index.dtype} of shape {index.shape}")
        if rows.dtype not in (np.float32, np.float64):
            raise TypeError(f"values must be float32, float64 or 16-bit floats; got {rows.dtype}")
        if rows.ndim < 1 or len(rows) != len(index):
            raise ValueError(f"values must have one row an index, {len(index)}; got {shown(rows.shape)}")
        index = index.astype(np.int64)
        if (index[1:] > index[:-1]).all():
            return super().__new__(cls, index, np.require(rows, rows.dtype.newbyteorder("="), ["C", "A"]))
        order = np.argsort(index, kind="stable")
        index, starts = np.unique(index[order], return_index=True)
        rows = rows[order]
        if len(starts) < len(rows):
            with np.errstate(over="ignore", invalid="ignore"):
                rows = np.add.reduceat(rows, starts, axis=0)
        return super().__new__(cls, index, np.require(rows, rows.dtype.newbyteorder("="), ["C", "A"]))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.indices, self.values)

    def __repr__(self) -> str:
        return f"Rows({len(self.indices)} rows of shape {self.values.shape[1:]}, {self.values.dtype})"


def _wide(values: Any) -> NDArray[Any]:
    """An array of values; in float32 if they have 16 bits, as rows may have to be added up."""
    of_others = hasattr(values, "__dlpack__") and not isinstance(values, np.ndarray)
    array = source("values", values) if of_others else np.asarray(values)
    if array.dtype == np.uint16:  # the bits of bfloat16
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32) if array.dtype.name in ("bfloat16", "float16") else array
