"""What a table that cannot be read or used raises."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


class DataError(ValueError):
    """A table that cannot be read or used. The message is one line and says what and where."""


def many(n: int, what: str) -> str:
    """A number of things, for a message: 1 row, 2 rows."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def some(values: Iterable[Any], most: int = 10) -> str:
    """The first few values, for a message."""
    texts = [f"{value:g}" if isinstance(value, float) else repr(value) for value in values]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


def one_line(error: BaseException) -> str:
    """What another library says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
