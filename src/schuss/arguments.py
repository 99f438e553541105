"""Checks of scalar arguments. Every message names the argument, what it was and what was expected."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np


def shown(value: object) -> str:
    """Repr for a message, in one line and cut to a readable length."""
    try:
        text = " ".join(repr(value).split())
    except Exception as error:  # the object's own, which is not to hide what is wrong with it
        return f"{type(value).__name__} whose repr raises {type(error).__name__}"
    return text if len(text) <= 80 else text[:77] + "..."


@lru_cache
def _bounds(interval: str) -> tuple[float, float]:
    low, high = interval[1:-1].split(",")
    return float(low), float(high)


def number(name: str, value: Any, interval: str) -> float:
    """A finite number in an interval such as "[0, 1)"; bools are not numbers."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number in {interval}; got {shown(value)} ({type(value).__name__})")
    low, high = _bounds(interval)
    try:
        result = float(value)
    except OverflowError:
        result = float("inf")
    above = result >= low if interval[0] == "[" else result > low
    below = result <= high if interval[-1] == "]" else result < high
    if not (above and below):
        raise ValueError(f"{name} must be a number in {interval}; got {shown(value)}")
    return result


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """An integer from low to high; bools are not integers here."""
    expected = f"an integer >= {low}" if high is None else f"an integer from {low} to {high}"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be {expected}; got {shown(value)} ({type(value).__name__})")
    result = int(value)  # whatever a subclass says of itself, this is what is used
    if result < low or (high is not None and result > high):
        raise ValueError(f"{name} must be {expected}; got {shown(value)}")
    return result


def flag(name: str, value: Any) -> bool:
    """True or False."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False; got {shown(value)} ({type(value).__name__})")
    return bool(value)


def unknown_name(name: str, value: object, known: Iterable[str]) -> ValueError:
    """The error for a name that is not known, with the nearest known ones."""
    import difflib

    from .hints import of_value

    names = list(known)
    meant = of_value(name, value, names)
    if meant is not None:
        hint = f" here: {meant};"
    else:
        asked = str(value).lower()
        near = [name for name in names if asked and name.lower().startswith(asked)]
        near = near or difflib.get_close_matches(asked, names, n=3)
        hint = f" did you mean {' or '.join(map(repr, near[:3]))}?" if near else ""
    more = f" and {len(names) - 40} more" if len(names) > 40 else ""
    return ValueError(f"{name} {shown(value)} is not known;{hint} known: {', '.join(names[:40])}{more}")


def choice(name: str, value: Any, known: Iterable[str]) -> str:
    """One of the known names."""
    if value is None and "identity" in known:
        raise TypeError(f"{name} must be a name, 'identity' for none; got None")
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a name; got {shown(value)} ({type(value).__name__})")
    if value not in known:
        raise unknown_name(name, value, known)
    return value


def file_path(name: str, value: Any) -> str:
    """A str or a path object as text."""
    if not isinstance(value, (str, os.PathLike)):
        raise TypeError(f"{name} must be a str or a path; got {shown(value)} ({type(value).__name__})")
    return os.fsdecode(value)


def items(name: str, value: Any, expected: str) -> list[Any]:
    """What an iterable other than text holds; a callable counts as a list of itself."""
    if callable(value):
        return [value]
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"{name} must be {expected}; got {shown(value)} ({type(value).__name__})")
    return list(value)


def check_labels(name: str, labels: Sequence[str]) -> None:
    """ValueError unless there is one at least, and none twice."""
    if not labels:
        raise ValueError(f"{name} must have at least one; got none")
    for label in labels:
        if labels.count(label) > 1:
            raise ValueError(f"{name} must have different labels; got {label!r} twice: give a dict by labels")


def scheduled(name: str, value: Any) -> float:
    """What schedules give: a learning rate, a weight decay, a factor."""
    return number(name, value, "[0, inf)")


def learning_rate(name: str, value: Any) -> float:
    """A learning rate that is a number."""
    return scheduled(name, value)


def limit(name: str, value: Any) -> float:
    """A limit of gradients as the core takes it: 0 for None, which is none."""
    if value is None:
        return 0.0
    found = number(name, value, "(0, inf)")
    if found < sys.float_info.min:
        raise ValueError(f"{name} must be at least {sys.float_info.min}, denormals count as zero; got {shown(value)}")
    return found


def clipping(clip_value: Any, clip_norm: Any) -> tuple[float, float]:
    """Both limits as the core takes them."""
    return limit("clip_value", clip_value), limit("clip_norm", clip_norm)
