"""Paths of optimizers on the contours of the function that they go down."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import file_path, integer, number, shown
from ..arrays import check_finite, real_array
from .contours import checked_limits
from .figures import check_axes, matplotlib
from .pictures import Picture, frame_of, pairs, within
from .traces import Problem, entrants_of

if TYPE_CHECKING:
    import os

    from numpy.typing import ArrayLike, NDArray

    from .functions import Function

    Vector = NDArray[np.float64]


def paths(
    function: str | Function | Callable[[Any], Any],
    start: Any = None,
    optimizers: Any = None,
    *,
    jac: bool | str | Callable[..., Any] | None = None,
    lr: float | Callable[[int], float] | None = None,
    steps: int = 200,
    limits: Any = None,
    levels: int | ArrayLike = 20,
    minimum: Any = None,
    resolution: int = 151,
    title: str | None = None,
    path: str | os.PathLike[str] | None = None,
    frames: int = 60,
    seconds: float = 6.0,
    ax: Any = None,
) -> Any:
    """Draw the paths of several optimizers on the contours of a function of two variables.

    Parameters
    ----------
    function, start, optimizers, jac, lr, steps
        As for `schuss.plots.trace`: a name such as "rosenbrock" or a function of a vector; names, classes, functions
        that make an optimizer, with or without arguments, or paths that are there already.
    limits : ((low, high), (low, high)), optional
        What is shown of x[0] and x[1]. Default: the named function's own, else what holds the start, the minimum, the
        lowest point of every path, and of the rest of paths what is not far from these.
    levels : int or array_like
        How many contours, in equal ratios above the minimum; or the values themselves, increasing.
    minimum : array_like of shape (2,) or (k, 2), optional
        Where the function is known to be least, to be marked. Default: the named function's minima.
    resolution : int
        Points along each side of the grid on which contours are computed. A function that takes arrays of shape (2, k,
        k) is called once for all of them, and a dozen times to see that it is right; any other once a point.
    title : str, optional
        Default: what the function is called, and how many steps there are.
    path : str or path, optional
        Where to save it; the ending says the format. Of .gif and .html the result moves: an animation by Pillow, or one
        page that needs nothing else, with a slider.
    frames, seconds : int, float
        Of an animation: how many pictures at most, and how long it takes.
    ax : matplotlib.axes.Axes, optional
        Where to draw. Default: a figure of its own. Not with an animation.

    Returns
    -------
    matplotlib.figure.Figure
        With all paths to their ends. One that leaves the frame for good is cut there, and the legend says after which
        step; of one that diverged, too. The legend has the rates, and the value of the function at each end.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, or the function is not finite at the start.
    ImportError
        If matplotlib is not installed.

    Examples
    --------
    >>> import schuss
    >>> figure = schuss.plots.paths("ravine", optimizers=["sgd", "adam"], lr=0.015, steps=60)
    >>> figure.axes[0].get_title()
    'Ravine: 60 steps'
    """
    matplotlib()
    check_axes("ax", ax)
    resolution = integer("resolution", resolution, 2)
    frames, seconds = integer("frames", frames, 2), number("seconds", seconds, "(0, inf)")
    steps = integer("steps", steps, 1)
    ending = "" if path is None else file_path("path", path).lower().rpartition(".")[2]
    moves = ending in ("gif", "html", "htm")
    if moves and ax is not None:
        raise ValueError(f"ax must be None with an animation, which has a figure of its own; got path {shown(path)}")
    wanted = _levels(levels)
    frame = None if limits is None else pairs(checked_limits(limits))
    problem = Problem(function, start, jac)
    known = problem.minima if minimum is None else _minima(minimum)
    traces = [entrant.run(problem, lr, steps) for entrant in entrants_of(optimizers)]
    if frame is None:
        frame = problem.known.limits if problem.known is not None else frame_of(traces, problem.start, known)
        if problem.known is not None and not within(problem.start, frame):
            frame = frame_of(traces, problem.start, known)
    picture = Picture(problem, traces, frame, known, resolution, wanted, ax)
    picture.axes.set_title(f"{problem.title}: {steps} steps" if title is None else str(title))
    if moves:
        from .moving import write_gif, write_html

        (write_gif if ending == "gif" else write_html)(picture, path, frames, seconds)
    elif path is not None:
        picture.figure.savefig(path, dpi=150)
    return picture.figure


def _minima(given: Any) -> tuple[tuple[float, float], ...]:
    array = np.atleast_2d(np.array(real_array("minimum", given), np.float64))
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"minimum must have shape (2,) or (k, 2); got {np.shape(given)}")
    check_finite("minimum", array)
    return tuple((float(x), float(y)) for x, y in array)


def _levels(given: Any) -> int | Vector:
    if np.ndim(given) == 0:
        return integer("levels", given, 2)
    array = np.array(real_array("levels", given), np.float64)
    check_finite("levels", array)
    if array.ndim != 1 or not len(array) or not (np.diff(array) > 0).all():
        raise ValueError(f"levels must be a number of them, or increasing values; got {shown(given)}")
    return array
