"""Scripts that keep results in a file and draw them: ``python -m benchmarks.NAME RESULTS.json [PICTURE]``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")


def main(
    measure: Callable[[Path], Found], draw: Callable[[Found, str], None], results: str, picture: str | None = None
) -> None:
    """Measure what the file lacks, and draw all of it where a picture is asked for."""
    found = measure(Path(results))
    if picture is not None:
        draw(found, picture)
