"""The learning rate of an estimator: short trainings as its fit would begin them."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from ..arguments import shown
from ..guidance.runs import Runs
from . import fitting, stochastic
from .base import BaseMLP
from .solver import optimizer_of
from .tabular.base import BaseTabular

if TYPE_CHECKING:
    from ..guidance.result import RateSweep
    from ..network import Network
    from ..training.epochs import Epochs


def runs_of(given: Any, X: Any, y: Any, sample_weight: Any, seed: int | None) -> tuple[Runs, int, int, int]:
    """What makes runs of a perceptron's clone, with the steps of its epoch, their rows and its parameters."""
    if not isinstance(given, BaseMLP):
        raise TypeError(
            f"net must be an MLPClassifier, MLPRegressor or tabular estimator of schuss; got {shown(given)}"
        )
    if given.solver == "lbfgs":
        raise ValueError("solver must not be 'lbfgs', which has no learning rate")
    est: Any = clone(given)
    est._validate_params()
    if est.random_state is None:
        est.random_state = 0 if seed is None else seed % 2**32
    X, y, sample_weight, objective, _ = fitting.begun(est, X, y, sample_weight, False, None, None, None)
    network, optimizer = est._network, optimizer_of(est, est._network)

    def copied() -> tuple[Network, Epochs]:
        mine, own = deepcopy([network, optimizer])
        return mine, stochastic.steps_of(est, mine, own, X, y, sample_weight, objective)

    steps = stochastic.steps_of(est, network, optimizer, X, y, sample_weight, objective).steps
    draws = (network.seed if seed is None else seed) if est.shuffle else None
    return Runs(copied, draws, not callable(objective.loss)), steps, -(-X.shape[0] // steps), network.n_parameters


def of_table(given: BaseTabular, X: Any, y: Any, sample_weight: Any) -> RateSweep:
    """What a tabular estimator's clone finds for the rate of its recipe."""
    est: Any = clone(given).set_params(n_ensemble=1, epochs=1, refit=False, importance_repeats=0, verbose=0)
    est._finds_rate = True
    est.fit(X, y, sample_weight=sample_weight)
    found: RateSweep = est._rate_found
    return found
