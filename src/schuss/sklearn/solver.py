"""The optimizer that an estimator's arguments ask for."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ..optim import BY_NAME, Optimizer
from .rate import Rate

if TYPE_CHECKING:
    from ..network import Network
    from .base import BaseMLP


def optimizer_of(est: BaseMLP, network: Network) -> Optimizer:
    """The solver, over weights as group 0 and biases as group 1."""
    kind = optimizer_kind(est.solver)
    options: dict[str, Any] = dict(kind._of_network)
    if est.solver == "sgd":
        options["momentum"] = float(est.momentum)
        options["nesterov"] = bool(est.nesterovs_momentum) and est.momentum > 0
        options["dialect"] = "sklearn"
    elif est.solver == "adam":
        options.update(betas=(float(est.beta_1), float(est.beta_2)), eps=float(est.epsilon), dialect="sklearn")
    rate = est.learning_rate
    options["lr"] = deepcopy(rate) if callable(rate) else float(est.learning_rate_init)
    options.update(est.solver_options or {})
    groups: Any = [{"params": list(network.parameters[0::2])}, {"params": list(network.parameters[1::2])}]
    return kind(groups, **options)


def rate_of(est: BaseMLP, optimizer: Optimizer) -> Rate:
    """The rate that a new optimizer begins with, in the mode asked for, which Adam has none of."""
    mode = est.learning_rate if isinstance(est.learning_rate, str) and est.solver != "adam" else "constant"
    return Rate(optimizer.param_groups[0]["lr"], mode, est.power_t)


def optimizer_kind(solver: Any) -> type[Optimizer]:
    """The class of a solver other than lbfgs. ValueError if there is none."""
    if isinstance(solver, str):
        return BY_NAME[solver]
    if isinstance(solver, type) and issubclass(solver, Optimizer):
        return solver
    raise ValueError(f"solver must be 'lbfgs', or a name or class of an optimizer of schuss; got {solver!r}")
