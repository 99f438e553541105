"""Tables of rows that users and items are made of, with the states of their optimizer beside each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Rows whose components are drawn from one stream.
BLOCK = 4096
LANES = 16


class Tables(NamedTuple):
    """Both tables, (rows, slots, stride): components, bias, zeros; then each state in the same places.

    AdaGrad has one state, which begins at 1; Adadelta has two, which begin at 0.

    Attributes
    ----------
    flat : ndarray
        The memory of both.
    users, items : ndarray of shape (rows, slots, stride)
    dim : int
        Components of a row.
    """

    flat: NDArray[Any]
    users: NDArray[Any]
    items: NDArray[Any]
    dim: int

    @classmethod
    def empty(cls, users: int, items: int, dim: int, slots: int, dtype: np.dtype[Any]) -> Tables:
        """Zeros, and sums of AdaGrad that are 1."""
        stride = -(-(dim + 1) // LANES) * LANES
        both = _core.table_rows(users + items, slots, stride, dtype)
        if slots == 2:
            both[:, 1] = 1
        return cls(both.reshape(-1), both[:users], both[users:], dim)

    @property
    def slots(self) -> int:
        """A row's parameters, and its states."""
        return int(self.users.shape[1])

    def copy(self) -> Tables:
        """Other memory with the same content."""
        found = Tables.empty(len(self.users), len(self.items), self.dim, self.slots, self.flat.dtype)
        found.flat[:] = self.flat
        return found

    def grown(self, users: int, items: int, seed: int) -> Tables:
        """A copy with at least so many rows.

        A new row begins with components that are drawn between -1/2 and 1/2, over dim, from the seed, whether it is a
        user's, and its number alone.
        """
        counts = max(users, len(self.users)), max(items, len(self.items))
        found = Tables.empty(*counts, self.dim, self.slots, self.flat.dtype)
        for side, (before, table) in enumerate(((self.users, found.users), (self.items, found.items))):
            table[: len(before)] = before
            for first in range(len(before) // BLOCK * BLOCK, len(table), BLOCK):
                begin, end = max(first, len(before)), min(first + BLOCK, len(table))
                drawn = np.empty((end - first, self.dim), table.dtype)
                _core.initialise(drawn, "uniform", 0.5 / self.dim, seed, first // BLOCK * 2 + side)
                table[begin:end, 0, : self.dim] = drawn[begin - first :]
        return found

    def parts(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """(rows, slots, dim + 1) of each: what a file holds; copies."""
        return self.users[:, :, : self.dim + 1].copy(), self.items[:, :, : self.dim + 1].copy()

    @classmethod
    def of_parts(cls, users: NDArray[Any], items: NDArray[Any]) -> Tables:
        """The way back."""
        _, slots, width = users.shape
        found = cls.empty(len(users), len(items), width - 1, slots, users.dtype)
        found.users[:, :, :width], found.items[:, :, :width] = users, items
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return Tables.of_parts, self.parts()
