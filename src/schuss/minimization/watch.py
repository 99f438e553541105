"""What a minimization remembers and when it ends."""

from __future__ import annotations

import inspect
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from ..arguments import shown
from .result import kinds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .bounds import Box
    from .objective import Objective
    from .options import Options

    Vector = NDArray[np.floating[Any]]


class Ending(NamedTuple):
    """How it ended. status: 0 well, 1 by a limit, 2 at a loss where to go, 3 not finite, 99 by the callback."""

    status: int
    message: str


_WELL = "Optimization terminated successfully: "
_EXCEEDED = "Maximum {} has been exceeded."


class Watch:
    """The best or the last good point, and what ends a run.

    Attributes
    ----------
    nit : int
        Steps made.
    x, fun, jac
        The point kept, its loss and its gradient.
    smoothed : float
        A mean of the latest losses, the newest of weight 1 / min(count, smooth); the loss itself where all see the
        same function.
    """

    def __init__(
        self,
        options: Options,
        objective: Objective,
        box: Box | None,
        callback: Callable[..., Any] | None,
        x: Vector,
        reserve: int,
    ) -> None:
        self.options, self.objective, self.box = options, objective, box
        self.nit = 0
        self.x, self.fun, self.jac = x.copy(), math.nan, np.full_like(x, np.nan)
        self.smoothed, self._count = math.nan, 0
        self.every = [x.copy()] if options.return_all else []
        self._best = bool(options.best)
        self._callback, self._by_name = callback, _wants_result(callback)
        # Evaluations to come, this one included, that must be left.
        self._fewest = objective.cost + reserve
        self._deadline = math.inf if options.maxtime is None else time.perf_counter() + options.maxtime
        assert options.gtol is not None
        self._gtol = options.gtol
        # No gradient of a larger square is within gtol; with some room for rounding. A product overflows to infinity.
        least = max(options.gtol, 1e-150)
        self._square = 1.01 * x.size * (least * least)
        self._mark, self._marked = math.inf, 0

    def look(self, x: Vector, loss: float, gradient: Vector) -> Ending | None:
        """Take in a point that has been evaluated; says whether to end there."""
        square = float(np.vdot(gradient, gradient))  # which does not warn of an overflow, as dot does
        if not (math.isfinite(loss) and (math.isfinite(square) or np.isfinite(gradient).all())):
            return self._not_finite(loss, gradient)
        if self.options.stochastic:
            self._count += 1
            weight = 1 / min(self._count, self.options.smooth)
            loss = self.smoothed = loss if self._count == 1 else self.smoothed + weight * (loss - self.smoothed)
        else:
            self.smoothed = loss
        if not self._best or not self.fun < loss:
            # A store and one call: no signal handler runs in between.
            mine, theirs = [self.x, self.jac], [x, gradient]
            self.fun = loss
            _core.copy_all(mine, theirs)
        if self.nit and not self.options.stochastic and (halt := self.call(x, loss)) is not None:
            return halt
        return self._good_enough(x, loss, gradient, square)

    def _good_enough(self, x: Vector, loss: float, gradient: Vector, square: float) -> Ending | None:
        options = self.options
        if square <= self._square or self.box is not None or options.norm < 2:
            slope = gradient if self.box is None else self.box.slope(x, gradient)
            if _norm(slope, options.norm) <= self._gtol:
                return Ending(0, _WELL + "the gradient is within gtol.")
        if options.f_target is not None and loss <= options.f_target:
            return Ending(0, _WELL + "the loss has reached f_target.")
        if options.patience is not None:
            if self._mark == math.inf or loss < self._mark - options.ftol * max(1.0, abs(self._mark)):
                self._mark, self._marked = loss, self.nit
            elif self.nit - self._marked >= options.patience:
                return Ending(0, f"{_WELL}the loss has improved by no more than ftol in {options.patience} iterations.")
        return None

    def limit(self) -> Ending | None:
        """Whether there may be no further step, with its evaluation."""
        options = self.options
        if self.nit >= options.maxiter:
            return self._reached("number of iterations", "iterations")
        return self.out_of_calls()

    def out_of_calls(self) -> Ending | None:
        """Whether there may be no further evaluation."""
        maxfun = self.options.maxfun
        if maxfun is not None and self.objective.nfev + self._fewest > maxfun:
            return self._reached("number of function evaluations", "function evaluations")
        if self._deadline < math.inf and time.perf_counter() >= self._deadline:
            return self._reached("time", "time")
        return None

    def _reached(self, limit: str, asked: str) -> Ending:
        """Where nothing else could have ended it, a limit says how long it was to be."""
        if self.options.open_ended:
            return Ending(0, f"{_WELL}the {asked} asked for are used up.")
        return Ending(1, _EXCEEDED.format(limit))

    def used_up(self) -> Ending:
        """No batch is left."""
        return Ending(0, _WELL + "the batches are used up.")

    def lost(self) -> Ending:
        """No way down was found."""
        return Ending(2, "Desired error not necessarily achieved due to precision loss.")

    def _not_finite(self, loss: float, gradient: Vector) -> Ending:
        what = f"the loss is {loss}"
        if math.isfinite(loss):
            k = int(np.argmin(np.isfinite(gradient)))
            what = f"the gradient[{k}] is {gradient[k]}"
        hint = "the point kept is an earlier one; a lower lr may help" if self.nit else "nothing was kept but x0"
        return Ending(3, f"NaN result encountered: {what} after {self.nit} iterations; {hint}.")

    def call(self, x: Vector, loss: float) -> Ending | None:
        """After a step: the callback."""
        if self.options.return_all:
            self.every.append(x.copy())
        if self._callback is None:
            return None
        try:
            if self._by_name:
                now = kinds()[0](x=x.copy(), fun=loss, nit=self.nit, nfev=self.objective.nfev)
                self._callback(intermediate_result=now)
            else:
                self._callback(x.copy())
        except StopIteration:
            return Ending(99, "`callback` raised `StopIteration`.")
        return None


@np.errstate(over="ignore")
def _norm(x: Vector, order: float) -> float:
    return float(np.linalg.norm(x, order))


def _wants_result(callback: Any) -> bool:
    """Whether it is called as callback(intermediate_result=...): if that is the name of its one parameter."""
    if callback is None:
        return False
    if not callable(callback):
        raise TypeError(f"callback must be a function of x; got {shown(callback)} ({type(callback).__name__})")
    try:
        return set(inspect.signature(callback).parameters) == {"intermediate_result"}
    except (TypeError, ValueError):  # some built-in functions have no signature
        return False
