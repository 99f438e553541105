"""Training steps, as everybody makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Training(Protocol):
    """One library training one case from the common start weights."""

    name: str
    unit: int

    def losses(self, steps: int) -> NDArray[np.float64]:
        """Train through the first batches; their losses, or once their mean. Called before `run`."""

    def run(self, calls: int) -> object:
        """Train on, `unit` steps a call, and wait for the end."""


class Steps:
    """Training a batch at a time from Python.

    Parameters
    ----------
    name : str
        Of the library.
    batches : int
        How many there are.
    step : callable
        ``step(k)`` trains on batch k and returns its loss.
    wait : callable, optional
        Returns when all steps are done.
    """

    unit = 1

    def __init__(
        self, name: str, batches: int, step: Callable[[int], Any], wait: Callable[[], object] | None = None
    ) -> None:
        self.name = name
        self._step, self._wait, self._batches, self._next = step, wait, batches, 0

    def losses(self, steps: int) -> NDArray[np.float64]:
        return np.array([float(self._step(k % self._batches)) for k in range(steps)])

    def run(self, calls: int) -> None:
        step, batches, k = self._step, self._batches, self._next
        for _ in range(calls):
            step(k)
            k += 1
            if k == batches:
                k = 0
        self._next = k
        if self._wait is not None:
            self._wait()
