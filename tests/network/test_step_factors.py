"""Weight decay and dropout that change from step to step, in a fit and in loops of one's own."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import schedules as s

ROWS, BATCH, EPOCHS = 90, 20, 4
STEPS = EPOCHS * 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(ROWS, 6)).astype(np.float32)
Y = RNG.integers(0, 3, ROWS)
DECAY = 3.0 * s.FlatCos(0.3, STEPS)
DROPOUT = s.FlatCos(1.0, STEPS)
FIT: dict[str, Any] = {"loss": "cross_entropy", "batch_size": BATCH}


def network(dropout: float = 0.3, dtype: str = "float32") -> schuss.Network:
    layers = [schuss.Dense(6, 16, "relu", dropout=dropout), schuss.Dense(16, 12, "tanh", dropout=dropout / 3)]
    return schuss.Network([*layers, schuss.Dense(12, 3)], seed=5, dtype=dtype)


def adamw(net: schuss.Network, **options: Any) -> schuss.Optimizer:
    groups = net.parameter_groups({"*.bias": {"weight_decay": 0.0, "lr_factor": 0.1}})
    return schuss.AdamW(groups, **{"lr": s.CosLog(0.02, STEPS), "weight_decay": DECAY, **options})


def assert_same(a: schuss.Network, b: schuss.Network) -> None:
    for mine, theirs in zip(a.parameters, b.parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def by_hand(net: schuss.Network, epochs: int, optimizer: Any, **options: Callable[[int], float]) -> None:
    """The same epochs, with a new order of rows each, by steps of train_step."""
    from schuss import _core

    for epoch in range(epochs):
        order = _core.permutation(ROWS, net.seed, epoch)
        for first in range(0, ROWS, BATCH):
            rows = order[first : first + BATCH]
            given = {name: value(optimizer.steps) for name, value in options.items()}
            net.train_step(X[rows], Y[rows], "cross_entropy", optimizer, **given)


# -- weight decay ------------------------------------------------------------------------------------------------------


def test_a_decay_that_is_a_schedule() -> None:
    """In single steps: those with the number of each step."""
    x, same = np.ones(5), np.ones(5)
    optimizer = schuss.AdamW(x, lr=0.1, weight_decay=DECAY)
    plain = schuss.AdamW(same, lr=0.1)
    assert optimizer.param_groups[0]["weight_decay"] == DECAY(0)
    assert optimizer.param_groups[0]["decay_schedule"] == DECAY
    for step in range(STEPS + 3):
        plain.param_groups[0]["weight_decay"] = DECAY(step)
        for of in (optimizer, plain):
            of.step(np.arange(5.0))
        assert optimizer.param_groups[0]["weight_decay"] == DECAY(step)
        np.testing.assert_array_equal(x, same)
    optimizer.step(np.arange(5.0), lr=0.0)  # the step's own rate, and the schedule's decay
    assert optimizer.param_groups[0]["weight_decay"] == DECAY(STEPS + 3)
    del optimizer.param_groups[0]["decay_schedule"]
    optimizer.param_groups[0]["weight_decay"] = 0.5
    optimizer.step(np.arange(5.0))
    assert optimizer.param_groups[0]["weight_decay"] == 0.5


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "lion", "lamb", "adafactor", "muon", "soap", "adan", "lars"])
def test_fit_is_steps_of_train_step(name: str) -> None:
    whole, stepped = network(), network()
    kind = schuss.optim.by_name(name)
    shared: dict[str, Any] = {"lr": s.Cosine(0.01, STEPS), "weight_decay": DECAY}
    options = {"adamw": shared} if name == "muon" else {}
    optimizers = [kind(net.parameters, **shared, **options) for net in (whole, stepped)]
    whole.fit(X, Y, optimizer=optimizers[0], epochs=EPOCHS, dropout_factor=DROPOUT, **FIT)
    by_hand(stepped, EPOCHS, optimizers[1], dropout_factor=DROPOUT)
    for mine, theirs in zip(whole.parameters, stepped.parameters, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    for mine, theirs in zip(optimizers[0].param_groups, optimizers[1].param_groups, strict=True):
        assert mine["weight_decay"] == theirs["weight_decay"]
        assert mine["lr"] == theirs["lr"]


def test_constant_schedules_change_no_bit() -> None:
    plain, scheduled = network(), network()
    plain.fit(X, Y, optimizer=adamw(plain, weight_decay=0.1), epochs=3, **FIT)
    scheduled.fit(
        X, Y, optimizer=adamw(scheduled, weight_decay=s.Constant(0.1)), epochs=3, dropout_factor=lambda step: 1.0, **FIT
    )
    assert_same(plain, scheduled)


def test_groups_have_their_own() -> None:
    """Factors of one schedule, and a group without decay."""
    net = network()
    patterns = {"*.bias": {"weight_decay": 0.0}, "layers.2.weight": {"weight_decay": 0.1 * DECAY, "lr_factor": 0.1}}
    optimizer = schuss.AdamW(net.parameter_groups(patterns), lr=s.CosLog(0.02, STEPS), weight_decay=DECAY)
    twin = copy.deepcopy(net)
    again = schuss.AdamW(twin.parameter_groups(patterns), lr=s.CosLog(0.02, STEPS), weight_decay=DECAY)
    net.fit(X, Y, optimizer=optimizer, epochs=EPOCHS, **FIT)
    by_hand(twin, EPOCHS, again)
    assert_same(net, twin)
    last = STEPS - 1
    found = [group["weight_decay"] for group in optimizer.param_groups]
    assert found == [DECAY(last), 0.0, (0.1 * DECAY)(last)]


@pytest.mark.parametrize("ending", ["npz", "safetensors", "pickle", "deepcopy", "state_dict"])
def test_goes_on_where_it_stopped(tmp_path: Path, ending: str) -> None:
    """n + n epochs are 2n epochs, to the bit."""
    whole, halves = network(), network()
    whole.fit(X, Y, optimizer=adamw(whole), epochs=EPOCHS, dropout_factor=DROPOUT, **FIT)
    halves.fit(X, Y, optimizer=adamw(halves), epochs=EPOCHS // 2, dropout_factor=DROPOUT, **FIT)
    if ending == "pickle":
        halves = pickle.loads(pickle.dumps(halves))
    elif ending == "deepcopy":
        halves = copy.deepcopy(halves)
    elif ending == "state_dict":
        assert halves.optimizer is not None
        optimizer = adamw(halves, lr=0.1, weight_decay=0.1)
        optimizer.load_state_dict(halves.optimizer.state_dict())
        halves.optimizer = optimizer
    else:
        if ending == "safetensors":
            pytest.importorskip("safetensors")
        halves.save(tmp_path / f"net.{ending}")
        halves = schuss.load(tmp_path / f"net.{ending}")
    halves.fit(X, Y, epochs=EPOCHS // 2, dropout_factor=DROPOUT, **FIT)
    assert_same(whole, halves)
    assert halves.optimizer is not None
    assert halves.optimizer.param_groups[0]["decay_schedule"] == DECAY
    assert "decay_schedule" not in halves.optimizer.param_groups[1]


def test_a_function_of_ones_own_is_not_in_the_file(tmp_path: Path) -> None:
    net = network()
    net.fit(X, Y, optimizer=adamw(net, weight_decay=lambda step: 0.5 + step), epochs=1, **FIT)
    net.save(tmp_path / "net.npz")
    loaded = schuss.load(tmp_path / "net.npz")
    assert loaded.optimizer is not None
    group = loaded.optimizer.param_groups[0]
    assert "decay_schedule" not in group
    assert group["weight_decay"] == 4.5


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_bits_for_any_number_of_threads(threads: int) -> None:
    """In networks large enough for a team."""
    found = []
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(600, 64)).astype(np.float32), rng.integers(0, 10, 600)
    for count in (1, threads):
        net = schuss.Network(
            [
                schuss.Dense(64, 256, "relu", dropout=0.2),
                schuss.Dense(256, 256, "relu", dropout=0.1),
                schuss.Dense(256, 10),
            ],
            seed=1,
        )
        optimizer = schuss.AdamW(net.parameters, lr=1e-3, weight_decay=s.FlatCos(0.5, 12))
        with schuss.threads(count):
            net.fit(
                x,
                y,
                loss="cross_entropy",
                optimizer=optimizer,
                epochs=4,
                batch_size=200,
                dropout_factor=s.FlatCos(2.0, 12),
            )
        found.append(np.concatenate([p.ravel() for p in net.parameters]))
    np.testing.assert_array_equal(*found)


def test_divergence_goes_back() -> None:
    """And what comes then is as if it had not been."""
    net, calm = network(), network()
    for of in (net, calm):
        of.fit(X, Y, optimizer=adamw(of), epochs=2, dropout_factor=DROPOUT, **FIT)
    assert net.optimizer is not None and calm.optimizer is not None
    steps = net.optimizer.steps
    group = net.optimizer.param_groups[0]
    rates = net.optimizer.param_groups[0]["schedule"]
    bad = s.PiecewiseConstant([steps + 2], [1e-3, 1e30])
    for of in net.optimizer.param_groups:
        of["schedule"] = bad
    with pytest.raises(schuss.DivergenceError), np.errstate(all="ignore"):
        net.fit(X, Y, epochs=3, dropout_factor=DROPOUT, **FIT)
    assert net.optimizer.steps == steps
    assert_same(net, calm)
    assert group["decay_schedule"] == DECAY
    for of in net.optimizer.param_groups:
        of["schedule"] = rates
    for of in (net, calm):
        of.fit(X, Y, epochs=2, dropout_factor=DROPOUT, **FIT)
    assert_same(net, calm)


def test_decay_of_realmlp() -> None:
    """p *= 1 - lr f^2 wd before Adam's step: groups whose rate and whose decay have the factor f."""
    net = network(dropout=0.0, dtype="float64")
    factors = {"layers.0.weight": 6.0, "*.bias": 0.1, "layers.1.weight": 0.5}
    decay = 0.02 * s.FlatCos(1.0, STEPS)
    patterns = {name: {"lr_factor": f, "weight_decay": f * decay} for name, f in factors.items()}
    optimizer = schuss.AdamW(
        net.parameter_groups(patterns), lr=s.CosLog(0.04, STEPS), betas=(0.9, 0.95), weight_decay=decay
    )
    p = [array.copy() for array in net.parameters]
    f = [
        next((v for n, v in factors.items() if name == n or (n == "*.bias" and name.endswith("bias"))), 1.0)
        for name in net.named_parameters()
    ]
    m, v = [np.zeros_like(a) for a in p], [np.zeros_like(a) for a in p]
    rates = s.CosLog(0.04, STEPS)
    for step in range(STEPS):
        net.loss_and_gradients(X, Y, "cross_entropy")
        g = [array.copy() for array in net.gradients]
        net.train_step(X, Y, "cross_entropy", optimizer)
        lr, wd, t = rates(step), decay(step), step + 1
        for k in range(len(p)):
            p[k] *= 1 - lr * f[k] * f[k] * wd
            m[k] += 0.1 * (g[k] - m[k])
            v[k] = 0.95 * v[k] + (1 - 0.95) * g[k] ** 2
            p[k] -= lr * f[k] / (1 - 0.9**t) * m[k] / (np.sqrt(v[k] / (1 - 0.95**t)) + 1e-8)
        for mine, theirs in zip(net.parameters, p, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)


def test_decay_of_pytabkit_itself() -> None:
    """Beside its optimizer, given the same gradients."""
    torch = pytest.importorskip("torch")
    optimizers = pytest.importorskip("pytabkit.models.optim.optimizers")
    coord = pytest.importorskip("pytabkit.models.training.coord")
    base = pytest.importorskip("pytabkit.models.nn_models.base")
    rng = np.random.default_rng(3)
    starts = [rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=(3, 2))]
    factors, steps = [6.0, 0.1, 1.0], 30
    manager = coord.HyperparamManager(
        lr=0.04, lr_sched="coslog4", wd=0.3, wd_sched="flat_cos", mom=0.9, sq_mom=0.95, opt_eps=1e-8
    )
    with base.set_hp_context(manager):
        theirs = [
            base.Variable(torch.tensor(start), hyper_factors={"lr": factor})
            for start, factor in zip(starts, factors, strict=True)
        ]
    peer = optimizers.AdamOptimizer([{"params": [variable]} for variable in theirs], manager)
    progress = type("Progress", (), {})()
    learner = type("Learner", (), {"progress": progress})()
    mine = [start.copy() for start in starts]
    decay = 0.3 * s.FlatCos(1.0, steps)
    optimizer = schuss.AdamW(
        [{"params": [p], "lr_factor": f, "weight_decay": f * decay} for p, f in zip(mine, factors, strict=True)],
        lr=s.CosLog(0.04, steps),
        betas=(0.9, 0.95),
    )
    for step in range(steps):
        grads = [rng.normal(size=p.shape) for p in mine]
        progress.epoch_float, progress.max_epochs, progress.total_steps = step / steps, 1, step
        progress.get_fit_progress = lambda: progress.epoch_float / progress.max_epochs
        manager.update_hypers(learner)
        for variable, g in zip(theirs, grads, strict=True):
            variable.grad = torch.tensor(g)
        peer.step()
        optimizer.step([[g] for g in grads])
        for p, variable in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(p, variable.detach().numpy(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (lambda step: -1.0, "weight_decay"),
        (lambda step: np.nan, "weight_decay"),
        (lambda step: "x", "weight_decay"),
        (s.Exponential(1.0, 1e300), r"weight_decay\(\d\)"),
    ],
)
def test_bad_decays(value: Any, error: str) -> None:
    x = np.ones(3)
    if not isinstance(value, s.Schedule):
        with pytest.raises((ValueError, TypeError), match=r"weight_decay\(0\) must be a number in \[0, inf\)"):
            schuss.AdamW(x, weight_decay=value)
    optimizer = schuss.AdamW(x, weight_decay=0.1)
    optimizer.param_groups[0]["decay_schedule"] = value
    net = network()
    of_net = schuss.AdamW(net.parameters, weight_decay=0.1)
    of_net.param_groups[0]["decay_schedule"] = value
    before = [p.copy() for p in net.parameters]
    with pytest.raises((ValueError, TypeError), match=error):
        [optimizer.step(np.ones(3)) for _ in range(3)]
    with pytest.raises((ValueError, TypeError), match=error):
        net.fit(X, Y, optimizer=of_net, epochs=2, **FIT)
    for mine, theirs in zip(net.parameters, before, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_a_plateau_of_decay_and_of_dropout_is_told() -> None:
    net = network()
    decay, dropout = s.ReduceOnPlateau(0.5, patience=0, mode="max", monitor="loss"), s.ReduceOnPlateau(1.0, patience=0)
    net.fit(X, Y, optimizer=adamw(net, weight_decay=decay), epochs=3, dropout_factor=dropout, **FIT)
    assert decay.state.reports == dropout.state.reports == 3
    with pytest.raises(ValueError, match="monitor"):
        net.fit(X, Y, epochs=1, dropout_factor=s.ReduceOnPlateau(1.0, monitor="val_x"), **FIT)


# -- dropout -----------------------------------------------------------------------------------------------------------


def test_a_factor_of_dropout_is_a_network_of_that_dropout() -> None:
    for factor in (0.0, 0.5, 2.0):
        net, other = network(0.3), network(0.3 * factor)
        for of, given in ((net, factor), (other, 1.0)):
            of.fit(X, Y, epochs=2, dropout_factor=given, **FIT)
            of.train_step(X, Y, "cross_entropy", of.optimizer, dropout_factor=given)
            of.train_step(X, Y, own_loss, of.optimizer, dropout_factor=given)
            assert of.loss_and_gradients(X, Y, "cross_entropy", dropout_factor=given) > 0
        assert_same(net, other)
        for mine, theirs in zip(net.gradients, other.gradients, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        out = [of.forward(X, dropout_factor=given) for of, given in ((net, factor), (other, 1.0))]
        np.testing.assert_array_equal(*out)


def own_loss(prediction: Any, target: Any) -> tuple[float, Any]:
    hot = np.eye(3, dtype=prediction.dtype)[target]
    return float(((prediction - hot) ** 2).mean()), (2 * (prediction - hot) / prediction.size).astype(prediction.dtype)


def test_a_loss_of_ones_own_in_fit() -> None:
    net, other = network(), network()
    options = {"loss": own_loss, "batch_size": BATCH, "epochs": 3, "optimizer": "sgd"}
    net.fit(X, Y, dropout_factor=DROPOUT, **options)
    other.fit(X, Y, dropout_factor=lambda step: DROPOUT(step), **options)
    assert_same(net, other)
    third = network()
    third.fit(X, Y, **options)
    assert not np.array_equal(third.parameters[0], net.parameters[0])


def test_bad_factors() -> None:
    net = network(0.4)
    before = [p.copy() for p in net.parameters]
    for factor in (2.5, 3.0, -0.1, np.nan, np.inf, "x", None):
        for call in (
            lambda given: net.fit(X, Y, epochs=1, dropout_factor=given, **FIT),
            lambda given: net.train_step(X, Y, "mse", schuss.SGD(net.parameters), dropout_factor=given),
            lambda given: net.forward(X, dropout_factor=given),
            lambda given: net.loss_and_gradients(X, Y, "cross_entropy", dropout_factor=given),
        ):
            if factor is None and call.__code__.co_consts and net.optimizer is None:
                continue
            with pytest.raises((ValueError, TypeError), match="dropout_factor must"):
                call(factor)
    with pytest.raises(
        ValueError, match=r"dropout_factor\(4\) must leave each dropout below 1, one of which is 0\.4; got 2\.8"
    ):
        net.fit(X, Y, epochs=1, dropout_factor=lambda step: 2.4 + 0.1 * step, **FIT)
    for mine, theirs in zip(net.parameters, before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert net.epochs_done == 0
    plain = network(0.0)
    plain.fit(X, Y, epochs=1, dropout_factor=1e6, **FIT)  # nothing is dropped
