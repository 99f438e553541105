"""Modules of torch as networks and back: outputs, gradients and weights."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import schuss

torch: Any = pytest.importorskip("torch")
nn = torch.nn
TIMES, FEATURES = 7, 3


class Last(nn.Module):  # type: ignore[misc]
    """What most people write: the last output of a recurrent layer, and a dense one behind it."""

    def __init__(self, cell: str, batch_first: bool = True, layers: int = 1, both: bool = False) -> None:
        super().__init__()
        self.rnn = getattr(nn, cell)(FEATURES, 5, layers, batch_first=batch_first, bidirectional=both)
        self.head = nn.Sequential(nn.Linear(10 if both else 5, 4), nn.ReLU(), nn.Dropout(0.1), nn.Linear(4, 2))
        self.batch_first, self.both = batch_first, both

    def forward(self, x: Any) -> Any:
        out, state = self.rnn(x)
        if self.both:
            h = state[0] if isinstance(state, tuple) else state
            return self.head(torch.cat([h[-2], h[-1]], 1))
        return self.head(out[:, -1] if self.batch_first else out[-1])


class All(Last):
    def forward(self, x: Any) -> Any:
        return self.head(self.rnn(x)[0])


class Doubled(Last):
    def forward(self, x: Any) -> Any:
        return 2 * super().forward(x)


class Parameters(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.scale = nn.Linear(3, 2), nn.Parameter(torch.ones(2))

    def forward(self, x: Any) -> Any:
        return self.linear(x) * self.scale


def seeded(module: Any) -> Any:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype) * 0.4)
    return module


def data(rows: int = 6, dtype: str = "float32", times: int = TIMES, features: int = FEATURES) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(rows, times, features)).astype(dtype)


def gradients_of(module: Any, *arguments: Any, **named: Any) -> tuple[np.ndarray, ...]:
    """Gradients of a module's parameters in the layout of the network that it becomes."""
    other = copy.deepcopy(module)
    with torch.no_grad():
        for mine, theirs in zip(other.parameters(), module.parameters(), strict=True):
            mine.copy_(theirs.grad)
    return schuss.from_torch([other], *arguments, **named).parameters


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", ["RNN", "relu", "GRU", "LSTM"])
def test_recurrent_layers(cell: str, both: bool, layers: int, dtype: str) -> None:
    named: dict[str, Any] = {"nonlinearity": "relu"} if cell == "relu" else {}
    make = getattr(nn, "RNN" if cell == "relu" else cell)
    module = seeded(make(FEATURES, 5, layers, batch_first=True, bidirectional=both, **named).to(getattr(torch, dtype)))
    X = data(dtype=dtype)
    net = schuss.from_torch(module, (TIMES, FEATURES), seed=3)
    assert net.dtype == dtype and net.seed == 3
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == "float32" else {"rtol": 1e-12, "atol": 1e-12}
    x = torch.from_numpy(X)
    expected = module(x)[0]
    np.testing.assert_allclose(net.predict(X), expected.detach().numpy(), **tolerance)
    y = np.random.default_rng(2).normal(size=expected.shape).astype(dtype)
    loss = ((expected - torch.from_numpy(y)) ** 2).mean()
    loss.backward()
    assert net.loss_and_gradients(X, y, "mse") == pytest.approx(loss.item(), rel=1e-5)
    theirs = gradients_of(module, (TIMES, FEATURES), return_sequences=True)
    for mine, other in zip(net.gradients, theirs, strict=True):
        np.testing.assert_allclose(mine, other, **tolerance)
    last = schuss.from_torch([module], (TIMES, FEATURES), return_sequences=False)
    state = module(x)[1]
    h = (state[0] if isinstance(state, tuple) else state)[-2 if both else -1 :]
    np.testing.assert_allclose(last.predict(X), h.transpose(0, 1).reshape(len(X), -1).detach().numpy(), **tolerance)


@pytest.mark.parametrize("make", [Last, All])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM"])
def test_modules_of_ones_own_are_asked_what_they_hand_on(make: type, cell: str, both: bool, batch_first: bool) -> None:
    module = seeded(make(cell, batch_first, 2, both))
    net = schuss.from_torch(module, (TIMES, FEATURES))
    X = data()
    module.eval()
    given = torch.from_numpy(X)
    expected = module(given if batch_first else given.transpose(0, 1))
    if make is All and not batch_first:
        expected = expected.transpose(0, 1)
    np.testing.assert_allclose(net.predict(X), expected.detach().numpy(), rtol=1e-5, atol=1e-5)
    assert net.predict(X).ndim == (3 if make is All else 2)


def test_training_goes_on_here_and_there() -> None:
    module = seeded(Last("LSTM"))
    net = schuss.from_torch(module, (TIMES, FEATURES), seed=0)
    X = data(40)
    net.fit(X, X[:, -1, :2], loss="mse", epochs=3)
    before = [p.detach().clone() for p in module.parameters()]
    assert schuss.to_torch(net, module) is module
    assert module.training and any((a != b).any() for a, b in zip(before, module.parameters(), strict=True))
    module.eval()
    np.testing.assert_allclose(module(torch.from_numpy(X)).detach().numpy(), net.predict(X), rtol=1e-5, atol=1e-5)
    again = schuss.from_torch(module, (TIMES, FEATURES))
    for mine, theirs in zip(net.parameters, again.parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)


LAYERS: dict[str, list[Any]] = {
    "rnn": [schuss.RNN(4)],
    "rnn torch": [schuss.RNN(4, "relu", dialect="torch", return_sequences=True), schuss.Dense(2, "gelu", dropout=0.1)],
    "gru": [schuss.GRU(4, dropout=0.2), schuss.Dense(3, "softmax")],
    "lstm": [schuss.LSTM(4, return_sequences=True), schuss.LayerNorm(eps=1e-3), schuss.LSTM(3, reverse=True)],
    "reversed": [schuss.GRU(4, return_sequences=True, reverse=True)],
    "both": [
        schuss.Bidirectional(schuss.LSTM(4, return_sequences=True)),
        schuss.Bidirectional(schuss.GRU(3)),
        schuss.BatchNorm(momentum=0.2),
        schuss.Activation("leaky_relu", alpha=0.2),
        schuss.Dense(3, "elu", bias=False),
    ],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", LAYERS)
def test_networks_become_modules(case: str, dtype: str) -> None:
    net = schuss.Network([schuss.Input("x", (TIMES, FEATURES)), *LAYERS[case]], seed=0, dtype=dtype)
    for array in (*net.parameters, *net.named_states().values()):
        array[...] += np.abs(np.random.default_rng(0).normal(0, 0.3, array.shape))
    module = schuss.to_torch(net)
    X = data(dtype=dtype)
    found = module.eval()(torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(found, net.predict(X), rtol=1e-5, atol=1e-5)
    assert found.dtype == dtype
    back = schuss.from_torch(module, (TIMES, FEATURES))
    np.testing.assert_allclose(back.predict(X), net.predict(X), rtol=1e-5, atol=1e-5)


def test_codes() -> None:
    module = nn.Sequential(nn.Embedding(11, 4), seeded(schuss.to_torch(network := tokens())[1]), nn.Linear(5, 2))
    net = schuss.from_torch(module, (TIMES,))
    codes = np.random.default_rng(0).integers(0, 11, (6, TIMES))
    expected = module(torch.from_numpy(codes)).detach().numpy()
    np.testing.assert_allclose(net.predict(codes[..., None]), expected, rtol=1e-5, atol=1e-5)
    again = schuss.to_torch(network)
    np.testing.assert_allclose(
        again(torch.from_numpy(codes)).detach().numpy(), network.predict(codes[..., None]), rtol=1e-5, atol=1e-5
    )


def tokens() -> schuss.Network:
    layers = [schuss.Input("x", (TIMES, 1), dtype="int64"), schuss.Embedding(11, 4), schuss.GRU(5), schuss.Dense(2)]
    return schuss.Network(layers, seed=0)


def test_dense_layers_and_plain_rows() -> None:
    module = seeded(
        nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.SiLU(), nn.Identity(), nn.Linear(5, 4, bias=False))
    )
    module(torch.randn(20, 3))
    net = schuss.from_torch(module)
    X = data()[:, 0]
    np.testing.assert_allclose(
        net.predict(X), module.eval()(torch.from_numpy(X)).detach().numpy(), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize(
    ("module", "shape", "named", "error", "message"),
    [
        (nn.Conv3d(1, 1, 1), 3, {}, TypeError, r"module must be made of layers that are known .*; got Conv3d"),
        (
            nn.Sequential(nn.Linear(3, 2), nn.Threshold(0, 1)),
            None,
            {},
            TypeError,
            r"module\.1 must be .*; got Threshold",
        ),
        (Parameters(), 3, {}, TypeError, r"module must be made of layers that are known .*; got Parameters"),
        (Doubled("GRU"), (TIMES, 3), {}, ValueError, r"what comes out must be that of the layers .* other numbers"),
        (nn.GRU(3, 2), None, {}, ValueError, r"input_shape must be \(times, features\) for module, GRU"),
        (nn.GRU(3, 2), 3, {}, ValueError, r"input_shape must be \(times, features\) for module, GRU.*; got 3"),
        (nn.GRU(3, 2), (4, 0), {}, ValueError, r"input_shape\[1\] must be an integer >= 1; got 0"),
        (nn.GRU(3, 2, bias=False), (4, 3), {}, ValueError, "module, GRU, must have bias=True"),
        (nn.LSTM(3, 2, proj_size=1), (4, 3), {}, ValueError, "module, LSTM, must have proj_size=0; got 1"),
        ([nn.GRU(3, 2)], (4, 3), {}, ValueError, "return_sequences must be True or False for a list"),
        (nn.GRU(3, 2), (4, 3), {"return_sequences": 1}, TypeError, "return_sequences must be True or False; got 1"),
        (nn.GRU(3, 2), (4, 3), {"return_sequences": False}, ValueError, "what comes out must be"),
        (nn.Linear(3, 2).half(), None, {}, TypeError, "parameters of float32 or of float64; got float16"),
        (nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2).double()), None, {}, TypeError, "got float32, float64"),
        (nn.GELU(approximate="tanh"), 3, {}, ValueError, "module must have approximate='none'; got 'tanh'"),
        (nn.Embedding(3, 2, padding_idx=0), (4,), {}, ValueError, "module must have neither max_norm nor padding_idx"),
        (nn.Sequential(), 3, {}, TypeError, "module must be made of layers"),
        ([], 3, {}, ValueError, "module must have a layer"),
        (nn.Identity(), 3, {}, ValueError, "module must have a layer that computes something"),
        (3, 3, {}, TypeError, r"module must be a torch.nn.Module; got 3"),
        ([nn.Linear(3, 2), "relu"], 3, {}, TypeError, r"module\[1\] must be a torch.nn.Module; got 'relu'"),
    ],
)
def test_what_has_no_counterpart_is_named(
    module: Any, shape: Any, named: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        schuss.from_torch(module, shape, **named)


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([schuss.Dense(3, 4), schuss.Residual([schuss.Dense(4)])], TypeError, r"network\.layers\[1\].*; got Residual"),
        ([schuss.Dense(3, 4, parametrization="ntp")], ValueError, r"network\.layers\[0\]\.parametrization"),
        ([schuss.GRU(2, reset="before", input_shape=(4, 3))], ValueError, r"network\.layers\[0\], GRU.*reset='after'"),
        ([schuss.RNN(2, recurrent_dropout=0.1, input_shape=(4, 3))], ValueError, "must have recurrent_dropout=0"),
        (
            [schuss.Input("x", (4, 3)), schuss.Concatenate([[schuss.GRU(2)], [schuss.LSTM(2)]])],
            ValueError,
            r"network\.layers\[1\], Concatenate, must be Bidirectional",
        ),
        ([schuss.Input("x", (4, 3)), schuss.Dense(2), schuss.BatchNorm()], ValueError, r"layers\[2\], BatchNorm"),
    ],
)
def test_layers_that_torch_has_not_are_named(layers: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        schuss.to_torch(schuss.Network(layers, seed=0))


def test_modules_of_other_layers_stay_as_they_were() -> None:
    net = schuss.from_torch(seeded(Last("GRU")), (TIMES, FEATURES))
    for module, message in [
        (Last("LSTM"), r"layers\.1 must fit into module\.rnn"),
        (Last("GRU", layers=2), r"the network has 3 layers with parameters, expected 4"),
        (Doubled("GRU"), "what comes out must be that of the layers one after the other"),
        (All("GRU"), "what comes out must be that of the layers one after the other; got shape"),
    ]:
        before = [p.detach().clone() for p in module.parameters()]
        with pytest.raises(ValueError, match=message):
            schuss.to_torch(net, module)
        assert all((a == b).all() for a, b in zip(before, module.parameters(), strict=True))


def test_one_bias_for_two_and_two_for_one() -> None:
    X = data()
    for dialect in ("keras", "torch"):
        for kind in (schuss.RNN, schuss.LSTM):
            net = schuss.Network([kind(4, dialect=dialect, input_shape=(TIMES, FEATURES))], seed=0)
            for array in net.parameters:
                array[...] += 0.1
            module = getattr(nn, kind.__name__)(FEATURES, 4, batch_first=True)
            schuss.to_torch(net, [module])
            np.testing.assert_allclose(
                module(torch.from_numpy(X))[0][:, -1].detach().numpy(), net.predict(X), atol=1e-6
            )
