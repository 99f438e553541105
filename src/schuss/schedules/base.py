"""What all schedules share, and the simplest of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..arguments import integer, learning_rate, number, shown
from .elementwise import T

if TYPE_CHECKING:
    from numpy.typing import NDArray

    AnySchedule = float | Callable[[int], float]

# Up to here every whole number is a float.
LAST_STEP = 2**53


class Told(Protocol):
    """What is to be told how training goes: `ReduceOnPlateau`."""

    def monitored(self, names: Sequence[str], /) -> str:
        """Which of the recorded names is the one to report."""

    def report(self, value: float, /) -> bool:
        """Take note of its value; whether the rate has changed."""


class Schedule(ABC):
    """A learning rate that follows from the step's number: ``schedule(step)``.

    Schedules of one kind with equal arguments are equal, and hash alike. ``a * b`` and ``0.5 * a`` are products. For a
    rule of your own use a function: every ``lr`` takes one, and so does whatever composes schedules.
    """

    # Arguments are attributes under their names; what starts with an underscore is no argument.

    @abstractmethod
    def _at(self, t: float) -> float:
        """The learning rate of step t, a whole number."""

    @abstractmethod
    def _values(self, first: int, n: int) -> NDArray[np.float64]:
        """`_at` of n steps, to the last bit. May raise or overflow nowhere that `_at` would not."""

    def _told(self, t: float | None) -> Iterator[Told]:
        """Those of its parts that are to be told how training goes: at step t, or at any."""
        return iter(())

    def __call__(self, step: int) -> float:
        """The learning rate of a step, from 0."""
        if type(step) is not int or not 0 <= step < LAST_STEP:
            step = integer("step", step, 0, LAST_STEP - 1)
        return self._at(float(step))

    def values(self, n: int, first: int = 0) -> NDArray[np.float64]:
        """The learning rates of n steps at once: the same as of n calls, in a fraction of the time.

        Parameters
        ----------
        n : int
            How many; >= 0.
        first : int
            Number of the first one, from 0.

        Returns
        -------
        array of float64 of shape (n,)
            A new one.
        """
        n = integer("n", n, 0, LAST_STEP)
        first = integer("first", first, 0, LAST_STEP - n)
        with np.errstate(all="ignore"):
            return self._values(first, n)

    def plot(self, steps: int, ax: Any = None) -> Any:
        """Draw the learning rate of the first steps with matplotlib.

        Parameters
        ----------
        steps : int
            How many; >= 1.
        ax : matplotlib Axes, optional
            Where to draw. Default: a new figure's.

        Returns
        -------
        matplotlib.figure.Figure
            The new one, or that of ax.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        from ..plots.figures import check_axes
        from ..plots.rates import draw_rates

        steps = integer("steps", steps, 1, LAST_STEP)
        check_axes("ax", ax)
        return draw_rates(self.values(steps), repr(self), ax)

    def __mul__(self, other: AnySchedule) -> Product:
        return Product(self, other) if _may_be_schedule(other) else NotImplemented

    def __rmul__(self, other: AnySchedule) -> Product:
        return Product(other, self) if _may_be_schedule(other) else NotImplemented

    # So that NumPy's numbers leave the product to __rmul__.
    __array_ufunc__ = None

    # -- an object that does not change ------------------------------------------------------------------------------

    def _set(self, **values: Any) -> None:
        """For __init__: assign the arguments, checked."""
        self.__dict__.update(values)

    def _arguments(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a schedule does not change: make a new one; {name} of {shown(self)} was assigned")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a schedule does not change: make a new one; {name} of {shown(self)} was deleted")

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return self._arguments() == other._arguments()

    def __hash__(self) -> int:
        return hash((type(self), *self._arguments().values()))

    def __repr__(self) -> str:
        """What makes an equal one, without arguments that have their defaults."""
        from inspect import signature

        known = signature(type(self)).parameters
        shown = (f"{name}={value!r}" for name, value in self._arguments().items() if value != known[name].default)
        return f"{type(self).__name__}({', '.join(shown)})"


class Formula(Schedule):
    """A schedule that is one expression, for a step as for many."""

    @abstractmethod
    def _formula(self, t: T) -> T:
        """The learning rate of step t, or of each of an array of steps."""

    def _at(self, t: float) -> float:
        return self._formula(t)

    def _values(self, first: int, n: int) -> NDArray[np.float64]:
        return self._formula(np.arange(first, first + n, dtype=np.float64))


class Constant(Formula):
    """Always the same: ``lr``. A number among schedules is taken as this.

    Parameters
    ----------
    lr : float
        >= 0.
    """

    lr: float

    def __init__(self, lr: float) -> None:
        self._set(lr=learning_rate("lr", lr))

    def _formula(self, t: T) -> T:
        return t * 0.0 + self.lr


class Lambda(Schedule):
    """A function of the step: ``lr function(step)``. A function among schedules is taken as this.

    Parameters
    ----------
    function : callable
        Step, from 0, to a number >= 0. To be pickled it must be one with a name in a module.
    lr : float
        >= 0.

    Raises
    ------
    ValueError, TypeError
        From a call too: if the function's value is not a number >= 0.

    Notes
    -----
    ``torch.optim.lr_scheduler.LambdaLR``.
    """

    function: Callable[[int], float]
    lr: float

    def __init__(self, function: Callable[[int], float], lr: float = 1.0) -> None:
        self._set(function=_function(function), lr=learning_rate("lr", lr))

    def _at(self, t: float) -> float:
        step = int(t)
        return self.lr * number(f"function({step})", self.function(step), "[0, inf)")

    def _values(self, first: int, n: int) -> NDArray[np.float64]:
        return np.fromiter((self._at(t) for t in range(first, first + n)), np.float64, n)


class Multiplicative(Schedule):
    """Multiplied by a function's value at each step: ``lr function(1) function(2) ... function(step)``.

    Parameters
    ----------
    lr : float
        >= 0.
    function : callable
        Step, from 1, to a number >= 0. To be pickled it must be one with a name in a module.

    Raises
    ------
    ValueError, TypeError
        From a call too: if the function's value is not a number >= 0.

    Notes
    -----
    ``torch.optim.lr_scheduler.MultiplicativeLR``. The product of the last step asked for is kept, so that asking for
    the steps in order, or for many at once, costs one call of the function a step. The function has to be pure.
    """

    lr: float
    function: Callable[[int], float]
    _known: tuple[int, float]

    def __init__(self, lr: float, function: Callable[[int], float]) -> None:
        lr = learning_rate("lr", lr)
        self._set(lr=lr, function=_function(function), _known=(0, lr))

    def _at(self, t: float) -> float:
        return float(self._values(int(t), 1)[0])

    def _values(self, first: int, n: int) -> NDArray[np.float64]:
        step, value = self._known
        if step > first:
            step, value = 0, self.lr
        values = np.empty(n)
        for k in range(n):
            while step < first + k:
                step += 1
                value *= number(f"function({step})", self.function(step), "[0, inf)")
            values[k] = value
        self._set(_known=(step, value))
        return values


class Product(Schedule):
    """The product of schedules, which is also what ``a * b`` and ``0.5 * a`` make.

    Parameters
    ----------
    *factors : schedules, functions or numbers
        At least one.

    Notes
    -----
    ``torch.optim.lr_scheduler.ChainedScheduler``, as long as its parts multiply the rate: one of them with the rate,
    the others with rate 1.
    """

    factors: tuple[Schedule, ...]

    def __init__(self, *factors: AnySchedule) -> None:
        if not factors:
            raise ValueError("factors must hold at least one; got none")
        checked = [as_schedule(f"factors[{k}]", factor) for k, factor in enumerate(factors)]
        if isinstance(checked[0], Product):  # a * b * c is one product, from left to right
            checked[:1] = checked[0].factors
        self._set(factors=tuple(checked))

    def _at(self, t: float) -> float:
        value = 1.0
        for factor in self.factors:
            value *= factor._at(t)
        return value

    def _values(self, first: int, n: int) -> NDArray[np.float64]:
        values = np.ones(n)
        for factor in self.factors:
            values *= factor._values(first, n)
        return values

    def _told(self, t: float | None) -> Iterator[Told]:
        for factor in self.factors:
            yield from factor._told(t)

    def __repr__(self) -> str:
        return f"Product({', '.join(map(repr, self.factors))})"


def as_schedule(name: str, value: Any) -> Schedule:
    """A schedule as it is; a number and a function as one."""
    if isinstance(value, Schedule):
        return value
    if callable(value):
        return Lambda(value)
    if not _may_be_schedule(value):
        raise TypeError(
            f"{name} must be a schedule, a function of the step or a number; got {shown(value)} "
            f"({type(value).__name__})"
        )
    return Constant(learning_rate(name, value))


def _may_be_schedule(value: object) -> bool:
    if isinstance(value, (bool, np.bool_)):
        return False
    return callable(value) or isinstance(value, (int, float, np.integer, np.floating))


def _function(value: Any) -> Callable[[int], float]:
    if not callable(value):
        raise TypeError(f"function must be a function of the step; got {shown(value)} ({type(value).__name__})")
    return value  # type: ignore[no-any-return]


def told(schedule: object, step: int | None = None) -> list[Told]:
    """What in a learning rate of any kind is to be told how training goes: in force at a step, or all. Each once."""
    if not isinstance(schedule, Schedule):
        return []
    found = schedule._told(None if step is None else float(step))
    return list({id(part): part for part in found}.values())
