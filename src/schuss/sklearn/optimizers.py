"""The optimizer behind an estimator."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ..optim import BY_NAME, Optimizer

if TYPE_CHECKING:
    from ..network import Network


def optimizer_of(est: Any, network: Network, lr: Any) -> Optimizer:
    """The optimizer that an estimator's arguments `optimizer` and `optimizer_options` ask for, over a network's
    parameters. lr: its rate, or a schedule; None: what the options say, or the optimizer's own default."""
    kind = est.optimizer
    if isinstance(kind, str):
        kind = BY_NAME[kind]
    elif not (isinstance(kind, type) and issubclass(kind, Optimizer)):
        raise ValueError(f"optimizer must be a name or class of an optimizer of schuss; got {kind!r}")
    options: dict[str, Any] = {**kind._of_network, **(est.optimizer_options or {})}
    if lr is not None:
        options["lr"] = deepcopy(lr) if callable(lr) else float(lr)
    return kind(network.parameters, **options)
