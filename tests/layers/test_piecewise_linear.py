"""Piecewise-linear encodings, and limits of predictions: by hand, beside rtdl, with states of any content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import schuss

BINS = [[0.0, 1.0, 4.0, 8.0], [-1.0, 1.0], [2.0, 3.0, 5.0]]


def test_by_hand(isa: str) -> None:
    net = schuss.Network([schuss.PiecewiseLinear(BINS)], seed=0, dtype="float64")
    x = [[9, -3, 4], [-2, 0, 2], [1, 1, 1], [2.5, 5, 7]]
    wanted = [
        [1, 1, 1.25, -1, 1, 0.5],
        [-2, 0, 0, 0.5, 0, 0],
        [1, 0, 0, 1, -1, 0],
        [1, 0.5, 0, 3, 1, 2],
    ]
    assert_array_equal(net.predict(x), wanted)
    assert sorted(net.named_states()) == ["layers.0.bins", "layers.0.edges"]
    assert net.parameters == ()


def test_edges_that_float32_does_not_tell_apart() -> None:
    edges = [0.0, 1.0, 1.0 + 1e-12, 2.0]
    assert_array_equal(
        schuss.Network([schuss.PiecewiseLinear([edges])], seed=0).predict([[0.5], [1.0], [1.5], [-1.0]]),
        [[0.5, 0, 0], [1, 1, 0], [1, 1, 0.5], [-1, 0, 0]],
    )


def test_far_from_zero() -> None:
    """No digit is lost: bins of size 1 at 10^6 in float32."""
    net = schuss.Network([schuss.PiecewiseLinear([[1e6, 1e6 + 1, 1e6 + 2]])], seed=0)
    assert_array_equal(net.predict([[1e6 + 0.5], [1e6 + 1.25]]), [[0.5, 0], [1, 0.25]])


def test_states_of_any_content_stay_within_the_outputs() -> None:
    net = schuss.Network([schuss.Dense(3, 3), schuss.PiecewiseLinear(BINS), schuss.Dense(2)], seed=0)
    states = net.named_states()
    x = np.random.default_rng(0).normal(size=(5, 3))
    for bins in (1e30, np.inf, np.nan, -5.0, 0.0, 2.5):
        states["layers.1.bins"][...] = bins
        assert net.forward(x).shape == (5, 2)
        net.backward(np.ones((5, 2)))


@pytest.mark.parametrize("way", ["npz", "safetensors"])
def test_saved(way: str, tmp_path: Path) -> None:
    if way == "safetensors":
        pytest.importorskip("safetensors")
    layers = [
        schuss.PiecewiseLinear(BINS),
        schuss.Dense(2, parametrization="ntp", bias_std=0.5),
        schuss.Clamp([0, 1], 2),
    ]
    net = schuss.Network(layers, seed=3)
    net.named_states()["layers.0.edges"][0, 1] = 1.5
    net.save(tmp_path / f"net.{way}")
    again = schuss.load(tmp_path / f"net.{way}")
    assert again.layers == net.layers
    x = np.random.default_rng(0).normal(size=(5, 3))
    assert_array_equal(again.predict(x), net.predict(x))


def test_against_rtdl() -> None:
    rtdl: Any = pytest.importorskip("rtdl_num_embeddings")
    torch: Any = pytest.importorskip("torch")
    theirs = rtdl.PiecewiseLinearEncoding([torch.tensor(edges, dtype=torch.float64) for edges in BINS]).double()
    net = schuss.Network([schuss.PiecewiseLinear(BINS)], seed=0, dtype="float64")
    x = np.random.default_rng(1).uniform(-3, 10, (200, 3))
    x[:20] = np.random.default_rng(2).integers(-1, 9, (20, 3))  # on edges
    given = torch.tensor(x, requires_grad=True)
    value = theirs(given)
    d = np.random.default_rng(3).normal(size=(200, 6))
    value.backward(torch.tensor(d))
    # Theirs rounds its weights to float32 first.
    np.testing.assert_allclose(net.forward(x), value.detach().numpy(), rtol=0, atol=2e-6)
    inside = slice(20, None)
    np.testing.assert_allclose(net.backward(d)[inside], given.grad.numpy()[inside], rtol=0, atol=2e-6)  # type: ignore


def test_limits_are_of_predictions() -> None:
    net = schuss.Network([schuss.Dense(2, 2), schuss.Clamp([-1, 0], 0.5)], seed=0, dtype="float64")
    x = 10 * np.random.default_rng(0).normal(size=(50, 2))
    z = x @ net.parameters[0]
    assert_array_equal(net.predict(x), np.clip(net.forward(x), [-1, 0], 0.5))
    np.testing.assert_allclose(net.forward(x), z, rtol=1e-14)
    y = np.zeros((50, 2))
    assert net.evaluate(x, y, "mse")["loss"] == pytest.approx((np.clip(z, [-1, 0], 0.5) ** 2).mean())
    assert net.loss_and_gradients(x, y, "mse") == pytest.approx((z**2).mean())
    np.testing.assert_allclose(net.gradients[0], x.T @ (2 * z / z.size), rtol=1e-12)
    assert schuss.Clamp(np.array([1, 2]), 3) == schuss.Clamp([1, 2], 3.0)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: schuss.Clamp(2, 1), ValueError, "high must not be below low"),
        (lambda: schuss.Clamp([0, 2], 1), ValueError, "high must not be below low"),
        (lambda: schuss.Clamp([0, 2], [3, 3, 3]), ValueError, "high must have as many numbers"),
        (lambda: schuss.Clamp([0, 2], 3, 3), ValueError, "low must have 3 numbers"),
        (lambda: schuss.Clamp(float("nan"), 3), ValueError, "low must be"),
        (lambda: schuss.Clamp("a", 3), TypeError, "low must be"),
        (lambda: schuss.PiecewiseLinear([]), ValueError, "bins must have edges"),
        (lambda: schuss.PiecewiseLinear(3), TypeError, "bins must be"),
        (lambda: schuss.PiecewiseLinear([3]), TypeError, r"bins\[0\] must be"),
        (lambda: schuss.PiecewiseLinear([[1.0]]), ValueError, r"bins\[0\] must have at least two"),
        (lambda: schuss.PiecewiseLinear([[1.0, 1.0]]), ValueError, r"bins\[0\] must increase"),
        (lambda: schuss.PiecewiseLinear([[1.0, float("inf")]]), ValueError, r"bins\[0\]\[1\] must be"),
        (lambda: schuss.Network([schuss.Dense(3, 2), schuss.PiecewiseLinear(BINS)]), ValueError, "must be 2"),
    ],
)
def test_bad_arguments(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()
