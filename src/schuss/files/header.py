"""Checks of what a file says that is no array: type, range and shape of every field.

A check is ``(name, value) -> value`` and raises ValueError or TypeError. Numbers of layers,
hyperparameters and schedules are checked by the classes that they are for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ..arguments import choice, integer, shown
from ..optim.precision import MASTERS, ROUNDINGS, STATES
from ..optim.state import MOST_STEPS
from ..recoveries import REASONS, Recovery
from .versions import VERSION

Check = Callable[[str, Any], Any]

FORMAT = "schuss network"
# An epoch's number is one of 32 bits for random numbers: half of them, which leaves room to go on.
MOST_EPOCHS = 2**31
# Layers within layers.
MOST_NESTED = 50
# Parts of a schedule, counted wherever they are used: what a step may cost.
MOST_SCHEDULE_PARTS = 10_000
_STOPPED = ("finished", "early_stopping", "callback", "diverged", "interrupted", "failed")


def whole(low: int, high: int) -> Check:
    """An integer in a range."""
    return lambda name, value: integer(name, value, low, high)


def one_of(*known: str) -> Check:
    """One of these texts."""
    return lambda name, value: choice(name, value, known)


def text(name: str, value: Any) -> str:
    """A text."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text; got {shown(value)} ({type(value).__name__})")
    return value


def real(name: str, value: Any) -> float:
    """A number; it need not be finite."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be a number; got {shown(value)} ({type(value).__name__})")
    return float(value)


def truth(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be true or false; got {shown(value)} ({type(value).__name__})")
    return value


def mapping(name: str, value: Any) -> dict[str, Any]:
    """An object of JSON."""
    if not isinstance(value, dict):
        raise TypeError(f"{name} must be an object of JSON; got {shown(value)} ({type(value).__name__})")
    return value


def optional(check: Check) -> Check:
    """Null, or what another check takes."""
    return lambda name, value: None if value is None else check(name, value)


def array_of(check: Check, length: int | None = None) -> Check:
    """A JSON array whose elements a check takes."""

    def checked(name: str, value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise TypeError(f"{name} must be an array of JSON; got {shown(value)} ({type(value).__name__})")
        if length is not None and len(value) != length:
            raise ValueError(f"{name} must have {length} elements; got {len(value)}")
        return [check(f"{name}[{k}]", element) for k, element in enumerate(value)]

    return checked


def distinct(check: Check) -> Check:
    """The same, without an element twice."""

    def checked(name: str, value: Any) -> list[Any]:
        found: list[Any] = array_of(check)(name, value)
        if len(set(found)) != len(found):
            raise ValueError(f"{name} must have each element once; got {shown(found)}")
        return found

    return checked


def record(fields: Mapping[str, Check], later: Collection[str] = ()) -> Check:
    """An object of JSON with these fields and no others; those of later versions may lack."""

    def checked(name: str, value: Any) -> dict[str, Any]:
        given = mapping(name, value)
        for key in given:
            if key not in fields:
                raise ValueError(f"{name} must have {', '.join(fields)}; got {key[:80]!r}")
        for key in fields:
            if key not in given and key not in later:
                raise ValueError(f"{name} must have {', '.join(fields)}; {key} is missing")
        return {key: fields[key](f"{name}.{key}", given[key]) for key in given}

    return checked


def recovery(name: str, value: Any) -> Recovery:
    """One time that a fit went back."""
    if not isinstance(value, list) or len(value) != len(Recovery._fields):
        raise ValueError(f"{name} must hold {', '.join(Recovery._fields)}; got {shown(value)}")
    epoch, batch = whole(1, MOST_EPOCHS), optional(whole(1, MOST_STEPS))
    checks = (epoch, batch, real, real, real, one_of(*REASONS))
    return Recovery(*(check(name, part) for check, part in zip(checks, value, strict=True)))


def layer(name: str, value: Any, depth: int = 0) -> dict[str, Any]:
    """The description of a layer, as far as it holds others: each one's name is as long as it lies deep."""
    given = mapping(name, value)
    if depth > MOST_NESTED:
        raise ValueError(f"{name[:80]}... must be at most {MOST_NESTED} layers deep")

    def inner(name: str, value: Any) -> dict[str, Any]:
        return layer(name, value, depth + 1)

    if "layers" in given:
        array_of(inner)(f"{name}.layers", given["layers"])
    if "branches" in given:
        array_of(array_of(inner))(f"{name}.branches", given["branches"])
    return given


def monitor(name: str, value: Any) -> tuple[str, bool, bool]:
    """What early stopping looks at, whether less of it is better, and, if it is said, whether ties go to the last."""
    if not isinstance(value, list) or len(value) not in (2, 3):
        raise ValueError(f"{name} must be a text and true or false; got {shown(value)}")
    last = truth(f"{name}[2]", value[2]) if len(value) == 3 else False
    return text(f"{name}[0]", value[0]), truth(f"{name}[1]", value[1]), last


def schedules(name: str, value: Any) -> list[dict[str, Any]]:
    """A table of schedules, parts before what they are parts of, none of which is too large."""
    sizes: list[int] = []

    def size_of(where: str, argument: Any) -> int:
        if isinstance(argument, list):
            return sum(size_of(where, part) for part in argument)
        if isinstance(argument, dict):
            if set(argument) != {"schedule"}:
                raise ValueError(f"{where} must have the number of a schedule; got {shown(argument)}")
            return sizes[integer(where, argument["schedule"], 0, len(sizes) - 1)]
        return 0

    entries: list[dict[str, Any]] = array_of(
        record({"kind": text, "arguments": mapping, "state": mapping}, ("state",))
    )(name, value)
    for k, entry in enumerate(entries):
        where = f"{name}[{k}]"
        size = 1 + sum(size_of(f"{where}.{key}", argument) for key, argument in entry["arguments"].items())
        if size > MOST_SCHEDULE_PARTS:
            raise ValueError(f"{where} must have at most {MOST_SCHEDULE_PARTS} parts; got {size}")
        sizes.append(size)
    return entries


SCHEMA_OF_OPTIMIZER: dict[str, Check] = {
    "kind": text,
    "steps": whole(0, MOST_STEPS),
    "groups": array_of(mapping),
    "order": array_of(whole(0, MOST_STEPS)),
    "clocks": record({"of": array_of(whole(0, MOST_STEPS)), "behind": array_of(whole(0, MOST_STEPS))}),
    "own": array_of(mapping),
    "memories": optional(array_of(array_of(real))),
    "schedules": schedules,
    "scheduled": array_of(optional(whole(0, MOST_STEPS))),
    "decay_places": array_of(optional(whole(0, MOST_STEPS))),
    "form": mapping,
    "averages": array_of(
        record({"kind": text, "start": whole(1, MOST_STEPS), "every": whole(1, MOST_STEPS), "weight": real})
    ),
    "precision": record(
        {
            "states": one_of(*STATES),
            "master": optional(one_of(*MASTERS)),
            "rounding": one_of(*ROUNDINGS),
            "seed": whole(0, 2**64 - 1),
        }
    ),
    "wrappers": array_of(record({"kind": text, "numbers": mapping, "arrays": mapping})),
}
# Which came with later versions.
_LATER = (
    *("order", "memories", "schedules", "scheduled", "decay_places", "form", "averages", "wrappers", "beside"),
    *("clocks", "own", "precision"),
)
# The optimizers beside one have nothing around them, and none beside them.
_ALONE = {name: check for name, check in SCHEMA_OF_OPTIMIZER.items() if name != "wrappers"}
SCHEMA_WITH_BESIDE: dict[str, Check] = {**SCHEMA_OF_OPTIMIZER, "beside": array_of(record(_ALONE, _LATER))}

# Fields that a network may lack.
_MAY_LACK = ("stopping",)

# Of every network in a file.
SCHEMA_OF_OTHER: dict[str, Check] = {
    "layers": array_of(layer),
    "dtype": one_of("float32", "float64"),
    "seed": whole(0, 2**64 - 1),
    "epochs_done": whole(0, MOST_EPOCHS),
    "draws": whole(0, 2**64 - 1),
    "optimizer": optional(record(SCHEMA_WITH_BESIDE, _LATER)),
    "history": record(
        {
            "names": distinct(text),
            "stopped": optional(one_of(*_STOPPED)),
            "monitor": optional(monitor),
            "recoveries": array_of(recovery),
        },
        ("recoveries",),
    ),
    "stopping": optional(record({"value": real, "waited": whole(0, MOST_EPOCHS), "restores": truth})),
}

SCHEMA: dict[str, Check] = {
    "format": one_of(FORMAT),
    "version": whole(1, VERSION),
    **SCHEMA_OF_OTHER,
    "metadata": mapping,
    "others": array_of(record(SCHEMA_OF_OTHER, _MAY_LACK)),
    "checksums": mapping,
}


def newer_version(header: Any) -> int | None:
    """The version of a header that is newer than this code; None of others. ValueError: it is no network's header."""
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ValueError("its header is not that of a network")
    version = header.get("version")
    return version if type(version) is int and version > VERSION else None


def checked(header: Any) -> dict[str, Any]:
    """A header all of whose fields are in order. ValueError, TypeError that say which is not."""
    return record(SCHEMA, ("others", *_MAY_LACK))("its header", header)  # type: ignore[no-any-return]
