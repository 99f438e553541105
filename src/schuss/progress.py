"""What fit shows while it runs, on stderr: one line that is redrawn, and never wider than the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from time import perf_counter

BAR_WIDTH = 24
# Below which a bar tells nothing, and is left out.
LEAST_BAR = 4
# Seconds between two drawings of the bar.
INTERVAL = 0.1
# Of training, before what is left of it is guessed.
_BEFORE_GUESS = 1.0


def numbers(values: Mapping[str, float], digits: int = 4) -> str:
    """Losses and metrics in one line."""
    return "  ".join(f"{name} {value:.{digits}g}" for name, value in values.items())


def validation_first(logs: Mapping[str, float]) -> Mapping[str, float]:
    """The loss, and metrics of the training rows only if there are none of validation rows."""
    return {name: value for name, value in logs.items() if name == "loss" or f"val_{name}" not in logs}


def duration(seconds: float) -> str:
    """Such as 0:07, 12:30 or 1:02:03; days where there are some."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    if hours >= 100:
        return f"{hours // 24} days"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Clock:
    """How long a training still takes, by what it has taken so far.

    Parameters
    ----------
    total : int
        The last epoch planned.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._start = perf_counter()
        self._first: int | None = None  # epochs that were done before

    def left(self, epoch: int, share: float) -> float | None:
        """Seconds, where this share of an epoch is done; None: it is too early to say."""
        passed = perf_counter() - self._start
        if self._first is None:
            self._first = epoch - 1
        done, all_of_it = epoch - 1 + share - self._first, self._total - self._first
        if passed < _BEFORE_GUESS or not 0.0 < done < all_of_it:
            return None
        return passed * (all_of_it - done) / done


class Line:
    """What a line shows: a place, a bar of so many characters, and the rest."""

    def __init__(self, place: str, bar: int, rest: str) -> None:
        self.place, self.bar, self.rest = place, bar, rest

    def text(self, share: float) -> str:
        """Plain text, of which this share is done."""
        filled = min(self.bar, int(self.bar * share))
        bar = f" [{'#' * filled}{'.' * (self.bar - filled)}]" if self.bar else ""
        return f"{self.place}{bar}{self.rest}"


def arranged(width: int, place: str, left: float | None, logs: Mapping[str, float], frame: int = 3) -> Line:
    """A line within a width, or without a limit if that is 0.

    Where it is narrow, the bar is shorter or missing, then the time that is left is, then metrics of the training rows
    are where validation rows have the same ones; then words and digits are fewer; last, numbers at the end are missing.

    Parameters
    ----------
    width : int
    place : str
        Such as "epoch 3/10".
    left : float, optional
        Seconds.
    logs : dict
        Loss and metrics.
    frame : int
        Characters around the bar.
    """
    eta = "" if left is None else f"  {duration(left)} left"
    few = validation_first(logs)
    rest = f"{eta}  {numbers(logs)}" if eta else f" {numbers(logs)}"  # one space follows a bar
    bar = min(BAR_WIDTH, width - len(place) - len(rest) - frame) if width else BAR_WIDTH
    if bar >= LEAST_BAR:
        return Line(place, bar, rest)
    for rest in (f"{eta}  {numbers(logs)}", f"  {numbers(logs)}", f"  {numbers(few)}"):
        if len(place) + len(rest) <= width:
            return Line(place, 0, rest)
    place = place.rpartition(" ")[2]
    for k in range(len(few), 0, -1):
        rest = f"  {numbers(dict(list(few.items())[:k]), 3)}"
        if len(place) + len(rest) <= width:
            return Line(place, 0, rest)
    return Line(place[:width], 0, rest[: max(0, width - len(place))])


class Progress:
    """verbose 0: nothing; 1: a bar that redraws its line, where stderr is a terminal, else as 2; 2: a line an epoch."""

    def __init__(self, verbose: int, last_epoch: int, steps_per_epoch: int) -> None:
        self._stream = sys.stderr
        self._lines = verbose > 0 and self._stream is not None
        self._bar = self._lines and verbose == 1 and self._stream.isatty()
        self._last_epoch = last_epoch
        self._steps = steps_per_epoch
        if self._bar:
            self._clock = Clock(last_epoch)
            self._logs: Mapping[str, float] = {}
        self._drawn = 0.0
        self._width = 0
        self._last = ""

    def batch(self, epoch: int, batches_done: int, loss: float) -> None:
        """Redraw the bar, if it is time: with the loss of the epoch so far, and the rest of the one before."""
        if self._bar and perf_counter() - self._drawn >= INTERVAL:
            share = batches_done / max(1, self._steps)
            self._redraw(epoch, share, {**self._logs, "loss": loss})

    def epoch(self, epoch: int, seconds: float, logs: Mapping[str, float]) -> None:
        """The line of a finished epoch; a bar's is overwritten by the next."""
        if not self._lines:
            return
        text = f"epoch {epoch}/{self._last_epoch}  {numbers(logs)}  {seconds:.2f} s"
        if not self._bar:
            print(text, file=self._stream)
            return
        self._last, self._logs = text, logs
        if perf_counter() - self._drawn >= INTERVAL:
            self._redraw(epoch, 1.0, logs)

    def close(self) -> None:
        """Leave the last finished epoch's line, whole."""
        if self._bar and (self._last or self._width):
            self._stream.write("\r" + self._last.ljust(min(self._width, self._room() or self._width)) + "\n")
            self._stream.flush()

    def _room(self) -> int:
        """Columns that a line may have: one that wrapped could not be overwritten. 0: nobody knows."""
        try:
            return max(0, os.get_terminal_size(self._stream.fileno()).columns - 1)
        except (OSError, ValueError):
            return 0

    def _redraw(self, epoch: int, share: float, logs: Mapping[str, float]) -> None:
        self._drawn = perf_counter()
        room = self._room()
        line = arranged(room, f"epoch {epoch}/{self._last_epoch}", self._clock.left(epoch, share), logs)
        text = line.text(share)
        self._stream.write("\r" + text.ljust(min(self._width, room or self._width)))
        self._stream.flush()
        self._width = len(text)
