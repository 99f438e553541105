"""A table of rows that users or items are made of, with the states of its optimizer beside each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rows whose components are drawn from one stream.
BLOCK = 4096
LANES = 16


class Table:
    """Rows of components and a bias, and of as many states.

    Parameters
    ----------
    dim : int
        Components of a row.
    adadelta : bool
        Whether there are two states, which begin at 0. Else there is one, which begins at 1.
    dtype : numpy.dtype
        float32 or float64.

    Attributes
    ----------
    array : ndarray of shape (rows, slots, stride)
        Components, bias, zeros; then each state in the same places.
    """

    def __init__(self, dim: int, adadelta: bool, dtype: np.dtype[Any]) -> None:
        self.dim = dim
        self.array = _core.table_rows(0, 3 if adadelta else 2, -(-(dim + 1) // LANES) * LANES, dtype)

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.array)

    def components(self, slot: int = 0) -> NDArray[Any]:
        """(rows, dim) of the parameters, or of a state: a view."""
        return self.array[:, slot, : self.dim]

    def biases(self, slot: int = 0) -> NDArray[Any]:
        """(rows,) of the parameters, or of a state: a view."""
        return self.array[:, slot, self.dim]

    def grown(self, rows: int, seed: int, side: int) -> Table:
        """A table of at least so many rows: those of before, and new ones.

        A row begins with components that are drawn between -1/2 and 1/2, over dim, from the seed, the side and its own
        number alone.
        """
        if rows <= self.rows:
            return self
        _, slots, stride = self.array.shape
        found = Table(self.dim, slots == 3, self.array.dtype)
        found.array = _core.table_rows(rows, slots, stride, self.array.dtype)
        found.array[: self.rows] = self.array
        if slots == 2:
            found.array[self.rows :, 1] = 1
        for first in range(self.rows // BLOCK * BLOCK, rows, BLOCK):
            last, begin = min(first + BLOCK, rows), max(first, self.rows)
            drawn = np.empty((last - first, self.dim), self.array.dtype)
            _core.initialise(drawn, "uniform", 0.5 / self.dim, seed, first // BLOCK * 2 + side)
            found.array[begin:last, 0, : self.dim] = drawn[begin - first :]
        return found

    def parts(self) -> NDArray[Any]:
        """(rows, slots, dim + 1): what a file holds; a copy."""
        return np.ascontiguousarray(self.array[:, :, : self.dim + 1])

    @classmethod
    def of_parts(cls, parts: NDArray[Any]) -> Table:
        """The way back."""
        rows, slots, width = parts.shape
        found = cls(width - 1, slots == 3, parts.dtype)
        found.array = _core.table_rows(rows, slots, found.array.shape[2], parts.dtype)
        found.array[:, :, :width] = parts
        if slots == 2:
            found.array[:, 1, width:] = 1
        return found

    def __getstate__(self) -> dict[str, Any]:
        return {"parts": self.parts()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(Table.of_parts(state["parts"]).__dict__)
