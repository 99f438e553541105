"""Bags of embeddings: torch's EmbeddingBag, the law of sums, the same bits for any threads, levels and orders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from tests.layers.cases import bags as drawn

Array = NDArray[Any]
SetThreads = Callable[[int], None]
DIMS = [1, 2, 3, 8, 16, 17, 64, 128, 129, 300]


def bag(n: int, dim: int, mode: str = "sum", dtype: str = "float32") -> schuss.Network:
    net = schuss.Network([schuss.EmbeddingBag(n, dim, mode)], seed=1, dtype=dtype)
    assert net.inputs[0] == schuss.Input("x", n, dtype="sparse")
    return net


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch(dim: int, mode: str, dtype: str) -> None:
    """Values and gradients; sums with weights, means of bags without, and rows without codes."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(dim)
    given = drawn(rng, 57, 30, 9)
    if mode == "mean":
        given = schuss.Bags(given.codes, given.offsets)
    start, codes, weights = given.arrays()
    net = bag(30, dim, mode, dtype)
    wide = getattr(torch, dtype)
    theirs = torch.nn.EmbeddingBag(30, dim, mode=mode, dtype=wide)
    theirs.weight.data = torch.from_numpy(net.parameters[0].copy())
    more = {} if mode == "mean" else {"per_sample_weights": torch.from_numpy(weights).to(wide)}
    value = theirs(torch.from_numpy(codes.astype(np.int64)), torch.from_numpy(start[:-1]), **more)
    d = rng.normal(size=(57, dim)).astype(dtype)
    (value * torch.from_numpy(d)).sum().backward()
    tolerance = 2e-6 if dtype == "float32" else 1e-14
    size = 10 * tolerance
    np.testing.assert_allclose(net.predict(given), value.detach().numpy(), tolerance, size)
    np.testing.assert_allclose(net.forward(given), value.detach().numpy(), tolerance, size)
    assert net.backward(d) is None
    np.testing.assert_allclose(net.gradients[0], theirs.weight.grad.numpy(), tolerance, size)
    assert not net.predict(given)[np.diff(start) == 0].any()


def chain(weights: Array, rows: Array) -> Array:
    """sum of weights rows, one fused multiply-add after the other, as exact as float64 makes those of float32."""
    total = np.zeros(rows.shape[1], np.float32)
    for weight, row in zip(weights, rows, strict=True):
        total = (np.float64(weight) * row.astype(float) + total).astype(np.float32)
    return total


@pytest.mark.parametrize("dim", [1, 5, 33])
def test_the_law_of_values(dim: int) -> None:
    """One chain over the entries of a row in their order; a mean is divided once. Whole numbers: no sum is rounded twice."""
    rng = np.random.default_rng(0)
    given = drawn(rng, 40, 12, 20)
    given = schuss.Bags(given.codes, given.offsets, np.round(8 * given.weights))
    for mode in ("sum", "mean"):
        net = bag(12, dim, mode)
        start, codes, weights = given.arrays()
        found = net.predict(given)
        for k in range(len(given)):
            own = slice(start[k], start[k + 1])
            wanted = chain(weights[own], net.parameters[0][codes[own]])
            if mode == "mean" and start[k + 1] > start[k]:
                wanted = wanted / np.float32(start[k + 1] - start[k])
            np.testing.assert_allclose(found[k], wanted, 1e-6, 1e-6)


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize(("dim", "rows"), [(3, 700), (64, 300), (200, 5000)])
def test_the_same_bits(mode: str, dim: int, rows: int, isa: str, set_threads: SetThreads) -> None:
    """Of fit, gradients and prediction, for 1 to 3 threads; the gradient also where it does not go into a rule at once."""
    rng = np.random.default_rng(3)
    x, y = drawn(rng, rows, 90), rng.normal(size=(rows, 2))

    def make(threads: int, **more: Any) -> list[Array]:
        set_threads(threads)
        net = schuss.Network([schuss.EmbeddingBag(90, dim, mode), schuss.Dense(2)], seed=0)
        net.fit(x, y, loss="mse", optimizer=schuss.SGD(net.parameters, lr=0.01), epochs=2, batch_size=rows // 2, **more)
        net.loss_and_gradients(x, y, "mse")
        return [*(p.copy() for p in net.parameters), *(g.copy() for g in net.gradients), net.predict(x)]

    wanted = make(1)
    for threads in (2, 3):
        for found, one in zip(make(threads), wanted, strict=True):
            assert_array_equal(found, one)
    for found, one in zip(make(2, clip_norm=1e9), make(1, clip_norm=1e9), strict=True):
        assert_array_equal(found, one)


def test_an_epoch_is_its_steps() -> None:
    """To the last bit: a fit in order, and a train_step for each of its batches."""
    rng = np.random.default_rng(5)
    x, y = drawn(rng, 64, 20), rng.normal(size=(64, 1))
    nets = [
        schuss.Network([schuss.EmbeddingBag(20, 7, "mean"), schuss.Dense(1)], seed=0, dtype="float64") for _ in range(2)
    ]
    optimizers = [schuss.Adam(net.parameters, lr=0.01) for net in nets]
    nets[0].fit(x, y, loss="mse", optimizer=optimizers[0], epochs=1, batch_size=16, shuffle=False)
    for k in range(0, 64, 16):
        nets[1].train_step(x[k : k + 16], y[k : k + 16], "mse", optimizers[1])
    for p, q in zip(*(net.parameters for net in nets), strict=True):
        assert_array_equal(p, q)


def test_more_than_one_block_of_rows() -> None:
    """Sums over more rows than go into one block are as those of a matrix product."""
    rng = np.random.default_rng(0)
    x = drawn(rng, 9000, 4, 3)
    net = bag(4, 5, "mean", "float64")
    value = net.forward(x)
    d = rng.normal(size=value.shape)
    net.backward(d)
    start, codes, weights = x.arrays()
    matrix = np.zeros((9000, 4))
    np.add.at(matrix, (np.repeat(np.arange(9000), np.diff(start)), codes), weights)
    matrix /= np.maximum(np.diff(start), 1)[:, None]
    np.testing.assert_allclose(net.gradients[0], matrix.T @ d, 1e-11, 1e-11)


def test_a_long_bag_and_codes_beyond_32_bits() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 50, 20000)
    net = bag(50, 3, "mean", "float64")
    found = net.predict(schuss.Bags([codes, [], [1]]))
    np.testing.assert_allclose(found[0], net.parameters[0][codes].mean(axis=0), 1e-11)
    far = schuss.Bags([[2**40, 3], [2**62]])
    assert far.codes.dtype == np.int64 and far.columns == 2**62 + 1
    with pytest.raises(ValueError, match=rf"X must hold codes in \[0, 50\); got {2**40} in row 0"):
        net.predict(far)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([schuss.EmbeddingBag(5, 2, "mean"), schuss.EmbeddingBag(2, 2)], r"layers\[1\], EmbeddingBag.*compressed rows; got n"),
        ([schuss.Input("x", 5), schuss.EmbeddingBag(5, 2)], "must come behind compressed rows; got numbers"),
        ([schuss.Input("x", 5, dtype="int64"), schuss.EmbeddingBag(5, 2)], "got codes"),
        ([schuss.Input("x", 4, dtype="sparse"), schuss.EmbeddingBag(5, 2)], r"layers\[1\].n must be 4"),
        ([schuss.Input("x", 4, dtype="sparse"), schuss.Embedding(5, 2)], "must come behind codes; got compressed rows"),
        ([schuss.Input("x", 4, dtype="sparse"), schuss.LayerNorm()], "compressed rows: a Dense or an EmbeddingBag"),
        ([schuss.Input("x", 4, dtype="sparse"), schuss.Activation("relu")], "compressed rows"),
        ([schuss.Input("x", 4, dtype="sparse"), schuss.Residual([schuss.Dense(4)])], "Residual, must come behind numbers"),
        ([schuss.Concatenate([schuss.Input("x", 4, dtype="sparse")]), schuss.Dense(4)], "must give numbers; got compressed"),
        ([schuss.Input("x", 4, dtype="sparse")], "computes something"),
        ([schuss.Input("x", 4, dtype="sparse"), schuss.GRU(3)], "compressed rows"),
        ([schuss.Input("x", 4, dtype="sparse"), schuss.Flatten()], "compressed rows"),
        ([schuss.Input("x", 4, dtype="sparse"), schuss.EnsembleDense(3, members=2, shares_input=True)], "compressed rows"),
    ],
)  # fmt: skip
def test_what_does_not_fit(layers: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schuss.Network(layers, seed=0)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: schuss.EmbeddingBag(0, 2), ValueError, "n must be an integer >= 1"),
        (lambda: schuss.EmbeddingBag(2, 0), ValueError, "dim must be an integer >= 1"),
        (lambda: schuss.EmbeddingBag(2, 2, "max"), ValueError, "mode 'max' is not known"),
        (lambda: schuss.EmbeddingBag(2, 2, 3), TypeError, "mode must be a name"),
        (lambda: schuss.EmbeddingBag(2, 2, std=-1), ValueError, "std must be"),
        (lambda: schuss.Input("x", (4, 3), dtype="sparse"), ValueError, "n must be columns where dtype is 'sparse'"),
        (lambda: schuss.Input("x", 4, dtype="spars"), ValueError, "did you mean 'sparse'"),
    ],
)
def test_arguments(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_summary_and_repr() -> None:
    net = schuss.Network([schuss.Input("words", 50, dtype="sparse"), schuss.EmbeddingBag(50, 4, "mean"), schuss.Dense(2)])
    text = net.summary()
    assert "Input 'words' 50 sparse" in text and "EmbeddingBag mean of 50 -> 4" in text
    assert repr(net.layers[1]) == "EmbeddingBag(n=50, dim=4, mode='mean', std=1.0)"
    assert repr(net.inputs[0]) == "Input(name='words', n=50, dtype='sparse')"
