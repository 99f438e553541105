"""Ensembles: what `MeanOfMembers` makes of them in training and prediction, the order of sums, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import Activation, Dense, EnsembleDense, MeanOfMembers, Residual
from tests.reference import layers as twin

Array = NDArray[Any]
SetThreads = Callable[[int], None]
K = 4
RNG = np.random.default_rng(0)
ROWS = 23
X = RNG.normal(size=(ROWS, 5))
WEIGHTS = RNG.uniform(0.1, 2, ROWS)
LABELS = RNG.integers(0, 3, ROWS)
VALUES = RNG.normal(size=(ROWS, 2))
COUNTS = RNG.poisson(2.0, (ROWS, 1)).astype(float)
CASES: list[tuple[str, int, Any, Array]] = [
    ("softmax", 3, schuss.CrossEntropy(), LABELS),
    ("softmax", 3, schuss.CrossEntropy(label_smoothing=0.1), LABELS),
    ("softmax", 3, "focal", LABELS),
    ("softmax", 3, "mse", RNG.normal(size=(ROWS, 3))),
    ("identity", 3, "cross_entropy", LABELS),
    ("sigmoid", 1, "binary_cross_entropy", (COUNTS > 2).astype(float)),
    ("sigmoid", 1, "binary_focal", (COUNTS > 2).astype(float)),
    ("identity", 2, "mse", VALUES),
    ("identity", 2, "mae", VALUES),
    ("identity", 2, schuss.Huber(0.5), VALUES),
    ("identity", 2, schuss.Quantile([0.1, 0.9]), VALUES),
    ("identity", 2, "gaussian", VALUES[:, :1]),
    ("exp", 1, "poisson", COUNTS),
    ("exp", 1, "gamma", COUNTS + 1),
    ("exp", 1, "tweedie", COUNTS),
]


def ensemble(activation: str, n_out: int, members: int = K, dropout: float = 0.2) -> schuss.Network:
    layers = [
        EnsembleDense(6, "tanh", members=members, n_in=5, shares_input=True, start="normal", dropout=dropout),
        EnsembleDense(n_out, members=members, start="normal"),
        MeanOfMembers(members, activation),
    ]
    return schuss.Network(layers, seed=1, dtype="float64")


@pytest.mark.parametrize(("activation", "n_out", "loss", "y"), CASES)
def test_loss_is_the_mean_of_the_members(activation: str, n_out: int, loss: Any, y: Array, threads: int) -> None:
    """As of a network without ensemble whose rows are the members' and whose targets and weights are repeated."""
    net = ensemble(activation, n_out)
    value = net.loss_and_gradients(X, y, loss, sample_weight=WEIGHTS)
    net._core.draws = 0
    z = ensemble("identity", n_out).forward(X).reshape(-1, n_out)
    end = schuss.Network([Activation(activation, n=n_out)], seed=0, dtype="float64")
    repeated = np.repeat(y, K, axis=0)
    wanted = end.evaluate(z, repeated, loss, sample_weight=np.repeat(WEIGHTS, K))["loss"]
    assert value == pytest.approx(wanted, rel=1e-12)
    step = ensemble(activation, n_out)
    assert step.train_step(X, y, loss, schuss.SGD(step.parameters, lr=0.1), sample_weight=WEIGHTS) == value
    fitted = ensemble(activation, n_out)
    history = fitted.fit(X, y, loss=loss, optimizer="sgd", lr=0.1, epochs=1, batch_size=None, sample_weight=WEIGHTS)
    assert history["loss"][0] == value
    assert_array_equal(fitted.predict(X), step.predict(X))


@pytest.mark.parametrize(("activation", "n_out", "loss", "y"), CASES)
def test_evaluation_is_of_the_mean(activation: str, n_out: int, loss: Any, y: Array) -> None:
    net = ensemble(activation, n_out)
    assert net.n_out == n_out
    z = ensemble("identity", n_out, dropout=0.0).forward(X).reshape(-1, n_out)
    mean = twin.activations.forward(activation, z, 0.0).reshape(ROWS, K, n_out).mean(axis=1)
    assert_allclose(net.predict(X), mean, rtol=1e-13)
    assert_array_equal(net.forward(X, training=False), net.predict(X))
    back = {"softmax": np.log, "exp": np.log, "sigmoid": lambda p: np.log(p / (1 - p))}.get(activation, lambda m: m)
    end = schuss.Network([Activation(activation, n=n_out)], seed=0, dtype="float64")
    assert_allclose(end.predict(back(mean)), mean, rtol=1e-12)
    wanted = end.evaluate(back(mean), y, loss, sample_weight=WEIGHTS)["loss"]
    assert net.evaluate(X, y, loss, sample_weight=WEIGHTS)["loss"] == pytest.approx(wanted, rel=1e-12)


def test_certain_members() -> None:
    """Probabilities of 0 and 1: the loss of the mean stays finite in both directions."""
    net = ensemble("sigmoid", 1)
    net.parameters[-1][...] = [[-800.0], [-800.0], [-800.0], [-800.0]]
    assert (net.predict(X) == 0).all()
    assert np.isfinite(net.evaluate(X, np.ones((ROWS, 1)), "binary_cross_entropy")["loss"])
    net.parameters[-1][...] = 800.0
    assert np.isfinite(net.evaluate(X, np.zeros((ROWS, 1)), "binary_cross_entropy")["loss"])


@pytest.mark.parametrize("batch_size", [7, None])
def test_loss_of_ones_own(batch_size: int | None) -> None:
    """It gets the members' rows, one after the other, with the targets repeated."""
    shapes = []

    def loss(prediction: Array, target: Array) -> tuple[float, Array]:
        shapes.append((prediction.shape, target.shape))
        return float(((prediction - target) ** 2).mean()), 2 * (prediction - target) / prediction.size

    one, other = ensemble("identity", 2), ensemble("identity", 2)
    arguments: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "epochs": 2, "batch_size": batch_size, "shuffle": False}
    found = one.fit(X, VALUES, loss=loss, **arguments)
    wanted = other.fit(X, VALUES, loss="mse", **arguments)
    assert_allclose(found["loss"], wanted["loss"], rtol=1e-12)
    assert shapes[0] == (((batch_size or ROWS) * K, 2),) * 2
    a = one.train_step(X, VALUES, loss, schuss.SGD(one.parameters, lr=0.1))
    b = other.train_step(X, VALUES, "mse", schuss.SGD(other.parameters, lr=0.1))
    assert a == pytest.approx(b, rel=1e-12)
    assert_allclose(one.predict(X), other.predict(X), rtol=1e-9)


def test_class_weights_and_metrics() -> None:
    net = ensemble("softmax", 3)
    weights = np.array([1.0, 2.0, 0.5])
    value = net.loss_and_gradients(X, LABELS, "cross_entropy", class_weight=weights)
    other = ensemble("softmax", 3)
    assert other.loss_and_gradients(X, LABELS, "cross_entropy", sample_weight=weights[LABELS]) == value
    history = net.fit(
        X, LABELS, loss="cross_entropy", epochs=3, validation_fraction=0.3, metrics="accuracy", early_stopping=2
    )
    assert len(history["val_accuracy"]) == len(history["loss"])
    assert net.evaluate(X, LABELS, "cross_entropy", "accuracy")["accuracy"] == pytest.approx(
        (net.predict(X).argmax(axis=1) == LABELS).mean()
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_in", [20, 150])
def test_bits_do_not_depend_on_threads(dtype: str, n_in: int, set_threads: SetThreads) -> None:
    """Sums over members and rows have one order; 150 inputs are three blocks of ds."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(300, n_in)).astype(dtype), rng.normal(size=(300, 2)).astype(dtype)
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        net = schuss.Network(
            [
                EnsembleDense(70, "relu", members=5, n_in=n_in, shares_input=True, start="normal", dropout=0.1),
                EnsembleDense(150, "relu", members=5, dropout=0.1),
                EnsembleDense(33, "silu", members=5),
                EnsembleDense(2, members=5),
                MeanOfMembers(5),
            ],
            seed=2,
            dtype=dtype,
        )
        net.fit(x, y, loss="mse", optimizer="adamw", epochs=2, batch_size=128)
        net.fit(x, y, loss="mse", optimizer="adamw", epochs=1, batch_size=128, clip_norm=1.0)
        found.append([p.copy() for p in net.parameters] + [net.predict(x)])
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            assert_array_equal(one, other)


def test_order_of_sums(isa: str) -> None:
    """The law of csrc/layers/ensemble_dense.h, from H, which is a product of its own."""
    k, n_in, n_out, rows = 3, 70, 37, 29
    net = schuss.Network([EnsembleDense(n_out, members=k, n_in=n_in)], seed=1, dtype="float32")
    rng = np.random.default_rng(4)
    w, r, s, _ = net.parameters
    for p in net.parameters:
        p[...] = rng.normal(size=p.shape)
    x = rng.normal(size=(rows, k * n_in)).astype("float32")
    d = rng.normal(size=(rows, k * n_out)).astype("float32")
    net.forward(x)
    net.backward(d)
    dw, dr, ds = np.zeros_like(w), np.zeros_like(r), np.zeros_like(s)
    for m in range(k):
        single = schuss.Network([Dense(n_in, n_out, bias=False)], seed=0)
        single.forward(np.ascontiguousarray(x[:, m * n_in : (m + 1) * n_in]))
        single.backward(np.ascontiguousarray(d[:, m * n_out : (m + 1) * n_out]))
        h = single.gradients[0]
        term = r[m][:, None] * (s[m] * h)
        dw = term if m == 0 else dw + term
        terms = s[m] * (w * h)
        lanes = np.zeros((n_in, 16), np.float32)
        for j in range(n_out):
            lanes[:, j % 16] += terms[:, j]
        for half in (8, 4, 2, 1):
            lanes = lanes[:, :half] + lanes[:, half : 2 * half]
        dr[m] = lanes[:, 0]
        down = r[m][:, None] * (w * h)
        total = np.zeros(n_out)
        for first in range(0, n_in, 64):
            block = np.zeros(n_out, np.float32)
            for row in down[first : first + 64]:
                block += row
            total += block
        ds[m] = total.astype(np.float32)
    for found, wanted in zip(net.gradients[:3], (dw, dr, ds), strict=True):
        assert_array_equal(found, wanted)


def test_start_groups() -> None:
    first = EnsembleDense(4, members=3, n_in=6, shares_input=True, start="normal", start_groups=[1, 3, 2])
    net = schuss.Network([first], seed=0)
    r, bias, weight = (net.named_parameters()[f"layers.0.{name}"] for name in ("r", "bias", "weight"))
    assert (r[:, 1:4] == r[:, 1:2]).all() and (r[:, 4:] == r[:, 4:5]).all()
    assert len(np.unique(r)) == 9
    assert (bias == bias[0]).all() and not np.isin(bias, weight).any()
    assert schuss.layers.of_description(first.described()) == first


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (lambda: [Dense(3, 5), EnsembleDense(2, members=2)], "members must divide 5"),
        (lambda: [Dense(3, 6), EnsembleDense(2, members=2, n_in=4)], "n_in must be 3"),
        (lambda: [EnsembleDense(2, "softmax", members=2, n_in=3)], "softmax"),
        (lambda: [EnsembleDense(2, members=2, n_in=3, start_groups=[1, 2])], "start_groups must be None"),
        (lambda: [EnsembleDense(2, members=2, n_in=3, start="signs", start_groups=[1, 1])], "add up to 3"),
        (lambda: [EnsembleDense(2, members=0, n_in=3)], "members"),
        (lambda: [EnsembleDense(2, members=2)], "must tell how many columns"),
        (lambda: [Dense(3, 4), MeanOfMembers(3)], "members must divide 4"),
        (lambda: [Dense(3, 4), MeanOfMembers(2), Dense(2)], "must be the last layer"),
        (lambda: [Dense(3, 4), MeanOfMembers(2), Activation("relu")], "must be the last layer"),
        (lambda: [Dense(3, 4), Residual(MeanOfMembers(1))], "must be the last layer"),
        (lambda: [Dense(3, 4), MeanOfMembers(2, "relu")], "activation"),
    ],
)
def test_refused(layers: Callable[[], list[Any]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        schuss.Network(layers(), seed=0)


def test_files(tmp_path: Any) -> None:
    net = ensemble("softmax", 3)
    net.fit(X, LABELS, loss="cross_entropy", epochs=1)
    net.save(tmp_path / "net.npz")
    assert_array_equal(schuss.load(tmp_path / "net.npz").predict(X), net.predict(X))
