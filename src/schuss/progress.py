"""What fit shows while it runs, on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from time import perf_counter

BAR_WIDTH = 24
# Seconds between two drawings of the bar.
INTERVAL = 0.1


def numbers(values: Mapping[str, float]) -> str:
    """Losses and metrics in one line."""
    return "  ".join(f"{name} {value:.4g}" for name, value in values.items())


class Progress:
    """verbose 0: nothing; 1: a bar that redraws its line, where stderr is a terminal, else as 2; 2: a line an epoch."""

    def __init__(self, verbose: int, last_epoch: int, steps_per_epoch: int) -> None:
        self._stream = sys.stderr
        self._lines = verbose > 0 and self._stream is not None
        self._bar = self._lines and verbose == 1 and self._stream.isatty()
        self._last_epoch = last_epoch
        self._steps = steps_per_epoch
        self._drawn = 0.0
        self._width = 0
        self._last = ""

    def batch(self, epoch: int, batches_done: int, loss: float) -> None:
        """Redraw the bar, if it is time."""
        if not self._bar or perf_counter() - self._drawn < INTERVAL:
            return
        self._drawn = perf_counter()
        filled = BAR_WIDTH * batches_done // max(1, self._steps)
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        self._redraw(f"epoch {epoch}/{self._last_epoch} [{bar}] loss {loss:.4g}")

    def epoch(self, epoch: int, seconds: float, logs: Mapping[str, float]) -> None:
        """The line of a finished epoch; a bar's is overwritten by the next."""
        if not self._lines:
            return
        text = f"epoch {epoch}/{self._last_epoch}  {numbers(logs)}  {seconds:.2f} s"
        if not self._bar:
            print(text, file=self._stream)
            return
        self._last = text
        if perf_counter() - self._drawn >= INTERVAL:
            self._drawn = perf_counter()
            self._redraw(text)

    def close(self) -> None:
        """Leave the last finished epoch's line, whole."""
        if self._bar and (self._last or self._width):
            self._stream.write("\r" + self._last.ljust(self._width) + "\n")
            self._stream.flush()

    def _redraw(self, text: str) -> None:
        """Cut to the terminal's width: a line that wrapped could not be overwritten."""
        try:
            width = os.get_terminal_size(self._stream.fileno()).columns
        except (OSError, ValueError):
            width = 0
        if width > 0:
            text = text[: width - 1]
        self._stream.write("\r" + text.ljust(self._width))
        self._stream.flush()
        self._width = len(text)
