"""Convolutions: the bits of chains over patches, torch live, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import Activation, BatchNorm, Concatenate, Conv1D, Conv2D, Dense, Flatten, Input, MaxPool, Residual, _core
from tests.reference import layers as twin
from tests.reference import sums

Array = NDArray[Any]
Levels = Callable[[], Iterator[str]]
SetThreads = Callable[[int], None]


@dataclass(frozen=True)
class Case:
    """A convolution and how many rows come in."""

    layer: Any
    rows: int

    def network(self, dtype: str) -> schuss.Network:
        net = schuss.Network([self.layer], seed=3, dtype=dtype)
        rng = np.random.default_rng(2)
        for p in net.parameters:
            p[...] = rng.normal(size=p.shape)
        return net

    def data(self, net: schuss.Network) -> tuple[Array, Array]:
        """What comes in, and a gradient by what comes out."""
        rng = np.random.default_rng(self.rows)
        x = rng.normal(size=(self.rows, *self.layer.input_shape)).astype(net.dtype)
        return x, rng.normal(size=(self.rows, *self.layer.shape.of_row)).astype(net.dtype)


@st.composite
def cases(draw: st.DrawFn, most: int = 40, symmetric: bool = False) -> Case:
    """Of one or two sides, whose kernel fits. `symmetric`: with as many zeros before a side as after, as torch has."""
    sides = draw(st.integers(1, 2))
    small = st.integers(1, most) if sides == 1 else st.one_of(st.integers(1, 9), st.integers(1, most))
    sizes = [draw(small) for _ in range(sides)]
    channels = st.one_of(st.integers(1, 5), st.integers(1, most))
    paddings = []
    for _ in range(sides):
        before = draw(st.integers(0, 3))
        paddings.append((before, before if symmetric else draw(st.integers(0, 3))))
    dilation = [draw(st.integers(1, 3)) for _ in range(sides)]
    kernel = []
    for size, zeros, gap in zip(sizes, paddings, dilation, strict=True):
        kernel.append(draw(st.integers(1, min(6, (size + sum(zeros) - 1) // gap + 1))))
    make = Conv1D if sides == 1 else Conv2D
    layer = make(
        draw(channels),
        tuple(kernel),
        stride=tuple(draw(st.integers(1, 4)) for _ in range(sides)),
        padding=tuple(paddings),
        dilation=tuple(dilation),
        bias=draw(st.booleans()),
        input_shape=(*sizes, draw(channels)),
    )
    return Case(layer, draw(st.integers(1, 6)))


drawn = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


# ---- bits ------------------------------------------------------------------------------------------------------------


def seen(s: dict[str, int]) -> Array:
    """The number of the position that each position of what comes out sees through each element of the kernel.

    (height, width, kernel height, kernel width); -1 is beyond the border.
    """

    def along(size: int, kernel: int, stride: int, gap: int, before: int, after: int) -> Array:
        out = (size + before + after - (kernel - 1) * gap - 1) // stride + 1
        at = np.arange(out)[:, None] * stride - before + np.arange(kernel) * gap
        return np.where((at >= 0) & (at < size), at, -1)

    y = along(s["height"], s["kernel_height"], s["stride_height"], s["dilation_height"], s["top"], s["bottom"])
    x = along(s["width"], s["kernel_width"], s["stride_width"], s["dilation_width"], s["left"], s["right"])
    y, x = y[:, None, :, None], x[None, :, None, :]
    return np.where((y < 0) | (x < 0), -1, y * s["width"] + x)


def patches(images: Array, at: Array) -> Array:
    """(rows, *at.shape, channels): of (rows, positions, channels) what is at these positions, 0 at -1."""
    padded = np.concatenate([images, np.zeros_like(images[:, :1])], axis=1)
    return padded[:, at]


def by_hand(case: Case, net: schuss.Network, x: Array, d: Array) -> list[Array]:
    """Value and gradients by products of patches, of which the core promises the order."""
    s = case.layer.sizes()
    at = seen(s)
    out, kernel, c, n = at.shape[:2], at.shape[2:], s["n_in"], s["n_out"]
    weight = net.parameters[0]
    rows = len(x)
    a = np.ascontiguousarray(patches(x.reshape(rows, -1, c), at).reshape(rows * out[0] * out[1], -1))
    y = _core.gemm(a, weight)
    if case.layer.bias:
        y = y + net.parameters[1]
    g = np.ascontiguousarray(d.reshape(rows * out[0] * out[1], n))
    by_weight = _core.gemm(a, g, True)

    # Each position of the image on its own: where it was seen from, in the order of these positions.
    by_x = np.zeros((rows, s["height"] * s["width"], c), x.dtype)
    turned = weight.reshape(*kernel, c, n)
    for position in range(by_x.shape[1]):
        where = np.argwhere(at == position)
        parts = [g.reshape(rows, *out, n)[:, i, j] for i, j, _, _ in where]
        factors = [turned[ky, kx].T for _, _, ky, kx in where]
        if parts:
            a, b = np.concatenate(parts, axis=1), np.concatenate(factors)
            by_x[:, position] = _core.gemm(np.ascontiguousarray(a), np.ascontiguousarray(b))
    found = [y.reshape(d.shape), by_x.reshape(x.shape), by_weight]
    return [*found, sums.columns(g)] if case.layer.bias else found


def ours(net: schuss.Network, x: Array, d: Array) -> list[Array]:
    value = net.forward(x)
    by_input = net.backward(d)
    return [value, by_input, *(g.copy() for g in net.gradients)]  # type: ignore[list-item]


def check_bits(case: Case, dtype: str, levels: Iterator[str], set_threads: SetThreads) -> None:
    net = case.network(dtype)
    x, d = case.data(net)
    wanted: list[Array] = []
    for level in levels:
        wanted = wanted or by_hand(case, net, x, d)
        for threads in (1, 2, 3):
            set_threads(threads)
            found = ours(net, x, d)
            assert len(found) == len(wanted)
            for k, (a, b) in enumerate(zip(found, wanted, strict=True)):
                assert_array_equal(a, b, err_msg=f"{k} {level} {threads} {case}")
        assert_array_equal(net.predict(x), wanted[0])
    if not wanted:
        pytest.skip("no instruction set with fused multiply-add")


@drawn
@given(case=cases(14), dtype=st.sampled_from(["float32", "float64"]))
def test_bits_are_those_of_products_of_patches(
    case: Case, dtype: str, each_fma_isa: Levels, set_threads: SetThreads
) -> None:
    check_bits(case, dtype, each_fma_isa(), set_threads)


LONG = {
    "many positions": Case(Conv2D(3, 3, padding=1, input_shape=(30, 31, 2)), 11),
    "many small images": Case(Conv2D(5, (2, 3), padding=((0, 1), (1, 1)), stride=2, input_shape=(5, 4, 1)), 1500),
    "many whole images": Case(Conv2D(2, 2, input_shape=(4, 4, 3)), 1000),
    "many products": Case(Conv2D(20, 3, padding="same", input_shape=(4, 3, 530)), 2),
    "many products down": Case(Conv2D(530, 3, padding="same", stride=(1, 2), input_shape=(4, 3, 17)), 2),
    "one channel, 24 across": Case(Conv2D(8, 5, input_shape=(9, 28, 1)), 50),
    "one channel, 20 across": Case(Conv2D(7, 3, stride=(2, 1), input_shape=(9, 22, 1)), 60),
    "one channel, twice 16 across": Case(Conv2D(4, (1, 7), padding=(0, 3), input_shape=(4, 32, 1)), 40),
    "one channel, a kernel of 7": Case(Conv2D(6, 7, stride=2, input_shape=(15, 40, 1)), 60),
    "three channels": Case(Conv2D(8, 3, input_shape=(12, 13, 3)), 40),
    "more rows of the kernel than a tile": Case(Conv2D(3, (8, 3), input_shape=(10, 18, 1)), 100),
    "a long series": Case(Conv1D(7, 1030, padding="causal", input_shape=(1100, 5)), 2),
}


@pytest.mark.parametrize("name", LONG)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_of_long_sums(name: str, dtype: str, each_fma_isa: Levels, set_threads: SetThreads) -> None:
    """More than 4096 products: along the kernel, along positions, and borders of blocks anywhere."""
    check_bits(LONG[name], dtype, each_fma_isa(), set_threads)


# ---- torch -----------------------------------------------------------------------------------------------------------


@drawn
@given(case=cases(symmetric=True), dtype=st.sampled_from(["float32", "float64"]))
def test_torch(case: Case, dtype: str, set_threads: SetThreads) -> None:
    """Values and gradients, live, on shapes of 1 to 40."""
    torch: Any = pytest.importorskip("torch")
    set_threads(2)
    net = case.network(dtype)
    x, d = case.data(net)
    layer: Any = net.layers[0]
    sides = len(layer.kernel)
    channels = layer.input_shape[-1]
    first = (0, sides + 1, *range(1, sides + 1))
    last = (0, *range(2, sides + 2), 1)
    theirs = torch.tensor(x.transpose(first).copy(), requires_grad=True)
    weight = net.parameters[0].reshape(*layer.kernel, channels, layer.n_out)
    weight = torch.tensor(np.moveaxis(weight, (-1, -2), (0, 1)).copy(), requires_grad=True)
    bias = torch.tensor(net.parameters[1].copy(), requires_grad=True) if layer.bias else None
    convolve = torch.nn.functional.conv1d if sides == 1 else torch.nn.functional.conv2d
    y = convolve(
        theirs, weight, bias, stride=layer.stride, padding=[p for p, _ in layer.padding], dilation=layer.dilation
    )
    y.backward(torch.tensor(d.transpose(first).copy()))
    wanted = [
        y.detach().numpy().transpose(last),
        theirs.grad.numpy().transpose(last),
        np.moveaxis(weight.grad.numpy(), (0, 1), (-1, -2)),
        *([] if bias is None else [bias.grad.numpy()]),
    ]
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    for k, (found, of_torch) in enumerate(zip(ours(net, x, d), wanted, strict=True)):
        size = max(1.0, float(np.max(np.abs(of_torch))))
        assert np.max(np.abs(found.ravel() - of_torch.ravel())) <= tolerance * size, k


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [5, 6, 7])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_same_gives_as_many_positions_as_strides_fit(size: int, kernel: int, stride: int) -> None:
    """With the extra zero after, where their number is odd: the rule of Keras and TensorFlow."""
    layer = Conv1D(1, kernel, stride=stride, padding="same", input_shape=(size, 1))
    s = layer.sizes()
    assert layer.shape.dims == (-(-size // stride),)
    assert s["right"] - s["left"] in (0, 1)
    assert (s["left"] + s["right"]) == max(0, (layer.shape.dims[0] - 1) * stride + kernel - size)


def test_causal_sees_nothing_later() -> None:
    net = schuss.Network([Conv1D(2, 3, dilation=2, padding="causal", input_shape=(8, 1))], seed=0, dtype="float64")
    x = np.random.default_rng(0).normal(size=(1, 8, 1))
    before = net.predict(x)
    x[0, 5:] += 1
    after = net.predict(x)
    assert after.shape == (1, 8, 2)
    assert_array_equal(after[:, :5], before[:, :5])
    assert np.all(after[:, 5:] != before[:, 5:])


# ---- what is folded --------------------------------------------------------------------------------------------------

Layers = list[schuss.layers.Layer]
FOLDED: dict[str, tuple[Layers, bool]] = {
    "plain": ([Conv2D(5, 3, padding=1, input_shape=(6, 5, 2)), BatchNorm(), Activation("silu")], True),
    "last": ([Conv1D(3, 2, bias=False, dropout=0.5, input_shape=(6, 4)), BatchNorm(eps=0.1)], True),
    "twice": (
        [
            Conv2D(7, 3, padding=1, input_shape=(6, 5, 2)),
            BatchNorm(),
            Activation("relu"),
            Conv2D(6, 2),
            BatchNorm(),
            MaxPool(2),
            Flatten(),
            Dense(3),
        ],
        True,
    ),
    "of a residual": (
        [Input("x", (4, 4, 3)), Residual([Conv2D(3, 3, padding="same"), BatchNorm(), Activation("tanh")]), Flatten()],
        True,
    ),
    "in a concatenation": (
        [Input("x", (4, 4, 3)), Concatenate([[], [Conv2D(3, 1), BatchNorm()]]), Conv2D(2, 2), BatchNorm()],
        True,
    ),
    "with an activation between": ([Conv2D(5, 3, "relu", input_shape=(6, 5, 2)), BatchNorm()], False),
    "used twice": (
        [Conv2D(5, 3, input_shape=(6, 5, 2)), Concatenate([[], BatchNorm()]), Residual(BatchNorm()), Flatten()],
        False,
    ),
    "added to what comes before": (
        [Input("x", (4, 4, 3)), Residual(Conv2D(3, 3, padding="same")), BatchNorm(), Flatten()],
        False,
    ),
}


@pytest.mark.parametrize("name", FOLDED)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normalisation_behind_is_folded_in_for_prediction(
    name: str, dtype: str, isa: str, set_threads: SetThreads
) -> None:
    """Predictions are those of the plain walk, and the same bits for all threads; training knows nothing of it."""
    layers, folds = FOLDED[name]
    net = schuss.Network(layers, seed=1, dtype=dtype)
    rng = np.random.default_rng(5)
    for path, array in [*net.named_parameters().items(), *net.named_states().items()]:
        array[...] = rng.uniform(0.5, 2, array.shape) if path.endswith("var") else rng.normal(size=array.shape)
    x = rng.normal(size=(37, *net.inputs[0].row_shape)).astype(dtype)
    wanted = twin.run(net, x).value
    found = net.predict(x)
    size = max(1.0, float(np.max(np.abs(wanted))))
    assert np.max(np.abs(found - wanted)) <= (1e-5 if dtype == "float32" else 1e-12) * size
    for threads in (2, 3):
        set_threads(threads)
        assert_array_equal(net.predict(x), found)
    assert_array_equal(np.concatenate([net.predict(x[:1]), net.predict(x[1:])]), found)
    # What a convolution gives that is folded no other order of operations gives to the last bit.
    if folds and name == "plain":
        alone = schuss.Network(layers[:1], seed=1, dtype=dtype)
        for own, theirs in zip(alone.parameters, net.parameters, strict=False):
            own[...] = theirs
        behind = schuss.Network([Input("x", (6, 5, 5)), *layers[1:]], seed=1, dtype=dtype)
        for own, theirs in zip(behind.parameters, net.parameters[2:], strict=True):
            own[...] = theirs
        for (_, own), (_, theirs) in zip(behind.named_states().items(), net.named_states().items(), strict=True):
            own[...] = theirs
        assert np.any(behind.predict(alone.predict(x)) != found)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2D(0, 3), "n_out must be an integer >= 1; got 0"),
        (lambda: Conv2D(3, 0), "kernel must be an integer >= 1; got 0"),
        (lambda: Conv2D(3, (3, 3, 3)), "kernel must be a number, or one for each of one or two dimensions; got 3"),
        (lambda: Conv2D(3, (3,)), r"kernel must be a number, or 2 of them; got \(3,\)"),
        (lambda: Conv1D(3, (3, 3)), r"kernel must be a number, or 1 of them; got \(3, 3\)"),
        (lambda: Conv2D(3, 3, stride=0), "stride must be an integer >= 1; got 0"),
        (lambda: Conv2D(3, 3, dilation=(1, 0)), r"dilation\[1\] must be an integer >= 1; got 0"),
        (lambda: Conv2D(3, 3, padding=-1), "padding must be an integer >= 0; got -1"),
        (lambda: Conv2D(3, 3, padding="causal"), "padding 'causal' is not known"),
        (lambda: Conv2D(3, 3, padding=(1, 2, 3)), "padding must be a number, or one for each of one or two dimensions"),
        (lambda: Conv2D(3, 3, "softmax"), "activation must not be 'softmax'"),
        (
            lambda: Conv2D(3, 3, input_shape=(5, 5)),
            r"input_shape must be \(height, width, channels\), without the rows; got \(5, 5\)",
        ),
        (lambda: Conv1D(3, 3, input_shape=(5, 0)), r"input_shape\[1\] must be an integer >= 1; got 0"),
        (
            lambda: schuss.Network([schuss.Input("x", (4, 4, 2)), Conv1D(3, 3)], seed=0),
            r"layers\[1\], Conv1D, must come behind \(times, channels\); got \(4, 4, 2\)",
        ),
        (
            lambda: schuss.Network([schuss.Dense(4, 3), Conv2D(3, 3)], seed=0),
            r"layers\[1\], Conv2D, must come behind",
        ),
        (
            lambda: schuss.Network([schuss.Input("x", (4, 4, 2)), Conv2D(3, 3, input_shape=(4, 4, 3))], seed=0),
            r"layers\[1\].input_shape must be \(4, 4, 2\), what comes before it has; got \(4, 4, 3\)",
        ),
        (
            lambda: schuss.Network([Conv2D(3, (2, 5), padding=(0, 1), input_shape=(4, 2, 1))], seed=0),
            r"layers\[0\].kernel must be at most 4 x 4, what comes in with its padding; got 2 x 5",
        ),
        (
            lambda: schuss.Network([Conv1D(3, 3, dilation=4, input_shape=(8, 1))], seed=0),
            r"layers\[0\].kernel must be at most 8, what comes in with its padding; got 9, dilated",
        ),
    ],
)
def test_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        make()
