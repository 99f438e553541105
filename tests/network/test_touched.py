"""Steps of networks with tables by the rows alone that a batch touches: the bits of bare steps by `Rows`, for any
threads and instruction set, whatever the batch; and tables that several layers use."""

from __future__ import annotations

import copy
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import Dense, Embedding, Input, losses
from schuss.training.epochs import Epochs
from tests.reference.touched import gradient_of_codes

Array = NDArray[Any]
Levels = Callable[[], Iterator[str]]
SetThreads = Callable[[int], None]
RULES: dict[str, Callable[..., schuss.optim.Optimizer]] = {
    "sgd": lambda p, **k: schuss.SGD(p, lr=0.1, momentum=0.9, **k),
    "adagrad": lambda p, **k: schuss.AdaGrad(p, lr=0.1, **k),
    "adam": lambda p, **k: schuss.Adam(p, lr=0.01, **k),
    "ftrl": lambda p, **k: schuss.FTRL(p, lr=0.1, l1=0.01, **k),
}


def arrays_of(net: schuss.Network, opt: schuss.optim.Optimizer) -> list[Array]:
    """Parameters and states."""
    states = [array for of in opt._stepper.states for array in of if array is not None]
    return [array.copy() for array in (*net.parameters, *states)]


def assert_same(found: list[Array], expected: list[Array]) -> None:
    for mine, theirs in zip(found, expected, strict=True):
        assert_array_equal(mine, theirs)


def lists(table: int, dim: int, columns: int, dtype: str = "float32") -> schuss.Network:
    layers = [Input("codes", columns, dtype="int64"), Embedding(table, dim), Dense(1)]
    return schuss.Network(layers, seed=3, dtype=dtype)


def batches(table: int, columns: int, rows: int, steps: int, skewed: bool = False) -> list[tuple[Array, Array]]:
    rng = np.random.default_rng(rows + table)
    few = max(1, table // 10)
    codes = [rng.integers(0, few if skewed else table, (rows, columns)) for _ in range(steps)]
    return [(c, rng.normal(size=(rows, 1))) for c in codes]


def by_hand(
    net: schuss.Network, opt: schuss.optim.Optimizer, data: list[tuple[Array, Array]], **stages: Any
) -> list[Array]:
    """Steps by whole gradients, of which the table's is cut down to the rows that the codes name."""
    for x, y in data:
        net.loss_and_gradients(x, y, "mse")
        rows = np.unique(x)
        grads = [schuss.Rows(rows, net.gradients[0][rows]), *net.gradients[1:]]
        opt.step(grads, **stages)
    return arrays_of(net, opt)


SHAPES = [(50, 1, 1, 7), (50, 3, 4, 64), (300, 16, 2, 300), (20, 33, 3, 1000), (3, 5, 1, 1500)]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("table", "dim", "columns", "rows"), SHAPES)
def test_lazy_steps_are_steps_by_rows(
    rule: str, dtype: str, table: int, dim: int, columns: int, rows: int, set_threads: SetThreads
) -> None:
    data = batches(table, columns, rows, 4, skewed=rows % 2 == 0)
    net = lists(table, dim, columns, dtype)
    expected = by_hand(net, RULES[rule](net.parameters), data)
    for threads in (1, 2, 3):
        set_threads(threads)
        net = lists(table, dim, columns, dtype)
        opt = RULES[rule](net.parameters, rows="lazy")
        for x, y in data:
            net.train_step(x, y, "mse", opt)
        assert_same(arrays_of(net, opt), expected)
        # And at birth, as an epoch makes them.
        net = lists(table, dim, columns, dtype)
        opt = RULES[rule](net.parameters, rows="lazy")
        x, y = np.concatenate([x for x, _ in data]), np.concatenate([y for _, y in data])
        net.fit(x, y, loss="mse", optimizer=opt, epochs=1, batch_size=rows, shuffle=False)
        assert_same(arrays_of(net, opt), expected)


def test_lazy_steps_have_the_same_bits_on_all_instruction_sets(each_isa: Levels, set_threads: SetThreads) -> None:
    data = batches(40, 3, 500, 3)
    found = []
    for _ in each_isa():
        for threads in (1, 3):
            set_threads(threads)
            net = schuss.Network([Input("codes", 3, dtype="int64"), Embedding(40, 5)], seed=1)
            opt = schuss.AdaGrad(net.parameters, lr=0.1, rows="lazy")
            for x, y in data:
                net.train_step(x, np.repeat(y, 15, axis=1), "mse", opt)
            found.append(arrays_of(net, opt))
    for other in found[1:]:
        assert_same(other, found[0])


@pytest.mark.parametrize(
    "stages", [{"clip_norm": 0.05}, {"clip_value": 0.001}, {"clip_norm": 0.05, "clip_value": 0.002}]
)
def test_limits_of_gradients(stages: dict[str, float], set_threads: SetThreads) -> None:
    data = batches(60, 3, 100, 4)
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        for fits in (False, True):
            net = lists(60, 8, 3)
            opt = schuss.Adam(net.parameters, rows="lazy")
            if fits:
                x, y = np.concatenate([x for x, _ in data]), np.concatenate([y for _, y in data])
                net.fit(x, y, loss="mse", optimizer=opt, epochs=1, batch_size=100, shuffle=False, **stages)
            else:
                for x, y in data:
                    net.train_step(x, y, "mse", opt, **stages)
            found.append(arrays_of(net, opt))
    for other in found[1:]:
        assert_same(other, found[0])
    net = lists(60, 8, 3)
    for mine, theirs in zip(found[0], by_hand(net, schuss.Adam(net.parameters), data, **stages), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_a_step_that_is_not_finite_changes_nothing() -> None:
    net = lists(60, 8, 3)
    opt = schuss.Adam(net.parameters, rows="lazy")
    x, y = batches(60, 3, 100, 1)[0]
    net.train_step(x, y, "mse", opt)
    net.parameters[0][x[7, 0]] = 1e30
    before = arrays_of(net, opt)
    with pytest.raises(schuss.DivergenceError):
        net.train_step(x, y, "mse", opt)
    assert_same(arrays_of(net, opt), before)


def test_a_loss_of_ones_own(set_threads: SetThreads) -> None:
    def squares(prediction: Array, target: Array) -> tuple[float, Array]:
        error = prediction - target
        return float((error**2).mean()), 2 * error / error.size

    data = batches(30, 3, 90, 3)
    x, y = np.concatenate([x for x, _ in data]), np.concatenate([y for _, y in data])
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        net = lists(30, 8, 3, "float64")
        opt = schuss.AdaGrad(net.parameters, lr=0.1, rows="lazy")
        net.fit(x, y, loss=squares, optimizer=opt, epochs=2, batch_size=30)
        found.append(arrays_of(net, opt))
    for other in found[1:]:
        assert_same(other, found[0])


def test_single_steps_with_a_loss_of_ones_own() -> None:
    def squares(prediction: Array, target: Array) -> tuple[float, Array]:
        error = prediction - target
        return float((error**2).mean()), 2 * error / error.size

    data = batches(30, 3, 20, 4)
    for rows in ("lazy", "exact"):
        found = []
        for loss in (squares, "mse"):
            net = lists(30, 8, 3, "float64")
            opt = schuss.Adam(net.parameters, rows=rows)
            for x, y in data:
                net.train_step(x, y, loss, opt)
            found.append(arrays_of(net, opt))
        for mine, theirs in zip(*found, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_a_penalty_is_refused() -> None:
    net = lists(30, 8, 3)
    opt = schuss.SGD(net.parameters, rows="lazy", lr=0.1)
    x, y = batches(30, 3, 20, 1)[0]
    with pytest.raises(ValueError, match="penalty is on whole arrays"):
        epochs(net, opt, (x,), y, 20, 1, penalty=(0, 0.1, 0.1))


def test_rows_that_no_batch_names_stay(tmp_path: Path) -> None:
    x, y = batches(1000, 2, 50, 1)[0]
    net = lists(1000, 8, 2)
    before = net.parameters[0].copy()
    net.fit(x, y, loss="mse", optimizer=schuss.Adam(net.parameters, rows="lazy"), epochs=3, batch_size=16)
    there = np.zeros(1000, bool)
    there[np.unique(x)] = True
    assert_array_equal(net.parameters[0][~there], before[~there])
    assert (net.parameters[0][there] != before[there]).any(axis=1).all()


def test_training_goes_on_from_a_file(tmp_path: Path) -> None:
    x, y = batches(100, 2, 200, 1)[0]
    nets = [lists(100, 8, 2) for _ in range(2)]
    nets[0].fit(x, y, loss="mse", optimizer=schuss.Adam(nets[0].parameters, rows="lazy"), epochs=4, batch_size=32)
    nets[1].fit(x, y, loss="mse", optimizer=schuss.Adam(nets[1].parameters, rows="lazy"), epochs=2, batch_size=32)
    nets[1].save(tmp_path / "net.npz")
    loaded = schuss.load(tmp_path / "net.npz")
    loaded.fit(x, y, loss="mse", epochs=2, batch_size=32)
    assert_same(list(loaded.parameters), list(nets[0].parameters))


def test_no_memory_grows_with_the_table() -> None:
    table, dim = 200_000, 16
    x, y = batches(table, 4, 256, 1)[0]
    net = lists(table, dim, 4)
    opt = schuss.AdaGrad(net.parameters, lr=0.1, rows="lazy")
    net.train_step(x, y, "mse", opt)
    tracemalloc.start()
    net.train_step(x[:128], y[:128], "mse", opt)
    net.train_step(np.concatenate([x, x]), np.concatenate([y, y]), "mse", opt)
    net.fit(x, y, loss="mse", optimizer=opt, epochs=1, batch_size=64, restore_on_divergence=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < table * dim * 4 / 8


# ---- the dense run's result ------------------------------------------------------------------------------------------

EXACT: dict[str, Callable[..., schuss.optim.Optimizer]] = {
    **RULES,
    "adamw": lambda p, **k: schuss.AdamW(p, lr=0.01, weight_decay=0.1, **k),
    "rmsprop": lambda p, **k: schuss.RMSProp(p, lr=0.01, momentum=0.5, **k),
    "lion": lambda p, **k: schuss.Lion(p, lr=0.01, weight_decay=0.1, **k),
    "scheduled": lambda p, **k: schuss.Adam(p, lr=schuss.schedules.Exponential(0.01, 0.9), **k),
}


@pytest.mark.parametrize("rule", EXACT)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exact_steps_are_dense_steps(rule: str, dtype: str, set_threads: SetThreads) -> None:
    table, dim, columns = 40, 5, 2
    data = batches(table, columns, 12, 9)
    x, y = np.concatenate([x for x, _ in data]), np.concatenate([y for _, y in data])
    net = lists(table, dim, columns, dtype)
    opt = EXACT[rule](net.parameters)
    for batch in data:
        net.train_step(*batch, "mse", opt)
    expected = arrays_of(net, opt)
    prediction = net.predict(x)
    for threads in (1, 2, 3):
        set_threads(threads)
        for fits in (False, True):
            net = lists(table, dim, columns, dtype)
            opt = EXACT[rule](net.parameters, rows="exact")
            if fits:
                net.fit(x, y, loss="mse", optimizer=opt, epochs=1, batch_size=12, shuffle=False)
            else:
                for batch in data:
                    net.train_step(*batch, "mse", opt)
            assert_array_equal(net.predict(x), prediction)
            assert_same(arrays_of(net, opt), expected)


def test_whoever_reads_a_network_finds_all_steps_made(tmp_path: Path) -> None:
    data = batches(40, 2, 6, 8)
    x = np.arange(40).reshape(20, 2)

    def trained(rows: str | None) -> tuple[schuss.Network, schuss.optim.Optimizer]:
        net = lists(40, 5, 2)
        opt = schuss.Adam(net.parameters, rows=rows)
        for batch in data:
            net.train_step(*batch, "mse", opt)
        net.optimizer = opt
        return net, opt

    dense, _ = trained(None)
    y = np.ones((20, 1))
    net, _ = trained("exact")
    assert_array_equal(net.predict(x), dense.predict(x))
    net, _ = trained("exact")
    assert net.evaluate(x, y, "mse") == dense.evaluate(x, y, "mse")
    net, _ = trained("exact")
    assert_same(list(net.parameters), list(dense.parameters))
    net, _ = trained("exact")
    assert_same(list(net.named_parameters().values()), list(dense.parameters))
    net, _ = trained("exact")
    assert net.loss_and_gradients(x, y, "mse") == dense.loss_and_gradients(x, y, "mse")
    net, _ = trained("exact")
    assert_array_equal(net.forward(x), dense.forward(x))
    net, _ = trained("exact")
    net.save(tmp_path / "net.npz")
    same = copy.deepcopy(trained("exact")[0])
    for found in (schuss.load(tmp_path / "net.npz"), same, net):
        assert_same(list(found.parameters), list(dense.parameters))
        for batch in data:
            dense_copy = copy.deepcopy(dense)
            assert found.optimizer is not None and dense_copy.optimizer is not None
            found.train_step(*batch, "mse", found.optimizer)
            dense_copy.train_step(*batch, "mse", dense_copy.optimizer)
            assert_same(list(found.parameters), list(dense_copy.parameters))
            break


def test_exact_fits_go_on_stop_early_and_are_restored() -> None:
    x, y = batches(40, 2, 60, 1)[0]
    found = []
    for rows in (None, "exact"):
        net = lists(40, 5, 2)
        opt = schuss.Adam(net.parameters, lr=0.05, rows=rows)
        net.fit(
            x, y, loss="mse", optimizer=opt, epochs=6, batch_size=7, validation_fraction=0.3,
            early_stopping=schuss.EarlyStopping(2), clip_value=0.01,
        )  # fmt: skip
        net.fit(x, y, loss="mse", optimizer=opt, epochs=2, batch_size=7)
        found.append(arrays_of(net, opt))
    assert_same(found[1], found[0])


@pytest.mark.parametrize("rows", ["lazy", "exact"])
@pytest.mark.parametrize("large", [False, True])
def test_after_a_divergence_all_is_as_at_the_start_of_the_epoch(rows: str, large: bool) -> None:
    table = 300_000 if large else 500
    dim = 64 if large else 4
    x, y = batches(500, 2, 300, 1)[0]
    net = lists(table, dim, 2)
    opt = schuss.Adam(net.parameters, rows=rows)
    net.fit(x, y, loss="mse", optimizer=opt, epochs=2, batch_size=32)
    before = arrays_of(net, opt)
    calls = []

    def fails(prediction: Array, target: Array) -> tuple[float, Array]:
        calls.append(1)
        error = prediction - target
        return float("nan") if len(calls) == 8 else float((error**2).mean()), 2 * error / error.size

    with pytest.raises(schuss.DivergenceError):
        net.fit(x, y, loss=fails, optimizer=opt, epochs=2, batch_size=32)
    assert_same(arrays_of(net, opt), before)
    assert opt.steps == 20


# ---- compressed rows -------------------------------------------------------------------------------------------------


def compressed(rows: int, columns: int, most: int, wide: bool, dtype: str, seed: int = 0) -> tuple[Array, Array, Array]:
    """Rows of 0 to `most` entries, some columns far more often than others."""
    rng = np.random.default_rng(seed)
    found = []
    for n in rng.integers(0, most + 1, rows):
        found.append(np.unique((columns * rng.random(n) ** 4).astype(np.int64)))
    start = np.concatenate([[0], np.cumsum([len(row) for row in found])]).astype(np.int64)
    indices = np.concatenate(found).astype(np.int64 if wide else np.int32)
    return start, indices, rng.normal(size=len(indices)).astype(dtype)


def wholly(x: tuple[Array, Array, Array], columns: int) -> Array:
    start, indices, data = x
    found = np.zeros((len(start) - 1, columns), data.dtype)
    for i in range(len(start) - 1):
        found[i, indices[start[i] : start[i + 1]]] = data[start[i] : start[i + 1]]
    return found


def epochs(
    net: schuss.Network, opt: schuss.optim.Optimizer, x: Any, y: Array, batch: int, n: int, **more: Any
) -> list[Array]:
    spec = losses.resolve("mse").spec
    steps = Epochs(net, opt, spec, (x, y.astype(net.dtype), None), batch, clip_value=0.0, clip_norm=0.0, **more)
    with steps.context:
        for _ in range(n):
            steps.run(net.seed)
            net.epochs_done += 1
    return arrays_of(net, opt)


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize(
    ("rows", "batch", "n_out"), [(200, 32, 1), (200, 200, 3), (60, 7, 40), (5000, 4999, 1), (9000, 9000, 5)]
)
def test_lazy_steps_of_compressed_rows(
    rows: int, batch: int, n_out: int, wide: bool, set_threads: SetThreads, each_fma_isa: Levels
) -> None:
    columns, dtype = 40, "float32" if rows < 6000 else "float64"
    x = compressed(rows, columns, 9, wide, dtype)
    y = np.random.default_rng(1).normal(size=(rows, n_out))

    def network(**options: Any) -> tuple[schuss.Network, schuss.optim.Optimizer]:
        net = schuss.Network([Dense(columns, n_out)], seed=5, dtype=dtype)
        return net, schuss.AdaGrad(net.parameters, lr=0.1, **options)

    # AdaGrad leaves what has no gradient where it is: the whole gradient gives the same.
    expected = epochs(*network(), x, y, batch, 2)
    for _ in each_fma_isa():
        for threads in (1, 2, 3):
            set_threads(threads)
            assert_same(epochs(*network(rows="lazy"), x, y, batch, 2), expected)
    assert_same(epochs(*network(), wholly(x, columns), y, batch, 2), expected)


def test_compressed_rows_of_a_layer_with_a_scale() -> None:
    x = compressed(300, 50, 9, False, "float32")
    y = np.random.default_rng(1).normal(size=(300, 4))
    found = []
    for options in ({}, {"rows": "lazy"}):
        net = schuss.Network([Dense(50, 6, "relu", parametrization="ntp"), Dense(4)], seed=5)
        found.append(epochs(net, schuss.AdaGrad(net.parameters, lr=0.1, **options), x, y, 64, 2))
    assert_same(found[1], found[0])


def test_compressed_rows_without_an_entry() -> None:
    x = np.zeros(9, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)
    net = schuss.Network([Dense(50, 2)], seed=5)
    before = net.parameters[0].copy()
    epochs(net, schuss.Adam(net.parameters, rows="lazy"), x, np.ones((8, 2)), 4, 2)
    assert_array_equal(net.parameters[0], before)
    assert (net.parameters[1] != 0).all()


# ---- sparse inputs ---------------------------------------------------------------------------------------------------


def bags(rows: int, columns: int, dtype: str = "float32") -> schuss.Bags:
    rng = np.random.default_rng(rows)
    codes = [rng.integers(0, columns, n) for n in rng.integers(0, 6, rows)]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in codes])])
    return schuss.Bags(np.concatenate(codes), offsets, weights=rng.normal(size=int(offsets[-1])).astype(dtype))


@pytest.mark.parametrize("mode", ["sum", "mean"])
@pytest.mark.parametrize("rows", ["lazy", "exact"])
def test_bags_of_embeddings(mode: str, rows: str, set_threads: SetThreads) -> None:
    x, y = bags(120, 30), np.random.default_rng(0).normal(size=(120, 1))
    steps = [slice(0, 50), slice(50, 53), slice(53, 120)]

    def network() -> schuss.Network:
        return schuss.Network([Input("x", 30, dtype="sparse"), schuss.EmbeddingBag(30, 5, mode), Dense(1)], seed=1)

    # AdaGrad leaves rows without a gradient where they are, and exact steps are dense ones: whole gradients do, too.
    rule = schuss.AdaGrad if rows == "lazy" else schuss.Adam
    net = network()
    opt = rule(net.parameters, lr=0.05)
    for part in steps:
        net.train_step(x[part], y[part], "mse", opt)
    expected = arrays_of(net, opt)
    for threads in (1, 2, 3):
        set_threads(threads)
        net = network()
        opt = rule(net.parameters, lr=0.05, rows=rows)
        for part in steps:
            net.train_step(x[part], y[part], "mse", opt)
        assert_same(arrays_of(net, opt), expected)
    found = []
    for asked in (None, rows):
        net = network()
        opt = rule(net.parameters, lr=0.05, rows=asked)
        net.fit(x, y, loss="mse", optimizer=opt, epochs=2, batch_size=17)
        found.append(arrays_of(net, opt))
    assert_same(found[1], found[0])


def test_a_bag_and_an_embedding_with_one_table(set_threads: SetThreads) -> None:
    rng = np.random.default_rng(0)
    seen, item, y = bags(90, 12, "float64"), rng.integers(0, 12, (90, 1)), rng.normal(size=(90, 1))

    def network() -> schuss.Network:
        branches = [
            [Input("seen", 12, dtype="sparse"), schuss.EmbeddingBag(12, 5, "mean", table="items")],
            [Input("item", 1, dtype="int64"), Embedding(12, 5, table="items")],
        ]
        return schuss.Network([schuss.Concatenate(branches), Dense(4, "tanh"), Dense(1)], seed=1, dtype="float64")

    net = network()
    net.loss_and_gradients((seen, item), y, "mse")
    analytic = net.gradients[0].copy()
    for place in [(0, 0), (4, 2), (11, 4)]:
        w, eps = net.parameters[0], 1e-6
        values = []
        for step in (eps, -eps):
            w[place] += step
            values.append(net.evaluate((seen, item), y, "mse")["loss"])
            w[place] -= step
        assert np.isclose((values[0] - values[1]) / (2 * eps), analytic[place], rtol=1e-6, atol=1e-9)
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        for rows in (None, "exact"):
            net = network()
            opt = schuss.Adam(net.parameters, lr=0.05, rows=rows)
            net.fit((seen, item), y, loss="mse", optimizer=opt, epochs=3, batch_size=17)
            found.append(arrays_of(net, opt))
    for other in found[1:]:
        assert_same(other, found[0])


# ---- one table for several layers ------------------------------------------------------------------------------------


def towers(table: int = 30, dim: int = 4, dtype: str = "float32", **options: Any) -> schuss.Network:
    layers = [
        schuss.Concatenate(
            [
                [Input("seen", 5, dtype="int64"), Embedding(table, dim, table="items", **options)],
                [Input("other", 2, dtype="int64"), Embedding(7, 3)],
                [Input("item", 1, dtype="int64"), Embedding(table, dim, table="items", **options)],
            ]
        ),
        Dense(6, "tanh"),
        Dense(1),
    ]
    return schuss.Network(layers, seed=2, dtype=dtype)


def of_towers(rows: int, steps: int, table: int = 30) -> list[tuple[tuple[Array, ...], Array]]:
    rng = np.random.default_rng(rows)
    return [
        (
            (rng.integers(0, table, (rows, 5)), rng.integers(0, 7, (rows, 2)), rng.integers(0, table, (rows, 1))),
            rng.normal(size=(rows, 1)),
        )
        for _ in range(steps)
    ]


def test_layers_of_one_table_have_one_parameter(tmp_path: Path) -> None:
    net = towers()
    assert list(net.named_parameters()) == [
        "layers.0.branches.0.1.weight",
        "layers.0.branches.1.1.weight",
        "layers.1.weight",
        "layers.1.bias",
        "layers.2.weight",
        "layers.2.bias",
    ]
    assert net.n_parameters == 30 * 4 + 21 + 30 * 6 + 6 + 7
    assert f"{net.n_parameters:,}" in net.summary()
    assert net.summary().count(" 120") == 1
    (seen, other, item), _ = of_towers(3, 1)[0]
    w = net.parameters[0]
    only = schuss.Network([Input("item", 1, dtype="int64"), Embedding(30, 4, table="items")], seed=2)
    assert_array_equal(only.predict(item), only.parameters[0][item[:, 0]])
    before = net.predict((seen, other, item))
    w[item[0, 0]] += 1
    assert net.predict((seen, other, item))[0] != before[0]
    net.save(tmp_path / "net.npz")
    for same in (schuss.load(tmp_path / "net.npz"), copy.deepcopy(net)):
        assert same.layers == net.layers
        assert_array_equal(same.predict((seen, other, item)), net.predict((seen, other, item)))
        assert_same(list(same.parameters), list(net.parameters))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_of_a_shared_table_is_the_sum_in_order(
    dtype: str, set_threads: SetThreads, each_isa: Levels
) -> None:
    (seen, _, item), _ = of_towers(700, 1, 8)[0]
    layers = [
        schuss.Concatenate(
            [
                [Input("seen", 5, dtype="int64"), Embedding(8, 3, table="items")],
                [Input("item", 1, dtype="int64"), Embedding(8, 3, table="items")],
            ]
        )
    ]
    dout = np.random.default_rng(0).normal(size=(700, 18)).astype(dtype)
    expected = gradient_of_codes([(seen, dout[:, :15]), (item, dout[:, 15:])], 8, 3)
    for _ in each_isa():
        for threads in (1, 2, 3):
            set_threads(threads)
            net = schuss.Network(layers, seed=0, dtype=dtype)
            for _ in range(2):
                net.forward((seen, item))
                net.backward(dout)
                assert_array_equal(net.gradients[0], expected)


@pytest.mark.parametrize("rows", [None, "lazy"])
def test_steps_of_a_shared_table(rows: str | None, set_threads: SetThreads) -> None:
    data = of_towers(100, 4)
    net = towers()
    opt = schuss.Adam(net.parameters)
    for x, y in data:
        net.loss_and_gradients(x, y, "mse")
        grads: list[Any] = list(net.gradients)
        if rows is not None:
            named = np.unique(np.concatenate([x[0].ravel(), x[2].ravel()]))
            others = np.unique(x[1])
            grads[:2] = [schuss.Rows(named, grads[0][named]), schuss.Rows(others, grads[1][others])]
        opt.step(grads)
    expected = arrays_of(net, opt)
    for threads in (1, 2, 3):
        set_threads(threads)
        for fits in (False, True):
            net = towers()
            opt = schuss.Adam(net.parameters, **({} if rows is None else {"rows": rows}))
            if fits:
                x = tuple(np.concatenate([x[k] for x, _ in data]) for k in range(3))
                y = np.concatenate([y for _, y in data])
                net.fit(x, y, loss="mse", optimizer=opt, epochs=1, batch_size=100, shuffle=False)
            else:
                for x, y in data:
                    net.train_step(x, y, "mse", opt)
            assert_same(arrays_of(net, opt), expected)


def test_tables_that_do_not_fit_are_refused() -> None:
    def of(first: Embedding, second: Embedding) -> None:
        branches = [[Input("a", 1, dtype="int64"), first], [Input("b", 1, dtype="int64"), second]]
        schuss.Network([schuss.Concatenate(branches)])

    for second in (
        Embedding(9, 4, table="t"),
        Embedding(8, 5, table="t"),
        Embedding(8, 4, table="t", std=0.5),
    ):
        with pytest.raises(ValueError, match=r"must have the n, dim and std of .*branches.0..1., whose table 't'"):
            of(Embedding(8, 4, table="t"), second)
    of(Embedding(8, 4, table="t"), Embedding(9, 4, table="u"))
    for wrong in ("", 3):
        with pytest.raises(TypeError, match="table must be a name, or None"):
            Embedding(8, 4, table=wrong)  # type: ignore[arg-type]


def test_one_input_read_twice_by_one_table() -> None:
    layers = [
        schuss.Concatenate(
            [
                [Input("a", 2, dtype="int64"), Embedding(9, 3, table="t"), Dense(4, "tanh")],
                [Input("a", 2, dtype="int64"), Embedding(9, 3, table="t")],
            ]
        ),
        Dense(1),
    ]
    net = schuss.Network(layers, seed=0, dtype="float64")
    x, y = np.random.default_rng(0).integers(0, 9, (40, 2)), np.ones((40, 1))
    net.loss_and_gradients(x, y, "mse")
    analytic = net.gradients[0].copy()
    for place in [(0, 0), (4, 2), (8, 1)]:
        w, eps = net.parameters[0], 1e-6
        values = []
        for step in (eps, -eps):
            w[place] += step
            values.append(net.evaluate(x, y, "mse")["loss"])
            w[place] -= step
        assert np.isclose((values[0] - values[1]) / (2 * eps), analytic[place], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(("before", "after"), [("exact", None), ("lazy", None), (None, "lazy"), ("lazy", "exact")])
def test_rows_that_change_during_a_fit_are_refused(before: str | None, after: str | None) -> None:
    """What gradients are summed by is decided when a fit begins."""
    net = lists(50, 3, 2)
    opt = schuss.Adam(net.parameters, rows=before)
    codes = np.arange(32).reshape(16, 2)

    def change(_: object) -> None:
        opt.param_groups[0]["rows"] = after

    with pytest.raises(ValueError, match="'rows' has been changed during a fit"):
        net.fit(codes, np.zeros((16, 1)), loss="mse", optimizer=opt, epochs=3, batch_size=8, callbacks=[change])
    assert net.epochs_done == 1
    net.fit(codes, np.zeros((16, 1)), loss="mse", optimizer=opt, epochs=1, batch_size=8)


@pytest.mark.parametrize("before", [None, "lazy"])
def test_rows_that_change_between_steps(before: str | None) -> None:
    """From the change on all is as for an optimizer that had the parameters and states then."""
    changed, fresh = lists(40, 3, 2), lists(40, 3, 2)
    opt = schuss.Adam(changed.parameters, lr=0.01, rows=before)
    steps = batches(40, 2, 6, 12)
    for codes, y in steps[:4]:
        changed.train_step(codes, y, "mse", opt)
    for mine, theirs in zip(fresh.parameters, changed.parameters, strict=True):
        mine[...] = theirs
    dense = schuss.Adam(fresh.parameters, lr=0.01)
    state = opt.state_dict()
    for group in state["param_groups"]:
        group.pop("rows", None)
    dense.load_state_dict(state)
    opt.param_groups[0]["rows"] = "exact"
    for codes, y in steps[4:]:
        changed.train_step(codes, y, "mse", opt)
        fresh.train_step(codes, y, "mse", dense)
    assert_same(arrays_of(changed, opt), arrays_of(fresh, dense))
