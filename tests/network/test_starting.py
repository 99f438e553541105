"""Weights and biases that start from data: against pytabkit's, given the same draws, and for itself."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.starting import _combination


def data(rows: int = 300, columns: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(rows, columns)) * [1, 10, 0.1, 3, 1][:columns] + [0, 5, 1, 100, -1][:columns]


def network(seed: int = 3, dtype: str = "float32", **options: Any) -> schuss.Network:
    layers = [schuss.Dense(5, 16, "selu", **options), schuss.Dense(16, 12, "mish", dropout=0.2, **options)]
    return schuss.Network([*layers, schuss.Dense(12, 3, **options)], seed=seed, dtype=dtype)


def values_before_ends(net: schuss.Network, X: np.ndarray) -> list[np.ndarray]:
    """What each layer of a chain of dense ones computes from its weights, without the bias, in double."""
    found, x = [], X.astype(np.float64)
    for k, layer in enumerate(net.layers):
        one = schuss.Network([schuss.Dense(layer.n_in, layer.n_out, layer.activation)], seed=0, dtype="float64")
        weight, bias = net.parameters[2 * k : 2 * k + 2]
        found.append(x @ weight)
        one.parameters[0][...], one.parameters[1][...] = weight, bias
        x = one.predict(x)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_deviations_are_1_and_signs_change(dtype: str) -> None:
    net = network(dtype=dtype)
    X = data()
    schuss.start_from_data(net, X)
    for k, z in enumerate(values_before_ends(net, X)):
        np.testing.assert_allclose(z.std(axis=0), 1.0, rtol=2e-4 if dtype == "float32" else 1e-9)
        bias = net.parameters[2 * k + 1]
        assert (z.min(axis=0) + bias <= 1e-4).all()
        assert (z.max(axis=0) + bias >= -1e-4).all()


def test_against_pytabkit_with_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own fitters, whose random numbers are replaced by ours."""
    torch = pytest.importorskip("torch")
    nn = pytest.importorskip("pytabkit.models.nn_models.nn")
    base = pytest.importorskip("pytabkit.models.nn_models.base")
    pieces = pytest.importorskip("pytabkit.models.data.data")
    X = data()
    net = network(dtype="float64")
    drawn = [array.copy() for array in net.parameters]
    schuss.start_from_data(net, X)
    x = torch.tensor(X)
    for k, layer in enumerate(net.layers):
        n_in, n_out = layer.n_in, layer.n_out
        indices, shares = _combination(net.seed, k, 5, n_out, len(X))
        monkeypatch.setattr(torch, "randn", lambda *shape, device=None, k=k: torch.tensor(drawn[2 * k]))
        monkeypatch.setattr(torch, "randint", lambda *a, i=indices, **b: torch.tensor(i.T.copy()))
        exponential = type("Exponential", (), {"sample": lambda self, shape, s=shares: torch.tensor(s.T.copy())})
        monkeypatch.setattr(torch.distributions, "Exponential", lambda rate, made=exponential: made())
        ds = pieces.DictDataset({"x_cont": x}, {"x_cont": pieces.TensorInfo(feat_shape=[n_in])})
        weight = nn.WeightFitter(n_out, weight_init_mode="std", weight_param="standard").fit(ds)
        np.testing.assert_allclose(weight.weight.detach().numpy(), net.parameters[2 * k], rtol=1e-5)
        z = weight(ds).tensors["x_cont"].detach()
        of_z = pieces.DictDataset({"x_cont": z}, {"x_cont": pieces.TensorInfo(feat_shape=[n_out])})
        bias = nn.BiasFitter(bias_init_mode="he+5").fit(of_z).bias.detach().numpy()[0]
        np.testing.assert_allclose(bias, net.parameters[2 * k + 1], rtol=1e-5, atol=1e-8)
        function = {"selu": torch.selu, "mish": torch.nn.functional.mish, "identity": lambda v: v}[layer.activation]
        x = function(z + torch.tensor(bias))
    assert base is not None


def test_in_trees_of_layers() -> None:
    """Residuals, concatenations, several inputs, embeddings, norms: each dense layer has its own part."""
    rng = np.random.default_rng(0)
    X = {"numbers": data(200, 4), "codes": rng.integers(0, 6, (200, 2))}
    layers = [
        schuss.Concatenate(
            [
                [schuss.Input("numbers", 4), schuss.Scale(4), schuss.Dense(4, 8, "relu")],
                [schuss.Input("codes", 2, dtype="int64"), schuss.Embedding(6, 3), schuss.Dense(6, 4, "tanh")],
            ]
        ),
        schuss.Residual([schuss.Dense(12, 20, "gelu"), schuss.BatchNorm(20), schuss.Dense(20, 12, "relu", bias=False)]),
        schuss.Dense(12, 2),
    ]
    net = schuss.Network(layers, seed=1, dtype="float64")
    net.named_states()["layers.1.layers.1.running_var"][...] = 2.0
    before = {name: array.copy() for name, array in net.named_parameters().items()}
    schuss.start_from_data(net, X)
    after = net.named_parameters()
    dense = [name for name, array in after.items() if not np.array_equal(array, before[name])]
    places = ["0.branches.0.2", "0.branches.1.2", "1.layers.0", "1.layers.2", "2"]
    expected = [f"layers.{place}.{name}" for place in places for name in ("weight", "bias")]
    assert sorted(dense) == sorted(set(expected) & set(after))
    # The last layer: all that comes before it has started already.
    zero = {name: array.copy() for name, array in after.items()}
    out = net.predict(X)
    assert len(dense) == 9
    np.testing.assert_allclose(out.std(axis=0), 1.0, rtol=1e-9)
    assert (np.sign(out.min(axis=0)) <= 0).all() and (np.sign(out.max(axis=0)) >= 0).all()
    schuss.start_from_data(net, X)  # again: the same, as deviations are 1 and draws are the same
    for name, array in net.named_parameters().items():
        np.testing.assert_allclose(array, zero[name], rtol=1e-9, atol=1e-12)


def test_with_the_factor_of_ntp() -> None:
    """Where Dense has it: the deviation is that of what the layer computes, whatever its factor."""
    if "parametrization" not in inspect.signature(schuss.Dense).parameters:
        pytest.skip("Dense has no parametrization")
    net = network(dtype="float64", parametrization="ntp")
    X = data()
    schuss.start_from_data(net, X)
    np.testing.assert_allclose(net.predict(X).std(axis=0), 1.0, rtol=1e-9)


def test_follows_from_the_seed_alone() -> None:
    X = data(5000)
    nets = [network(seed) for seed in (1, 1, 2)]
    for net, threads in zip(nets, (1, 2, 1), strict=True):
        with schuss.threads(threads):
            schuss.start_from_data(net, X)
    for a, b, c in zip(*(net.parameters for net in nets), strict=True):
        np.testing.assert_array_equal(a, b)
        assert not np.array_equal(a, c)


def test_draws() -> None:
    indices, shares = _combination(7, 0, 5, 4000, 1000)
    assert indices.min() >= 0 and indices.max() == 999
    np.testing.assert_allclose(indices.mean(), 499.5, rtol=0.02)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0, rtol=1e-12)
    # Of 5 exponential variables over their sum, a share has mean 1/5 and variance 4/150.
    np.testing.assert_allclose(shares.mean(), 0.2, rtol=1e-12)
    np.testing.assert_allclose(shares.var(), 4 / 150, rtol=0.05)
    assert not np.array_equal(indices, _combination(7, 1, 5, 4000, 1000)[0])


def test_what_may_stay() -> None:
    X = data()
    net, other = network(), network()
    schuss.start_from_data(net, X, rows=None)
    assert not any(array.any() for array in net.parameters[1::2])
    schuss.start_from_data(other, X, weights=False, rows=1)
    for mine, theirs in zip(other.parameters[::2], network().parameters[::2], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    z = values_before_ends(other, X)[0]
    nearest = np.abs(z + other.parameters[1]).min(axis=0)
    assert (nearest < 1e-3).all()  # the value of one row each
    zeros = network()
    zeros.parameters[0][:, 3] = 0.0
    schuss.start_from_data(zeros, X)
    assert not zeros.parameters[0][:, 3].any() and zeros.parameters[1][3] == 0.0
    assert all(np.isfinite(array).all() for array in zeros.parameters)
    one = network()
    schuss.start_from_data(one, X[:1])
    np.testing.assert_array_equal(one.parameters[0], network().parameters[0])
    assert np.isfinite(one.predict(X)).all()


def test_errors() -> None:
    net = network()
    before = [array.copy() for array in net.parameters]
    for X, options, error in (
        (data()[:, :4], {}, "X"),
        (np.full((3, 5), np.nan), {}, r"X\[0, 0\] is nan"),
        (np.array([[1e38] * 5, [-1e38] * 5, [3e38] * 5]), {}, "finite values in layers"),
        (data(), {"rows": 0}, "rows must be"),
        (data(), {"weights": 1}, "weights must be"),
        ("x", {}, "X"),
        (np.empty((0, 5)), {}, "X"),
    ):
        with pytest.raises((ValueError, TypeError), match=error):
            schuss.start_from_data(net, X, **options)
    for mine, theirs in zip(net.parameters, before, strict=True):
        np.testing.assert_array_equal(mine, theirs)

    def again(record: schuss.EpochRecord) -> None:
        schuss.start_from_data(record.network, data())

    with pytest.raises(RuntimeError, match="being fitted"):
        net.fit(data(), np.zeros((300, 3)), loss="mse", epochs=1, callbacks=[again])
