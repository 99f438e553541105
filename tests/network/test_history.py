"""History: the recorded curves."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import numpy as np
import pytest

import schuss
from schuss.history import History


def recorded() -> History:
    history = History()
    history.append(1, 0.5, 0.1, {"loss": 3.0, "val_loss": 2.0})
    history.append(2, 0.25, 0.05, {"loss": 1.0, "val_loss": 2.5, "val_accuracy": 0.5})
    history.append(3, 0.25, 0.05, {"loss": 0.5})
    return history


def test_arrays() -> None:
    history = recorded()
    assert history.names == ["loss", "val_loss", "val_accuracy"]
    assert len(history) == 3
    np.testing.assert_array_equal(history["loss"], [3.0, 1.0, 0.5])
    np.testing.assert_array_equal(history["val_loss"], [2.0, 2.5, np.nan])
    np.testing.assert_array_equal(history["val_accuracy"], [np.nan, 0.5, np.nan])
    np.testing.assert_array_equal(history.epochs, [1, 2, 3])
    np.testing.assert_array_equal(history.times, [0.5, 0.25, 0.25])
    np.testing.assert_array_equal(history["lr"], [0.1, 0.05, 0.05])
    assert history["loss"].dtype == np.float64
    assert "loss" in history
    assert "lr" in history
    assert "accuracy" not in history
    assert history.best_epoch == 1
    assert "3 epochs" in repr(history)
    with pytest.raises(KeyError, match=r"'accuracy'.*val_loss"):
        history["accuracy"]


def test_arrays_are_copies() -> None:
    history = recorded()
    history["loss"][0] = 99.0
    assert history["loss"][0] == 3.0
    other = copy.deepcopy(history)
    other.append(4, 1.0, 1.0, {"loss": 0.0})
    assert len(history) == 3


def test_empty() -> None:
    history = History()
    assert history.names == []
    assert history.best_epoch is None
    assert history.stopped is None
    assert history.epochs.shape == (0,)
    with pytest.raises(KeyError, match="nothing"):
        history["loss"]
    with pytest.raises(ValueError, match="at least one epoch"):
        history.plot()


def test_a_fit_returns_its_part() -> None:
    net = schuss.Network([schuss.Dense(2, 1)], seed=0)
    X = np.random.default_rng(0).normal(size=(20, 2))
    first = net.fit(X, X[:, 0], loss="mse", epochs=2)
    assert first.stopped == "finished"
    second = net.fit(X, X[:, 0], loss="mse", epochs=3, metrics="r2")
    assert (len(first), len(second), len(net.history)) == (2, 3, 5)
    np.testing.assert_array_equal(net.history["loss"], [*first["loss"], *second["loss"]])
    np.testing.assert_array_equal(net.history["r2"], [np.nan, np.nan, *second["r2"]])
    np.testing.assert_array_equal(second.epochs, [3, 4, 5])
    assert (net.history.times > 0).all()


def test_to_frame() -> None:
    pytest.importorskip("pandas")
    frame = recorded().to_frame()
    assert list(frame.columns) == ["loss", "val_loss", "val_accuracy", "lr", "seconds"]
    assert list(frame.index) == [1, 2, 3]
    assert frame.index.name == "epoch"
    assert frame.loc[2, "val_accuracy"] == 0.5


@pytest.mark.parametrize("module", ["pandas", "matplotlib.figure"])
def test_without_the_package(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    history = recorded()
    with pytest.raises(ImportError, match="pip install"):
        history.to_frame() if module == "pandas" else history.plot()


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figure = recorded().plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["loss", "accuracy (share of rows)"]
    assert [line.get_label() for line in figure.axes[0].lines] == ["training", "validation", "best epoch, 1", "_best"]
    assert figure.get_suptitle() == "Training, 3 epochs: best val_loss 2 in epoch 1"
    assert [axes.get_xlabel() for axes in figure.axes] == ["epoch", "epoch"]
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), [3.0, 1.0, 0.5])
    one = History()
    one.append(1, 0.1, 0.1, {"loss": 1.0})
    one.plot(tmp_path / "one.svg")
    assert "<svg" in (tmp_path / "one.svg").read_text()


def test_what_a_plot_marks() -> None:
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 3)), rng.integers(0, 2, 60)
    net = schuss.Network([schuss.Dense(3, 2)], seed=0)
    stopping = schuss.EarlyStopping(3, monitor="accuracy")
    history = net.fit(X, y, loss="cross_entropy", epochs=50, metrics="accuracy", early_stopping=stopping)
    best = int(history["accuracy"].argmax())
    figure = history.plot()
    assert figure.axes[0].get_ylabel() == "loss (cross_entropy)"
    value = history["accuracy"][best]
    assert figure.get_suptitle() == (
        f"Training, {len(history)} epochs: best accuracy {value:.4g} in epoch {best + 1} (stopped early)"
    )
    points = [[line for line in axes.lines if line.get_label() == "_best"] for axes in figure.axes]
    assert not points[0] and points[1][0].get_xydata().tolist() == [[best + 1, value]]
    assert net.history.plot().axes[0].get_ylabel() == "loss"  # of several fits, maybe
    for again in (copy.deepcopy(history), history):
        assert again.plot().axes[0].get_ylabel() == "loss (cross_entropy)"

    class Recovery:
        epoch = 2

    marked = recorded()
    marked.stopped = "diverged"
    marked.recoveries = [Recovery(), Recovery()]  # type: ignore[attr-defined]
    figure = marked.plot()
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["training", "validation", "best epoch, 1", "recovered, 2 times", "diverged, 4"]
    assert figure.get_suptitle().endswith("(diverged)")
