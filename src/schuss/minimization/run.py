"""A minimization from its arguments to its result: everything checked, a start, a loop, and what it has found."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import integer, number, shown
from ..arrays import check_finite, real_array
from ..optim import EMA, LBFGS, SWA, Optimizer
from ..optim.averaging import Averaged
from .bounds import Box
from .descent import Stepper, descend, descend_batches, descend_lbfgs
from .objective import Objective
from .options import Method, Options, split
from .result import kinds, warn
from .watch import Ending, Watch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.floating[Any]]


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
    x, params = _start(x0, common.shape)
    box = None if bounds is None else _box(bounds, x)
    optimizer = method.make(params, hyper)
    arguments = args if isinstance(args, tuple) else (args,)
    objective = Objective(fun, jac, arguments, x, box, common.finite_diff_rel_step)
    if isinstance(optimizer, LBFGS):
        _refuse_for_lbfgs(common, bounds)
        watch = Watch(common, objective, None, callback, x, 0)
        loop = partial(descend_lbfgs, x, optimizer, params, objective, watch)
        return _finished(common, watch, loop, x, None)
    step = Stepper(_averaging(optimizer, common), x, params, box)
    # The result may be another point than the last one: an evaluation is left for it.
    reserve = objective.cost if step.has_average and not common.stochastic else 0
    watch = Watch(common, objective, box, callback, x, reserve)
    loop = partial(descend_batches if common.stochastic else descend, x, step, objective, watch)
    return _finished(common, watch, loop, x, step)


# -- the start ---------------------------------------------------------------------------------------------------------


def _with_tol(tol: Any, options: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    if tol is None or not (options is None or isinstance(options, Mapping)):
        return options
    tol = number("tol", tol, "[0, inf)")
    return {"gtol": tol, "ftol": tol, **(options or {})}


def _start(x0: Any, shape: Any) -> tuple[Vector, NDArray[Any]]:
    """A vector of its own, and the same memory in the shape that the optimizer sees: this one, or x0's."""
    array = np.atleast_1d(real_array("x0", x0))
    if array.size == 0:
        raise ValueError(f"x0 must have at least one variable; got shape {array.shape}")
    dtype = np.dtype(np.float32 if array.dtype == np.float32 else np.float64)
    x: Vector = np.array(array, dtype, order="C")
    check_finite("x0", x)
    return x.reshape(-1), x.reshape(array.shape if shape is None else _shape(shape, x.size))


def _shape(given: Any, n: int) -> tuple[int, ...]:
    sizes = given if isinstance(given, (tuple, list)) else (given,)
    shape = tuple(integer(f"shape[{k}]", size, 1) for k, size in enumerate(sizes))
    if int(np.prod(shape, dtype=object)) != n:
        raise ValueError(f"shape must hold the {n} variables of x0; got {shape}")
    return shape


def _box(bounds: Any, x: Vector) -> Box:
    """The bounds, within which x then is."""
    box = Box(bounds, x)
    given = x.copy()
    box.clip(x)
    outside = np.flatnonzero(given != x)
    if outside.size:
        k = int(outside[0])
        warn(f"x0 is not within the bounds and was moved there; x0[{k}] was {given[k]:g}, is {x[k]:g}")
    return box


def _averaging(optimizer: Optimizer | Averaged, options: Options) -> Optimizer | Averaged:
    """The optimizer with the average that the options ask for."""
    if options.average is None:
        return optimizer
    if isinstance(optimizer, (EMA, SWA)):
        raise ValueError("average must not be given with a method that keeps one")
    if options.average == "mean":
        return SWA(optimizer, start=options.average_start)
    return EMA(optimizer, float(options.average), start=options.average_start)


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


# -- the end -----------------------------------------------------------------------------------------------------------


def _finished(options: Options, watch: Watch, loop: Callable[[], Ending], x: Vector, step: Stepper | None) -> Any:
    """Run the loop, and its result."""
    try:
        ending = loop()
        if step is not None and ending.status != 3 and watch.nit:
            _take_last(options, watch, x, step)
        found = _result(options, watch, ending)
        if options.disp:
            _print(found)
        return found
    except KeyboardInterrupt as interrupt:
        ending = Ending(99, "Interrupted.")
        interrupt.result = _result(options, watch, ending)  # type: ignore[attr-defined]
        raise


def _take_last(options: Options, watch: Watch, x: Vector, step: Stepper) -> None:
    """The average, or with batches the point after the last step, if it is the result."""
    if options.stochastic:
        step.finish()
        if not options.best and np.isfinite(x).all():
            watch.x, watch.fun = x.copy(), watch.smoothed
    elif step.has_average:
        step.finish()
        loss, gradient = watch.objective(x)
        finite = np.isfinite(loss) and np.isfinite(gradient).all()
        if finite and not (options.best and watch.fun <= loss):
            watch.x, watch.fun, watch.jac = x.copy(), loss, gradient.copy()


def _result(options: Options, watch: Watch, ending: Ending) -> Any:
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


def _print(found: Any) -> None:
    """As SciPy's option disp does."""
    print(f"{found['message']}\n         Current function value: {found['fun']:f}")
    for name, title in (("nit", "Iterations"), ("nfev", "Function evaluations"), ("njev", "Gradient evaluations")):
        print(f"         {title}: {found[name]}")
