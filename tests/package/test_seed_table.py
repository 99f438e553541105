"""The seed table: that its page says what its numbers say, and that a run is what the page says it is."""

from __future__ import annotations

import json
import math
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from benchmarks import seed_table as table

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
NOTED: dict[str, Any] = json.loads((DOCS / "seed_table.json").read_text(encoding="utf-8"))


def names_of_page() -> dict[str, Any]:
    return runpy.run_path(str(DOCS / "seed_table.py"))


def test_the_page_says_what_the_numbers_say() -> None:
    page = (DOCS / "seed_table.md").read_text(encoding="utf-8")
    assert names_of_page()["filled"](page, NOTED) == page
    done = subprocess.run([sys.executable, str(DOCS / "seed_table.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_all_of_it_is_noted() -> None:
    assert set(NOTED) == set(table.TASKS)
    for title, about in NOTED.items():
        task = table.TASKS[title]
        assert (about["kind"], about["unit"], about["epochs"]) == (task.kind, task.unit, task.epochs)
        assert tuple(about["optimizers"]) == table.ENTRANTS
        for name, by_key in about["optimizers"].items():
            for key in table.KEYS:
                own = by_key[key]
                assert len(own["values"]) == len(table.REPORTED) and len(own["curve"]) == task.epochs
                *before, rate = own["rates"]
                tried = own["tried"][f"{own['share']:g}"]
                assert f"{rate:g}" == min(tried, key=lambda one: tried[one])
                assert before == (about["optimizers"]["Adam"][key]["rates"] if name == table.SWITCH else [])
                # The best is not at an end of what was tried, unless that is an end of the ladder.
                place = table.LADDER.index(rate)
                assert {f"{one:g}" for one in table.LADDER[max(0, place - 1) : place + 2]} <= set(tried)


def test_another_number_is_noticed(tmp_path: Path) -> None:
    page = (DOCS / "seed_table.md").read_text(encoding="utf-8")
    changed = json.loads(json.dumps(NOTED))
    next(iter(changed.values()))["optimizers"]["Adam"]["score"]["values"][0] += 1
    assert names_of_page()["filled"](page, changed) != page


def small() -> table.Task:
    def rows(seed: int) -> tuple[table.Rows, table.Rows, table.Rows]:
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(96, 3)).astype(np.float32)
        return table.parted(X, X[:, 0] + 0.1 * X[:, 1], seed, 16, 16)

    return table.Task("dense", rows, table.dense(4, 1), "mse", 20, table.root_error, "RMSE")


def test_the_second_has_its_part_of_a_rate_of_all_steps() -> None:
    net = schuss.Network([schuss.Dense(3, 1)], seed=0)
    made = table.made(table.SWITCH, net, [0.01, 0.2], 40, 0.25)
    whole = schuss.schedules.Cosine(0.2, 40)
    second = made.second.param_groups[0]["schedule"]
    assert made.at == 10 and isinstance(made.first, schuss.Adam)
    assert [second(step) for step in range(30)] == [whole(step + 10) for step in range(30)]
    assert second(29) < 0.001 and made.second.param_groups[0]["momentum"] == 0.9


def test_runs_are_measured_and_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(table, "TASKS", {"one": small(), "two": replace(small(), epochs=10)})
    monkeypatch.setattr(table, "TUNING", (100,))
    monkeypatch.setattr(table, "REPORTED", range(3))
    table.main(str(tmp_path / "found.json"), str(tmp_path / "found.png"))
    found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
    assert (tmp_path / "found.png").stat().st_size > 5000
    for about in found.values():
        losses = table.values(about["optimizers"], "Adam", "training")
        assert len(losses) == 3 and np.median(losses) < 0.9
    # What is there is not measured again, and the same numbers come twice.
    before = (tmp_path / "found.json").read_text(encoding="utf-8")
    table.main(str(tmp_path / "again.json"))
    assert (tmp_path / "again.json").read_text(encoding="utf-8") == before
    monkeypatch.setattr(table, "of_optimizer", None)
    table.main(str(tmp_path / "found.json"))
    for block, make in names_of_page()["BLOCKS"].items():
        if block.startswith("claim") and block not in ("claim 3", "claim 4"):
            assert "one" in make(found), block


def test_who_is_better() -> None:
    def of(*values: float) -> dict[str, Any]:
        return {"score": {"values": list(values)}}

    of_task = {"a": of(1.0, 2.0, 3.0), "b": of(2.0, 3.1, 4.0), "c": of(1.0, 2.5, 2.6), "d": of(1.0, math.inf, 3.0)}
    verdict = names_of_page()["verdict"]
    for name, other, wanted in (("a", "b", "less"), ("b", "a", "more"), ("a", "c", "same"), ("d", "a", "more")):
        more, error = table.compared(of_task, name, other, "score")
        assert verdict(more, error) == wanted
        back = table.compared(of_task, other, name, "score")
        assert back == (-more, error)
    assert table.compared(of_task, "d", "d", "score")[0] == 0
