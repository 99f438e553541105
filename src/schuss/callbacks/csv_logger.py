"""A row of a CSV file for each epoch."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..arguments import file_path, flag
from ..files.writing import replace
from ..training.callback import Callback

if TYPE_CHECKING:
    from ..training import EpochRecord
    from ..training.callback import FitRecord

# The first columns; those recorded follow.
FIRST = ("epoch", "seconds", "lr")


class CSVLogger(Callback):
    """Write a row for each epoch as it ends: its number, seconds, learning rate and all that is recorded of it.

    The header is there before the first epoch. Each row is written by one call of the system, numbers in full, so that
    whoever reads the file meanwhile, or after a crash, finds whole rows. Where a later fit records something new, its
    columns come last, and the earlier rows are empty there; where it lacks something, its own rows are.

    Parameters
    ----------
    path : str or path
        UTF-8, with commas.
    append : bool
        Whether rows that are there stay. Otherwise a fit begins the file anew. A fit that goes on from a checkpoint,
        ``fit(resume=...)``, keeps rows either way, but for those at the end that are of epochs after the checkpoint,
        which are trained again.

    Examples
    --------
    >>> import numpy as np, schuss, tempfile, pathlib
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> net = schuss.Network([schuss.Dense(3, 1)], seed=0)
    >>> path = pathlib.Path(tempfile.mkdtemp(), "training.csv")
    >>> history = net.fit(X, X[:, 0], loss="mse", epochs=2, callbacks=schuss.callbacks.CSVLogger(path))
    >>> [line.split(",")[0] for line in path.read_text().splitlines()]
    ['epoch', '1', '2']
    """

    _unpickled = ("_columns",)
    _columns: list[str] | None = None

    def __init__(self, path: str | os.PathLike[str], append: bool = False) -> None:
        self.path = file_path("path", path)
        self.append = flag("append", append)

    def __repr__(self) -> str:
        return f"CSVLogger({self.path!r}, append={self.append})"

    def begin(self, fit: FitRecord) -> None:
        """Write the header, and what is kept of the rows that are there."""
        columns, rows = self._there() if self.append or fit.resumed else ([], [])
        while fit.resumed and rows and int(rows[-1]["epoch"]) > fit.epochs_done:
            rows.pop()
        self._write(_with(columns, (*FIRST, *fit.names)), rows)

    def __call__(self, record: EpochRecord) -> None:
        """Write a row."""
        row = {"epoch": record.epoch, "seconds": record.seconds, "lr": record.optimizer.param_groups[0]["lr"]}
        row.update(record.logs)
        if self._columns is None or not set(row) <= set(self._columns):  # called by another loop than fit
            columns, rows = self._there() if self.append or self._columns is not None else ([], [])
            self._write(_with(columns, (*FIRST, *record.logs)), rows)
        assert self._columns is not None
        cells = [repr(row[name]) if name in row else "" for name in self._columns]
        data = _line(cells).encode()
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            while data:
                data = data[os.write(file, data) :]
        finally:
            os.close(file)

    def end(self, stopped: str) -> None:
        """The next fit has its own columns."""
        self._columns = None

    def _there(self) -> tuple[list[str], list[dict[str, str]]]:
        """Columns and whole rows of the file. ValueError if it is of another kind."""
        try:
            with open(self.path, encoding="utf-8", newline="") as file:
                text = file.read()
        except FileNotFoundError:
            return [], []
        whole = text[: text.rfind("\n") + 1]  # a row without an end is one that a crash has cut
        if not text:
            return [], []
        try:
            found = list(csv.reader(io.StringIO(whole, newline=""), strict=True))
            columns = found[0]
            rows = [dict(zip(columns, row, strict=True)) for row in found[1:] if row]
            for row in rows:
                int(row["epoch"])
        except (csv.Error, IndexError, KeyError, ValueError):
            raise ValueError(f"path must be a file of CSVLogger to go on with; {self.path!r} is not") from None
        if "epoch" not in columns or len(set(columns)) < len(columns):
            raise ValueError(f"path must be a file of CSVLogger to go on with; {self.path!r} is not")
        return columns, rows

    def _write(self, columns: list[str], rows: Sequence[Mapping[str, Any]]) -> None:
        """The whole file, in one go."""
        lines = [_line(columns), *(_line([row.get(name, "") for name in columns]) for row in rows)]
        replace(os.path.realpath(self.path), "".join(lines).encode())
        self._columns = columns


def _with(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys((*columns, *names)))


def _line(cells: Sequence[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()
