"""Recurrent layers: against torch and Keras live, with lengths and carried states, and the same bits however they run.

Where the two part: at times that are not there stand zeros (torch's packed sequences; Keras repeats the last output);
a row of length 0 ends in the state in which it began (Keras; torch refuses it); a reversed layer begins at each row's
last time (both).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import schuss
from tests.layers.test_gradients import check_differences
from tests.reference import layers as twin

Array = NDArray[Any]
KINDS: dict[str, Callable[..., Any]] = {
    "rnn": schuss.RNN,
    "relu": lambda n, **more: schuss.RNN(n, "relu", **more),
    "gru": schuss.GRU,
    "gru before": lambda n, **more: schuss.GRU(n, reset="before", **more),
    "lstm": schuss.LSTM,
}
kinds = pytest.mark.parametrize("kind", list(KINDS))
TOLERANCE = 1e-5


def randomised(net: schuss.Network, seed: int = 7) -> schuss.Network:
    """With parameters that are all drawn, biases too."""
    rng = np.random.default_rng(seed)
    for p in net.parameters:
        p[...] = rng.normal(size=p.shape) / (np.sqrt(p.shape[0]) if p.ndim > 1 else 1)
    return net


def assert_close(found: Any, wanted: Any, tolerance: float = TOLERANCE, what: str = "") -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape, what
    assert np.max(np.abs(found - wanted), initial=0) <= tolerance * max(1, np.max(np.abs(wanted), initial=0)), what


# ---- torch -----------------------------------------------------------------------------------------------------------


def torch_layer(torch: Any, kind: str, n_in: int, n: int, parameters: list[Array]) -> Any:
    made = {"rnn": torch.nn.RNN, "relu": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind]
    options = {"nonlinearity": "relu"} if kind == "relu" else {}
    layer = made(n_in, n, batch_first=True, **options).double()
    with torch.no_grad():
        for p, ours in zip(layer.parameters(), parameters, strict=True):
            p.copy_(torch.tensor(np.array(ours, dtype=float).T))
    return layer


@pytest.mark.parametrize("seed", range(40))
def test_torch_drawn_shapes(seed: int, each_isa: Callable[[], Iterator[str]]) -> None:
    """Rows, times and sizes of 1 to 40, lengths of 0 to all, carried states, both directions, both dtypes."""
    torch: Any = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    kind = ["rnn", "relu", "gru", "lstm"][seed % 4]
    dtype = ["float64", "float32"][seed // 4 % 2]
    rows, times, n_in, n = (int(rng.integers(1, 41)) for _ in range(4))
    times = min(times, 12)
    sequences, reverse = bool(rng.integers(2)), bool(rng.integers(2))
    layer = KINDS[kind](n, dialect="torch", return_sequences=sequences, reverse=reverse, input_shape=(times, n_in))
    net = randomised(schuss.Network([layer], seed=1, dtype=dtype), seed)
    other = torch_layer(torch, kind, n_in, n, list(net.parameters))
    lengths = rng.integers(0, times + 1, rows) if rng.random() < 0.7 else None
    x = rng.normal(size=(rows, times, n_in)).astype(dtype)
    first = rng.normal(size=(rows, net.state_size)).astype(dtype) if rng.random() < 0.7 else net.initial_state(rows)
    d = rng.normal(size=(rows, times, n) if sequences else (rows, n)).astype(dtype)

    # torch: each row by itself, so that none has times that are not there.
    inputs = torch.tensor(x.astype(float), requires_grad=True)
    wanted, ends, total = np.zeros(d.shape), first.astype(float), 0.0
    for i in range(rows):
        there = times if lengths is None else int(lengths[i])
        if there == 0:
            if not sequences:
                wanted[i] = ends[i, :n]
            continue
        row = inputs[i : i + 1, :there]
        state = torch.tensor(ends[i].reshape(-1, 1, 1, n))
        start = (state[0], state[1]) if kind == "lstm" else state[0]
        out, end = other(row.flip(1) if reverse else row, start)
        ends[i] = np.concatenate([part.detach().numpy().ravel() for part in (end if kind == "lstm" else [end])])
        value = out[0, -1] if not sequences else out[0].flip(0) if reverse else out[0]
        wanted[(i, slice(there)) if sequences else i] = value.detach().numpy()
        total = total + (value * torch.tensor(d[i, :there] if sequences else d[i])).sum()
    if isinstance(total, torch.Tensor):
        total.backward()

    tolerance = 1e-11 if dtype == "float64" else TOLERANCE
    for level in each_isa():
        state = first.copy()
        assert_close(net.predict(x, lengths=lengths, state=state), wanted, tolerance, level)
        assert_close(state, ends, tolerance, level)
        state = first.copy()
        assert_close(net.forward(x, lengths=lengths, state=state), wanted, tolerance, level)
        assert_close(state, ends, tolerance, level)
        dx = net.backward(d)
        by_inputs = np.zeros(x.shape) if inputs.grad is None else inputs.grad.numpy()
        assert_close(dx, by_inputs, tolerance, level)
        for gradient, p in zip(net.gradients, other.parameters(), strict=True):
            by_parameter = np.zeros(p.shape) if p.grad is None else p.grad.numpy()
            assert_close(gradient, by_parameter.T, tolerance, level)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_torch_stacked_in_both_directions(kind: str, threads: int) -> None:
    """Two layers, each in both directions, of packed sequences: outputs, last states and all gradients."""
    torch: Any = pytest.importorskip("torch")
    rows, times, n_in, n = 9, 11, 5, 7
    made = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[kind]
    torch.manual_seed(3)
    other = made(n_in, n, num_layers=2, bidirectional=True, batch_first=True)
    both = schuss.Bidirectional(KINDS[kind](n, dialect="torch", return_sequences=True))
    net = schuss.Network([schuss.Input("x", (times, n_in)), both, both], seed=0)
    for p, theirs in zip(net.parameters, other.parameters(), strict=True):
        p[...] = theirs.detach().numpy().T
    rng = np.random.default_rng(0)
    lengths = rng.integers(1, times + 1, rows)
    x = rng.normal(size=(rows, times, n_in)).astype("float32")
    d = rng.normal(size=(rows, times, 2 * n)).astype("float32")
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(x), torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    out, _ = torch.nn.utils.rnn.pad_packed_sequence(other(packed)[0], batch_first=True, total_length=times)
    assert_close(net.predict(x, lengths=lengths), out.detach())
    net.forward(x, lengths=lengths)
    net.backward(d)
    (out * torch.tensor(d)).sum().backward()
    for gradient, p in zip(net.gradients, other.parameters(), strict=True):
        assert_close(gradient, p.grad.numpy().T)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_torch_training(kind: str) -> None:
    """Thirty steps of Adam from the same start."""
    torch: Any = pytest.importorskip("torch")
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(24, 10, 4)), rng.normal(size=(24, 2))
    net = schuss.Network(
        [KINDS[kind](6, dialect="torch", input_shape=(10, 4)), schuss.Dense(2)], seed=1, dtype="float64"
    )
    other = torch_layer(torch, kind, 4, 6, list(net.parameters[:4]))
    head = torch.nn.Linear(6, 2).double()
    with torch.no_grad():
        head.weight.copy_(torch.tensor(net.parameters[4].T))
        head.bias.copy_(torch.tensor(net.parameters[5]))
    optimizer = torch.optim.Adam([*other.parameters(), *head.parameters()], lr=0.01)
    ours = schuss.Adam(net.parameters, lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        loss = ((head(other(torch.tensor(x))[0][:, -1]) - torch.tensor(y)) ** 2).mean()
        loss.backward()
        optimizer.step()
        assert_allclose(net.train_step(x, y, loss="mse", optimizer=ours), loss.item(), rtol=1e-9)
    for p, theirs in zip(net.parameters, [*other.parameters(), *head.parameters()], strict=True):
        assert_close(p, theirs.detach().numpy().T, 1e-8)


# ---- Keras -----------------------------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("sequences", [False, True])
def test_keras(kind: str, sequences: bool) -> None:
    """Values and gradients of masked rows, where both have them: at times that are there."""
    torch: Any = pytest.importorskip("torch")
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp())
    keras: Any = pytest.importorskip("keras")
    rows, times, n_in, n = 8, 9, 5, 6
    options: dict[str, Any] = {"return_sequences": sequences, "zero_output_for_mask": sequences}
    other = {
        "rnn": lambda: keras.layers.SimpleRNN(n, return_sequences=sequences),
        "relu": lambda: keras.layers.SimpleRNN(n, activation="relu", return_sequences=sequences),
        "gru": lambda: keras.layers.GRU(n, **options),
        "gru before": lambda: keras.layers.GRU(n, reset_after=False, **options),
        "lstm": lambda: keras.layers.LSTM(n, **options),
    }[kind]()
    net = randomised(schuss.Network([KINDS[kind](n, return_sequences=sequences, input_shape=(times, n_in))], seed=0))
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, times + 1, rows)
    there = np.arange(times) < lengths[:, None]
    x = rng.normal(size=(rows, times, n_in)).astype("float32")
    d = rng.normal(size=(rows, times, n) if sequences else (rows, n)).astype("float32")
    if sequences:
        d *= there[:, :, None]

    def theirs(array: Array) -> Array:
        """Keras' order of gates is z, r, h."""
        if "gru" not in kind:
            return np.array(array)
        r, z, new = np.split(array, 3, axis=-1)
        return np.concatenate([z, r, new], axis=-1)

    other.build((None, times, n_in))
    weights = [theirs(p) for p in net.parameters]
    biases = len(weights) - 2
    other.set_weights([*weights[:2], weights[2] if biases == 1 else np.stack(weights[2:])])
    mask = torch.tensor(there)
    out = other(torch.tensor(x), mask=mask, training=True)
    value, wanted = net.forward(x, lengths=lengths), out.detach().cpu().numpy()
    if sequences:
        wanted = wanted * there[:, :, None]
    assert_close(value, wanted)
    assert_close(net.predict(x, lengths=lengths), wanted)
    net.backward(d)
    (out * torch.tensor(d, device=out.device)).sum().backward()
    found = [v.value.grad.cpu().numpy() for v in other.trainable_variables]
    gradients = [theirs(g) for g in net.gradients]
    for ours, wanted in zip(
        [*gradients[:2], gradients[2] if biases == 1 else np.stack(gradients[2:])], found, strict=True
    ):
        assert_close(ours, wanted)


# ---- lengths and states ----------------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_finite_differences_with_lengths(kind: str, sequences: bool, reverse: bool, isa: str) -> None:
    """Of rows that end at different times, in a carried state, with all kinds of dropout; and the plain walk."""
    layer = KINDS[kind](
        4, return_sequences=sequences, reverse=reverse, dropout=0.2, recurrent_dropout=0.4, input_shape=(5, 3)
    )
    net = randomised(schuss.Network([layer], seed=3, dtype="float64"))
    rng = np.random.default_rng(2)
    lengths = np.array([5, 0, 2, 5, 1, 3])
    x, state = rng.normal(size=(6, 5, 3)), rng.normal(size=(6, net.state_size))
    d = rng.normal(size=(6, 5, 4) if sequences else (6, 4))
    draw = net._core.draws
    walk = twin.run(net, x, training=True, lengths=lengths, state=state)
    carried = state.copy()
    assert_close(net.forward(x, lengths=lengths, state=carried), walk.value, 1e-13)
    assert_close(carried, walk.carries[0], 1e-13)
    walk.back(d)
    dx = net.backward(d)
    assert isinstance(dx, np.ndarray)
    assert_close(dx, walk.by_input["x"], 1e-13)
    gradients = {name: g.copy() for name, g in zip(net.named_parameters(), net.gradients, strict=True)}
    for name, gradient in gradients.items():
        assert_close(gradient, walk.gradients[name], 1e-13, name)

    def value() -> float:
        net._core.draws = draw
        return float((net.forward(x, lengths=lengths, state=state.copy()) * d).sum())

    check_differences(value, {**net.named_parameters(), "x": x}, {**gradients, "x": dx})


@kinds
def test_a_carried_state_goes_on(kind: str, threads: int) -> None:
    """Two halves of a sequence, the second from the state that the first left, are the whole to the last bit."""
    whole, half = (
        randomised(
            schuss.Network([KINDS[kind](19, return_sequences=True, input_shape=(times, 6)), schuss.Dense(2)], seed=0)
        )
        for times in (10, 5)
    )
    x = np.random.default_rng(0).normal(size=(23, 10, 6)).astype("float32")
    state = half.initial_state(23)
    parts = [half.predict(x[:, :5], state=state), half.predict(x[:, 5:], state=state)]
    found = whole.initial_state(23)
    assert_array_equal(np.concatenate(parts, axis=1), whole.predict(x, state=found))
    assert_array_equal(state, found)
    # A step trains from the state, and no gradient goes to it: as far as the second half knows, it is data.
    before = half.initial_state(23)
    half.predict(x[:, :5], state=before)
    again = before.copy()
    half.loss_and_gradients(x[:, 5:], np.zeros((23, 5, 2)), "mse", state=before)
    assert_array_equal(before, state)
    walk = twin.run(half, x[:, 5:], training=True, state=again.astype(float))
    walk.back(2 * walk.value / walk.value.size)
    for name, gradient in zip(half.named_parameters(), half.gradients, strict=True):
        assert_close(gradient, walk.gradients[name], what=name)


@kinds
@pytest.mark.parametrize("sequences", [False, True])
def test_a_row_of_length_0_stays_in_its_state(kind: str, sequences: bool) -> None:
    net = randomised(schuss.Network([KINDS[kind](5, return_sequences=sequences, input_shape=(4, 3))], seed=0))
    rng = np.random.default_rng(0)
    x, state = rng.normal(size=(3, 4, 3)).astype("float32"), rng.normal(size=(3, net.state_size)).astype("float32")
    before = state.copy()
    out = net.forward(x, lengths=[0, 0, 0], state=state)
    assert_array_equal(state, before)
    assert_array_equal(out, np.zeros((3, 4, 5)) if sequences else before[:, :5])
    dx = net.backward(np.ones_like(out))
    assert isinstance(dx, np.ndarray)
    assert not dx.any()
    assert not any(g.any() for g in net.gradients)


# ---- bits ------------------------------------------------------------------------------------------------------------


def _deep(kind: str, times: int, n: int, dropout: float, norm: bool = True) -> list[schuss.layers.Layer]:
    make = KINDS[kind]
    return [
        make(n, return_sequences=True, recurrent_dropout=dropout, input_shape=(times, 5)),
        schuss.Bidirectional(make(n, return_sequences=True)),
        schuss.LayerNorm() if norm else schuss.Activation("tanh"),
        make(n + 3, dropout=dropout, reverse=True),
        schuss.Dense(3, "softmax"),
    ]


@kinds
@pytest.mark.parametrize("n", [6, 40])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits(
    kind: str, n: int, dtype: str, each_fma_isa: Callable[[], Iterator[str]], set_threads: Callable[[int], None]
) -> None:
    """The same parameters after some epochs for any threads and instruction set."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(75, 7, 5)), rng.integers(0, 3, 75)
    lengths = rng.integers(0, 8, 75)
    wanted: list[Array] = []
    for level in each_fma_isa():
        for threads in (1, 2, 3):
            set_threads(threads)
            net = schuss.Network(_deep(kind, 7, n, 0.2), seed=2, dtype=dtype)
            optimizer = schuss.Adam(net.parameters, lr=0.01)
            net.fit(x, y, lengths=lengths, loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=32)
            found = [*(p.copy() for p in net.parameters), net.predict(x, lengths=lengths)]
            wanted = wanted or found
            for a, b in zip(found, wanted, strict=True):
                assert_array_equal(a, b, err_msg=f"{level}, {threads} threads")


@kinds
def test_padding_changes_no_bit(kind: str, threads: int) -> None:
    """Rows padded to more times than any of them has, and rows alone."""
    rng = np.random.default_rng(1)
    lengths = rng.integers(0, 8, 40)
    x, y = rng.normal(size=(40, 12, 5)).astype("float32"), rng.integers(0, 3, 40)
    long = schuss.Network(_deep(kind, 12, 9, 0.0, norm=False), seed=2)
    short = schuss.Network(_deep(kind, 7, 9, 0.0, norm=False), seed=2)
    cut = np.ascontiguousarray(x[:, :7])
    out = long.predict(x, lengths=lengths)
    assert_array_equal(out, short.predict(cut, lengths=lengths))
    for i in range(40):
        assert_array_equal(out[i : i + 1], short.predict(cut[i : i + 1], lengths=lengths[i : i + 1]))
    for net, data in ((long, x), (short, cut)):
        net.loss_and_gradients(data, y, "cross_entropy", lengths=lengths)
    for a, b in zip(long.gradients, short.gradients, strict=True):
        assert_array_equal(a, b)
    # Full lengths are no lengths.
    found = short.loss_and_gradients(cut, y, "cross_entropy", lengths=np.full(40, 7))
    gradients = [g.copy() for g in short.gradients]
    assert found == short.loss_and_gradients(cut, y, "cross_entropy")
    for a, b in zip(gradients, short.gradients, strict=True):
        assert_array_equal(a, b)


@kinds
def test_an_update_at_birth_is_that_of_a_gradient(kind: str, threads: int) -> None:
    """Clipping needs all gradients first; a bound that nothing reaches changes no bit."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(30, 6, 5)).astype("float32"), rng.integers(0, 3, 30)
    found = []
    for clip in ({}, {"clip_norm": 1e9}):
        net = schuss.Network(_deep(kind, 6, 21, 0.1), seed=4)
        optimizer = schuss.Adam(net.parameters, lr=0.01)
        for _ in range(3):
            net.train_step(x, y, loss="cross_entropy", optimizer=optimizer, **clip)  # type: ignore[arg-type]
        found.append([p.copy() for p in net.parameters])
    for a, b in zip(*found, strict=True):
        assert_array_equal(a, b)


@kinds
def test_large_sizes_step_more_rows_together(kind: str) -> None:
    """Weights of more than a quarter of a megabyte."""
    net = randomised(schuss.Network([KINDS[kind](150, return_sequences=True, input_shape=(3, 70))], seed=0))
    x = np.random.default_rng(0).normal(size=(121, 3, 70)).astype("float32")
    walk = twin.run(net, x, training=True)
    assert_close(net.predict(x), walk.value)
    d = np.random.default_rng(1).normal(size=walk.value.shape).astype("float32")
    assert_close(net.forward(x), walk.value)
    walk.back(d.astype(float))
    assert_close(net.backward(d), walk.by_input["x"])
    for name, gradient in zip(net.named_parameters(), net.gradients, strict=True):
        assert_close(gradient, walk.gradients[name], what=name)


@kinds
def test_going_on_from_a_file_changes_no_bit(kind: str, tmp_path: Path, threads: int) -> None:
    """Three epochs, and one, a file, and two."""
    rng = np.random.default_rng(1)
    x, y, lengths = rng.normal(size=(50, 6, 5)), rng.integers(0, 3, 50), rng.integers(0, 7, 50)
    options: dict[str, Any] = {"lengths": lengths, "loss": "cross_entropy", "batch_size": 16}

    def begun(epochs: int) -> schuss.Network:
        net = schuss.Network(_deep(kind, 6, 12, 0.2), seed=2)
        net.fit(x, y, optimizer=schuss.Adam(net.parameters, lr=0.01), epochs=epochs, **options)
        return net

    whole, part = begun(3), begun(1)
    part.save(tmp_path / "part.npz")
    again = schuss.load(tmp_path / "part.npz")
    assert again.layers == part.layers
    assert_array_equal(again.predict(x, lengths=lengths), part.predict(x, lengths=lengths))
    again.fit(x, y, optimizer=again.optimizer, epochs=2, **options)
    for a, b in zip(again.parameters, whole.parameters, strict=True):
        assert_array_equal(a, b)


@kinds
def test_predictions_do_not_depend_on_how_many_rows_come_together(kind: str, threads: int) -> None:
    """A row alone, and among many: other tiles, the same sums."""
    net = randomised(schuss.Network([KINDS[kind](21, return_sequences=True, input_shape=(5, 6))], seed=0))
    x = np.random.default_rng(0).normal(size=(300, 5, 6)).astype("float32")
    wanted = net.predict(x)
    for rows in (1, 2, 3, 4, 15, 64):
        assert_array_equal(net.predict(x[:rows]), wanted[:rows])
    assert_array_equal(net.forward(x[:1]), wanted[:1])
    assert_array_equal(net.forward(x[:77]), wanted[:77])


@kinds
def test_long_sums(kind: str) -> None:
    """Rows times times beyond a block of a long sum, and states that are longer than one."""
    net = randomised(schuss.Network([KINDS[kind](5, input_shape=(70, 3)), schuss.Dense(1)], seed=0, dtype="float64"))
    x = np.random.default_rng(0).normal(size=(131, 70, 3))
    walk = twin.run(net, x, training=True)
    assert_close(net.forward(x), walk.value, 1e-12)
    d = np.random.default_rng(1).normal(size=walk.value.shape)
    walk.back(d)
    assert_close(net.backward(d), walk.by_input["x"], 1e-12)
    for name, gradient in zip(net.named_parameters(), net.gradients, strict=True):
        assert_close(gradient, walk.gradients[name], 1e-12, name)
    wide = randomised(schuss.Network([schuss.RNN(3, input_shape=(2, 4200))], seed=0, dtype="float64"))
    x = np.random.default_rng(0).normal(size=(21, 2, 4200))
    assert_close(wide.predict(x), twin.run(wide, x).value, 1e-12)
    assert_array_equal(wide.predict(x)[:1], wide.predict(x[:1]))


# ---- descriptions ----------------------------------------------------------------------------------------------------


def test_starts() -> None:
    net = schuss.Network([schuss.LSTM(64, input_shape=(5, 16)), schuss.Dense(1)], seed=0)
    weight, recurrent, bias = net.parameters[:3]
    limit = np.sqrt(6 / (16 + 256))
    assert np.abs(weight).max() <= limit
    assert np.abs(weight).max() > 0.98 * limit
    assert_allclose(recurrent @ recurrent.T, np.eye(64), atol=1e-5)
    assert_array_equal(bias, np.repeat([0, 1, 0, 0], 64))
    other = schuss.Network(
        [schuss.LSTM(64, dialect="torch", init="uniform", recurrent_init="uniform", forget_bias=0, input_shape=(5, 16))]
    )
    for p in other.parameters[:2]:
        assert 0.12 < np.abs(p).max() <= 0.125
    assert not other.parameters[2].any()
    assert len(other.parameters) == 4


def test_descriptions_tell_what_they_are() -> None:
    both = schuss.Bidirectional(schuss.GRU(8, return_sequences=True, input_shape=(6, 4)))
    layers = [both, schuss.LSTM(5, return_sequences=True), schuss.RNN(3, "relu", reverse=True), schuss.Dense(2)]
    net = schuss.Network(layers, seed=0)
    assert net.layers[0].shape.columns == 16
    assert net.predict(np.zeros((2, 6, 4))).shape == (2, 2)
    assert net.state_size == 8 + 8 + 2 * 5 + 3
    for layer in net.layers:
        assert schuss.layers.of_description(layer.described()) == layer
    assert sum(p.size for p in net.parameters) == sum(layer.n_parameters for layer in net.layers)
    summary = net.summary()
    assert "RNN 6 x 5 -> 3, reversed" in summary
    assert "LSTM 6 x 16 -> 6 x 5" in summary


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schuss.LSTM(0), "n_hidden must be"),
        (lambda: schuss.LSTM(3, dropout=1), "dropout must be"),
        (lambda: schuss.LSTM(3, recurrent_dropout=-0.1), "recurrent_dropout must be"),
        (lambda: schuss.LSTM(3, dialect="jax"), "dialect .jax. is not known"),
        (lambda: schuss.LSTM(3, init="nice"), "init .nice. is not known"),
        (lambda: schuss.LSTM(3, forget_bias=np.nan), "forget_bias must be"),
        (lambda: schuss.LSTM(3, input_shape=(3,)), r"input_shape must be \(times, features\)"),
        (lambda: schuss.LSTM(3, input_shape=(0, 3)), r"input_shape\[0\] must be"),
        (lambda: schuss.RNN(3, "sigmoid"), "activation .sigmoid. is not known"),
        (lambda: schuss.GRU(3, reset="never"), "reset .never. is not known"),
        (lambda: schuss.GRU(3, reset="before", dialect="torch"), "reset must be 'after'"),
        (lambda: schuss.Bidirectional(schuss.GRU(3, reverse=True)), "layer.reverse must be False"),
        (lambda: schuss.Network([schuss.LSTM(3)]), r"layers\[0\], LSTM, must tell .* input_shape="),
        (lambda: schuss.Network([schuss.Dense(4, 4), schuss.LSTM(3)]), r"layers\[1\], LSTM, must come behind rows of"),
        (
            lambda: schuss.Network([schuss.LSTM(3, input_shape=(4, 2)), schuss.GRU(3)]),
            "return_sequences=True; got 3 col",
        ),
        (lambda: schuss.Network([schuss.Input("x", (4, 5, 2)), schuss.GRU(3)]), r"got rows of \(4, 5, 2\)"),
        (
            lambda: schuss.Network([schuss.Input("x", (4, 2)), schuss.GRU(3, input_shape=(4, 3))]),
            r"layers\[0?1?\].input_shape must be \(4, 2\)",
        ),
        (lambda: schuss.Network([schuss.Input("x", (4, 2)), schuss.Residual(schuss.GRU(2))]), "must give back"),
    ],
)
def test_bad_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_bidirectional_takes_recurrent_layers() -> None:
    with pytest.raises(TypeError, match="layer must be an RNN, GRU or LSTM"):
        schuss.Bidirectional(schuss.Dense(3))  # type: ignore[arg-type]
