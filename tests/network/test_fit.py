"""Network.fit and the single steps beside it."""

from __future__ import annotations

import copy
import io
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.optim import BY_NAME


def blobs(rows: int = 240, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, classes, rows)
    return (rng.normal(size=(rows, 6)) + 2.0 * np.eye(6)[y]).astype(np.float32), y


def classifier(seed: int = 0, activation: str = "identity", dropout: float = 0.0) -> schuss.Network:
    layers = [schuss.Dense(6, 12, "relu", dropout=dropout), schuss.Dense(12, 3, activation)]
    return schuss.Network(layers, seed=seed)


def assert_same(a: schuss.Network, b: schuss.Network) -> None:
    for p, q in zip(a.parameters, b.parameters, strict=True):
        np.testing.assert_array_equal(p, q)
    assert (a.epochs_done, a._core.draws) == (b.epochs_done, b._core.draws)
    if a.optimizer is not None or b.optimizer is not None:
        assert a.optimizer is not None
        assert b.optimizer is not None
        np.testing.assert_equal(a.optimizer.state_dict(), b.optimizer.state_dict())


LEARNING_RATES = {"sgd": 0.3, "schedule_free_sgd": 1.0, "asgd": 0.3, "lion": 0.01, "signum": 0.01}
LEARNING_RATES |= {"adadelta": 3.0, "lars": 10.0}


@pytest.mark.parametrize("activation", ["identity", "softmax"])
@pytest.mark.parametrize("optimizer", list(BY_NAME))
def test_it_learns(optimizer: str, activation: str) -> None:
    X, y = blobs()
    net = classifier(activation=activation)
    history = net.fit(
        X, y, loss="cross_entropy", optimizer=optimizer, lr=LEARNING_RATES.get(optimizer, 0.05), epochs=15,
        metrics="accuracy", validation_fraction=0.25,
    )  # fmt: skip
    assert history.names == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history["loss"][-1] < history["loss"][0]
    assert history["val_accuracy"][-1] > 0.8
    assert net.evaluate(X, y, "cross_entropy", "accuracy")["accuracy"] > 0.8
    if activation == "softmax":
        np.testing.assert_allclose(net.predict(X).sum(axis=1), 1.0, rtol=1e-5)


@pytest.mark.parametrize(
    ("loss", "make_y"),
    [
        ("mse", lambda z: z),
        ("mae", lambda z: z),
        (schuss.Huber(0.5), lambda z: z),
        ("poisson", lambda z: np.exp(z)),
        ("binary_cross_entropy", lambda z: z > 0),
        (lambda p, t: (float(((p - t) ** 2).mean()), 2 * (p - t) / p.size), lambda z: z.reshape(-1, 1)),
    ],
)
def test_losses_of_one_output(loss: Any, make_y: Any) -> None:
    X, _ = blobs()
    y = make_y(0.5 * X[:, 0] - 0.25 * X[:, 1])
    net = schuss.Network([schuss.Dense(6, 8, "tanh"), schuss.Dense(8, 1)], seed=0)
    before = net.evaluate(X, y, loss)["loss"]
    history = net.fit(X, y, loss=loss, lr=0.02, epochs=15, validation_data=(X, y))
    assert history["val_loss"][-1] < before
    assert net.evaluate(X, y, loss)["loss"] == pytest.approx(history["val_loss"][-1])
    if not callable(loss):
        column = np.asarray(y).reshape(-1, 1)
        assert net.evaluate(X, column, loss) == net.evaluate(X, y, loss)


def test_own_loss_gives_the_same_as_the_compiled_one() -> None:
    X, _ = blobs()
    y = X[:, :1].copy()

    def mse(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        difference = prediction - target
        return float((difference**2).mean()), 2 * difference / difference.size

    nets = [schuss.Network([schuss.Dense(6, 8, "tanh"), schuss.Dense(8, 1)], seed=3) for _ in range(4)]
    curves = [net.fit(X, y, loss=loss, epochs=3) for net, loss in zip(nets[:2], ("mse", mse), strict=True)]
    np.testing.assert_allclose(curves[0]["loss"], curves[1]["loss"], rtol=1e-5)
    optimizers = [schuss.Adam(net.parameters) for net in nets[2:]]
    for k in range(0, 240, 32):
        values = [
            net.train_step(X[k : k + 32], y[k : k + 32], loss, optimizer)
            for net, loss, optimizer in zip(nets[2:], ("mse", mse), optimizers, strict=True)
        ]
        assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_fit_is_the_same_as_single_steps() -> None:
    X, y = blobs(70)
    fitted, stepped = classifier(dropout=0.3), classifier(dropout=0.3)
    history = fitted.fit(X, y, loss="cross_entropy", epochs=3, batch_size=16, shuffle=False, clip_norm=0.5)
    optimizer = schuss.Adam(stepped.parameters)
    for _ in range(3):
        total = 0.0
        for k in range(0, 70, 16):
            x, t = X[k : k + 16], y[k : k + 16]
            total += len(x) * stepped.train_step(x, t, "cross_entropy", optimizer, clip_norm=0.5)
    assert total / 70 == pytest.approx(history["loss"][-1], rel=1e-6)
    for p, q in zip(fitted.parameters, stepped.parameters, strict=True):
        np.testing.assert_array_equal(p, q)


def test_the_three_ways_to_step_agree() -> None:
    X, y = blobs(32)
    one, two, three = classifier(), classifier(), classifier()
    a, b, c = (schuss.Adam(net.parameters) for net in (one, two, three))
    for _ in range(5):
        loss = one.train_step(X, y, "cross_entropy", a)
        assert two.loss_and_gradients(X, y, "cross_entropy") == loss
        b.step(two.gradients)
        logits = three.forward(X).astype(np.float64)
        q = np.exp(logits - logits.max(axis=1, keepdims=True))
        q /= q.sum(axis=1, keepdims=True)
        dx = three.backward(((q - np.eye(3)[y]) / 32).astype(np.float32))
        assert dx.shape == X.shape
        c.step(three.gradients)
    for p, q, r in zip(one.parameters, two.parameters, three.parameters, strict=True):
        np.testing.assert_array_equal(p, q)
        np.testing.assert_allclose(p, r, rtol=1e-3, atol=1e-4)


def test_an_optimizer_of_some_parameters_trains_those() -> None:
    X, y = blobs()
    net = classifier()
    first = [p.copy() for p in net.parameters]
    net.fit(X, y, loss="cross_entropy", optimizer=schuss.Adam(net.parameters[2:], lr=0.01), epochs=1)
    np.testing.assert_array_equal(net.parameters[0], first[0])
    assert not np.array_equal(net.parameters[2], first[2])

    def own(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        return float(prediction.sum()), np.ones_like(prediction)

    net.train_step(X, y, own, schuss.SGD([net.parameters[3], net.parameters[2]]))
    np.testing.assert_array_equal(net.parameters[0], first[0])


def test_fit_goes_on_where_it_stopped() -> None:
    X, y = blobs()
    whole, parts = classifier(dropout=0.2), classifier(dropout=0.2)
    options: dict[str, Any] = {"loss": "cross_entropy", "optimizer": "adam", "validation_fraction": 0.1}
    curve = whole.fit(X, y, epochs=6, **options)
    first = parts.fit(X, y, epochs=2, **options)
    optimizer = parts.optimizer
    second = parts.fit(X, y, epochs=4, **options)
    assert parts.optimizer is optimizer
    assert_same(whole, parts)
    np.testing.assert_array_equal(curve["loss"], [*first["loss"], *second["loss"]])
    np.testing.assert_array_equal(parts.history["val_loss"], curve["val_loss"])
    np.testing.assert_array_equal(second.epochs, [3, 4, 5, 6])
    np.testing.assert_array_equal(parts.history.epochs, curve.epochs)


def test_which_optimizer_goes_on() -> None:
    X, y = blobs(32)
    net = classifier()
    net.fit(X, y, loss="cross_entropy", optimizer="sgd", lr=0.25, epochs=1)
    first = net.optimizer
    assert isinstance(first, schuss.SGD)
    net.fit(X, y, loss="cross_entropy", epochs=1)
    assert net.optimizer is first
    net.fit(X, y, loss="cross_entropy", optimizer="sgd", lr=0.125, epochs=1)
    assert net.optimizer is first
    assert first.param_groups[0]["lr"] == 0.125
    net.fit(X, y, loss="cross_entropy", optimizer="adam", epochs=1)
    assert isinstance(net.optimizer, schuss.Adam)
    assert net.optimizer.steps == 1
    mine = schuss.AdaGrad(net.parameters)
    net.fit(X, y, loss="cross_entropy", optimizer=mine, epochs=2)
    assert net.optimizer is mine
    assert mine.steps == 2


def test_shuffling_follows_from_the_seed() -> None:
    X, y = blobs()
    a, b = classifier(5), classifier(5)
    a.fit(X, y, loss="cross_entropy", epochs=2)
    b.fit(X, y, loss="cross_entropy", epochs=2)
    assert_same(a, b)
    c = classifier(5)
    c.fit(X, y, loss="cross_entropy", epochs=2, shuffle=False)
    assert not np.array_equal(a.parameters[0], c.parameters[0])


def test_seed_from_the_system_is_visible_and_repeats() -> None:
    net = schuss.Network([schuss.Dense(6, 3)])
    again = schuss.Network([schuss.Dense(6, 3)], seed=net.seed)
    np.testing.assert_array_equal(net.parameters[0], again.parameters[0])
    assert net.seed != schuss.Network([schuss.Dense(6, 3)]).seed


def test_batch_sizes() -> None:
    X, y = blobs(50)
    steps = {None: 1, 1: 50, 16: 4, 50: 1, 1000: 1}
    for batch_size, count in steps.items():
        net = classifier()
        net.fit(X, y, loss="cross_entropy", epochs=2, batch_size=batch_size)
        assert net.optimizer is not None
        assert net.optimizer.steps == 2 * count


def test_schedule_is_asked_once_a_step() -> None:
    X, y = blobs(50)
    net = classifier()
    asked: list[int] = []

    def schedule(step: int) -> float:
        asked.append(step)
        return 0.1 / (1 + step)

    optimizer = schuss.SGD(net.parameters, lr=schedule)
    asked.clear()
    history = net.fit(X, y, loss="cross_entropy", optimizer=optimizer, epochs=3, batch_size=25)
    assert asked == list(range(6))
    np.testing.assert_allclose(history.lr, [0.1 / 2, 0.1 / 4, 0.1 / 6])
    np.testing.assert_array_equal(history["lr"], history.lr)
    other = classifier()
    stepped = schuss.SGD(other.parameters, lr=0.1)
    for epoch in range(3):
        for k in (0, 1):
            stepped.param_groups[0]["lr"] = 0.1 / (1 + 2 * epoch + k)
            rows = schuss._core.permutation(50, 0, epoch)[25 * k : 25 * k + 25]
            other.train_step(X[rows], y[rows], "cross_entropy", stepped)
    for p, q in zip(net.parameters, other.parameters, strict=True):
        np.testing.assert_array_equal(p, q)


def test_one_schedule_for_all_groups_in_fit() -> None:
    X, y = blobs(50)
    net = classifier()
    groups = [{"params": net.parameters[:2], "lr": lambda step: 0.1}, {"params": net.parameters[2:]}]
    optimizer = schuss.SGD(groups)
    with pytest.raises(ValueError, match="schedule"):
        net.fit(X, y, loss="cross_entropy", optimizer=optimizer)
    net.train_step(X, y, "cross_entropy", optimizer)


def test_a_changed_lr_takes_effect_at_the_next_epoch() -> None:
    X, y = blobs(50)
    net = classifier()

    def freeze(record: schuss.EpochRecord) -> None:
        if record.epoch == 2:
            record.optimizer.param_groups[0]["lr"] = 0.0
            saved.extend(p.copy() for p in record.network.parameters)

    saved: list[np.ndarray] = []
    history = net.fit(X, y, loss="cross_entropy", epochs=4, callbacks=freeze)  # type: ignore[arg-type]
    np.testing.assert_array_equal(history.lr, [1e-3, 1e-3, 0, 0])
    for p, q in zip(net.parameters, saved, strict=True):
        np.testing.assert_array_equal(p, q)


def test_weights() -> None:
    X, y = blobs(60)
    keep = np.arange(60) % 3 > 0
    whole, part = classifier(), classifier()
    weight = keep.astype(float)
    assert whole.evaluate(X, y, "cross_entropy", "accuracy", sample_weight=weight) == pytest.approx(
        part.evaluate(X[keep], y[keep], "cross_entropy", "accuracy"), rel=1e-6
    )
    a = whole.loss_and_gradients(X, y, "cross_entropy", sample_weight=weight)
    b = part.loss_and_gradients(X[keep], y[keep], "cross_entropy")
    assert a == pytest.approx(b, rel=1e-6)
    for p, q in zip(whole.gradients, part.gradients, strict=True):
        np.testing.assert_allclose(p, q, atol=1e-6)
    whole.fit(X, y, loss="cross_entropy", sample_weight=weight, batch_size=None, epochs=3)
    part.fit(X[keep], y[keep], loss="cross_entropy", batch_size=None, epochs=3)
    np.testing.assert_allclose(whole.history["loss"], part.history["loss"], rtol=1e-5)


def test_class_weights() -> None:
    X, y = blobs(90)
    y[:60] = 0
    net = classifier()
    counts = np.bincount(y, minlength=3)
    balanced = 90 / (3 * counts)
    expected = net.evaluate(X, y, "cross_entropy", sample_weight=balanced[y])
    for weight in ("balanced", balanced, dict(enumerate(balanced))):
        assert net.evaluate(X, y, "cross_entropy", class_weight=weight) == expected
    both = net.evaluate(X, y, "cross_entropy", class_weight={2: 3.0}, sample_weight=np.arange(90.0))
    assert both == net.evaluate(X, y, "cross_entropy", sample_weight=np.arange(90.0) * np.where(y == 2, 3.0, 1.0))
    assert net.loss_and_gradients(X, y, "cross_entropy", class_weight="balanced") == pytest.approx(expected["loss"])
    two = schuss.Network([schuss.Dense(6, 1)], seed=0)
    binary = (y > 0).astype(float)
    assert two.evaluate(X, binary, "binary_cross_entropy", class_weight={1: 2.0}) == two.evaluate(
        X, binary, "binary_cross_entropy", sample_weight=1 + binary
    )
    # Absent classes count for nothing, and validation is not class-weighted.
    few = y.copy()
    few[few == 2] = 1
    history = classifier().fit(
        X, few, loss="cross_entropy", class_weight="balanced", epochs=1, validation_data=(X, few), lr=0.0
    )
    assert history["val_loss"][0] == pytest.approx(classifier().evaluate(X, few, "cross_entropy")["loss"])
    assert history["loss"][0] != pytest.approx(history["val_loss"][0], rel=1e-6)


def test_validation_split_follows_from_the_seed() -> None:
    X, y = blobs(100)
    seen = []
    for seed in (0, 0, 1):
        net = classifier(seed)
        history = net.fit(X, y, loss="cross_entropy", epochs=1, validation_fraction=0.2)
        seen.append(history["val_loss"][0])
        assert net.optimizer is not None
        assert net.optimizer.steps == 3
    assert seen[0] == seen[1] != seen[2]


def test_probability_targets_are_the_same_as_labels() -> None:
    X, y = blobs()
    labels, rows = classifier(), classifier()
    labels.fit(X, y, loss=schuss.CrossEntropy(0.1), epochs=2, metrics="accuracy")
    rows.fit(X, np.eye(3)[y], loss=schuss.CrossEntropy(0.1), epochs=2, metrics="accuracy")
    np.testing.assert_allclose(labels.history["loss"], rows.history["loss"], rtol=1e-5)
    np.testing.assert_allclose(labels.history["accuracy"], rows.history["accuracy"], atol=0.01)


@pytest.mark.parametrize("activation", ["identity", "sigmoid"])
def test_accuracy_of_binary_outputs(activation: str) -> None:
    X, y = blobs(classes=2)
    net = schuss.Network([schuss.Dense(6, 1, activation)], seed=0)
    history = net.fit(X, y, loss="binary_cross_entropy", lr=0.1, epochs=5, metrics="accuracy")
    threshold = 0.5 if activation == "sigmoid" else 0.0
    assert history["accuracy"][-1] == ((net.predict(X)[:, 0] > threshold) == y).mean()
    assert history["accuracy"][-1] > 0.8


def test_metrics_of_numbers() -> None:
    X, _ = blobs()
    y = np.stack([X[:, 0], X[:, 1] * 2], axis=1).astype(np.float64)
    net = schuss.Network([schuss.Dense(6, 2)], seed=0, dtype="float64")

    def worst(prediction: np.ndarray, target: np.ndarray) -> float:
        return float(np.abs(prediction - target).max())

    w = np.random.default_rng(0).random(len(X))
    found = net.evaluate(X, y, "mse", ["mse", "mae", "r2", worst], sample_weight=w)
    d = net.predict(X) - y
    centre = np.average(y, axis=0, weights=w)
    r2 = 1 - np.average(d**2, axis=0, weights=w) / np.average((y - centre) ** 2, axis=0, weights=w)
    expected = {
        "loss": np.average((d**2).mean(1), weights=w),
        "mse": np.average((d**2).mean(1), weights=w),
        "mae": np.average(abs(d).mean(1), weights=w),
        "r2": r2.mean(),
        "worst": abs(d).max(),
    }
    assert found == pytest.approx(expected, rel=1e-9)
    assert all(type(value) is float for value in found.values())


# ---- stopping --------------------------------------------------------------------------------------------------------


def test_early_stopping_restores_the_best() -> None:
    X, y = blobs(60)
    Xv, yv = blobs(200, seed=1)
    net = classifier()
    kept: dict[int, list[np.ndarray]] = {}

    def keep(record: schuss.EpochRecord) -> None:
        kept[record.epoch] = [p.copy() for p in record.network.parameters]

    history = net.fit(
        X, y, loss="cross_entropy", lr=0.1, epochs=200, validation_data=(Xv, yv), early_stopping=4, callbacks=[keep]
    )
    assert history.stopped == net.history.stopped == "early_stopping"
    best = int(history["val_loss"].argmin()) + 1
    assert history.best_epoch == best
    assert len(history) == best + 4 < 200
    for p, q in zip(net.parameters, kept[best], strict=True):
        np.testing.assert_array_equal(p, q)
    assert net.evaluate(Xv, yv, "cross_entropy")["loss"] == history["val_loss"].min()


def test_early_stopping_options() -> None:
    X, y = blobs(60)
    stop = schuss.EarlyStopping(2, min_delta=10.0, monitor="loss", restore_best=False)
    history = classifier().fit(X, y, loss="cross_entropy", epochs=50, early_stopping=stop)
    assert len(history) == 3  # nothing after the first epoch is better by 10
    stop = schuss.EarlyStopping(3, monitor="accuracy")
    history = classifier().fit(X, y, loss="cross_entropy", epochs=100, lr=0.05, metrics="accuracy", early_stopping=stop)
    assert history.best_epoch == int(history["accuracy"].argmax()) + 1
    assert len(classifier().fit(X, y, loss="cross_entropy", epochs=2, early_stopping=False)) == 2
    assert schuss.EarlyStopping().patience == 10

    def own(prediction: np.ndarray, target: np.ndarray) -> float:
        return 0.0

    with pytest.raises(ValueError, match="mode"):
        classifier().fit(X, y, loss="cross_entropy", metrics=own, early_stopping=schuss.EarlyStopping(monitor="own"))
    stop = schuss.EarlyStopping(1, monitor="own", mode="max")
    assert len(classifier().fit(X, y, loss="cross_entropy", metrics=own, early_stopping=stop)) == 2


def test_callbacks() -> None:
    X, y = blobs(60)
    net = classifier()
    records: list[schuss.EpochRecord] = []
    history = net.fit(
        X, y, loss="cross_entropy", epochs=10, metrics="accuracy",
        callbacks=[records.append, lambda record: record.epoch == 3, lambda record: "ignored"],
    )  # fmt: skip
    assert history.stopped == "callback"
    assert [record.epoch for record in records] == [1, 2, 3]
    last = records[-1]
    assert last.epochs == 10
    assert last.network is net
    assert last.optimizer is net.optimizer
    assert last.logs == {"loss": history["loss"][-1], "accuracy": history["accuracy"][-1]}
    assert last.seconds == history.times[-1] > 0
    assert repr(last).startswith("EpochRecord(epoch=3, epochs=10, logs={'loss': ") and "Network" not in repr(last)


@pytest.mark.parametrize(
    ("answer", "epochs"), [(True, 1), (np.True_, 1), (False, 4), (np.False_, 4), (1, 4), ("yes", 4)]
)
def test_what_a_callback_returns(answer: Any, epochs: int) -> None:
    X, y = blobs(60)
    assert len(classifier().fit(X, y, loss="cross_entropy", epochs=4, callbacks=lambda record: answer)) == epochs


def test_a_callback_may_save(tmp_path: Any) -> None:
    X, y = blobs(60)
    net, straight = classifier(dropout=0.2), classifier(dropout=0.2)
    straight.fit(X, y, loss="cross_entropy", epochs=4)
    net.fit(X, y, loss="cross_entropy", epochs=2, callbacks=lambda record: record.network.save(tmp_path / "net.npz"))
    loaded = schuss.load(tmp_path / "net.npz")
    loaded.fit(X, y, loss="cross_entropy", epochs=2)
    assert_same(loaded, straight)


def test_callback_that_raises_leaves_the_network_usable() -> None:
    X, y = blobs(60)
    net = classifier()

    def bad(record: schuss.EpochRecord) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        net.fit(X, y, loss="cross_entropy", epochs=3, callbacks=[bad])
    assert net.history.stopped == "failed"
    assert len(net.history) == net.epochs_done == 1
    net.fit(X, y, loss="cross_entropy", epochs=2)
    other = classifier()
    other.fit(X, y, loss="cross_entropy", epochs=3)
    assert_same(net, other)


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_stops_quickly_and_keeps_the_best() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 64)).astype(np.float32)
    y = rng.integers(0, 4, 4000)
    took: list[float] = []
    while len(took) < 3 and (not took or took[-1] >= 0.2):  # again where the machine was busy: it takes about 0.05 s
        net = schuss.Network([schuss.Dense(64, 256, "relu"), schuss.Dense(256, 4)], seed=0)
        sent: list[float] = []

        def interrupt(sent: list[float] = sent) -> None:
            time.sleep(0.03)
            sent.append(time.perf_counter())
            os.kill(os.getpid(), signal.SIGINT)

        def start(record: schuss.EpochRecord, interrupt: Callable[[], None] = interrupt) -> None:
            if record.epoch == 3:
                threading.Thread(target=interrupt).start()

        with pytest.raises(KeyboardInterrupt):
            net.fit(
                X, y, loss="cross_entropy", epochs=10_000, batch_size=8, validation_data=(X[:100], y[:100]),
                early_stopping=100_000, callbacks=[start],
            )  # fmt: skip
        took.append(time.perf_counter() - sent[0])
        assert net.history.stopped == "interrupted"
        assert len(net.history) >= 3
        assert_best(net, X[:100], y[:100])
        net.fit(X[:64], y[:64], loss="cross_entropy", epochs=1)
    assert min(took) < 0.2


def assert_best(net: schuss.Network, X: np.ndarray, y: np.ndarray) -> None:
    """The network has the parameters of the epoch that its history calls the best."""
    assert net.history.best_epoch is not None
    best = net.history["val_loss"][net.history.epochs.tolist().index(net.history.best_epoch)]
    assert net.evaluate(X, y, loss="cross_entropy")["loss"] == best


def test_ctrl_c_between_epochs_keeps_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it comes once an epoch is recorded, while its line is printed or a callback runs."""

    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            if "epoch 3/" in text:
                raise KeyboardInterrupt
            return super().write(text)

    def interrupt(record: schuss.EpochRecord) -> None:
        if record.epoch == 3:
            raise KeyboardInterrupt

    X, y = blobs()
    for callbacks in ([], [interrupt]):
        net = classifier()
        monkeypatch.setattr(sys, "stderr", io.StringIO() if callbacks else Interrupted())
        with pytest.raises(KeyboardInterrupt):
            net.fit(
                X, y, loss="cross_entropy", epochs=5, verbose=2, validation_data=(X, y), early_stopping=5,
                callbacks=callbacks,
            )  # fmt: skip
        assert net.history.stopped == "interrupted"
        assert net.history.best_epoch == len(net.history) == 3
        assert_best(net, X, y)


def test_one_fit_at_a_time() -> None:
    X, y = blobs(60)
    net = classifier()
    said: list[str] = []

    def again(record: schuss.EpochRecord) -> None:
        with pytest.raises(RuntimeError, match="being fitted already") as refused:
            record.network.fit(X, y, loss="cross_entropy")
        said.append(str(refused.value))

    net.fit(X, y, loss="cross_entropy", epochs=2, callbacks=[again])
    assert len(said) == 2
    other = classifier()
    other.fit(X, y, loss="cross_entropy", epochs=2)
    assert_same(net, other)


# ---- what is shown ---------------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_verbose(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = blobs(60)
    classifier().fit(X, y, loss="cross_entropy", epochs=2)
    assert capsys.readouterr() == ("", "")
    for verbose in (1, 2, True):
        classifier().fit(X, y, loss="cross_entropy", epochs=2, verbose=verbose, metrics="accuracy")
        out, err = capsys.readouterr()
        assert out == ""
        lines = err.splitlines()
        assert len(lines) == 2
        assert lines[1].startswith("epoch 2/2  loss ")
        assert "accuracy" in lines[1]
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    classifier().fit(X, y, loss="cross_entropy", epochs=2, verbose=1)
    text = terminal.getvalue()
    assert text.startswith("\r")
    assert text.endswith("\n")
    assert "epoch 2/2" in text


def test_bar_stays_in_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    X, y = blobs(60)
    terminal = Terminal()
    monkeypatch.setattr(terminal, "fileno", lambda: 0)
    monkeypatch.setattr(os, "get_terminal_size", lambda fd: os.terminal_size((30, 24)))
    monkeypatch.setattr(sys, "stderr", terminal)
    history = classifier().fit(
        X, y, loss="cross_entropy", epochs=9, metrics="accuracy", validation_fraction=0.5, verbose=1,
        callbacks=lambda record: record.epoch == 5,
    )  # fmt: skip
    *drawn, last = terminal.getvalue().removesuffix("\n").split("\r")
    assert all(len(text) < 30 for text in drawn)
    assert last.startswith("epoch 5/9  ")  # the last epoch's, whole, though the fit ended before the last one planned
    assert f"val_accuracy {history['val_accuracy'][-1]:.4g}  " in last


def test_bar() -> None:
    from schuss.progress import Progress

    terminal = Terminal()
    before, sys.stderr = sys.stderr, terminal
    try:
        progress = Progress(1, 9, 10)
        progress.batch(3, 5, 0.5)
        progress.batch(3, 6, 0.4)  # too soon after the one before
    finally:
        sys.stderr = before
    assert terminal.getvalue() == "\repoch 3/9 [############............] loss 0.5"


def test_summary_and_repr() -> None:
    net = classifier(dropout=0.25)
    lines = net.summary().splitlines()
    assert "6 -> 12" in lines[2]
    assert "relu" in lines[2]
    assert "0.25" in lines[2]
    assert lines[2].endswith(" 84")
    assert lines[-1].endswith(" 123")
    assert len({len(line) for line in lines}) == 1
    assert net.n_parameters == 123 == sum(p.size for p in net.parameters)
    assert "Dense(n_in=6, n_out=12, activation='relu'" in repr(net)
    for loss in (schuss.MSE(), schuss.Huber(2.0)):
        assert repr(loss) in {"MSE()", "Huber(delta=2)"}


# ---- prediction ------------------------------------------------------------------------------------------------------


def test_predict() -> None:
    X, _ = blobs(50)
    net = classifier()
    whole = net.predict(X)
    assert whole.shape == (50, 3)
    np.testing.assert_array_equal(net.predict(X[4]), whole[4])
    np.testing.assert_array_equal(net.predict(list(map(float, X[4]))), whole[4])
    out = np.zeros((50, 3), np.float32)
    assert net.predict(X, out=out) is out
    np.testing.assert_array_equal(out, whole)
    row = np.zeros(3, np.float32)
    assert net.predict(X[4], out=row) is row
    np.testing.assert_array_equal(row, whole[4])
    assert np.isnan(net.predict(np.full((1, 6), np.nan))).all()


def test_frames() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = blobs(60)
    frame = pandas.DataFrame(X, columns=list("abcdef"))
    net, other = classifier(), classifier()
    net.fit(frame, pandas.Series(y), loss="cross_entropy", epochs=2)
    other.fit(X, y, loss="cross_entropy", epochs=2)
    assert_same(net, other)
    with pytest.raises(TypeError, match=r"X must be .* in column 'a'"):
        net.predict(frame.assign(a="text"))


def test_frames_of_several_dtypes() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = blobs(60)
    frame = pandas.DataFrame(X, columns=list("abcdef")).astype({"b": "Float64", "c": "float32"})
    frame["a"], X[:, 0] = X[:, 0] > 1, X[:, 0] > 1
    frame["d"], X[:, 3] = (10 * X[:, 3]).astype(int), (10 * X[:, 3]).astype(int)
    net, other = classifier(), classifier()
    net.fit(frame, pandas.Series(y, dtype="Int64"), loss="cross_entropy", epochs=2)
    other.fit(X, y, loss="cross_entropy", epochs=2)
    assert_same(net, other)
    frame.loc[7, "b"] = pandas.NA
    with pytest.raises(ValueError, match=r"X\[7, 1\] is nan"):
        net.fit(frame, y, loss="cross_entropy")
    assert_same(net, other)


# ---- copies ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))])
def test_copies_go_on_alike(how: Any) -> None:
    X, y = blobs()
    net = classifier(dropout=0.2)
    net.fit(X, y, loss="cross_entropy", epochs=2)
    net.metadata["a"] = [1]
    other = how(net)
    assert_same(net, other)
    assert other.optimizer is not net.optimizer
    for mine, theirs in zip(other.parameters, other.optimizer.param_groups[0]["params"], strict=True):
        assert mine is theirs
    assert other.metadata == {"a": [1]}
    other.metadata["a"].append(2)
    assert net.metadata == {"a": [1]}
    frozen = net.parameters[0].copy()
    other.fit(X, y, loss="cross_entropy", epochs=2)
    np.testing.assert_array_equal(net.parameters[0], frozen)
    assert len(net.history) == 2
    net.fit(X, y, loss="cross_entropy", epochs=2)
    assert_same(net, other)


def test_deepcopy_of_network_and_optimizer_together() -> None:
    X, y = blobs()
    net = classifier()
    optimizer = schuss.Adam(net.parameters)
    net.train_step(X, y, "cross_entropy", optimizer)
    new, own = copy.deepcopy((net, optimizer))
    assert own.param_groups[0]["params"][0] is new.parameters[0]
    new.train_step(X, y, "cross_entropy", own)
    net.train_step(X, y, "cross_entropy", optimizer)
    for p, q in zip(net.parameters, new.parameters, strict=True):
        np.testing.assert_array_equal(p, q)
    with pytest.raises(TypeError, match="deepcopy"):
        copy.copy(net)


def test_two_threads_train_two_networks() -> None:
    X, y = blobs()
    nets = [classifier() for _ in range(3)]
    nets[2].fit(X, y, loss="cross_entropy", epochs=20)
    workers = [
        threading.Thread(target=net.fit, args=(X, y), kwargs={"loss": "cross_entropy", "epochs": 20})
        for net in nets[:2]
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert_same(nets[0], nets[2])
    assert_same(nets[1], nets[2])


def test_parameters_set_anew_after_a_divergence_train_again() -> None:
    X, y = np.random.default_rng(0).normal(size=(2, 64, 3)).astype(np.float32)
    net = schuss.Network([schuss.Dense(3, 3)], seed=0)
    start = [p.copy() for p in net.parameters]
    with pytest.raises(schuss.DivergenceError):
        net.fit(X, y, loss="mse", optimizer=schuss.Adam(net.parameters, lr=1e39), restore_on_divergence=False)
    for p, q in zip(net.parameters, start, strict=True):
        p[...] = q
    net.fit(X, y, loss="mse", optimizer=schuss.SGD(net.parameters, lr=0.01), epochs=1)
