"""Files of a network while it is trained."""

from __future__ import annotations

import copy
import os
import pickle
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.callbacks import Checkpoint

X = np.random.default_rng(0).normal(size=(60, 3))
Y = (X[:, 0] > 0).astype(int)


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda file: None)


def network() -> schuss.Network:
    return schuss.Network([schuss.Dense(3, 4, "relu"), schuss.Dense(4, 2)], seed=0)


def fit(*callbacks: Any, net: schuss.Network | None = None, epochs: int = 7, **more: Any) -> schuss.History:
    arguments = {"X": X, "y": Y, "loss": "cross_entropy", "epochs": epochs, "callbacks": callbacks, **more}
    return (net or network()).fit(**arguments)  # type: ignore[no-any-return]


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_every(tmp_path: Path) -> None:
    path, seen = tmp_path / "net.npz", []
    fit(Checkpoint(path, 3), lambda record: seen.append(schuss.load(path).epochs_done if path.exists() else 0))
    assert seen == [0, 0, 3, 3, 3, 6, 7]  # and after the last one planned
    assert names(tmp_path) == ["net.npz"]


def test_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen, now = tmp_path / "net.npz", [], [100.0]
    monkeypatch.setattr("schuss.callbacks.checkpoint.perf_counter", lambda: now[0])

    def pass_time(record: schuss.EpochRecord) -> None:
        now[0] += 2.0

    def look(record: schuss.EpochRecord) -> None:
        seen.append(schuss.load(path).epochs_done if path.exists() else 0)

    kept = Checkpoint(path, seconds=5.0)
    fit(pass_time, kept, look, epochs=8)
    assert seen == [0, 0, 3, 3, 3, 6, 6, 8] and kept.every is None  # and after the last one planned


@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_best(tmp_path: Path, ending: str) -> None:
    if ending == ".safetensors":
        pytest.importorskip("safetensors")
    values = iter([3.0, 1.0, float("nan"), 2.0, 1.0, 5.0, 0.5])

    def odd(prediction: Any, target: Any) -> float:
        return next(values)

    kept = Checkpoint(tmp_path / f"net{ending}", best=3, monitor="odd", mode="min")
    seen = []
    fit(kept, lambda record: seen.append([int(Path(path).stem[-5:]) for path in kept.best_paths]), metrics=[odd])
    assert seen == [[1], [2, 1], [2, 1], [2, 4, 1], [2, 5, 4], [2, 5, 4], [7, 2, 5]]
    assert names(tmp_path) == [f"net-{k:05d}{ending}" for k in (2, 5, 7)]
    assert schuss.load(kept.best_paths[1]).epochs_done == 2


def test_best_and_newest(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    kept = Checkpoint(path, 1, best=2)
    history = fit(kept, validation_fraction=0.3, epochs=6, lr=0.2)
    order = np.argsort(history["val_loss"], kind="stable")[:2] + 1
    assert [schuss.load(one).epochs_done for one in kept.best_paths] == order.tolist()
    assert names(tmp_path) == sorted([*(f"net-{k:05d}.npz" for k in order), "net.npz"])
    kept = Checkpoint(tmp_path / "more.npz", best=1, monitor="accuracy")  # of which more is better
    history = fit(kept, metrics="accuracy", epochs=6, lr=0.2)
    assert schuss.load(kept.best_paths[0]).epochs_done == int(history["accuracy"].argmax()) + 1


def test_best_over_an_interruption(tmp_path: Path) -> None:
    whole = Checkpoint(tmp_path / "whole.npz", 1, best=3)
    fit(whole, epochs=12, lr=0.5)
    for stop in (5, 9, None):

        def end(record: schuss.EpochRecord, stop: int | None = stop) -> None:
            if record.epoch == stop:
                raise KeyboardInterrupt

        parts = Checkpoint(tmp_path / "parts.npz", 2, best=3)
        with suppress(KeyboardInterrupt):
            fit(parts, end, epochs=12, lr=0.5, resume=tmp_path / "parts.npz")
    assert [path[-10:] for path in parts.best_paths] == [path[-10:] for path in whole.best_paths]
    assert sum("parts-" in name for name in names(tmp_path)) == 3
    # Files of another training are none of this one's.
    other = Checkpoint(tmp_path / "parts.npz", 2, best=3)
    fit(other, epochs=2, lr=0.1)
    again = Checkpoint(tmp_path / "parts.npz", 2, best=20)
    fit(again, epochs=3, lr=0.1, resume=tmp_path / "parts.npz")
    assert len(again.best_paths) == 3


def test_each_file_can_be_gone_on_from(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path / "net.npz", best=2)
    net = network()
    fit(kept, net=net)
    for path in kept.best_paths:
        other = network()
        fit(net=other, resume=path)
        np.testing.assert_array_equal(other._core.flat_parameters, net._core.flat_parameters)


def test_refusals(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    for told, arguments in [
        ("every must be", {"every": 0}),
        ("seconds must be", {"seconds": -1.0}),
        ("best must be", {"best": 0}),
        ("mode", {"best": 1, "mode": "less"}),
        ("monitor and mode are for best", {"monitor": "loss"}),
    ]:
        with pytest.raises(ValueError, match=told):
            Checkpoint(path, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="path must end in"):
        Checkpoint(tmp_path / "net.h5")
    with pytest.raises(TypeError, match="monitor must be"):
        Checkpoint(path, best=1, monitor=3)  # type: ignore[arg-type]
    net = network()
    for told, kept in [
        ("monitor must be one of loss; got 'val_loss'; nothing", Checkpoint(path, best=1, monitor="val_loss")),
        ("mode must be 'min' or 'max' for the metric 'odd'", Checkpoint(path, best=1, monitor="odd")),
    ]:
        with pytest.raises(ValueError, match=told):
            fit(kept, net=net, metrics=[] if "val" in told else [odd])
    with pytest.raises(FileNotFoundError, match="path must be in a folder that is there"):
        fit(Checkpoint(tmp_path / "nowhere" / "net.npz"), net=net)
    assert net.epochs_done == 0 and net.optimizer is None and not names(tmp_path)
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        fit(Checkpoint(path), net=net)
    assert net.history.stopped == "failed" and net.epochs_done == 1


def odd(prediction: Any, target: Any) -> float:
    return 1.0


def test_copies(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path / "net.npz", 2, best=2)
    fit(kept, epochs=3)
    for other in (pickle.loads(pickle.dumps(kept)), copy.deepcopy(kept)):
        assert other.best_paths == kept.best_paths and repr(other) == repr(kept)
    assert repr(kept) == f"Checkpoint({str(tmp_path / 'net.npz')!r}, every=2, best=2)"
