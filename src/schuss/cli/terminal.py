"""What the command line shows: progress while training, and tables. Plain lines where output is not a terminal."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import final

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, ProgressColumn, Task
from rich.table import Column, Table
from rich.text import Text

from ..progress import Clock, Line, arranged, numbers
from ..training import EpochRecord

out = Console(highlight=False, soft_wrap=True)

REDRAWS_A_SECOND = 10
DISTANCES = ("rmse", "mae")  # metrics in units of the target
PLAIN_LINES = 10  # of a whole training, where output is not a terminal


def say(text: str, style: str | None = None) -> None:
    """One line; brackets in it are plain text."""
    out.print(escape(text), style=style)


def show_cursor() -> None:
    """Where output is a terminal, whose cursor a bar hides."""
    out.show_cursor()


class _Column(ProgressColumn):
    """The whole line, which is as wide as there is room for."""

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True, overflow="crop"))

    def render(self, task: Task) -> Text:
        """The line of the last epoch that was told."""
        given = task.fields["line"]
        if given is None:
            return Text(task.description)
        place, left, logs = given
        line: Line = arranged(max(1, out.width - 1), place, left, logs, frame=1)
        share = task.completed / task.total if task.total else 0.0
        filled = min(line.bar, int(line.bar * share))
        text = Text(line.place)
        if line.bar:
            text.append(" ").append("━" * filled, "bar.complete").append("━" * (line.bar - filled), "bar.back")
        return text.append(line.rest)


@final
class TrainingProgress(AbstractContextManager["TrainingProgress"]):
    """Shows epoch, loss and metrics of a training and of another after it: as a bar on a terminal, else as ten lines.

    Parameters
    ----------
    epochs : int
        Planned; records of epochs say it anew.
    networks : int
        That are trained side by side.
    trainings : int
        How many follow each other.

    Attributes
    ----------
    unit : float
        Of a quantity: what a distance of 1 is in the target's own units. What is shown is in these.
    """

    def __init__(self, epochs: int, networks: int = 1, trainings: int = 1) -> None:
        self.unit = 1.0
        self._networks, self._trainings, self._training = networks, trainings, 1
        self._lines = max(1, PLAIN_LINES // trainings)
        self._epochs: dict[int, int] = {}  # of each network of this training, the last that was told
        self._drawn = 0.0
        self._clock: Clock | None = None
        self._bar: Progress | None = None
        if out.is_terminal:
            self._bar = Progress(_Column(), console=out, refresh_per_second=REDRAWS_A_SECOND, transient=True)
            self._task = self._bar.add_task("training", total=epochs, line=None)

    def __enter__(self) -> TrainingProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def start(self) -> None:
        """Show the bar: what is told before it stands above it."""
        if self._bar:
            self._bar.start()

    def __call__(self, record: EpochRecord) -> None:
        if not self._is_news(record):
            return
        which = "epoch" if self._training < 2 or self._trainings == 1 else "refit, epoch"
        if self._bar is None:
            if self._has_a_line(record.epoch, record.epochs):
                place = f"{record.epoch:>{len(str(record.epochs))}}/{record.epochs}"
                say(f"{which} {place}  {numbers(self._shown(record.logs))}")
            return
        now = time.monotonic()
        if now - self._drawn > 1 / REDRAWS_A_SECOND:  # an epoch may take less than drawing it
            self._drawn = now
            left = None if self._clock is None else self._clock.left(record.epoch, 1.0)
            line = f"{which} {record.epoch}/{record.epochs}", left, self._shown(record.logs)
            self._bar.update(self._task, completed=record.epoch, total=record.epochs, line=line)

    def _is_news(self, record: EpochRecord) -> bool:
        """Whether no network of this training has come so far: of several side by side one is shown."""
        network = id(record.network)
        if network not in self._epochs and len(self._epochs) == self._networks:
            self._epochs = {}
            self._training += 1
        if not self._epochs:
            self._clock = Clock(record.epochs)
            self._clock.left(record.epoch, 0.0)
        newest = record.epoch > max(self._epochs.values(), default=0)
        self._epochs[network] = record.epoch
        return newest

    def _has_a_line(self, epoch: int, epochs: int) -> bool:
        first = epoch == 1 and self._trainings == 1
        return first or epoch == epochs or epoch % max(1, epochs // self._lines) == 0

    def _shown(self, logs: Mapping[str, float]) -> Mapping[str, float]:
        """Distances in the target's own units. The loss, which is in others, only where there are none."""
        distances = {name: value * self.unit for name, value in logs.items() if name.removeprefix("val_") in DISTANCES}
        return distances or logs


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A small table; the first column is left-aligned, the others right."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for place, name in enumerate(header):
        table.add_column(escape(name), justify="right" if place else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    out.print(table)
