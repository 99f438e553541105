"""Optimizers whose parameters are in one of two places."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from .. import _core, optim
from .base import Optimizer

torch: Any = import_module("torch")


class _ScheduleFree(Optimizer):
    """What both have in common. An optimizer begins in training mode, and steps are made in it alone."""

    _of: ClassVar[type[optim.ScheduleFreeSGD | optim.ScheduleFreeAdamW]]

    @property
    def training(self) -> bool:
        """Whether the parameters are where steps are made from."""
        return all(group.get("train_mode", True) for group in self.param_groups)

    def eval(self) -> None:
        """Move the parameters to the average, to be evaluated, used or saved. Nothing happens if they are there."""
        if self.training:
            self._move([1 - 1 / self._of._beta(plain) for plain in self._plain()], True)

    def train(self) -> None:
        """Move the parameters back, for steps. Nothing happens if they are there, as they are at first."""
        if not self.training:
            self._move([1 - self._of._beta(plain) for plain in self._plain()], False)

    def _plain(self) -> list[dict[str, Any]]:
        return [self._translated(group) for group in self.param_groups]

    def _move(self, weights: list[float], resting: bool) -> None:
        if self._engine is None:
            self._build()
        calls: list[tuple[Any, ...]] = [
            (stepper.move_params, 0, weights if stepper.steps else [0.0] * len(weights), resting)
            for stepper in self._steppers()
        ]
        calls += [(group.__setitem__, "train_mode", not resting) for group in self.param_groups]
        _core.in_turn(calls)
        torch.autograd.graph.increment_version([p for group in self.param_groups for p in group["params"]])


class ScheduleFreeSGD(_ScheduleFree, of=optim.ScheduleFreeSGD): ...


class ScheduleFreeAdamW(_ScheduleFree, of=optim.ScheduleFreeAdamW): ...
