"""Schedules as data that JSON holds, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import Parameter, signature
from typing import Any

from .. import schedules as known
from ..arguments import shown
from .base import Schedule
from .plateau import ReduceOnPlateau


class _Table:
    """Entries of schedules, parts before what they are parts of, each object once."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._places: dict[int, int] = {}

    def add(self, schedule: Schedule) -> int:
        """The place of its entry. TypeError if a function is in it."""
        known = self._places.get(id(schedule))
        if known is not None:
            return known
        arguments = {name: self._plain(value) for name, value in schedule._arguments().items()}
        entry: dict[str, Any] = {"kind": type(schedule).__name__, "arguments": arguments}
        if isinstance(schedule, ReduceOnPlateau):
            entry["state"] = schedule.state_dict()
        self.entries.append(entry)
        self._places[id(schedule)] = len(self.entries) - 1
        return len(self.entries) - 1

    def _plain(self, value: Any) -> Any:
        if isinstance(value, Schedule):
            return {"schedule": self.add(value)}
        if isinstance(value, tuple):
            return [self._plain(part) for part in value]
        if callable(value):
            raise TypeError(f"a function is no data; got {shown(value)}")
        return value


def as_data(schedules: Sequence[object]) -> tuple[list[dict[str, Any]], list[int | None]]:
    """A table of schedules, and the place in it of each given one. None: no schedule of ours, or a function in it."""
    table = _Table()
    places: list[int | None] = []
    for schedule in schedules:
        place = None
        if isinstance(schedule, Schedule) and type(schedule) is getattr(known, type(schedule).__name__, None):
            try:
                place = table.add(schedule)
            except TypeError:
                place = None
        places.append(place)
    return table.entries, places


def of_data(entries: Sequence[Mapping[str, Any]]) -> list[Schedule]:
    """The schedules of such a table. ValueError, TypeError: it is none."""
    found: list[Schedule] = []

    def value_of(plain: Any) -> Any:
        if isinstance(plain, Mapping):
            return found[plain["schedule"]]
        return [value_of(part) for part in plain] if isinstance(plain, list) else plain

    for entry in entries:
        kind = getattr(known, entry["kind"], None) if entry["kind"] in known.__all__ else None
        if not (isinstance(kind, type) and issubclass(kind, Schedule)) or kind is Schedule:
            raise ValueError(f"its schedule {shown(entry['kind'])} is unknown")
        given = {name: value_of(plain) for name, plain in entry["arguments"].items()}
        rest = [name for name, p in signature(kind).parameters.items() if p.kind is Parameter.VAR_POSITIONAL]
        several = [part for name in rest for part in given.pop(name)]
        schedule = kind(*several, **given)
        if isinstance(schedule, ReduceOnPlateau):
            schedule.load_state_dict(entry["state"])
        found.append(schedule)
    return found
