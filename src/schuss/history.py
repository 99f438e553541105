"""What a fit recorded, an entry an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from .habits import meets

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from ._core import Calls
    from .recoveries import Recovery


@meets("History", "history epoch")
class History:
    """Curves of a training run: ``history["loss"]`` is an array with one value an epoch.

    Attributes
    ----------
    stopped : str or None
        Why the last fit ended: "finished", "early_stopping", "callback", "diverged", "interrupted" or "failed"; None
        before it ends.
    recoveries : list of Recovery
        Each time that a fit went back to its last good state, with ``on_divergence="recover"``.
    """

    # The name of the loss, where this is what a fit returned.
    _loss: str | None = None

    def __init__(self) -> None:
        self._columns: dict[str, list[float]] = {}
        self._epochs: list[int] = []
        self._times: list[float] = []
        self._lr: list[float] = []
        # What was monitored, whether less is better, and whether the last of several equal values is the best.
        self._monitor: tuple[str, bool, bool] | None = None
        self.stopped: str | None = None
        self.recoveries: list[Recovery] = []

    def append(self, epoch: int, seconds: float, lr: float, logs: Mapping[str, float]) -> None:
        """Add an epoch. A name that an epoch lacks is NaN there."""
        _core.in_turn(self._appending(epoch, seconds, lr, logs))

    def _appending(self, epoch: int, seconds: float, lr: float, logs: Mapping[str, float]) -> Calls:
        """The calls that add an epoch."""
        calls: Calls = []
        for name in logs:
            if name not in self._columns:
                calls.append((self._columns.__setitem__, name, [nan] * len(self._epochs) + [float(logs[name])]))
        for name, values in self._columns.items():
            calls.append((values.append, float(logs.get(name, nan))))
        return [*calls, (self._epochs.append, epoch), (self._times.append, seconds), (self._lr.append, lr)]

    def _undoing(self, epochs: int) -> Calls:
        """The calls that take away so many epochs at the end."""
        lists: list[list[Any]] = [*self._columns.values(), self._epochs, self._times, self._lr]
        return [(values.__delitem__, slice(max(len(values) - epochs, 0), None)) for values in lists]

    @property
    def names(self) -> list[str]:
        """Names of the recorded quantities, such as "loss" and "val_loss"."""
        return list(self._columns)

    @property
    def epochs(self) -> NDArray[np.int64]:
        """Number of each epoch, from 1, counted over all fits of the network."""
        return np.array(self._epochs, dtype=np.int64)

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds that each epoch took, validation included."""
        return np.array(self._times, dtype=np.float64)

    @property
    def lr(self) -> NDArray[np.float64]:
        """Learning rate of the last step of each epoch; of the first group if there are several."""
        return np.array(self._lr, dtype=np.float64)

    @property
    def best_epoch(self) -> int | None:
        """Number of the epoch with the best monitored value (early stopping's, else val_loss, else loss)."""
        default = ("val_loss" if "val_loss" in self._columns else "loss", True)
        name, less, last = self._monitor or (*default, False)
        values = np.array(self._columns.get(name, ()))
        if not np.isfinite(values).any():
            return None
        best = np.flatnonzero(values == (np.nanmin(values) if less else np.nanmax(values)))
        return self._epochs[int(best[-1 if last else 0])]

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        if name == "lr":
            return self.lr
        if name not in self._columns:
            raise KeyError(f"{name!r} was not recorded; recorded: {', '.join(self._columns) or 'nothing'}")
        return np.array(self._columns[name], dtype=np.float64)

    def __contains__(self, name: object) -> bool:
        return name == "lr" or name in self._columns

    def __len__(self) -> int:
        return len(self._epochs)

    def __repr__(self) -> str:
        last = ", ".join(f"{name}={values[-1]:.4g}" for name, values in self._columns.items() if values)
        return f"History({len(self)} epochs{', ' if last else ''}{last})"

    def to_frame(self) -> Any:
        """A pandas DataFrame: a row an epoch, a column a quantity, and "lr" and "seconds".

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise ImportError("to_frame needs pandas: pip install pandas") from None
        columns = {name: self[name] for name in self.names}
        index = pandas.Index(self.epochs, name="epoch")
        return pandas.DataFrame({**columns, "lr": self.lr, "seconds": self.times}, index=index)

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw the curves with matplotlib: a panel a quantity, training and validation together.

        Marked are the best epoch, where something validates or early stopping was asked for, epochs in which training
        went back to what was well before, and where it diverged.

        Parameters
        ----------
        path : str or path, optional
            Where to save the picture; the ending says the format.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If nothing was recorded.
        """
        if len(self) == 0:
            raise ValueError("history must have at least one epoch to plot; got none")
        from .plots.curves import Marks, draw_curves

        best = None
        if "val_loss" in self or self._monitor is not None:
            epoch, name = self.best_epoch, "val_loss" if self._monitor is None else self._monitor[0]
            best = None if epoch is None else (epoch, name)
        recovered = [record.epoch for record in getattr(self, "recoveries", ())]
        marks = Marks(best, recovered, self.stopped, self._loss)
        return draw_curves(self.epochs, {name: self[name] for name in self.names}, marks, path)
