"""The parts of a network as arrays and a header, and back.

Every entry of the lists in `parts` is here once in each direction; what is read is compared with the layers' shapes
before anything of their size is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core, structure
from ..arguments import choice, shown
from ..history import History
from ..layers import of_description
from ..layers.graph import built
from ..optim import BY_NAME, EMA, SAM, SWA, Accumulate, Averaged, Lookahead, Optimizer, Switch
from ..optim.parts import Parts, check_like, nothing
from ..optim.precision import PLAIN, Precision
from ..optim.precision import checked as checked_precision
from ..optim.schedule_free import ScheduleFree
from ..optim.state import MOST_STEPS, NOT_HYPER, SPEC, checked_spec, own_entries, plain, schedules_as_data
from ..optim.wrapper import Wrapper, WrapperParts
from ..schedules.plain import of_data
from . import header as checks
from .versions import version_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..parts import BoundOptimizer, NetworkParts

    Arrays = dict[str, NDArray[Any]]
    Shapes = Sequence[tuple[int, ...]]

_KINDS_OF_WRAPPERS: tuple[type[Wrapper], ...] = (Averaged, EMA, SWA, Lookahead, SAM, Accumulate, Switch)
WRAPPERS: dict[str, type[Wrapper]] = {kind.__name__: kind for kind in _KINDS_OF_WRAPPERS}
# Of the array that the core remembers a clock's numbers in: the step that they are of, and whether parameters are away
# from where steps are made from.
_STEP, _RESTING = 0, -1
# With a number, how the names of the arrays of a network beside the first begin.
_OTHERS = "others"
# The same of optimizers beside the network's.
_BESIDE = "beside"


class Content:
    """The arrays of a file by name; each has to be removed once."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = dict(arrays)

    def pop(self, name: str, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        """Remove an array and return it. ValueError if it is missing, or not of this shape and dtype."""
        if name not in self._arrays:
            raise ValueError(f"its array {name!r} is missing")
        array = self._arrays.pop(name)
        check_like(f"its array {name!r}", array, shape, np.dtype(dtype))
        return array

    def count(self, kind: str) -> int:
        """How many are left whose names begin with this."""
        return sum(name.startswith(f"{kind}.") for name in self._arrays)

    def check_empty(self) -> None:
        """ValueError if an array is left."""
        if self._arrays:
            raise ValueError(f"its array {next(iter(self._arrays))[:80]!r} is unexpected")


# ---- parts to header and arrays --------------------------------------------------------------------------------------


def encoded(parts: NetworkParts, others: Sequence[NetworkParts] = ()) -> tuple[dict[str, Any], Arrays]:
    """The header, without checksums, and the arrays of a network, and of others in the same file."""
    header, arrays = _encoded(parts)
    more = []
    for k, of_other in enumerate(others):
        fields, found = _encoded(of_other)
        more.append({key: value for key, value in fields.items() if key in checks.SCHEMA_OF_OTHER})
        arrays.update((f"{_OTHERS}.{k}.{name}", array) for name, array in found.items())
    if more:
        header["others"] = more
    return {"format": checks.FORMAT, "version": version_of(header), **header}, arrays


def _encoded(parts: NetworkParts) -> tuple[dict[str, Any], Arrays]:
    arrays: Arrays = {f"parameters.{k}": np.ascontiguousarray(array) for k, array in enumerate(parts["parameters"])}
    arrays.update((f"states.{k}", np.ascontiguousarray(array)) for k, array in enumerate(parts["states"]))
    optimizer = parts["optimizer"]
    header: dict[str, Any] = {
        "layers": [layer.described() for layer in parts["layers"]],
        "dtype": parts["dtype"],
        "seed": parts["seed"],
        "epochs_done": parts["epochs_done"],
        "draws": parts["draws"],
        "optimizer": None if optimizer is None else _encoded_optimizer(optimizer, arrays),
        "history": _encoded_history(parts["history"], arrays),
        "metadata": parts["metadata"],
    }
    stopping = parts["stopping"]
    if stopping is not None:
        header["stopping"] = {**stopping, "restores": bool(stopping["parameters"])}
        del header["stopping"]["parameters"]
        arrays.update((f"stopping.{k}", np.ascontiguousarray(array)) for k, array in enumerate(stopping["parameters"]))
    return header, arrays


def _encoded_optimizer(optimizer: BoundOptimizer, arrays: Arrays, start: str = "") -> dict[str, Any]:
    """start: how the names of its arrays begin."""
    parts = optimizer["parts"]
    kind = next((name for name, known in BY_NAME.items() if optimizer["kind"] is known), None)
    if kind is None:
        raise ValueError(f"optimizer must be one of {', '.join(BY_NAME)} to be saved; got {optimizer['kind'].__name__}")
    for k, number in enumerate(_by_groups(parts["order"])):
        for name, array in parts["states"][number].items():
            arrays[f"{start}optimizer.{k}.{name}"] = np.asarray(array, order="C")  # may be of no dimension
    for k, (_, of_params) in enumerate(parts["averages"]):
        named = (f"{start}averages.{k}.{i}" for i in range(len(of_params)))
        arrays.update(zip(named, (np.asarray(array, order="C") for array in of_params), strict=True))
    beside = [_encoded_optimizer(other, arrays, f"{_BESIDE}.{k}.") for k, other in enumerate(optimizer["beside"])]
    for fields in beside:
        del fields["wrappers"]
    schedules, places = schedules_as_data(parts["groups"])
    own = [own_entries(optimizer["kind"], group) for group in parts["groups"]]
    groups = [
        {
            **{key: plain(value) for key, value in group.items() if key not in NOT_HYPER and key not in of_user},
            "params": indices,
        }
        for group, of_user, indices in zip(parts["groups"], own, optimizer["indices"], strict=True)
    ]
    return {
        "kind": kind,
        "steps": parts["steps"],
        "groups": groups,
        "order": parts["order"],
        "form": parts["form"].described(),
        "memories": None if parts["memories"] is None else parts["memories"].tolist(),
        "schedules": schedules,
        "scheduled": places["places"],
        "averages": [dict(zip(SPEC, spec, strict=True)) for spec, _ in parts["averages"]],
        "wrappers": [_encoded_wrapper(k, *given, arrays) for k, given in enumerate(optimizer["wrappers"])],
        **{key: of_groups for key, of_groups in places.items() if key == "decay_places"},
        **({} if parts["precision"].kept == PLAIN.kept else {"precision": parts["precision"].kept}),
        **({"beside": beside} if beside else {}),
        **({"clocks": parts["clocks"]} if parts.get("clocks") else {}),
        **({"own": [_encoded_own(k, of_user) for k, of_user in enumerate(own)]} if any(own) else {}),
    }


def _encoded_own(k: int, entries: Mapping[str, Any]) -> dict[str, Any]:
    """A group's entries that are no hyperparameters. ValueError, TypeError: JSON has no such value."""
    found = {}
    for key, value in entries.items():
        where = f"param_groups[{k}][{shown(key)}]"
        if not isinstance(key, str):
            raise TypeError(f"{where} must have a name that is text to be saved")
        found[key] = _plain_of_own(where, value)
    return found


def _plain_of_own(where: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain_of_own(where, part) for part in value]
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain_of_own(where, part) for key, part in value.items()}
    found = plain(value)
    if found is not None and not isinstance(found, (bool, int, float, str)):
        raise TypeError(f"{where} must be numbers and text to be saved; got {shown(value)} ({type(value).__name__})")
    return found


def _encoded_wrapper(k: int, kind: type[Wrapper], parts: WrapperParts, arrays: Arrays) -> dict[str, Any]:
    if WRAPPERS.get(kind.__name__) is not kind:
        raise ValueError(f"optimizer must be in one of {', '.join(WRAPPERS)} to be saved; got {kind.__name__}")
    for name, of_params in parts["arrays"].items():
        arrays.update((f"wrappers.{k}.{name}.{i}", np.asarray(array, order="C")) for i, array in enumerate(of_params))
    return {
        "kind": kind.__name__,
        "numbers": {name: plain(value) for name, value in parts["numbers"].items()},
        "arrays": {name: len(of_params) for name, of_params in parts["arrays"].items()},
    }


def _encoded_history(history: History, arrays: Arrays) -> dict[str, Any]:
    arrays["history.epochs"] = history.epochs
    arrays["history.seconds"] = history.times
    arrays["history.lr"] = history.lr
    arrays.update((f"history.{k}", history[name]) for k, name in enumerate(history.names))
    monitor = None if history._monitor is None else list(history._monitor[: 3 if history._monitor[2] else 2])
    found: dict[str, Any] = {"names": history.names, "stopped": history.stopped, "monitor": monitor}
    if history.recoveries:  # a field of version 7: without one, older builds read the file
        found["recoveries"] = [list(recovery) for recovery in history.recoveries]
    return found


def _by_groups(order: Sequence[int]) -> list[int]:
    """The numbers of parameters, group by group, in which order files count them."""
    return sorted(range(len(order)), key=lambda number: order[number])


# ---- header and arrays to parts --------------------------------------------------------------------------------------


def decoded(header: Mapping[str, Any], arrays: Arrays) -> list[NetworkParts]:
    """The parts of a file's networks from a header that was checked, and its arrays. ValueError, TypeError: not."""
    others = header.get("others", [])
    of_all: list[Arrays] = [{} for _ in (header, *others)]
    places = {str(k): k + 1 for k in range(len(others))}
    for name, array in arrays.items():
        first, _, rest = name.partition(".")
        number, _, own = rest.partition(".")
        place = places.get(number, 0) if first == _OTHERS else 0
        of_all[place][own if place else name] = array
    return [_decoded({"metadata": {}, **fields}, own) for fields, own in zip((header, *others), of_all, strict=True)]


def _decoded(header: Mapping[str, Any], arrays: Arrays) -> NetworkParts:
    content = Content(arrays)
    layers = [of_description(layer) for layer in header["layers"]]
    dtype = np.dtype(header["dtype"])
    shapes, states = _core.shapes(built(layers).nodes)
    for kind, of_layers in (("parameters", shapes), ("states", states)):
        found = content.count(kind)
        if found > len(of_layers):  # of those that are missing it is told which
            raise ValueError(f"it has {found} arrays of {kind}, its layers have {len(of_layers)}")
    parts: NetworkParts = {
        "layers": layers,
        "seed": header["seed"],
        "dtype": header["dtype"],
        "parameters": [content.pop(f"parameters.{k}", shape, dtype) for k, shape in enumerate(shapes)],
        "states": [content.pop(f"states.{k}", shape, dtype) for k, shape in enumerate(states)],
        "draws": header["draws"],
        "epochs_done": header["epochs_done"],
        "history": _decoded_history(header["history"], content),
        "metadata": header["metadata"],
        "optimizer": None,
        "stopping": None,
    }
    stopping = header.get("stopping")
    if stopping is not None:
        of_best = [*shapes, *states] if stopping["restores"] else []
        best = [content.pop(f"stopping.{k}", shape, dtype) for k, shape in enumerate(of_best)]
        parts["stopping"] = {"value": stopping["value"], "waited": stopping["waited"], "parameters": best}
    if header["optimizer"] is not None:
        parts["optimizer"] = _decoded_optimizer(header["optimizer"], content, shapes, dtype)
    content.check_empty()
    return parts


def _decoded_optimizer(
    given: Mapping[str, Any], content: Content, shapes: Shapes, dtype: np.dtype[Any], start: str = ""
) -> BoundOptimizer:
    kind = BY_NAME[choice("its optimizer", given["kind"], BY_NAME)]
    indices = [
        checks.distinct(checks.whole(0, len(shapes) - 1))("its group's params", group.get("params"))
        for group in given["groups"]
    ]
    stand_in = _stand_in(kind, given["groups"], [[len(shapes[k]) for k in own] for own in indices], dtype)
    groups = [
        {**group, "params": [nothing(shapes[k], dtype) for k in own]}
        for group, own in zip(stand_in.param_groups, indices, strict=True)
    ]
    schedules = of_data(given.get("schedules", ()))
    for group, place in zip(groups, given.get("scheduled", [None] * len(groups)), strict=True):
        group["schedule"] = None if place is None else schedules[place]
    for group, place in zip(groups, given.get("decay_places", [None] * len(groups)), strict=True):
        if place is not None:
            group["decay_schedule"] = schedules[place]
    own = given.get("own", [{} for _ in groups])
    if len(own) != len(groups):
        raise ValueError(f"its own must be of {len(groups)} groups; got {len(own)}")
    for group, of_user in zip(groups, own, strict=True):
        if set(own_entries(kind, {**of_user, "rule": group["rule"]})) != set(of_user):
            raise ValueError(f"its own must have no entry that says something here; got {shown(sorted(of_user))}")
        group.update(of_user)
    order, form = given.get("order", stand_in._group_of), stand_in._form
    if sorted(order) != sorted(stand_in._group_of):
        raise ValueError("its order of parameters does not fit its groups")
    if "form" in given:
        form = structure.of_description(given["form"])
    elif "order" in given:
        form = structure.listed(len(order))
    if form.size != len(order):
        raise ValueError(f"its form must be of {len(order)} parameters; got {form.size}")
    clocks = given.get("clocks")
    if clocks is not None:  # the stand-in's parameters are in the order of the groups
        of = clocks["of"]
        if len(of) != len(order):
            raise ValueError(f"its clocks must be of {len(order)} parameters; got {len(of)}")
        stand_in._stepper.steps = given["steps"]
        stand_in._stepper.set_clocks([of[number] for number in _by_groups(order)], clocks["behind"])
    stand_in._group_of = order
    states: list[Arrays] = [{} for _ in order]
    precision = checked_precision(Precision(**given.get("precision", {})), stand_in._stepper.params)
    likes = stand_in._state_likes(groups, precision)
    for k, number in enumerate(_by_groups(order)):
        states[number] = {
            name: content.pop(f"{start}optimizer.{k}.{name}", like.shape, like.dtype)
            for name, like in likes[number].items()
        }
    params = stand_in._params_in_order(groups)
    averages = [
        (
            checked_spec(f"its averages[{k}]", entry),
            [content.pop(f"{start}averages.{k}.{i}", param.shape, dtype) for i, param in enumerate(params)],
        )
        for k, entry in enumerate(given.get("averages", ()))
    ]
    parts: Parts = {
        "groups": [{**group, "params": None} for group in groups],
        "order": order,
        "form": form,
        "steps": given["steps"],
        "clocks": clocks,
        "memories": _decoded_memories(given.get("memories"), stand_in),
        "states": states,
        "precision": precision,
        "averages": averages,
    }
    wrappers = [_decoded_wrapper(k, entry, content, params, dtype) for k, entry in enumerate(given.get("wrappers", ()))]
    beside = [
        _decoded_optimizer(other, content, shapes, dtype, f"{_BESIDE}.{k}.")
        for k, other in enumerate(given.get("beside", ()))
    ]
    return {"kind": kind, "indices": indices, "parts": parts, "wrappers": wrappers, "beside": beside}


def _stand_in(
    kind: type[Optimizer], groups: Sequence[Mapping[str, Any]], dimensions: list[list[int]], dtype: np.dtype[Any]
) -> Optimizer:
    """An optimizer of this kind and these hyperparameters over arrays of one element: so all of them are checked."""
    given = []
    for group, ndims in zip(groups, dimensions, strict=True):
        given.append({**group, "params": [np.zeros((1,) * ndim, dtype) for ndim in ndims]})
    return kind(given)


def _decoded_memories(given: Any, optimizer: Optimizer) -> NDArray[np.float64] | None:
    """What clocks remember. It may be NaN or infinite, as a gradient that is not finite leaves it; counts may not."""
    if given is None:
        return None
    if not optimizer._remembers():
        raise ValueError(f"its memories must be null: {type(optimizer).__name__} remembers nothing of its groups")
    shape = optimizer._stepper.memories.shape
    if len(given) != shape[0] or any(len(row) != shape[1] for row in given):
        raise ValueError(f"its memories must be {shape[0]} rows of {shape[1]} numbers")
    memories = np.array(given, dtype=np.float64)
    counts, resting = memories[:, _STEP], memories[:, _RESTING]
    if not ((counts >= 0) & (counts <= MOST_STEPS) & (counts == np.floor(counts))).all():
        raise ValueError(f"its memories must be of a step from 0 to 2**52; got {shown(counts.tolist())}")
    if not np.isin(resting, (0, isinstance(optimizer, ScheduleFree))).all() or len(set(resting.tolist())) > 1:
        raise ValueError(f"its memories must be of parameters at rest or not; got {shown(resting.tolist())}")
    return memories


def _decoded_wrapper(
    k: int, given: Mapping[str, Any], content: Content, params: Sequence[NDArray[Any]], dtype: np.dtype[Any]
) -> tuple[type[Wrapper], WrapperParts]:
    where = f"its wrappers[{k}]"
    kind = WRAPPERS[choice(f"{where}.kind", given["kind"], WRAPPERS)]
    if set(given["numbers"]) != set(kind._numbers) or set(given["arrays"]) != set(kind._lists):
        raise ValueError(f"{where} must have {', '.join((*kind._numbers, *kind._lists))}; got {shown(given)}")
    arrays = {}
    for name, count in given["arrays"].items():
        if count not in (0, len(params)) or isinstance(count, bool):
            raise ValueError(f"{where}.arrays.{name[:80]} must be of {len(params)} parameters; got {shown(count)}")
        arrays[name] = [
            content.pop(f"wrappers.{k}.{name}.{i}", param.shape, dtype) for i, param in enumerate(params[:count])
        ]
    return kind, {"numbers": given["numbers"], "arrays": arrays}


def _decoded_history(given: Mapping[str, Any], content: Content) -> History:
    epochs_array = content._arrays.get("history.epochs")
    shape = (0,) if epochs_array is None else epochs_array.shape[:1]
    epochs = content.pop("history.epochs", shape, np.int64)
    if epochs.size and not (epochs.min() >= 0 and epochs.max() <= checks.MOST_EPOCHS):
        raise ValueError(f"its array 'history.epochs' must hold numbers from 0 to {checks.MOST_EPOCHS}")
    columns = [content.pop(f"history.{k}", shape, np.float64).tolist() for k in range(len(given["names"]))]
    seconds, rates = (content.pop(f"history.{name}", shape, np.float64).tolist() for name in ("seconds", "lr"))
    history = History()
    for epoch, second, rate, *values in zip(epochs.tolist(), seconds, rates, *columns, strict=True):
        history.append(epoch, second, rate, dict(zip(given["names"], values, strict=True)))
    history.stopped = given["stopped"]
    history._monitor = given["monitor"]
    history.recoveries = given.get("recoveries", [])
    return history
