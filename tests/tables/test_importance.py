"""Predictions of rows with columns of other rows, in compiled code and copied out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import schuss
from schuss import _core
from schuss.layers import Concatenate, Dense, Embedding, Input

RNG = np.random.default_rng(5)


def network(dtype: str) -> tuple[schuss.Network, dict[str, Any]]:
    layers = [
        Concatenate([[Input("numbers", 4)], [Input("codes", 2, dtype="int64"), Embedding(9, 3)]]),
        Dense(16, "relu"),
        Dense(3),
    ]
    X = {"numbers": RNG.normal(size=(700, 4)).astype(dtype), "codes": RNG.integers(0, 9, (700, 2))}
    return schuss.Network(layers, seed=1, dtype=dtype), X


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("columns", [([1], []), ([], [1]), ([0, 3], [0, 1]), ([], [])])
def test_as_if_the_columns_were_copied(dtype: str, columns: tuple[list[int], list[int]]) -> None:
    net, X = network(dtype)
    orders = np.stack([RNG.permutation(700) for _ in range(3)])
    out = np.empty((3, 700, 3), dtype)
    _core.predict_permuted(net._core, (X["numbers"], X["codes"]), columns, orders, out)
    for order, found in zip(orders, out, strict=True):
        copies = {name: array.copy() for name, array in X.items()}
        for name, chosen in zip(X, columns, strict=True):
            copies[name][:, chosen] = X[name][order][:, chosen]
        assert np.array_equal(found, net.predict(copies))


def test_one_input_in_many_slabs() -> None:
    net = schuss.Network([Dense(30, 200, "relu"), Dense(200, 2)], seed=0)
    X = RNG.normal(size=(20_000, 30)).astype(np.float32)
    order = RNG.permutation(20_000)
    out = np.empty((1, 20_000, 2), np.float32)
    _core.predict_permuted(net._core, X, [[7, 8]], order[None], out)
    copied = X.copy()
    copied[:, [7, 8]] = X[order][:, [7, 8]]
    assert np.array_equal(out[0], net.predict(copied))


@pytest.mark.parametrize(
    ("columns", "order", "message"),
    [
        ([[30]], [0, 1, 2], "columns"),
        ([[-1]], [0, 1, 2], "columns"),
        ([[0], [0]], [0, 1, 2], "columns has 2 lists"),
        ([[0]], [0, 1, 3], "orders must hold numbers of rows"),
        ([[0]], [0, 1, -1], "orders must hold numbers of rows"),
        ([[0]], [0, 1], "orders has shape"),
    ],
)
def test_what_does_not_fit(columns: Any, order: list[int], message: str) -> None:
    net = schuss.Network([Dense(30, 2)], seed=0)
    with pytest.raises(ValueError, match=message):
        _core.predict_permuted(
            net._core, np.ones((3, 30), np.float32), columns, np.array([order]), np.empty((1, 3, 2), np.float32)
        )
