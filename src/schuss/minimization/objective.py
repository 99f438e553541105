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
        array = np.asarray(value)
        if array.size != 1 or array.dtype.kind not in "biuf":
            what = "(loss, gradient), the loss being a number," if self._pair else "a number"
            raise TypeError(f"fun must return {what}; got {shown(value)} ({type(value).__name__}){self._hint(value)}")
        return float(array.reshape(())[()])

    def _hint(self, value: Any) -> str:
        pair = isinstance(value, tuple) and len(value) == 2 and not self._pair
        return "; jac=True says that it returns the gradient too" if pair else ""

    def _vector(self, value: Any) -> Vector:
        """A gradient in x's dtype and shape."""
        name = "fun's gradient" if self._pair else "jac's value"
        array = real_array(name, value)
        if array.size != self._n or (array.ndim != 1 and array.squeeze().ndim > 1):
            raise ValueError(f"{name} must have shape ({self._n},); got {array.shape}")
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array.reshape(self._n), self._dtype)


class Differences:
    """Gradients by differences, forward of order 1 or central of order 2, in points within the bounds.

    The step by x_k is ``relative_step max(1, |x_k|)`` away from 0, by default the square or third root of x's
    precision; the other way, or as far as the bounds are apart, where it would leave the bounds.
    """

    def __init__(self, points: int, x: Vector, box: Box | None, relative_step: Any) -> None:
        self._points = points
        precision = float(np.finfo(x.dtype).eps)
        self._step: Any = precision ** (1 / (1 + points))
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
        steps = self._step * np.where(x < 0, -1, 1) * np.maximum(1, np.abs(x))
        gradient = np.empty_like(x)
        for k, step in enumerate(steps.astype(x.dtype)):
            ends = self._ends(k, x[k], step)
            losses = []
            for end in ends:
                if end == x[k]:
                    losses.append(loss)
                    continue
                point = x.copy()
                point[k] = end
                losses.append(fun(point))
            apart = float(ends[1]) - float(ends[0])
            gradient[k] = (losses[1] - losses[0]) / apart if apart else 0.0  # 0: held fast by its bounds
        return gradient

    def _ends(self, k: int, at: Any, step: Any) -> tuple[Any, Any]:
        """Between which values of x_k the difference is taken."""
        low, high = (-np.inf, np.inf) if self._box is None else (self._box.low[k], self._box.high[k])
        if self._points == 2:
            return max(at - abs(step), low), min(at + abs(step), high)
        for end in (at + step, at - step):
            if low <= end <= high:
                return at, end
        return at, (low if at - low > high - at else high)
