"""What goes into a network: one array, or several by name or in order; handed on as an array or a tuple."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, arrays, overlaps
from . import lengths as of_rows
from .arguments import shown, unknown_name
from .sequences import Sequences

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .layers import Input

    # Of an input of dtype "sparse" compressed rows, else an array.
    Of = NDArray[Any] | _core.Compressed
    # One of them, or one for each input in the network's order.
    Arrays = Of | tuple[Of, ...]
    # The same, or with lengths and state.
    Data = Arrays | _core.Sequences


def checked(
    inputs: Sequence[Input],
    value: Any,
    name: str,
    dtype: np.dtype[Any],
    overlapping: bool = False,
    counted: of_rows.Lengths = of_rows.NONE,
) -> Data:
    """Data of a network's inputs as the core takes them; their values are left to others.

    Parameters
    ----------
    inputs : sequence of Input
        Those of the network.
    value : array, dict, tuple or Sequences
        For one input its array; for more a dict by their names, or a tuple or list in their order.
    name : str
        What messages call it.
    dtype : dtype
        Of inputs that are numbers.
    overlapping : bool
        Whether rows that overlap may stay so; else they are copied.
    counted : Lengths
        What lengths of rows count.

    Raises
    ------
    ValueError, TypeError
        If an array is missing, too much, or not of its input's shape and kind.
    """
    if isinstance(value, Sequences):
        return _sequences(inputs, value, name, dtype, overlapping, counted)
    return _arrays(inputs, value, name, dtype, overlapping)


def _arrays(inputs: Sequence[Input], value: Any, name: str, dtype: np.dtype[Any], overlapping: bool) -> Arrays:
    """Data without lengths and state."""
    if len(inputs) == 1 and not isinstance(value, Mapping):
        return _one(inputs[0], name, value, dtype, overlapping)
    names = [put.name for put in inputs]
    if isinstance(value, Mapping):
        for key in value:
            if key not in names:
                raise unknown_name(f"{name}'s name", key, names)
        for known in names:
            if known not in value:
                raise ValueError(f"{name} must have {known!r}; got {', '.join(map(repr, value))}")
        given = [value[known] for known in names]
    else:
        if not isinstance(value, (tuple, list)) or len(value) != len(inputs):
            length = f" of {len(value)}" if isinstance(value, (tuple, list)) else ""
            raise ValueError(
                f"{name} must be a dict of {', '.join(map(repr, names))}, or a tuple of these in that order; "
                f"got {type(value).__name__}{length}"
            )
        given = list(value)
    found = [
        _one(put, f"{name}[{put.name!r}]", array, dtype, overlapping) for put, array in zip(inputs, given, strict=True)
    ]
    for put, array in zip(inputs, found, strict=True):
        if len(array) != len(found[0]):
            raise ValueError(
                f"{name} must have as many rows in each input; got {len(found[0])} of {names[0]!r} and {len(array)} of "
                f"{put.name!r}"
            )
    return found[0] if len(found) == 1 else tuple(found)


def _sequences(
    inputs: Sequence[Input],
    value: Sequences,
    name: str,
    dtype: np.dtype[Any],
    overlapping: bool,
    counted: of_rows.Lengths,
) -> _core.Sequences:
    """Data with lengths and state."""
    x, lengths, times = value.x, value.lengths, counted.times
    if lengths is not None:
        if counted.refusal:
            raise ValueError(f"lengths must be None {counted.refusal}; got {shown(lengths)}")
        lengths = arrays.real_array("lengths", lengths)
        if lengths.dtype.kind not in "iu":
            raise TypeError(f"lengths must be integers; got dtype {lengths.dtype}")
        if len(inputs) == 1:
            x, times = _with_all_times(inputs[0], x)
    data = _arrays(inputs, x, name, dtype, overlapping)
    if lengths is not None:
        if lengths.shape != (rows(data),):
            raise ValueError(f"lengths must have shape ({rows(data)},), one a row; got {lengths.shape}")
        arrays.check_where(
            "lengths", lengths, (lengths >= 0) & (lengths <= times), f"in [0, {times}], the times there are"
        )
        lengths = arrays.converted(lengths, np.dtype(np.int64))
    return _core.Sequences(data, lengths, value.state)


def _with_all_times(put: Input, x: Any) -> tuple[Any, int]:
    """Rows of an input with zeros behind them where they have fewer times than it, and how many they have."""
    times = put.dims[0]
    if not isinstance(x, np.ndarray) or (x.ndim != 3 and (x.ndim != 2 or put.n > 1)):
        return x, times
    axis = 2 if put.channels == "first" and x.ndim == 3 else 1
    found = x.shape[axis]
    if found >= times:
        return x, times
    padding = [(0, 0)] * x.ndim
    padding[axis] = (0, times - found)
    return np.pad(x, padding), found


def _flat(put: Input, name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Rows of an input's shape, each as one row of numbers."""
    shape = put.row_shape
    if put.n == 1 and array.shape[1:] == put.dims:  # its one feature or channel is left out
        shape = put.dims
    if array.shape[1:] != shape or array.ndim == 0:
        hint = f"; one row is {name}[None]" if array.shape == shape else ""
        raise ValueError(f"{name} must have shape (rows, {', '.join(map(str, shape))}); got {array.shape}{hint}")
    if put.channels == "first" and shape is not put.dims:
        array = np.moveaxis(array, 1, -1)
    return array.reshape(len(array), prod(shape))


def _one(put: Input, name: str, value: Any, dtype: np.dtype[Any], overlapping: bool) -> Of:
    if put.sparse:
        from .bags import rows_for  # few networks have such inputs

        return rows_for(name, value, put.n, dtype)
    if hasattr(value, "tocsr") or isinstance(value, _core.Compressed):
        raise TypeError(
            f"{name} must be an array; got {type(value).__name__}, which Input({put.name!r}, n, dtype='sparse') takes"
        )
    convert = _as_they_lie if overlapping else arrays.converted
    columns = prod(put.row_shape)
    if put.makes_codes:
        value = _codes(put, name, value)
    elif put.dims:
        value = _flat(put, name, arrays.real_array(name, value))
    if not put.codes:
        return arrays.matrix(name, value, columns, dtype, convert)
    array = arrays.real_array(name, value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold codes, integers; got dtype {array.dtype}")
    if array.ndim == 1 and columns == 1:
        array = array.reshape(-1, 1)
    if (
        array.dtype.kind == "u"
        and array.dtype.itemsize == 8
        and array.size
        and int(array.max()) > np.iinfo(np.int64).max
    ):
        raise ValueError(f"{name} must hold codes below 2**63; got {shown(int(array.max()))}")
    return arrays.matrix(name, array, columns, np.dtype(np.int64), convert)


def _codes(put: Input, name: str, value: Any) -> NDArray[np.int64]:
    """Those of raw categories, each row as one."""
    from .hashed import as_array

    array = as_array(name, value)
    shape = array.shape
    if put.dims:
        array = _flat(put, name, array)
    elif array.ndim > 2 or (array.ndim == 2 and shape[1] != put.n) or (array.ndim == 1 and put.n > 1):
        raise ValueError(f"{name} must have shape (rows, {put.n}); got {shape}")
    codes: NDArray[np.int64] = put.dtype.codes(name, array, put.n)
    return codes.reshape(len(codes), prod(put.row_shape))


def _as_they_lie(array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    return overlaps.converted(array, dtype) if overlaps.found_in(array) else arrays.converted(array, dtype)


def rows(data: Data) -> int:
    """How many rows there are."""
    if isinstance(data, _core.Sequences):
        data = data.x
    return len(data[0]) if isinstance(data, tuple) else len(data)


def select(data: Data, index: NDArray[Any]) -> Data:
    """The rows of these numbers, copied."""
    if isinstance(data, _core.Sequences):
        if data.state is not None:
            raise ValueError("state must be None where rows are held out or shuffled")
        lengths = None if data.lengths is None else data.lengths[index]
        return _core.Sequences(_select(data.x, index), lengths)
    return _select(data, index)


def _select(data: Arrays, index: NDArray[Any]) -> Arrays:
    return tuple(array[index] for array in data) if isinstance(data, tuple) else data[index]


def check_finite(inputs: Sequence[Input], name: str, data: Data) -> None:
    """ValueError with the first position where a number is NaN or infinite."""
    if isinstance(data, _core.Sequences):
        if data.state is not None:
            arrays.check_finite("state", data.state)
        data = data.x
    if not isinstance(data, tuple):
        _check_finite(inputs[0], name, data)
        return
    for put, array in zip(inputs, data, strict=True):
        _check_finite(put, f"{name}[{put.name!r}]", array)


def _check_finite(put: Input, name: str, array: Of) -> None:
    if isinstance(array, _core.Compressed):
        return  # they were looked at when they were made
    if not overlaps.found_in(array) or not arrays.seen_finite(overlaps.spanned(array)):
        arrays.check_finite(name, shaped(put, array))


def shaped(put: Input, array: NDArray[Any]) -> NDArray[Any]:
    """Rows in the shape that messages speak of."""
    if not put.dims:
        return array
    array = array.reshape(len(array), *put.dims, put.n)
    return np.moveaxis(array, -1, 1) if put.channels == "first" else array
