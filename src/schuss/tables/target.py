"""What is predicted: classes as they are in the table, or a quantity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

__all__ = ["Target", "find_target"]

Task = Literal["classification", "regression"]


def find_target(names: Iterable[str], wanted: str | None = None) -> str:
    """The column to predict: the wanted one, else one called target, label, class or y, else the last."""
    raise NotImplementedError


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes
    ----------
    name : str
    task : "classification" or "regression"
    classes : tuple of str, int, float or bool
        As they are in the table, sorted. Empty for regression.
    counts : bool
        Regression: every value in training was a whole number of at least 0, so that a Poisson loss may fit.
    """

    name: str
    task: Task
    classes: tuple[Any, ...] = ()
    counts: bool = False

    @classmethod
    def decide(cls, frame: Any, name: str, task: Task | None = None) -> tuple[Target, tuple[str, ...]]:
        """Find out on training rows what the column asks for; rows without a value do not count."""
        raise NotImplementedError

    def read(self, frame: Any) -> NDArray[Any]:
        """(rows,) int64 numbers of classes, -1 where there is no value; or float64, NaN where there is none.

        DataError: a class that training did not see, a text that is no number, an infinite value.
        """
        raise NotImplementedError

    def decode(self, numbers: NDArray[Any]) -> NDArray[Any]:
        """(rows,) numbers of classes to the classes: int64, float64 or bool where they are such, else object."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it back to an equal object."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Target:
        """Inverse of `to_dict`. DataError: the data are of a newer format, or damaged."""
        raise NotImplementedError
