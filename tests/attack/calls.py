"""Calls that may be refused: in words that are documented, and with nothing changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import schuss

DOCUMENTED = (ValueError, TypeError, RuntimeError, MemoryError, schuss.DivergenceError)
# How often each call was made, and how often refused.
made: Counter[str] = Counter()
refusals: Counter[str] = Counter()


class Refused:
    """What a refused call gives; its words."""

    def __init__(self, error: Exception) -> None:
        self.kind = type(error)
        self.text = str(error)

    def __repr__(self) -> str:
        return f"Refused({self.kind.__name__}: {self.text})"


def attempt(name: str, call: Callable[[], Any], state: Callable[[], Any] | None = None) -> Any:
    """The call's result, or Refused, after which state() is what it was before. Every other error is a failure."""
    made[name] += 1
    before = None if state is None else state()
    try:
        return call()
    except DOCUMENTED as error:
        if isinstance(error, (RecursionError, NotImplementedError, UnicodeError)):
            raise
        refusals[name] += 1
        refused = Refused(error)
    assert refused.text, f"{name}: {refused.kind.__name__} without words"
    if state is not None:
        assert state() == before, f"{name} was refused ({refused}), and has changed something"
    return refused


def both(name: str, one: Callable[[], Any], other: Callable[[], Any], state: Callable[[], Any] | None = None) -> Any:
    """The same call of two that are the same: both do it, or both refuse it, by the same kind of error."""
    first, second = attempt(name, one, state), attempt(name, other)
    assert isinstance(first, Refused) == isinstance(second, Refused), f"{name}: {first!r} beside {second!r}"
    if isinstance(first, Refused):
        assert first.kind is second.kind, f"{name}: {first!r} beside {second!r}"
    return first
