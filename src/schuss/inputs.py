"""What goes into a network: one array, or several by name or in order; handed on as an array or a tuple."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import arrays
from .arguments import shown, unknown_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .layers import Input

    # One array, or one for each input in the network's order.
    Data = NDArray[Any] | tuple[NDArray[Any], ...]


def checked(inputs: Sequence[Input], value: Any, name: str, dtype: np.dtype[Any]) -> Data:
    """Data of a network's inputs as the core takes them; their values are left to others.

    Parameters
    ----------
    inputs : sequence of Input
        Those of the network.
    value : array, dict or tuple
        For one input its array; for more a dict by their names, or a tuple or list in their order.
    name : str
        What messages call it.
    dtype : dtype
        Of inputs that are numbers.

    Raises
    ------
    ValueError, TypeError
        If an array is missing, too much, or not of its input's shape and kind.
    """
    if len(inputs) == 1 and not isinstance(value, Mapping):
        return _one(inputs[0], name, value, dtype)
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
    found = [_one(put, f"{name}[{put.name!r}]", array, dtype) for put, array in zip(inputs, given, strict=True)]
    for put, array in zip(inputs, found, strict=True):
        if len(array) != len(found[0]):
            raise ValueError(
                f"{name} must have as many rows in each input; got {len(found[0])} of {names[0]!r} and {len(array)} of "
                f"{put.name!r}"
            )
    return found[0] if len(found) == 1 else tuple(found)


def _one(put: Input, name: str, value: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    if not put.codes:
        return _flat(put, name, arrays.real_array(name, value), dtype)
    array = arrays.real_array(name, value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold codes, integers; got dtype {array.dtype}")
    if array.ndim == 1 and put.n == 1:
        array = array.reshape(-1, 1)
    if (
        array.dtype.kind == "u"
        and array.dtype.itemsize == 8
        and array.size
        and int(array.max()) > np.iinfo(np.int64).max
    ):
        raise ValueError(f"{name} must hold codes below 2**63; got {shown(int(array.max()))}")
    return _flat(put, name, array, np.dtype(np.int64))


def _flat(put: Input, name: str, array: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Data as a matrix, whose rows have their positions one after the other."""
    if len(put.row_shape) == 1:
        return arrays.matrix(name, array, put.n, dtype)
    if array.shape[1:] != put.row_shape or not array.size:
        expected = f"(rows, {', '.join(map(str, put.row_shape))})"
        hint = (
            f"; one row is {name}.reshape(1, {', '.join(map(str, array.shape))})"
            if array.shape == put.row_shape
            else ""
        )
        if not hint and array.shape[1:] == put.row_shape:
            hint = ", without a row"
        raise ValueError(f"{name} must have shape {expected}; got {array.shape}{hint}")
    if put.channels == "first":
        array = np.moveaxis(array, 1, -1)
    return arrays.converted(array, dtype).reshape(len(array), put.n)


def shaped(put: Input, flat: NDArray[Any]) -> NDArray[Any]:
    """Rows as `put` takes them, from rows as the core has them."""
    if len(put.row_shape) == 1:
        return flat
    rows = flat.reshape(len(flat), *put.shape.dims, put.shape.columns)
    return rows if put.channels == "last" else np.moveaxis(rows, -1, 1)


def rows(data: Data) -> int:
    """How many rows there are."""
    return len(data[0]) if isinstance(data, tuple) else len(data)


def select(data: Data, index: NDArray[Any]) -> Data:
    """The rows of these numbers, copied."""
    return tuple(array[index] for array in data) if isinstance(data, tuple) else data[index]


def check_finite(inputs: Sequence[Input], name: str, data: Data) -> None:
    """ValueError with the first position where a number is NaN or infinite."""
    if not isinstance(data, tuple):
        arrays.check_finite(name, shaped(inputs[0], data))
        return
    for put, array in zip(inputs, data, strict=True):
        arrays.check_finite(f"{name}[{put.name!r}]", shaped(put, array))
