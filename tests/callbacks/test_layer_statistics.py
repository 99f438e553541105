"""How large parameters, gradients and updates are in each layer, and which units are dead."""

from __future__ import annotations

import copy
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.callbacks import LayerStatistics

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = RNG.integers(0, 3, 60)


def network(dropout: float = 0.3) -> schuss.Network:
    made = [schuss.Dense(4, 10, "relu"), schuss.BatchNorm(), schuss.Residual([schuss.Dense(10, 10, "relu")]),
            schuss.Activation("relu"), schuss.Dense(10, 3, dropout=dropout)]  # fmt: skip
    return schuss.Network(made, seed=1)


def test_numbers() -> None:
    """Beside what a step of a copy does, computed here."""
    net = schuss.Network([schuss.Dense(4, 6, "relu"), schuss.Dense(6, 3)], seed=0)
    net.parameters[1][2] = -100.0  # a dead unit
    statistics = LayerStatistics(X[:20], Y[:20])
    found: list[Any] = []

    def look(record: schuss.EpochRecord) -> None:
        other = copy.deepcopy(record.network)
        before = [p.copy() for p in other.parameters]
        other.loss_and_gradients(X[:20], Y[:20], "cross_entropy")
        gradients = [g.copy() for g in other.gradients]
        other.train_step(X[:20], Y[:20], "cross_entropy", other.optimizer)
        updates = [after - p for after, p in zip(other.parameters, before, strict=True)]
        found.append([[np.sqrt(sum((a.astype(float) ** 2).sum() for a in of[k : k + 2])) for k in (0, 2)]
                      for of in (before, gradients, updates)])  # fmt: skip

    net.fit(X, Y, loss="cross_entropy", epochs=3, callbacks=[statistics, look], optimizer="adam")
    assert statistics.layers == ["layers.0", "layers.1"] and statistics.epochs.tolist() == [1, 2, 3]
    for k, name in enumerate(["parameters", "gradients", "updates"]):
        np.testing.assert_allclose(statistics[name], [of[k] for of in found], rtol=1e-12)
    np.testing.assert_allclose(statistics["ratio"], statistics["updates"] / statistics["parameters"])
    hidden = np.maximum(X[:20].astype(np.float32) @ net.parameters[0] + net.parameters[1], 0.0)
    assert statistics["dead"][-1][0] == (hidden == 0).all(axis=0).mean() >= 1 / 6
    assert np.isnan(statistics["dead"][:, 1]).all()


@pytest.mark.parametrize("optimizer", ["adam", "schedule_free_adamw", "prodigy", "sgd"])
def test_bits_are_those_without(optimizer: str) -> None:
    nets = [network(), network()]
    for net, callbacks in zip(nets, ([], [LayerStatistics(X[:10], Y[:10])]), strict=True):
        net.fit(X, Y, loss="cross_entropy", epochs=4, optimizer=optimizer, callbacks=callbacks, batch_size=16)
    for one, other in zip(nets[0].parameters, nets[1].parameters, strict=True):
        np.testing.assert_array_equal(one, other)
    assert nets[0]._core.draws == nets[1]._core.draws
    for one, other in zip(nets[0]._core.states, nets[1]._core.states, strict=True):
        np.testing.assert_array_equal(one, other)


def test_layers_of_all_kinds() -> None:
    net = network()
    statistics = LayerStatistics(X, Y, every=2)
    net.fit(X, Y, loss="cross_entropy", epochs=5, callbacks=statistics)
    assert statistics.epochs.tolist() == [2, 4]
    assert statistics.layers == ["layers.0", "layers.1", "layers.2.layers.0", "layers.3", "layers.4"]
    dead = statistics["dead"]
    assert np.isfinite(dead[:, [0, 3]]).all() and np.isnan(dead[:, [1, 2, 4]]).all()
    assert np.isnan(statistics["ratio"][:, 3]).all()  # without parameters
    images = schuss.Network(
        [schuss.Input("x", (6, 6, 1)), schuss.Conv2D(4, 3, "relu"), schuss.GlobalAvgPool(), schuss.Dense(2)], seed=0
    )
    x, y = RNG.normal(size=(12, 6, 6, 1)), RNG.integers(0, 2, 12)
    statistics = LayerStatistics(x, y)
    images.fit(x, y, loss="cross_entropy", epochs=2, callbacks=statistics)
    assert np.isfinite(statistics["dead"][:, 0]).all() and np.isfinite(statistics["ratio"]).all()


def test_frozen_layers() -> None:
    net = schuss.Network([schuss.Dense(4, 6, "relu"), schuss.Dense(6, 3)], seed=0)
    statistics = LayerStatistics(X, Y)
    optimizer = schuss.Adam(net.parameter_groups({"layers.0.*": {"frozen": True}}))
    net.fit(X, Y, loss="cross_entropy", epochs=1, optimizer=optimizer, callbacks=statistics)
    assert statistics["updates"][0][0] == 0.0 < statistics["updates"][0][1]


def test_records(tmp_path: Path) -> None:
    statistics = LayerStatistics(X, Y)
    net = network()
    net.fit(X, Y, loss="cross_entropy", epochs=3, callbacks=statistics)
    net.fit(X, Y, loss="cross_entropy", epochs=2, callbacks=statistics)
    assert statistics.epochs.tolist() == [4, 5] and len(statistics) == 2  # of the last fit
    for other in (pickle.loads(pickle.dumps(statistics)), copy.deepcopy(statistics)):
        np.testing.assert_array_equal(other["ratio"], statistics["ratio"])
        assert other._network is None
    if "pandas" in sys.modules or pytest.importorskip("pandas"):
        frame = statistics.to_frame()
        assert frame.loc[(5, "layers.0"), "ratio"] == statistics["ratio"][1, 0] and len(frame) == 10
    with pytest.raises(KeyError, match="'rato' is none of parameters"):
        statistics["rato"]
    assert repr(statistics) == "LayerStatistics(2 looks at 5 layers)"


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    statistics = LayerStatistics(X, Y)
    with pytest.raises(ValueError, match="at least one look"):
        statistics.plot()
    network().fit(X, Y, loss="cross_entropy", epochs=3, callbacks=statistics)
    figure = statistics.plot(tmp_path / "layers.png")
    assert (tmp_path / "layers.png").stat().st_size > 10_000
    assert [axes.get_title() for axes in figure.axes] == [
        "parameters", "gradients", "next update", "next update : parameters", "dead units",
    ]  # fmt: skip
    assert all(axes.get_xlabel() == "epoch" and axes.get_ylabel() for axes in figure.axes)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == statistics.layers


def test_refusals() -> None:
    net = network()
    for error, told, made in [
        (ValueError, "LayerStatistics: .*finite", LayerStatistics(np.full((3, 4), np.nan), Y[:3])),
        (ValueError, "LayerStatistics: ", LayerStatistics(X[:, :2], Y)),
        (ValueError, "LayerStatistics: ", LayerStatistics(X, Y, "los")),
    ]:
        with pytest.raises(error, match=told):
            net.fit(X, Y, loss="cross_entropy", callbacks=made)
    assert net.epochs_done == 0
    with pytest.raises(ValueError, match="every must be"):
        LayerStatistics(X, Y, every=0)
    with pytest.raises(ValueError, match="loss must be given"):
        LayerStatistics(X, Y)(schuss.EpochRecord(1, 1, {}, net, None, 1.0, np.zeros(1)))  # type: ignore[arg-type]


def test_a_step_that_would_diverge() -> None:
    net = schuss.Network([schuss.Dense(4, 1)], seed=0)
    statistics = LayerStatistics(X * 1e30, Y * 1e30, "mse")
    net.fit(X, Y, loss="mse", epochs=1, callbacks=statistics)
    assert np.isnan(statistics["ratio"]).all() and np.isfinite(statistics["parameters"]).all()
