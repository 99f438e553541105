"""Which optimizer a fit goes on with, or makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..arguments import learning_rate, shown
from ..optim import Adam, Averaged, Optimizer, Switch, by_name
from ..optim.wrapper import layers, no_optimizer

if TYPE_CHECKING:
    from ..optim.wrapper import Wrapper
    from ..trained import Trained


def around(network: Trained, given: Optimizer | Averaged | Switch | str | None) -> tuple[Wrapper | None, Switch | None]:
    """What stands around the optimizer of a fit that is given this, and the switch that it goes by."""
    if isinstance(given, Switch):
        return given, given
    if isinstance(given, Averaged):
        return given, None
    wrapper = network._wrapper
    switch = next((found for found in layers(wrapper) if isinstance(found, Switch)), None)
    if switch is None:
        return wrapper, None
    # An optimizer that is named is that one alone.
    return (wrapper, switch) if given is None and network.wrapper is not None else (None, None)


def resolve(
    network: Trained, given: Optimizer | Averaged | Switch | str | None, lr: float | Callable[[int], float] | None
) -> tuple[Optimizer, float | Callable[[int], float] | None]:
    """The optimizer to use, and the learning rate to give to it once everything is checked."""
    if isinstance(given, Switch):
        for each in (given.first, given.second):
            network._indices_of(each)
            _check_one_schedule(each)
    if isinstance(given, (Averaged, Switch)):
        given = given.optimizer
    if isinstance(given, Optimizer):
        if lr is not None:
            raise ValueError(f"lr must be None with an Optimizer object, which has its own; got {shown(lr)}")
        network._indices_of(given)
        _check_one_schedule(given)
        return given, None
    if given is not None and not isinstance(given, str):
        raise no_optimizer(given, "an Optimizer or a name", by_name=True)
    kind = by_name(given) if given is not None else None
    last = network.optimizer
    if last is not None and (kind is None or type(last) is kind):
        if lr is not None:
            learning_rate("lr", lr(last.steps) if callable(lr) else lr)
        else:
            _check_one_schedule(last)
        return last, lr
    kind = kind or Adam
    options = dict(kind._of_network) if lr is None else {**kind._of_network, "lr": lr}
    return kind(network.parameters, **options), None


def _check_one_schedule(optimizer: Optimizer) -> None:
    if len({id(group["schedule"]) for group in optimizer.param_groups}) > 1:
        raise ValueError("optimizer must have one schedule for all its groups in fit; got different ones")
