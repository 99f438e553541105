"""Callbacks that are told when a fit begins and ends, too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..losses import Loss, LossFunction
    from ..trained import Trained
    from .record import EpochRecord


@dataclass(frozen=True)
class FitRecord:
    """What a callback gets before the first epoch of a fit.

    Attributes
    ----------
    network
        That is going to be fitted.
    epochs_done, epochs : int
        Number of the last epoch before this fit, and of the last one planned, counted over all fits.
    names : tuple of str
        What is going to be recorded of each epoch, such as "loss" and "val_loss".
    loss
        What the fit makes small.
    resumed : bool
        Whether it goes on from a checkpoint.
    """

    network: Trained = field(repr=False)
    epochs_done: int
    epochs: int
    names: tuple[str, ...]
    loss: Loss | LossFunction
    resumed: bool


class Callback:
    """What a fit calls: before its first epoch, after each, and when it is over. Any callable is one of the second.

    One object is for one fit at a time, and may be used for another one after it. Pickles and copies hold what it was
    made of and what it has recorded, but no open file.
    """

    _network: Trained | None = None

    def begin(self, fit: FitRecord) -> None:
        """A fit is about to begin. An exception is one of the fit's, and nothing has been trained."""

    def __call__(self, record: EpochRecord) -> bool | None:
        """An epoch is over; True ends the fit."""
        return None

    def end(self, stopped: str) -> None:
        """The fit is over, for this reason; as `History.stopped` says it."""

    def _begin(self, fit: FitRecord) -> None:
        """`begin`, where no other fit uses this object."""
        other = self._network
        if other is not None and other is not fit.network and other._fitting:
            raise ValueError(
                f"callbacks must have a {type(self).__name__} of their own for each fit; got one that another fit uses"
            )
        self.begin(fit)
        self._network = fit.network

    def _end(self, stopped: str) -> None:
        self._network = None
        self.end(stopped)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_network", *self._unpickled)}

    # Attributes that pickles and copies lack; the class has what they are without a fit.
    _unpickled: tuple[str, ...] = ()


def begin(callbacks: Iterable[object], fit: FitRecord) -> None:
    """Tell those that want to know that a fit begins."""
    for callback in callbacks:
        if isinstance(callback, Callback):
            callback._begin(fit)


def ended(callbacks: Iterable[object], stopped: str) -> None:
    """Tell them that it is over."""
    for callback in callbacks:
        if isinstance(callback, Callback):
            callback._end(stopped)
