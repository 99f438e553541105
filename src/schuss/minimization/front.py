"""The front door."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .options import method_of
from .run import run

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from ..optim import LBFGS, Optimizer


def minimize(
    fun: Callable[..., Any],
    x0: ArrayLike,
    args: Any = (),
    method: str | type[Optimizer] | type[LBFGS] | Callable[[Any], Any] = "adam",
    jac: bool | str | Callable[..., Any] | None = None,
    *,
    bounds: Any = None,
    tol: float | None = None,
    callback: Callable[..., Any] | None = None,
    options: Mapping[str, Any] | None = None,
    batches: Iterable[Any] | None = None,
) -> Any:
    """Minimize a function of a vector by one of the optimizers, as `scipy.optimize.minimize` does by its methods.

    Parameters
    ----------
    fun : callable
        ``fun(x, *args) -> float`` of a vector of shape (n,); with ``jac=True`` it returns the gradient too, and with
        `batches` it is ``fun(x, batch, *args)``. Each x it gets is a copy of its own.
    x0 : array_like
        Where to start; never changed. float32 is computed in float32, all else in float64. An array of more dimensions
        is laid out to a vector: reshape the result's x. Its shape still counts for optimizers of matrices (option
        `shape`).
    args : tuple
        Further arguments of `fun` and `jac`; what is no tuple is the only one.
    method : str, class or callable
        An optimizer by its name, "adam" or any other of `schuss.optim.BY_NAME`, or "lbfgs"; its class; or a function
        that makes one of an array, such as ``lambda x: schuss.Lookahead(schuss.Adam(x, lr=0.1))``.
    jac : callable, bool or {"2-point", "3-point"}, optional
        The gradient: ``jac(x, *args)`` (``jac(x, batch, *args)``), True if `fun` returns ``(loss, gradient)``, or by
        differences, forward ones by default. These take n + 1 calls of `fun` an iteration, of which there is a warning
        above 100 dimensions.
    bounds : sequence of (low, high), or scipy.optimize.Bounds, optional
        Of each variable, None for no bound. Kept by projection: `fun` is never called outside. Not with "lbfgs".
    tol : float, optional
        `gtol` and `ftol`, where the options do not have them.
    callback : callable, optional
        Called after each iteration: ``callback(intermediate_result)`` if that is the name of its one parameter, with an
        object of attributes x, fun, nit and nfev; else ``callback(x)``. StopIteration ends the minimization.
    options : dict, optional
        The optimizer's own arguments (lr, a number or a schedule; betas; momentum; ...), by default its own defaults,
        but without weight decay: with it, another function would be minimized. "lbfgs" has
        ``line_search_fn="strong_wolfe"``. And for every method:

        maxiter : int
            Steps at most. Default: 10000.
        maxfun : int
            Calls of `fun` at most.
        maxtime : float
            Seconds at most; looked at between evaluations.
        gtol : float
            Ends where the norm of the gradient, with bounds the projected one, is no larger. Default: 1e-5; 0 with
            `batches`.
        norm : float
            The order of that norm. Default: inf, the largest element.
        ftol, patience : float, int
            Ends where the lowest loss f has not improved by more than ``ftol max(1, |f|)`` in `patience` iterations.
            Default: 0 and none; with one of them 0 and 100.
        f_target : float
            Ends where the loss is no larger.
        best : bool
            The result is the evaluated point of the lowest loss, rather than the last one. Default: True; False with
            `batches`, where True goes by the smoothed loss.
        average, average_start : float or "mean", int
            The result is an average of the points after each step from number average_start (1) on: "mean", or a moving
            one with this decay. With `best` it is so if its loss is lower. Schedule-free methods have one of their own.
        smooth : int
            With `batches` losses are smoothed, the newest having the weight 1 / smooth (1 / count at first). `ftol`,
            `patience`, `f_target` and schedules that follow the loss go by it. Default: 100.
        shape : tuple of int
            In which shape the optimizer sees x: "muon" needs a matrix, "adafactor" saves on one. Default: x0's.
        finite_diff_rel_step : float or array
            For differences: steps are ``max(1, |x|)`` times this. Default: the square root of x's precision, the third
            root for "3-point".
        batches : iterable
            As the argument.
        disp : bool
            Print how it ended.
        return_all : bool
            The result has `allvecs`, the points of all iterations.
    batches : iterable, optional
        Makes the objective a stochastic one: each step takes the next batch, and hands it to `fun` (and `jac`) after x.
        It may be endless. ``itertools.cycle`` goes over a list again and again.

    Returns
    -------
    scipy.optimize.OptimizeResult
        Where SciPy is not installed, a dict with attributes that looks like it. x, fun and jac (at x; with `batches`
        fun is the smoothed loss, and there is no jac), nit, nfev, njev; success, message and status:

        - 0: it ended by gtol, ftol, f_target or the end of the batches; or by a limit, where nothing else could end it;
        - 1: maxiter, maxfun or maxtime was reached before that;
        - 2: "lbfgs" found no way down, usually as there is none within rounding;
        - 3: the loss or the gradient was NaN or infinite; x is the best, or with ``best=False`` the last good point;
        - 99: the callback raised StopIteration.

    Raises
    ------
    ValueError, TypeError
        If an argument or option is not known or out of range, or a function returns something else. x0 has not changed.
    KeyboardInterrupt
        On Ctrl-C; its attribute `result` is the result up to there.

    Notes
    -----
    First-order methods take many cheap steps. Most move each variable by about lr a step: choose lr so that ``lr
    maxiter`` covers the way, and let it fall by a schedule where the end is to be exact. For a smooth function that is
    the same at every call, "lbfgs" or SciPy's methods need far fewer evaluations.

    The first call takes as long as importing scipy.optimize, where that is installed.

    Examples
    --------
    >>> import numpy as np
    >>> import schuss
    >>> result = schuss.minimize(lambda x: np.sum((x - 3) ** 2), [0.0, 0.0], options={"lr": 0.1})
    >>> result.success, result.x.round(4).tolist()
    (True, [3.0, 3.0])
    """
    chosen = method_of(method)
    if batches is not None:
        if options is not None and "batches" in options:
            raise ValueError("batches must be given once: as an argument or in options")
        options = {**(options or {}), "batches": batches}
    return run(chosen, fun, x0, args, jac, bounds, tol, callback, options)
