"""Pooling and Flatten against torch and Keras for drawn shapes, at ties and NaN, with their errors; bits."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import AvgPool, Dense, Flatten, GlobalAvgPool, GlobalMaxPool, Input, MaxPool
from schuss.layers import Layer
from tests.reference.pools import pool as by_loops

Array = NDArray[Any]
Levels = Callable[[], Iterator[str]]
SetThreads = Callable[[int], None]


def run(layers: list[Layer], x: Array, d: Array | None = None, dtype: str = "float64") -> tuple[Array, Array]:
    """What layers give for x, and the gradient by x for the gradient d by that, of ones without."""
    net = schuss.Network(layers, seed=0, dtype=dtype)
    y = net.forward(x)
    dx = net.backward(np.ones(y.shape) if d is None else d.reshape(y.shape))
    assert isinstance(dx, np.ndarray)
    return y, dx


@st.composite
def pools(draw: Any) -> tuple[type[Any], int, tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...], bool]:
    """A class, dimensions, their sizes, channels last, and for each a kernel, a stride and padding."""
    kind = draw(st.sampled_from([MaxPool, AvgPool]))
    rank = draw(st.integers(1, 2))
    sizes = tuple(draw(st.one_of(st.integers(1, 12), st.integers(1, 40))) for _ in range(rank))
    kernels = tuple(draw(st.integers(1, min(2 * size, 9))) for size in sizes)
    strides = tuple(draw(st.integers(1, 5)) for _ in sizes)
    # As much as torch takes: half a kernel.
    paddings = tuple(
        draw(st.integers(-(-(k - size) // 2) if k > size else 0, k // 2))
        for k, size in zip(kernels, sizes, strict=True)
    )
    channels = draw(st.one_of(st.integers(1, 5), st.sampled_from([8, 15, 16, 17, 33, 40])))
    return kind, rank, (*sizes, channels), kernels, strides, paddings, draw(st.booleans())


drawn = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@drawn
@given(pools(), st.sampled_from(["float32", "float64"]))
def test_as_torch(case: Any, dtype: str) -> None:
    """Windows that torch allows; its channels come first."""
    torch: Any = pytest.importorskip("torch")
    kind, rank, shape, kernels, strides, paddings, counts = case
    rng = np.random.default_rng(sum(shape))
    x = rng.normal(size=(3, *shape)).astype(dtype)
    name = f"{'Max' if kind is MaxPool else 'Avg'}Pool{rank}d"
    options: dict[str, Any] = {} if kind is MaxPool else {"count_include_pad": counts}
    theirs = getattr(torch.nn, name)(kernels, strides, paddings, **options)
    tensor = torch.tensor(np.moveaxis(x, -1, 1), requires_grad=True)
    wanted = theirs(tensor)
    d = rng.normal(size=wanted.shape).astype(dtype)
    wanted.backward(torch.tensor(d))
    y, dx = run([kind(kernels, strides, paddings, **options, input_shape=shape)], x, np.moveaxis(d, 1, -1), dtype)
    tolerance = 1e-6 if dtype == "float32" else 1e-13
    assert_allclose(
        y.reshape(len(x), -1), np.moveaxis(wanted.detach().numpy(), 1, -1).reshape(len(x), -1), atol=tolerance
    )
    assert_allclose(dx, np.moveaxis(tensor.grad.numpy(), 1, -1), atol=4 * tolerance)


def drawn_window(rng: np.random.Generator, rank: int) -> tuple[tuple[int, ...], list[int], list[int], Array]:
    """A shape, kernels, strides, and two rows of it."""
    sizes = rng.integers(1, 13, rank)
    kernels = [int(rng.integers(1, size + 1)) for size in sizes]
    strides = [int(s) for s in rng.integers(1, 5, rank)]
    shape = (*map(int, sizes), int(rng.integers(1, 20)))
    return shape, kernels, strides, rng.normal(size=(2, *shape)).astype(np.float32)


def assert_close(layer: Layer, x: Array, wanted: Any) -> None:
    y, _ = run([layer], x, dtype="float32")
    assert_allclose(y.reshape(2, -1), np.asarray(wanted).reshape(2, -1), atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2])
def test_as_keras(rank: int) -> None:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras: Any = pytest.importorskip("keras")
    rng = np.random.default_rng(rank)
    for _ in range(12):
        shape, kernels, strides, x = drawn_window(rng, rank)
        for ours, theirs in ((MaxPool, "MaxPooling"), (AvgPool, "AveragePooling")):
            wanted = getattr(keras.layers, f"{theirs}{rank}D")(kernels, strides, "valid")(x)
            assert_close(ours(kernels, strides, "valid", input_shape=shape), x, wanted)
        for every, theirs in ((GlobalMaxPool, "Max"), (GlobalAvgPool, "Average")):
            wanted = getattr(keras.layers, f"Global{theirs}Pooling{rank}D")()(x)
            assert_close(every(input_shape=shape), x, wanted)


@pytest.mark.parametrize("rank", [1, 2])
def test_same_as_jax(rank: int) -> None:
    """The rule of padding "same" in TensorFlow, and in Keras with jax below it."""
    jax: Any = pytest.importorskip("jax")
    rng = np.random.default_rng(rank)
    for _ in range(20):
        shape, kernels, strides, x = drawn_window(rng, rank)
        window, steps = (1, *kernels, 1), (1, *strides, 1)
        largest = jax.lax.reduce_window(x, -np.inf, jax.lax.max, window, steps, "SAME")
        assert_close(MaxPool(kernels, strides, "same", input_shape=shape), x, largest)
        total, count = (jax.lax.reduce_window(a, 0.0, jax.lax.add, window, steps, "SAME") for a in (x, np.ones_like(x)))
        assert_close(AvgPool(kernels, strides, "same", input_shape=shape), x, total / count)


@drawn
@given(case=pools(), before=st.integers(0, 3), after=st.integers(0, 3))
def test_bits(case: Any, before: int, after: int, each_isa: Levels, set_threads: SetThreads) -> None:
    """Of any padding, for any instruction set and number of threads; and what they should be."""
    kind, rank, shape, kernels, strides, _, counts = case
    kernels = tuple(min(k, size) for k, size in zip(kernels, shape, strict=False))
    padding = tuple((min(before, k - 1), min(after, k - 1)) for k in kernels)
    options: dict[str, Any] = {} if kind is MaxPool else {"count_include_pad": counts}
    layers = [kind(kernels, strides, padding, **options, input_shape=shape), Flatten()]
    rng = np.random.default_rng(sum(shape))
    x = rng.normal(size=(6, *shape)).astype(np.float32)
    net = schuss.Network(layers, seed=0)
    d = rng.normal(size=(6, net.n_out)).astype(np.float32)
    found = []
    for _ in each_isa():
        for threads in (1, 2):
            set_threads(threads)
            found.append(run(layers, x, d, "float32"))
    for y, dx in found[1:]:
        assert_array_equal(y, found[0][0])
        assert_array_equal(dx, found[0][1])
    how = "max" if kind is MaxPool else "padded mean" if counts else "mean"
    flat = (1,) * (2 - rank)
    y, slope, _ = by_loops(
        x.astype(float).reshape(6, *flat, *shape), flat + kernels, flat + strides, ((0, 0),) * len(flat) + padding, how
    )
    assert_allclose(found[0][0], y.reshape(6, -1), atol=1e-6)
    assert_allclose(found[0][1].reshape(6, -1), slope(d.astype(float).reshape(y.shape)).reshape(6, -1), atol=4e-6)


# ---- what stands where -----------------------------------------------------------------------------------------------


def test_first_of_equals() -> None:
    """The gradient of a tie goes to its first place, row by row."""
    x = np.zeros((1, 2, 4, 1))
    x[0, 1, 1] = x[0, 0, 2] = x[0, 1, 3] = 1
    _, dx = run([MaxPool(2, input_shape=(2, 4, 1))], x)
    assert dx[0, :, :, 0].tolist() == [[0, 0, 1, 0], [0, 1, 0, 0]]
    _, dx = run([GlobalMaxPool(input_shape=(2, 4, 1))], x)
    assert dx[0, :, :, 0].tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    zeros = np.array([[0.0, -0.0, 0.0]]).reshape(1, 3, 1)
    y, dx = run([GlobalMaxPool(input_shape=(3, 1))], zeros)
    assert not np.signbit(y[0, 0])
    assert dx.ravel().tolist() == [1, 0, 0]


@pytest.mark.parametrize("channels", [1, 7, 16, 19])
@pytest.mark.parametrize("place", range(6))
def test_nan_is_seen(channels: int, place: int, each_isa: Levels) -> None:
    """A NaN anywhere in a window is what comes out of it, and of that channel alone."""
    for _ in each_isa():
        for layer in (GlobalMaxPool, GlobalAvgPool):
            x = np.arange(6.0 * channels).reshape(1, 2, 3, channels)
            x[0, place // 3, place % 3, channels // 2] = np.nan
            y = schuss.Network([layer(input_shape=(2, 3, channels))], seed=0, dtype="float64").predict(x)
            assert np.isnan(y).ravel().tolist() == [c == channels // 2 for c in range(channels)]


def test_infinities() -> None:
    x = np.array([[-np.inf, -np.inf, -np.inf, 1, np.inf, np.inf]]).reshape(1, 6, 1)
    y, dx = run([MaxPool(3, input_shape=(6, 1))], x)
    assert y.ravel().tolist() == [-np.inf, np.inf]
    assert dx.ravel().tolist() == [1, 0, 0, 0, 1, 0]


def test_long_means() -> None:
    """The mean of many positions keeps the precision of the dtype."""
    x = np.random.default_rng(0).uniform(0.5, 1.5, size=(2, 300_000, 3)).astype(np.float32)
    y = schuss.Network([GlobalAvgPool(input_shape=x.shape[1:])], seed=0).predict(x)
    assert_allclose(y, x.mean(axis=1, dtype=float), rtol=1e-5)


@pytest.mark.parametrize(("size", "kernel", "stride"), [(6, 3, 2), (5, 3, 2), (7, 3, 2), (4, 1, 3), (10, 4, 4)])
def test_same(size: int, kernel: int, stride: int) -> None:
    """ceil(size / stride) windows; where what is added is odd, there is one more behind."""
    net = schuss.Network([AvgPool(kernel, stride, "same", input_shape=(size, 1))], seed=0)
    (axis,) = net.layers[0].axes("layer")
    assert axis.windows == -(-size // stride)
    assert axis.after - axis.before in (0, 1)


# ---- as the user meets them ------------------------------------------------------------------------------------------


def test_sizes() -> None:
    net = schuss.Network([Input("x", (28, 20, 3)), MaxPool(2), AvgPool((3, 2), 1), Flatten(), Dense(10)], seed=0)
    assert [layer.shape[:3] for layer in net.layers[1:4]] == [
        (3, False, (14, 10)),
        (3, False, (12, 9)),
        (324, False, ()),
    ]
    assert (net.n_in, net.n_out) == (3, 10)
    assert net.inputs[0].row_shape == (28, 20, 3)
    assert net.layers[1] == MaxPool((2), stride=2, input_shape=[28, 20, 3])
    text = net.summary()
    for line in ("Input 'x' 28 x 20 x 3", "MaxPool 2 x 2 -> 14 x 10 x 3", "AvgPool 3 x 2 stride 1 x 1 -> 12 x 9 x 3"):
        assert line in text
    assert "Flatten -> 324" in text


@pytest.mark.parametrize("form", [".npz", "pickle"])
def test_files(form: str, tmp_path: Any) -> None:
    layers = [
        Input("x", (3, 9, 12), channels="first"),
        MaxPool(2, 1, ((0, 1), 0)),
        AvgPool((3, 2), padding="same", count_include_pad=True),
        Flatten(),
        Dense(2),
    ]
    net = schuss.Network(layers, seed=3)
    if form == "pickle":
        again = pickle.loads(pickle.dumps(net))
    else:
        net.save(tmp_path / f"net{form}")
        again = schuss.load(tmp_path / f"net{form}")
    assert again.layers == net.layers
    assert again.inputs == net.inputs
    assert hash(again.layers) == hash(net.layers)
    x = np.random.default_rng(0).normal(size=(5, 3, 9, 12))
    assert_array_equal(again.predict(x), net.predict(x))


def test_channels_first() -> None:
    """The same network on the same images."""
    x = np.random.default_rng(0).normal(size=(5, 6, 4, 3))
    layers = [MaxPool(2), Flatten(), Dense(2, "tanh")]
    last = schuss.Network([Input("x", (6, 4, 3)), *layers], seed=0)
    first = schuss.Network([Input("x", (3, 6, 4), channels="first"), *layers], seed=0)
    turned = np.moveaxis(x, -1, 1)
    assert_array_equal(first.predict(turned), last.predict(x))
    assert_array_equal(first.predict(turned[2]), last.predict(x[2]))
    d = np.ones((5, 2))
    first.forward(turned)
    last.forward(x)
    assert_array_equal(first.backward(d), np.moveaxis(last.backward(d), -1, 1))
    first.fit(turned, d, loss="mse", epochs=2)
    last.fit(x, d, loss="mse", epochs=2)
    assert_array_equal(first.predict(turned), last.predict(x))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPool(0), "kernel must be"),
        (lambda: MaxPool((2, 2, 2)), "kernel must be a number, or one for each of one or two dimensions; got 3"),
        (lambda: MaxPool(2, 0), "stride must be"),
        (lambda: AvgPool(2, padding="full"), "padding 'full' is not known; known: valid, same"),
        (lambda: AvgPool(2, padding=-1), "padding must be"),
        (lambda: AvgPool(2, padding=((1, 2, 3), 1)), r"padding\[0\] must be a number, or before and after"),
        (lambda: MaxPool(2, input_shape=28), "input_shape must be"),
        (lambda: MaxPool(2, input_shape=(28, 28, 1, 1)), "input_shape must be"),
        (lambda: Input("x", (1, 2, 3, 4)), "n must be columns"),
        (lambda: Input("x", (3, 0)), r"n\[1\] must be"),
        (lambda: Input("x", 3, channels="first"), "channels must be 'last' without"),
        (lambda: Input("x", (3, 2), channels="middle"), "channels 'middle' is not known"),
    ],
)
def test_wrong_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Dense(4, 4), MaxPool(2)], r"layers\[1\], MaxPool, must come behind \(times, channels\) or .*; got 4 columns"),
        ([Dense(4, 4), Flatten()], r"layers\[1\], Flatten, must come behind"),
        ([GlobalMaxPool()], r"layers\[0\], GlobalMaxPool, must tell"),
        (
            [MaxPool(5, input_shape=(4, 9, 1))],
            r"layers\[0\].kernel must be at most 4 x 9, what comes in with its padding; got 5 x 5",
        ),
        ([MaxPool(7, padding=1, input_shape=(4, 1))], r"kernel must be at most 6, .*; got 7"),
        (
            [MaxPool(2, padding=2, input_shape=(4, 1))],
            r"layers\[0\].padding must be less than kernel, 2, .*; got 2",
        ),
        ([MaxPool((2, 2), input_shape=(4, 1))], r"kernel must be a number, or 1 of them; got \(2, 2\)"),
        ([AvgPool(2, (1, 2), input_shape=(4, 1))], r"stride must be a number, or 1 of them"),
        (
            [Input("x", (4, 4, 1)), MaxPool(2, input_shape=(4, 4, 2))],
            r"input_shape must be \(4, 4, 1\), .*; got \(4, 4, 2\)",
        ),
        ([Input("c", (4, 2), dtype="int64"), MaxPool(2)], r"must come behind numbers; got codes"),
    ],
)
def test_misfits(layers: list[Layer], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schuss.Network(layers)


@pytest.mark.parametrize("shape", [(5, 16), (4, 5, 5, 1), (0, 4, 4, 1), (4, 4), (5, 1, 4, 4), (5, 4, 4, 1, 1)])
def test_wrong_rank(shape: tuple[int, ...]) -> None:
    net = schuss.Network([MaxPool(2, input_shape=(4, 4, 1)), Flatten(), Dense(1)], seed=0)
    x = np.zeros(shape, np.float32)
    before = net.parameters[0].copy()
    for call in (
        lambda: net.predict(x),
        lambda: net.forward(x),
        lambda: net.fit(x, np.zeros((max(len(x), 1), 1)), loss="mse"),
        lambda: net.train_step(x, np.zeros((len(x), 1), np.float32), "mse", schuss.SGD(net.parameters, lr=0.1)),
        lambda: net.loss_and_gradients(x, np.zeros((len(x), 1), np.float32), "mse"),
    ):
        with pytest.raises(ValueError, match=r"must have (shape \(rows, 4, 4, 1\)|at least one row)"):
            call()
    assert_array_equal(net.parameters[0], before)


def test_images_from_a_file_in_any_dtype(tmp_path: Any) -> None:
    """Mapped memory, bytes, numbers in another order of bytes or of memory: the same images."""
    x = np.random.default_rng(0).integers(0, 256, (20, 6, 4, 3), dtype=np.uint8)
    y = np.random.default_rng(1).normal(size=20)
    np.save(tmp_path / "images.npy", x.astype(np.float32))
    found = []
    for images in (
        x,
        np.load(tmp_path / "images.npy", mmap_mode="r"),
        x.astype(">f8"),
        np.asfortranarray(x.astype(np.float32)),
        x[::-1].astype(np.float64)[::-1],
    ):
        net = schuss.Network([MaxPool(2, input_shape=(6, 4, 3)), Flatten(), Dense(1)], seed=0)
        net.fit(images, y, loss="mse", epochs=2, batch_size=6, augment=schuss.Augment(1), lr=1e-4)
        found.append(net.predict(images))
    for other in found[1:]:
        assert_array_equal(other, found[0])


def test_where_it_is_not_finite() -> None:
    net = schuss.Network([MaxPool(2, input_shape=(4, 4, 2)), Flatten(), Dense(1)], seed=0)
    x = np.zeros((5, 4, 4, 2))
    x[3, 1, 2, 1] = np.inf
    with pytest.raises(ValueError, match=r"X\[3, 1, 2, 1\] is inf"):
        net.fit(x, np.zeros(5), loss="mse")
