"""Files of a network while it is trained, to go on from and to choose from."""

from __future__ import annotations

import glob
import os
from contextlib import suppress
from math import isnan
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from ..arguments import choice, file_path, integer, number
from ..training.callback import Callback
from ..training.early_stopping import less_is_better

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..trained import Trained
    from ..training import EpochRecord
    from ..training.callback import FitRecord


class Checkpoint(Callback):
    """Keep the newest epoch's network in a file, the best epochs' in others, or both.

    The files are those of `Network.save`, optimizer and all: ``fit(resume=path)`` goes on from one, `schuss.load` reads
    it. Each is written beside its place and then renamed, so that at any moment there is a whole one.

    Parameters
    ----------
    path : str or path
        Of the newest, ending in .npz or .safetensors. The best have the epoch's number before the ending: with
        "net.npz", that of epoch 12 is "net-00012.npz".
    every : int, optional
        Write the newest after epochs whose number can be divided by this, and after the last one planned.
        Default: 1, but with `seconds` or `best` alone nothing.
    seconds : float, optional
        Write the newest after the first epoch that ends at least so long after the one before was written.
    best : int, optional
        How many of the best epochs to keep.
    monitor : str, optional
        The recorded name by which they are. Default: "val_loss", or "loss" where nothing validates.
    mode : {"auto", "min", "max"}
        Whether less or more of it is better; "auto" knows it for losses and the metrics known by name.

    Attributes
    ----------
    best_paths : list of str
        Files of the best epochs, the best first, of several equally good ones the first.

    Raises
    ------
    OSError
        From the fit, if a file cannot be written.

    Notes
    -----
    A fit that goes on from a checkpoint knows the files of the best epochs before it; a fit that begins anew leaves
    files of an earlier one alone, but for those of the same name.

    Examples
    --------
    >>> import numpy as np, schuss, tempfile, os
    >>> X = np.random.default_rng(0).normal(size=(50, 3))
    >>> path = os.path.join(tempfile.mkdtemp(), "net.npz")
    >>> def train(epochs):
    ...     net = schuss.Network([schuss.Dense(3, 1)], seed=0)
    ...     net.fit(X, X[:, 0], loss="mse", epochs=epochs, resume=path, callbacks=schuss.callbacks.Checkpoint(path))
    ...     return net
    >>> train(3).epochs_done, train(5).epochs_done
    (3, 5)
    """

    _unpickled = ("_written",)
    _written: float | None = None

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int | None = None,
        *,
        seconds: float | None = None,
        best: int | None = None,
        monitor: str | None = None,
        mode: str = "auto",
    ) -> None:
        from ..files.containers import container

        self.path = file_path("path", path)
        container(self.path)
        self.every = None if every is None else integer("every", every, 1)
        self.seconds = None if seconds is None else number("seconds", seconds, "[0, inf)")
        self.best = None if best is None else integer("best", best, 1)
        if every is None and seconds is None and best is None:
            self.every = 1
        if monitor is not None and not isinstance(monitor, str):
            raise TypeError(f"monitor must be a recorded name or None; got {type(monitor).__name__}")
        if best is None and (monitor is not None or mode != "auto"):
            raise ValueError("monitor and mode are for best=, which says how many of the best epochs to keep")
        self.monitor, self.mode = monitor, choice("mode", mode, ("auto", "min", "max"))
        self._best: list[tuple[float, int]] = []  # values, negative where more is better, and epochs

    def __repr__(self) -> str:
        given = [f"{name}={getattr(self, name)!r}" for name in ("every", "seconds", "best", "monitor")]
        return f"Checkpoint({self.path!r}, {', '.join(text for text in given if not text.endswith('=None'))})"

    @property
    def best_paths(self) -> list[str]:
        """Files of the best epochs, the best first."""
        return [self._path_of(epoch) for _, epoch in self._best]

    def begin(self, fit: FitRecord) -> None:
        """Time runs from here, and files of the best epochs are looked for."""
        folder = os.path.dirname(self.path) or "."
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"path must be in a folder that is there; got {self.path!r}")
        self._written = perf_counter()
        self._best = []
        if self.best is None:
            return
        sign = self._sign(fit.names)
        if fit.resumed:
            self._best = self._found(fit.network, sign)

    def __call__(self, record: EpochRecord) -> None:
        """Write what is to be written."""
        if self._is_due(record):
            record.network.save(self.path)
            self._written = perf_counter()
        if self.best is not None:
            self._keep(record, self.best)

    def end(self, stopped: str) -> None:
        """The next fit has its own time."""
        self._written = None

    def _is_due(self, record: EpochRecord) -> bool:
        if self._written is None:
            self._written = perf_counter() - record.seconds
        last = record.epoch == record.epochs
        if self.every is not None and (record.epoch % self.every == 0 or last):
            return True
        return self.seconds is not None and (last or perf_counter() - self._written >= self.seconds)

    def _keep(self, record: EpochRecord, most: int) -> None:
        """The file of an epoch, if it is among the best."""
        name = self._name(tuple(record.logs))
        value = self._sign(tuple(record.logs)) * record.logs[name]
        if isnan(value):
            return
        best = sorted([*(one for one in self._best if one[1] != record.epoch), (value, record.epoch)])
        best, worse = best[:most], best[most:]
        if (value, record.epoch) not in best:
            return
        record.network.save(self._path_of(record.epoch))
        self._best = best
        for _, epoch in worse:
            _remove(self._path_of(epoch))

    def _path_of(self, epoch: int) -> str:
        stem, ending = os.path.splitext(self.path)
        return f"{stem}-{epoch:05d}{ending}"

    def _name(self, names: Sequence[str]) -> str:
        return self.monitor or ("val_loss" if "val_loss" in names else "loss")

    def _sign(self, names: Sequence[str]) -> float:
        """By which more is worse. ValueError if what is monitored is not recorded, or nobody knows which way it is."""
        return 1.0 if less_is_better("Checkpoint", self._name(names), self.mode, names) else -1.0

    def _found(self, network: Trained, sign: float) -> list[tuple[float, int]]:
        """The best epochs before a checkpoint, of those whose files are there, and are of this training."""
        from ..files.networks import read

        history, found = network.history, []
        name = self._name(history.names)
        stem, ending = os.path.splitext(self.path)
        there = set(glob.glob(f"{glob.escape(stem)}-*{glob.escape(ending)}"))
        for place, epoch in enumerate(history.epochs.tolist()):
            path = self._path_of(epoch)
            if path not in there or name not in history or isnan(history[name][place]):
                continue
            try:
                other = read(path)[1][0]["history"]
            except (ValueError, OSError):
                continue
            if name in other and np.array_equal(other[name], history[name][: place + 1], equal_nan=True):
                found.append((sign * float(history[name][place]), epoch))
        return sorted(found)[: self.best]


def _remove(path: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(path)
