"""Gradients of whole networks: finite differences, the NumPy twin, and torch's autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from schuss import _core
from tests.reference import activations, losses, network, philox
from tests.reference.network import nodes_of

Array = NDArray[Any]
Layer = network.Layer
SetThreads = Callable[[int], None]

LOSSES = [
    ("mse", 0.0, "reals"),
    ("mae", 0.0, "reals"),
    ("huber", 0.7, "reals"),
    ("cross_entropy", 0.0, "labels"),
    ("cross_entropy", 0.1, "labels"),
    ("cross_entropy", 0.1, "probabilities"),
    ("binary_cross_entropy", 0.0, "fractions"),
    ("poisson", 0.0, "counts"),
]
HIDDEN = tuple(name for name in activations.ELEMENTWISE if name != "exp")  # which overflows in layers
OPTIONS = ["bias", "no bias", "dropout", "weights"]
SEED = 5


def dense(n_in: int, n_out: int, activation: str, *, bias: bool = True, dropout: float = 0.0) -> Layer:
    return n_in, n_out, activation, activations.ALPHA.get(activation, 0.0), bias, dropout


def network_of(layers: list[Layer], dtype: str, rng: np.random.Generator) -> _core.Net:
    """With normal weights that keep the size of what passes through."""
    net = _core.Net(nodes_of(layers), dtype, SEED)
    for p in net.parameters:
        p[...] = rng.normal(size=p.shape) / (np.sqrt(p.shape[0]) if p.ndim == 2 else 1)
    return net


def draw_target(targets: str, rows: int, cols: int, rng: np.random.Generator) -> Array:
    if targets == "labels":
        return rng.integers(0, cols, rows)
    if targets == "probabilities":
        return rng.dirichlet(np.ones(cols), rows)
    if targets == "fractions":
        return rng.uniform(0, 1, (rows, cols))
    if targets == "counts":
        return rng.poisson(2, (rows, cols)).astype(float)
    return rng.normal(size=(rows, cols))


def masks_of(layers: list[Layer], rows: int, draw: int) -> list[Array | None]:
    return [
        philox.dropout_mask((rows, layer[1]), layer[5], SEED, i, draw) if layer[5] else None
        for i, layer in enumerate(layers)
    ]


def nearest_kink(
    layers: list[Layer], parameters: list[Array], x: Array, y: Array, loss: tuple[str, float], masks: Any
) -> float:
    """How near any value comes to a point where an activation or the loss is not smooth."""
    logits = losses.FUSED.get(loss[0]) == layers[-1][2]
    before, inputs = network.forward(layers, parameters, x, masks=masks, logits=logits)
    gaps = [
        np.min(np.abs(z - kink))
        for layer, z in zip(layers, before, strict=True)
        for kink in activations.KINKS.get(layer[2], ())
    ]
    if loss[0] == "mae":
        gaps.append(np.min(np.abs(inputs[-1] - y)))
    if loss[0] == "huber":
        gaps.append(np.min(np.abs(np.abs(inputs[-1] - y) - loss[1])))
    return float(min(gaps, default=1.0))


def smooth_problem(layers: list[Layer], loss: tuple[str, float, str], rows: int) -> tuple[_core.Net, Array, Array]:
    """Parameters and data that are far from all kinks, as finite differences need."""
    for attempt in range(200):
        rng = np.random.default_rng(attempt)
        net = network_of(layers, "float64", rng)
        x = rng.normal(size=(rows, layers[0][0]))
        y = draw_target(loss[2], rows, layers[-1][1], rng)
        if nearest_kink(layers, net.parameters, x, y, loss[:2], masks_of(layers, rows, 0)) > 1e-3:
            return net, x, y
    raise AssertionError("no smooth problem found")


def check_finite_differences(
    net: _core.Net, x: Array, y: Array, weights: Array | None, loss: tuple[str, float]
) -> None:
    def value() -> float:
        net.draws = 0  # the same dropout masks each time
        return net.loss_and_gradients(x, y, weights, loss)

    first = value()
    gradients = [g.copy() for g in net.gradients]
    assert value() == first
    h = 2e-5
    for p, gradient in zip(net.parameters, gradients, strict=True):
        for index in np.ndindex(p.shape):
            found = p[index]
            sides = []
            for step in (h, -h):
                p[index] = found + step
                sides.append(value())
            p[index] = found
            difference = (sides[0] - sides[1]) / (2 * h)
            assert abs(gradient[index] - difference) <= 1e-7 * max(1.0, abs(difference))


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: "-".join(map(str, loss)))
@pytest.mark.parametrize("activation", HIDDEN)
def test_finite_differences(activation: str, loss: tuple[str, float, str], option: str) -> None:
    bias, dropout = option != "no bias", 0.4 if option == "dropout" else 0.0
    layers = [
        dense(3, 4, activation, bias=bias, dropout=dropout),
        dense(4, 3, activation, bias=bias, dropout=dropout),
        dense(3, 2, "identity", bias=bias),
    ]
    rows = 5
    net, x, y = smooth_problem(layers, loss, rows)
    weights = np.array([0.5, 0.0, 2.0, 1.0, 0.1]) if option == "weights" else None
    check_finite_differences(net, x, y, weights, loss[:2])


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: "-".join(map(str, loss)))
@pytest.mark.parametrize("activation", [*HIDDEN, "softmax"])
def test_finite_differences_of_output_activations(activation: str, loss: tuple[str, float, str]) -> None:
    layers = [dense(3, 4, "tanh"), dense(4, 3, activation)]
    net, x, y = smooth_problem(layers, loss, 5)
    check_finite_differences(net, x, y, None, loss[:2])


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", [*HIDDEN, "softmax"])
def test_matches_twin(activation: str, dtype: str, option: str, isa: str, threads: int) -> None:
    """Forward with and without dropout, loss, all gradients and the input's, on awkward sizes."""
    bias, dropout = option != "no bias", 0.3 if option == "dropout" else 0.0
    hidden = "tanh" if activation == "softmax" else activation
    layers = [
        dense(19, 33, hidden, bias=bias, dropout=dropout),
        dense(33, 70, hidden, bias=bias, dropout=dropout),
        dense(70, 5, activation, bias=bias),
    ]
    rng = np.random.default_rng(1)
    net = network_of(layers, dtype, rng)
    rows = 37
    x = rng.normal(size=(rows, 19)).astype(dtype)
    y = rng.normal(size=(rows, 5)).astype(dtype)
    weights = rng.uniform(0, 1, rows) if option == "weights" else None
    wide = [p.astype(float) for p in net.parameters]
    net.draws = 3
    masks = masks_of(layers, rows, 3)
    tolerance = 1e-13 if dtype == "float64" else 1e-5
    value = net.loss_and_gradients(x, y, weights, ("mse", 0.0))
    gradients = [g.copy() for g in net.gradients]
    assert net.draws == 4
    wanted, slopes = network.loss_and_gradients(layers, wide, x.astype(float), y, ("mse", 0.0), weights, masks=masks)
    assert value == pytest.approx(wanted, rel=tolerance)
    for got, slope in zip(gradients, slopes, strict=True):
        assert np.max(np.abs(got - slope)) <= tolerance * np.max(np.abs(slope))

    predicted = network.forward(layers, wide, x.astype(float))[1][-1]
    assert np.max(np.abs(net.predict(x, None) - predicted)) <= tolerance * np.max(np.abs(predicted))
    net.draws = 3
    out = net.forward(x, True)
    before, inputs = network.forward(layers, wide, x.astype(float), masks=masks)
    assert np.max(np.abs(out - inputs[-1])) <= tolerance * np.max(np.abs(predicted))
    dout = rng.normal(size=out.shape).astype(dtype)
    kept = dout.copy()
    dx = net.backward(dout, True)
    assert_array_equal(dout, kept)
    assert dx is not None
    slopes, wanted_dx = network.backward(layers, wide, before, inputs, dout.astype(float), masks=masks)
    for got, slope in zip([*net.gradients, dx], [*slopes, wanted_dx], strict=True):
        assert np.max(np.abs(got - slope)) <= tolerance * np.max(np.abs(slope))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout_draws_are_the_twins(dtype: str, isa: str, set_threads: SetThreads) -> None:
    """Element by element, for any number of threads, in rows that do not fill a block of four."""
    layers = [dense(1, 7, "identity", bias=False, dropout=0.25), dense(7, 301, "identity", bias=False, dropout=0.6)]
    net = _core.Net(nodes_of(layers), dtype, 2**40 + 3)
    net.parameters[0][...] = 1
    net.parameters[1][...] = np.eye(7, 301)
    net.parameters[1][0, 7:] = 1
    x = np.ones((211, 1), dtype)
    for threads in (1, 2, 3):
        set_threads(threads)
        net.draws = 9
        out = net.forward(x, True)
        first, second = (
            philox.dropout_mask((211, n), p, 2**40 + 3, i, 9) for i, (n, p) in enumerate([(7, 0.25), (301, 0.6)])
        )
        np.testing.assert_allclose(out, (first.astype(dtype) @ net.parameters[1]) * second, rtol=1e-6)
        assert_array_equal(out == 0, (first @ net.parameters[1].astype(float)) * second == 0)
    assert_array_equal(net.forward(x, False), np.ones((211, 301)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", HIDDEN)
def test_matches_twin_past_the_cache_blocks(activation: str, dtype: str, isa: str, set_threads: SetThreads) -> None:
    """Where products are cut along all sides, activations and their derivatives still come once, at the end."""
    set_threads(2)
    alpha = 0.25 if activation == "leaky_relu" else 1.0
    layers: list[Layer] = [
        (310, 300, activation, alpha, True, 0.5),
        (300, 530, activation, alpha, True, 0.0),
        (530, 3, "identity", 0.0, True, 0.0),
    ]
    rows = 290
    masks = masks_of(layers, rows, 0)
    near = 1e-12 if dtype == "float64" else 5e-6
    for seed in range(2, 40):
        rng = np.random.default_rng(seed)
        net = network_of(layers, dtype, rng)
        x = rng.normal(size=(rows, 310)).astype(dtype)
        y = rng.normal(size=(rows, 3)).astype(dtype)
        wide = [p.astype(float) for p in net.parameters]
        # Values of these two are not exact as those below are: none may be within rounding of a jump of the slope.
        gap = nearest_kink(layers, wide, x.astype(float), y, ("mse", 0.0), masks)
        if activation not in ("selu", "hard_swish") or gap > near:
            break
    else:
        raise AssertionError("all draws have a value near a kink")
    if activation in ("relu", "leaky_relu"):
        # Few enough bits that all values before activations are exact, and none is zero: no doubt about any slope.
        x = np.round(x)
        for i, p in enumerate(net.parameters[:4]):
            p[...] = np.round(p * 16) / 8 if i % 2 == 0 else 1 / (16 if i == 1 else 1024)
        wide = [p.astype(float) for p in net.parameters]
    tolerance = 1e-13 if dtype == "float64" else 1e-5
    value = net.loss_and_gradients(x, y, None, ("mse", 0.0))
    wanted, slopes = network.loss_and_gradients(layers, wide, x.astype(float), y, ("mse", 0.0), masks=masks)
    assert value == pytest.approx(wanted, rel=tolerance)
    for got, slope in zip(net.gradients, slopes, strict=True):
        assert np.max(np.abs(got - slope)) <= tolerance * np.max(np.abs(slope))


def torch_gradients(
    torch: Any, layers: list[Layer], parameters: list[Array], x: Array, y: Array, loss: tuple[str, float]
) -> tuple[float, list[Array]]:
    f = torch.nn.functional
    functions = activations.in_torch(torch)
    tensors = [torch.tensor(p, requires_grad=True) for p in parameters]
    h = torch.tensor(x)
    for i, (layer, (w, b)) in enumerate(zip(layers, network.split(layers, tensors), strict=True)):
        h = h @ w if b is None else h @ w + b
        if i < len(layers) - 1 or losses.FUSED.get(loss[0]) != layer[2]:
            h = functions[layer[2]](h)
    t = torch.tensor(y)
    value = {
        "mse": lambda: f.mse_loss(h, t),
        "mae": lambda: f.l1_loss(h, t),
        "huber": lambda: f.huber_loss(h, t, delta=loss[1]),
        "cross_entropy": lambda: f.cross_entropy(h, t, label_smoothing=loss[1]),
        "binary_cross_entropy": lambda: f.binary_cross_entropy_with_logits(h, t),
        "poisson": lambda: f.poisson_nll_loss(h, t, log_input=True),
    }[loss[0]]()
    value.backward()
    return value.item(), [p.grad.numpy() for p in tensors]


widths = st.integers(1, 70)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    shape=st.lists(widths, min_size=2, max_size=5),
    rows=st.integers(1, 70),
    names=st.lists(st.sampled_from(HIDDEN), min_size=4, max_size=4),
    softmax=st.booleans(),
    bias=st.booleans(),
    loss=st.sampled_from(LOSSES),
    seed=st.integers(0, 2**32 - 1),
)
def test_matches_autograd(
    dtype: str,
    tolerance: float,
    shape: list[int],
    rows: int,
    names: list[str],
    softmax: bool,
    bias: bool,
    loss: tuple[str, float, str],
    seed: int,
) -> None:
    """Random stacks against torch. Values within rounding of a kink are left out: both slopes are right there."""
    torch: Any = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    names = [*names[: len(shape) - 2], "softmax" if softmax else names[3]]
    layers = [dense(n, m, name, bias=bias) for n, m, name in zip(shape[:-1], shape[1:], names, strict=True)]
    net = network_of(layers, dtype, rng)
    x = rng.normal(size=(rows, shape[0])).astype(dtype)
    y = draw_target(loss[2], rows, shape[-1], rng)
    y = y if loss[2] == "labels" else y.astype(dtype)
    wide = [p.astype(float) for p in net.parameters]
    assume(nearest_kink(layers, wide, x.astype(float), y, loss[:2], None) > (1e-5 if dtype == "float32" else 1e-12))
    value, wanted = torch_gradients(torch, layers, net.parameters, x, y, loss[:2])
    assert abs(net.loss_and_gradients(x, y, None, loss[:2]) - value) <= tolerance * max(1.0, abs(value))
    # Sums over rows may cancel to nothing; their rounding is that of their terms, which are not below this.
    size = max(0.01, max(float(np.max(np.abs(g))) for g in wanted))
    for got, g in zip(net.gradients, wanted, strict=True):
        assert np.max(np.abs(got - g)) <= tolerance * size
