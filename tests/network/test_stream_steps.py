"""One time of streams: what `step` gives is, to the last bit, what `predict` gives over all times."""

from __future__ import annotations

import copy
import pickle
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import schuss

TIMES, FEATURES = 7, 3
Layers = list[schuss.layers.Layer]

CASES: dict[str, Layers] = {
    "rnn": [schuss.RNN(5)],
    "relu": [schuss.RNN(5, "relu", dialect="torch")],
    "gru": [schuss.GRU(17)],
    "gru before": [schuss.GRU(33, reset="before")],
    "lstm": [schuss.LSTM(32)],
    "lstm torch": [schuss.LSTM(32, dialect="torch", recurrent_dropout=0.3, dropout=0.2)],
    "dense behind": [schuss.GRU(6, return_sequences=True), schuss.Dense(4, "relu", dropout=0.5), schuss.Dense(2)],
    "all kinds": [
        schuss.Dense(4, "tanh"),
        schuss.LayerNorm(),
        schuss.LSTM(6, return_sequences=True),
        schuss.BatchNorm(),
        schuss.Residual([schuss.GRU(6, return_sequences=True)]),
        schuss.Concatenate([[schuss.RNN(3, return_sequences=True)], []]),
        schuss.Dense(3, "softmax"),
    ],
    "side by side": [schuss.Concatenate([[schuss.GRU(3)], [schuss.LSTM(4), schuss.Dense(2, "relu")]]), schuss.Dense(2)],
}


def network(case: str, dtype: str = "float32") -> schuss.Network:
    net = schuss.Network([schuss.Input("x", (TIMES, FEATURES)), *CASES[case]], seed=2, dtype=dtype)
    rng = np.random.default_rng(0)
    for array in (*net.parameters, *net.named_states().values()):
        array[...] += 0.1 + np.abs(rng.normal(0, 0.2, array.shape))
    return net


def data(rows: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(rows).normal(size=(rows, TIMES, FEATURES)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 2, 9, 40])
@pytest.mark.parametrize("case", CASES)
def test_times_one_by_one_are_the_sequence(case: str, rows: int, dtype: str) -> None:
    net = network(case, dtype)
    X = data(rows, dtype)
    whole_state = net.initial_state(rows)
    whole = net.predict(X, state=whole_state)
    state = net.initial_state(rows)
    found = [net.step(X[:, t].copy(), state) for t in range(TIMES)]
    np.testing.assert_array_equal(state, whole_state)
    if whole.ndim == 3:
        np.testing.assert_array_equal(np.stack(found, 1), whole)
    else:
        np.testing.assert_array_equal(found[-1], whole)
        for t in range(1, TIMES):
            np.testing.assert_array_equal(found[t - 1], net.predict(X, lengths=np.full(rows, t)))
    assert found[0].shape == (rows, net.n_out) and found[0].dtype == dtype
    on = net.predict(X, state=whole_state)
    again = [net.step(X[:, t].copy(), state) for t in range(TIMES)]
    np.testing.assert_array_equal(again[-1], on[:, -1] if on.ndim == 3 else on)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_threads_and_any_number_of_rows(threads: int) -> None:
    net = network("dense behind")
    X = data(500)
    with schuss.threads(threads):
        state = net.initial_state(500)
        many = [net.step(X[:, t].copy(), state) for t in range(3)]
        for i in (0, 499):
            alone = net.initial_state()
            for t in range(3):
                one = net.step(X[i, t], alone)
                assert one.shape == (net.n_out,)
                np.testing.assert_array_equal(one, many[t][i])
            np.testing.assert_array_equal(alone[0], state[i])


def test_what_is_given_otherwise() -> None:
    net = network("lstm")
    X = data(1)[0]
    expected, state = net.initial_state(), net.initial_state()
    first = net.step(X[0], expected)
    for given in (X[0].astype(np.float64), X[0].tolist(), X.T.copy().T[0], X[0].astype(">f4")):
        state[...] = 0
        np.testing.assert_array_equal(net.step(given, state), first)
        np.testing.assert_array_equal(state, expected)
    out = np.empty(32, np.float32)
    state[...] = 0
    assert net.step(X[0], state, out) is out
    np.testing.assert_array_equal(out, first)
    state[...] = 0
    assert net.step(X[0].astype(float), state, out) is out
    rows = np.empty((1, 32), np.float32)
    state[...] = 0
    assert net.step(X[:1], state, out=rows) is rows
    np.testing.assert_array_equal(rows[0], first)
    state[...] = 0
    np.testing.assert_array_equal(net.step({"x": X[:1]}, state), rows)


def test_several_inputs_and_codes() -> None:
    layers = [
        schuss.Concatenate(
            [
                [schuss.Input("a", (TIMES, 2)), schuss.GRU(4)],
                [schuss.Input("code", (TIMES, 1), dtype="int64"), schuss.Embedding(9, 3), schuss.LSTM(5)],
                [schuss.Input("fixed", 2)],
            ]
        ),
        schuss.Dense(3),
    ]
    net = schuss.Network(layers, seed=0)
    rng = np.random.default_rng(0)
    a, code, fixed = rng.normal(size=(4, TIMES, 2)), rng.integers(0, 9, (4, TIMES, 1)), rng.normal(size=(4, 2))
    state = net.initial_state(4)
    for t in range(TIMES):
        found = net.step({"a": a[:, t], "code": code[:, t], "fixed": fixed}, state)
    np.testing.assert_array_equal(found, net.predict((a, code, fixed)))
    before = state.copy()
    with pytest.raises(ValueError, match=r"code\[0, 0\] is 9, expected a code in \[0, 9\)"):
        net.step((a[:, 0], code[:, 0] * 0 + 9, fixed), state)
    np.testing.assert_array_equal(state, before)


def test_parameters_are_those_of_the_network(tmp_path: Path) -> None:
    net = network("dense behind")
    X = data(3)
    net.step(X[:, 0].copy(), net.initial_state(3))
    net.fit(X, np.zeros((3, TIMES, 2)), loss="mse", epochs=2)
    net.parameters[0][...] *= 0.5
    copies = [copy.deepcopy(net), pickle.loads(pickle.dumps(net))]
    net.save(tmp_path / "net.npz")
    copies.append(schuss.load(tmp_path / "net.npz"))
    for one in (net, *copies):
        state = one.initial_state(3)
        for t in range(TIMES):
            found = one.step(X[:, t].copy(), state)
        np.testing.assert_array_equal(found, net.predict(X)[:, -1])
    copies[0].parameters[0][...] = 0
    state = net.initial_state(3)
    np.testing.assert_array_equal(net.step(X[:, 0].copy(), state), net.predict(X)[:, 0])


@pytest.mark.parametrize(
    ("x", "state", "out", "error", "message"),
    [
        (np.zeros(2), None, None, ValueError, r"x must have 3 columns; got 2"),
        (
            np.zeros((2, 3)),
            None,
            None,
            ValueError,
            r"state must be float32 of shape \(2, 10\).*got float32 of shape \(1",
        ),
        (np.zeros((1, 1, 3)), None, None, ValueError, r"x must have shape \(rows, 3\); got \(1, 1, 3\)"),
        (np.zeros((0, 3)), np.zeros((0, 10), np.float32), None, ValueError, "x must have at least one row"),
        (["a", "b", "c"], None, None, TypeError, "x must be an array of real numbers"),
        (np.zeros(3), np.zeros((1, 10)), None, ValueError, "state must be float32 of shape"),
        (np.zeros(3), np.zeros(10, np.float32), None, ValueError, r"state must be float32 of shape \(1, 10\)"),
        (np.zeros(3), np.zeros((10, 1), np.float32).T[:, ::-1], None, ValueError, "C-contiguous and writable"),
        (np.zeros(3), [[0.0] * 10], None, TypeError, "state must be a numpy.ndarray"),
        (np.zeros(3), None, np.zeros((1, 5), np.float32), ValueError, r"out must be float32 of shape \(5,\)"),
        (np.zeros(3), None, np.zeros(5), ValueError, r"out must be float32 of shape \(5,\).*got float64"),
        (np.zeros(3), None, [0.0] * 5, TypeError, "out must be a numpy.ndarray"),
    ],
)
def test_wrong_arguments_are_named(x: object, state: object, out: object, error: type[Exception], message: str) -> None:
    net = schuss.Network([schuss.LSTM(5, input_shape=(TIMES, FEATURES))], seed=0)
    good = net.initial_state() + 1
    for first in (True, False):
        with pytest.raises(error, match=message):
            net.step(x, good if state is None else state, out)  # type: ignore[arg-type]
        assert (good == 1).all()
        if first:
            net.step(np.zeros(3), net.initial_state())


def test_memory_that_is_shared_is_refused() -> None:
    net = schuss.Network([schuss.RNN(3, input_shape=(TIMES, FEATURES))], seed=0)
    memory = np.zeros(12, np.float32)
    x, state, out = memory[:3], memory[3:6].reshape(1, 3), memory[6:9]
    net.step(x, state, out)
    with pytest.raises(ValueError, match="out shares memory with state"):
        net.step(x, state, state[0])
    with pytest.raises(ValueError, match="x shares memory with out or state"):
        net.step(memory[7:10], state, out)
    with pytest.raises(ValueError, match="x shares memory with out or state"):
        net.step(state[0], state, out)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([schuss.Input("x", (TIMES, 3)), schuss.Dense(2)], "step must be for a network with a layer that goes through"),
        ([schuss.Dense(3, 2)], "step must be for a network with a layer that goes through times"),
        ([schuss.GRU(2, reverse=True, input_shape=(TIMES, 3))], r"go forward; layers\.0 begins with the last time"),
        (
            [schuss.Input("x", (TIMES, 3)), schuss.Bidirectional(schuss.GRU(2))],
            r"layers\.1\.branches\.1\.0 begins with the last time",
        ),
        (
            [schuss.Input("x", (TIMES, 3)), schuss.Conv1D(2, 3), schuss.GRU(2)],
            r"go from time to time; layers\.1, Conv1D, looks at several",
        ),
        (
            [schuss.Input("x", (TIMES, 3)), schuss.GRU(2, return_sequences=True), schuss.Flatten(), schuss.Dense(2)],
            r"layers\.2, Flatten, looks at several",
        ),
        ([schuss.Input("x", (4, 5, 3)), schuss.Dense(2)], r"network of sequences; layers\.0 has places of an image"),
    ],
)
def test_networks_that_need_all_times_are_refused(layers: Layers, message: str) -> None:
    net = schuss.Network(layers, seed=0)
    with pytest.raises(ValueError, match=message):
        net.step(np.zeros(3), np.zeros((1, net.state_size), np.float32))


def test_nan_stays_in_its_row_and_its_state() -> None:
    net = network("gru")
    X = data(2)
    X[1, 2, 0] = np.nan
    state = net.initial_state(2)
    for t in range(TIMES):
        found = net.step(X[:, t].copy(), state)
    assert np.isfinite(found[0]).all() and np.isnan(found[1]).all() and np.isnan(state[1]).all()
    np.testing.assert_array_equal(found, net.predict(X))


def test_one_call_at_a_time() -> None:
    net = network("gru")

    def loss(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        net.step(np.zeros(3, np.float32), net.initial_state())
        return 0.0, prediction * 0

    net.step(np.zeros(3, np.float32), net.initial_state())
    with pytest.raises(RuntimeError, match="this network is in use"):
        net.fit(data(4), np.zeros((4, 17)), loss=loss)
    errors: list[BaseException] = []

    def run() -> None:
        state = net.initial_state()
        for _ in range(2000):
            try:
                net.step(np.zeros(3, np.float32), state)
            except RuntimeError as error:
                errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("in use" in str(error) for error in errors)


@pytest.mark.parametrize("kind", [schuss.RNN, schuss.GRU, schuss.LSTM])
def test_a_step_takes_a_microsecond_at_most(kind: type) -> None:
    """32 units, from Python, on a machine that does nothing else; others get ten times that."""
    net = schuss.Network([kind(32, input_shape=(24, 8))], seed=0)
    x, state, out = np.ones(8, np.float32), net.initial_state(), np.empty(32, np.float32)
    net.step(x, state, out)
    best = float("inf")
    for _ in range(30):
        start = time.perf_counter()
        for _ in range(1000):
            net.step(x, state, out)
        best = min(best, (time.perf_counter() - start) / 1000)
    assert best < 10e-6
