"""Early stopping: when a fit ends before its last epoch, and which parameters it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .. import _core, metrics
from ..arguments import choice, flag, integer, number
from ..habits import hinted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._core import Calls
    from ..parts import StoppingParts


@dataclass(frozen=True)
class EarlyStopping:
    """Stop when a monitored quantity has not become better for some epochs.

    Parameters
    ----------
    patience : int
        Epochs without improvement after which training stops; at least 1.
    min_delta : float
        What counts as an improvement is better than the best by more than this; >= 0.
    monitor : str
        A recorded name, such as "val_loss", "loss" or "val_accuracy".
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" knows it for losses and the metrics known by name.
    restore_best : bool
        Whether the network gets the parameters of the best epoch when the fit ends, whatever ended it.
    ties : {"first", "last"}
        Which of several epochs with the same best value is the best one. "last": an epoch that is as good as the last
        improvement, or better by no more than min_delta, is restored in its place. It is no improvement: patience
        counts from the first of them either way.

    Notes
    -----
    NaN is never better than anything. If the monitored quantity was NaN after each epoch, the parameters from before
    the fit are restored. A validation loss that is not finite ends the fit with a DivergenceError.

    References
    ----------
    L. Prechelt, Early Stopping - But When? (1998).
    """

    patience: int = 10
    min_delta: float = field(default=0.0, kw_only=True)
    monitor: str = field(default="val_loss", kw_only=True)
    mode: str = field(default="auto", kw_only=True)
    restore_best: bool = field(default=True, kw_only=True)
    ties: str = field(default="first", kw_only=True)

    def __post_init__(self) -> None:
        integer("patience", self.patience, 1)
        number("min_delta", self.min_delta, "[0, inf)")
        choice("mode", self.mode, ("auto", "min", "max"))
        flag("restore_best", self.restore_best)
        choice("ties", self.ties, ("first", "last"))

    def less_is_better(self, names: Sequence[str]) -> bool:
        """Whether less of the monitored quantity is better. ValueError if it is not among the recorded names."""
        return less_is_better("early_stopping", self.monitor, self.mode, names)


EarlyStopping.__init__ = hinted("early_stopping")(EarlyStopping.__init__)  # type: ignore[method-assign]


def less_is_better(whose: str, monitor: str, mode: str, names: Sequence[str]) -> bool:
    """Whether less of what is monitored is better. ValueError if it is not recorded, or which way it is not known."""
    if monitor not in names:
        hint = "; nothing is given to validate with" if monitor.startswith("val_") else ""
        raise ValueError(f"{whose}'s monitor must be one of {', '.join(names)}; got {monitor!r}{hint}")
    if mode != "auto":
        return mode == "min"
    name = monitor.removeprefix("val_")
    if name != "loss" and name not in metrics.KNOWN:
        raise ValueError(f"{whose}'s mode must be 'min' or 'max' for the metric {name!r}; got 'auto'")
    return metrics.KNOWN.get(name, True)


class Best:
    """Early stopping's memory: the best value and its parameters.

    Attributes
    ----------
    monitor : (str, bool, bool)
        What is monitored, whether less of it is better, and whether the last of equal ones is the best.
    restoring : list
        By which the best parameters, where there were any, become the live ones; as `_core.in_turn` takes it.
    memory : StoppingParts
        What is remembered, as files of a network in the middle of a fit have it.
    """

    def __init__(
        self, stopping: EarlyStopping, less_is_better: bool, flat: NDArray[Any], parameters: Sequence[NDArray[Any]]
    ) -> None:
        self.monitor = stopping.monitor, less_is_better, stopping.ties == "last"
        self._stopping = stopping
        self._sign = 1.0 if less_is_better else -1.0
        self._live = [flat]
        self._kept = [flat.copy()] if stopping.restore_best else []
        self.restoring: Calls = []
        own = [_within(kept, flat, array) for kept in self._kept for array in parameters]
        self.memory: StoppingParts = {"value": float("inf"), "waited": 0, "parameters": own}

    @classmethod
    def of(
        cls,
        given: bool | int | EarlyStopping | None,
        recorded: Sequence[str],
        flat: NDArray[Any],
        parameters: Sequence[NDArray[Any]] = (),
    ) -> Best | None:
        """That of `fit`'s argument, where these names are recorded; None if there is none.

        flat: all that is kept and restored. parameters: the arrays in it by which files are to have it.
        """
        if given is None or given is False:
            return None
        if isinstance(given, type):
            raise TypeError("early_stopping must be True, a patience or an object, EarlyStopping(); got a class")
        if not isinstance(given, EarlyStopping):
            given = EarlyStopping() if given is True else EarlyStopping(integer("early_stopping", given, 1))
        return cls(given, given.less_is_better(recorded), flat, parameters)

    def looking(self, logs: Mapping[str, float]) -> Calls:
        """The calls that look at an epoch."""
        value, memory = self._sign * logs[self._stopping.monitor], self.memory
        # NaN of a metric is no improvement, and no tie.
        better = value < memory["value"] - self._stopping.min_delta
        kept = better or (self._stopping.ties == "last" and value <= memory["value"] < float("inf"))
        calls: Calls = [(memory.update, {"waited": 0 if better else memory["waited"] + 1})]
        if better:
            calls.append((memory.update, {"value": value}))
        if kept and self._kept:
            calls.append((_core.copy_all, self._kept, self._live))
        if self._kept and not self.restoring:  # once an epoch is over, there is something to go back to
            calls.append((self.restoring.append, (_core.copy_all, self._live, self._kept)))
        return calls

    def way_back(self) -> Calls:
        """The calls by which everything becomes as it is now."""
        numbers = {"value": self.memory["value"], "waited": self.memory["waited"]}
        calls: Calls = [(self.memory.update, numbers)]
        if self._kept:
            calls.append((_core.copy_all, self._kept, [array.copy() for array in self._kept]))
        if not self.restoring:
            calls.append((self.restoring.clear,))
        return calls

    def go_on(self, memory: StoppingParts, monitor: tuple[str, bool, bool] | None) -> None:
        """Remember what another one has, whose monitor this was; nothing, if it was for something else."""
        own = self.memory["parameters"]
        if monitor != self.monitor or len(memory["parameters"]) != len(own):
            return
        _core.copy_all(own, memory["parameters"])
        self.memory.update({"value": memory["value"], "waited": memory["waited"]})
        if self._kept:
            self.restoring.append((_core.copy_all, self._live, self._kept))

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        return self.memory["waited"] >= self._stopping.patience


def _within(kept: NDArray[Any], flat: NDArray[Any], array: NDArray[Any]) -> NDArray[Any]:
    """The part of a copy of a flat array that is the copy of an array in it."""
    start = (array.ctypes.data - flat.ctypes.data) // flat.itemsize
    return kept[start : start + array.size].reshape(array.shape)
