"""Input arrays: accepted in any layout and real dtype, handed on C-contiguous, aligned and native."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def real_array(name: str, value: Any, if_text: str = "") -> NDArray[Any]:
    """Turn value into an array of real numbers or bools, in its own dtype and layout.

    A data frame whose columns have different real dtypes becomes float64; its missing values become NaN. if_text is
    what the message says to do with text.
    """
    kind = type(value).__name__
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name} must be an array without a mask; got a masked array: fill it or drop the rows")
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must be an array of real numbers; got a {kind} whose parts differ in shape") from None
    except (TypeError, RuntimeError) as error:  # of the object's own __array__
        raise TypeError(f"{name} must be an array of real numbers; got a {kind}: {error}") from None
    if array.dtype.kind in "biuf":
        return array
    found = str(array.dtype)
    if array.dtype.kind == "O" and hasattr(value, "convert_dtypes"):  # a frame or series of pandas
        columns = value.to_frame() if value.ndim == 1 else value
        other = [(label, dtype) for label, dtype in columns.dtypes.items() if dtype.kind not in "biuf"]
        if not other:
            array = value.to_numpy(dtype=np.float64, na_value=np.nan)
        elif value.ndim == 2:
            found = f"{other[0][1]} in column {other[0][0]!r}"
    if array.dtype.kind not in "biuf":
        hint = f"; use {name}.toarray()" if hasattr(value, "toarray") else if_text if array.dtype.kind in "USO" else ""
        raise TypeError(f"{name} must be an array of real numbers; got dtype {found} from {kind}{hint}")
    return array


def converted(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The array C-contiguous, aligned and native in dtype; itself if it is so already."""
    with np.errstate(over="ignore"):  # too large for float32: infinite, which check_finite reports by position
        array = np.asarray(array, dtype, order="C")
    return array if array.flags.aligned else array.copy()


def matrix(
    name: str,
    value: Any,
    columns: int,
    dtype: np.dtype[Any],
    convert: Callable[[NDArray[Any], np.dtype[Any]], NDArray[Any]] = converted,
) -> NDArray[Any]:
    """Turn value into a (rows, columns) matrix of dtype, with at least one row."""
    array = real_array(name, value)
    if array.ndim != 2:
        hint = ""
        if array.ndim == 1:
            hint = f"; use {name}.reshape(-1, 1)" if columns == 1 else f"; one row is {name}.reshape(1, -1)"
        raise ValueError(f"{name} must have shape (rows, {columns}); got {array.shape}{hint}")
    if array.shape[1] != columns:
        raise ValueError(f"{name} must have {columns} columns; got {array.shape[1]} (shape {array.shape})")
    if array.shape[0] == 0:
        raise ValueError(f"{name} must have at least one row; got shape {array.shape}")
    return convert(array, dtype)


def padded(name: str, rows: list[Any], times: int | None = None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Arrays (length, features) as one (rows, times, features), zeros behind each, and their lengths. times: of the
    longest where None."""
    found = [real_array(f"{name}[{k}]", row) for k, row in enumerate(rows)]
    for k, row in enumerate(found):
        if row.ndim != found[0].ndim or row.shape[1:] != found[0].shape[1:] or row.ndim == 0:
            raise ValueError(
                f"{name}[{k}] must have shape (length, ...) as {name}[0] {found[0].shape}; got {row.shape}"
            )
    lengths = np.array([len(row) for row in found], np.int64)
    longest = int(lengths.max()) if times is None else times
    array = np.zeros((len(found), longest, *found[0].shape[1:]), np.result_type(*found))
    for into, row in zip(array, found, strict=True):
        into[: len(row)] = row
    return array, lengths


def check_writable(name: str, array: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """TypeError or ValueError unless something is an array of this shape and dtype that may be written into."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} must be a numpy.ndarray; got {shown(array)} ({type(array).__name__})")
    if array.shape != shape or array.dtype != dtype or not array.flags.carray:
        raise ValueError(
            f"{name} must be {dtype} of shape {shape}, C-contiguous and writable; "
            f"got {array.dtype} of shape {array.shape}"
        )


def seen_finite(array: NDArray[Any]) -> bool:
    """Whether it is seen at once that no number is NaN or infinite."""
    if array.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        # NaN and infinity survive any sum; one pass without a temporary decides nearly every case.
        return bool(np.isfinite(array.sum()))


def check_finite(name: str, array: NDArray[Any]) -> None:
    """ValueError with the first position where the array is NaN or infinite."""
    if seen_finite(array):
        return
    per_row = max(1, array[0].size) if array.ndim else 1
    block = max(1, (1 << 18) // per_row)
    for start in range(0, len(array), block):
        bad = ~np.isfinite(array[start : start + block])
        if bad.any():
            at = [int(k) for k in np.unravel_index(int(bad.argmax()), bad.shape)]
            at[0] += start
            value = array[tuple(at)]
            raise ValueError(f"{name} must be finite; {name}[{', '.join(map(str, at))}] is {value} as {array.dtype}")


def check_where(name: str, array: NDArray[Any], good: NDArray[np.bool_], expected: str) -> None:
    """ValueError with the first position where `good` is False."""
    if good.all():
        return
    at = tuple(int(k) for k in np.unravel_index(int(good.argmin()), good.shape))
    place = ", ".join(map(str, at))
    raise ValueError(f"{name} must be {expected}; {name}[{place}] is {shown(array[at].item())}")
