"""Bounds of each variable, kept by projection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import shown
from ..optim import Optimizer
from ..optim.schedule_free import ScheduleFree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.floating[Any]]


class Box:
    """The points between two vectors.

    Attributes
    ----------
    low, high : arrays
        One number a variable, infinite where there is no bound.
    """

    def __init__(self, bounds: Any, x: Vector) -> None:
        low, high = _both(bounds, x.size)
        if np.isnan(low).any() or np.isnan(high).any():
            raise ValueError(f"bounds must not be NaN; got {shown(bounds)}")
        wrong = np.flatnonzero(low > high)
        if wrong.size:
            k = int(wrong[0])
            raise ValueError(f"bounds[{k}] must be (low, high) with low <= high; got ({low[k]:g}, {high[k]:g})")
        self.low = _rounded(low, x.dtype, np.inf)
        self.high = _rounded(high, x.dtype, -np.inf)
        between = self.low > self.high  # nothing of x's dtype is: what is nearest
        self.low[between] = self.high[between] = low[between]

    def clip(self, x: Vector) -> None:
        """Move each variable to the nearest value within its bounds."""
        np.maximum(x, self.low, out=x)
        np.minimum(x, self.high, out=x)

    @np.errstate(over="ignore")
    def slope(self, x: Vector, gradient: Vector) -> Vector:
        """How far a step of minus the gradient would go within the bounds: zero at a minimum."""
        return x - np.minimum(np.maximum(x - gradient, self.low), self.high)

    def project(self, x: Vector, optimizer: Optimizer) -> None:
        """After a step: bring x back, and whatever the step has added of it to averages.

        Averages of points within the bounds are within them but for rounding.
        """
        if isinstance(optimizer, ScheduleFree):
            self._project_schedule_free(x, optimizer)
        elif optimizer._averages:
            outside = x.copy()
            self.clip(x)
            change = x - outside
            if change.any():
                steps = optimizer.steps
                for spec, (average,) in zip(optimizer._averages, optimizer._stepper.averages, strict=True):
                    flat = average.reshape(-1)
                    flat += _share(spec, steps) * change
        else:
            self.clip(x)

    def _project_schedule_free(self, y: Vector, optimizer: ScheduleFree) -> None:
        """With z projected before it counts for the mean: z + e gives x + c e, and y + (1 - beta + beta c) e."""
        group = optimizer.param_groups[0]
        z = optimizer._states()[0]["z"].reshape(-1)
        outside = z.copy()
        self.clip(z)
        change = z - outside
        if change.any():
            (memory,) = optimizer._remembered()
            lr_max, weight_sum = memory["lr_max"], memory["weight_sum"]
            weight = float(optimizer.steps) ** group["r"] * lr_max ** group["weight_lr_power"]
            c = weight / weight_sum if weight_sum else 0.0
            beta = optimizer._beta(group)
            y += (1 - beta + beta * c) * change
        self.clip(y)


def _share(spec: tuple[str, int, int, float], steps: int) -> float:
    """How much of the point of this step went into an average."""
    kind, start, every, weight = spec
    since = steps - start
    if since < 0 or since % every:
        return 0.0
    if kind == "mean":
        return 1 / (since // every + 1)
    # Lookahead's point is its average by then.
    return 1.0 if kind == "lookahead" or since == 0 else weight


def _both(bounds: Any, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of a sequence of pairs, in which None is no bound, or of an object with lb and ub such as scipy's Bounds."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        try:
            low, high = (np.broadcast_to(np.asarray(side, np.float64), (n,)) for side in (bounds.lb, bounds.ub))
        except (TypeError, ValueError):
            raise ValueError(f"bounds must have lb and ub of {n} numbers, or of one; got {shown(bounds)}") from None
        return low, high
    try:
        pairs = [tuple(pair) for pair in bounds]
        numbers = [
            (-np.inf if low is None else float(low), np.inf if high is None else float(high)) for low, high in pairs
        ]
    except (TypeError, ValueError):
        raise TypeError(
            f"bounds must be a sequence of (low, high), None for no bound, or a scipy.optimize.Bounds; got "
            f"{shown(bounds)}"
        ) from None
    if len(numbers) != n:
        raise ValueError(f"bounds must have a pair for each of the {n} variables; got {len(numbers)}")
    array = np.array(numbers, np.float64).reshape(n, 2)
    return array[:, 0], array[:, 1]


def _rounded(side: NDArray[np.float64], dtype: np.dtype[Any], inwards: float) -> Vector:
    """In x's dtype, where it may be coarser: not outside."""
    with np.errstate(over="ignore"):
        found: Vector = side.astype(dtype)
    outside = found < side if inwards > 0 else found > side
    found[outside] = np.nextafter(found[outside], np.asarray(inwards, dtype))
    return found
