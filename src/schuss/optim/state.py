"""States in the shape of torch's state_dict: from it into groups and arrays of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import shown, unknown_name

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .. import _core
    from .base import Optimizer

# Entries of a group that are not hyperparameters.
NOT_HYPER = ("params", "rule", "decoupled", "schedule")
# Entries of torch's groups that mean nothing here.
TORCH_ONLY = frozenset(
    ("foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay", "initial_lr", "swap_params")
)


def described(optimizer: Optimizer, tensor: Callable[[Any], Any] | None = None) -> dict[str, Any]:
    """The optimizer's numbers in the shape of torch's state_dict, with copies of its arrays; `tensor` makes torch's."""
    stepper = optimizer._stepper
    made = tensor or (lambda value: value)
    remembered = []
    for memory in stepper.memories:
        # A step that was begun and failed has left what was remembered before it in the second half.
        first = 1 if memory[0] <= optimizer.steps else len(memory) // 2
        remembered.append({name: float(memory[first + place]) for name, place in optimizer._memory.items()})
    absent = optimizer._first_fills_states and optimizer.steps == 0
    state: dict[int, dict[str, Any]] = {}
    for k, (of, arrays) in enumerate(zip(optimizer._group_of, optimizer._states(), strict=True)):
        numbers: dict[str, Any] = {
            "step": optimizer.steps,
            **optimizer._derived(optimizer.param_groups[of], optimizer.steps),
            **(remembered[of] if optimizer._memory_of_params else {}),
        }
        if tensor is not None:
            numbers = {name: tensor(float(value)) for name, value in numbers.items()}
        state[k] = {**numbers, **{name: made(array.copy()) for name, array in arrays.items() if not absent}}
    entries = []
    for group, memory, members in zip(optimizer.param_groups, remembered, optimizer._members(), strict=True):
        entry = {key: value for key, value in group.items() if key not in NOT_HYPER}
        if not optimizer._memory_of_params:
            entry.update(memory)
        entry["params"] = members
        entries.append(entry)
    return {"state": state, "param_groups": entries}


def loaded_groups(
    optimizer: Optimizer, given: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[dict[str, float]], list[Any]]:
    """New groups over the arrays of the present ones, what they remember, and the keys of their states in order."""
    if len(given) != len(optimizer.param_groups):
        raise ValueError(f"state_dict must have {len(optimizer.param_groups)} param_groups; got {len(given)}")
    groups: list[dict[str, Any]] = []
    remembered: list[dict[str, float]] = []
    order: list[Any] = []
    for index, (mine, theirs) in enumerate(zip(optimizer.param_groups, given, strict=True)):
        if not isinstance(theirs, Mapping):
            raise TypeError(f"state_dict's param_groups[{index}] must be a dict; got {shown(theirs)}")
        ids = list(theirs.get("params", ()))
        if len(ids) != len(mine["params"]):
            raise ValueError(
                f"state_dict's param_groups[{index}] must have {len(mine['params'])} params; got {len(ids)}"
            )
        order += ids
        hyper = {key: value for key, value in mine.items() if key not in NOT_HYPER}
        memory = {}
        for key, value in theirs.items():
            if key in hyper:
                hyper[key] = plain(value)
            elif key in optimizer._memory and not optimizer._memory_of_params:
                memory[key] = _number(f"state_dict's param_groups[{index}][{key!r}]", value)
            elif key != "params" and key not in TORCH_ONLY:
                raise unknown_name(f"state_dict's param_groups[{index}] key", key, hyper)
        group = optimizer._group(mine["params"], hyper)
        group["schedule"] = mine["schedule"]
        groups.append(group)
        remembered.append(memory)
    return groups, remembered, order


def load_states(
    optimizer: Optimizer,
    stepper: _core.Stepper,
    groups: list[dict[str, Any]],
    remembered: list[dict[str, float]],
    given: Mapping[Any, Any],
    order: list[Any],
) -> int:
    """Fill the states of a new stepper; returns the step they belong to."""
    for key in given:
        if key not in order:
            raise ValueError(f"state_dict's state has an entry {key!r} that belongs to no parameter")
    counts: set[int] = set()
    filled: list[NDArray[Any]] = []
    ids = iter(order)
    for group, memory, members in zip(groups, remembered, optimizer._members(), strict=True):
        for param, index in zip(group["params"], members, strict=True):
            mine = optimizer._named(group, param, stepper.states[index])
            name_of = next(ids)
            where = f"state_dict's state[{name_of!r}]"
            entry = given.get(name_of, {})
            if not isinstance(entry, Mapping):
                raise TypeError(f"{where} must be a dict; got {shown(entry)}")
            entry = dict(entry)
            buffers = {name: entry.pop(name, None) for name in mine}
            for name in optimizer._memory if optimizer._memory_of_params else ():
                if name in entry:
                    memory[name] = _number(f"{where}[{name!r}]", entry.pop(name))
            for name in optimizer._derived(group, 0):
                entry.pop(name, None)
            missing = [name for name, value in buffers.items() if value is None]
            if "step" in entry:
                counts.add(whole_count(f"{where}['step']", entry.pop("step")))
            else:
                counts.add(1 if buffers and not missing else 0)
            if entry:
                raise unknown_name(f"{where} has an entry that", next(iter(entry)), ["step", *mine])
            if missing and len(missing) < len(buffers):
                raise ValueError(f"{where} must have {', '.join(mine)}; {missing[0]} is missing")
            if missing and max(counts) > 0:
                raise ValueError(f"{where} must have {', '.join(mine)} after step {max(counts)}; got none")
            for name, value in buffers.items():
                if value is None:
                    continue
                array, into = np.asarray(value), mine[name]
                if array.shape != into.shape or array.dtype != param.dtype:
                    raise ValueError(
                        f"{where}[{name!r}] must be {param.dtype} of shape {into.shape}; "
                        f"got {array.dtype} of shape {array.shape}"
                    )
                into[...] = array
                filled.append(array)
    if len(counts) > 1:
        raise ValueError(f"state_dict must have one step count for all parameters; got {sorted(counts)}")
    if not filled:
        optimizer._fill_fresh(stepper, groups)
    steps = counts.pop() if counts else 0
    for memory, into in zip(remembered, stepper.memories, strict=True):
        into[0] = steps
        for name, place in optimizer._memory.items():
            if name in memory:
                into[1 + place] = memory[name]
    return steps


def plain(value: Any) -> Any:
    """A hyperparameter of a state_dict as a plain value; torch may hold a tensor."""
    if isinstance(value, (tuple, list)):
        return tuple(plain(part) for part in value)
    return np.asarray(value).item() if hasattr(value, "__array__") else value


def _number(where: str, value: Any) -> float:
    found = plain(value)
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise TypeError(f"{where} must be a number; got {shown(value)}")
    try:
        return float(found)
    except OverflowError:
        raise ValueError(f"{where} must be a number that a float can hold; got {shown(value)}") from None


def whole_count(name: str, value: Any) -> int:
    """A number of steps or the like, of those that a float tells from the next."""
    count = plain(value)
    if isinstance(count, bool) or not isinstance(count, (int, float)) or not 0 <= count <= 2**53 or count != int(count):
        raise ValueError(f"{name} must be a whole number >= 0 and <= 2**53; got {shown(value)}")
    return int(count)
