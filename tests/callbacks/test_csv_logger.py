"""A row of a CSV file for each epoch."""

from __future__ import annotations

import copy
import csv
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.callbacks import Checkpoint, CSVLogger
from tests.interrupts import broken

X = np.random.default_rng(0).normal(size=(40, 3))
Y = X[:, 0] > 0


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)


def fit(*callbacks: Any, net: schuss.Network | None = None, epochs: int = 3, **more: Any) -> schuss.History:
    net = net or schuss.Network([schuss.Dense(3, 4, "relu"), schuss.Dense(4, 2)], seed=0)
    return net.fit(X, Y.astype(int), loss="cross_entropy", epochs=epochs, callbacks=callbacks, **more)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_rows(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    seen = []

    def look(record: schuss.EpochRecord) -> None:
        seen.append(len(rows_of(path)))

    history = fit(CSVLogger(path), look, metrics="accuracy", validation_fraction=0.25)
    assert seen == [1, 2, 3]  # each is there as its epoch ends
    rows = rows_of(path)
    assert list(rows[0]) == ["epoch", "seconds", "lr", "loss", "accuracy", "val_loss", "val_accuracy"]
    for name in history.names:  # to the last bit
        assert [float(row[name]) for row in rows] == history[name].tolist()
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert [float(row["seconds"]) for row in rows] == history.times.tolist()
    assert path.read_bytes().count(b"\r") == 0


def test_header_is_there_before_the_first_epoch(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"

    def end(record: schuss.EpochRecord) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(end, CSVLogger(path))
    assert path.read_text() == "epoch,seconds,lr,loss\n"


def test_append(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    net = schuss.Network([schuss.Dense(3, 2)], seed=0)
    logger = CSVLogger(path, append=True)
    fit(logger, net=net, epochs=2)
    fit(logger, net=net, epochs=1, metrics=["accuracy"])  # something new comes last
    fit(logger, net=net, epochs=1)  # and is empty where it is not there
    rows = rows_of(path)
    assert list(rows[0]) == ["epoch", "seconds", "lr", "loss", "accuracy"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert [bool(row["accuracy"]) for row in rows] == [False, False, True, False]
    fit(CSVLogger(path), epochs=1)  # anew
    assert len(rows_of(path)) == 1 and "accuracy" not in rows_of(path)[0]


def test_a_cut_row_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    fit(CSVLogger(path), epochs=2)
    with path.open("a") as file:
        file.write("3,0.1")
    fit(CSVLogger(path, append=True), epochs=1)
    assert [row["epoch"] for row in rows_of(path)] == ["1", "2", "1"]


@pytest.mark.parametrize("append", [False, True])
def test_resume(tmp_path: Path, append: bool) -> None:
    path, saved = tmp_path / "a.csv", tmp_path / "net.npz"

    def end(record: schuss.EpochRecord) -> None:
        if record.epoch == 5:
            raise KeyboardInterrupt

    for k in range(2):
        callbacks = [CSVLogger(path, append), Checkpoint(saved, 2), *([end] if k == 0 else [])]
        try:
            history = fit(*callbacks, epochs=8, resume=saved)
        except KeyboardInterrupt:
            assert [row["epoch"] for row in rows_of(path)] == ["1", "2", "3", "4", "5"]
    rows = rows_of(path)  # epoch 5 has been trained again
    assert [int(row["epoch"]) for row in rows] == list(range(1, 9))
    assert [float(row["loss"]) for row in rows] == history["loss"].tolist()


def test_strange_names_and_values(tmp_path: Path) -> None:
    def odd(prediction: Any, target: Any) -> float:
        return float("nan")

    odd.__name__ = 'a,"b"\nc'
    path = tmp_path / "ünï.csv"
    fit(CSVLogger(path), metrics=[odd])
    rows = rows_of(path)
    assert len(rows) == 3 and rows[0]['a,"b"\nc'] == "nan"
    fit(CSVLogger(path, append=True), metrics=[odd])
    assert len(rows_of(path)) == 6


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="path must be"):
        CSVLogger(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="append must be"):
        CSVLogger("a", 1)  # type: ignore[arg-type]
    net = schuss.Network([schuss.Dense(3, 2)], seed=0)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        fit(CSVLogger(tmp_path / "nowhere" / "a.csv"), net=net)
    assert net.epochs_done == 0 and net.optimizer is None
    other = tmp_path / "other.csv"
    for text in ("a,b\n1,2\n", "epoch\nx\n", "epoch,epoch\n1,1\n", "epoch,b\n1\n", "no line"):
        other.write_text(text)
        with pytest.raises(ValueError, match="path must be a file of CSVLogger"):
            fit(CSVLogger(other, append=True), net=net)
        assert other.read_text() == text and net.epochs_done == 0


def test_one_for_each_fit_at_a_time(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "a.csv")
    nets = [schuss.Network([schuss.Dense(3, 2)], seed=k) for k in range(2)]
    fits = [
        {"network": net, "X": X, "y": Y.astype(int), "loss": "cross_entropy", "epochs": 2, "callbacks": logger}
        for net in nets
    ]
    with pytest.raises(ValueError, match="callbacks must have a CSVLogger of their own for each fit"):
        schuss.fit_side_by_side(fits)
    for k, one in enumerate(fits):
        one["callbacks"] = CSVLogger(tmp_path / f"{k}.csv")
    schuss.fit_side_by_side(fits)
    assert [len(rows_of(tmp_path / f"{k}.csv")) for k in range(2)] == [2, 2]
    fit(logger)  # after a fit that failed


def test_copies(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    logger = CSVLogger(path)

    def look(record: schuss.EpochRecord) -> None:
        for other in (pickle.loads(pickle.dumps(logger)), copy.deepcopy(logger)):
            assert other.path == str(path) and other._columns is None and other._network is None

    fit(logger, look)
    assert repr(logger) == f"CSVLogger({str(path)!r}, append=False)"


def test_interrupts(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"

    def begin() -> schuss.Network:
        path.unlink(missing_ok=True)
        return schuss.Network([schuss.Dense(3, 2)], seed=0)

    def check(net: schuss.Network) -> None:
        if path.exists():
            rows = rows_of(path)
            assert len(rows) in (net.epochs_done, net.epochs_done - 1)
            assert all(len(row) == 4 and None not in row.values() for row in rows)
        assert len(list(tmp_path.iterdir())) <= 1

    assert not broken(begin, lambda net: fit(CSVLogger(path), net=net, epochs=2), check, every=5)
