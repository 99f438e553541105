"""A fit that ends in time, and what callbacks have in common."""

from __future__ import annotations

import pickle
import time
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.callbacks import Callback, FitRecord, TimeLimit

X = np.random.default_rng(0).normal(size=(40, 3))


def fit(*callbacks: Any, epochs: int = 1000, net: schuss.Network | None = None, **more: Any) -> schuss.History:
    net = net or schuss.Network([schuss.Dense(3, 1)], seed=0)
    return net.fit(X, X[:, 0], loss="mse", epochs=epochs, callbacks=callbacks, **more)


def test_time() -> None:
    limit = TimeLimit(0.3)
    for _ in range(2):  # each fit has its own
        start = time.perf_counter()
        history = fit(limit, lambda record: time.sleep(0.01))
        assert history.stopped == "callback"
        assert time.perf_counter() - start >= 0.3
        assert len(history) <= 31
    assert len(fit(TimeLimit(1e-9))) == 1
    assert fit(TimeLimit(1e6), epochs=3).stopped == "finished"
    assert repr(pickle.loads(pickle.dumps(limit))) == "TimeLimit(0.3)"


def test_no_epoch_beyond() -> None:
    limit = TimeLimit(10.0)
    limit._start = time.perf_counter() - 7.0
    record = schuss.EpochRecord(1, 9, {}, None, None, 2.0, np.zeros(1))  # type: ignore[arg-type]
    assert not limit(record)
    limit._start -= 2.0
    assert limit(record)


def test_side_by_side() -> None:
    nets = [schuss.Network([schuss.Dense(3, 1)], seed=k) for k in range(3)]
    found = schuss.fit_side_by_side(
        {"network": net, "X": X, "y": X[:, 0], "loss": "mse", "epochs": 10**6, "callbacks": TimeLimit(0.2)}
        for net in nets
    )
    assert [one.stopped for one in found] == ["callback"] * 3  # type: ignore[union-attr]


@pytest.mark.parametrize("wrong", [0, -1.0, float("inf"), float("nan")])
def test_refusals(wrong: float) -> None:
    with pytest.raises(ValueError, match="seconds must be a number in"):
        TimeLimit(wrong)


class Told(Callback):
    def __init__(self) -> None:
        self.told: list[Any] = []

    def begin(self, fit: FitRecord) -> None:
        self.told.append((fit.epochs_done, fit.epochs, fit.names, type(fit.loss).__name__, fit.resumed))

    def __call__(self, record: schuss.EpochRecord) -> bool:
        self.told.append(record.epoch)
        return record.epoch == 5

    def end(self, stopped: str) -> None:
        self.told.append(stopped)


def test_callbacks_are_told_of_beginning_and_end() -> None:
    net, told = schuss.Network([schuss.Dense(3, 1)], seed=0), Told()
    fit(told, net=net, epochs=2, validation_fraction=0.2)
    fit(told, net=net, epochs=9)
    first = (0, 2, ("loss", "val_loss"), "MSE", False)
    assert told.told == [first, 1, 2, "finished", (2, 11, ("loss",), "MSE", False), 3, 4, 5, "callback"]

    def fail(record: schuss.EpochRecord) -> None:
        raise OSError("full")

    for error, stopped, more in ((OSError, "failed", fail), (schuss.DivergenceError, "diverged", None)):
        told = Told()
        with pytest.raises(error):
            fit(told, *([more] if more else []), lr=None if more else 1e30, optimizer="sgd")
        assert told.told[-1] == stopped


def test_an_error_at_the_beginning_leaves_all_as_it_was() -> None:
    class Refuses(Callback):
        def begin(self, fit: FitRecord) -> None:
            raise ValueError("no")

    net = schuss.Network([schuss.Dense(3, 1)], seed=0)
    before = pickle.dumps(net)
    with pytest.raises(ValueError, match="no"):
        fit(Refuses(), net=net)
    assert pickle.dumps(net) == before


def test_side_by_side_all_begin_or_none() -> None:
    class Refuses(Callback):
        def begin(self, fit: FitRecord) -> None:
            raise OSError("no")

    nets, told = [schuss.Network([schuss.Dense(3, 1)], seed=k) for k in range(2)], Told()
    fits = [
        {"network": net, "X": X, "y": X[:, 0], "loss": "mse", "callbacks": callback, "validation_fraction": 0.2,
         "early_stopping": 3}
        for net, callback in zip(nets, (told, Refuses()), strict=True)
    ]  # fmt: skip
    with pytest.raises(OSError, match="no"):
        schuss.fit_side_by_side(fits)
    assert told.told[1:] == ["failed"] and nets[0]._stopping is None and nets[0].epochs_done == 0
    fit(told, net=nets[0], epochs=1)


def test_several_at_once(tmp_path: Any) -> None:
    pytest.importorskip("tensorboardX")
    from schuss.callbacks import Checkpoint, CSVLogger, LayerStatistics, TensorBoard

    def train(*callbacks: Any) -> bytes:
        net = schuss.Network([schuss.Dense(3, 4, "relu", dropout=0.2), schuss.Dense(4, 1)], seed=0)
        fit(*callbacks, net=net, epochs=6, validation_fraction=0.2, early_stopping=3)
        return net._core.flat_parameters.tobytes()

    path = tmp_path / "net.npz"
    all_of_them = [CSVLogger(tmp_path / "a.csv"), TensorBoard(tmp_path / "runs"), Checkpoint(path, best=2),
                   TimeLimit(1000), LayerStatistics(X, X[:, 0])]  # fmt: skip
    assert train(*all_of_them) == train()
