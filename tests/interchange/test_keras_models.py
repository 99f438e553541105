"""Models of Keras as networks and back: outputs, gradients and weights."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")

import schuss

keras: Any = pytest.importorskip("keras")
K = keras.layers
TIMES, FEATURES = 6, 3
# What Keras's own get_weights does on jax.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def model(*layers: Any, shape: tuple[int, ...] = (TIMES, FEATURES), dtype: str = "float32", seed: int = 0) -> Any:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(dtype)
    try:
        made = keras.Sequential([keras.Input(shape, dtype=dtype), *(layer() for layer in layers)])
    finally:
        keras.config.set_dtype_policy(before)
    rng = np.random.default_rng(seed)
    made.set_weights([w + np.abs(rng.normal(0, 0.3, w.shape)).astype(w.dtype) for w in made.get_weights()])
    return made


def data(rows: int = 5, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, TIMES, FEATURES)).astype(dtype)


def answer(made: Any, x: np.ndarray) -> np.ndarray:
    given = keras.ops.convert_to_tensor(x, dtype=str(x.dtype))
    return np.asarray(keras.ops.convert_to_numpy(made(given, training=False)))


def loss_and_gradients(made: Any, x: np.ndarray, y: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """Mean squared error, and gradients in the order of the model's weights."""
    if keras.backend.backend() == "jax":
        import jax

        def loss(values: list[Any]) -> Any:
            out, _ = made.stateless_call(values, [v.value for v in made.non_trainable_variables], x, training=False)
            return ((out - y) ** 2).mean()

        value, found = jax.value_and_grad(loss)([v.value for v in made.trainable_variables])
        return float(value), [np.asarray(one) for one in found]
    import torch

    made.zero_grad()
    value = ((made(torch.from_numpy(x), training=False) - torch.from_numpy(y)) ** 2).mean()
    value.backward()
    return value.item(), [v.value.grad.numpy() for v in made.trainable_variables]


CASES: dict[str, list[Any]] = {
    "rnn": [lambda: K.SimpleRNN(4)],
    "relu": [lambda: K.SimpleRNN(4, activation="relu", return_sequences=True)],
    "gru": [lambda: K.GRU(4)],
    "gru before": [lambda: K.GRU(4, reset_after=False, return_sequences=True)],
    "gru backwards": [lambda: K.GRU(4, go_backwards=True)],
    "lstm": [lambda: K.LSTM(4, return_sequences=True)],
    "stacked": [lambda: K.LSTM(4, return_sequences=True), lambda: K.GRU(3), lambda: K.Dense(2)],
    "both": [lambda: K.Bidirectional(K.GRU(4, return_sequences=True)), lambda: K.Bidirectional(K.LSTM(3))],
    "at each time": [
        lambda: K.LayerNormalization(epsilon=1e-3),
        lambda: K.GRU(4, return_sequences=True, recurrent_dropout=0.1),
        lambda: K.Dropout(0.2),
        lambda: K.TimeDistributed(K.Dense(3, activation="tanh")),
        lambda: K.LeakyReLU(negative_slope=0.1),
        lambda: K.Activation("gelu"),
        lambda: K.Dense(2, use_bias=False),
        lambda: K.ELU(alpha=0.5),
    ],
    "softmax": [lambda: K.LSTM(4), lambda: K.Dense(5, activation="relu"), lambda: K.Dense(3, activation="softmax")],
    "norm": [lambda: K.SimpleRNN(4), lambda: K.BatchNormalization(), lambda: K.Activation("silu"), lambda: K.Dense(1)],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_outputs_gradients_and_weights(case: str, dtype: str) -> None:
    if dtype == "float64" and keras.backend.backend() == "jax":
        pytest.skip("jax has float64 only where it was asked for before anything else")
    made = model(*CASES[case], dtype=dtype)
    net = schuss.from_keras(made, seed=3)
    assert net.dtype == dtype and net.seed == 3
    tolerance = {"rtol": 1e-5, "atol": 1e-5}  # in float64 too: Keras rounds some of what it is given to float32
    X = data(dtype=dtype)
    expected = answer(made, X)
    np.testing.assert_allclose(net.predict(X), expected, **tolerance)
    again = schuss.to_keras(net)
    np.testing.assert_allclose(answer(again, X), expected, **tolerance)
    for mine, theirs in zip(made.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    if case == "norm":  # whose statistics are those of the batch in training
        return
    y = np.random.default_rng(2).normal(size=expected.shape).astype(dtype)
    plain = schuss.Network([type(layer)(**arguments(layer)) for layer in net.layers], seed=0, dtype=dtype)
    for mine, theirs in zip(plain.parameters, net.parameters, strict=True):
        mine[...] = theirs
    loss, gradients = loss_and_gradients(made, X, y)
    assert plain.loss_and_gradients(X, y, "mse") == pytest.approx(loss, rel=1e-5)
    before = made.get_weights()
    made.set_weights(gradients)
    for mine, theirs in zip(plain.gradients, schuss.from_keras(made.layers, (TIMES, FEATURES)).parameters, strict=True):
        np.testing.assert_allclose(mine, theirs, **tolerance)
    made.set_weights(before)


def arguments(layer: Any) -> dict[str, Any]:
    """Of the same layer without dropout."""
    found = layer.described()
    del found["kind"]
    for name in ("dropout", "recurrent_dropout"):
        if name in found:
            found[name] = 0.0
    if "n" in found and found.get("dims"):
        found["n"] = (*found.pop("dims"), found["n"])
    if isinstance(layer, schuss.Concatenate):
        found["branches"] = layer.branches
    return found


def test_training_goes_on_here_and_there() -> None:
    made = model(lambda: K.LSTM(4, return_sequences=True), lambda: K.GRU(3), lambda: K.Dense(2))
    net = schuss.from_keras(made)
    X = data(30)
    net.fit(X, X[:, -1, :2], loss="mse", epochs=2)
    assert schuss.to_keras(net, made) is made
    np.testing.assert_allclose(answer(made, X), net.predict(X), rtol=1e-5, atol=1e-5)


def test_functional_models_and_single_layers() -> None:
    x = keras.Input((TIMES, FEATURES))
    functional = keras.Model(x, K.Dense(2)(K.GRU(4)(x)))
    X = data()
    np.testing.assert_allclose(schuss.from_keras(functional).predict(X), answer(functional, X), rtol=1e-5, atol=1e-5)
    forked = keras.Model(x, K.Dense(2)(K.GRU(4)(x)) * 2)
    with pytest.raises(ValueError, match="what comes out must be that of the layers"):
        schuss.from_keras(forked)
    layer = K.GRU(4, return_sequences=True)
    layer.build((None, TIMES, FEATURES))
    np.testing.assert_allclose(
        schuss.from_keras(layer, (TIMES, FEATURES)).predict(X), answer(layer, X), rtol=1e-5, atol=1e-5
    )


def test_codes() -> None:
    made = keras.Sequential([keras.Input((TIMES,), dtype="int32"), K.Embedding(9, 4), K.GRU(3), K.Dense(2)])
    net = schuss.from_keras(made)
    codes = np.random.default_rng(0).integers(0, 9, (5, TIMES)).astype(np.int32)
    np.testing.assert_allclose(net.predict(codes[..., None]), answer(made, codes), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(answer(schuss.to_keras(net), codes), net.predict(codes[..., None]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([lambda: K.ConvLSTM1D(2, 3)], TypeError, r"must be made of layers that are known .*; got ConvLSTM1D"),
        ([lambda: K.LSTM(2, use_bias=False)], ValueError, r"layers\[0\], LSTM, must have use_bias=True; got False"),
        ([lambda: K.LSTM(2, activation="relu")], ValueError, r"LSTM, must have activation='tanh'; got 'relu'"),
        ([lambda: K.GRU(2, recurrent_activation="relu")], ValueError, "must have recurrent_activation='sigmoid'"),
        ([lambda: K.GRU(2, dropout=0.1)], ValueError, r"GRU, must have dropout=0: .*; got 0.1"),
        ([lambda: K.GRU(2, go_backwards=True, return_sequences=True)], ValueError, "must not go backwards"),
        ([lambda: K.Bidirectional(K.GRU(2), merge_mode="sum")], ValueError, "must have merge_mode='concat'; got 'sum'"),
        ([lambda: K.Masking(), lambda: K.GRU(2)], ValueError, r"layers\[0\], Masking, has no counterpart: .* lengths="),
        ([lambda: K.TimeDistributed(K.LayerNormalization())], TypeError, "TimeDistributed, must be of Dense"),
        (
            [lambda: K.GRU(2), lambda: K.Dense(2, activation="log_softmax")],
            ValueError,
            r"layers\[1\] must have an activ",
        ),
        ([lambda: K.LayerNormalization(axis=1)], ValueError, "LayerNormalization, must be over axis -1"),
    ],
)
def test_what_has_no_counterpart_is_named(layers: list[Any], error: type[Exception], message: str) -> None:
    shape = (TIMES, FEATURES, 2) if "ConvLSTM" in message else (TIMES, FEATURES)
    made = keras.Sequential([keras.Input(shape), *(layer() for layer in layers)])
    with pytest.raises(error, match=message):
        schuss.from_keras(made)


def test_shapes_that_a_model_leaves_open() -> None:
    made = keras.Sequential([keras.Input((None, FEATURES)), K.GRU(4)])
    with pytest.raises(
        ValueError, match=r"input_shape must be that of a row, with its times, as the model leaves it op"
    ):
        schuss.from_keras(made)
    X = data()
    np.testing.assert_allclose(
        schuss.from_keras(made, (TIMES, FEATURES)).predict(X), answer(made, X), rtol=1e-5, atol=1e-5
    )
    with pytest.raises(ValueError, match="must be built"):
        schuss.from_keras(K.GRU(4), (TIMES, FEATURES))
    for wrong in (3, "gru", None):
        with pytest.raises(TypeError, match="model must be a layer of Keras"):
            schuss.from_keras(wrong)


def test_layers_that_keras_has_not_and_models_of_others() -> None:
    net = schuss.Network([schuss.Dense(3, 3), schuss.Residual([schuss.Dense(3)])], seed=0)
    with pytest.raises(TypeError, match=r"network\.layers\[1\] must be one of .*; got Residual"):
        schuss.to_keras(net)
    reversed_net = schuss.Network([schuss.GRU(2, reverse=True, return_sequences=True, input_shape=(4, 3))], seed=0)
    with pytest.raises(ValueError, match="must not be reversed with return_sequences"):
        schuss.to_keras(reversed_net)
    made = model(lambda: K.LSTM(4), lambda: K.Dense(2))
    other = schuss.Network([schuss.GRU(4, input_shape=(TIMES, FEATURES)), schuss.Dense(2)], seed=0)
    before = made.get_weights()
    with pytest.raises(ValueError, match=r"layers\.0 must fit into model\.layers\[0\]"):
        schuss.to_keras(other, made)
    same = schuss.Network([schuss.LSTM(4, input_shape=(TIMES, FEATURES)), schuss.Dense(2, "relu")], seed=0)
    same.parameters[-1][...] = [-9, 0.5]
    with pytest.raises(ValueError, match="what comes out must be that of the layers one after the other"):
        schuss.to_keras(same, made)
    for mine, theirs in zip(before, made.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
