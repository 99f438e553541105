"""Models of Keras as networks, and networks as models: the same numbers to 1e-5."""

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
from schuss.interchange import from_keras, to_keras

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
            L.BatchNormalization(scale=False, momentum=0.9),
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
    "pooled": (lambda: [L.Conv2D(5, 3, activation="gelu"), L.GlobalMaxPooling2D(), L.Dense(3), L.ReLU()], (6, 5, 2)),
    "dense": (
        lambda: [
            keras.Sequential([L.Dense(5, activation="selu")]),
            L.Activation("softplus"),
            L.Dense(4, use_bias=False),
        ],
        (7,),
    ),
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
    net = from_keras(model, seed=0)
    assert_allclose(net.predict(x), wanted, rtol=1e-5, atol=1e-5)
    again = to_keras(net)
    assert_allclose(of_keras(again, x), wanted, rtol=1e-5, atol=1e-5)
    assert_allclose(from_keras(again).predict(x), wanted, rtol=1e-5, atol=1e-5)


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
        Dense(3, "mish", parametrization="ntp"),
        Dense(2, "sigmoid", bias=False),
    ]
    net = schuss.Network(layers, seed=1, dtype="float64")
    model = to_keras(net)
    x = np.random.default_rng(0).normal(size=(4, 8, 6, 2))
    assert_allclose(of_keras(model, x), net.predict(x), atol=1e-12)
    series = schuss.Network([Conv1D(4, 3, "tanh", padding=1, input_shape=(7, 2)), GlobalMaxPool(), Dense(1)], seed=0)
    x = np.random.default_rng(0).normal(size=(4, 7, 2)).astype(np.float32)
    assert_allclose(of_keras(to_keras(series), x), series.predict(x), atol=1e-6)


@pytest.mark.parametrize(
    ("layers", "shape", "error", "message"),
    [
        ([lambda: L.Conv2D(4, 3, groups=2)], (5, 5, 4), ValueError, "groups must be 1 to be had here; got 2"),
        ([lambda: L.Dense(3, activation="softsign")], (4,), ValueError, "activation must be one of .* got 'softsign'"),
        ([lambda: L.ReLU(max_value=6)], (4,), ValueError, "max_value must be None"),
        ([lambda: L.UnitNormalization()], (4,), TypeError, "must be one of Sequential, .* got UnitNormalization"),
        ([lambda: L.Conv1D(2, 3)], (None, 4), ValueError, "model must be built with one input of known size"),
    ],
)
def test_what_there_is_not_here(layers: Any, shape: Any, error: type[Exception], message: str) -> None:
    model = keras.Sequential([keras.Input(shape), *(make() for make in layers)])
    with pytest.raises(error, match=message):
        from_keras(model)


def test_models_of_other_kinds() -> None:
    with pytest.raises(TypeError, match=r"model must be a keras.Sequential; got int"):
        from_keras(3)
    with pytest.raises(ValueError, match="model must be built"):
        from_keras(keras.Sequential([L.Dense(3)]))


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([schuss.Residual([Dense(3, 3)])], r"network.layers\[0\] must be one layer; got Residual"),
        ([Dense(3, 3), schuss.Scale()], r"network.layers\[1\] must have a layer in Keras; got Scale"),
        ([MaxPool(3, 1, 1, input_shape=(4, 1)), Flatten(), Dense(1)], "padding must be 'valid', 'same' or 0 for Keras"),
    ],
)
def test_what_there_is_not_in_keras(layers: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        to_keras(schuss.Network(layers))
