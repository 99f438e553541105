"""States in the shape of torch's state_dict, with what torch has no place for beside it; and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..arguments import integer, number, shown, unknown_name
from .parts import OfParts, keep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._core import Calls
    from ..schedules import Schedule
    from .parts import Spec

    Group = dict[str, Any]

# Entries of a group that are not hyperparameters.
NOT_HYPER = ("params", "rule", "decoupled", "schedule", "decay_schedule")
# What may follow a schedule, and the entry of a group that holds it. Where there is none, the entry may lack.
SCHEDULES = {"lr": "schedule", "weight_decay": "decay_schedule"}
# What says how an average is kept, and the kinds of averages.
SPEC = ("kind", "start", "every", "weight")
AVERAGE_KINDS = ("ema", "mean", "lookahead")
# Steps that an optimizer may have made when it is read from somewhere: the core counts to 2**53, so it can go on.
MOST_STEPS = 2**52
# Entries of torch's groups that mean nothing here.
TORCH_ONLY = frozenset(
    ("foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay", "initial_lr", "swap_params")
)


def described(
    optimizer: OfParts, tensor: Callable[[Any], Any] | None = None, *, averages: bool = True
) -> dict[str, Any]:
    """The optimizer's parts in the shape of torch's state_dict, with copies of its arrays; `tensor` makes torch's."""
    made = tensor or (lambda value: value)
    remembered = optimizer._remembered()
    state: dict[int, dict[str, Any]] = {}
    for k, (of, arrays) in enumerate(zip(optimizer._group_of, optimizer._states(), strict=True)):
        group = optimizer.param_groups[of]
        numbers: dict[str, Any] = {"step": optimizer.steps, **_core.derived_numbers(group, optimizer.steps)}
        if _core.memory_is_of_params(group["rule"]):
            numbers.update(remembered[of])
        if tensor is not None:
            numbers = {name: tensor(float(value)) for name, value in numbers.items()}
        absent = optimizer.steps == 0 and _core.first_step_fills_states(group["rule"])
        state[k] = {**numbers, **{name: made(array.copy()) for name, array in arrays.items() if not absent}}
    entries = []
    for group, memory, members in zip(optimizer.param_groups, remembered, optimizer._members(), strict=True):
        entry = {key: value for key, value in group.items() if key not in NOT_HYPER}
        if not _core.memory_is_of_params(group["rule"]):
            entry.update(memory)
        entry["params"] = members
        entries.append(entry)
    found: dict[str, Any] = {"state": state, "param_groups": entries}
    if tensor is None:
        found.update(schedules_of(optimizer.param_groups))
        if averages and optimizer._averages:
            found["averages"] = averages_of(optimizer)
    return found


def schedules_of(groups: Sequence[Group]) -> dict[str, Any]:
    """The entry of a state_dict for those of the groups' schedules that can be data; none if there are none."""
    if not any(callable(group.get(entry)) for group in groups for entry in SCHEDULES.values()):
        return {}
    table, places = schedules_as_data(groups)
    return {"schedules": {"table": table, **places}} if table else {}


def schedules_as_data(groups: Sequence[Group]) -> tuple[list[dict[str, Any]], dict[str, list[int | None]]]:
    """A table of the groups' schedules, and the places in it of those of rates and, if there are any, of decays."""
    from ..schedules.plain import as_data

    table, found = as_data([group.get(entry) for entry in SCHEDULES.values() for group in groups])
    places = {"places": found[: len(groups)]}
    if any(place is not None for place in found[len(groups) :]):
        places["decay_places"] = found[len(groups) :]
    return table, places


def averages_of(optimizer: OfParts) -> list[dict[str, Any]]:
    """The averages that are kept, with copies of their arrays."""
    return [
        {**dict(zip(SPEC, spec, strict=True)), "arrays": [array.copy() for array in arrays]}
        for spec, arrays in zip(optimizer._averages, optimizer._stepper.averages, strict=True)
    ]


def loading(optimizer: OfParts, given: Any, *, averages: Any = None, resting: bool = False) -> tuple[Calls, int]:
    """The calls that take over a state_dict, as `_core.in_turn` takes them; and the steps that it was made after.

    Parameters
    ----------
    optimizer : OfParts
    given : dict
        As `described` gives it, or torch.
    averages : list, optional
        As `averages_of` gives it, to replace those of the optimizer. Default: those of the state.
    resting : bool
        Whether the parameters are not where steps are made from.

    Raises
    ------
    ValueError, TypeError
        If something does not fit. Nothing has changed.
    """
    if not isinstance(given, Mapping) or not {"state", "param_groups"} <= set(given):
        raise ValueError(f"state_dict must be a dict with 'state' and 'param_groups'; got {shown(given)}")
    for name, kind in (("state", Mapping), ("param_groups", (list, tuple))):
        if not isinstance(given[name], kind):
            expected = "a dict" if kind is Mapping else "a list of dicts"
            raise TypeError(f"state_dict[{name!r}] must be {expected}; got {shown(given[name])}")
    groups, remembered, order = _loaded_groups(optimizer, given["param_groups"])
    load_schedules(groups, given)
    specs, of_averages = optimizer._averages, optimizer._stepper.averages
    if averages is None:
        averages = given.get("averages")
    if averages is not None:
        specs, of_averages = _loaded_averages(optimizer, averages)
    stepper = optimizer._new_stepper(groups, optimizer._precision)
    steps = _load_states(optimizer, stepper, groups, remembered, given["state"], order)
    stepper.memories[:, -1] = resting
    stepper.steps = steps
    keep(stepper, specs, of_averages)
    mine, theirs = optimizer._stepper.state_shapes, stepper.state_shapes
    # If it can be, into the present one, which a fit that is running holds.
    take = (optimizer._stepper.copy_from, stepper) if mine == theirs else (setattr, optimizer, "_stepper", stepper)
    return [take, (optimizer.param_groups.__setitem__, slice(None), groups)], steps


def load_schedules(groups: Sequence[Group], state_dict: Mapping[str, Any]) -> None:
    """Put the schedules of a state_dict into groups; where it has none, theirs stay."""
    if "schedules" in state_dict:
        for entry, schedules in _loaded_schedules(state_dict["schedules"], len(groups)).items():
            for group, schedule in zip(groups, schedules, strict=True):
                if schedule is not None:
                    group[entry] = schedule


def _loaded_schedules(given: Any, groups: int) -> dict[str, list[Schedule | None]]:
    """Of each entry of groups that holds schedules, that of each group."""
    from ..schedules.plain import of_data

    where = "state_dict's schedules"
    if not isinstance(given, Mapping) or set(given) - {"decay_places"} != {"table", "places"}:
        raise ValueError(f"{where} must be a dict with 'table' and 'places'; got {shown(given)}")
    try:
        table = of_data(given["table"])
    except (KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"{where} must have a table of schedules; got {error!r} from it") from None
    found: dict[str, list[Schedule | None]] = {}
    for key, entry in zip(("places", "decay_places"), SCHEDULES.values(), strict=True):
        places = given.get(key, [None] * groups)
        if not isinstance(places, (list, tuple)) or len(places) != groups:
            raise ValueError(f"{where} must have a place for each of {groups} groups; got {shown(places)}")
        found[entry] = [None if k is None else table[integer(f"{where}' place", k, 0, len(table) - 1)] for k in places]
    return found


def _loaded_averages(optimizer: OfParts, given: Any) -> tuple[list[Spec], list[list[NDArray[Any]]]]:
    """Specs and arrays: of the kinds that the optimizer keeps, or for one that keeps none."""
    if not isinstance(given, (list, tuple)):
        raise TypeError(f"state_dict's averages must be a list of dicts; got {shown(given)}")
    kinds = [spec[0] for spec in optimizer._averages]
    theirs = [entry.get("kind") if isinstance(entry, Mapping) else None for entry in given]
    if theirs != kinds and kinds:
        raise ValueError(f"state_dict's averages must be of the kinds {kinds}; got {theirs}")
    specs: list[Spec] = []
    for k, entry in enumerate(given):
        where = f"state_dict's averages[{k}]"
        if not isinstance(entry, Mapping) or {*SPEC, "arrays"} - set(entry):
            raise ValueError(f"{where} must have {', '.join(SPEC)} and arrays; got {shown(entry)}")
        shapes = [(np.shape(a), np.asarray(a).dtype) for a in entry["arrays"]]
        if shapes != [(p.shape, p.dtype) for p in optimizer._stepper.params]:
            raise ValueError(f"{where} must have an array like each parameter; got {shown(shapes)}")
        specs.append(checked_spec(where, entry))
    return specs, [list(map(np.asarray, entry["arrays"])) for entry in given]


def checked_spec(where: str, given: Mapping[str, Any]) -> Spec:
    """How an average is kept, checked."""
    if given["kind"] not in AVERAGE_KINDS:
        raise unknown_name(f"{where}'s kind", given["kind"], AVERAGE_KINDS)
    return (
        given["kind"],
        integer(f"{where}'s start", given["start"], 1, MOST_STEPS),
        integer(f"{where}'s every", given["every"], 1, MOST_STEPS),
        number(f"{where}'s weight", given["weight"], "[0, 1]"),
    )


def _loaded_groups(
    optimizer: OfParts, given: Sequence[Mapping[str, Any]]
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
            if key in hyper or key == "rows":
                hyper[key] = plain(value)
            elif key in _core.memory_names(mine["rule"]) and not _core.memory_is_of_params(mine["rule"]):
                memory[key] = _number(f"state_dict's param_groups[{index}][{key!r}]", value)
            elif key != "params" and key not in TORCH_ONLY:
                raise unknown_name(f"state_dict's param_groups[{index}] key", key, hyper)
        group = optimizer._group(mine["params"], hyper)
        group.update((entry, mine[entry]) for entry in SCHEDULES.values() if entry in mine)
        groups.append(group)
        remembered.append(memory)
    return groups, remembered, order


def _load_states(
    optimizer: OfParts,
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
    ids = iter(order)
    states = optimizer._states_in(stepper, groups)
    for group, memory, members in zip(groups, remembered, optimizer._members(), strict=True):
        of_params = _core.memory_names(group["rule"]) if _core.memory_is_of_params(group["rule"]) else ()
        for param, index in zip(group["params"], members, strict=True):
            mine = states[index]
            name_of = next(ids)
            where = f"state_dict's state[{name_of!r}]"
            entry = given.get(name_of, {})
            if not isinstance(entry, Mapping):
                raise TypeError(f"{where} must be a dict; got {shown(entry)}")
            entry = dict(entry)
            buffers = {name: entry.pop(name, None) for name in mine}
            for name in of_params:
                if name in entry:
                    memory[name] = _number(f"{where}[{name!r}]", entry.pop(name))
            for name in _core.derived_numbers(group, 0):
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
    if len(counts) > 1:
        raise ValueError(f"state_dict must have one step count for all parameters; got {sorted(counts)}")
    steps = counts.pop() if counts else 0
    for group, memory, into in zip(groups, remembered, stepper.memories, strict=True):
        into[0] = steps
        for place, name in enumerate(_core.memory_names(group["rule"])):
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
    if isinstance(count, bool) or not isinstance(count, (int, float)) or not 0 <= count <= MOST_STEPS or count % 1:
        raise ValueError(f"{name} must be a whole number >= 0, at most 2**52; got {shown(value)}")
    return int(count)
