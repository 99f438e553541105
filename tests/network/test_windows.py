"""Windows of a series: views, which fits, predictions and evaluations take without copying them all."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import schuss

PAST, AHEAD = 6, 2


def series(times: int = 60, features: int | None = 3, dtype: str = "float64") -> np.ndarray:
    shape = (times,) if features is None else (times, features)
    return np.random.default_rng(7).normal(size=shape).astype(dtype)


def network(dtype: str = "float32", features: int = 3, outputs: int = AHEAD, seed: int = 0) -> schuss.Network:
    layers = [schuss.Input("x", (PAST, features)), schuss.GRU(5), schuss.Dense(outputs)]
    return schuss.Network(layers, seed=seed, dtype=dtype)


def by_hand(
    array: np.ndarray, past: int, ahead: int, targets: object, step: int, gap: int
) -> tuple[np.ndarray, np.ndarray]:
    last = len(array) - past - gap - ahead
    wanted = array if targets is None else array[:, targets]
    x = [array[k : k + past] for k in range(0, last + 1, step)]
    y = [wanted[k + past + gap : k + past + gap + ahead] for k in range(0, last + 1, step)]
    found = np.array(x)
    return found[..., None] if array.ndim == 1 else found, np.array(y)


@pytest.mark.parametrize(
    ("features", "past", "ahead", "targets", "step", "gap"),
    [
        (None, 6, 2, None, 1, 0),
        (None, 1, 1, None, 1, 0),
        (None, 58, 2, None, 1, 0),
        (None, 4, 3, None, 5, 2),
        (3, 6, 2, None, 1, 0),
        (3, 6, 2, 1, 1, 0),
        (3, 6, 2, [0], 4, 1),
        (3, 6, 2, [0, 2], 6, 0),
        (3, 6, 1, [2, 1], 9, 3),
        (3, 6, 0, None, 1, 0),
        (1, 6, 2, 0, 7, 0),
    ],
)
def test_windows_are_slices(features: int | None, past: int, ahead: int, targets: object, step: int, gap: int) -> None:
    array = series(features=features)
    X, y = schuss.windows(array, past, ahead, targets=targets, step=step, gap=gap)
    expected_x, expected_y = by_hand(array, past, ahead, targets, step, gap)
    np.testing.assert_array_equal(X, expected_x)
    np.testing.assert_array_equal(y, expected_y)
    assert np.shares_memory(X, array) and not X.flags.writeable
    if ahead and targets != [2, 1]:
        assert np.shares_memory(y, array)


@pytest.mark.parametrize(
    ("array", "arguments", "error", "message"),
    [
        (series(7), {}, ValueError, r"series must have at least 30 times, past \+ gap \+ ahead; got 7"),
        (series(7), {"past": 5, "ahead": 1, "gap": 2}, ValueError, "at least 8 times"),
        (np.zeros((4, 3, 2)), {}, ValueError, r"series must have shape \(times,\) or \(times, features\)"),
        (np.zeros((40, 0)), {}, ValueError, r"series must have shape"),
        (np.array(["a"] * 40), {}, TypeError, "series must be an array of real numbers"),
        (series(), {"past": 0}, ValueError, "past must be an integer >= 1; got 0"),
        (series(), {"past": 2.0}, TypeError, "past must be an integer >= 1"),
        (series(), {"ahead": -1}, ValueError, "ahead must be an integer >= 0"),
        (series(), {"step": 0}, ValueError, "step must be an integer >= 1"),
        (series(), {"gap": -1}, ValueError, "gap must be an integer >= 0"),
        (series(), {"targets": 3}, ValueError, "targets must be an integer from 0 to 2; got 3"),
        (series(), {"targets": [0, -1]}, ValueError, r"targets\[1\] must be an integer from 0 to 2; got -1"),
        (series(), {"targets": []}, ValueError, "targets must hold at least one column"),
        (series(), {"targets": "0"}, TypeError, "targets must be columns"),
        (series(features=None), {"targets": 0}, ValueError, "targets must be None for a series of shape"),
    ],
)
def test_wrong_windows_are_named(
    array: np.ndarray, arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        schuss.windows(array, **arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("given", ["float32", "float64", "int32", ">f4"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("step", [1, 4, PAST, 7])
def test_training_on_windows_is_that_on_copies(given: str, dtype: str, step: int) -> None:
    array = (10 * series()).astype(given)
    X, y = schuss.windows(array, PAST, AHEAD, targets=1, step=step)
    copied = np.ascontiguousarray(X)
    made = []
    for x in (X, copied):
        net = network(dtype)
        for shuffle in (True, False):
            net.fit(x, y, loss="mse", epochs=2, batch_size=5, shuffle=shuffle, validation_data=(x[:7], y[:7]))
        found = net.evaluate(x, y, "mse", "mae", sample_weight=np.arange(len(x)))
        step_loss = net.train_step(x[:4], y[:4], "mse", schuss.SGD(net.parameters, lr=0.1))
        forward = net.forward(x)
        made.append(
            [*net.parameters, net.predict(x), net.history["val_loss"], *found.values(), step_loss, forward,
             net.backward(np.ones_like(forward)), net.loss_and_gradients(x, y, "mse"), net.predict(x[3])]
        )  # fmt: skip
    for mine, theirs in zip(*made, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_lengths_states_and_any_batch(batch_size: int | None, threads: int) -> None:
    X, y = schuss.windows(series(400), PAST, AHEAD, targets=1)
    lengths = np.random.default_rng(0).integers(0, PAST + 1, len(X))
    made = []
    for x in (X, X.copy()):
        net = network()
        with schuss.threads(threads):
            net.fit(x, y, loss="mse", epochs=1, batch_size=batch_size, lengths=lengths, drop_last=True)
            net.fit(x[:392], y[:392], loss="mse", epochs=1, batch_size=49, carry_state=True)
            state = net.initial_state(len(x))
            found = net.predict(x, lengths=lengths, state=state)
            loss = net.evaluate(x, y, "mse", lengths=lengths)["loss"]
        made.append([*net.parameters, found, state, loss])
    for mine, theirs in zip(*made, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_windows_of_columns_and_of_several_inputs() -> None:
    array, other = series(), series(60, 2)
    X, y = schuss.windows(array, PAST, AHEAD, targets=[0, 1])
    Z, _ = schuss.windows(other, PAST, AHEAD)
    layers = [
        schuss.Concatenate(
            [[schuss.Input("a", (PAST, 3)), schuss.GRU(4)], [schuss.Input("b", (PAST, 2)), schuss.GRU(4)]]
        ),
        schuss.Dense(4),
    ]
    target = y.reshape(len(y), -1)
    nets = [schuss.Network(layers, seed=1) for _ in range(2)]
    nets[0].fit({"a": X, "b": Z}, target, loss="mse", epochs=2)
    nets[1].fit({"a": X.copy(), "b": Z.copy()}, target, loss="mse", epochs=2)
    np.testing.assert_array_equal(nets[0].predict((X, Z)), nets[1].predict((X.copy(), Z.copy())))
    flat = [schuss.Network([schuss.Dense(PAST, 4, "relu"), schuss.Dense(AHEAD)], seed=1) for _ in range(2)]
    x, y = schuss.windows(array[:, 0], PAST, AHEAD)
    flat[0].fit(x[..., 0], y, loss="mse", epochs=2, validation_fraction=0.2)
    flat[1].fit(x[..., 0].copy(), y, loss="mse", epochs=2, validation_fraction=0.2)
    np.testing.assert_array_equal(flat[0].predict(x[..., 0]), flat[1].predict(x[..., 0].copy()))


@pytest.mark.parametrize("step", [1, 3])
def test_windows_of_codes(step: int) -> None:
    tokens = np.random.default_rng(0).integers(0, 9, 50)
    X, y = schuss.windows(tokens, PAST, 1, step=step)
    layers = [schuss.Input("x", (PAST, 1), dtype="int64"), schuss.Embedding(9, 4), schuss.GRU(5), schuss.Dense(9)]
    nets = [schuss.Network(layers, seed=1) for _ in range(2)]
    for net, x in zip(nets, (X, X.copy()), strict=True):
        net.fit(x, y[:, 0], loss="cross_entropy", epochs=2, batch_size=7)
    np.testing.assert_array_equal(nets[0].predict(X), nets[1].predict(X.copy()))
    y = y[:, 0].copy()
    tokens[20] = 9
    first = int(np.argmax((X == 9).any((1, 2))))
    place = int(np.argmax(X[first].reshape(-1) == 9))
    before = [p.copy() for p in nets[0].parameters]
    with pytest.raises(ValueError, match=rf"x\[{first}, {place}\] is 9, expected a code in \[0, 9\)"):
        nets[0].fit(X, y, loss="cross_entropy")
    for mine, theirs in zip(before, nets[0].parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_what_is_not_finite_is_named_in_the_first_window_that_has_it() -> None:
    array = series(dtype="float32")
    array[20, 1] = np.nan
    X, y = schuss.windows(array, PAST, AHEAD, targets=0)
    with pytest.raises(ValueError, match=r"X must be finite; X\[15, 5, 1\] is nan as float32"):
        network().fit(X, y, loss="mse")
    array[20, 1] = 0
    array[9:11] = 3e38  # whose sum is infinite, though each is finite
    assert np.isfinite(network().predict(X)).all()


@pytest.mark.parametrize("at", [0, 20, 35, 36])
def test_out_must_not_lie_in_windows(at: int) -> None:
    memory = np.zeros(80, np.float32)
    x, out = np.lib.stride_tricks.sliding_window_view(memory[:25], PAST)[..., None], memory[at : at + 40].reshape(20, 2)
    net = network(features=1)
    if at < 25:
        with pytest.raises(ValueError, match="out shares memory with X"):
            net.predict(x, out)
    else:
        np.testing.assert_array_equal(net.predict(x, out), net.predict(x.copy()))


def test_memory_stays_where_windows_look() -> None:
    memory = np.zeros(100, np.float32)
    memory[:] = series(100, None)
    X, y = schuss.windows(memory, PAST, AHEAD)
    refused = []

    def resize(record: schuss.EpochRecord) -> None:
        with pytest.raises(ValueError, match="refer"):
            memory.resize(10, refcheck=False)
        refused.append(record.epoch)

    network(features=1).fit(X, y, loss="mse", epochs=2, callbacks=[resize])
    assert refused == [1, 2]


def peak(call: Callable[[], object]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("given", ["float32", "float64"])
def test_memory_does_not_grow_with_the_length_of_windows(given: str, tmp_path: Path) -> None:
    times, past = 40_000, 200
    np.save(tmp_path / "series.npy", series(times, None, given))
    array = np.load(tmp_path / "series.npy", mmap_mode="r")
    X, y = schuss.windows(array, past, 1, step=2)
    layers = [schuss.Input("x", (past, 1)), schuss.RNN(2), schuss.Dense(1)]
    net = schuss.Network(layers, seed=0)
    once = (times * 4 if given == "float64" else 0) + 8 * y.nbytes

    def fit(x: np.ndarray, target: np.ndarray) -> object:
        return net.fit(x, target, loss="mse", epochs=1, batch_size=64, metrics="mae", validation_data=(x, target))

    rows = 2000
    few = X[:rows].copy(), y[:rows].copy()
    assert X.size * 4 > 15e6
    for call in (fit, lambda x, target: net.evaluate(x, target, "mse"), lambda x, target: net.predict(x)):
        call(*few)
        plan = peak(lambda call=call: call(*few))
        found = peak(lambda call=call: call(X, y))
        assert found < plan + once + 2.5e6, f"{found / 1e6:.1f} MB at most, on few rows {plan / 1e6:.1f}"
    np.testing.assert_array_equal(net.predict(X)[:300], net.predict(X[:300].copy()))
