"""The learning rate where no schedule says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SMALLEST_RATE = 1e-6


@dataclass
class Rate:
    """The learning rate from epoch to epoch, in one of scikit-learn's three modes."""

    initial: float
    mode: str
    power: float

    def __post_init__(self) -> None:
        self.learning_rate = float(self.initial)

    def epoch_ends(self, seen: int) -> None:
        """After an epoch, with so many rows seen so far."""
        if self.mode == "invscaling":
            self.learning_rate = float(self.initial) / (seen + 1) ** self.power

    def stops(self, message: str, verbose: Any) -> bool:
        """Whether training that does not get better stops; or goes on at a smaller rate."""
        if self.mode == "adaptive" and self.learning_rate > SMALLEST_RATE:
            self.learning_rate /= 5.0
            if verbose:
                print(f"{message} Setting learning rate to {self.learning_rate:f}")
            return False
        if verbose:
            print(f"{message}{' Learning rate too small.' if self.mode == 'adaptive' else ''} Stopping.")
        return True
