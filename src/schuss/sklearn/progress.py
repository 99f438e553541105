"""What a fit says while it runs."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from ..progress import Progress


class Report:
    """scikit-learn's lines for every verbose but the number 1, which is a progress bar on stderr."""

    def __init__(self, verbose: Any, epochs: int) -> None:
        bar = not isinstance(verbose, bool) and verbose == 1
        self.prints = bool(verbose) and not bar
        self._progress = Progress(1, epochs, 1) if bar else None
        self._epochs = epochs
        self._since = perf_counter()

    def epoch(self, number: int, loss: float) -> None:
        """After an epoch."""
        if self.prints:
            print(f"Iteration {number:d}, loss = {loss:.8f}")
        if self._progress is not None:
            now = perf_counter()
            self._progress.epoch(number, now - self._since, {"loss": loss})
            self._since = now

    def validation(self, score: float) -> None:
        """After a look at the validation data."""
        if self.prints:
            print(f"Validation score: {score:f}")

    def close(self) -> None:
        """At the end, however it came."""
        if self._progress is not None:
            self._progress.close()
