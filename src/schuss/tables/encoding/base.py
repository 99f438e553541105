"""What all steps share: numbers learned from training rows that are plain data, and checks of what is transformed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from ...arguments import shown
from ...arrays import check_where, converted, real_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Self = TypeVar("Self", bound="Step")

FLOAT64 = np.dtype(np.float64)
INT64 = np.dtype(np.int64)


class Step:
    """A fitted step. It does not change; two are equal if all their numbers are.

    Its arrays are float64 or int64 and read-only. `fit` learns from the training rows alone, `transform` applies it to
    any rows.
    """

    # Names of the fields that are arrays, and their dtypes.
    _arrays: ClassVar[Mapping[str, np.dtype[Any]]] = {}

    def __post_init__(self) -> None:
        for name, dtype in self._arrays.items():
            array = np.array(getattr(self, name), dtype, order="C")
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Step) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((type(self), *(array.tobytes() for array in (getattr(self, name) for name in self._arrays))))

    def to_dict(self) -> dict[str, Any]:
        """All numbers as plain data, which JSON can hold. `from_dict` makes an equal step of it."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def from_dict(cls: type[Self], data: Mapping[str, Any]) -> Self:
        """The step that `to_dict` has described.

        Raises
        ------
        ValueError
            If a name is missing or too much.
        """
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        if set(data) != set(names):
            raise ValueError(f"data must hold {', '.join(names)}; got {', '.join(map(str, data))}")
        return cls(**data)


def plain(value: Any) -> Any:
    """An array as lists, a step as its dict, anything else as it is."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.to_dict() if isinstance(value, Step) else value


def numbers(name: str, value: Any, columns: int | None = None, *, missing: bool = True) -> NDArray[np.float64]:
    """A (rows, columns) float64 matrix of finite numbers, and NaN where those may be missing."""
    array = real_array(name, value)
    if array.ndim != 2:
        raise ValueError(
            f"{name} must have shape (rows, {'columns' if columns is None else columns}); got {array.shape}"
        )
    if columns is not None and array.shape[1] != columns:
        raise ValueError(f"{name} must have {columns} columns; got {array.shape[1]} (shape {array.shape})")
    found: NDArray[np.float64] = converted(array, FLOAT64)
    good = ~np.isinf(found) if missing else np.isfinite(found)
    check_where(name, found, good, "finite or NaN" if missing else "finite")
    return found


def training_numbers(name: str, value: Any, *, missing: bool = True) -> NDArray[np.float64]:
    """The same, with at least one row to learn from."""
    found = numbers(name, value, missing=missing)
    if not len(found):
        raise ValueError(f"{name} must have at least one row; got shape {found.shape}")
    return found


def codes(name: str, value: Any, cardinalities: NDArray[np.int64]) -> NDArray[np.int64]:
    """A (rows, columns) int64 matrix of codes: 0 missing, 1 to c a category, c + 1 unknown."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.ndim != 2:
        raise TypeError(f"{name} must be an integer matrix (rows, columns) of codes; got {shown(value)}")
    if array.shape[1] != len(cardinalities):
        raise ValueError(f"{name} must have {len(cardinalities)} columns; got {array.shape[1]} (shape {array.shape})")
    found = converted(array, INT64)
    check_where(name, found, (found >= 0) & (found <= cardinalities + 1), "codes from 0 to cardinality + 1")
    return found


def float32(array: NDArray[np.float64]) -> NDArray[np.float32]:
    """Numbers as a network takes them; those beyond float32's range become its largest."""
    largest = float(np.finfo(np.float32).max)
    return np.clip(array, -largest, largest).astype(np.float32)
