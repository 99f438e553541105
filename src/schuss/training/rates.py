"""Learning rates of a fit: those of an epoch's steps, and who among their schedules is told how training goes.

Schedules are imported only where one is used: most fits have none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..arguments import learning_rate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..optim import Optimizer
    from ..schedules.base import Told


def of_epoch(optimizer: Optimizer, steps: int) -> NDArray[np.float64] | None:
    """The learning rates of the optimizer's next steps, of one schedule for all groups; None without a schedule."""
    schedule = optimizer.param_groups[0]["schedule"]
    if schedule is None:
        return None
    from ..schedules import Schedule

    first = optimizer.steps
    if isinstance(schedule, Schedule):
        rates = schedule.values(steps, first)
        for k in np.flatnonzero(~np.isfinite(rates)):
            learning_rate(f"lr({first + k})", float(rates[k]))
        return rates
    checked = (learning_rate(f"lr({step})", schedule(step)) for step in range(first, first + steps))
    return np.fromiter(checked, np.float64, steps)


def told(lr: object, step: int | None = None) -> list[Told]:
    """What in a learning rate or schedule is to be told how training goes: in force at a step, or all."""
    if not callable(lr):
        return []
    from ..schedules.base import told as found

    return found(lr, step)


def told_of_last_step(optimizer: Optimizer) -> list[Told]:
    """What is to be told at the end of an epoch: what was in force at its last step."""
    return told(optimizer.param_groups[0]["schedule"], optimizer.steps - 1)
