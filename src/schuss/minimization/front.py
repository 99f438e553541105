"""The front door."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import integer, number, shown
from ..arrays import check_finite, real_array
from ..optim import EMA, LBFGS, SWA, Optimizer
from .bounds import Box
from .descent import Stepper, descend, descend_batches, descend_lbfgs
from .objective import Objective
from .options import Method, Options, method_of, split
from .result import kinds, warn
from .watch import Ending, Watch

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Vector = NDArray[np.floating[Any]]


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


def run(
    method: Method,
    fun: Callable[..., Any],
    x0: Any,
    args: Any,
    jac: Any,
    bounds: Any,
    tol: Any,
    callback: Callable[..., Any] | None,
    options: Mapping[str, Any] | None,
) -> Any:
    """`minimize`, for both doors."""
    common, hyper = split(method, _with_tol(tol, options))
    x, shape = _start(x0)
    if common.shape is not None:
        shape = _shape(common.shape, x.size)
    box = None
    if bounds is not None:
        box = Box(bounds, x)
        start = x.copy()
        box.clip(x)
        outside = np.flatnonzero(start != x)
        if outside.size:
            k = int(outside[0])
            warn(f"x0 is not within the bounds and was moved there; x0[{k}] was {start[k]:g}, is {x[k]:g}")
    params = x.reshape(shape)
    optimizer = method.make(params, hyper)
    arguments = args if isinstance(args, tuple) else (args,)
    objective = Objective(fun, jac, arguments, x, box, common.finite_diff_rel_step)
    if isinstance(optimizer, LBFGS):
        _refuse_for_lbfgs(common, bounds)
        watch = Watch(common, objective, box, callback, x, 0)
        return _finished(common, watch, partial(descend_lbfgs, x, optimizer, params, objective, watch), x, None)
    if common.average is not None:
        if isinstance(optimizer, (EMA, SWA)):
            raise ValueError("average must not be given with a method that keeps one")
        if common.average == "mean":
            optimizer = SWA(optimizer, start=common.average_start)
        else:
            optimizer = EMA(optimizer, float(common.average), start=common.average_start)
    step = Stepper(optimizer, x, params, box)
    reserve = objective.cost if step.has_average and not common.stochastic else 0
    watch = Watch(common, objective, box, callback, x, reserve)
    loop = descend_batches if common.stochastic else descend
    return _finished(common, watch, partial(loop, x, step, objective, watch), x, step)


def _with_tol(tol: Any, options: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if tol is None or not (options is None or isinstance(options, Mapping)):
        return options
    tol = number("tol", tol, "[0, inf)")
    return {"gtol": tol, "ftol": tol, **(options or {})}


def _start(x0: Any) -> tuple[Vector, tuple[int, ...]]:
    """A vector of its own, and the shape that x0 had."""
    array = np.atleast_1d(real_array("x0", x0))
    if array.size == 0:
        raise ValueError(f"x0 must have at least one variable; got shape {array.shape}")
    dtype = np.dtype(np.float32 if array.dtype == np.float32 else np.float64)
    x: Vector = np.array(array, dtype, order="C")
    check_finite("x0", x)
    return x.reshape(-1), array.shape


def _shape(given: Any, n: int) -> tuple[int, ...]:
    sizes = given if isinstance(given, (tuple, list)) else (given,)
    shape = tuple(integer(f"shape[{k}]", size, 1) for k, size in enumerate(sizes))
    if int(np.prod(shape, dtype=object)) != n:
        raise ValueError(f"shape must hold the {n} variables of x0; got {shape}")
    return shape


def _refuse_for_lbfgs(options: Options, bounds: Any) -> None:
    if bounds is not None:
        raise ValueError(
            f"bounds must be None for lbfgs, whose line search knows none: use another method, or SciPy's L-BFGS-B; "
            f"got {shown(bounds)}"
        )
    if options.stochastic:
        raise ValueError("batches must be None for lbfgs, which needs the same function at every call")
    if options.average is not None:
        raise ValueError(f"average must be None for lbfgs; got {shown(options.average)}")


def _finished(options: Options, watch: Watch, loop: Callable[[], Ending], x: Vector, step: Stepper | None) -> Any:
    """Run the loop, and its result."""
    try:
        ending = loop()
    except KeyboardInterrupt as interrupt:
        ending = Ending(99, "Interrupted.")
        interrupt.result = _result(options, watch, ending, None)  # type: ignore[attr-defined]
        raise
    if step is not None and ending.status != 3 and watch.nit:
        _take_last(options, watch, x, step)
    found = _result(options, watch, ending, x)
    if options.disp:
        print(f"{ending.message}\n         Current function value: {found['fun']:f}")
        for name, title in (("nit", "Iterations"), ("nfev", "Function evaluations"), ("njev", "Gradient evaluations")):
            print(f"         {title}: {found[name]}")
    return found


def _take_last(options: Options, watch: Watch, x: Vector, step: Stepper) -> None:
    """The average, or with batches the point after the last step, if it is the result."""
    if options.stochastic:
        step.finish()
        if not options.best and np.isfinite(x).all():
            watch.x = x.copy()
            watch.fun = watch.smoothed
    elif step.has_average:
        step.finish()
        loss, gradient = watch.objective(x)
        finite = np.isfinite(loss) and np.isfinite(gradient).all()
        if finite and not (options.best and watch.fun <= loss):
            watch.x, watch.fun, watch.jac = x.copy(), loss, gradient.copy()


def _result(options: Options, watch: Watch, ending: Ending, x: Vector | None) -> Any:
    found: dict[str, Any] = {
        "message": ending.message,
        "success": ending.status == 0,
        "status": ending.status,
        "fun": watch.fun,
        "x": watch.x,
        "nit": watch.nit,
        "nfev": watch.objective.nfev,
        "njev": watch.objective.njev,
    }
    if not options.stochastic:
        found["jac"] = watch.jac
    if options.return_all:
        found["allvecs"] = watch.every
    return kinds()[0](found)
