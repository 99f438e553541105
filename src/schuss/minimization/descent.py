"""The loops: steps and evaluations in turn, until something ends them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..optim import EMA, LBFGS, SWA, Optimizer
from ..optim.averaging import Averaged
from ..optim.schedule_free import ScheduleFree
from ..schedules.base import told

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .bounds import Box
    from .objective import Objective
    from .watch import Ending, Watch

    Vector = NDArray[np.floating[Any]]
    _Evaluated = tuple[bytes, float, Vector]

_NO_MORE = object()


class Stepper:
    """An optimizer over a vector, which comes back into the bounds after each step."""

    def __init__(self, optimizer: Optimizer | Averaged, x: Vector, params: NDArray[Any], box: Box | None) -> None:
        self._averaged = optimizer if isinstance(optimizer, (EMA, SWA)) else None
        self.optimizer = optimizer.optimizer if isinstance(optimizer, Averaged) else optimizer
        self._x, self._box = x, box
        self._shape = params.shape if params.shape != x.shape else None
        self._step = self.optimizer.step
        self._schedule = self.optimizer.param_groups[0]["schedule"]
        self._tells = bool(told(self._schedule))

    @property
    def has_average(self) -> bool:
        """Whether its result is another point than the last one."""
        return self._averaged is not None or isinstance(self.optimizer, ScheduleFree)

    def __call__(self, gradient: Vector, loss: float) -> None:
        """One step from the point of this gradient and loss."""
        if self._tells:
            for plateau in told(self._schedule, self.optimizer.steps):
                plateau.report(loss)
        self._step(gradient if self._shape is None else gradient.reshape(self._shape))
        if self._box is not None:
            self._box.project(self._x, self.optimizer)

    def finish(self) -> None:
        """Bring the parameters to what is the result of the steps: an average, where one is kept and has begun."""
        if isinstance(self.optimizer, ScheduleFree):
            self.optimizer.eval()
        elif self._averaged is not None:
            start = self.optimizer._averages[self._averaged._number][1]
            if self.optimizer.steps >= start:
                self._averaged.copy_to_params()
        if self._box is not None:
            self._box.clip(self._x)


def descend(x: Vector, step: Stepper, objective: Objective, watch: Watch) -> Ending:
    """Steps of an optimizer down a function that is always the same."""
    while True:
        loss, gradient = objective(x)
        ending = watch.look(x, loss, gradient) or watch.limit()
        if ending is not None:
            return ending
        step(gradient, loss)
        watch.nit += 1


def descend_batches(x: Vector, step: Stepper, objective: Objective, watch: Watch) -> Ending:
    """Steps of an optimizer, each down the function of the next batch."""
    batches = iter(watch.options.batches)
    while True:
        ending = watch.limit()
        if ending is not None:
            return ending
        batch = next(batches, _NO_MORE)
        if batch is _NO_MORE:
            return watch.used_up()
        loss, gradient = objective(x, batch)
        ending = watch.look(x, loss, gradient)
        if ending is not None:
            return ending
        step(gradient, watch.smoothed)
        watch.nit += 1
        ending = watch.call(x, watch.smoothed)
        if ending is not None:
            return ending


def descend_lbfgs(x: Vector, optimizer: LBFGS, params: NDArray[Any], objective: Objective, watch: Watch) -> Ending:
    """Iterations of L-BFGS, whose line search asks for evaluations itself."""
    known = Known(x, params.shape, objective, watch)
    schedule = optimizer.param_groups[0]["schedule"]
    try:
        loss, gradient = known.at()
        while True:
            ending = watch.look(x, loss, gradient) or watch.limit()
            if ending is not None:
                return ending
            for plateau in told(schedule, optimizer.steps):
                plateau.report(loss)
            before = x.tobytes()
            optimizer.step(known)
            if x.tobytes() == before:
                return watch.lost()
            watch.nit += 1
            loss, gradient = known.at()
            known.forget()
    except _OutOfCalls as limit:
        return limit.ending


class _OutOfCalls(Exception):
    def __init__(self, ending: Ending) -> None:
        super().__init__()
        self.ending = ending


class Known:
    """The objective at a vector, once a point: the last and the lowest since `forget` are remembered."""

    def __init__(self, x: Vector, shape: tuple[int, ...], objective: Objective, watch: Watch) -> None:
        self._x, self._shape, self._objective, self._watch = x, shape, objective, watch
        self._last: _Evaluated | None = None
        self._lowest: _Evaluated | None = None

    def __call__(self) -> tuple[float, NDArray[Any]]:
        loss, gradient = self.at()
        return loss, gradient if self._shape == gradient.shape else gradient.reshape(self._shape)

    def at(self) -> tuple[float, Vector]:
        """Loss and gradient where x is."""
        return self._here()[1:]

    def forget(self) -> None:
        """Where x is is the lowest of what counts from now on."""
        self._last = self._lowest = self._here()

    def _here(self) -> _Evaluated:
        place = self._x.tobytes()  # compared in a fraction of the time that arrays take
        for point in (self._last, self._lowest):
            if point is not None and point[0] == place:
                return point
        if self._last is not None and (ending := self._watch.out_of_calls()) is not None:
            raise _OutOfCalls(ending)
        loss, gradient = self._objective(self._x)
        self._last = place, loss, gradient.copy()
        if self._lowest is None or loss < self._lowest[1]:
            self._lowest = self._last
        return self._last
