"""The one schedule with a state: it depends on how training goes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..arguments import choice, integer, learning_rate, number, shown, unknown_name
from .base import Formula, Told
from .elementwise import T


class PlateauState(NamedTuple):
    """What a `ReduceOnPlateau` remembers.

    Attributes
    ----------
    lr : float
        The rate at present.
    best : float
        The best value reported; infinite before the first.
    bad : int
        Reports without improvement since the last one with, or since the rate was changed.
    cooldown : int
        Reports still to come that do not count.
    reports : int
        How many there were.
    """

    lr: float
    best: float
    bad: int
    cooldown: int
    reports: int


class ReduceOnPlateau(Formula):
    """Multiply the rate by factor when a value has not become better for a while.

    The value is reported from outside: `Network.fit` does so after each epoch, in a loop of your own call `report`.
    When more than patience reports in a row are no improvement, ``lr = max(lr factor, min_lr)``, and the next cooldown
    reports do not count. An improvement is a value below ``best (1 - threshold)`` ("rel") or ``best - threshold``
    ("abs"); for mode "max" above ``best (1 + threshold)`` or ``best + threshold``. NaN is none.

    Parameters
    ----------
    lr : float
        To start with; >= 0.
    factor : float
        In (0, 1).
    patience : int
        How many reports without improvement are tolerated; >= 0.
    threshold : float
        >= 0; below 1 if it is relative.
    threshold_mode : {"rel", "abs"}
        Values that may be negative, such as r2, need "abs".
    cooldown : int
        >= 0.
    min_lr : float
        From 0 to lr.
    eps : float
        A change of the rate by no more than this is left undone; >= 0.
    mode : {"min", "max"}
        Whether less or more is better.
    monitor : str, optional
        Which of the recorded quantities `Network.fit` reports, such as "val_accuracy". Default: "val_loss", or "loss"
        without validation data; with mode "max" it has to be named.

    Attributes
    ----------
    state : PlateauState
        What it remembers; replaced as a whole by each report.

    Notes
    -----
    ``torch.optim.lr_scheduler.ReduceLROnPlateau``, with the same rates for the same reports.

    Unlike all other schedules this one changes. So an object serves one training run; it has no hash, and two are equal
    if their states are as well. Within a `Sequence` or after a `WarmUp`, fit reports to it only once its turn has come.

    Pickles and copies hold the state, and so do those of an optimizer or a network that has this schedule, and files of
    `Network.save`; all go on as if nothing had happened. The copied optimizer has a copy of the schedule.
    """

    lr: float
    factor: float
    patience: int
    threshold: float
    threshold_mode: str
    cooldown: int
    min_lr: float
    eps: float
    mode: str
    monitor: str | None
    state: PlateauState

    def __init__(
        self,
        lr: float,
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float = 0.0,
        eps: float = 1e-8,
        mode: str = "min",
        *,
        monitor: str | None = None,
    ) -> None:
        lr = learning_rate("lr", lr)
        threshold_mode = choice("threshold_mode", threshold_mode, ("rel", "abs"))
        mode = choice("mode", mode, ("min", "max"))
        if monitor is not None and not isinstance(monitor, str):
            raise TypeError(f"monitor must be a recorded name or None; got {shown(monitor)}")
        self._set(
            lr=lr,
            factor=number("factor", factor, "(0, 1)"),
            patience=integer("patience", patience, 0),
            threshold=number("threshold", threshold, "[0, 1)" if threshold_mode == "rel" else "[0, inf)"),
            threshold_mode=threshold_mode,
            cooldown=integer("cooldown", cooldown, 0),
            min_lr=number("min_lr", min_lr, f"[0, {lr!r}]"),
            eps=number("eps", eps, "[0, inf)"),
            mode=mode,
            monitor=monitor,
            state=PlateauState(lr, math.inf if mode == "min" else -math.inf, 0, 0, 0),
        )

    __hash__ = None  # type: ignore[assignment]

    def _arguments(self) -> dict[str, Any]:
        return {name: value for name, value in super()._arguments().items() if name != "state"}

    def __eq__(self, other: object) -> bool:
        same = super().__eq__(other)
        return same if same is NotImplemented else bool(same and self.state == other.state)  # type: ignore[attr-defined]

    def _formula(self, t: T) -> T:
        return t * 0.0 + self.state.lr

    def _told(self, t: float | None) -> Iterator[Told]:
        yield self

    def report(self, value: float) -> bool:
        """Take note of how training goes; once an epoch, or as often as patience is meant to count.

        Parameters
        ----------
        value : float
            Such as the validation loss.

        Returns
        -------
        bool
            Whether the rate has changed.
        """
        missing = isinstance(value, (float, np.floating)) and value != value
        current = math.nan if missing else number("value", value, "[-inf, inf]")
        lr, best, bad, cooldown, reports = self.state
        if self._is_better(current, best):
            best, bad = current, 0
        else:
            bad += 1
        if cooldown > 0:
            cooldown, bad = cooldown - 1, 0
        if bad > self.patience:
            reduced = max(lr * self.factor, self.min_lr)
            if lr - reduced > self.eps:
                lr = reduced
            cooldown, bad = self.cooldown, 0
        changed = lr != self.state.lr
        self._set(state=PlateauState(lr, best, bad, cooldown, reports + 1))
        return changed

    def _is_better(self, value: float, best: float) -> bool:
        sign = 1.0 if self.mode == "min" else -1.0
        if self.threshold_mode == "rel":
            return sign * value < sign * best * (1.0 - sign * self.threshold)
        return sign * value < sign * best - self.threshold

    def monitored(self, names: Sequence[str]) -> str:
        """Which of the recorded names is the one to report. ValueError if it is not among them."""
        if self.monitor is None and self.mode == "max":
            raise ValueError("ReduceOnPlateau's monitor must be named for a fit with mode='max'; got None")
        name = self.monitor
        if name is None:
            name = "val_loss" if "val_loss" in names else "loss"
        if name not in names:
            hint = "; nothing is given to validate with" if name.startswith("val_") else ""
            raise ValueError(f"ReduceOnPlateau's monitor must be one of {', '.join(names)}; got {name!r}{hint}")
        return name

    def state_dict(self) -> dict[str, Any]:
        """The state as plain numbers, by the names of `PlateauState`."""
        return self.state._asdict()

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over the state of a state_dict.

        Raises
        ------
        ValueError, TypeError
            If names or numbers do not fit. Nothing has changed.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"state_dict must be a dict with {', '.join(PlateauState._fields)}; got {shown(state_dict)}"
            )
        for name in state_dict:
            if name not in PlateauState._fields:
                raise unknown_name("state_dict's key", name, PlateauState._fields)
        for name in PlateauState._fields:
            if name not in state_dict:
                raise ValueError(f"state_dict must have {', '.join(PlateauState._fields)}; {name} is missing")
        counts = {
            name: integer(f"state_dict[{name!r}]", state_dict[name], 0) for name in ("bad", "cooldown", "reports")
        }
        lr = learning_rate("state_dict['lr']", state_dict["lr"])
        best = number("state_dict['best']", state_dict["best"], "[-inf, inf]")
        self._set(state=PlateauState(lr, best, **counts))

    def __repr__(self) -> str:
        told = f" after {self.state.reports} reports: lr={self.state.lr!r}" if self.state.reports else ""
        return super().__repr__() + told
