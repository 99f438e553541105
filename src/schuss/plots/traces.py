"""The paths that optimizers take down a function of two variables."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import check_labels, choice, integer, shown, unknown_name
from ..arrays import check_finite, real_array
from ..minimization import minimize
from ..optim import BY_NAME, LBFGS, Optimizer
from ..optim.averaging import Averaged
from ..optim.wrapper import Wrapper
from .functions import FUNCTIONS, Function

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

_KNOWN: dict[str, type[Optimizer] | type[LBFGS]] = {**BY_NAME, "lbfgs": LBFGS}
# What beginners are shown, if nothing else is asked for.
_USUAL: tuple[Any, ...] = ("sgd", ("sgd", {"momentum": 0.9}), "adagrad", "rmsprop", "adam")
# Rates that are tried where none is given: three a decade.
_RATES = tuple(float(f"{10 ** (k / 3):.2g}") for k in range(-12, 4))
_EXPECTED = (
    "the name or class of an optimizer, (name or class, dict of arguments), a function that makes one of an array, a "
    "Trace, or an array of points (k, 2)"
)


@dataclass(frozen=True)
class Trace:
    """The path of an optimizer.

    Attributes
    ----------
    label : str
        Who went it.
    points : array of shape (k + 1, 2)
        The start, and where each of k steps led.
    losses : array of shape (k + 1,)
        The function there.
    lr : float or None
        The learning rate, where it was given as a number or found.
    diverged : bool
        Whether the function or its gradient was not finite after one more step, which is not among the points.
    """

    label: str
    points: NDArray[np.float64] = field(repr=False)
    losses: NDArray[np.float64] = field(repr=False)
    lr: float | None = None
    diverged: bool = False

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(self.points) - 1


def trace(
    function: str | Function | Callable[[Any], Any],
    start: Any = None,
    optimizers: Any = None,
    *,
    jac: bool | str | Callable[..., Any] | None = None,
    lr: float | Callable[[int], float] | None = None,
    steps: int = 200,
) -> dict[str, Trace]:
    """The paths of several optimizers down a function of two variables, as arrays; `schuss.plots.paths` draws them.

    Parameters
    ----------
    function : str, Function or callable
        A name in `schuss.plots.FUNCTIONS`: rosenbrock, beale, himmelblau, ravine or saddle; or a function of a vector
        of shape (2,), as for `schuss.minimize`.
    start : array_like of shape (2,), optional
        Where all begin. Default: the named function's own start.
    optimizers : sequence or mapping, optional
        Each one by its name or its class, as ``"adam"`` or ``schuss.Adam``; with arguments, as ``("sgd", {"lr": 0.01,
        "momentum": 0.9})``; or a function that makes one of an array, as ``lambda x: schuss.Lookahead(schuss.Adam(x,
        lr=0.1))``. Also a path that is there already, a `Trace` or an array of points (k, 2), say another library's. A
        mapping has the labels as its keys. Default: SGD, SGD with momentum, AdaGrad, RMSProp and Adam.
    jac : callable, bool or {"2-point", "3-point"}, optional
        The gradient, as for `schuss.minimize`: a function, True if `function` returns ``(loss, gradient)``, or by
        differences, the default.
    lr : float or schedule, optional
        The learning rate of all that are given by name or class without one. Default: for each the best of 16 from
        0.0001 to 10 and its own default: that of the least median loss over the last tenth of the steps, among those
        whose loss never rises above the first. So each path takes 17 runs.
    steps : int
        How many steps each makes. It ends earlier where the gradient is zero or not finite.

    Returns
    -------
    dict of str to Trace
        By the labels, in the order of `optimizers`.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, or the function is not finite at the start.

    Notes
    -----
    Weight decay is 0 unless it is given: with it, another function would be minimized. Of an optimizer that keeps an
    average, as `EMA`, the path is that of its parameters. A function that raises OverflowError is taken to be infinite
    there.

    Examples
    --------
    >>> import schuss
    >>> found = schuss.plots.trace("ravine", optimizers=["sgd", "adam"], lr=0.01, steps=100)
    >>> {label: trace.points.shape for label, trace in found.items()}
    {'SGD': (101, 2), 'Adam': (101, 2)}
    >>> round(float(found["SGD"].losses[-1]), 2)
    1.07
    """
    problem = Problem(function, start, jac)
    steps = integer("steps", steps, 1)
    entrants = entrants_of(optimizers)
    return {entrant.label: entrant.run(problem, lr, steps) for entrant in entrants}


class Problem:
    """A function of two variables, its gradient, and where to start."""

    def __init__(self, function: Any, start: Any, jac: Any) -> None:
        self.known: Function | None = None
        if isinstance(function, str):
            if function not in FUNCTIONS:
                raise unknown_name("function", function, FUNCTIONS)
            function = FUNCTIONS[function]
        if isinstance(function, Function):
            self.known = function
            jac = function.jac if jac is None else jac
            start = function.start if start is None else start
        if not callable(function):
            raise TypeError(f"function must be a name or a function; got {shown(function)} ({type(function).__name__})")
        if _wants_two(function):
            raise TypeError(
                "function must be a function of one vector of two numbers; got one of two arguments: "
                "lambda x: function(*x)"
            )
        if start is None:
            raise ValueError("start must be given with a function of your own; got None")
        self.start: Vector = np.array(real_array("start", start), np.float64)
        if self.start.shape != (2,):
            raise ValueError(f"start must have shape (2,); got {self.start.shape}")
        check_finite("start", self.start)
        self._fun, self._pair = function, jac is True
        self.jac = self._slopes(jac) if callable(jac) else jac
        loss = self(self.start)
        if not np.isfinite(loss):
            raise ValueError(f"function must be finite at start; it is {loss} at {self.start.tolist()}")

    @property
    def title(self) -> str:
        """What it is called."""
        if self.known is not None:
            return self.known.name.capitalize()
        name = getattr(self._fun, "__name__", type(self._fun).__name__)
        return "A function" if name == "<lambda>" else str(name)

    @property
    def minima(self) -> tuple[tuple[float, float], ...]:
        """Where it is known to be least."""
        return self.known.minima if self.known is not None else ()

    def fun(self, x: Any) -> Any:
        """What `minimize` calls."""
        try:
            return self._fun(x)
        except OverflowError:
            return (np.inf, np.zeros(2)) if self._pair else np.inf

    def _slopes(self, jac: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def slopes(x: Any) -> Any:
            try:
                return jac(x)
            except OverflowError:
                return np.full(2, np.inf)

        return slopes

    def __call__(self, x: Any) -> float:
        """Its value at a point."""
        with np.errstate(all="ignore"):
            value = self.fun(np.array(x, np.float64))
        if self._pair:
            if not isinstance(value, (tuple, list)) or len(value) != 2:
                raise ValueError(f"function must return (loss, gradient) with jac=True; got {shown(value)}")
            value = value[0]
        elif isinstance(value, (tuple, list)) and len(value) == 2:
            raise ValueError(
                f"function must return a number; got {shown(value)}: jac=True says that it returns the gradient too"
            )
        array = real_array("function's value", value)
        if array.size != 1:
            raise ValueError(f"function must return a number; got {shown(value)}")
        return float(array.reshape(()))

    def on(self, xs: Vector, ys: Vector) -> Vector:
        """Its values on a grid, of shape (len(ys), len(xs)): in one call if it can do that, else point by point."""
        grid = np.stack(np.meshgrid(xs, ys))
        found = self._at_once(grid)
        if found is None:
            found = np.array([[self((x, y)) for x in xs] for y in ys])
        return found

    def _at_once(self, grid: Vector) -> Vector | None:
        """All values in one call; None if that raises, or gives something else than calls of single points do."""
        try:
            with np.errstate(all="ignore"):
                found = self._fun(grid.copy())
            found = np.asarray(found[0] if self._pair else found, np.float64)
        except Exception:  # whatever a function that was not written for arrays does with one
            return None
        if found.shape != grid.shape[1:]:
            return None
        places = np.random.default_rng(0).integers(0, found.shape, size=(12, 2))
        for row, column in places:
            one = self(grid[:, row, column])
            if not np.isclose(found[row, column], one, rtol=1e-9, atol=1e-12, equal_nan=True):
                return None
        return found


def _wants_two(function: Any) -> bool:
    """Whether it cannot be called with one argument, but with two."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions have no signature
        return False
    for count, fits in ((1, False), (2, True)):
        try:
            signature.bind(*range(count))
            if not fits:
                return False
        except TypeError:
            if fits:
                return False
    return True


@dataclass(frozen=True)
class Entrant:
    """An optimizer that is to go a path, or one that has."""

    label: str
    method: Any
    options: dict[str, Any]
    done: Trace | Vector | None = None

    def run(self, problem: Problem, lr: Any, steps: int) -> Trace:
        """Its path."""
        if isinstance(self.done, Trace):
            return Trace(self.label, self.done.points, self.done.losses, self.done.lr, self.done.diverged)
        if self.done is not None:
            losses = np.array([problem(point) for point in self.done])
            return Trace(self.label, self.done, losses)
        tunable = isinstance(self.method, type) and self.method is not LBFGS and "lr" not in self.options
        if not tunable:
            return self._once(problem, self.options, steps)
        if lr is not None:
            return self._once(problem, {**self.options, "lr": lr}, steps)
        own = inspect.signature(self.method).parameters["lr"].default
        rates = sorted({*_RATES, *([float(own)] if isinstance(own, (int, float)) else [])})
        tried = [self._once(problem, {**self.options, "lr": rate}, steps) for rate in rates]
        return min(tried, key=lambda found: _badness(found, problem))

    def _once(self, problem: Problem, options: dict[str, Any], steps: int) -> Trace:
        points, losses = [problem.start], [problem(problem.start)]

        def note(intermediate_result: Any) -> None:
            points.append(np.array(intermediate_result.x))
            losses.append(float(intermediate_result.fun))

        with np.errstate(all="ignore"):
            found = minimize(
                problem.fun,
                problem.start,
                method=self.method,
                jac=problem.jac,
                callback=note,
                options={"gtol": 0.0, "best": False, **options, "maxiter": steps},
            )
        rate = options.get("lr")
        return Trace(
            self.label,
            np.array(points),
            np.array(losses),
            None if rate is None or callable(rate) else float(rate),
            int(found.status) == 3,
        )


def _badness(found: Trace, problem: Problem) -> tuple[int, float]:
    """By what rates are ranked. Those that run away or diverge come last, before them those that climb first."""
    reach = 1e3 * max(1.0, float(np.abs(problem.start).max()))
    with np.errstate(over="ignore"):
        away = found.diverged or not bool((np.abs(found.points - problem.start) < reach).all())
    climbs = bool(found.losses.max() > found.losses[0])
    return 2 if away else int(climbs), float(np.median(found.losses[-max(1, len(found.losses) // 10) :]))


def entrants_of(given: Any) -> list[Entrant]:
    """Who goes, with labels that differ."""
    if given is None:
        given = _USUAL
    if isinstance(given, Mapping):
        found = [_entrant(f"optimizers[{key!r}]", one, str(key)) for key, one in given.items()]
    elif isinstance(given, (str, type, Trace)) or not isinstance(given, Iterable) or callable(given):
        raise TypeError(f"optimizers must be a sequence or a mapping; got {shown(given)}: put it in a list")
    else:
        found = [_entrant(f"optimizers[{k}]", one, None) for k, one in enumerate(given)]
    check_labels("optimizers", [entrant.label for entrant in found])
    return found


def _entrant(name: str, given: Any, label: str | None) -> Entrant:
    if isinstance(given, Trace):
        return Entrant(label or given.label, None, {}, given)
    options: dict[str, Any] = {}
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping):
        given, options = given[0], dict(given[1])
        if not isinstance(given, (str, type)):
            raise TypeError(f"{name} must have a name or a class before its arguments; got {shown(given)}")
    if isinstance(given, str):
        given = _KNOWN[choice(name, given.lower(), _KNOWN)]
    if isinstance(given, type) and issubclass(given, (Optimizer, LBFGS)):
        told = [f"{key} {_short(value)}" for key, value in options.items()]
        return Entrant(label or ", ".join([given.__name__, *told]), given, options)
    if isinstance(given, (Optimizer, LBFGS, Wrapper)):
        raise TypeError(f"{name} must be {_EXPECTED}; got one of an array of its own: lambda x: schuss.Adam(x, lr=0.1)")
    if callable(given) and not isinstance(given, type):
        return Entrant(label or _made_by(name, given), given, {})
    if isinstance(given, (list, tuple, np.ndarray)):
        points = np.array(real_array(name, given), np.float64)
        if points.ndim == 2 and points.shape[1] == 2 and len(points):
            check_finite(name, points)
            return Entrant(label or name, None, {}, points)
        raise ValueError(f"{name} must be {_EXPECTED}; got an array of shape {points.shape}")
    raise TypeError(f"{name} must be {_EXPECTED}; got {shown(given)} ({type(given).__name__})")


def _made_by(name: str, factory: Callable[[Any], Any]) -> str:
    """What a function makes, in words. TypeError if that is no optimizer, or one that needs two gradients a step."""
    made = inner = factory(np.zeros(2))
    names = []
    while isinstance(inner, Averaged):
        names.append(type(inner).__name__)
        inner = inner.optimizer
    if not isinstance(inner, (Optimizer, LBFGS)):
        raise TypeError(
            f"{name} must make an optimizer of an array, such as schuss.Adam(array), which may keep an average; got "
            f"{shown(made)} from it"
        )
    return " around ".join([*names, type(inner).__name__])


def _short(value: Any) -> str:
    """A value for a label."""
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    return text if len(text) <= 24 else type(value).__name__
