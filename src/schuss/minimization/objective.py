"""The function being minimized and its gradient, called, counted and checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import shown
from ..arrays import real_array
from .result import warn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .bounds import Box

    Vector = NDArray[np.floating[Any]]

_DIFFERENCES = {"2-point": 1, "3-point": 2}
# Gradients by differences of more dimensions than this are warned of: an iteration calls the function so often.
_MANY = 100


class Objective:
    """``objective(x, *batch) -> (loss, gradient)``: a float, and a vector of x's dtype that belongs to the caller.

    Attributes
    ----------
    nfev, njev : int
        Calls of the function, and gradients.
    cost : int
        Calls of the function that one gradient takes, the loss included.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        jac: Any,
        args: tuple[Any, ...],
        x: Vector,
        box: Box | None,
        relative_step: Any,
    ) -> None:
        if not callable(fun):
            raise TypeError(f"fun must be a function of x; got {shown(fun)} ({type(fun).__name__})")
        inner = getattr(fun, "fun", None)
        if getattr(jac, "__self__", None) is fun and callable(inner) and callable(getattr(fun, "derivative", None)):
            # SciPy splits a function that returns both in two, which remember the last x, but not the last batch.
            fun, jac = inner, True
        self.nfev = self.njev = 0
        self._fun, self._args = fun, args
        self._n, self._dtype = x.size, x.dtype
        self._pair = jac is True
        self._jac: Callable[..., Any] | None = None
        points = 0
        if jac is None or jac is False:
            points = 1
            if x.size > _MANY:
                warn(
                    f"jac is None: each gradient takes {x.size} calls of fun, for differences; give jac, or "
                    f"jac='2-point' if that is meant"
                )
        elif isinstance(jac, str) and jac in _DIFFERENCES:
            points = _DIFFERENCES[jac]
        elif callable(jac):
            self._jac = jac
        elif jac is not True:
            raise ValueError(
                f"jac must be a function, True (fun returns loss and gradient), None, '2-point' or '3-point'; got "
                f"{shown(jac)}"
            )
        self._differences = None
        if points:
            self._differences = Differences(points, x, box, relative_step)
        self.cost = 1 + points * x.size

    def __call__(self, x: Vector, *batch: Any) -> tuple[float, Vector]:
        """The function gets a copy of x, which it may keep or change."""
        self.nfev += 1
        self.njev += 1
        if self._pair:
            found = self._fun(x.copy(), *batch, *self._args)
            if not isinstance(found, (tuple, list)) or len(found) != 2:
                raise ValueError(f"fun must return (loss, gradient) with jac=True; got {shown(found)}")
            loss, gradient = found
        elif self._jac is not None:
            loss = self._fun(x.copy(), *batch, *self._args)
            gradient = self._jac(x.copy(), *batch, *self._args)
        else:
            assert self._differences is not None
            loss = self._scalar(self._fun(x.copy(), *batch, *self._args))
            gradient = self._differences(lambda point: self._call(point, batch), x, loss)
        if type(loss) is not float:
            loss = self._scalar(loss)
        if type(gradient) is not np.ndarray or gradient.dtype is not self._dtype or gradient.shape != (self._n,):
            gradient = self._vector(gradient)
        return loss, gradient

    def _call(self, point: Vector, batch: tuple[Any, ...]) -> float:
        self.nfev += 1
        return self._scalar(self._fun(point, *batch, *self._args))

    def _scalar(self, value: Any) -> float:
        """A number, or an array of one."""
        if isinstance(value, float):
            return float(value)
        hint = ""
        if not isinstance(value, (tuple, list, str, bytes)):
            array = np.asarray(value)
            if array.size == 1 and array.dtype.kind in "biuf":
                return float(array.reshape(())[()])
        elif isinstance(value, tuple) and len(value) == 2 and not self._pair:
            hint = "; jac=True says that it returns the gradient too"
        what = "(loss, gradient), the loss being a number," if self._pair else "a number"
        raise TypeError(f"fun must return {what}; got {shown(value)} ({type(value).__name__}){hint}")

    def _vector(self, value: Any) -> Vector:
        """A gradient in x's dtype and shape."""
        name = "fun's gradient" if self._pair else "jac's value"
        array = real_array(name, value)
        if array.size != self._n or (array.ndim != 1 and array.squeeze().ndim > 1):
            raise ValueError(f"{name} must have shape ({self._n},); got {array.shape}")
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array.reshape(self._n), self._dtype)


class Differences:
    """Gradients by differences of order 1, from two points, or 2, from three; within the bounds.

    The step by x_k is ``relative_step max(1, |x_k|)``, by default the square or third root of x's precision. Two points
    go away from 0, or the other way where that would leave the bounds; three are centred at x, or lie to one side of it
    then. Where the bounds are closer than that, it is what they leave.
    """

    def __init__(self, points: int, x: Vector, box: Box | None, relative_step: Any) -> None:
        self._central = points == 2
        self._step: Any = float(np.finfo(x.dtype).eps) ** (1 / (1 + points))
        if relative_step is not None:
            step = real_array("finite_diff_rel_step", relative_step)
            if step.shape not in ((), (1,), x.shape) or not (np.isfinite(step).all() and (step > 0).all()):
                raise ValueError(
                    f"finite_diff_rel_step must be a number > 0, or {x.size} of them; got {shown(relative_step)}"
                )
            self._step = step.astype(x.dtype)
        self._box = box

    def __call__(self, fun: Callable[[Vector], float], x: Vector, loss: float) -> Vector:
        """The gradient at x, where the loss is this."""
        steps = (self._step * np.where(x < 0, -1, 1) * np.maximum(1, np.abs(x))).astype(x.dtype)
        gradient = np.empty_like(x)
        for k, step in enumerate(steps):

            def at(end: Any, k: int = k) -> tuple[float, float]:
                """How far from x_k that is, and how much the loss changes."""
                if end == x[k]:
                    return 0.0, 0.0
                point = x.copy()
                point[k] = end
                return float(end) - float(x[k]), fun(point) - loss

            (a, rise_a), (b, rise_b) = (at(end) for end in self._ends(k, x[k], step))
            if a == 0 or b == 0 or a == b:
                gradient[k] = rise_a / a if a else rise_b / b if b else 0.0  # 0: held fast by its bounds
            else:  # the slope at 0 of the parabola through 0 and both
                gradient[k] = (b / a * rise_a - a / b * rise_b) / (b - a)
        return gradient

    def _ends(self, k: int, x: Any, step: Any) -> tuple[Any, Any]:
        """At which values of x_k, one of which may be x_k itself."""
        low, high = (-np.inf, np.inf) if self._box is None else (self._box.low[k], self._box.high[k])
        ways = [(x, x + step), (x, x - step)]
        if self._central:
            ways = [(x - step, x + step), (x + step, x + step + step), (x - step, x - step - step)]
        for ends in ways:
            if low <= min(ends) and max(ends) <= high:
                return ends
        return (low, high) if self._central else (x, low if x - low > high - x else high)
