"""The neural tangent parametrization: the scale is the same as of weights that are divided before, in all passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import Dense

Array = NDArray[Any]


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
