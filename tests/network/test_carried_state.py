"""Truncated backpropagation through time: rows that go on where those of the batch before ended."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss

TIMES, FEATURES, OUT, BATCH, PIECES = 5, 3, 2, 6, 7
ROWS = BATCH * PIECES


def layers(kind: str = "gru") -> list[schuss.layers.Layer]:
    hidden: dict[str, list[schuss.layers.Layer]] = {
        "rnn": [schuss.RNN(5, return_sequences=True)],
        "gru": [schuss.GRU(5, return_sequences=True, recurrent_dropout=0.2), schuss.GRU(4, return_sequences=True)],
        "lstm": [schuss.LSTM(5, return_sequences=True, dropout=0.1), schuss.LSTM(3, return_sequences=True)],
        "last": [schuss.LSTM(5), schuss.Dense(4, "relu")],
    }
    return [schuss.Input("x", (TIMES, FEATURES)), *hidden[kind], schuss.Dense(OUT)]


def network(kind: str = "gru", dtype: str = "float32", seed: int = 1) -> schuss.Network:
    return schuss.Network(layers(kind), seed=seed, dtype=dtype)


def data(kind: str = "gru", rows: int = ROWS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    target = (rows, OUT) if kind == "last" else (rows, TIMES, OUT)
    lengths = rng.integers(0, TIMES + 1, rows)
    lengths[:BATCH] = TIMES
    return rng.normal(size=(rows, TIMES, FEATURES)), rng.normal(size=target), lengths


def loop(
    net: schuss.Network, X: np.ndarray, y: np.ndarray, lengths: np.ndarray | None, epochs: int
) -> list[list[float]]:
    optimizer = net.optimizer or schuss.Adam(net.parameters)
    found = []
    for _ in range(epochs):
        state = net.initial_state(BATCH)
        losses = []
        for k in range(0, len(X), BATCH):
            part = slice(k, k + BATCH)
            given = None if lengths is None else lengths[part]
            losses.append(net.train_step(X[part], y[part], "mse", optimizer, lengths=given, state=state))
        found.append(losses)
    return found


def same(a: schuss.Network, b: schuss.Network) -> None:
    for mine, theirs in zip(a.parameters, b.parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm", "last"])
def test_fit_is_a_loop_of_steps_with_a_state(kind: str, ragged: bool, dtype: str, threads: int) -> None:
    X, y, lengths = data(kind)
    given = lengths if ragged else None
    a, b = network(kind, dtype), network(kind, dtype)
    with schuss.threads(threads):
        history = a.fit(X, y, loss="mse", batch_size=BATCH, carry_state=True, lengths=given, epochs=3)
    losses = loop(b, X, y, given, 3)
    same(a, b)
    if not ragged:
        np.testing.assert_allclose(history["loss"], np.mean(losses, axis=1), rtol=1e-12)
    other = network(kind, dtype)
    other.fit(X, y, loss="mse", batch_size=BATCH, shuffle=False, lengths=given, epochs=3)
    assert any((mine != theirs).any() for mine, theirs in zip(a.parameters, other.parameters, strict=True))


def test_rows_of_an_epoch_go_on_and_the_next_begins_anew() -> None:
    """With a rate of zero, losses are those of whole streams."""
    X, y, _ = data("rnn")
    net = network("rnn", "float64")
    still = schuss.SGD(net.parameters, lr=0.0)
    history = net.fit(X, y, loss="mse", optimizer=still, batch_size=BATCH, carry_state=True, epochs=2)
    state = net.initial_state(BATCH)
    pieces = [
        np.mean((net.predict(X[k : k + BATCH], state=state) - y[k : k + BATCH]) ** 2) for k in range(0, ROWS, BATCH)
    ]
    np.testing.assert_allclose(history["loss"], [np.mean(pieces)] * 2, rtol=1e-12)


def test_interrupted_saved_and_gone_on(tmp_path: Path) -> None:
    X, y, lengths = data()
    arguments = {"loss": "mse", "batch_size": BATCH, "carry_state": True, "lengths": lengths}
    whole, parts = network(), network()
    whole.fit(X, y, epochs=4, **arguments)
    parts.fit(X, y, epochs=1, **arguments)
    parts.save(tmp_path / "net.npz")
    parts = schuss.load(tmp_path / "net.npz")
    parts.fit(X, y, epochs=1, **arguments)
    parts = copy.deepcopy(parts)
    parts.fit(X, y, epochs=2, **arguments)
    same(whole, parts)


def test_ended_by_a_signal_and_gone_on() -> None:
    X, y, _ = data()
    arguments = {"loss": "mse", "batch_size": BATCH, "carry_state": True}
    whole, parts = network(), network()
    whole.fit(X, y, epochs=4, **arguments)

    def interrupt(record: schuss.EpochRecord) -> None:
        if record.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        parts.fit(X, y, epochs=4, callbacks=[interrupt], **arguments)
    parts.fit(X, y, epochs=2, **arguments)
    same(whole, parts)


def test_slices_of_time_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y, _ = data()
    whole, sliced = network(), network()
    whole.fit(X, y, loss="mse", batch_size=BATCH, carry_state=True, epochs=3)
    monkeypatch.setattr("schuss.training.epochs.SLICE", 1e-9)
    sliced.fit(X, y, loss="mse", batch_size=BATCH, carry_state=True, epochs=3)
    same(whole, sliced)


def test_losses_of_ones_own_weights_and_validation() -> None:
    X, y, lengths = data()

    def squares(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        error = prediction - target
        return float(np.mean(error**2)), 2 * error / error.size

    own, built = network("rnn", "float64"), network("rnn", "float64")
    a = own.fit(X, y, loss=squares, batch_size=BATCH, carry_state=True, epochs=2, validation_data=(X[:9], y[:9]))
    b = built.fit(X, y, loss="mse", batch_size=BATCH, carry_state=True, epochs=2, validation_data=(X[:9], y[:9]))
    np.testing.assert_allclose(a["loss"], b["loss"], rtol=1e-12)
    assert b["val_loss"][-1] == built.evaluate(X[:9], y[:9], "mse")["loss"]
    assert b["val_loss"][-1] == pytest.approx(np.mean((built.predict(X[:9]) - y[:9]) ** 2))
    weighted = network()
    weighted.fit(
        X, y, loss="mse", batch_size=BATCH, carry_state=True, epochs=2, lengths=lengths, sample_weight=np.arange(ROWS)
    )
    assert all(np.isfinite(p).all() for p in weighted.parameters)


def test_side_by_side_and_streams() -> None:
    series = np.sin(np.arange(400) / 5)
    X, y = (schuss.streams(part, BATCH, TIMES) for part in (series[:-1], series[1:]))
    made = [schuss.Network([schuss.Input("x", (TIMES, 1)), *layers()[1:-1], schuss.Dense(1)], seed=k) for k in range(4)]
    arguments = {"loss": "mse", "batch_size": BATCH, "carry_state": True, "epochs": 2}
    schuss.fit_side_by_side([{"network": net, "X": X, "y": y, **arguments} for net in made[:2]])
    for k, net in enumerate(made[:2]):
        alone = schuss.Network(made[k].layers, seed=k)
        alone.fit(X, y, **arguments)
        same(net, alone)


@pytest.mark.parametrize("features", [None, 1, 3])
@pytest.mark.parametrize("left", [0, 1, 14])
def test_streams_go_on_in_the_next_batch(features: int | None, left: int) -> None:
    rows, times, pieces = 3, 5, 4
    shape = (rows * times * pieces + left,) if features is None else (rows * times * pieces + left, features)
    series = np.arange(np.prod(shape)).reshape(shape)
    X = schuss.streams(series, rows, times)
    assert X.shape == (rows * pieces, times, *shape[1:]) and X.flags.c_contiguous
    long = X.reshape(pieces, rows, times, *shape[1:]).swapaxes(0, 1).reshape(rows, -1, *shape[1:])
    np.testing.assert_array_equal(long.reshape(-1, *shape[1:]), series[: len(series) - left])


def test_a_last_batch_is_left_out() -> None:
    X, y, _ = data(rows=ROWS + 4)
    a, b = network(), network()
    a.fit(X, y, loss="mse", batch_size=BATCH, carry_state=True, drop_last=True, epochs=2)
    b.fit(X[:ROWS], y[:ROWS], loss="mse", batch_size=BATCH, carry_state=True, epochs=2)
    same(a, b)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"shuffle": True}, ValueError, "shuffle must be False with carry_state"),
        ({"batch_size": 8}, ValueError, "batch_size must divide the rows with carry_state.*got 8 for 42 rows"),
        ({"validation_fraction": 0.2}, ValueError, "validation_fraction must be 0 with carry_state"),
        ({"carry_state": 1}, TypeError, "carry_state must be True or False"),
        ({"carry_state": None}, TypeError, "carry_state must be True or False"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, object], error: type[Exception], message: str) -> None:
    X, y, _ = data()
    net = network()
    before = [p.copy() for p in net.parameters]
    arguments = {"loss": "mse", "batch_size": BATCH, "carry_state": True, **change}
    with pytest.raises(error, match=message):
        net.fit(X, y, **arguments)  # type: ignore[arg-type]
    for mine, theirs in zip(before, net.parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert net.optimizer is None and net.epochs_done == 0


def test_states_are_for_networks_that_carry_one_and_of_the_batch() -> None:
    X, y, _ = data()
    plain = schuss.Network([schuss.Dense(3, 2)], seed=0)
    with pytest.raises(
        ValueError, match="carry_state must be False for a network without layers that go through times"
    ):
        plain.fit(X[:, 0], y[:, 0], loss="mse", carry_state=True)
    net = network()
    with pytest.raises(ValueError, match="state must be None in fit"):
        net.fit(schuss.Sequences(X, state=net.initial_state(ROWS)), y, loss="mse")
    state = net.initial_state(BATCH - 1)
    with pytest.raises(ValueError, match=r"state must be float32 of shape \(6, 9\).*got float32 of shape \(5, 9\)"):
        net.train_step(X[:BATCH], y[:BATCH], "mse", schuss.SGD(net.parameters, lr=0.1), state=state)
    with pytest.raises(ValueError, match="rows must be an integer >= 1"):
        net.initial_state(0)
    for series, rows, times, message in [
        (np.zeros(9), 2, 5, "series must have at least 10 times, rows [*] times; got 9"),
        (np.zeros(9), 0, 5, "rows must be an integer >= 1"),
        (np.zeros(9), 1, 0, "times must be an integer >= 1"),
        (np.zeros((9, 1, 1)), 1, 1, "series must have shape"),
    ]:
        with pytest.raises(ValueError, match=message):
            schuss.streams(series, rows, times)


def test_a_fit_that_diverges_goes_back_and_another_begins_at_zeros() -> None:
    X, y, _ = data("rnn")
    net = network("rnn")
    before = [p.copy() for p in net.parameters]
    with np.errstate(all="ignore"), pytest.raises(schuss.DivergenceError):
        net.fit(X * 1e30, y * 1e30, loss="mse", batch_size=BATCH, carry_state=True, epochs=2)
    for mine, theirs in zip(before, net.parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    fresh = network("rnn")
    for one in (net, fresh):
        one.fit(X, y, loss="mse", optimizer=schuss.SGD(one.parameters, lr=0.1), batch_size=BATCH, carry_state=True)
    same(net, fresh)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda state: state[:-1].copy(), ValueError, r"got float32 of shape \(5, 9\)"),
        (lambda state: state[:, :-1].copy(), ValueError, r"got float32 of shape \(6, 8\)"),
        (lambda state: state.reshape(-1), ValueError, r"got float32 of shape \(54,\)"),
        (lambda state: state.astype(float), ValueError, "got float64 of shape"),
        (lambda state: np.asfortranarray(state), ValueError, "C-contiguous and writable"),
        (lambda state: np.broadcast_to(state[0], state.shape), ValueError, "C-contiguous and writable"),
        (lambda state: state.tolist(), TypeError, "state must be a numpy.ndarray"),
        (lambda state: 0, TypeError, "state must be a numpy.ndarray"),
    ],
)
def test_wrong_states_are_named(make: Callable[[np.ndarray], Any], error: type[Exception], message: str) -> None:
    X, y, _ = data(rows=BATCH)
    net = network()
    optimizer = schuss.Adam(net.parameters)
    state = make(net.initial_state(BATCH))
    before = [p.copy() for p in net.parameters]
    for call in (
        lambda: net.predict(X, state=state),
        lambda: net.forward(X, state=state),
        lambda: net.loss_and_gradients(X, y, "mse", state=state),
        lambda: net.train_step(X, y, "mse", optimizer, state=state),
    ):
        with pytest.raises(error, match=message):
            call()
    for mine, theirs in zip(before, net.parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert optimizer.steps == 0
