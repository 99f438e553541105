"""What a table that cannot be read or used raises."""

from __future__ import annotations


class DataError(ValueError):
    """A table that cannot be read or used. The message is one line and says what and where."""
