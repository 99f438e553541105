"""Gradient accumulation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..arguments import choice, flag, integer, learning_rate, limit, shown
from .averaging import Averaged
from .base import Optimizer
from .sgd import SGD
from .state import MOST_STEPS
from .switch import Switch
from .wrapper import Wrapper, around, check_all_like, check_alone, fill, innermost

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Accumulate(Wrapper):
    """One optimizer step for the gradients of several batches together.

    ``sum = sum + g`` at each call; at every ``every``-th the optimizer steps with ``sum / every`` (``sum`` with
    ``mean=False``) and the sum begins anew.

    Parameters
    ----------
    optimizer : Optimizer, average of one or Switch
        Which makes the steps.
    every : int
        Calls to a step; >= 1.
    mean : bool
        Divide by ``every``.

    Notes
    -----
    As large a batch as wanted in the memory of a small one. One more copy of the parameters' size is kept.
    """

    optimizer: Optimizer | Averaged | Switch
    _numbers = ("every", "mean", "pending")
    _lists = ("sums",)

    def __init__(self, optimizer: Optimizer | Averaged | Switch, every: int, *, mean: bool = True) -> None:
        self._set(optimizer, every, mean, 0)

    def _set(self, optimizer: Any, every: Any, mean: Any, pending: Any) -> None:
        self.optimizer = around(optimizer, Averaged, Switch)
        self.every = integer("every", every, 1)
        self.mean = flag("mean", mean)
        self._sums = innermost(optimizer)._stepper.zeros_like_params()
        # The core counts as it adds, so no interrupt comes in between.
        self._adding = SGD(self._sums, lr=1.0, maximize=True)
        self._adding._stepper.steps = integer("pending", pending, 0, MOST_STEPS)

    @property
    def pending(self) -> int:
        """Calls since the last step. `every`: an interrupt has come just before the step, and the next call begins with
        it."""
        return self._adding.steps

    def _arrays(self) -> dict[str, list[NDArray[Any]]]:
        return {"sums": self._sums}

    def _take(
        self,
        optimizer: Any,
        numbers: Mapping[str, Any],
        arrays: Mapping[str, Sequence[NDArray[Any]]],
        *beside: Optimizer,
    ) -> None:
        check_alone(self, beside)
        self._set(optimizer, numbers["every"], numbers["mean"], numbers["pending"])
        fill("its sums", arrays["sums"], self._sums)

    def step(self, grads: NDArray[Any] | Sequence[NDArray[Any]], **stages: Any) -> bool:
        """Add these gradients; with those of ``every`` calls together, step.

        Parameters
        ----------
        grads : array or sequence of arrays
            As for `Optimizer.step`.
        **stages
            As for `Optimizer.step`, but grad_scale and zero_grad, applied when the step is made.

        Returns
        -------
        bool
            Whether the optimizer has stepped.
        """
        _check(stages)
        adding = self._adding._stepper
        due = adding.steps >= self.every
        if due:
            self._step(stages)
        self._adding.step(grads)
        if adding.steps < self.every:
            return due
        self._step(stages)
        return True

    def _step(self, stages: Mapping[str, Any]) -> None:
        """The optimizer's step with the sums, which begin anew, even if it fails; not if it is interrupted before."""
        scale = 1 / self.every if self.mean else 1.0
        adding, stepper = self._adding._stepper, innermost(self.optimizer)._stepper
        before = stepper.steps
        try:
            self.optimizer.step(self._sums, grad_scale=scale, **stages)
        except Exception:
            adding.begin_anew()
            raise
        except BaseException:
            if stepper.steps != before:
                adding.begin_anew()
            raise
        adding.begin_anew()

    def state_dict(self) -> dict[str, Any]:
        """``{"optimizer": ..., "sums": copies, "pending": calls so far}``."""
        return {
            "optimizer": self.optimizer.state_dict(),
            "sums": [total.copy() for total in self._sums],
            "pending": self.pending,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over such a state; nothing has changed where it does not fit."""
        if not isinstance(state_dict, Mapping) or {"optimizer", "sums", "pending"} - set(state_dict):
            raise ValueError(
                f"state_dict must be a dict with 'optimizer', 'sums' and 'pending'; got {shown(state_dict)}"
            )
        given = [np.asarray(total) for total in state_dict["sums"]]
        check_all_like("state_dict's sums", given, self._sums)
        pending = integer("state_dict's pending", state_dict["pending"], 0, self.every)
        adding = self._adding._stepper
        self.optimizer._load(
            state_dict["optimizer"],
            [(_core.copy_all, self._sums, given), (setattr, adding, "steps", pending)],
        )

    def __repr__(self) -> str:
        return f"Accumulate(every={self.every}, mean={self.mean}) of {self.optimizer!r}"


def _check(stages: Mapping[str, Any]) -> None:
    """Before gradients are added: what would be refused later would be so with the sum gone."""
    for name, value in stages.items():
        if name in ("grad_scale", "zero_grad"):
            raise TypeError(f"{name} must not be given: the sum of the gradients is scaled and zeroed here")
        if name not in ("lr", "clip_norm", "clip_value", "on_nonfinite"):
            raise TypeError(f"step has no argument {name!r}")
        if name == "on_nonfinite":
            choice(name, value, ("flag", "raise", "skip"))
        elif name == "lr" and value is not None:
            learning_rate(name, value)
        elif name != "lr":
            limit(name, value)
