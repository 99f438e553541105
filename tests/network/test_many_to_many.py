"""Losses at each time of rows of different length: against torch's packed sequences and Keras's masks, and all else
that works with other networks."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss

TIMES, FEATURES, CLASSES = 8, 3, 4
Layers = list[schuss.layers.Layer]


def tagger(dtype: str = "float32", times: int = TIMES, dropout: float = 0.0) -> schuss.Network:
    """A class at each time."""
    layers: Layers = [
        schuss.Input("x", (times, FEATURES)),
        schuss.Bidirectional(
            schuss.LSTM(5, return_sequences=True, dialect="torch", dropout=dropout, recurrent_dropout=dropout)
        ),
        schuss.GRU(6, return_sequences=True, dialect="torch"),
        schuss.Dense(7, "tanh", dropout=dropout),
        schuss.Dense(CLASSES),
    ]
    return schuss.Network(layers, seed=3, dtype=dtype)


def classifier(dtype: str = "float32", times: int = TIMES) -> schuss.Network:
    """A class of each row."""
    layers: Layers = [
        schuss.Input("x", (times, FEATURES)),
        schuss.GRU(6, return_sequences=True),
        schuss.Bidirectional(schuss.LSTM(5)),
        schuss.Dense(CLASSES),
    ]
    return schuss.Network(layers, seed=3, dtype=dtype)


def data(rows: int = 12, least: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(least, TIMES + 1, rows)
    return rng.normal(size=(rows, TIMES, FEATURES)), rng.integers(0, CLASSES, (rows, TIMES)), lengths


def there(lengths: np.ndarray, times: int = TIMES) -> np.ndarray:
    return np.arange(times) < lengths[:, None]


def same(a: schuss.Network, b: schuss.Network) -> None:
    for mine, theirs in zip(a.parameters, b.parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)


# ---- others ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_packed_sequences_of_torch(dtype: str) -> None:
    """Outputs, losses, gradients, and ten steps of Adam."""
    torch: Any = pytest.importorskip("torch")
    packing = torch.nn.utils.rnn
    net = tagger(dtype)
    module = schuss.to_torch(net)
    X, labels, lengths = data(least=1)
    X = X.astype(dtype)

    def forward() -> Any:
        value = packing.pack_padded_sequence(
            torch.from_numpy(X), torch.from_numpy(lengths), batch_first=True, enforce_sorted=False
        )
        for layer in module[:2]:
            value = layer.layer(value)[0]
        value = packing.pad_packed_sequence(value, batch_first=True, total_length=TIMES)[0]
        return module[2:](value)

    mask = torch.from_numpy(there(lengths))
    tolerance = 1e-5 if dtype == "float32" else 1e-10
    found = net.predict(X, lengths=lengths)
    expected = forward().detach().numpy()
    np.testing.assert_allclose(found[there(lengths)], expected[there(lengths)], atol=tolerance)
    inner = schuss.Network(net.layers[:3], seed=0, dtype=dtype)
    for mine, theirs in zip(inner.parameters, net.parameters, strict=False):
        mine[...] = theirs
    assert (inner.predict(X, lengths=lengths)[~there(lengths)] == 0).all()

    optimizer, theirs = schuss.Adam(net.parameters, lr=0.01), torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(10):
        theirs.zero_grad()
        loss = torch.nn.functional.cross_entropy(forward()[mask], torch.from_numpy(labels)[mask])
        loss.backward()
        theirs.step()
        mine = net.train_step(X, labels, "cross_entropy", optimizer, lengths=lengths)
        assert mine == pytest.approx(loss.item(), rel=10 * tolerance)
    trained = schuss.from_torch(list(module), (TIMES, FEATURES), return_sequences=True)
    assert len(trained.parameters) == len(net.parameters)
    for mine, other in zip(net.parameters, trained.parameters, strict=True):
        np.testing.assert_allclose(mine, other, atol=30 * tolerance)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("sequences", [False, True])
def test_masks_of_keras(sequences: bool) -> None:
    """Outputs at times that are there, the last state, and losses; lengths 0 too."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras: Any = pytest.importorskip("keras")
    layers: Layers = [
        schuss.Input("x", (TIMES, FEATURES)),
        schuss.LSTM(5, return_sequences=True),
        schuss.GRU(6, return_sequences=sequences),
        schuss.Dense(CLASSES, "softmax"),
    ]
    net = schuss.Network(layers, seed=0)
    inside = schuss.to_keras(net).layers
    model = keras.Sequential([keras.Input((TIMES, FEATURES)), keras.layers.Masking(), *inside])
    X, labels, lengths = data()
    X[~there(lengths)] = 0
    X = X.astype(np.float32)
    assert 0 in lengths
    found = net.predict(X, lengths=lengths)
    expected = np.asarray(keras.ops.convert_to_numpy(model(X)))
    if not sequences:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        return
    mask = there(lengths)
    np.testing.assert_allclose(found[mask], expected[mask], rtol=1e-5, atol=1e-6)
    picked = np.take_along_axis(expected, labels[..., None], 2)[..., 0]
    loss = net.evaluate(X, labels, "cross_entropy", "accuracy", lengths=lengths)
    assert loss["loss"] == pytest.approx(-np.log(picked[mask]).mean(), rel=1e-5)
    assert loss["accuracy"] == (expected.argmax(-1) == labels)[mask].mean()


# ---- the same bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("make", [tagger, classifier])
def test_padding_changes_no_bit_of_a_fit(make: Any, dtype: str) -> None:
    X, labels, lengths = data(24)
    longer = TIMES + 5
    padded = np.full((24, longer, FEATURES), 7.0)
    padded[:, :TIMES] = X
    target = labels if make is tagger else labels[:, 0]
    more = np.full((24, longer), -1)
    more[:, :TIMES] = labels
    nets = [make(dtype, times) for times in (TIMES, longer)]
    for net, x, y in zip(nets, (X, padded), (target, more if make is tagger else target), strict=True):
        net.fit(x, y, loss="cross_entropy", epochs=3, batch_size=8, lengths=lengths)
    same(*nets)
    first, second = (net.predict(x, lengths=lengths) for net, x in zip(nets, (X, padded), strict=True))
    np.testing.assert_array_equal(first, second[:, :TIMES] if make is tagger else second)


def test_rows_alone_and_what_is_not_there() -> None:
    net = tagger()
    X, _, lengths = data()
    whole = net.predict(X, lengths=lengths)
    other = X.copy()
    other[~there(lengths)] = 1e30
    np.testing.assert_array_equal(net.predict(other, lengths=lengths), whole)
    for i in range(len(X)):
        np.testing.assert_array_equal(net.predict(X[i : i + 1], lengths=lengths[i : i + 1])[0], whole[i])
    ragged = [x[:n] for x, n in zip(X, lengths, strict=True)]
    np.testing.assert_array_equal(net.predict(schuss.Sequences(ragged)), whole)
    full = net.predict(X, lengths=np.full(len(X), TIMES))
    np.testing.assert_array_equal(full, net.predict(X))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_saved_and_gone_on(dtype: str, threads: int, tmp_path: Path) -> None:
    """With dropout of all kinds, shuffled, in any number of threads, from files that are mapped into memory."""
    X, labels, lengths = data(40)
    np.save(tmp_path / "x.npy", X.astype(dtype))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    arguments: dict[str, Any] = {
        "loss": "cross_entropy",
        "optimizer": "rmsprop",
        "lr": 0.01,
        "batch_size": 16,
        "validation_data": (schuss.Sequences(X[:9], lengths[:9]), labels[:9]),
        "metrics": "accuracy",
        "clip_norm": 1.0,
    }
    whole, parts = tagger(dtype, dropout=0.2), tagger(dtype, dropout=0.2)
    whole.fit(X, labels, epochs=4, lengths=lengths, **arguments)
    with schuss.threads(threads):
        parts.fit(mapped, labels, epochs=2, lengths=lengths, **arguments)
        parts.save(tmp_path / "net.npz")
        parts = schuss.load(tmp_path / "net.npz")
        parts = copy.deepcopy(parts)
        del arguments["lr"]
        parts.fit(mapped, labels, epochs=2, lengths=lengths, **arguments)
    same(whole, parts)
    for name in ("loss", "val_loss", "val_accuracy"):
        np.testing.assert_array_equal(whole.history[name], parts.history[name])
    np.testing.assert_array_equal(whole.predict(X, lengths=lengths), parts.predict(mapped, lengths=lengths))
    assert parts.summary() == whole.summary()


def test_memory_that_must_not_be_written() -> None:
    X, labels, lengths = data(20)
    for array in (X, labels, lengths):
        array.flags.writeable = False
    a, b = tagger(), tagger()
    a.fit(X, labels, loss="cross_entropy", lengths=lengths, epochs=2)
    b.fit(X.copy(), labels.copy(), loss="cross_entropy", lengths=lengths.copy(), epochs=2)
    same(a, b)


def test_weights_at_each_time_and_lengths() -> None:
    net = tagger("float64")
    X, labels, lengths = data()
    weights = np.random.default_rng(1).random(labels.shape)
    expected = net.loss_and_gradients(X, labels, "cross_entropy", lengths=lengths, sample_weight=weights)
    gradients = [g.copy() for g in net.gradients]
    zeroed = weights * there(lengths)
    log_p = net.predict(X, lengths=lengths)
    log_p = log_p - np.log(np.exp(log_p).sum(-1, keepdims=True))
    losses = -np.take_along_axis(log_p, labels[..., None], 2)[..., 0]
    assert expected == pytest.approx((losses * zeroed).sum() / zeroed.sum())
    net.loss_and_gradients(X, labels, "cross_entropy", lengths=lengths, sample_weight=zeroed)
    for mine, theirs in zip(gradients, net.gradients, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_summary() -> None:
    text = tagger().summary()
    for part in (
        "Input 'x' 8 x 3",
        "LSTM 8 x 3 -> 8 x 5 ",
        "LSTM 8 x 3 -> 8 x 5, reversed",
        "GRU 8 x 10 -> 8 x 6",
        "6 -> 7",
        "float32, seed 3",
    ):
        assert part in text, text


def test_learns_what_only_a_memory_can_tell() -> None:
    """Whether the first number was positive, told at the end."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 12, 1))
    lengths = rng.integers(1, 13, 600)
    y = (X[:, 0, 0] > 0).astype(int)
    net = schuss.Network([schuss.GRU(16, input_shape=(12, 1)), schuss.Dense(2)], seed=0)
    net.fit(X, y, loss="cross_entropy", optimizer="rmsprop", lr=0.01, epochs=15, lengths=lengths)
    assert net.evaluate(X, y, "cross_entropy", "accuracy", lengths=lengths)["accuracy"] > 0.97
