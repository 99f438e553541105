"""Gradients of some rows of an array, as embeddings and one-hot inputs have them."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _core
from .arguments import shown


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
        float32 or float64, as the parameter; values[i] has the shape of one row. Copied if rows have to be sorted or
        added up, or it is not C-contiguous.

    Raises
    ------
    ValueError, TypeError
        If indices are no integers, or of another number than values. The optimizer's step checks them against its
        parameter, and refuses rules that look at whole arrays or average over all steps (LAMB, Muon, ASGD, ...).
    """

    __slots__ = ()

    def __new__(cls, indices: Any, values: Any) -> Rows:
        index, rows = np.asarray(indices), np.asarray(values)
        if index.ndim != 1 or (index.size and index.dtype.kind not in "iu"):
            raise TypeError(f"indices must be integers of shape (k,); got {index.dtype} of shape {index.shape}")
        if rows.dtype not in (np.float32, np.float64):
            raise TypeError(f"values must be float32 or float64; got {rows.dtype}")
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
