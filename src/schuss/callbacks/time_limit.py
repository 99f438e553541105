"""A fit that ends in time."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from ..arguments import number
from ..training.callback import Callback

if TYPE_CHECKING:
    from ..training import EpochRecord
    from ..training.callback import FitRecord


class TimeLimit(Callback):
    """End a fit before it takes longer than this.

    It ends with the epoch after which another one, as long as that, would go beyond the limit; one epoch is always
    trained. How many there are depends on the machine, and with that the result. A fit that goes on from a checkpoint
    has its time anew.

    Parameters
    ----------
    seconds : float
        Above 0, from the beginning of the fit, everything that happens between epochs included.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> net = schuss.Network([schuss.Dense(3, 1)], seed=0)
    >>> history = net.fit(X, X[:, 0], loss="mse", epochs=10**9, callbacks=schuss.callbacks.TimeLimit(0.05))
    >>> history.stopped
    'callback'
    """

    _unpickled = ("_start",)
    _start: float | None = None

    def __init__(self, seconds: float) -> None:
        self.seconds = number("seconds", seconds, "(0, inf)")

    def __repr__(self) -> str:
        return f"TimeLimit({self.seconds:g})"

    def begin(self, fit: FitRecord) -> None:
        """Time runs from here."""
        self._start = perf_counter()

    def __call__(self, record: EpochRecord) -> bool:
        """Whether another epoch would take too long."""
        now = perf_counter()
        if self._start is None:
            self._start = now - record.seconds
        return now - self._start + record.seconds > self.seconds

    def end(self, stopped: str) -> None:
        """The next fit has its own time."""
        self._start = None
