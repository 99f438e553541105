"""Networks of ensemble layers against the tabm package: forward, gradients, starts, some steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

import schuss
from schuss import EnsembleDense, MeanOfMembers

tabm: Any = pytest.importorskip("tabm")
torch: Any = pytest.importorskip("torch")
Array = NDArray[Any]

K, N_IN, WIDTH, BLOCKS = 8, 11, 40, 3


def ours(n_out: int, activation: str, dtype: str, dropout: float = 0.0) -> schuss.Network:
    first = EnsembleDense(
        WIDTH, "relu", members=K, n_in=N_IN, shares_input=True, start="signs", dropout=dropout, start_groups=(1, 5, 5)
    )
    hidden = [EnsembleDense(WIDTH, "relu", members=K, dropout=dropout) for _ in range(BLOCKS - 1)]
    return schuss.Network(
        [first, *hidden, EnsembleDense(n_out, members=K), MeanOfMembers(K, activation)], seed=3, dtype=dtype
    )


def theirs(n_out: int, dtype: Any) -> Any:
    """The layers of TabM with a batch ensemble's layer as its head, as ours."""
    body = tabm.MLPBackboneBatchEnsemble(
        d_in=N_IN,
        n_blocks=BLOCKS,
        d_block=WIDTH,
        dropout=0.0,
        k=K,
        tabm_init=True,
        scaling_init="random-signs",
        start_scaling_init_chunks=[1, 5, 5],
    )
    head = tabm.LinearBatchEnsemble(WIDTH, n_out, k=K, scaling_init="ones")
    return torch.nn.Sequential(tabm.EnsembleView(k=K), body, head).to(dtype)


def give(net: schuss.Network, model: Any) -> list[tuple[str, Any]]:
    """Their parameters become ours; returns theirs by our names."""
    layers = [block[0] for block in model[1].blocks] + [model[2]]
    pairs = []
    rng = np.random.default_rng(0)
    for i, layer in enumerate(layers):
        for name in ("weight", "r", "s", "bias"):
            tensor = getattr(layer, name)
            with torch.no_grad():
                if name in ("r", "s"):  # others than ones
                    tensor.copy_(torch.as_tensor(rng.normal(size=tuple(tensor.shape)), dtype=tensor.dtype))
                array = tensor.numpy().T if name == "weight" else tensor.numpy()
            net.named_parameters()[f"layers.{i}.{name}"][...] = array
            pairs.append((f"layers.{i}.{name}", tensor))
    return pairs


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("classifies", [False, True])
def test_forward_and_gradients(dtype: str, classifies: bool) -> None:
    n_out = 3 if classifies else 1
    tolerance = 1e-5 if dtype == "float32" else 1e-11
    net = ours(n_out, "softmax" if classifies else "identity", dtype)
    model = theirs(n_out, getattr(torch, dtype))
    pairs = give(net, model)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(37, N_IN)).astype(dtype)
    y = rng.integers(0, 3, 37) if classifies else rng.normal(size=(37, 1)).astype(dtype)

    out = model(torch.from_numpy(x))  # (rows, k, n_out)
    assert_allclose(
        net.forward(x).reshape(out.shape),
        (out.softmax(-1) if classifies else out).detach().numpy(),
        rtol=tolerance,
        atol=tolerance,
    )
    mean = (out.softmax(-1) if classifies else out).mean(1).detach().numpy()
    assert_allclose(net.predict(x), mean, rtol=tolerance, atol=tolerance)

    flat, target = out.flatten(0, 1), torch.from_numpy(y).repeat_interleave(K, 0)
    loss = torch.nn.functional.cross_entropy(flat, target) if classifies else ((flat - target) ** 2).mean()
    loss.backward()
    value = net.loss_and_gradients(x, y, "cross_entropy" if classifies else "mse")
    assert abs(value - loss.item()) <= tolerance * max(1, abs(value))
    gradients = dict(zip(net.named_parameters(), net.gradients, strict=True))
    for name, tensor in pairs:
        wanted = tensor.grad.numpy().T if name.endswith("weight") else tensor.grad.numpy()
        size = max(1.0, float(np.abs(wanted).max()))
        assert np.abs(gradients[name] - wanted).max() <= tolerance * size, name


def test_starts() -> None:
    """Theirs and ours have the same form: which draws are shared, and how large they are."""
    net, model = ours(2, "identity", "float32").named_parameters(), theirs(2, torch.float32)
    layers = [block[0] for block in model[1].blocks] + [model[2]]
    for i, layer in enumerate(layers):
        for arrays in (
            {name: getattr(layer, name).detach().numpy() for name in ("weight", "r", "s", "bias")},
            {name: net[f"layers.{i}.{name}"] for name in ("weight", "r", "s", "bias")},
        ):
            n_in = arrays["r"].shape[1]
            assert (arrays["s"] == 1).all()
            assert (arrays["bias"] == arrays["bias"][0]).all()
            assert len(np.unique(arrays["bias"])) == arrays["bias"].shape[1]
            for name in ("weight", "bias"):
                assert np.abs(arrays[name]).max() <= n_in**-0.5
            assert np.abs(arrays["weight"]).max() > 0.8 * n_in**-0.5
            if i == 0:
                assert set(np.unique(arrays["r"])) == {-1.0, 1.0}
                for start, stop in ((1, 6), (6, 11)):
                    assert (arrays["r"][:, start:stop] == arrays["r"][:, start : start + 1]).all()
            else:
                assert (arrays["r"] == 1).all()


def test_training_follows_theirs() -> None:
    """Some steps of AdamW from the same start, without dropout: the same losses."""
    net = ours(1, "identity", "float64")
    model = theirs(1, torch.float64)
    give(net, model)
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(64, N_IN)), rng.normal(size=(64, 1))
    mine = schuss.AdamW(net.parameters, lr=2e-3, weight_decay=3e-4)
    other = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=3e-4)
    for _ in range(5):
        other.zero_grad()
        out = model(torch.from_numpy(x))
        loss = ((out - torch.from_numpy(y)[:, None]) ** 2).mean()
        loss.backward()
        other.step()
        assert abs(net.train_step(x, y, "mse", mine) - loss.item()) < 1e-9
