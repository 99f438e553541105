"""What the command line shows: progress while training, and tables. Plain lines where output is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, final

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .progress import numbers

out = Console(highlight=False, soft_wrap=True)

REDRAWS_A_SECOND = 10
NUMBERS_WIDTH = 65  # of what stands beside the bar, but for the epochs
PLAIN_LINES = 10  # of a whole training, where output is not a terminal


def say(text: str, style: str | None = None) -> None:
    """One line; brackets in it are plain text."""
    out.print(escape(text), style=style)


def show_cursor() -> None:
    """Where output is a terminal, whose cursor a bar hides."""
    out.show_cursor()


def validation_first(logs: Mapping[str, float]) -> Mapping[str, float]:
    """The loss and, for want of room, metrics of the training rows only if there are none of validation rows."""
    return {name: value for name, value in logs.items() if name == "loss" or f"val_{name}" not in logs}


@final
class TrainingProgress(AbstractContextManager["TrainingProgress"]):
    """A callback for `fit` that shows epoch, loss and metrics: as a bar on a terminal, else as some ten lines."""

    def __init__(self, epochs: int) -> None:
        self._every = max(1, epochs // PLAIN_LINES)
        self._drawn = 0.0
        self._bar: Progress | None = None
        if out.is_terminal:
            self._bar = Progress(
                TextColumn("epoch"),
                MofNCompleteColumn(),
                BarColumn(bar_width=min(24, max(4, out.width - NUMBERS_WIDTH - 2 * len(str(epochs))))),
                TextColumn("{task.fields[logs]}"),
                TimeElapsedColumn(),
                console=out,
                refresh_per_second=REDRAWS_A_SECOND,
                transient=True,
            )
            self._task = self._bar.add_task("train", total=epochs, logs="")

    def __enter__(self) -> TrainingProgress:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def __call__(self, record: Any) -> None:
        if self._bar is None:
            if record.epoch == 1 or record.epoch % self._every == 0:
                say(f"epoch {record.epoch:>{len(str(record.epochs))}}/{record.epochs}  {numbers(record.logs)}")
            return
        now = time.monotonic()
        if now - self._drawn > 1 / REDRAWS_A_SECOND:  # an epoch may take less than drawing it
            self._drawn = now
            self._bar.update(self._task, completed=record.epoch, logs=escape(numbers(validation_first(record.logs))))


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A small table; the first column is left-aligned, the others right."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for place, name in enumerate(header):
        table.add_column(escape(name), justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)
