"""Fitting an estimator: data checked, a network made or brought up to date, and one of the two ways to train it."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight

from ..training.divergence import has_finite_parameters
from . import model, quasi_newton, stochastic
from .base import BaseMLP
from .held import Held
from .memory import Memory
from .objective import Objective
from .validation import given_together, validated

AnyMLP = TypeVar("AnyMLP", bound=BaseMLP)
NON_FINITE = (
    "Solver produced non-finite parameter weights. The input data may contain large values and need to be preprocessed."
)


def fit(
    est: AnyMLP, X: Any, y: Any, sample_weight: Any, incremental: bool, X_val: Any, y_val: Any, sample_weight_val: Any
) -> AnyMLP:
    """A fit, or a partial_fit, with validation data of the user's own or None."""
    X, y, sample_weight, objective, held = begun(est, X, y, sample_weight, incremental, X_val, y_val, sample_weight_val)
    with est._threads():
        if est.solver == "lbfgs":
            quasi_newton.fit(est, X, y, sample_weight, objective)
        else:
            stochastic.fit(est, X, y, sample_weight, objective, incremental, held)
    if not has_finite_parameters(est._network):
        raise ValueError(NON_FINITE)
    return est


def begun(
    est: BaseMLP, X: Any, y: Any, sample_weight: Any, incremental: bool, X_val: Any, y_val: Any, sample_weight_val: Any
) -> tuple[Any, Any, Any, Objective, Held | None]:
    """Everything before the first step: checked data, what is minimised, validation data; a network is there."""
    hidden = est._hidden()
    if np.any(np.array(hidden) <= 0):
        raise ValueError(f"hidden_layer_sizes must be > 0, got {hidden}.")
    first = not hasattr(est, "coefs_") or (not est.warm_start and not incremental)
    X, y = est._checked(X, y, incremental, reset=first)
    if sample_weight is not None:
        sample_weight = _check_sample_weight(sample_weight, X)
    if y.ndim == 1:
        y = y.reshape((-1, 1))
    sample_weight = est._weights(y, sample_weight, incremental)
    held = _validation_data(est, X_val, y_val, sample_weight_val)
    est.n_outputs_ = y.shape[1]
    objective = est._objective(y)
    if est.solver == "lbfgs":
        quasi_newton.check(est)
    est._random_state = check_random_state(est.random_state)
    if first:
        _initialize(est, X, objective, hidden)
    else:
        est._synchronise()
    return X, y, sample_weight, objective, held


def _validation_data(est: BaseMLP, X_val: Any, y_val: Any, sample_weight_val: Any) -> Held | None:
    """The user's own validation data, checked."""
    if not given_together(X_val, y_val, sample_weight_val):
        return None
    if est.solver == "lbfgs":
        raise ValueError("X_val must be None with solver='lbfgs', which has no epochs to validate after")
    X_val = validated(est, X_val, accept_sparse=["csr", "csc"], dtype=(np.float64, np.float32), reset=False)
    encoded = est._encoded(y_val)
    if len(encoded) != X_val.shape[0]:
        raise ValueError(f"y_val must have {X_val.shape[0]} rows, as many as X_val; got {len(encoded)}")
    if sample_weight_val is not None:
        sample_weight_val = _check_sample_weight(sample_weight_val, X_val)
    return Held(X_val, encoded, np.asarray(y_val), sample_weight_val)


def _initialize(est: BaseMLP, X: Any, objective: Objective, hidden: list[int]) -> None:
    """A new network and all that training keeps."""
    est.n_iter_ = 0
    est.t_ = 0
    units = [X.shape[1], *hidden, objective.n_out]
    est.n_layers_ = len(units)
    est.out_activation_ = objective.out_activation
    ends, rates = est._layers(len(hidden))
    # L-BFGS keeps its parameters in double, whatever X is, as SciPy's does.
    dtype = np.dtype(np.float64) if est.solver == "lbfgs" else X.dtype
    network = model.build(units, ends, rates, dtype)
    if est.random_order == "schuss":
        network = model.own_network(network, est._random_state)
    else:
        # The output layer is drawn as if it ended as the hidden ones do.
        last = est.activation if isinstance(est.activation, str) else (ends[:-1] or ["relu"])[-1]
        model.initialise(network, [*ends[:-1], last], est._random_state, X.dtype)
        if any(rates):
            network._core.seed = int(est._random_state.randint(np.iinfo(np.int32).max))
    est._attach(network)
    if est.solver != "lbfgs":
        Memory(est).begin()
