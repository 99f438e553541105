"""A fit that goes on from a checkpoint: what its file holds becomes the network's, and its optimizer's."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .. import _core
from ..arguments import file_path, shown
from ..optim import Averaged, Optimizer, Switch, by_name
from ..optim.wrapper import Wrapper, innermost, layers, rewrapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._core import Calls
    from ..parts import BoundOptimizer, NetworkParts
    from ..trained import Trained


@contextmanager
def from_checkpoint(network: Trained, arguments: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The arguments of a fit that goes on, by which `prepared` makes it.

    In the context the network is that of the checkpoint that `resume` names, if there is one; an exception in it leaves
    everything as it was before.

    Raises
    ------
    ValueError, TypeError, OSError
        If there is a file that cannot be read, or is of another network or optimizer. Nothing has changed.
    """
    arguments = dict(arguments)
    path = arguments.pop("resume")
    if path is None:
        yield arguments
        return
    parts = _read(path)
    if parts is None:
        yield {**arguments, "resumed": False}
        return
    _check_network(network, path, parts)
    optimizer, lr = arguments["optimizer"], arguments["lr"]
    bound = parts["optimizer"]
    network._core.catch_up()
    calls, undo = _taking(network, parts)
    if bound is not None:
        _check_optimizer(network, optimizer, bound, path)
        taken, of_optimizer, back = _optimizer(network, optimizer, lr, bound)
        if not isinstance(optimizer, Optimizer | Averaged | Switch):  # which has its own rate
            arguments["lr"] = None
        calls, undo = calls + of_optimizer, undo + back
        if isinstance(optimizer, str):
            arguments["optimizer"] = taken
    _core.in_turn(calls)
    try:
        yield {**arguments, "resumed": True}
    except BaseException:
        _core.in_turn(undo)
        raise


def _read(path: Any) -> NetworkParts | None:
    """What a file holds; None: there is none."""
    from ..files.containers import container
    from ..files.networks import read

    name = file_path("resume", path)
    container(name)  # an ending that no file can have is not one of a file that is still to come
    if not os.path.lexists(name):
        return None
    name, found = read(name)
    if len(found) > 1:
        raise ValueError(f"resume must be a file of one network; {name} holds {len(found)}, of a table's model")
    return found[0]


def _check_network(network: Trained, path: Any, parts: NetworkParts) -> None:
    """ValueError unless the file is of a network of the same layers."""
    mine, theirs = ([json.dumps(layer.described()) for layer in of] for of in (network.layers, parts["layers"]))
    if network.dtype.name != parts["dtype"]:
        raise ValueError(f"resume must be of a {network.dtype} network; {shown(path)} is of a {parts['dtype']} one")
    if len(mine) != len(theirs):
        raise ValueError(f"resume must be of {len(mine)} layers; the network in {shown(path)} has {len(theirs)}")
    for k, (own, other) in enumerate(zip(network.layers, parts["layers"], strict=True)):
        if mine[k] != theirs[k]:
            raise ValueError(f"resume must be of the same layers; layers[{k}] of {shown(path)} is {other}, not {own}")


def _check_optimizer(network: Trained, given: Any, bound: BoundOptimizer, path: Any) -> None:
    """ValueError unless what was given, if anything, is of the kind in the file, over the same parameters."""
    kind, kinds = bound["kind"], [of for of, _ in bound["wrappers"]]
    told = " in ".join([kind.__name__, *(of.__name__ for of in reversed(kinds))])
    same: bool
    if isinstance(given, Switch) or Switch in kinds:
        _check_switch(network, given, bound, path)
        return
    if isinstance(given, str):
        same = by_name(given) is kind
        asked = repr(given)
    elif isinstance(given, (Optimizer, Averaged)):
        inner = innermost(given)
        same = type(inner) is kind and [type(of) for of in layers(given)] == kinds
        same = same and network._indices_of(inner) == bound["indices"]
        asked = " in ".join([type(inner).__name__, *(type(of).__name__ for of in reversed(layers(given)))])
        if not same and asked == told:
            asked = "one with other groups of parameters"
    else:
        return  # none, or what is no optimizer
    if not same:
        raise ValueError(f"optimizer must be the {told} of resume={shown(path)}; got {asked}")


def _in_turn(bound: BoundOptimizer) -> list[BoundOptimizer]:
    """The two optimizers of a Switch, the first one first; one alone is of none."""
    both = [bound, *bound["beside"]]
    return both[::-1] if bound["wrappers"] and bound["wrappers"][-1][1]["numbers"].get("switched") else both


def _check_switch(network: Trained, given: Any, bound: BoundOptimizer, path: Any) -> None:
    """The same where one of the two is a Switch."""
    if not isinstance(given, (Switch, Optimizer, Averaged, str)):
        return
    theirs = _in_turn(bound)
    mine = [given.first, given.second] if isinstance(given, Switch) else []
    kinds = [of for of, _ in bound["wrappers"]]
    if kinds != [Switch] or [type(one) for one in mine] != [one["kind"] for one in theirs]:
        told = " and ".join(one["kind"].__name__ for one in theirs)
        told = f"Switch of {told}" if Switch in kinds else told
        raise ValueError(f"optimizer must be the {told} of resume={shown(path)}; got {shown(given)}")
    if [network._indices_of(one) for one in mine] != [one["indices"] for one in theirs]:
        raise ValueError(
            f"optimizer must be the Switch of resume={shown(path)}; got one with other groups of parameters"
        )


def _taking(network: Trained, parts: NetworkParts) -> tuple[Calls, Calls]:
    """The calls that give the network what a file holds, but for its optimizer; and those that undo it."""
    core = network._core
    old = {"draws": core.draws, "seed": core.seed}
    new = {"draws": parts["draws"], "seed": parts["seed"]}
    of_network = ("epochs_done", "history", "metadata", "_stopping", "_optimizer", "_wrapper")
    before = {name: network.__dict__[name] for name in of_network}
    after = {name: parts.get(name) for name in ("epochs_done", "history", "metadata")}
    live = [*network.parameters, *core.states]
    calls: Calls = [
        (_core.copy_all, live, [*parts["parameters"], *parts["states"]]),
        *((setattr, core, name, value) for name, value in new.items()),
        (network.__dict__.update, {**after, "_stopping": parts["stopping"]}),
    ]
    undo: Calls = [
        (_core.copy_all, live, [array.copy() for array in live]),
        *((setattr, core, name, value) for name, value in old.items()),
        (network.__dict__.update, before),
    ]
    return calls, undo


def _optimizer(network: Trained, given: Any, lr: Any, bound: BoundOptimizer) -> tuple[Any, Calls, Calls]:
    """The network's optimizer with what stands around it: a given one, which becomes that of the file, or a new one.

    And the calls that make it so, and those that undo it.
    """
    if bound["beside"]:
        return _switch(network, given, bound)
    mine = given if isinstance(given, (Optimizer, Averaged)) else None
    own = None if mine is None else innermost(mine)
    before = [{"schedule": lr}] * len(bound["indices"]) if own is None else own.param_groups
    made = _made(network, bound, before)
    around = rewrapped(made, bound["wrappers"])
    if own is None:
        wrapper = around if isinstance(around, Wrapper) else None
        return made, [(network.__dict__.update, {"_optimizer": made, "_wrapper": wrapper})], []
    calls: Calls = [(own.__dict__.update, made.__dict__)]
    undo: Calls = [(own.__dict__.update, dict(own.__dict__))]
    for one, other in zip(layers(mine), layers(around), strict=True):
        numbers = {name: value for name, value in other.__dict__.items() if name != "optimizer"}
        calls.append((one.__dict__.update, numbers))
        undo.append((one.__dict__.update, dict(one.__dict__)))
    return own, calls, undo


def _made(network: Trained, bound: BoundOptimizer, before: list[dict[str, Any]]) -> Optimizer:
    """The optimizer of a file, over the network's parameters; schedules that are functions are of the groups before."""
    groups = [
        {**group, "params": [network.parameters[k] for k in indices]}
        for group, indices in zip(bound["parts"]["groups"], bound["indices"], strict=True)
    ]
    for group, mine_of in zip(groups, before, strict=True):
        for entry in ("schedule", "decay_schedule"):
            if group.get(entry) is None and callable(mine_of.get(entry)):
                group[entry] = mine_of[entry]
    made = bound["kind"].__new__(bound["kind"])
    made.__setstate__({**bound["parts"], "groups": groups})
    return made


def _switch(network: Trained, given: Any, bound: BoundOptimizer) -> tuple[Any, Calls, Calls]:
    """As `_optimizer`, of a Switch."""
    both = _in_turn(bound)
    mine = [given.first, given.second] if isinstance(given, Switch) else None
    groups = [[{}] * len(one["indices"]) for one in both] if mine is None else [one.param_groups for one in mine]
    first, second = (_made(network, one, before) for one, before in zip(both, groups, strict=True))
    at = bound["wrappers"][-1][1]["numbers"]["at"]
    if mine is None:
        made = Switch(first, second, at=at)
        return made, [(network.__dict__.update, {"_optimizer": made.optimizer, "_wrapper": made})], []
    calls: Calls = [(one.__dict__.update, new.__dict__) for one, new in zip(mine, (first, second), strict=True)]
    undo: Calls = [(one.__dict__.update, dict(one.__dict__)) for one in mine]
    return given, [*calls, (setattr, given, "at", at)], [*undo, (setattr, given, "at", given.at)]
