"""Recurrent networks learn what they are for: what stands far apart, which the simplest of them does not."""

from __future__ import annotations

import numpy as np
import pytest

import schuss

TIMES = 60


def adding(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random numbers, two of which are marked: one in the first half of a row, one in the second. Their sum.

    Hochreiter and Schmidhuber's adding problem (1997).
    """
    rng = np.random.default_rng(seed)
    X = np.zeros((rows, TIMES, 2), np.float32)
    X[:, :, 0] = rng.random((rows, TIMES))
    row = np.arange(rows)
    first, second = rng.integers(0, TIMES // 2, rows), rng.integers(TIMES // 2, TIMES, rows)
    X[row, first, 1] = X[row, second, 1] = 1
    return X, X[row, first, 0] + X[row, second, 0]


def error(layer: type, epochs: int) -> float:
    """The squared error of rows that were not trained on."""
    net = schuss.Network([layer(32, input_shape=(TIMES, 2)), schuss.Dense(1)], seed=0)
    net.fit(*adding(4000, 0), loss="mse", optimizer="adam", lr=5e-3, epochs=epochs, batch_size=64, clip_norm=1.0)
    return net.evaluate(*adding(500, 1), "mse")["loss"]


@pytest.mark.parametrize(("layer", "epochs"), [(schuss.LSTM, 20), (schuss.GRU, 10)])
def test_gates_remember(layer: type, epochs: int) -> None:
    assert error(layer, epochs) < 0.005  # the mean of all sums has an error of 1 / 6


def test_a_plain_recurrent_layer_does_not() -> None:
    assert error(schuss.RNN, 20) > 0.1
