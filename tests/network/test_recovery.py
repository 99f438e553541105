"""Divergence that is survived: `fit(on_divergence="recover")`."""

import contextlib
import copy
import pickle

import numpy as np
import pytest

import schuss
from schuss import schedules
from schuss.files import header
from tests import interrupts

RNG = np.random.default_rng(0)
X = RNG.normal(size=(400, 6)).astype(np.float32)
Y = (X @ RNG.normal(size=6) + 0.1 * RNG.normal(size=400)).astype(np.float32)
RECOVER = {"on_divergence": "recover", "explosion": 10.0}


def network(seed=1, **more):
    layers = [schuss.Dense(6, 8, "relu"), schuss.Dense(1)]
    return schuss.Network(more.get("layers", layers), seed=seed)


def everything(net):
    return (
        [array.tobytes() for array in net.parameters],
        net.epochs_done,
        net.optimizer.steps,
        pickle.dumps(net.optimizer),
    )


def embedded():
    layers = [schuss.Input("codes", 1, dtype="int64"), schuss.Embedding(50, 4), schuss.Dense(1)]
    return schuss.Network(layers, seed=0)


def half_square(prediction, target):
    off = prediction - target.reshape(prediction.shape)
    return float(np.mean(off.astype(np.float64) ** 2) / 2), off / len(off)


def test_a_rate_far_too_large_is_survived():
    tuned = network().fit(X, Y, loss="mse", optimizer="sgd", lr=0.1, epochs=20)
    with pytest.raises(schuss.DivergenceError):
        network().fit(X, Y, loss="mse", optimizer="sgd", lr=100.0, epochs=20)
    net = network()
    history = net.fit(X, Y, loss="mse", optimizer="sgd", lr=100.0, epochs=20, on_divergence="recover")
    assert all(np.isfinite(array).all() for array in net.parameters)
    assert history.stopped == "finished" and list(history.epochs) == list(range(1, 21))
    assert history["loss"][-1] < 1.1 * tuned["loss"][-1]
    first = history.recoveries[0]
    assert (first.epoch, first.lr_before, first.lr_after) == (1, 100.0, 50.0)
    assert not np.isfinite(first.loss) or first.reason in ("gradient", "parameters")
    assert net.history.recoveries == history.recoveries
    for one in history.recoveries:
        assert one.reason in ("loss", "gradient", "parameters", "search", "plateau")
    # The next fit goes on with the rate that was found.
    assert net.optimizer.param_groups[0]["lr"] == history.recoveries[-1].lr_after
    assert not net.fit(X, Y, loss="mse", epochs=1, on_divergence="recover").recoveries


@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_the_same_for_any_number_of_threads(threads):
    nets = []
    for count in (1, threads):
        with schuss.threads(count):
            net = network()
            net.fit(X, Y, loss="mse", optimizer="adam", lr=30.0, epochs=8, **RECOVER)
            nets.append(net)
    assert nets[0].history.recoveries and nets[0].history.recoveries == nets[1].history.recoveries
    assert everything(nets[0]) == everything(nets[1])


def wrapped(make):
    return lambda parameters: make(schuss.Adam(parameters, lr=0.01))


OPTIMIZERS = {
    "sgd": lambda parameters: schuss.SGD(parameters, lr=0.05, momentum=0.9),
    "adam": lambda parameters: schuss.Adam(parameters, lr=0.01),
    "schedule_free": lambda parameters: schuss.optim.ScheduleFreeSGD(parameters, lr=0.05),
    "ema": wrapped(schuss.EMA),
    "lookahead": wrapped(schuss.optim.Lookahead),
    "swa": wrapped(schuss.SWA),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    "layers",
    [
        lambda: [schuss.Dense(6, 8, "relu"), schuss.Dense(1)],
        lambda: [schuss.Dense(6, 8, "relu"), schuss.BatchNorm(), schuss.Dense(8, "relu", dropout=0.2), schuss.Dense(1)],
    ],
)
def test_where_nothing_diverges_not_a_bit_changes(name, layers):
    found = []
    for how in ({}, {"on_divergence": "recover"}, {"explosion": 1e9}, {"on_divergence": "recover", "explosion": 1e9}):
        net = network(layers=layers())
        history = net.fit(X, Y, loss="mse", optimizer=OPTIMIZERS[name](net.parameters), epochs=4, **how)
        assert not history.recoveries
        found.append((everything(net), history["loss"].tobytes(), net.predict(X).tobytes()))
    assert all(one == found[0] for one in found)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_recovers(name):
    net = network(layers=[schuss.Dense(6, 8, "relu"), schuss.BatchNorm(), schuss.Dense(1)])
    optimizer = OPTIMIZERS[name](net.parameters)
    inner = getattr(optimizer, "optimizer", optimizer)
    for group in inner.param_groups:
        group["lr"] = 1e3
    before = net.evaluate(X, Y, loss="mse")["loss"]
    history = net.fit(X, Y, loss="mse", optimizer=optimizer, epochs=10, **RECOVER)
    assert len(history) == 10 and history.recoveries
    assert all(np.isfinite(array).all() for array in net.parameters)
    assert net.evaluate(X, Y, loss="mse")["loss"] < before


def spiked(step):
    """A rate with which the third epoch diverges."""
    return 1e4 if step == 57 else 0.05


def test_going_back_is_to_the_last_bit():
    """A fit that went back is one whose rates were lower from there on."""
    arguments = {"loss": "mse", "batch_size": 20}
    layers = [schuss.Dense(6, 8, "relu", dropout=0.2), schuss.BatchNorm(), schuss.Dense(1)]
    net = network(layers=layers)
    net.fit(X, Y, optimizer=schuss.SGD(net.parameters, lr=spiked, momentum=0.9), epochs=3, **RECOVER, **arguments)
    assert [one.epoch for one in net.history.recoveries[:2]] == [3, 3]
    plain = network(layers=layers)
    plain.fit(X, Y, optimizer=schuss.SGD(plain.parameters, lr=spiked, momentum=0.9), epochs=2, **arguments)
    plain.optimizer.param_groups[0]["schedule"] = net.optimizer.param_groups[0]["schedule"]
    plain.fit(X, Y, epochs=1, **arguments)
    assert everything(plain) == everything(net)
    np.testing.assert_array_equal(plain.predict(X), net.predict(X))


@pytest.mark.parametrize(
    "make",
    [
        lambda lr: schedules.Cosine(lr, 500),
        lambda lr: schedules.WarmUp(20, lr),
        lambda lr: schedules.OneCycle(lr, 500),
        lambda lr: schedules.ReduceOnPlateau(lr, patience=0),
        lambda lr: lambda step: lr / (1 + step / 100),
    ],
)
def test_later_values_of_schedules_are_multiplied(make):
    net = network()
    history = net.fit(X, Y, loss="mse", optimizer="sgd", lr=make(50.0), epochs=12, **RECOVER)
    schedule = net.optimizer.param_groups[0]["schedule"]
    assert isinstance(schedule, schedules.Product) and len(schedule.factors) == 2
    lower = [one for one in history.recoveries if one.reason != "search"]
    assert lower
    factor = schedule.factors[-1](0)
    assert factor == 2.0 ** round(np.log2(factor)) and factor < 1
    assert np.isfinite(history["loss"]).all() and len(history) == 12


def test_plateau_schedules_go_back_too():
    plateau = schedules.ReduceOnPlateau(0.05, patience=5)

    calls = []

    def rate_is_spoiled(record):
        calls.append(record.epoch)
        if len(calls) == 3:
            record.network.parameters[0][...] = 1e30

    net = network()
    net.fit(X, Y, loss="mse", optimizer="sgd", lr=plateau, epochs=6, callbacks=[rate_is_spoiled], **RECOVER)
    assert plateau.state.reports == 6 == len(net.history)
    assert all(np.isfinite(array).all() for array in net.parameters)


def test_early_stopping_keeps_nothing_of_what_is_undone():
    net = network()
    history = net.fit(
        X, Y, loss="mse", optimizer="adam", lr=10.0, epochs=15, validation_fraction=0.25, early_stopping=3, **RECOVER
    )
    assert history.recoveries
    place = list(history.epochs).index(history.best_epoch)
    assert history["val_loss"][place] == min(history["val_loss"])
    assert all(np.isfinite(array).all() for array in net.parameters)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_losses_of_any_sign_explode(sign):
    net = network(layers=[schuss.Dense(6, 8, "relu"), schuss.Dense(2)])
    small = (0.001 * Y).astype(np.float32) if sign < 0 else Y
    history = net.fit(X, small, loss="gaussian", optimizer="adam", lr=10.0, epochs=10, **RECOVER)
    assert any(one.reason == "explosion" for one in history.recoveries)
    assert history["loss"][-1] < history["loss"][0] + 1


def test_an_explosion_is_divergence_without_recovery():
    net = network()
    with pytest.raises(schuss.DivergenceError, match="median loss") as found:
        net.fit(X, Y, loss="mse", optimizer="adam", lr=30.0, epochs=3, explosion=10)
    assert found.value.epoch == 1 and net.history.stopped == "diverged"
    assert everything(net)[0] == [array.tobytes() for array in network().parameters]


def test_an_own_loss_recovers():
    history = network().fit(X, Y, loss=half_square, optimizer="sgd", lr=50.0, epochs=6, **RECOVER)
    assert history.recoveries and np.isfinite(history["loss"]).all()


def test_lost_causes_end_as_ever():
    def nan(prediction, target):
        return float("nan"), np.zeros_like(prediction)

    net = network()
    with pytest.raises(schuss.DivergenceError):
        net.fit(X, Y, loss=nan, optimizer="sgd", on_divergence="recover")
    assert net.history.stopped == "diverged" and not net.history.recoveries
    huge = np.full(400, 3e38, np.float32)
    net = network()
    with pytest.raises(schuss.DivergenceError):
        net.fit(X, huge, loss="mse", optimizer="sgd", lr=1e30, on_divergence="recover")
    assert all(np.isfinite(array).all() for array in net.parameters)


@pytest.mark.parametrize("rows", ["lazy", "exact"])
def test_tables_of_rows_go_back(rows):
    codes = RNG.integers(0, 50, (400, 1))
    found = []
    for how in ({}, {"on_divergence": "recover", "explosion": 1e9}):
        net = embedded()
        net.fit(codes, Y, loss="mse", optimizer=schuss.Adam(net.parameters, lr=0.01, rows=rows), epochs=3, **how)
        found.append(everything(net))
    assert found[0] == found[1]
    net = embedded()
    net.fit(codes, Y, loss="mse", optimizer=schuss.Adam(net.parameters, lr=1e3, rows=rows), epochs=6, **RECOVER)
    assert net.history.recoveries and all(np.isfinite(array).all() for array in net.parameters)


def test_states_that_are_carried_go_back():
    series = RNG.normal(size=(64, 5, 3)).astype(np.float32)
    targets = series.sum(axis=(1, 2)).astype(np.float32)
    net = schuss.Network([schuss.Input("x", (5, 3)), schuss.GRU(4), schuss.Dense(1)], seed=0)
    history = net.fit(
        series, targets, loss="mse", optimizer="sgd", lr=1e3, epochs=6, batch_size=16, carry_state=True, **RECOVER
    )
    assert history.recoveries and len(history) == 6


def test_side_by_side_is_what_fit_does():
    arguments = {"loss": "mse", "optimizer": "sgd", "epochs": 8, "on_divergence": "recover"}
    alone, together = [network(seed) for seed in range(3)], [network(seed) for seed in range(3)]
    for k, net in enumerate(alone):
        net.fit(X, Y, lr=10.0 ** (k + 1), **arguments)
    fits = [{"network": net, "X": X, "y": Y, "lr": 10.0 ** (k + 1), **arguments} for k, net in enumerate(together)]
    assert [len(history) for history in schuss.fit_side_by_side(fits)] == [8, 8, 8]
    for one, other in zip(alone, together, strict=True):
        assert one.history.recoveries == other.history.recoveries and one.history.recoveries
        assert everything(one) == everything(other)


@pytest.mark.parametrize("ending", ["safetensors", "npz"])
def test_files_pickles_and_copies_hold_recoveries(tmp_path, ending):
    net = network()
    net.fit(X, Y, loss="mse", optimizer="sgd", lr=schedules.Cosine(50.0, 600), epochs=6, on_divergence="recover")
    path = tmp_path / f"net.{ending}"
    net.save(path)
    loaded = [schuss.load(path), pickle.loads(pickle.dumps(net)), copy.deepcopy(net)]
    for other in loaded:
        assert repr(other.history.recoveries) == repr(net.history.recoveries)
        assert other.optimizer.param_groups[0]["schedule"] == net.optimizer.param_groups[0]["schedule"]
    for other in (net, *loaded):
        other.fit(X, Y, loss="mse", epochs=2)
    assert len({tuple(everything(other)[0]) for other in (net, *loaded)}) == 1


@pytest.mark.parametrize("wrong", [[1], [0, 1, 1.0, 1.0, 1.0, "loss"], [1, 1, 1.0, 1.0, 1.0, "no"], "x", 7])
def test_recoveries_in_files_are_checked(wrong):
    with pytest.raises((ValueError, TypeError), match="history"):
        header.recovery("history.recoveries[0]", wrong)


def test_wrong_arguments_are_told_by_name():
    for wrong, error, words in (
        ({"on_divergence": "retry"}, ValueError, "on_divergence"),
        ({"on_divergence": True}, TypeError, "on_divergence"),
        ({"explosion": 0}, ValueError, "explosion"),
        ({"explosion": "10"}, TypeError, "explosion"),
        ({"on_divergence": "recover", "restore_on_divergence": False}, ValueError, "restore_on_divergence"),
    ):
        net = network()
        with pytest.raises(error, match=words):
            net.fit(X, Y, loss="mse", **wrong)
        assert net.optimizer is None and net.epochs_done == 0


def test_an_interrupt_at_any_point_leaves_a_network_to_be_used():
    def begin():
        return network()

    def operation(net):
        net.fit(X[:64], Y[:64], loss="mse", optimizer="sgd", lr=30.0, epochs=2, batch_size=16, **RECOVER)

    def check(net):
        assert all(np.isfinite(array).all() for array in net.parameters)
        assert len(net.history) >= net.epochs_done
        net.predict(X)
        # Steps that explode were made until then, as in any fit.
        with contextlib.suppress(schuss.DivergenceError):
            net.fit(X[:64], Y[:64], loss="mse", optimizer="sgd", lr=1e-6, epochs=1)

    assert not interrupts.broken(begin, operation, check, every=37)


@pytest.mark.parametrize(
    ("arguments", "name"), [({"on_divergence": "recover"}, "on_divergence"), ({"explosion": 5.0}, "explosion")]
)
def test_not_with_a_switch(arguments, name):
    X = np.zeros((8, 2), np.float32)
    net = schuss.Network([schuss.Dense(2, 1)], seed=0)
    switch = schuss.Switch(schuss.Adam(net.parameters), schuss.SGD(net.parameters, lr=0.1), at=3)
    with pytest.raises(ValueError, match=f"{name} must be .* with a Switch"):
        net.fit(X, np.zeros(8, np.float32), loss="mse", optimizer=switch, **arguments)
    assert net.optimizer is None


def images():
    layers = [schuss.Input("x", (6, 6, 1)), schuss.Conv2D(3, 3, "relu"), schuss.Flatten(), schuss.Dense(2)]
    return schuss.Network(layers, seed=2)


def dropping():
    return schuss.Network([schuss.Dense(36, 8, "relu", dropout=0.3), schuss.BatchNorm(), schuss.Dense(2)], seed=2)


@pytest.mark.parametrize(
    ("make", "more"),
    [
        (images, {"augment": schuss.Augment(shift=1, flip=True)}),
        (dropping, {"dropout_factor": schedules.Linear(1.0, 100, 0.5)}),
    ],
)
def test_what_was_drawn_is_drawn_again(make, more):
    """A fit that has found its rate in the first epochs ends as one that had it from the start."""
    x = np.random.default_rng(3).normal(size=(96, 36)).astype(np.float32)
    y = (x[:, 0] > 0).astype(int)
    net, plain = make(), make()
    x = x.reshape(-1, 6, 6, 1) if make is images else x
    arguments = {"loss": "cross_entropy", "optimizer": "sgd", "epochs": 4, "batch_size": 8, **more}
    history = net.fit(x, y, lr=300.0, **RECOVER, **arguments)
    assert history.recoveries and {one.reason for one in history.recoveries}.isdisjoint({"plateau"})
    plain.fit(x, y, lr=history.recoveries[-1].lr_after, **arguments)
    for array, other in zip(net.parameters, plain.parameters, strict=True):
        np.testing.assert_array_equal(array, other)


def test_a_negative_loss_explodes():
    """The likelihood of narrow values is above 1, so its loss is below 0 before the steps that spoil it."""
    y = 0.01 * Y
    net = schuss.Network([schuss.Dense(6, 8, "relu"), schuss.Dense(2)], seed=1)
    net.fit(X, y, loss="gaussian", optimizer="adam", lr=0.01, epochs=60)
    start = net.evaluate(X, y, loss="gaussian")["loss"]
    assert start < -1
    history = net.fit(X, y, loss="gaussian", lr=10.0, epochs=5, **RECOVER)
    assert history.recoveries and np.isfinite(history["loss"]).all()
    assert net.evaluate(X, y, loss="gaussian")["loss"] < start + 0.5
