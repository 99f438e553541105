"""Bags of codes, and sparse matrices as what the core reads: compressed rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, arrays
from .arguments import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]
    # Where rows begin, and behind them the end; columns; values.
    Parts = tuple[Array, Array, Array]


class Bags(_core.Compressed):
    """Rows of any number of codes, each with a weight: what an `Input` of dtype "sparse" takes.

    Parameters
    ----------
    codes : list of arrays, array of int, or sparse matrix
        The codes of each row, at least 0; or those of all rows, one after the other, with `offsets`. Of a sparse matrix
        of scipy the columns of each row's entries are its codes, and their values the weights.
    offsets : array of shape (rows + 1,), optional
        Row i has the codes from offsets[i] up to offsets[i + 1]: the first is 0, the last len(codes).
    weights : as codes, optional
        A weight for each code; 1 where there are none.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, or a weight is NaN or infinite.

    Notes
    -----
    Nothing in bags changes any more; arrays are copied. The codes of each row are sorted, those that are equal stay in
    their order, so the same bag in another order gives the same bits. A code that comes twice counts twice, in a mean
    too. Entries of a sparse matrix that come twice are summed, as everywhere in scipy, and then count once.

    Rows are taken by slices and arrays: ``bags[2:5]``, ``bags[rows]``, ``bags[mask]``.

    Examples
    --------
    >>> import schuss
    >>> bags = schuss.Bags([[3, 1], [], [0, 0, 7]])
    >>> len(bags), bags.codes, bags.offsets
    (3, array([1, 3, 0, 0, 7], dtype=int32), array([0, 2, 2, 5]))
    >>> net = schuss.Network([schuss.Input("words", 10, dtype="sparse"), schuss.EmbeddingBag(10, 4, "mean")], seed=0)
    >>> net.predict(bags).shape
    (3, 4)
    """

    def __new__(cls, codes: Any, offsets: Any = None, weights: Any = None) -> Bags:
        if hasattr(codes, "tocsr"):
            if offsets is not None or weights is not None:
                raise TypeError("offsets and weights must be None where codes are a sparse matrix, which has both")
            matrix: Bags = _of_matrix(cls, "codes", codes, None, None)
            return matrix
        parts = _of_lists(codes, weights) if offsets is None else _of_offsets(codes, offsets, weights)
        found: Bags = _made(cls, "codes", parts, None, True)
        return found

    @property
    def codes(self) -> Array:
        """Those of all rows, one after the other; a copy."""
        return self.arrays()[1]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """Where each row's codes begin, and behind them their number; a copy."""
        return self.arrays()[0]

    @property
    def weights(self) -> Array:
        """The weight of each code; a copy."""
        return self.arrays()[2]

    def __repr__(self) -> str:
        return f"<Bags of {len(self)} rows, {self.entries} codes below {self.columns}>"


def rows_for(name: str, value: Any, columns: int, dtype: np.dtype[Any]) -> _core.Compressed:
    """Data of a sparse input with so many columns, as the core takes them."""
    if isinstance(value, _core.Compressed):
        beyond = value.first_beyond(columns)
        if beyond is not None:
            raise ValueError(f"{name} must hold codes in [0, {columns}); got {beyond[1]} in row {beyond[0]}")
        found = _as_dtype(name, value, dtype)
    elif hasattr(value, "tocsr"):
        found = _of_matrix(Bags, name, value, columns, dtype)
    else:
        hint = "scipy.sparse.csr_array(...)" if isinstance(value, np.ndarray) else "schuss.Bags(...)"
        raise TypeError(
            f"{name} must be a sparse matrix of scipy or schuss.Bags; got {shown(value)} ({type(value).__name__}); "
            f"{hint} makes one"
        )
    if not len(found):
        raise ValueError(f"{name} must have at least one row; got none")
    return found


def _as_dtype(name: str, value: _core.Compressed, dtype: np.dtype[Any]) -> _core.Compressed:
    try:
        return value.as_dtype(dtype)
    except _core.CompressedFault:
        start, columns, values = value.arrays()
        with np.errstate(over="ignore"):
            _check_finite(name, start, columns, values.astype(dtype))
        raise


def _of_matrix(cls: type[Any], name: str, matrix: Any, columns: int | None, dtype: np.dtype[Any] | None) -> Any:
    """The rows of a sparse matrix. What is right is looked at once, by the core."""
    if getattr(matrix, "format", None) != "csr":
        matrix = matrix.tocsr()
    shape = matrix.shape
    if len(shape) != 2 or (columns is not None and shape[1] != columns):
        raise ValueError(f"{name} must have shape (rows, {'columns' if columns is None else columns}); got {shape}")
    start = _integers(f"{name}.indptr", matrix.indptr)
    found = _integers(f"{name}.indices", matrix.indices)
    values = arrays.real_array(f"{name}.data", matrix.data)
    if dtype is None:
        dtype = np.dtype(np.float32 if values.dtype == np.float32 else np.float64)
    if values.ndim != 1 or found.shape != values.shape:
        raise ValueError(
            f"{name}.indices and {name}.data must have one shape, (entries,); got {found.shape} and {values.shape}"
        )
    if start.shape != (shape[0] + 1,):
        raise ValueError(f"{name}.indptr must have {shape[0] + 1} elements, one more than rows; got {start.shape}")
    entries = int(start[-1])
    if 0 <= entries < len(found):  # room behind the last row, as scipy may leave it
        found, values = found[:entries], values[:entries]
    with np.errstate(over="ignore"):
        values = values.astype(dtype, copy=False)
    return _made(cls, name, (start, found, values), shape[1], False)


def _integers(name: str, value: Any) -> Array:
    array = arrays.real_array(name, value)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        if array.ndim == 1 and not array.size:
            return array.astype(np.int64)
        raise TypeError(f"{name} must be integers of one dimension; got dtype {array.dtype} of shape {array.shape}")
    return array


def _made(cls: type[Any], name: str, parts: Parts, columns: int | None, doubled: bool) -> Any:
    """Rows of these parts. Those that are not sorted are, on a copy; columns that come twice are summed unless
    `doubled`."""
    try:
        return _core.Compressed.__new__(cls, *parts, columns, doubled)
    except _core.CompressedFault:
        start, found, values = (np.array(part) for part in parts)  # nobody changes these while they are looked at
    _check_start(name, start, len(found))
    _check_range(name, start, found, columns)
    _check_finite("weights" if name == "codes" else name, start, found, values)
    return _core.Compressed.__new__(cls, *_sorted(start, found, values, doubled), columns, doubled)


def _check_start(name: str, start: Array, entries: int) -> None:
    what = f"{name}.indptr" if name != "codes" else "offsets"
    start = start.astype(np.int64)
    if start[0] != 0 or start[-1] != entries:
        raise ValueError(f"{what} must go from 0 to the number of entries, {entries}; got {start[0]} to {start[-1]}")
    falls = np.diff(start) < 0
    if falls.any():
        k = int(falls.argmax())
        raise ValueError(f"{what} must not decrease; got {start[k]} and then {start[k + 1]}, of row {k}")


def _row_of(start: Array, k: int) -> int:
    return int(np.searchsorted(start, k, "right")) - 1


def _check_range(name: str, start: Array, found: Array, columns: int | None) -> None:
    most = np.iinfo(np.int64).max if columns is None else columns
    bad = (found < 0) | (found >= most)
    if bad.any():
        k = int(bad.argmax())
        expected = "codes from 0 on" if columns is None else f"columns in [0, {columns})"
        raise ValueError(f"{name} must hold {expected}; got {found[k]} in row {_row_of(start, k)}")


def _check_finite(name: str, start: Array, found: Array, values: Array) -> None:
    bad = ~np.isfinite(values)
    if bad.any():
        k = int(bad.argmax())
        place = f"{name}[{_row_of(start, k)}, {found[k]}]"
        raise ValueError(f"{name} must be finite; {place} is {values[k]} as {values.dtype}")


def _sorted(start: Array, found: Array, values: Array, doubled: bool) -> Parts:
    """Rows with their columns in order, equal ones in the order in which they come, or as one."""
    begun: NDArray[np.int64] = start.astype(np.int64)
    rows = np.repeat(np.arange(len(start) - 1), begun[1:] - begun[:-1])
    order = np.lexsort((found, rows))
    rows, found, values = rows[order], found[order], values[order]
    if doubled:
        return start, found, values
    first = np.ones(len(found), bool)
    first[1:] = (rows[1:] != rows[:-1]) | (found[1:] != found[:-1])
    sums = np.bincount(np.cumsum(first) - 1, weights=values, minlength=0)  # in double, one after the other
    counts = np.bincount(rows[first], minlength=len(start) - 1)
    with np.errstate(over="ignore"):
        return np.concatenate([[0], np.cumsum(counts)]), found[first], sums.astype(values.dtype)


def _of_lists(codes: Any, weights: Any) -> Parts:
    """From the codes of each row."""
    if isinstance(codes, (str, bytes)) or not isinstance(codes, (Sequence, np.ndarray)):
        raise TypeError(f"codes must be a list of the codes of each row; got {shown(codes)} ({type(codes).__name__})")
    if isinstance(codes, np.ndarray) and codes.ndim == 1 and codes.dtype != object:
        raise ValueError("offsets must be given where codes are one array, of all rows; got None")
    rows = [_row(f"codes[{k}]", row) for k, row in enumerate(codes)]
    start = _starts([len(row) for row in rows])
    found = np.concatenate(rows) if rows else np.zeros(0, np.int64)
    if weights is None:
        return start, found, np.ones(len(found), np.float32)
    if not isinstance(weights, (Sequence, np.ndarray)) or len(weights) != len(rows):
        raise ValueError(f"weights must be a list as codes, of {len(rows)} rows; got {shown(weights)}")
    values = [arrays.real_array(f"weights[{k}]", row) for k, row in enumerate(weights)]
    for k, (row, value) in enumerate(zip(rows, values, strict=True)):
        if value.shape != row.shape:
            raise ValueError(f"weights[{k}] must have shape {row.shape}, as codes[{k}]; got {value.shape}")
    return start, found, _floats(np.concatenate(values) if values else np.zeros(0))


def _starts(counts: list[int]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts, dtype=np.int64)])


def _row(name: str, row: Any) -> Array:
    found = _integers(name, row)
    if found.dtype.kind == "u" and found.dtype.itemsize == 8 and found.size and int(found.max()) > 2**63 - 1:
        raise ValueError(f"{name} must hold codes below 2**63; got {int(found.max())}")
    if found.size and found.min() < 0:
        raise ValueError(f"{name} must hold codes from 0 on; got {found.min()}")
    return found.astype(np.int64, copy=False)


def _floats(values: Array) -> Array:
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _of_offsets(codes: Any, offsets: Any, weights: Any) -> Parts:
    """From the codes of all rows."""
    found, start = _row("codes", codes), _integers("offsets", offsets)
    if not len(start):
        raise ValueError("offsets must have one element more than rows; got none")
    if weights is None:
        return start, found, np.ones(len(found), np.float32)
    values = arrays.real_array("weights", weights)
    if values.shape != found.shape:
        raise ValueError(f"weights must have shape {found.shape}, as codes; got {values.shape}")
    return start, found, _floats(values)
