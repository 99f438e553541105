"""Functions of two variables on which optimizers are shown, known by their names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Function:
    """A function of two variables with its gradient, where to start on it, and where it is least.

    Attributes
    ----------
    name, formula : str
        How it is called, and what it is.
    fun, jac : callable
        Its value and its gradient at x, of shape (2,) or (2, ...): then values have the shape of what follows.
    start : (float, float)
        From where optimizers are usually sent.
    limits : ((float, float), (float, float))
        What of it is worth seeing: from and to, of x[0] and of x[1].
    minima : tuple of (float, float)
        Where it is least.
    minimum : float
        Its value there.
    note : str
        What is hard about it.

    Examples
    --------
    >>> import schuss
    >>> ravine = schuss.plots.FUNCTIONS["ravine"]
    >>> ravine([1.0, 0.1]), ravine.jac([1.0, 0.1]).tolist()
    (1.0, [1.0, 10.0])
    >>> found = schuss.minimize(ravine, ravine.start, jac=ravine.jac, options={"lr": 0.1})
    >>> bool(abs(found.x).max() < 1e-3)
    True
    """

    name: str
    formula: str
    fun: Callable[[NDArray[Any], NDArray[Any]], Any]
    slopes: Callable[[NDArray[Any], NDArray[Any]], tuple[Any, Any]]
    start: tuple[float, float]
    limits: tuple[tuple[float, float], tuple[float, float]]
    minima: tuple[tuple[float, float], ...]
    minimum: float
    note: str

    def __call__(self, x: ArrayLike) -> Any:
        """Its value: a number, or an array of the shape of x without its first axis."""
        a, b = np.asarray(x, np.float64)
        value = self.fun(a, b)
        return value if np.ndim(value) else float(value)

    def jac(self, x: ArrayLike) -> NDArray[np.float64]:
        """Its gradient, of the shape of x."""
        a, b = np.asarray(x, np.float64)
        return np.stack(self.slopes(a, b))


def _rosenbrock(a: Any, b: Any) -> Any:
    return (1 - a) ** 2 + 100 * (b - a * a) ** 2


def _rosenbrock_slopes(a: Any, b: Any) -> tuple[Any, Any]:
    above = b - a * a
    return 2 * (a - 1) - 400 * a * above, 200 * above


def _beale(a: Any, b: Any) -> Any:
    return (1.5 - a + a * b) ** 2 + (2.25 - a + a * b**2) ** 2 + (2.625 - a + a * b**3) ** 2


def _beale_slopes(a: Any, b: Any) -> tuple[Any, Any]:
    by_a = by_b = 0.0
    for power, wanted in ((1, 1.5), (2, 2.25), (3, 2.625)):
        rest = wanted - a + a * b**power
        by_a = by_a + 2 * rest * (b**power - 1)
        by_b = by_b + 2 * rest * a * power * b ** (power - 1)
    return by_a, by_b


def _himmelblau(a: Any, b: Any) -> Any:
    return (a * a + b - 11) ** 2 + (a + b * b - 7) ** 2


def _himmelblau_slopes(a: Any, b: Any) -> tuple[Any, Any]:
    one, two = a * a + b - 11, a + b * b - 7
    return 4 * a * one + 2 * two, 2 * one + 4 * b * two


def _ravine(a: Any, b: Any) -> Any:
    return 0.5 * (a * a + 100 * b * b)


def _ravine_slopes(a: Any, b: Any) -> tuple[Any, Any]:
    return a, 100 * b


def _saddle(a: Any, b: Any) -> Any:
    return a * a - b * b + b**4 / 4


def _saddle_slopes(a: Any, b: Any) -> tuple[Any, Any]:
    return 2 * a, b**3 - 2 * b


_ALL = (
    Function(
        "rosenbrock", "(1 - x[0])^2 + 100 (x[1] - x[0]^2)^2", _rosenbrock, _rosenbrock_slopes, (-1.2, 1.0),
        ((-1.8, 1.8), (-0.8, 2.6)), ((1.0, 1.0),), 0.0,
        "A bent valley that is quickly found, and slow to follow (Rosenbrock 1960).",
    ),
    Function(
        "beale", "(1.5 - x[0] + x[0] x[1])^2 + (2.25 - x[0] + x[0] x[1]^2)^2 + (2.625 - x[0] + x[0] x[1]^3)^2",
        _beale, _beale_slopes, (1.0, 1.0), ((-0.5, 4.0), (-1.0, 1.6)), ((3.0, 0.5),), 0.0,
        "Plains beside steep walls: gradients of all sizes (Beale 1958).",
    ),
    Function(
        "himmelblau", "(x[0]^2 + x[1] - 11)^2 + (x[0] + x[1]^2 - 7)^2", _himmelblau, _himmelblau_slopes, (-0.4, -1.0),
        ((-5.5, 5.5), (-5.5, 5.5)),
        (
            (3.0, 2.0), (-2.805118086952745, 3.131312518250573),
            (-3.779310253377747, -3.283185991286170), (3.584428340330492, -1.848126526964404),
        ),
        0.0,
        "Four equal minima: which one is found depends on the optimizer (Himmelblau 1972).",
    ),
    Function(
        "ravine", "(x[0]^2 + 100 x[1]^2) / 2", _ravine, _ravine_slopes, (-4.0, 0.7), ((-4.6, 1.6), (-1.0, 1.0)),
        ((0.0, 0.0),), 0.0,
        "A hundred times steeper across than along: what momentum and rates of each variable's own are for.",
    ),
    Function(
        "saddle", "x[0]^2 - x[1]^2 + x[1]^4 / 4", _saddle, _saddle_slopes, (-1.6, 0.001), ((-2.0, 2.0), (-2.2, 2.2)),
        ((0.0, -(2.0**0.5)), (0.0, 2.0**0.5)), -1.0,
        "From its start almost straight down to a saddle, from which the way out is flat at first.",
    ),
)  # fmt: skip

FUNCTIONS: dict[str, Function] = {function.name: function for function in _ALL}
