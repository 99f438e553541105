"""`schuss train --checkpoint`: a training that was interrupted goes on to the bits of one that was not."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("pandas")

import schuss
from schuss.callbacks import Checkpoint
from tests.cli.test_cli import Run, refused, run, write_mixed
from tests.cli.test_train import parameters, write_line

__all__ = ["run"]

KEPT = Path("m.npz.checkpoint")


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)


class Killed(BaseException):
    """As if the process had been: nothing is done any more."""


def killing(monkeypatch: pytest.MonkeyPatch, looks: int, error: type[BaseException] = Killed) -> None:
    """An end at the n-th time that a checkpoint could be written, before it is."""
    count = 0
    call = Checkpoint.__call__

    def counted(self: Checkpoint, record: Any) -> None:
        nonlocal count
        count += 1
        if count == looks:
            raise error
        call(self, record)

    monkeypatch.setattr(Checkpoint, "__call__", counted)


def whole(path: str) -> list[Any]:
    """What a model is, but for times and its recipe's notes."""
    model = schuss.load_table(path)
    return [
        model.temperature,
        *(array.tolist() for network in model.networks for array in (*network.parameters, *network._core.states)),
        *(network.history[name].tolist() for network in model.networks for name in network.history.names),
    ]


@pytest.mark.parametrize(
    "options",
    [
        ["--recipe", "realmlp", "--ensemble", 2, "--epochs", 12],
        ["--recipe", "tabm", "--epochs", 6],
        ["--recipe", "mlp", "--ensemble", 1, "--epochs", 30, "--patience", 4],
        ["--recipe", "mlp", "--ensemble", 2, "--epochs", 8, "--refit"],
        ["--recipe", "realmlp", "--ensemble", 1, "--epochs", 6, "--validation", 0, "--seed", 3],
    ],
    ids=["realmlp", "tabm", "patience", "refit", "no validation"],
)
def test_the_same_model(run: Run, monkeypatch: pytest.MonkeyPatch, options: list[Any]) -> None:
    write_mixed("t.csv")
    asked = ["train", "t.csv", "--no-plot", *options]
    assert run(*asked, "--save", "whole.npz").exit_code == 0
    for looks in (3, 9, 5):
        with monkeypatch.context() as patched:
            killing(patched, looks)
            resume = ["--resume"] if KEPT.exists() else []
            try:
                found = run(*asked, "--save", "m.npz", "--checkpoint", 0, *resume)
            except Killed:
                pass
            else:  # there was not so much left
                assert found.exit_code == 0, found.output
                break
        assert KEPT.is_dir() and not Path("m.npz").exists()
    else:
        found = run(*asked, "--save", "m.npz", "--resume")  # its seconds are known
        assert found.exit_code == 0, found.output
        assert f"goes on from {KEPT}" in found.stdout
    assert whole("m.npz") == whole("whole.npz")
    assert not KEPT.exists()


def test_ctrl_c(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_line("t.csv")
    asked = ["train", "t.csv", "--no-plot", "--recipe", "mlp", "--ensemble", 1, "--epochs", 9, "--checkpoint", 0]
    assert run(*asked, "--save", "whole.npz").exit_code == 0
    with monkeypatch.context() as patched:
        killing(patched, 4, KeyboardInterrupt)
        found = run(*asked, "--save", "m.npz", "--resume")  # with nothing to go on from, it begins
    assert found.exit_code == 130 and f"kept {KEPT}: the same command with --resume goes on" in found.stdout
    assert Path("m.npz").exists()  # what there was then
    assert run(*asked, "--save", "m.npz", "--resume").exit_code == 0
    np.testing.assert_array_equal(parameters("m.npz"), parameters("whole.npz"))
    refused(run(*asked, "--save", "m.npz", "--resume"), "its training is over", "m.npz")
    assert run("train", "t.csv", "--no-plot", "--save", "m.npz", "--resume", "--epochs", 1).exit_code == 0


def test_what_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    write_line("t.csv")
    asked = ["train", "t.csv", "--no-plot", "--recipe", "mlp", "--ensemble", 1, "--epochs", 5, "--save", "m.npz"]
    refused(run(*asked, "--checkpoint", -1), "--checkpoint", "[0, inf)")
    refused(run(*asked, "--checkpoint", 1, "--time", 5), "--checkpoint", "--time")
    refused(run("train", "t.csv", "--no-save", "--checkpoint", 1), "--checkpoint", "--no-save")
    assert not KEPT.exists()
    with monkeypatch.context() as patched:
        killing(patched, 3)
        with pytest.raises(Killed):
            run(*asked, "--checkpoint", 0)
    for options, name in [(["--lr", 0.5], "recipe"), (["--epochs", 6], "epochs"), (["--seed", 1], "seed"),
                          (["--ensemble", 2], "ensemble"), (["--test", 0.3], "test")]:  # fmt: skip
        refused(run(*asked, "--resume", *options), f"was told another {name}")
    write_line("t.csv", seed=1)
    refused(run(*asked, "--resume"), "was told another sum of the data")
    write_line("t.csv")
    shutil.copytree(KEPT, "copy")
    told = json.loads((KEPT / "training.json").read_text())
    for text in ("", "[]", json.dumps({**told, "seconds": "x"})):
        (KEPT / "training.json").write_text(text)
        refused(run(*asked, "--resume"), "holds no checkpoint of schuss train")
    (KEPT / "training.json").unlink()
    refused(run(*asked, "--checkpoint", 1), "was not written by schuss")
    shutil.rmtree(KEPT)
    shutil.copytree("copy", KEPT)
    file = next(KEPT.glob("*.npz"))
    file.write_bytes(file.read_bytes()[:-50])
    refused(run(*asked, "--resume"), "damaged")
    # Begun anew, with checkpoints or without, nothing of it is left.
    assert run(*asked).exit_code == 0
    assert not KEPT.exists()
