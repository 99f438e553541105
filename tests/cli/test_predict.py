"""``schuss predict``: one row out for each row in, by what training decided, and what was new is told."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("pandas")

from tests.cli.test_cli import FAST, Run, run, write_csv, write_mixed

__all__ = ["run"]


@pytest.fixture
def model(run: Run) -> Run:
    write_mixed("t.csv")
    assert run("train", "t.csv", *FAST, "--epochs", 30, "--save", "m.npz").exit_code == 0
    return run


def test_what_training_never_saw_is_told(model: Run) -> None:
    header = ["id", "size", "gap", "colour", "code", "buy"]
    rows = [[1, 2.5, 3, "red", "01", "yes"], [2, "n.d.", 3, "purple", "01", "no"], [3, "-2.5", "", "black", "07", ""]]
    write_csv("new.csv", header, rows)
    result = model("predict", "m.npz", "new.csv", "--out", "p.csv")
    assert result.exit_code == 0, result.output
    assert "column 'colour': 2 of 3 rows with categories that training did not see" in result.stdout
    assert "'purple'" in result.stdout and "column 'code': 1 of 3 rows" in result.stdout
    assert "new: 3 rows" in result.stdout and "against 'buy' in 2 rows" in result.stdout
    assert len(Path("p.csv").read_text().splitlines()) == 4


def test_cells_that_are_no_numbers_are_told(model: Run) -> None:
    header = ["id", "size", "gap", "colour", "code"]
    write_csv("new.csv", header, [[i, "big" if i == 3 else i / 10, 1, "red", "01"] for i in range(40)])
    result = model("predict", "m.npz", "new.csv", "--out", "p.csv")
    assert result.exit_code == 0, result.output
    assert "column 'size': taken as missing: 1 of 40 cells, no numbers as in training, such as 'big'" in result.stdout
    assert len(Path("p.csv").read_text().splitlines()) == 41


def test_rows_keep_their_order_and_their_answers(model: Run) -> None:
    with open("t.csv", encoding="utf-8") as file:
        header, *rows = list(csv.reader(file))
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    write_csv("shuffled.csv", header, [rows[k] for k in order])
    for name in ("t", "shuffled"):
        assert model("predict", "m.npz", f"{name}.csv", "--probabilities", "--out", f"p_{name}.csv").exit_code == 0
    first, second = (Path(f"p_{name}.csv").read_text().splitlines()[1:] for name in ("t", "shuffled"))
    assert [first[k] for k in order] == second


def test_an_unknown_class_is_told_and_nothing_scored(model: Run) -> None:
    write_csv("new.csv", ["size", "gap", "colour", "code", "buy"], [[1, 2, "red", "01", "perhaps"]])
    result = model("predict", "m.npz", "new.csv")
    assert result.exit_code == 0
    assert "not scored: " in result.stdout and "'perhaps' in row 1" in result.stdout and "against" not in result.stdout


def test_a_gap_only_in_prediction(model: Run) -> None:
    write_csv("new.csv", ["size", "gap", "colour", "code"], [["", "", "", ""], ["2.5", "1", "red", "01"]])
    result = model("predict", "m.npz", "new.csv", "--out", "-")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "prediction" and len(result.stdout.splitlines()) in (2, 3)
