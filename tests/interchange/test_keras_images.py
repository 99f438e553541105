"""Models of Keras for images as networks, and back: the same numbers to 1e-5."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import schuss
from schuss import (
    AvgPool,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Flatten,
    GlobalMaxPool,
    Input,
    LayerNorm,
    MaxPool,
)

os.environ.setdefault("KERAS_BACKEND", "torch")
keras: Any = pytest.importorskip("keras")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own conversions to NumPy
Array = NDArray[Any]
L = keras.layers

MODELS: dict[str, tuple[Callable[[], list[Any]], tuple[int, ...]]] = {
    "lenet": (
        lambda: [
            L.Conv2D(4, 5, padding="same", activation="relu"),
            L.BatchNormalization(),
            L.MaxPooling2D(2),
            L.Conv2D(6, (3, 2), strides=2, use_bias=False),
            L.LeakyReLU(negative_slope=0.2),
            L.Flatten(),
            L.Dropout(0.3),
            L.Dense(9, activation="tanh"),
            L.BatchNormalization(momentum=0.9),
            L.Dense(3, activation="softmax"),
        ],
        (12, 10, 1),
    ),
    "series": (
        lambda: [
            L.Conv1D(5, 3, padding="causal", dilation_rate=2, activation="silu"),
            L.AveragePooling1D(3, 2),
            L.Conv1D(4, 2),
            L.ELU(alpha=0.6),
            L.GlobalAveragePooling1D(),
            L.LayerNormalization(),
            L.Dense(2),
            L.Softmax(),
        ],
        (11, 3),
    ),
    "pooled": (lambda: [L.Conv2D(5, 3, activation="silu"), L.GlobalMaxPooling2D(), L.Dense(3), L.ReLU()], (6, 5, 2)),
}


def model_of(name: str) -> tuple[Any, Array]:
    keras.utils.set_random_seed(1)
    make, shape = MODELS[name]
    model = keras.Sequential([keras.Input(shape), *make()])
    rng = np.random.default_rng(2)
    for each in model.layers:
        if isinstance(each, L.BatchNormalization):
            each.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in each.get_weights()])
    return model, rng.normal(size=(6, *shape)).astype(np.float32)


def of_keras(model: Any, x: Array) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(model(x, training=False)))


@pytest.mark.parametrize("name", list(MODELS))
def test_there_and_back(name: str) -> None:
    model, x = model_of(name)
    wanted = of_keras(model, x)
    net = schuss.from_keras(model, seed=0)
    assert_allclose(net.predict(x), wanted, rtol=1e-5, atol=1e-5)
    again = schuss.to_keras(net)
    assert_allclose(of_keras(again, x), wanted, rtol=1e-5, atol=1e-5)
    assert_allclose(schuss.from_keras(again).predict(x), wanted, rtol=1e-5, atol=1e-5)


def test_layers_of_ours() -> None:
    """Padding that Keras has no argument for comes as a layer of its own."""
    layers = [
        Input("x", (8, 6, 2)),
        Conv2D(4, 3, "leaky_relu", padding=((2, 0), (0, 1)), dropout=0.2),
        MaxPool(2, 1, "same"),
        Conv2D(3, 2, "hard_swish", stride=(2, 1)),
        AvgPool((3, 2), 1),
        BatchNorm(momentum=0.3),
        Flatten(),
        LayerNorm(),
        Dense(3, "mish"),
        Dense(2, "sigmoid", bias=False),
    ]
    # jax has float64 only where it was asked for before anything else.
    dtype, atol = ("float32", 1e-5) if keras.backend.backend() == "jax" else ("float64", 1e-12)
    net = schuss.Network(layers, seed=1, dtype=dtype)
    model = schuss.to_keras(net)
    x = np.random.default_rng(0).normal(size=(4, 8, 6, 2)).astype(dtype)
    assert_allclose(of_keras(model, x), net.predict(x), atol=atol)
    series = schuss.Network([Conv1D(4, 3, "tanh", padding=1, input_shape=(7, 2)), GlobalMaxPool(), Dense(1)], seed=0)
    x = np.random.default_rng(0).normal(size=(4, 7, 2)).astype(np.float32)
    assert_allclose(of_keras(schuss.to_keras(series), x), series.predict(x), atol=1e-6)


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([lambda: L.Conv2D(4, 3, groups=2)], (5, 5, 4), "must have groups=1; got 2"),
        ([lambda: L.Conv2D(4, 3, activation="softsign")], (5, 5, 4), "must have an activation of .* got softsign"),
        ([lambda: L.GlobalMaxPooling2D(keepdims=True)], (5, 5, 4), "must have keepdims=False"),
        ([lambda: L.ZeroPadding2D(1), lambda: L.MaxPooling2D(2)], (5, 5, 4), "must come before a convolution"),
        ([lambda: L.ZeroPadding2D(1), lambda: L.Conv2D(1, 3, padding="same")], (5, 5, 4), "with padding='valid'; got"),
        ([lambda: L.Conv1D(2, 3)], (None, 4), "input_shape must be that of a row"),
    ],
)
def test_what_there_is_not_here(layers: Any, shape: Any, message: str) -> None:
    model = keras.Sequential([keras.Input(shape), *(make() for make in layers)])
    with pytest.raises(ValueError, match=message):
        schuss.from_keras(model)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Conv2D(2, 3, input_shape=(5, 5, 1)), schuss.Scale()], r"network.layers\[1\] must be one of .*; got Scale"),
        ([MaxPool(3, 1, 1, input_shape=(4, 1)), Flatten(), Dense(1)], "padding must be 'valid' or 'same'"),
        ([AvgPool(3, 1, "same", count_include_pad=True, input_shape=(4, 1)), Flatten(), Dense(1)], "not be counted"),
    ],
)
def test_what_there_is_not_in_keras(layers: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        schuss.to_keras(schuss.Network(layers))


def test_channels_first() -> None:
    """A network that takes its channels first is a model that takes them last."""
    net = schuss.Network([Input("x", (2, 6, 5), channels="first"), Conv2D(3, 3), Flatten(), Dense(2)], seed=0)
    x = np.random.default_rng(0).normal(size=(4, 2, 6, 5)).astype(np.float32)
    assert_allclose(of_keras(schuss.to_keras(net), np.moveaxis(x, 1, -1)), net.predict(x), atol=1e-5)
