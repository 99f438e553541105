"""Networks of all kinds of layers have the same bits for any threads and instruction set, in pieces, and by hand."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal, assert_equal
from numpy.typing import NDArray

import schuss
from schuss import (
    Activation,
    BatchNorm,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    Flatten,
    GroupedDense,
    Input,
    LayerNorm,
    MaxPool,
    Periodic,
    Residual,
    Scale,
    _core,
)
from tests.layers.trees import Tree, trees

Array = NDArray[Any]
Levels = Callable[[], Iterator[str]]
SetThreads = Callable[[int], None]
THREADS = (1, 2, 3)


def mixed(n: int, table: int) -> list[schuss.layers.Layer]:
    """All kinds."""
    block = Residual([LayerNorm(eps=0.1), Dense(n + 3, "gelu", dropout=0.2), Dense(n)])
    branches = [
        [Input("numbers", 7), Scale()],
        [Input("codes", 3, dtype="int64"), Embedding(table, 5)],
        [Input("numbers", 7), Dense(11, "relu", bias=False), BatchNorm()],
    ]
    return [
        Concatenate(branches),
        Dense(n),
        BatchNorm(),
        Activation("silu", dropout=0.1),
        block,
        Concatenate([[], [Residual([Scale(), BatchNorm(), Activation("tanh")]), Dense(9)], block]),
        Dense(4),
    ]


# Up to 64 KiB of weights in each layer a team shares the rows; above, each layer's columns.
NETS: dict[str, list[schuss.layers.Layer]] = {
    "small": mixed(13, 20),
    "wide": mixed(180, 1000),
    "norms first": [BatchNorm(7), Dense(40), LayerNorm(), Activation("relu"), Dense(4)],
    "columns behind columns": [Dense(7, 300), BatchNorm(), Residual([Dense(300, "relu"), BatchNorm()]), Dense(4)],
    "residuals on the input": [Residual([Dense(7, 150, "tanh"), Dense(7)]), Residual([Scale()]), LayerNorm(), Dense(4)],
    "last is a join": [
        Dense(7, 8),
        Concatenate([Dense(2, "tanh"), [BatchNorm(), Dense(1)], [Dense(1, "relu", dropout=0.3)]]),
    ],
    "groups": [
        Residual([GroupedDense(7, 1, 9, "relu"), Dense(300), GroupedDense(3, 100, 45, "gelu", dropout=0.2), Dense(7)]),
        GroupedDense(1, 7, 4),
    ],
    "waves": [
        Concatenate([Input("x", 7), [Input("x", 7), Periodic(16, 0.2), GroupedDense(7, None, 3)]]),
        Dense(300, "mish"),
        Dense(5),
        Periodic(5, 0.3, form="cos_sin"),
        Dense(4),
    ],
    "ntp": [
        Residual([Dense(7, 300, "mish", parametrization="ntp"), Dense(7, parametrization="ntp")]),
        Concatenate([[], Dense(290, "relu", parametrization="ntp", dropout=0.2)]),
        Residual([Dense(600, "gelu", parametrization="ntp"), Dense(297, parametrization="ntp")]),
        Dense(4, parametrization="ntp", bias_std=0.1),
    ],
    "series": [
        Conv1D(20, 3, "relu", padding="causal", input_shape=(7, 1)),
        Residual([Conv1D(20, 4, "gelu", padding="same", dilation=2, dropout=0.2)]),
        Conv1D(3, 2, stride=2),
        Flatten(),
        Dense(4),
    ],
    "images": [
        Conv2D(33, 3, "relu", padding="same", input_shape=(5, 6, 2)),
        Conv2D(70, (2, 3), "tanh", padding=1, stride=2),
        MaxPool(2, 1),
        Conv2D(5, 2, "relu", bias=False),
        Flatten(),
        Dense(4),
    ],
    "one channel": [
        Conv2D(8, 5, "relu", dropout=0.2, input_shape=(7, 20, 1)),
        Conv2D(3, 3, "relu", stride=(1, 2), padding=(0, 1)),
        Flatten(),
        Dense(4),
    ],
    "small images": [
        Conv2D(6, 3, "relu", padding="same", dropout=0.2, input_shape=(4, 4, 1)),
        Residual([Conv2D(6, 3, padding=1), BatchNorm(), Activation("relu"), Conv2D(6, 2, "silu", padding="same")]),
        Concatenate([[], Conv2D(3, 1, "tanh"), Conv2D(4, 3, "relu", padding="same", dilation=2)]),
        Residual(Conv2D(13, 3, "relu", padding="same", dropout=0.3)),
        Conv2D(20, 3, "relu", stride=(2, 1), padding=((3, 0), (0, 1))),
        Flatten(),
        Dense(4),
    ],
    "last adds": [Dense(7, 4), Residual([Dense(200, "relu"), Dense(90), Dense(4, "tanh", dropout=0.2)])],
}
nets = pytest.mark.parametrize("name", list(NETS))
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def make(name: str, dtype: str) -> schuss.Network:
    return schuss.Network(NETS[name], seed=11, dtype=dtype)


def data(net: schuss.Network, rows: int = 150) -> tuple[Any, Array]:
    rng = np.random.default_rng(4)
    x = {
        put.name: rng.integers(0, 20, (rows, *put.row_shape))
        if put.codes
        else rng.normal(size=(rows, *put.row_shape)).astype(net.dtype)
        for put in net.inputs
    }
    return x if len(x) > 1 else x["x"], rng.integers(0, 4, rows)


def optimizer(kind: str, net: schuss.Network) -> schuss.Optimizer:
    if kind == "sgd":
        return schuss.SGD(net.parameters, lr=1e-3, momentum=0.5)
    return schuss.Adam(net.parameters, lr=0.01)


def assert_same(net: schuss.Network, wanted: schuss.Network, what: Any = "") -> None:
    for ours, theirs in (
        (net.named_parameters(), wanted.named_parameters()),
        (net.named_states(), wanted.named_states()),
    ):
        for name, array in ours.items():
            assert_array_equal(array, theirs[name], err_msg=f"{name} {what}")
    if net.optimizer is not None and wanted.optimizer is not None:
        assert_equal(net.optimizer.state_dict(), wanted.optimizer.state_dict())


def fit(net: schuss.Network, epochs: int = 2, kind: str = "adam", rows: int = 150, **options: Any) -> schuss.Network:
    x, y = data(net, rows)
    opt = net.optimizer or optimizer(kind, net)
    net.fit(x, y, loss="cross_entropy", optimizer=opt, epochs=epochs, **{"batch_size": 32, **options})
    return net


@nets
@dtypes
def test_threads_and_instruction_sets(name: str, dtype: str, each_fma_isa: Levels, set_threads: SetThreads) -> None:
    """Training, predictions, gradients by inputs; the last batch is shorter."""
    first: Any = None
    for level in each_fma_isa():
        for threads in THREADS:
            set_threads(threads)
            net = fit(make(name, dtype))
            x, y = data(net)
            prediction = net.predict(x)
            loss = net.evaluate(x, y, "cross_entropy")["loss"]
            value = net.forward(x)
            by_inputs = net.backward(np.cos(value))
            found = [prediction, value, *(by_inputs if isinstance(by_inputs, tuple) else (by_inputs,)), *net.gradients]
            found = [None if a is None else a.copy() for a in found]
            if first is None:
                assert np.isfinite(loss)
                first = net, loss, found
            assert_same(net, first[0], (level, threads))
            assert loss == first[1]
            for k, (a, b) in enumerate(zip(found, first[2], strict=True)):
                assert_array_equal(a, b, err_msg=f"{k} {level} {threads}")  # type: ignore[arg-type]
    if first is None:
        pytest.skip("no instruction set with fused multiply-add")


@nets
def test_threads_on_baseline(name: str, keep_isa: None, set_threads: SetThreads) -> None:
    _core.use_isa(_core.isa_levels()[0])
    found = []
    for threads in THREADS:
        set_threads(threads)
        found.append(fit(make(name, "float32"), 1))
    for net in found[1:]:
        assert_same(net, found[0])


@nets
@dtypes
@pytest.mark.parametrize("kind", ["sgd", "adam"])
@pytest.mark.parametrize("batch", [1, 33, 150])
def test_fit_is_its_steps(name: str, dtype: str, kind: str, batch: int, set_threads: SetThreads) -> None:
    """Updates where gradients are born are those of gradients and a step; so is `train_step`."""
    count = 30 if batch == 1 else 150
    for threads in THREADS:
        set_threads(threads)
        fused, by_hand, stepwise = (make(name, dtype) for _ in range(3))
        fit(fused, 1, kind, count, batch_size=batch)
        opt, step_opt = optimizer(kind, by_hand), optimizer(kind, stepwise)
        x, y = data(by_hand, count)
        order = np.arange(len(y)) if batch == len(y) else _core.permutation(len(y), fused.seed, 0)
        for start in range(0, len(y), batch):
            rows = order[start : start + batch]
            part = {key: a[rows] for key, a in x.items()} if isinstance(x, dict) else x[rows]
            loss = by_hand.loss_and_gradients(part, y[rows], "cross_entropy")
            opt.step(by_hand.gradients)
            assert stepwise.train_step(part, y[rows], "cross_entropy", step_opt) == loss
        by_hand.optimizer, stepwise.optimizer = opt, step_opt
        assert_same(fused, by_hand, threads)
        assert_same(stepwise, by_hand, threads)


@nets
@dtypes
@pytest.mark.parametrize("way", [".npz", ".safetensors", "deepcopy", "pickle"])
def test_resumed(name: str, dtype: str, way: str, tmp_path: Path) -> None:
    """Two epochs, moved to a new object, two more: as four."""
    if way == ".safetensors":
        pytest.importorskip("safetensors")
    whole, part = fit(make(name, dtype), 4), fit(make(name, dtype), 2)
    if way.startswith("."):
        part.save(tmp_path / f"net{way}")
        again = schuss.load(tmp_path / f"net{way}")
    else:
        again = copy.deepcopy(part) if way == "deepcopy" else pickle.loads(pickle.dumps(part))
    assert again.layers == part.layers
    assert again.inputs == part.inputs
    assert_same(again, part)
    fit(again, 2)
    assert_same(again, whole)
    assert_array_equal(again.history["loss"], whole.history["loss"])
    assert_same(part, fit(make(name, dtype), 2))  # which stayed as it was


@nets
def test_memory_order(name: str) -> None:
    """Rows that lie apart, backwards, or in another order of memory or bytes, are the same data."""
    wanted = fit(make(name, "float32"), 1)
    x, y = data(wanted)

    def spread(a: Array) -> Array:
        return np.repeat(a, 2, axis=0)[::2]

    def swapped(a: Array) -> Array:
        return a.astype(a.dtype.newbyteorder())

    for change in (np.asfortranarray, spread, swapped, lambda a: a[::-1].copy()[::-1], lambda a: a.tolist()):
        net = make(name, "float32")
        given = {key: change(a) for key, a in x.items()} if isinstance(x, dict) else change(x)
        net.fit(given, y, loss="cross_entropy", optimizer=optimizer("adam", net), epochs=1)
        assert_same(net, wanted)
        assert_array_equal(net.predict(given), wanted.predict(x))


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    tree=trees(softmax=False),
    rows=st.sampled_from([5, 32, 70]),
    batch=st.sampled_from([1, 7, 32]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_drawn_trees(
    tree: Tree, rows: int, batch: int, dtype: str, each_fma_isa: Levels, set_threads: SetThreads
) -> None:
    found: list[tuple[schuss.Network, Array]] = []
    for _ in each_fma_isa():
        for threads in THREADS:
            set_threads(threads)
            net = tree.network(dtype)
            assume(net.parameters)
            x = tree.data(net, rows)
            y = np.random.default_rng(tree.seed).normal(size=(rows, net.n_out))
            net.fit(x, y, loss="huber", optimizer="sgd", lr=1e-3, epochs=2, batch_size=batch, clip_value=1.0)
            found.append((net, net.predict(x)))
    for net, prediction in found[1:]:
        assert_same(net, found[0][0])
        assert_array_equal(prediction, found[0][1])
