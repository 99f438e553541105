"""The learning rate of an estimator: short trainings as its fit would begin them."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from ..guidance.runs import Runs
from . import fitting, stochastic
from .solver import optimizer_of

if TYPE_CHECKING:
    from ..network import Network
    from ..training.epochs import Epochs


def runs_of(given: Any, X: Any, y: Any, sample_weight: Any, seed: int | None) -> tuple[Runs, int, int, int]:
    """What makes runs of a perceptron's clone, with the steps of its epoch, their rows and its parameters."""
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
