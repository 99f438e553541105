"""Interactions and ratings of users and items, in any form that a caller has them in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arguments import shown
from ..arrays import real_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Numbers of users and items stay below this: a table of so many rows would fit nowhere.
MOST = 2**40
FORMS = "a sparse matrix of SciPy, or (users, items, values)"


class Entries(NamedTuple):
    """Entries of a matrix one by one, in the order given."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    values: NDArray[Any]
    shape: tuple[int, int]


class Compressed(NamedTuple):
    """Compressed rows: row i has the columns indices[start[i] : start[i + 1]], which rise."""

    start: NDArray[np.int64]
    indices: NDArray[Any]
    values: NDArray[Any]
    shape: tuple[int, int]

    @property
    def places(self) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Where entries are, without their values, as the core takes it."""
        return self.start, self.indices


def codes(name: str, value: Any, most: int = MOST) -> NDArray[np.int64]:
    """Numbers of users or items, at least 0, as int64 (n,)."""
    array = np.asarray(value)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise TypeError(f"{name} must be integers of shape (n,); got {array.dtype} of shape {array.shape}")
    outside = (array < 0) | (array >= most)
    if outside.any():
        at = int(outside.argmax())
        raise ValueError(f"{name} must be from 0 to {most - 1}; {name}[{at}] is {array[at]}")
    return np.ascontiguousarray(array, np.int64)


def entries(name: str, value: Any) -> Entries:
    """The entries of a sparse matrix, of (users, items, values), or of (users, items), whose values are 1.

    Entries come in the order in which they are stored, and one that is there twice comes twice.

    Raises
    ------
    ValueError, TypeError
        That say what is wrong.
    """
    if hasattr(value, "tocoo") and len(getattr(value, "shape", ())) == 2:
        found = _of_sparse(name, value)
    elif isinstance(value, (tuple, list)) and len(value) in (2, 3):
        users, items = codes(f"{name}'s users", value[0]), codes(f"{name}'s items", value[1])
        values = real_array(f"{name}'s values", value[2]) if len(value) == 3 else np.ones(len(users), np.float32)
        if values.shape != users.shape or items.shape != users.shape:
            raise ValueError(
                f"{name}'s users, items and values must be equally many; got shapes {users.shape}, {items.shape} "
                f"and {values.shape}"
            )
        found = Entries(users, items, values, (_above(users), _above(items)))
    else:
        hint = ": scipy.sparse.csr_matrix makes one" if isinstance(value, np.ndarray) else ""
        raise TypeError(f"{name} must be {FORMS}; got {shown(value)} ({type(value).__name__}){hint}")
    if found.values.dtype.kind == "f":
        bad = ~np.isfinite(found.values)
        if bad.any():
            at = int(bad.argmax())
            user, item, value = found.users[at], found.items[at], found.values[at]
            raise ValueError(f"{name} must be finite; that of user {user} and item {item} is {value}")
    return found


def _above(numbers: NDArray[np.int64]) -> int:
    return int(numbers.max()) + 1 if numbers.size else 0


def _of_sparse(name: str, value: Any) -> Entries:
    shape = int(value.shape[0]), int(value.shape[1])
    if max(shape) > MOST:
        raise ValueError(f"{name} must have at most {MOST} rows and columns; got shape {shape}")
    if getattr(value, "format", None) != "csr":
        value = value.tocoo()
        rows, columns = value.row, value.col
    else:
        start, columns = np.asarray(value.indptr), np.asarray(value.indices)
        lengths = np.diff(start)
        if len(start) != shape[0] + 1 or start[0] != 0 or (lengths < 0).any() or start[-1] != len(columns):
            raise ValueError(f"{name}'s indptr must rise from 0 to {len(columns)}, the number of its entries")
        rows = np.repeat(np.arange(shape[0]), lengths)
    values = real_array(f"{name}'s data", value.data)
    if not len(rows) == len(columns) == len(values):
        raise ValueError(f"{name}'s indices and data must be equally many; got {len(columns)} and {len(values)}")
    # what scipy.sparse holds was not necessarily checked by it
    users, items = codes(f"{name}'s rows", rows, shape[0]), codes(f"{name}'s columns", columns, shape[1])
    return Entries(users, items, values, shape)


def compressed(name: str, value: Any, shape: tuple[int, int], positive: bool) -> Compressed:
    """Entries as compressed rows of a matrix of this shape.

    Values of an entry that is there more than once are added up, as SciPy takes it. Then only those that are positive
    stay, or those that are not 0.

    Raises
    ------
    ValueError, TypeError
        Also if it has another shape; (users, items, values) may have numbers up to it.
    """
    found = entries(name, value)
    given = isinstance(value, (tuple, list))
    if found.shape != shape and not (given and found.shape[0] <= shape[0] and found.shape[1] <= shape[1]):
        raise ValueError(f"{name} must have shape {shape}, users and items; got {found.shape}")
    return of_entries(Entries(found.users, found.items, found.values, shape), positive)


def of_entries(found: Entries, positive: bool) -> Compressed:
    """The same of entries whose numbers are within the shape."""
    users, items, values, shape = found
    rising = (users[1:] > users[:-1]) | ((users[1:] == users[:-1]) & (items[1:] > items[:-1]))
    if not rising.all():
        # One key has long runs that rise, which a stable sort merges, where compressed rows follow others.
        fits = shape[0] * shape[1] < 2**63
        order = np.argsort(users * shape[1] + items, kind="stable") if fits else np.lexsort((items, users))
        users, items, values = users[order], items[order], values[order]
        first = np.ones(len(users), bool)
        first[1:] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
        places = np.flatnonzero(first)
        values = np.add.reduceat(values.astype(np.float64), places) if len(places) else values
        users, items = users[places], items[places]
    kept = values > 0 if positive else values != 0
    if not kept.all():
        users, items, values = users[kept], items[kept], values[kept]
    start = np.zeros(shape[0] + 1, np.int64)
    np.cumsum(np.bincount(users, minlength=shape[0]), out=start[1:])
    return Compressed(start, items, values, shape)
