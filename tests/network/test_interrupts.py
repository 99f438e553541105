"""An interrupt, wherever it comes, leaves a network whole: its parameters, optimizer, history and files."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.files.writing import replace
from schuss.layers import BatchNorm, Dense
from tests.interrupts import broken

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 3)).astype(np.float32)
Y = (X @ RNG.normal(size=(3, 2))).astype(np.float32)


def network() -> schuss.Network:
    return schuss.Network([Dense(3, 4, "relu"), BatchNorm(), Dense(4, 2)], seed=1)


def bits(net: schuss.Network) -> tuple[bytes, int]:
    """Parameters, running means, and how many dropout masks have been drawn."""
    return net._core.flat_parameters.tobytes(), net._core.draws


def own_mse(prediction: Any, target: Any) -> tuple[float, Any]:
    off = prediction - target
    return float((off**2).mean()), (2 * off / off.size).astype(np.float32)


# -- single steps ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mse", own_mse])
def test_train_step(loss: Any) -> None:
    Subject = tuple[schuss.Network, schuss.Optimizer]

    def begin(steps: int = 2) -> Subject:
        net = network()
        return run_on((net, schuss.Adam(net.parameters, lr=0.05)), steps)

    def run_on(subject: Subject, steps: int) -> Subject:
        while subject[1].steps < steps:
            subject[0].train_step(X, Y, loss, subject[1])
        return subject

    wanted = [bits(begin(n)[0]) for n in range(6)]

    def check(subject: Subject) -> None:
        assert bits(subject[0]) == wanted[subject[1].steps]
        assert bits(run_on(subject, 5)[0]) == wanted[5]

    assert not broken(begin, lambda subject: run_on(subject, 3), check)


@pytest.mark.parametrize("loss", ["mse", own_mse])
def test_loss_and_gradients(loss: Any) -> None:
    after = network()
    after.loss_and_gradients(X, Y, loss)
    known = bits(network()), bits(after)

    def check(net: schuss.Network) -> None:
        assert bits(net) in known

    assert not broken(network, lambda net: net.loss_and_gradients(X, Y, loss), check)


# -- fits --------------------------------------------------------------------------------------------------------------


def check_history(net: schuss.Network) -> None:
    """It can be read and saved, and as many epochs are in it as have been made."""
    history = net.history
    lengths = {len(column) for column in (*history._columns.values(), history._epochs, history._times, history._lr)}
    assert lengths == {net.epochs_done}
    assert not net._fitting
    pickle.loads(pickle.dumps(net))


def test_fit_with_early_stopping() -> None:
    """The best parameters of the epochs in the history, and the reason why it ended."""

    def fit(net: schuss.Network, callbacks: Any = ()) -> None:
        net.fit(
            X,
            Y,
            loss="mse",
            optimizer="sgd",
            lr=0.3,
            epochs=3,
            batch_size=4,
            validation_data=(X, -Y),
            early_stopping=schuss.EarlyStopping(5),
            callbacks=callbacks,
        )

    after: dict[int, Any] = {}
    net = network()
    fit(net, [lambda record: after.update({record.epoch: bits(record.network)[0]})])
    assert net.history.best_epoch != 3, "the last one must not be the best"

    def check(net: schuss.Network) -> None:
        check_history(net)
        if net.epochs_done:
            assert bits(net)[0] == after[net.history.best_epoch or 0]
            assert net.history.stopped in ("interrupted", "finished")
        fit(net)

    assert not broken(network, fit, check, every=2)


def test_fit_with_an_average() -> None:
    """The network's wrapper is that of before or that of the fit."""
    Subject = tuple[schuss.Network, schuss.EMA, schuss.EMA]

    def begin() -> Subject:
        net = network()
        net.fit(X, Y, loss="mse", epochs=1)
        assert net.optimizer is not None
        net.wrapper = schuss.EMA(net.optimizer, 0.5)
        return net, net.wrapper, schuss.EMA(schuss.Adam(net.parameters), 0.5)

    def fit(subject: Subject) -> None:
        subject[0].fit(X, Y, loss="mse", optimizer=subject[2], epochs=2, batch_size=4)

    def check(subject: Subject) -> None:
        check_history(subject[0])
        assert subject[0].wrapper in subject[1:]
        fit(subject)
        assert subject[0].wrapper is subject[2]

    assert not broken(begin, fit, check, every=2)


def test_fit_with_a_schedule_free_optimizer() -> None:
    """The parameters are at the average."""
    Subject = tuple[schuss.Network, schuss.ScheduleFreeSGD]

    def begin() -> Subject:
        net = network()
        return net, schuss.ScheduleFreeSGD(net.parameters, lr=0.1)

    def fit(subject: Subject) -> None:
        subject[0].fit(X, Y, loss="mse", optimizer=subject[1], epochs=2, batch_size=4)

    def check(subject: Subject) -> None:
        check_history(subject[0])
        assert not (subject[1].steps and subject[1].training)
        fit(subject)

    assert not broken(begin, fit, check)


def test_fit_that_diverges() -> None:
    """What has diverged goes back, also if the interrupt comes before the error has been made."""

    def begin() -> schuss.Network:
        net = network()
        net.fit(X, Y, loss="mse", optimizer=schuss.SGD(net.parameters, lr=0.01), epochs=2, batch_size=4)
        return net

    def fit(net: schuss.Network) -> None:
        def too_far(record: schuss.EpochRecord) -> None:
            record.optimizer.param_groups[0]["lr"] = 1e38

        with pytest.raises(schuss.DivergenceError):
            net.fit(X, Y, loss="mse", epochs=3, batch_size=4, callbacks=[too_far])

    def check(net: schuss.Network) -> None:
        assert np.isfinite(net._core.flat_parameters).all()
        assert len({len(column) for column in net.history._columns.values()} | {len(net.history)}) == 1
        assert not net._fitting

    assert not broken(begin, fit, check)


# -- states and files --------------------------------------------------------------------------------------------------


def test_states_are_taken_over_whole() -> None:
    trained = network()
    trained.fit(X, Y, loss="mse", epochs=2, batch_size=4)
    parts = trained.__getstate__()

    def look(net: schuss.Network) -> tuple[Any, ...]:
        steps = None if net.optimizer is None else (net.optimizer.steps, net._indices_of(net.optimizer))
        return *bits(net), net.epochs_done, len(net.history), repr(steps)

    known = look(network()), look(trained)

    def check(subject: tuple[schuss.Network, Any]) -> None:
        assert look(subject[0]) in known

    def begin() -> tuple[schuss.Network, Any]:
        return network(), copy.deepcopy(parts)

    assert not broken(begin, lambda subject: subject[0].__setstate__(subject[1]), check, every=2)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files cannot be counted")
def test_files_are_replaced_whole(tmp_path: Path) -> None:
    """Neither is a file left open, nor one beside it for longer than to the next one that is written."""
    path, before, after = str(tmp_path / "net.npz"), b"before" * 100, b"after" * 100

    def begin() -> int:
        for entry in os.listdir(tmp_path):
            os.unlink(tmp_path / entry)
        replace(path, before)
        (tmp_path / f"{schuss.files.writing._prefix('net.npz')}left.schuss.tmp").touch()  # by a writer that was killed
        return len(os.listdir("/proc/self/fd"))

    def check(opened: int) -> None:
        assert Path(path).read_bytes() in (before, after)
        assert len(os.listdir("/proc/self/fd")) == opened
        replace(path, after)
        assert os.listdir(tmp_path) == ["net.npz"]

    assert not broken(begin, lambda _: replace(path, after), check)
