"""`fit(resume=)`: a training that was interrupted goes on to the bits of one that was not."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import schedules
from schuss.callbacks import Checkpoint
from schuss.optim import BY_NAME
from tests.interrupts import broken
from tests.network.file_cases import ENDINGS, rewritten
from tests.network.test_parts import same

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 5))
Y = RNG.integers(0, 3, 90)
Make = Callable[[schuss.Network], dict[str, Any]]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of files here is not that they outlive the machine."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


def network(seed: int = 7, **more: Any) -> schuss.Network:
    made = [schuss.Dense(5, 8), schuss.BatchNorm(), schuss.Dense(8, 8, "relu", dropout=0.2), schuss.Dense(8, 3)]
    return schuss.Network(made, seed=seed, **more)


def stop_at(epoch: int) -> Callable[[schuss.EpochRecord], None]:
    def stop(record: schuss.EpochRecord) -> None:
        if record.epoch == epoch:
            raise KeyboardInterrupt

    return stop


def params(net: schuss.Network) -> Any:
    return net.parameters


CASES: dict[str, Make] = {
    "default": lambda net: {},
    "name": lambda net: {"optimizer": "rmsprop", "lr": 0.01},
    "schedule": lambda net: {"lr": schedules.WarmUp(20, schedules.Cosine(0.01, 60))},
    "function": lambda net: {"lr": lambda step: 0.01 / (1 + step)},
    "plateau": lambda net: {"lr": schedules.ReduceOnPlateau(0.05, patience=1, factor=0.5), "validation_fraction": 0.2},
    "object": lambda net: {"optimizer": schuss.AdamW(params(net), lr=schedules.Cosine(0.01, 60), weight_decay=0.1)},
    "object with a function": lambda net: {"optimizer": schuss.SGD(params(net), lr=lambda t: 0.1 / (1 + t))},
    "average": lambda net: {"optimizer": schuss.EMA(schuss.Lookahead(schuss.Adam(params(net)), k=3), 0.9)},
    "swa": lambda net: {"optimizer": schuss.SWA(schuss.SGD(params(net), lr=0.1), start=10)},
    "groups": lambda net: {
        "optimizer": schuss.Adam(net.parameter_groups({"*.bias": {"lr_factor": 0.1}, "layers.0.*": {"frozen": True}}))
    },
    "schedule free": lambda net: {"optimizer": schuss.ScheduleFreeAdamW(params(net), lr=0.01)},
    "schedule free name": lambda net: {"optimizer": "schedule_free_sgd"},
    "prodigy": lambda net: {"optimizer": "prodigy"},
    "muon": lambda net: {"optimizer": schuss.Muon(params(net), adamw={"lr": 0.01})},
    "soap": lambda net: {"optimizer": schuss.SOAP(params(net), precondition_frequency=2)},
    "early stopping": lambda net: {"early_stopping": 4, "validation_fraction": 0.2, "lr": 0.05},
    "early stopping, last": lambda net: {
        "early_stopping": schuss.EarlyStopping(3, monitor="val_accuracy", ties="last"), "metrics": "accuracy",
        "validation_fraction": 0.2, "lr": 0.05,
    },
    "early stopping, live": lambda net: {
        "early_stopping": schuss.EarlyStopping(2, monitor="loss", restore_best=False), "lr": 0.5, "optimizer": "sgd"
    },
    "dropout": lambda net: {"dropout_factor": schedules.FlatCos(1.0, 60)},
}  # fmt: skip


def trained(path: Path | None, make: Make, epochs: int = 12, stop: int | None = None, **more: Any) -> schuss.Network:
    net = network()
    callbacks: list[Any] = [] if path is None else [Checkpoint(path)]
    if stop is not None:
        callbacks.append(stop_at(stop))
    try:
        net.fit(X, Y, loss="cross_entropy", epochs=epochs, batch_size=16, resume=path, callbacks=callbacks,
                **{**make(net), **more})  # fmt: skip
    except KeyboardInterrupt:
        assert stop is not None
    return net


def alike(a: schuss.Network, b: schuss.Network) -> None:
    """Whether two networks are the same in all that goes on and all that was recorded, but for times."""
    one, two = copy.deepcopy(a.__getstate__()), copy.deepcopy(b.__getstate__())
    for parts in (one, two):
        parts["history"]._times = [0.0] * len(parts["history"])
        if parts["optimizer"] is not None:
            for group in parts["optimizer"]["parts"]["groups"]:
                for entry in ("schedule", "decay_schedule"):
                    if entry in group:
                        group[entry] = repr(group[entry]).partition(" at 0x")[0]
    same(one, two)


@pytest.mark.parametrize("name", CASES)
def test_the_same_bits(name: str, tmp_path: Path) -> None:
    whole = trained(None, CASES[name])
    last = len(whole.history)
    for ending, stops in zip(ENDINGS, ([1, last - 1, last], [min(4, last - 1)]), strict=False):
        path = tmp_path / f"net{ending}"
        for stop in stops:  # one interruption after the other
            partly = trained(path, CASES[name], stop=stop)
            assert partly.history.stopped == "interrupted" and partly.epochs_done == stop
        alike(trained(path, CASES[name]), whole)
        alike(trained(path, CASES[name]), whole)  # nothing is left to be trained


@pytest.mark.parametrize("name", sorted(set(BY_NAME) - {"lbfgs"}))
def test_every_optimizer(name: str, tmp_path: Path) -> None:
    more = {"adamw": {"lr": 0.01}} if name == "muon" else {}
    make: Make = lambda net: {"optimizer": BY_NAME[name](net.parameters, lr=0.01, **more)}  # noqa: E731
    whole = trained(None, make, epochs=4)
    trained(tmp_path / "net.npz", make, epochs=4, stop=2)
    alike(trained(tmp_path / "net.npz", make, epochs=4), whole)


IMAGES = RNG.normal(size=(24, 6, 6, 1))
SERIES = RNG.normal(size=(24, 5, 2))
CODES = RNG.integers(0, 50, (24, 2))


@pytest.mark.parametrize(
    ("layers", "x", "arguments"),
    [
        (lambda: [schuss.Input("x", (6, 6, 1)), schuss.Conv2D(3, 3, "relu"), schuss.GlobalAvgPool(), schuss.Dense(2)],
         IMAGES, {"augment": schuss.Augment(shift=1, flip=True)}),
        (lambda: [schuss.Input("x", (5, 2)), schuss.LSTM(4, dropout=0.2), schuss.Dense(2)],
         SERIES, {"carry_state": True, "batch_size": 8}),
        (lambda: [schuss.Input("x", 2, dtype="int64"), schuss.Embedding(50, 3), schuss.Dense(2)], CODES,
         {"optimizer": lambda net: schuss.Adam(net.parameters, lr=0.01, rows="lazy"), "batch_size": 4}),
        (lambda: [schuss.Input("x", 2, dtype="int64"), schuss.Embedding(50, 3), schuss.Dense(2)], CODES,
         {"optimizer": lambda net: schuss.Adam(net.parameters, lr=0.01, rows="exact"), "batch_size": 4}),
    ],
    ids=["augment", "carry_state", "lazy", "exact"],
)  # fmt: skip
def test_layers_of_other_kinds(layers: Any, x: Any, arguments: dict[str, Any], tmp_path: Path) -> None:
    def train(path: Path | None, stop: int | None = None) -> schuss.Network:
        net = schuss.Network(layers(), seed=3)
        more = {**arguments}
        if "optimizer" in more:
            more["optimizer"] = more["optimizer"](net)
        callbacks = [] if path is None else [Checkpoint(path), *([stop_at(stop)] if stop else [])]
        try:
            net.fit(x, Y[:24] % 2, loss="cross_entropy", epochs=6, resume=path, callbacks=callbacks, **more)
        except KeyboardInterrupt:
            assert stop is not None
        return net

    path = tmp_path / "net.npz"
    train(path, 1)
    train(path, 4)
    alike(train(path), train(None))


def test_history_and_epochs(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    net = network()
    history = net.fit(X, Y, loss="cross_entropy", epochs=3, resume=path, callbacks=Checkpoint(path))
    assert history.epochs.tolist() == [1, 2, 3] and history is not net.history
    other = network(seed=1)  # the seed of the file is that of the training
    told = []
    history = other.fit(
        X, Y, loss="cross_entropy", epochs=5, resume=str(path), callbacks=lambda r: told.append(r.epochs)
    )
    assert history.epochs.tolist() == other.history.epochs.tolist() == [1, 2, 3, 4, 5]
    assert other.seed == 7 and told == [5, 5] and history.stopped == "finished"
    assert network().fit(X, Y, loss="cross_entropy", epochs=2, resume=path).epochs.tolist() == [1, 2, 3]
    whole = network()
    whole.fit(X, Y, loss="cross_entropy", epochs=5)
    alike(other, whole)
    # Without a file yet, epochs are those of the network in all, too.
    assert len(whole.fit(X, Y, loss="cross_entropy", epochs=7, resume=tmp_path / "other.npz")) == 7
    assert not (tmp_path / "other.npz").exists()


def test_metadata_comes_back(tmp_path: Path) -> None:
    net = network()
    net.metadata = {"a": 1}
    net.fit(X, Y, loss="cross_entropy", epochs=2, callbacks=Checkpoint(tmp_path / "net.npz"))
    other = network()
    other.fit(X, Y, loss="cross_entropy", epochs=3, resume=tmp_path / "net.npz")
    assert other.metadata == {"a": 1}


def test_a_given_optimizer_stays_the_network_s(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    trained(path, CASES["average"], stop=5)
    net = network()
    ema = schuss.EMA(schuss.Lookahead(schuss.Adam(net.parameters), k=3), 0.9)
    net.fit(X, Y, loss="cross_entropy", epochs=12, batch_size=16, optimizer=ema, resume=path)
    assert net.wrapper is ema and net.optimizer is ema.optimizer and ema.optimizer.steps == 12 * 6
    with ema.applied():
        pass
    whole = trained(None, CASES["average"])
    for one, other in zip(ema.averages, whole.wrapper.averages, strict=True):  # type: ignore[union-attr]
        np.testing.assert_array_equal(one, other)


def test_what_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    trained(path, CASES["name"], epochs=3)
    other = tmp_path / "other.npz"
    schuss.Network([schuss.Dense(5, 3)], seed=0).save(other)
    wide = tmp_path / "wide.npz"
    network(dtype="float64").save(wide)
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(path.read_bytes()[:-100])
    layers = tmp_path / "layers.npz"
    schuss.Network([schuss.Dense(5, 8), schuss.BatchNorm(), schuss.Dense(8, 8, "tanh"), schuss.Dense(8, 3)]).save(
        layers
    )
    net = network()
    net.fit(X, Y, loss="cross_entropy", epochs=1)
    before = pickle.dumps(copy.deepcopy(net).__getstate__())
    optimizer = net.optimizer
    for told, arguments in [
        ("resume must be of 4 layers", {"resume": other}),
        ("resume must be of a float32 network", {"resume": wide}),
        (r"layers\[2\]", {"resume": layers}),
        ("damaged", {"resume": damaged}),
        ("path must end in|resume must end in", {"resume": tmp_path / "net.txt"}),
        ("optimizer must be the RMSProp of resume=.*; got 'adam'", {"resume": path, "optimizer": "adam"}),
        ("optimizer must be the RMSProp", {"resume": path, "optimizer": schuss.Adam(net.parameters)}),
        ("RMSProp in EMA", {"resume": path, "optimizer": schuss.EMA(schuss.RMSProp(net.parameters))}),
        ("other groups", {"resume": path, "optimizer": schuss.RMSProp(net.parameters[:2])}),
        ("epochs", {"resume": path, "epochs": 0}),
        ("optimizer 'nothing'", {"resume": path, "optimizer": "nothing"}),
        # All is checked although the checkpoint fits; and then all is as before.
        ("batch_size", {"resume": path, "batch_size": 0}),
        ("early_stopping", {"resume": path, "early_stopping": True}),
        ("X must have|columns", {"resume": path, "X": X[:, :3]}),
    ]:
        with pytest.raises(ValueError, match=told):
            net.fit(**{"X": X, "y": Y, "loss": "cross_entropy", "epochs": 5, **arguments})
        assert pickle.dumps(copy.deepcopy(net).__getstate__()) == before, arguments
        assert net.optimizer is optimizer
    with pytest.raises(TypeError, match="resume must be a str or a path; got 3"):
        net.fit(X, Y, loss="cross_entropy", resume=3)  # type: ignore[arg-type]
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(IsADirectoryError):
        net.fit(X, Y, loss="cross_entropy", resume=tmp_path / "folder.npz")


def test_a_given_optimizer_is_as_before_where_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    trained(path, CASES["average"], stop=5)
    net = network()
    ema = schuss.EMA(schuss.Lookahead(schuss.Adam(net.parameters, lr=0.5), k=3), 0.9)
    before = pickle.dumps(copy.deepcopy((net, ema)))
    with pytest.raises(ValueError, match="batch_size"):
        net.fit(X, Y, loss="cross_entropy", optimizer=ema, resume=path, batch_size=0)
    assert pickle.dumps(copy.deepcopy((net, ema))) == before
    assert ema.optimizer.param_groups[0]["lr"] == 0.5


def test_side_by_side(tmp_path: Path) -> None:
    names = ["default", "average", "early stopping", "plateau"]

    def fits(stop: int | None = None, last: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        found = []
        for k, name in enumerate(names):
            net, path = network(), tmp_path / f"{k}.npz"
            callbacks = [Checkpoint(path), *([] if stop is None else [stop_at(stop)])]
            found.append({"network": net, "X": X, "y": Y, "loss": "cross_entropy", "epochs": 12, "batch_size": 16,
                          "resume": path, "callbacks": callbacks, **CASES[name](net)})  # fmt: skip
        found[-1].update(last or {})
        return found

    with pytest.raises(KeyboardInterrupt):
        schuss.fit_side_by_side(fits(4))
    begun = fits()
    before = [pickle.dumps(copy.deepcopy(one["network"])) for one in begun]
    with pytest.raises(ValueError, match=r"fits\[3\]: batch_size"):
        schuss.fit_side_by_side([*begun[:3], {**begun[3], "batch_size": 0}])
    assert [pickle.dumps(copy.deepcopy(one["network"])) for one in begun] == before
    for again in range(2):  # where nothing is left to be trained, too
        begun = fits()
        found = schuss.fit_side_by_side(begun)
        for one, name, history in zip(begun, names, found, strict=True):
            alike(one["network"], trained(None, CASES[name]))
            assert isinstance(history, schuss.History) and len(history) == len(one["network"].history), again


def test_memory_of_early_stopping_is_gone_after_a_fit(tmp_path: Path) -> None:
    net = trained(tmp_path / "net.npz", CASES["early stopping"])
    assert net._stopping is None
    within = schuss.load(tmp_path / "net.npz")
    assert within._stopping is not None
    within.save(tmp_path / "again.npz")
    same(schuss.load(tmp_path / "again.npz").__getstate__(), within.__getstate__())
    same(copy.deepcopy(within).__getstate__(), within.__getstate__())
    # Of something else that is monitored nothing is remembered.
    other = network()
    stopping = schuss.EarlyStopping(50, monitor="loss")
    other.fit(X, Y, loss="cross_entropy", epochs=14, early_stopping=stopping, resume=tmp_path / "net.npz")
    assert other.history.best_epoch is not None


def test_interrupts(tmp_path: Path) -> None:
    """Wherever an interrupt comes, the network is whole, and the next attempt goes on to the same bits."""
    path = tmp_path / "net.npz"
    trained(path, CASES["average"], stop=3)
    data = path.read_bytes()
    whole = trained(None, CASES["average"], epochs=4)

    def begin() -> schuss.Network:
        path.write_bytes(data)
        return network()

    def step(net: schuss.Network) -> None:
        net.fit(X, Y, loss="cross_entropy", epochs=4, batch_size=16, resume=path, callbacks=Checkpoint(path),
                **CASES["average"](net))  # fmt: skip

    def check(net: schuss.Network) -> None:
        step(net)
        alike(net, whole)
        assert [entry.name for entry in tmp_path.iterdir()] == ["net.npz"]

    assert not broken(begin, step, check, every=149)


SCRIPT = """
import sys, time
import numpy as np, schuss
X = np.random.default_rng(0).normal(size=(500, 5))
y = X[:, :1] ** 2
net = schuss.Network([schuss.Dense(5, 16, "tanh"), schuss.Dense(16, 1)], seed=0)
slow = (lambda record: time.sleep(0.01)) if sys.argv[2] == "slow" else ()
net.fit(X, y, loss="mse", epochs=60, validation_fraction=0.2, early_stopping=60, resume=sys.argv[1],
        callbacks=[schuss.callbacks.Checkpoint(sys.argv[1]), *([slow] if slow else [])])
net.save(sys.argv[3])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed(tmp_path: Path) -> None:
    """Killed without warning, again and again, the training ends where it would have ended."""
    path = tmp_path / "net.npz"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def run(path: Path, out: Path, speed: str = "fast") -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SCRIPT, str(path), speed, str(out)], env=env)

    for _ in range(2):
        killed = run(path, tmp_path / "never.npz", "slow")
        before = path.stat().st_mtime_ns if path.exists() else 0
        while not (path.exists() and path.stat().st_mtime_ns != before):
            time.sleep(0.01)
        time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert 0 < schuss.load(path).epochs_done < 60
    for of, out in ((path, "a.npz"), (tmp_path / "fresh.npz", "b.npz")):
        assert run(of, tmp_path / out).wait() == 0
    alike(schuss.load(tmp_path / "a.npz"), schuss.load(tmp_path / "b.npz"))
    assert not (tmp_path / "never.npz").exists()


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_files_say_of_early_stopping_is_checked(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"net{ending}"
    net = trained(path, CASES["early stopping"], epochs=3)
    headers: list[dict[str, Any]] = []
    rewritten(path, lambda header, arrays: headers.append(copy.deepcopy(header)))
    assert headers[0]["version"] == 7 and set(headers[0]["stopping"]) == {"value", "waited", "restores"}
    net.save(path)  # after the fit there is nothing to be remembered
    rewritten(path, lambda header, arrays: headers.append(header))
    assert headers[1]["version"] < 7 and "stopping" not in headers[1]
    path.unlink()

    def changed(header: dict[str, Any], arrays: dict[str, Any], kind: str, value: Any) -> None:
        if kind == "array":
            arrays["stopping.0"] = value(arrays["stopping.0"])
        elif kind == "lacks":
            del header["stopping"][value]
        else:
            header["stopping"][kind] = value

    for kind, value in [
        ("value", "x"), ("value", None), ("waited", -1), ("waited", 1.5), ("restores", 1), ("restores", False),
        ("more", 1), ("lacks", "waited"), ("array", lambda array: array[:-1]), ("array", np.float64),
    ]:  # fmt: skip
        trained(path, CASES["early stopping"], epochs=3)
        rewritten(path, partial(changed, kind=kind, value=value))
        with pytest.raises(ValueError, match="damaged"):
            schuss.load(path)
        path.unlink()


@pytest.mark.parametrize("at", [3, 10, 17])  # of 16 steps before the interruption, 5 an epoch
@pytest.mark.parametrize("named", [False, True])
def test_a_switch_goes_on(tmp_path, at, named):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 3)).astype(np.float32), rng.integers(0, 2, 40)
    path = tmp_path / "point.safetensors"

    def made() -> tuple[schuss.Network, schuss.Switch]:
        net = schuss.Network([schuss.Dense(3, 5, "relu"), schuss.Dense(2)], seed=4)
        adam = schuss.Adam(net.parameters, lr=lambda step: 0.01 / (1 + step))
        return net, schuss.Switch(adam, schuss.SGD(net.parameters, lr=0.1, momentum=0.9), at=at)

    whole, switch = made()
    whole.fit(X, y, loss="cross_entropy", optimizer=switch, batch_size=8, epochs=6)
    net, switch = made()
    if named:
        switch.first._set_lr(0.01)  # a function is in no file
        whole, other = made()
        other.first._set_lr(0.01)
        whole.fit(X, y, loss="cross_entropy", optimizer=other, batch_size=8, epochs=6)
    net.fit(X, y, loss="cross_entropy", optimizer=switch, batch_size=8, epochs=3)
    net.save(path)
    net, switch = made()
    first, second = switch.first, switch.second
    history = net.fit(
        X, y, loss="cross_entropy", optimizer=None if named else switch, batch_size=8, epochs=6, resume=path
    )
    assert len(history) == 6
    for own, expected in zip(net.parameters, whole.parameters, strict=True):
        np.testing.assert_array_equal(own, expected)
    if not named:
        assert (first.steps, second.steps) == (at, 30 - at) and net.wrapper is switch


def test_a_switch_of_others_is_refused(tmp_path):
    X, y = np.zeros((8, 2), np.float32), np.zeros(8, int)
    net = schuss.Network([schuss.Dense(2, 2)], seed=0)
    switch = schuss.Switch(schuss.Adam(net.parameters), schuss.SGD(net.parameters, lr=0.1), at=3)
    net.fit(X, y, loss="cross_entropy", optimizer=switch, batch_size=4, epochs=1)
    net.save(tmp_path / "point.npz")
    before = [array.copy() for array in net.parameters]
    for other in (
        "adam",
        schuss.Adam(net.parameters),
        schuss.Switch(schuss.Adam(net.parameters), schuss.Adam(net.parameters), at=3),
    ):
        with pytest.raises(ValueError, match="optimizer must be the Switch of Adam and SGD of resume"):
            net.fit(X, y, loss="cross_entropy", optimizer=other, epochs=3, resume=tmp_path / "point.npz")
    for array, expected in zip(net.parameters, before, strict=True):
        np.testing.assert_array_equal(array, expected)
