"""What schedules say of a fit's steps: learning rates, weight decays, factors of dropout.

And who among them is told how training goes.
Schedules are imported only where one is used: most fits have none.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..arguments import scheduled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..optim import Optimizer
    from ..schedules.base import Told


def of_steps(
    name: str, schedule: float | Callable[[int], float] | None, first: int, n: int
) -> NDArray[np.float64] | None:
    """What a schedule says of steps, or a number for all of them; None without one."""
    if schedule is None:
        return None
    if not callable(schedule):
        return np.full(n, scheduled(name, schedule))
    from ..schedules import Schedule

    if isinstance(schedule, Schedule):
        values = schedule.values(n, first)
        for k in np.flatnonzero(~np.isfinite(values)):
            scheduled(f"{name}({first + k})", float(values[k]))
        return values
    checked = (scheduled(f"{name}({step})", schedule(step)) for step in range(first, first + n))
    return np.fromiter(checked, np.float64, n)


def of_epoch(optimizer: Optimizer, steps: int) -> NDArray[np.float64] | None:
    """The learning rates of the optimizer's next steps, of one schedule for all groups; None without a schedule."""
    return of_steps("lr", optimizer.param_groups[0]["schedule"], optimizer.steps, steps)


def decays_of_epoch(optimizer: Optimizer, steps: int) -> list[NDArray[np.float64] | None] | None:
    """The weight decays of the next steps of each group, None of one without a schedule; None if there is none."""
    found = [
        of_steps("weight_decay", group.get("decay_schedule"), optimizer.steps, steps)
        for group in optimizer.param_groups
    ]
    return None if all(values is None for values in found) else found


def is_schedule(value: object) -> bool:
    """Whether a value is one of `schuss.schedules`. It is not, as long as these are not imported."""
    base = sys.modules.get("schuss.schedules.base")
    return base is not None and isinstance(value, base.Schedule)


def told(schedules: Iterable[object], step: int | None = None) -> list[Told]:
    """What in schedules is to be told how training goes: in force at a step, or all. Each once."""
    used = list(filter(callable, schedules))
    if not used:
        return []
    from ..schedules.base import told as found

    parts = (part for schedule in used for part in found(schedule, step))
    return list({id(part): part for part in parts}.values())
