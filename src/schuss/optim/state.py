"""States in the shape of torch's state_dict, with what torch has no place for beside it; and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from ..arguments import integer, number, shown, unknown_name
from . import bitsandbytes
from .converted import as_tensor, convert, memory_of
from .parts import OfParts, keep
from .precision import computing_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .._core import Calls
    from ..schedules import Schedule
    from .parts import Spec

    Group = dict[str, Any]

# Hyperparameters that a group has where they are not None.
WHERE_SET = ("rows", "products")
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
TORCH_ONLY = frozenset(("foreach", "capturable", "differentiable", "fused", "decoupled_weight_decay", "swap_params"))


def described(
    optimizer: OfParts, tensor: Callable[[Any], Any] | None = None, *, averages: bool = True
) -> dict[str, Any]:
    """The optimizer's parts in the shape of torch's state_dict, with copies of its arrays; `tensor` makes torch's."""
    remembered, counts, clock_of = optimizer._remembered(), optimizer._steps_of_clocks(), optimizer._stepper.clock_of
    state: dict[int, dict[str, Any]] = {}
    for k, (of, clock, arrays) in enumerate(zip(optimizer._group_of, clock_of, optimizer._states(), strict=True)):
        group, steps = optimizer.param_groups[of], counts[clock]
        numbers: dict[str, Any] = {"step": steps, **_core.derived_numbers(group, steps)}
        # The first of a group is of the clock with its number; what that remembers is the group's.
        if _core.memory_is_of_params(group["rule"]) or remembered[clock] != remembered[of]:
            numbers.update(remembered[clock])
        absent = steps == 0 and _core.first_step_fills_states(group["rule"])
        if tensor is not None:
            if absent:  # torch looks whether there is an entry
                continue
            numbers = {name: tensor(float(value)) for name, value in numbers.items()}
        for name, array in arrays.items() if not absent else ():
            numbers[name] = array.copy() if tensor is None else as_tensor(tensor, name, array)
        state[k] = numbers
    entries = []
    for group, memory, members in zip(optimizer.param_groups, remembered, optimizer._members(), strict=False):
        entry = {key: value for key, value in group.items() if key not in NOT_HYPER}
        if not _core.memory_is_of_params(group["rule"]):
            entry.update(memory)
        entry["params"] = members
        entries.append(entry)
    found: dict[str, Any] = {"state": state, "param_groups": entries}
    if tensor is None:
        if max(counts) < optimizer.steps:  # none of the parameters tells it
            found["steps"] = optimizer.steps
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
    if bitsandbytes.is_theirs(given):
        mine = optimizer.param_groups
        in_order = [[True] * len(group["params"]) for group in mine]
        given = bitsandbytes.taken(given, [group["rule"] for group in mine], in_order)
    groups, remembered, order = _loaded_groups(optimizer, given["param_groups"])
    load_schedules(groups, given)
    specs, of_averages = optimizer._averages, optimizer._stepper.averages
    if averages is None:
        averages = given.get("averages")
    if averages is not None:
        specs, of_averages = _loaded_averages(optimizer, averages)
    stepper = optimizer._new_stepper(groups, optimizer._precision)
    counts, of_params = _load_states(optimizer, stepper, groups, remembered, given["state"], order)
    steps = max(counts, default=0)
    if "steps" in given:
        steps = max(steps, whole_count("state_dict's steps", given["steps"]))
    set_clocks(stepper, optimizer._group_of, groups, steps, counts, of_params)
    stepper.memories[:, -1] = resting
    keep(stepper, specs, of_averages)
    fits = optimizer._stepper.state_shapes == stepper.state_shapes
    # If it can be, into the present one, which a fit that is running holds.
    take = (optimizer._stepper.copy_from, stepper) if fits else (setattr, optimizer, "_stepper", stepper)
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
        if shapes != [(p.shape, computing_dtype(p.dtype)) for p in optimizer._stepper.params]:
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
        own = own_entries(type(optimizer), mine)
        hyper = {key: value for key, value in mine.items() if key not in own and key not in NOT_HYPER}
        settings = _core.setting_names(mine["rule"])
        memory = {}
        for key, value in theirs.items():
            if key in hyper or key == "rows" or (key in WHERE_SET and key in settings):
                hyper[key] = plain(value)
            elif key in _core.memory_names(mine["rule"]) and not _core.memory_is_of_params(mine["rule"]):
                memory[key] = _number(f"state_dict's param_groups[{index}][{key!r}]", value)
            elif key == "params" or key in TORCH_ONLY:
                continue
            elif key in settings or key in NOT_HYPER:
                raise unknown_name(f"state_dict's param_groups[{index}] key", key, hyper)
            else:  # the user's, or a scheduler's
                own[key] = value
        group = {**optimizer._group(mine["params"], hyper), **own}
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
) -> tuple[list[int], list[dict[str, float]]]:
    """Fill the states of a new stepper. For each parameter: the steps that it has made, and what is remembered."""
    for key in given:
        if key not in order:
            raise ValueError(f"state_dict's state has an entry {key!r} that belongs to no parameter")
    counts, memories = [0] * len(order), [dict[str, float]()] * len(order)
    ids = iter(order)
    states, codes = optimizer._states_in(stepper, groups), stepper.codes()
    for group, memory, members in zip(groups, remembered, optimizer._members(), strict=True):
        names = _core.memory_names(group["rule"])
        for index in members:
            name_of = next(ids)
            where = f"state_dict's state[{name_of!r}]"
            entry = given.get(name_of, {})
            if not isinstance(entry, Mapping):
                raise TypeError(f"{where} must be a dict; got {shown(entry)}")
            entry = dict(entry)
            mine = convert(where, entry, states[index], codes[index], stepper.params[index])
            buffers = {name: entry.pop(name, None) for name in mine}
            own = {name: _number(f"{where}[{name!r}]", entry.pop(name)) for name in names if name in entry}
            memories[index] = {**memory, **own}
            for name in _core.derived_numbers(group, 0):
                entry.pop(name, None)
            missing = [name for name, value in buffers.items() if value is None]
            if "step" in entry:
                counts[index] = whole_count(f"{where}['step']", entry.pop("step"))
            else:
                counts[index] = 1 if buffers and not missing else 0
            if entry:
                raise unknown_name(f"{where} has an entry that", next(iter(entry)), ["step", *mine])
            if missing and len(missing) < len(buffers):
                raise ValueError(f"{where} must have {', '.join(mine)}; {missing[0]} is missing")
            if missing and counts[index] > 0:
                raise ValueError(f"{where} must have {', '.join(mine)} after step {counts[index]}; got none")
            for name, value in buffers.items():
                if value is not None:
                    _fill(f"{where}[{name!r}]", value, mine[name])
    return counts, memories


def _fill(where: str, value: Any, into: NDArray[Any]) -> None:
    """Fill a state from an array of real numbers of any dtype, each rounded once, or of bits like its own."""
    array = memory_of(value)
    fits = (
        array.dtype == into.dtype
        if into.dtype.kind == "u"
        else array.dtype.kind == "f" or array.dtype.name == "bfloat16"
    )
    if array.shape != into.shape or not fits:
        raise ValueError(
            f"{where} must be {into.dtype} of shape {into.shape}; got {array.dtype} of shape {array.shape}"
        )
    with np.errstate(over="ignore", invalid="ignore"):
        into[...] = array
    if array.dtype != into.dtype and (np.isinf(into) & np.isfinite(array)).any():
        raise ValueError(f"{where} must hold numbers that {into.dtype} can hold; got larger ones")


def set_clocks(
    stepper: _core.Stepper,
    group_of: Sequence[int],
    groups: list[dict[str, Any]],
    steps: int,
    counts: list[int],
    remembered: list[dict[str, float]],
) -> None:
    """Have the parameters of a new stepper made so many steps each, and remember this."""
    clock_of = [0] * len(counts)
    rows: list[NDArray[np.float64]] = [row.copy() for row in stepper.memories]
    # Those of no group are in the order of their first parameters, as in the core.
    starts, met = [row.copy() for row in rows], set[int]()
    clocks: dict[tuple[int, bytes], int] = {}
    for k, index in enumerate(group_of):
        row = starts[index].copy()
        row[0] = counts[k]
        for place, name in enumerate(_core.memory_names(groups[index]["rule"])):
            row[1 + place] = remembered[k].get(name, row[1 + place])
        key = index, row.tobytes()
        if index not in met:
            met.add(index)
            clocks[key], rows[index] = index, row
        elif key not in clocks:
            clocks[key] = len(rows)
            rows.append(row)
        clock_of[k] = clocks[key]
    for index, group in enumerate(groups):
        members = [k for k, of in enumerate(group_of) if of == index]
        if len({clock_of[k] for k in members}) > 1 and group.get("rows") == "exact":
            raise ValueError(
                f"state_dict must have one step count for all parameters of group {index}, which has rows='exact'; "
                f"got {sorted({counts[k] for k in members})}"
            )
    stepper.steps = steps
    stepper.set_clocks(clock_of, [steps - int(row[0]) for row in rows])
    stepper.memories[...] = rows


def own_entries(kind: type[OfParts], group: Mapping[str, Any]) -> dict[str, Any]:
    """Entries of a group that are no hyperparameters: the user's, or what other libraries' schedulers keep there."""
    known = {*_core.setting_names(group["rule"]), *kind._own_flags, *NOT_HYPER}
    return {key: value for key, value in group.items() if key not in known}


def plain(value: Any) -> Any:
    """A hyperparameter of a state_dict as a plain value; torch may hold a tensor."""
    if isinstance(value, (tuple, list)):
        return tuple(plain(part) for part in value)
    if not hasattr(value, "__array__"):
        return value
    array = memory_of(value)
    return array.item() if array.size == 1 else value


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
