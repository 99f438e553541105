"""Waves of numbers: the same bits as by NumPy, what is left of a phase after many turns, and rtdl's own module."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from tests.reference import turns

Array = NDArray[Any]
forms = pytest.mark.parametrize("form", ["cos", "cos_sin"])


@forms
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("f", [1, 5, 16, 37])
@pytest.mark.parametrize("size", [1.0, 1e4, 1e8, 1e30])
def test_same_bits_as_numpy(form: str, dtype: str, f: int, size: float, isa: str) -> None:
    net = schuss.Network([schuss.Periodic(f, 2.0, form=form, n=3)], seed=1, dtype=dtype)
    x = (size * np.random.default_rng(0).normal(size=(23, 3))).astype(dtype)
    x[0] = 0, 1, -0.5
    weight, *bias = net.parameters
    wanted = turns.waves(x, weight, bias[0] if bias else None)
    assert_array_equal(net.predict(x), wanted)
    assert_array_equal(net.forward(x), wanted)


def test_starts() -> None:
    net = schuss.Network([schuss.Periodic(1000, 0.5, n=2)], seed=0)
    weight, bias = net.parameters
    assert abs(weight.std() - 0.5) < 0.03
    assert 3 < np.abs(bias).max() <= np.float32(np.pi)
    assert abs(bias.std() - np.pi / np.sqrt(3)) < 0.1
    again = schuss.Network([schuss.Periodic(1000, 0.5, form="cos_sin", n=2)], seed=0)
    assert_array_equal(again.parameters[0], weight)
    assert len(again.parameters) == 1


@forms
def test_phases_after_many_turns(form: str) -> None:
    """With frequencies that are powers of two the product is exact, and the phase is right whatever its size."""
    net = schuss.Network([schuss.Periodic(3, 1.0, form=form, n=1)], seed=0, dtype="float64")
    net.parameters[0][...] = [[1, 0.5, 2.0**-10]]
    if form == "cos":
        net.parameters[1][...] = 0.3
    small = np.array([[0.375], [1.25]])
    x = np.concatenate([small, small + 2.0**20, small + 2.0**40])
    found = net.predict(x)
    for part in (found[2:4], found[4:]):
        np.testing.assert_allclose(part, found[:2], rtol=0, atol=1e-15)


def test_learnable_frequencies() -> None:
    """From a frequency nearby the wave is found."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (512, 1))
    y = np.sin(2 * np.pi * 1.5 * x[:, 0])
    net = schuss.Network([schuss.Periodic(1, 1.0, n=1), schuss.Dense(1)], seed=0, dtype="float64")
    for p, start in zip(net.parameters, (1.4, -1.0, 0.5, 0.0), strict=True):
        p[...] = start
    net.fit(x, y, loss="mse", optimizer="adam", lr=0.02, epochs=150)
    assert net.history["loss"][-1] < 1e-3
    assert abs(abs(net.parameters[0][0, 0]) - 1.5) < 0.01


@pytest.mark.parametrize("activation", [False, True])
def test_embeddings_of_rtdl(activation: bool) -> None:
    rtdl: Any = pytest.importorskip("rtdl_num_embeddings")
    torch: Any = pytest.importorskip("torch")
    theirs = rtdl.PeriodicEmbeddings(4, 6, n_frequencies=5, frequency_init_scale=0.3, activation=activation, lite=False)
    theirs = theirs.double()
    layers = [
        schuss.Periodic(5, 0.3, form="cos_sin", n=4),
        schuss.GroupedDense(4, None, 6, "relu" if activation else "identity"),
    ]
    net = schuss.Network(layers, seed=0, dtype="float64")
    ours = dict(theirs.named_parameters())
    order = [ours["periodic.weight"], ours["linear.weight"], ours["linear.bias"]]
    for p, q in zip(net.parameters, order, strict=True):
        q.data = torch.tensor(p)
    x = np.random.default_rng(1).normal(size=(9, 4))
    given = torch.tensor(x, requires_grad=True)
    value = theirs(given)
    d = np.random.default_rng(2).normal(size=(9, 24))
    value.backward(torch.tensor(d.reshape(9, 4, 6)))
    np.testing.assert_allclose(net.forward(x), value.detach().numpy().reshape(9, -1), rtol=0, atol=1e-13)
    np.testing.assert_allclose(net.backward(d), given.grad.numpy(), rtol=0, atol=1e-12)
    for g, q in zip(net.gradients, order, strict=True):
        np.testing.assert_allclose(g, q.grad.numpy(), rtol=0, atol=1e-12)
