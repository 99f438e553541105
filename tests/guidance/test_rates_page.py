"""What docs/rates.md says is what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = json.loads((ROOT / "docs" / "find_lr.json").read_text(encoding="utf-8"))["rows"]


def test_the_tables_are_those_of_the_measurement() -> None:
    benchmark = pytest.importorskip("benchmarks.find_lr")
    assert benchmark.table(ROWS) in (ROOT / "docs" / "rates.md").read_text(encoding="utf-8")


def test_what_was_measured_holds_what_is_promised() -> None:
    assert len(ROWS) == 12 and len({row["data"] for row in ROWS}) == 4
    assert sum(row["suggestion"]["fall"] <= 0.05 for row in ROWS) >= 11
    assert all(row["suggestion"]["moves_with_draws"] < 2.0 for row in ROWS)
    assert all(row["same_later"] for row in ROWS)
    for row in ROWS:
        if row["steps_of_training"] >= 20 * 120:
            assert row["steps"] <= 0.05 * row["steps_of_training"]
