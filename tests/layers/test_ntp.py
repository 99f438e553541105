"""The neural tangent parametrization: the scale is the same as of weights that are divided before, in all passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import Dense, _core

Array = NDArray[Any]
RATE = 0.5


def pair(scaled: list[Any], plain: list[Any]) -> tuple[schuss.Network, schuss.Network]:
    """Two networks of one function, whose layers have a power of two as the root of n_in."""
    ours, other = (schuss.Network(layers, seed=3, dtype="float64") for layers in (scaled, plain))
    for (name, p), (same, q) in zip(ours.named_parameters().items(), other.named_parameters().items(), strict=True):
        assert name == same
        q[...] = p / np.sqrt(p.shape[0]) if p.ndim == 2 else p
    return ours, other


def layers(parametrization: str) -> list[Any]:
    kind = {"parametrization": parametrization}
    return [
        Dense(16, 64, "tanh", **kind),
        schuss.Residual([Dense(1024, "relu", **kind), Dense(64, "mish", **kind)]),
        Dense(4, **kind),
    ]


@pytest.mark.parametrize("rows", [1, 3, 300])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_powers_of_two_give_the_same_bits(rows: int, threads: int, isa: str, set_threads: Any) -> None:
    """Outputs, gradients by inputs, and, times the root, by weights: scaling by powers of two rounds nothing."""
    set_threads(threads)
    ours, other = pair(layers("ntp"), layers("standard"))
    rng = np.random.default_rng(0)
    x, d = rng.normal(size=(rows, 16)), rng.normal(size=(rows, 4))
    assert_array_equal(ours.predict(x), other.predict(x))
    assert_array_equal(ours.forward(x), other.forward(x))
    found, wanted = ours.backward(d), other.backward(d)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)  # type: ignore[arg-type]
    for g, h in zip(ours.gradients, other.gradients, strict=True):
        wanted_g = h / np.sqrt(h.shape[0]) if h.ndim == 2 else h
        np.testing.assert_allclose(g, wanted_g, rtol=1e-10, atol=1e-13)


def compressed(X: Array) -> tuple[Array, Array, Array]:
    """Starts, columns and values of the rows."""
    starts = np.concatenate([[0], np.cumsum(np.count_nonzero(X, axis=1))])
    return starts, np.flatnonzero(X) % X.shape[1], X[X != 0]


def trained(given: Any, y: Array, n_in: int, batch: int, epochs: int) -> tuple[list[float], list[list[Array]]]:
    """The loss of each epoch, and parameters before the first and after each."""
    layers = [
        Dense(n_in, 9, "tanh", parametrization="ntp", bias_std=0.5),
        Dense(3, parametrization="ntp", init="normal"),
    ]
    net = schuss.Network(layers, seed=1, dtype=y.dtype)
    net.parameters[2][...] = np.random.default_rng(2).normal(size=(9, 3))
    opt = schuss.SGD(net.parameters, lr=RATE)
    trainer = _core.Trainer(net._core, opt._stepper, opt.param_groups, ("mse", 0.0), given, y, None, batch, 0.0, 0.0)
    losses, found = [], [[p.copy() for p in net.parameters]]
    for epoch in range(epochs):
        trainer.start_epoch(None, epoch, None, np.random.default_rng(epoch).permutation(len(y)))
        while trainer.run(0.0):
            pass
        losses.append(trainer.loss)
        found.append([p.copy() for p in net.parameters])
    return losses, found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(60, 7), (30, 5000), (300, 33)], ids=str)
@pytest.mark.parametrize("batch", [300, 16])
def test_compressed_rows_are_as_dense_ones(
    dtype: str, shape: tuple[int, int], batch: int, isa: str, threads: int
) -> None:
    """Losses, and parameters after steps along the gradients, to the last bit; one step is that of the formula."""
    rng = np.random.default_rng(6)
    X = np.where(rng.random(shape) < 0.1, rng.normal(size=shape), 0).astype(dtype)
    X[0], X[-1, -1] = 0, 1
    y = rng.normal(size=(len(X), 3)).astype(dtype)
    losses, dense = trained(X, y, shape[1], batch, 3)
    same_losses, same = trained(compressed(X), y, shape[1], batch, 3)
    assert losses == same_losses
    for a, b in zip(dense, same, strict=True):
        for p, q in zip(a, b, strict=True):
            assert_array_equal(p, q)
    if batch < len(X):
        return
    w, b, v, c = (p.astype(np.float64) for p in same[0])
    inner = np.tanh(X @ w / np.sqrt(shape[1]) + b)
    distance = inner @ v / 3 + c - y
    np.testing.assert_allclose(losses[0], np.mean(distance**2), rtol=1e-4)
    d = 2 * distance / distance.size
    back = (d @ v.T / 3) * (1 - inner**2)
    gradients = [X.T @ back / np.sqrt(shape[1]), back.sum(0), inner.T @ d / 3, d.sum(0)]
    for before, after, gradient in zip(same[0], same[1], gradients, strict=True):
        np.testing.assert_allclose(before - RATE * gradient, after, rtol=0, atol=2e-6)
        assert np.abs(RATE * gradient).max() > 1e-4


def test_starts() -> None:
    net = schuss.Network([Dense(100, 80, "relu", parametrization="ntp", bias_std=2.0), Dense(3, init="normal")], seed=0)
    first, bias, second, none = net.parameters
    assert net.layers[0].init == net.layers[1].init == "normal"
    assert abs(first.std() - 1) < 0.05
    assert abs(second.std() - 1) < 0.15
    assert 1.5 < bias.std() < 2.5
    assert not none.any()
    assert not np.isin(bias / 2, first).any()
    other = schuss.Network([Dense(100, 80, "relu", init="normal")], seed=0)
    assert_array_equal(other.parameters[0], first)
    assert Dense(3, parametrization="ntp", init="zeros").init == "zeros"


def test_described(tmp_path: Path) -> None:
    """Files of networks without it are as they were."""
    plain, scaled = Dense(3, 2, "relu"), Dense(3, 2, "relu", parametrization="ntp", bias_std=0.5)
    assert set(plain.described()) == {"kind", "n_in", "n_out", "activation", "bias", "init", "dropout", "alpha"}
    assert scaled.described()["parametrization"] == "ntp"
    net = schuss.Network([scaled], seed=0)
    net.save(tmp_path / "net.npz")
    assert schuss.load(tmp_path / "net.npz").layers == (scaled,)
    assert plain != Dense(3, 2, "relu", bias_std=0.5)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="parametrization 'mup' is not known"):
        Dense(3, 2, parametrization="mup")
    with pytest.raises(ValueError, match="bias_std must be"):
        Dense(3, 2, bias_std=-1)
    with pytest.raises(ValueError, match="bias_std must be 0 without a bias"):
        Dense(3, 2, bias=False, bias_std=1)
