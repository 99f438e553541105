"""The file of results: a JSON object a line, one for each table, split, seed and model, appended as they are made."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Key = tuple[str, int, int, str]


def key(row: dict[str, Any]) -> Key:
    """Return what a row is the result of; the seed is the split's number where none is told."""
    return row["table"], row["split"], row.get("seed", row["split"]), row["model"]


def read(paths: Iterable[Path]) -> dict[Key, dict[str, Any]]:
    """Return the rows of files that exist; of one thing measured twice, the later. A line cut short is left out."""
    rows = {}
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            rows[key(row)] = row
    return rows


def append(path: Path, row: dict[str, Any]) -> None:
    """Write one row in one piece, so that several processes may share a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(row) + "\n").encode()
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line)
    finally:
        os.close(file)
