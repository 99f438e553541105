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
    tasks = Tasks(est, X, lambda: est._decoded(y), sample_weight, est.max_iter)
    function = _Function(est, X, y, sample_weight, objective)

    def after_iteration(intermediate_result: Any) -> None:
        function.place(intermediate_result.x)
        tasks.begin()
        if tasks.end():
            raise StopIteration

    found = scipy.optimize.minimize(
        function,
        function.start(),
        method="L-BFGS-B",
        jac=True,
        callback=after_iteration if tasks.wanted else None,
        options={"maxfun": est.max_fun, "maxiter": est.max_iter, "gtol": est.tol, **_printing(est.verbose)},
    )
    est.n_iter_ = _check_optimize_result("lbfgs", found, est.max_iter)
    est.loss_ = found.fun
    function.place(found.x)
    tasks.finish()


class _Function:
    """What is minimised, as SciPy has it: of one vector, in which all weights come before all biases."""

    def __init__(self, est: BaseMLP, X: Any, y: NDArray[Any], sample_weight: Any, objective: Objective) -> None:
        network = est._network
        self._core, self._loss = network._core, objective.loss
        self._targets = objective.targets(y, network.dtype)
        self._weights = None if sample_weight is None else np.ascontiguousarray(sample_weight, dtype=np.float64)
        self._total = float(X.shape[0]) if self._weights is None else float(self._weights.sum())
        self._alpha, self._l1 = float(est.alpha), float(est.l1)
        self._parameters = [*network.parameters[0::2], *network.parameters[1::2]]
        self._gradients = [*network.gradients[0::2], *network.gradients[1::2]]
        self._starts = np.cumsum([0, *(array.size for array in self._parameters)])
        self._penalised = slice(0, self._starts[len(network.layers)])
        # Dense rows are one piece; sparse ones become dense a piece at a time.
        self._data = model.slabs(X, network.dtype)

    def start(self) -> NDArray[np.float64]:
        """The parameters as they are."""
        return np.concatenate([array.reshape(-1) for array in self._parameters]).astype(np.float64)

    def place(self, vector: NDArray[Any]) -> None:
        """Put these into the network."""
        pieces = [
            vector[start : start + array.size].reshape(array.shape)
            for array, start in zip(self._parameters, self._starts, strict=False)
        ]
        _core.copy_all(self._parameters, pieces)

    def __call__(self, vector: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        """The loss with its penalties, and its gradient."""
        self.place(vector)
        gradient = np.empty(len(vector))
        value = self._of_all(gradient) if isinstance(self._data, list) else self._of_pieces(gradient)
        penalised, of_penalised = vector[self._penalised], gradient[self._penalised]
        value += (0.5 * self._alpha) * float(penalised @ penalised) / self._total
        of_penalised += (self._alpha / self._total) * penalised
        if self._l1 > 0:
            value += self._l1 * float(np.abs(penalised).sum()) / self._total
            of_penalised += (self._l1 / self._total) * np.sign(penalised)
        return value, gradient

    def _of_all(self, gradient: NDArray[Any]) -> float:
        ((_, x),) = self._data
        value = self._mean(x, self._targets, self._weights)
        for array, start in zip(self._gradients, self._starts, strict=False):
            gradient[start : start + array.size] = array.reshape(-1)
        return value

    def _of_pieces(self, gradient: NDArray[Any]) -> float:
        value = 0.0
        gradient[...] = 0
        for part, x in self._data:
            weights = None if self._weights is None else self._weights[part]
            share = (float(len(x)) if weights is None else float(weights.sum())) / self._total
            value += share * self._mean(x, self._targets[part], weights)
            for array, start in zip(self._gradients, self._starts, strict=False):
                gradient[start : start + array.size] += share * array.reshape(-1)
        return value

    def _mean(self, x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any] | None) -> float:
        """The mean loss, whose gradients are then in the network."""
        if not callable(self._loss):
            return self._core.loss_and_gradients(x, y, weights, self._loss)
        more = () if weights is None else (weights,)
        value, gradient = self._loss(self._core.forward(x, True), y, *more)
        self._core.backward(gradient, False)
        return float(value)


def _printing(verbose: Any) -> dict[str, Any]:
    """Older versions of SciPy print their iterations."""
    from sklearn.utils.fixes import _get_additional_lbfgs_options_dict

    found: dict[str, Any] = _get_additional_lbfgs_options_dict("iprint", 1 if verbose else -1)
    return found
