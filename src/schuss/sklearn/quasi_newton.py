"""L-BFGS-B by SciPy, with the compiled loss and gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.optimize
from sklearn.utils.optimize import _check_optimize_result

from .. import _core
from . import model
from .callbacks import Tasks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .base import BaseMLP
    from .objective import Objective


# Additions that are about steps, of which L-BFGS has none. What scikit-learn passes over is passed over here too.
_OF_STEPS = {"dropout": 0.0, "clip_norm": None, "clip_value": None, "solver_options": None}


def check(est: BaseMLP) -> None:
    """ValueError for what would have no effect."""
    for name, default in _OF_STEPS.items():
        given = getattr(est, name)
        if given is not None and (np.any(np.asarray(given) != default) if name == "dropout" else given != default):
            raise ValueError(f"{name} must be {default!r} with solver='lbfgs', which makes no steps; got {given!r}")
    if callable(est.learning_rate):
        raise ValueError(f"learning_rate must not be a schedule with solver='lbfgs'; got {est.learning_rate!r}")


def fit(est: BaseMLP, X: Any, y: NDArray[Any], sample_weight: Any, objective: Objective) -> None:
    """Minimise over all rows at once."""
    network = est._network
    tasks = Tasks(est, X, lambda: est._decoded(y), sample_weight, est.max_iter)
    targets = objective.targets(y, network.dtype)
    weights = None if sample_weight is None else np.ascontiguousarray(sample_weight, dtype=np.float64)
    total = float(X.shape[0]) if weights is None else float(weights.sum())
    alpha, l1 = float(est.alpha), float(est.l1)
    parameters = [*network.parameters[0::2], *network.parameters[1::2]]
    gradients = [*network.gradients[0::2], *network.gradients[1::2]]
    starts = np.cumsum([0, *(array.size for array in parameters)])
    coefs = len(network.layers)
    data = model.slabs(X, network.dtype)
    if isinstance(data, list):
        ((_, x),) = data
        whole: NDArray[Any] | None = x
    else:
        whole = None

    def place(vector: NDArray[Any]) -> None:
        for array, start in zip(parameters, starts, strict=False):
            array[...] = vector[start : start + array.size].reshape(array.shape)

    def evaluate(vector: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        place(vector)
        gradient = np.empty(len(vector))
        if whole is not None:
            value = _one(network._core, objective.loss, whole, targets, weights)
            for array, start in zip(gradients, starts, strict=False):
                gradient[start : start + array.size] = array.reshape(-1)
        else:
            value = 0.0
            gradient[...] = 0
            for part, x in data:
                of_part = None if weights is None else weights[part]
                share = (float(len(x)) if of_part is None else float(of_part.sum())) / total
                value += share * _one(network._core, objective.loss, x, targets[part], of_part)
                for array, start in zip(gradients, starts, strict=False):
                    gradient[start : start + array.size] += share * array.reshape(-1)
        weighted = vector[: starts[coefs]]
        value += (0.5 * alpha) * float(weighted @ weighted) / total
        gradient[: starts[coefs]] += (alpha / total) * weighted
        if l1 > 0:
            value += l1 * float(np.abs(weighted).sum()) / total
            gradient[: starts[coefs]] += (l1 / total) * np.sign(weighted)
        return value, gradient

    def after_iteration(intermediate_result: Any) -> None:
        place(intermediate_result.x)
        tasks.begin()
        if tasks.end():
            raise StopIteration

    first = np.concatenate([array.reshape(-1) for array in parameters]).astype(np.float64)
    found = scipy.optimize.minimize(
        evaluate,
        first,
        method="L-BFGS-B",
        jac=True,
        callback=after_iteration if tasks.wanted else None,
        options={"maxfun": est.max_fun, "maxiter": est.max_iter, "gtol": est.tol, **_printing(est.verbose)},
    )
    est.n_iter_ = _check_optimize_result("lbfgs", found, est.max_iter)
    est.loss_ = found.fun
    place(found.x)
    tasks.finish()


def _printing(verbose: Any) -> dict[str, Any]:
    """Older versions of SciPy print their iterations."""
    from sklearn.utils.fixes import _get_additional_lbfgs_options_dict

    found: dict[str, Any] = _get_additional_lbfgs_options_dict("iprint", 1 if verbose else -1)
    return found


def _one(core: _core.Net, loss: Any, x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None) -> float:
    """The mean loss, whose gradients are then in the network."""
    if not callable(loss):
        return core.loss_and_gradients(x, y, weights, loss)
    more = () if weights is None else (weights,)
    value, gradient = loss(core.forward(x, True), y, *more)
    core.backward(gradient, False)
    return float(value)
