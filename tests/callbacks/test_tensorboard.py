"""What TensorBoard is written, read back."""

from __future__ import annotations

import importlib.util
import pickle
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.callbacks import TensorBoard

X = np.random.default_rng(0).normal(size=(40, 3))
WRITERS = ["tensorboardX", "torch"]


def fit(callback: Any, epochs: int = 3, **more: Any) -> tuple[schuss.History, list[np.ndarray]]:
    net, losses = schuss.Network([schuss.Dense(3, 1)], seed=0), []
    callbacks = [callback, lambda record: losses.append(record.batch_losses)]
    history = net.fit(X, X[:, 0], loss="mse", epochs=epochs, batch_size=8, callbacks=callbacks, **more)
    return history, losses


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reader.EventAccumulator(str(folder), size_guidance={reader.SCALARS: 0})
    found.Reload()
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


@pytest.fixture(params=WRITERS)
def writer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "torch":
        pytest.importorskip("torch")
        pytest.importorskip("tensorboard")
        monkeypatch.setitem(sys.modules, "tensorboardX", None)
        find = importlib.util.find_spec
        monkeypatch.setattr(
            "schuss.callbacks.tensorboard.find_spec", lambda name: None if name == "tensorboardX" else find(name)
        )
    else:
        pytest.importorskip(request.param)
    return request.param  # type: ignore[no-any-return]


@pytest.mark.filterwarnings("ignore")
def test_read_back(writer: str, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    callback = TensorBoard(folder)
    history, losses = fit(callback, metrics="mae", validation_fraction=0.2)
    found = read(folder)
    assert sorted(found) == sorted(
        ["loss/training", "loss/validation", "mae/training", "mae/validation", "lr", "seconds", "batch/loss"]
    )
    for tag, name in (("loss/training", "loss"), ("mae/validation", "val_mae"), ("lr", "lr")):
        assert [step for step, _ in found[tag]] == [1, 2, 3]
        np.testing.assert_array_equal([value for _, value in found[tag]], history[name].astype(np.float32))
    batches = np.concatenate(losses)
    assert [step for step, _ in found["batch/loss"]] == list(range(1, len(batches) + 1))
    np.testing.assert_array_equal([value for _, value in found["batch/loss"]], batches.astype(np.float32))
    assert callback._writer is None


@pytest.mark.filterwarnings("ignore")
def test_points_are_there_soon(writer: str, tmp_path: Path) -> None:
    callback = TensorBoard(tmp_path, batches=False)
    seen = []

    def look(record: schuss.EpochRecord) -> None:
        assert pickle.loads(pickle.dumps(callback))._writer is None
        if record.epoch == 3:
            time.sleep(1.5)
        if record.epoch == 4:  # a writer looks at the clock when it is given something
            time.sleep(0.5)
            seen.extend(read(tmp_path)["loss/training"])

    net = schuss.Network([schuss.Dense(3, 1)], seed=0)
    net.fit(X, X[:, 0], loss="mse", epochs=5, callbacks=[callback, look])
    assert len(seen) >= 3 and "batch/loss" not in read(tmp_path)


def test_without_a_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schuss.callbacks.tensorboard.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="TensorBoard needs tensorboardX, or torch and tensorboard: pip install"):
        TensorBoard("runs")


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="folder must be"):
        TensorBoard(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="batches must be"):
        TensorBoard("runs", batches=1)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
