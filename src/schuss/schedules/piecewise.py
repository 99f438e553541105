"""Schedules given by points: steps and lines between them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..arguments import integer, items, learning_rate, number, shown
from .base import LAST_STEP, Formula
from .elementwise import T, count, maximum, minimum, mix, take, whole_power


class Step(Formula):
    """Multiplied by gamma after every so many steps: ``lr gamma^floor(t / step_size)`` at step t.

    Parameters
    ----------
    lr : float
        At step 0; >= 0.
    step_size : int
        Steps between two changes; >= 1.
    gamma : float
        > 0.

    Notes
    -----
    ``torch.optim.lr_scheduler.StepLR``.
    """

    lr: float
    step_size: int
    gamma: float

    def __init__(self, lr: float, step_size: int, gamma: float = 0.1) -> None:
        self._set(
            lr=learning_rate("lr", lr),
            step_size=integer("step_size", step_size, 1, LAST_STEP),
            gamma=number("gamma", gamma, "(0, inf)"),
        )

    def _formula(self, t: T) -> T:
        return self.lr * whole_power(self.gamma, (t - t % self.step_size) / self.step_size)


class MultiStep(Formula):
    """Multiplied by gamma at given steps: ``lr gamma^k`` at step t, where k milestones are at or before t.

    Parameters
    ----------
    lr : float
        Before the first; >= 0.
    milestones : sequence of int
        Steps >= 0 in order. One that is there twice counts twice.
    gamma : float
        > 0.

    Notes
    -----
    ``torch.optim.lr_scheduler.MultiStepLR``.
    """

    lr: float
    milestones: tuple[int, ...]
    gamma: float

    def __init__(self, lr: float, milestones: Iterable[int], gamma: float = 0.1) -> None:
        self._set(
            lr=learning_rate("lr", lr),
            milestones=steps_in_order("milestones", milestones, 0, repeated=True),
            gamma=number("gamma", gamma, "(0, inf)"),
        )

    def _formula(self, t: T) -> T:
        passed: T = t * 0.0 + count(self.milestones, t)
        return self.lr * whole_power(self.gamma, passed)


class PiecewiseConstant(Formula):
    """One value after the other: ``lrs[k]`` at step t, where k boundaries are at or before t.

    Parameters
    ----------
    boundaries : sequence of int
        The steps at which the next value begins; >= 1 and rising.
    lrs : sequence of float
        One more than boundaries; each >= 0.

    Notes
    -----
    ``torch.optim.lr_scheduler.ConstantLR`` is ``PiecewiseConstant([total_iters], [factor * lr, lr])``. Keras's boundary
    is the last step of the old value, here it is the first of the new one.
    """

    boundaries: tuple[int, ...]
    lrs: tuple[float, ...]

    def __init__(self, boundaries: Iterable[int], lrs: Iterable[float]) -> None:
        steps = steps_in_order("boundaries", boundaries, 1)
        self._set(boundaries=steps, lrs=_rates(lrs, len(steps) + 1, "one more than boundaries"))

    def _formula(self, t: T) -> T:
        rate: T = t * 0.0 + take(self.lrs, count(self.boundaries, t))
        return rate


class PiecewiseLinear(Formula):
    """Straight lines between given points; before the first point its value, after the last that one's.

    Parameters
    ----------
    steps : sequence of int
        Where the points are; at least two, >= 0 and rising.
    lrs : sequence of float
        What the learning rate is there: as many, each >= 0.

    Notes
    -----
    optax's piecewise_interpolate_schedule. The slanted triangle of J. Howard, S. Ruder, Universal Language Model
    Fine-tuning for Text Classification (2018), is one: ``PiecewiseLinear([0, cut, steps], [lr / 32, lr, lr / 32])``.
    """

    steps: tuple[int, ...]
    lrs: tuple[float, ...]

    def __init__(self, steps: Iterable[int], lrs: Iterable[float]) -> None:
        checked = steps_in_order("steps", steps, 0)
        if len(checked) < 2:
            raise ValueError(f"steps must hold at least two; got {shown(checked)}")
        self._set(steps=checked, lrs=_rates(lrs, len(checked), "as many as steps"))

    def _formula(self, t: T) -> T:
        steps = self.steps
        t = minimum(maximum(t, float(steps[0])), float(steps[-1]))
        k = count(steps[1:-1], t)
        left, right = take(steps, k), take(steps, k + 1)
        share: T = (t - left) / (right - left)
        return mix(take(self.lrs, k), take(self.lrs, k + 1), share)


def steps_in_order(name: str, given: Any, low: int, *, repeated: bool = False) -> tuple[int, ...]:
    """Numbers of steps from low on, rising."""
    steps = items(name, given, "a list of steps")
    steps = [integer(f"{name}[{k}]", step, low, LAST_STEP) for k, step in enumerate(steps)]
    for k in range(1, len(steps)):
        if steps[k] < steps[k - 1] or (steps[k] == steps[k - 1] and not repeated):
            raise ValueError(f"{name} must be {'in order' if repeated else 'rising'}; got {shown(steps)}")
    return tuple(steps)


def _rates(given: Any, length: int, expected: str) -> tuple[float, ...]:
    rates = [learning_rate(f"lrs[{k}]", rate) for k, rate in enumerate(items("lrs", given, "a list of numbers"))]
    if len(rates) != length:
        raise ValueError(f"lrs must be {expected}, {length}; got {len(rates)}")
    return tuple(rates)
