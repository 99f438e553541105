"""Layers against torch, and normalisation against Keras: parameters after 50 steps of training, and running statistics.

Conventions: LayerNorm and BatchNorm are torch's. BatchNorm's momentum is the share of the newest batch, where Keras
calls one minus that its momentum; its running variance takes in variances divided by rows - 1, where Keras divides by
rows. Of a batch of one row, which torch refuses, the value is the bias, and the statistics stay.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import schuss

torch: Any = pytest.importorskip("torch")
Array = NDArray[Any]
STEPS = 50
ROWS = 40
TOLERANCE = 1e-5


def tensor(array: Array) -> Any:
    return torch.tensor(np.array(array))


class Linear(torch.nn.Module):  # type: ignore[misc]
    """A dense layer with our layout and its activation."""

    def __init__(
        self, n_in: int, n_out: int, act: Callable[[Any], Any] | None = None, scale: float | None = None
    ) -> None:
        super().__init__()
        self.scale = scale
        self.weight = torch.nn.Parameter(torch.zeros(n_in, n_out))
        self.bias = torch.nn.Parameter(torch.zeros(n_out))
        self.act = act or (lambda z: z)

    def forward(self, x: Any) -> Any:
        z = x @ self.weight
        return self.act((z if self.scale is None else z * self.scale) + self.bias)


class Grouped(torch.nn.Module):  # type: ignore[misc]
    """A dense layer for each group of columns."""

    def __init__(self, groups: int, n_in: int, n_out: int, act: Callable[[Any], Any]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(groups, n_in, n_out))
        self.bias = torch.nn.Parameter(torch.zeros(groups, n_out))
        self.act = act

    def forward(self, x: Any) -> Any:
        parts = x.reshape(len(x), len(self.weight), -1)
        return self.act(torch.einsum("rgi,gio->rgo", parts, self.weight) + self.bias).reshape(len(x), -1)


class Waves(torch.nn.Module):  # type: ignore[misc]
    """Cosines with phases, or cosines and sines, of each column."""

    def __init__(self, n: int, f: int, phases: bool) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(n, f))
        self.bias = torch.nn.Parameter(torch.zeros(n, f)) if phases else None

    def forward(self, x: Any) -> Any:
        angle = 2 * torch.pi * x[:, :, None] * self.weight
        if self.bias is not None:
            return torch.cos(angle + self.bias).reshape(len(x), -1)
        return torch.cat([torch.cos(angle), torch.sin(angle)], dim=2).reshape(len(x), -1)


class Factors(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, n: int) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(n))

    def forward(self, x: Any) -> Any:
        return x * self.scale


class Table(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, n: int, dim: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(n, dim))

    def forward(self, codes: Any) -> Any:
        return torch.nn.functional.embedding(codes, self.weight).reshape(len(codes), -1)


class Sum(torch.nn.Sequential):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return x + super().forward(x)


class Side(torch.nn.Module):  # type: ignore[misc]
    """Branches of what comes in."""

    def __init__(self, *branches: Any) -> None:
        super().__init__()
        self.branches = torch.nn.ModuleList(branches)

    def forward(self, x: Any) -> Any:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Sides(Side):
    """Branches of inputs of their own."""

    def forward(self, x: Any) -> Any:
        return torch.cat([branch(part) for branch, part in zip(self.branches, x, strict=True)], dim=1)


nn = torch.nn
Made = tuple[list[schuss.layers.Layer], Any]


def with_norm(ours: Any, theirs: Callable[[int], Any]) -> Made:
    layers = [schuss.Dense(6, 17), ours, schuss.Activation("tanh"), schuss.Dense(3)]
    return layers, nn.Sequential(Linear(6, 17), theirs(17), nn.Tanh(), Linear(17, 3))


def residual() -> Made:
    block = schuss.Residual([schuss.LayerNorm(), schuss.Dense(20, "gelu"), schuss.Dense(9)])
    theirs = [Sum(nn.LayerNorm(9), Linear(9, 20, nn.functional.gelu), Linear(20, 9)) for _ in range(2)]
    return [schuss.Dense(6, 9), block, block, schuss.Dense(3)], nn.Sequential(Linear(6, 9), *theirs, Linear(9, 3))


def concatenate() -> Made:
    inner = schuss.Concatenate([[], schuss.Dense(4, "silu"), [schuss.Dense(5), schuss.BatchNorm()]])
    layers = [schuss.Dense(6, 9, "tanh"), inner, schuss.Dense(3)]
    side = Side(nn.Identity(), Linear(9, 4, nn.functional.silu), nn.Sequential(Linear(9, 5), nn.BatchNorm1d(5)))
    return layers, nn.Sequential(Linear(6, 9, torch.tanh), side, Linear(18, 3))


def embeddings() -> Made:
    branches = [
        [schuss.Input("x", 6), schuss.Scale()],
        [schuss.Input("codes", 3, dtype="int64"), schuss.Embedding(11, 4)],
    ]
    layers = [schuss.Concatenate(branches), schuss.Dense(8, "tanh"), schuss.Dense(3)]
    return layers, nn.Sequential(Sides(Factors(6), Table(11, 4)), Linear(18, 8, torch.tanh), Linear(8, 3))


MODELS: dict[str, Callable[[], Made]] = {
    "layer_norm": lambda: with_norm(schuss.LayerNorm(), nn.LayerNorm),
    "layer_norm eps": lambda: with_norm(schuss.LayerNorm(eps=0.1), lambda n: nn.LayerNorm(n, eps=0.1)),
    "batch_norm": lambda: with_norm(schuss.BatchNorm(), nn.BatchNorm1d),
    "batch_norm momentum": lambda: with_norm(
        schuss.BatchNorm(momentum=0.4, eps=0.01), lambda n: nn.BatchNorm1d(n, momentum=0.4, eps=0.01)
    ),
    "scale": lambda: (
        [schuss.Scale(6), schuss.Dense(9, "selu"), schuss.Dense(3)],
        nn.Sequential(Factors(6), Linear(6, 9, nn.functional.selu), Linear(9, 3)),
    ),
    "prelu": lambda: (
        [schuss.Dense(6, 9), schuss.PReLU(), schuss.Dense(3)],
        nn.Sequential(Linear(6, 9), nn.PReLU(9), Linear(9, 3)),
    ),
    "grouped_dense": lambda: (
        [schuss.GroupedDense(6, 1, 5, "relu"), schuss.GroupedDense(2, 15, 4, "mish"), schuss.Dense(3)],
        nn.Sequential(Grouped(6, 1, 5, torch.relu), Grouped(2, 15, 4, nn.functional.mish), Linear(8, 3)),
    ),
    "periodic": lambda: (
        [schuss.Periodic(5, 0.2, n=6), schuss.GroupedDense(6, None, 3), schuss.Dense(3)],
        nn.Sequential(Waves(6, 5, True), Grouped(6, 5, 3, lambda z: z), Linear(18, 3)),
    ),
    "periodic cos_sin": lambda: (
        [schuss.Scale(6), schuss.Periodic(5, 0.05, form="cos_sin"), schuss.Activation("tanh"), schuss.Dense(3)],
        nn.Sequential(Factors(6), Waves(6, 5, False), nn.Tanh(), Linear(60, 3)),
    ),
    "ntp": lambda: (
        [
            schuss.Scale(6),
            schuss.Dense(20, "mish", parametrization="ntp"),
            schuss.Dense(9, "selu", parametrization="ntp", init="lecun_normal"),
            schuss.Dense(3, parametrization="ntp", init="zeros"),
        ],
        nn.Sequential(
            Factors(6),
            Linear(6, 20, nn.functional.mish, 6**-0.5),
            Linear(20, 9, nn.functional.selu, 20**-0.5),
            Linear(9, 3, None, 9**-0.5),
        ),
    ),
    "residual": residual,
    "concatenate": concatenate,
    "embedding": embeddings,
}


def make(name: str, dtype: str) -> tuple[schuss.Network, Any]:
    """Two networks with the same numbers."""
    layers, model = MODELS[name]()
    net = schuss.Network(layers, seed=2, dtype=dtype)
    model = model.to(getattr(torch, dtype))
    theirs = list(model.parameters())
    assert [tuple(p.shape) for p in theirs] == [p.shape for p in net.parameters]
    for p, q in zip(net.parameters, theirs, strict=True):
        q.data = tensor(p)
    return net, model


def batches(net: schuss.Network, rows: int = ROWS, steps: int = STEPS) -> list[tuple[Any, Array]]:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(steps):
        x = tuple(
            rng.integers(0, 11, (rows, put.n))
            if put.codes
            else 2 * rng.normal(size=(rows, put.n)).astype(net.dtype) + 1
            for put in net.inputs
        )
        found.append((x if len(x) > 1 else x[0], rng.integers(0, 3, rows)))
    return found


def to_torch(x: Any) -> Any:
    return tuple(map(tensor, x)) if isinstance(x, tuple) else tensor(x)


def close(found: Array, wanted: Any) -> None:
    theirs = wanted.detach().numpy()
    assert found.shape == theirs.shape
    assert np.max(np.abs(found - theirs)) <= TOLERANCE * max(1.0, float(np.max(np.abs(theirs))))


def norms(model: Any) -> list[Any]:
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm1d)]


# Of a bias in front of a norm over rows the gradient is zero but for rounding, from which Adam makes whole steps: a
# larger eps keeps both at the same numbers.
OPTIMIZERS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sgd": (
        lambda p: schuss.SGD(p, lr=0.05, momentum=0.9),
        lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    ),
    "adam": (
        lambda p: schuss.Adam(p, lr=0.01, eps=1e-3),
        lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-3),
    ),
}


@pytest.mark.parametrize("how", ["step", "fit"])
@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
@pytest.mark.parametrize("name", list(MODELS))
def test_fifty_steps(name: str, optimizer: str, how: str) -> None:
    """In float64, where rounding does not grow over the steps."""
    net, model = make(name, "float64")
    ours, theirs = OPTIMIZERS[optimizer]
    opt, torch_opt = ours(net.parameters), theirs(model.parameters())
    for x, y in batches(net):
        if how == "step":
            loss = net.train_step(x, y, "cross_entropy", opt)
        else:
            history = net.fit(x, y, loss="cross_entropy", optimizer=opt, epochs=1, batch_size=None)
            loss = float(history["loss"][0])
        torch_opt.zero_grad()
        value = nn.functional.cross_entropy(model(to_torch(x)), tensor(y))
        value.backward()
        torch_opt.step()
        assert loss == pytest.approx(value.item(), rel=TOLERANCE)
    for p, q in zip(net.parameters, model.parameters(), strict=True):
        close(p, q)
    states = list(net.named_states().values())
    assert len(states) == 2 * len(norms(model))
    for k, norm in enumerate(norms(model)):
        close(states[2 * k], norm.running_mean)
        close(states[2 * k + 1], norm.running_var)
    model.eval()
    for x, _ in batches(net, 7, 1):
        close(net.predict(x), model(to_torch(x)))
        if not isinstance(x, tuple):
            close(net.predict(x[:1]), model(to_torch(x[:1])))


@pytest.mark.parametrize("name", list(MODELS))
def test_gradients_of_float32(name: str) -> None:
    net, model = make(name, "float32")
    x, y = batches(net)[0]
    given = to_torch(x)
    numbers = given[0] if isinstance(given, tuple) else given
    numbers.requires_grad_()
    value = model(given)
    nn.functional.cross_entropy(value, tensor(y)).backward()
    assert net.loss_and_gradients(x, y, "cross_entropy") > 0
    for g, p in zip(net.gradients, model.parameters(), strict=True):
        close(g, p.grad)
    logits = value.detach().numpy()
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    net.forward(x)
    by_inputs = net.backward((p - np.eye(3)[y]) / len(y))
    close(by_inputs[0] if isinstance(by_inputs, tuple) else by_inputs, numbers.grad)  # type: ignore[arg-type]


def test_one_row_keeps_statistics() -> None:
    net, model = make("batch_norm", "float64")
    (x, y), *_ = batches(net)
    net.loss_and_gradients(x, y, "cross_entropy")
    model(to_torch(x))
    before = {name: state.copy() for name, state in net.named_states().items()}
    value = net.forward(x[:1])
    for name, state in net.named_states().items():
        np.testing.assert_array_equal(state, before[name])
    model[1].eval()  # torch refuses one row in training
    with torch.no_grad():
        model[1].running_mean[...] = model[0](tensor(x[:1]))[0]
    close(value, model(tensor(x[:1])))
    dx = net.backward(np.ones_like(value))
    assert isinstance(dx, np.ndarray)
    assert not dx.any()


def test_two_rows() -> None:
    net, model = make("batch_norm", "float64")
    (x, _), *_ = batches(net, 2, 1)
    close(net.forward(x), model(to_torch(x)))
    close(net.named_states()["layers.1.running_var"], norms(model)[0].running_var)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own conversions to NumPy
def test_keras_momentum_is_one_minus_ours() -> None:
    """The mean; Keras' running variance is of the variance divided by rows, ours of that divided by rows - 1."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp())
    keras: Any = pytest.importorskip("keras")
    norm = keras.layers.BatchNormalization(momentum=0.7, epsilon=0.01)
    layer = keras.layers.LayerNormalization(epsilon=0.01)
    net = schuss.Network([schuss.BatchNorm(5, momentum=0.3, eps=0.01)], seed=0)
    rows_net = schuss.Network([schuss.LayerNorm(5, eps=0.01)], seed=0)
    rng = np.random.default_rng(0)
    variance = np.ones(5)
    for _ in range(5):
        x = 2 * rng.normal(size=(8, 5)).astype(np.float32) + 1
        theirs = np.asarray(keras.ops.convert_to_numpy(norm(x, training=True)))
        np.testing.assert_allclose(net.forward(x), theirs, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(rows_net.forward(x), keras.ops.convert_to_numpy(layer(x)), rtol=1e-5, atol=1e-5)
        variance += 0.3 * (x.var(axis=0, ddof=1) - variance)
    mean, theirs = (np.asarray(keras.ops.convert_to_numpy(w)) for w in norm.non_trainable_weights)
    states = net.named_states()
    np.testing.assert_allclose(states["layers.0.running_mean"], mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(states["layers.0.running_var"], variance, rtol=1e-5)
    np.testing.assert_allclose(states["layers.0.running_var"] - 0.7**5, (theirs - 0.7**5) * 8 / 7, rtol=1e-4)
