"""Which rows are for what: those of the target that have a value, the inputs beside it, and the test rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import choice
from ..tables import DataError, Table, Target, find_target
from ..tables.cells import Cells
from ..tables.fitting import Rows
from ..tables.folds import folds, held_out
from ..tables.target import Task


@dataclass(frozen=True, eq=False)
class Split:
    """A table with its rows split.

    Attributes
    ----------
    name : str
        Of the table.
    target : Target
    training : Rows
        Those that train and validate.
    test : Rows or None
        Those that are used for nothing but the last score.
    notes : tuple of str
    """

    name: str
    target: Target
    training: Rows
    test: Rows | None
    notes: tuple[str, ...]

    @property
    def n_rows(self) -> int:
        return len(self.training.y) + (len(self.test.y) if self.test else 0)


def split(table: Table, wanted: str | None, task: Task | None, test: float, validation: float, seed: int) -> Split:
    """Find out what is predicted, and hold test rows out, of each class the same share.

    Raises
    ------
    DataError
        If the target is not there, or there are too few rows.
    """
    name = find_target(table.names, as_named(wanted, table.names))
    target, notes = Target.decide(table, name, task)
    return split_by(table, target, test, validation, seed, (*table.notes, *notes))


def as_named(wanted: str | None, names: Iterable[str]) -> str | None:
    """The one name that a shell's line can say only with other spaces: names may hold newlines."""
    names = list(names)
    if wanted is None or wanted in names:
        return wanted
    same = [name for name in names if name.split() == wanted.split()]
    return same[0] if len(same) == 1 else wanted


def split_by(
    table: Table, target: Target, test: float, validation: float, seed: int, notes: tuple[str, ...] = ()
) -> Split:
    """`split` for a target that is decided."""
    y = target.read(table)
    known = y >= 0 if target.classes else ~np.isnan(y)
    inputs = without(table, target.name)
    if not known.all():
        inputs, y = inputs.take(known), y[known]
    labels = y if target.classes else None
    train, held = folds(len(y), test, 1, seed, labels)[0]
    check_enough(table.name, len(y), len(train), len(held), test, validation)
    parts = [Rows(inputs.take(rows), y[rows]) if len(rows) < len(y) else Rows(inputs, y) for rows in (train, held)]
    return Split(table.name, target, parts[0], parts[1] if len(held) else None, notes)


def check_enough(name: str, rows: int, train: int, test_rows: int, test: float, validation: float) -> None:
    """DataError if a share that is asked for is less than a row, or too few are left to train on."""
    for what, share, of, count in (
        ("test", test, rows, test_rows),
        ("validate", validation, train, held_out(train, validation)),
    ):
        if share and not count:
            option = "--test" if what == "test" else "--validation"
            raise DataError(
                f"{name}: {rows} rows are too few to {what} on {share:g} of {of}; another {option}, or {option} 0"
            )
    if train - held_out(train, validation) < 2:
        raise DataError(f"{name}: {rows} rows are too few to train on")


def without(table: Table, left: str) -> Table:
    """The table without a column."""

    def cells_of(name: str) -> Callable[[], Cells]:
        return lambda: table.cells(name)

    columns = {name: cells_of(name) for name in table.names if name != left}
    return Table(table.name, columns, table.n_rows, table.notes, table.nameless, table.decimal_comma)


def weights_of(y: NDArray[np.int64], classes: Sequence[Any], given: Mapping[str, float] | None) -> NDArray[np.float64]:
    """Weights of rows by those of their classes, by name: a class that is not named weighs 1. None: balanced.

    Raises
    ------
    ValueError
        If a name is none of the classes.
    """
    if given is None:
        return balanced(y, len(classes))
    names = [str(label) for label in classes]
    for name in given:
        choice("--class-weight of", name, names)
    return np.array([given.get(name, 1.0) for name in names])[y]


def balanced(y: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Weights of rows by which every class that is there weighs as much as any other, their mean 1."""
    counts = np.bincount(y, minlength=classes)
    return np.asarray(len(y) / ((counts > 0).sum() * counts[y]))
