"""Schedule-free optimizers: the average that they promise, where parameters are when, and what fit does of it."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal, assert_equal
from numpy.typing import NDArray

import schuss
from schuss import _core

Array = NDArray[Any]
KINDS = [
    (schuss.ScheduleFreeSGD, {"lr": 0.1}),
    (schuss.ScheduleFreeSGD, {"lr": 0.1, "momentum": 0.6, "weight_decay": 0.1, "warmup_steps": 5}),
    (schuss.ScheduleFreeSGD, {"lr": 0.1, "r": 0.7, "weight_lr_power": 0.0, "maximize": True}),
    (schuss.ScheduleFreeAdamW, {"lr": 0.1}),
    (schuss.ScheduleFreeAdamW, {"lr": 0.1, "betas": (0.95, 0.9), "weight_decay": 0.1, "warmup_steps": 50}),
    (schuss.ScheduleFreeAdamW, {"lr": 0.1, "r": 1.0, "weight_lr_power": 1.5, "eps": 0.01}),
]
kinds = pytest.mark.parametrize(("kind", "options"), KINDS)
Kind = type[schuss.ScheduleFreeSGD] | type[schuss.ScheduleFreeAdamW]


def gradients(steps: int, shape: tuple[int, ...] = (3, 4), seed: int = 0) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for _ in range(steps)]


def params_of(optimizer: schuss.Optimizer) -> list[Array]:
    return [p for group in optimizer.param_groups for p in group["params"]]


# ---- the rule --------------------------------------------------------------------------------------------------------


def by_the_paper(kind: Kind, start: Array, grads: list[Array], lrs: list[float], options: dict[str, Any]) -> Any:
    """x, y and z after steps with these rates, x kept as an array of its own."""
    o = {name: p.default for name, p in inspect.signature(kind).parameters.items()} | options
    adam = kind is schuss.ScheduleFreeAdamW
    beta = o["betas"][0] if adam else o["momentum"]
    x, z, v = start.copy(), start.copy(), np.zeros_like(start)
    y = start.copy()
    largest = total = 0.0
    for t, (g, base) in enumerate(zip(grads, lrs, strict=True), 1):
        g = -g if o["maximize"] else g
        lr = base * min(1.0, t / o["warmup_steps"]) if o["warmup_steps"] else base
        largest = max(largest, lr)
        weight = t ** o["r"] * largest ** o["weight_lr_power"]
        total += weight
        if adam:
            beta2 = o["betas"][1]
            v = beta2 * v + (1 - beta2) * g**2
            g = g / (np.sqrt(v / (1 - beta2**t)) + o["eps"])
        z = z - lr * (g + o["weight_decay"] * y)
        x = x + weight / total * (z - x)
        y = (1 - beta) * z + beta * x
    return x, y, z


@kinds
@pytest.mark.parametrize("changes", [False, True])
def test_three_points(kind: Kind, options: dict[str, Any], changes: bool) -> None:
    """Parameters are y, state z, and eval() makes x of them."""
    start = np.random.default_rng(1).normal(size=(3, 4))
    grads = gradients(60)
    lrs = [options["lr"] * (1 + np.sin(k) * changes) for k in range(60)]
    p = start.copy()
    optimizer = kind(p, **{**options, "lr": (lambda step: lrs[step]) if changes else options["lr"]})
    for k in (1, 2, 60):
        for g in grads[optimizer.steps : k]:
            optimizer.step(g)
        x, y, z = by_the_paper(kind, start, grads[:k], lrs[:k], options)
        assert_allclose(p, y, rtol=1e-12, atol=1e-13)
        assert_allclose(optimizer.state_dict()["state"][0]["z"], z, rtol=1e-12, atol=1e-13)
        optimizer.eval()
        assert_allclose(p, x, rtol=1e-12, atol=1e-13)
        optimizer.train()
        assert_allclose(p, y, rtol=1e-12, atol=1e-13)


def test_a_rate_of_zero_moves_nothing_and_weighs_nothing() -> None:
    p = np.ones(3)
    optimizer = schuss.ScheduleFreeSGD(p, lr=0.0)
    for _ in range(3):
        optimizer.step(np.ones(3))
        assert_array_equal(p, 1)
    optimizer.step(np.ones(3), lr=0.5)
    optimizer.eval()
    assert_array_equal(p, 0.5)


# ---- where parameters are --------------------------------------------------------------------------------------------


@kinds
def test_modes(kind: Kind, options: dict[str, Any]) -> None:
    p = np.ones(5, np.float32)
    optimizer = kind(p, **options)
    assert optimizer.training
    for g in (np.arange(5, dtype=np.float32), np.ones(5, np.float32)):
        optimizer.step(g)
    y = p.copy()
    optimizer.train()
    assert_array_equal(p, y)
    optimizer.eval()
    x = p.copy()
    assert not optimizer.training
    assert (x != y).any()
    optimizer.eval()
    assert_array_equal(p, x)
    before = optimizer.state_dict()
    with pytest.raises(RuntimeError, match=r"eval mode.*train\(\)"):
        optimizer.step(np.ones(5, np.float32))
    assert_array_equal(p, x)
    assert_equal(optimizer.state_dict(), before)
    optimizer.train()
    assert optimizer.training
    assert_allclose(p, y, rtol=1e-6, atol=1e-7)
    optimizer.step(np.ones(5, np.float32))


@kinds
def test_before_the_first_step_all_points_are_one(kind: Kind, options: dict[str, Any]) -> None:
    """That where parameters are at the first step, not where they were when the optimizer was made."""
    p = np.zeros(4)
    optimizer = kind(p, **options)
    p[...] = [1.0, -0.0, np.inf, 1e-310]
    start = p.copy()
    for move in (optimizer.eval, optimizer.train):
        move()
        assert_array_equal(p.view(np.uint64), start.view(np.uint64))
    p[...] = 5
    optimizer.step(np.zeros(4))
    optimizer.eval()
    assert_allclose(p, 5, rtol=0.1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_moving_has_the_bits_of_numpy(
    dtype: str, each_isa: Callable[[], Iterator[str]], set_threads: Callable[[int], None]
) -> None:
    """For arrays of any size in several groups, over any number of threads."""
    sizes = [1, 15, 0, 16, 17, 33, 100_003, 7]
    rng = np.random.default_rng(0)
    start = [rng.normal(size=n).astype(dtype) for n in sizes]
    z = [rng.normal(size=n).astype(dtype) for n in sizes]
    group_of = [k % 3 for k in range(len(sizes))]
    weights = [0.1, 0.0, -0.25]
    for _ in each_isa():
        for threads in (1, 2, 3):
            set_threads(threads)
            params = [p.copy() for p in start]
            stepper = _core.Stepper(params, group_of, [{"rule": "lion"}] * 3)  # one state
            for states, own in zip(stepper.states, z, strict=True):
                states[0][...] = own
            stepper.move_params(0, weights, True)
            assert stepper.resting
            for p, q, to, group in zip(params, start, z, group_of, strict=True):
                weight = np.dtype(dtype).type(weights[group])
                assert_array_equal(p, q + weight * (to - q) if weights[group] else q)
            stepper.move_params(0, [0, 0, 0], False)
            assert not stepper.resting
    with pytest.raises(ValueError, match="slot is 1"):
        stepper.move_params(1, weights, True)
    with pytest.raises(ValueError, match="weights has 2 entries, expected 3"):
        stepper.move_params(0, [0, 0], True)


def test_groups_move_by_their_own_momentum() -> None:
    a, b = np.ones(2), np.ones(3)
    optimizer = schuss.ScheduleFreeSGD([{"params": [a], "momentum": 0.5}, {"params": [b]}], lr=0.1)
    alone = [schuss.ScheduleFreeSGD(np.ones(2), lr=0.1, momentum=0.5), schuss.ScheduleFreeSGD(np.ones(3), lr=0.1)]
    for g in gradients(3, (5,)):
        optimizer.step([g[:2], g[2:]])
        alone[0].step(g[:2])
        alone[1].step(g[2:])
    for each in (optimizer, *alone):
        each.eval()
    assert_array_equal(a, params_of(alone[0])[0])
    assert_array_equal(b, params_of(alone[1])[0])


# ---- state -----------------------------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("how", ["state_dict", "deepcopy", "pickle"])
def test_the_mode_is_kept(kind: Kind, options: dict[str, Any], training: bool, how: str) -> None:
    optimizer = kind(np.ones((3, 4)), **options)
    grads = gradients(6)
    for g in grads[:3]:
        optimizer.step(g)
    if not training:
        optimizer.eval()
    other: Any
    if how == "state_dict":
        other = kind(params_of(optimizer)[0].copy())
        other.load_state_dict(optimizer.state_dict())
    else:
        other = copy.deepcopy(optimizer) if how == "deepcopy" else pickle.loads(pickle.dumps(optimizer))
    assert other.training is training
    for each in (optimizer, other):
        each.train()
        for g in grads[3:]:
            each.step(g)
        each.eval()
    assert_array_equal(params_of(other)[0], params_of(optimizer)[0])
    assert_equal(other.state_dict(), optimizer.state_dict())


def test_state_dict_is_that_of_the_authors() -> None:
    optimizer = schuss.ScheduleFreeAdamW([np.ones(3), np.ones(2)], lr=0.1, warmup_steps=2)
    fresh = optimizer.state_dict()
    assert fresh["state"] == {}
    for k in range(3):
        optimizer.step([np.ones(3), np.full(2, 0.5 + k)])
    optimizer.eval()
    state = optimizer.state_dict()
    assert set(state["state"][0]) == {"step", "z", "exp_avg_sq"}
    group = state["param_groups"][0]
    assert (group["k"], group["train_mode"], group["lr_max"]) == (3, False, 0.1)
    assert group["weight_sum"] == pytest.approx(0.05**2 + 2 * 0.1**2, rel=1e-14)
    assert (group["r"], group["weight_lr_power"], group["warmup_steps"]) == (0.0, 2.0, 2)
    for own in state["state"].values():
        del own["step"]  # which theirs has not
    group.update(scheduled_lr=0.1, foreach=True)
    other = schuss.ScheduleFreeAdamW([p.copy() for p in params_of(optimizer)])
    other.load_state_dict(state)
    assert (other.steps, other.training) == (3, False)
    for each in (optimizer, other):
        each.train()
        each.step([np.ones(3), np.ones(2)])
    for p, q in zip(params_of(other), params_of(optimizer), strict=True):
        assert_array_equal(p, q)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda state: state["param_groups"][0].update(train_mode=1), TypeError, r"param_groups\[0\]\['train_mode'\]"),
        (lambda state: state["param_groups"][0].update(train_mode=False), ValueError, "one train_mode"),
        (lambda state: state["param_groups"][0].update(weight_sum="1"), TypeError, "weight_sum"),
        (lambda state: state["param_groups"].append(3), ValueError, "2 param_groups"),
        (lambda state: state["param_groups"].__setitem__(0, 3), TypeError, r"param_groups\[0\] must be a dict"),
        (lambda state: state.update(state=None), TypeError, r"state_dict\['state'\]"),
        (lambda state: state["state"][0].pop("z"), ValueError, "must have z after step 1"),
    ],
)
def test_states_of_no_use(change: Callable[[Any], Any], error: type[Exception], match: str) -> None:
    def made() -> schuss.ScheduleFreeSGD:
        return schuss.ScheduleFreeSGD([{"params": [np.ones(3)]}, {"params": [np.ones(2)]}])

    source, optimizer = made(), made()
    source.step([np.ones(3), np.ones(2)])
    state = source.state_dict()
    for own in state["state"].values():
        del own["step"]
    change(state)
    optimizer.step([np.ones(3), -np.ones(2)])
    before = optimizer.state_dict()
    with pytest.raises(error, match=match):
        optimizer.load_state_dict(state)
    assert_equal(optimizer.state_dict(), before)


@kinds
def test_a_step_that_fails_weighs_nothing(kind: Kind, options: dict[str, Any]) -> None:
    p, q = np.ones((3, 4)), np.ones((3, 4))
    optimizer, other = kind(p, **options), kind(q, **options)
    for k, g in enumerate(gradients(5)):
        if k in (0, 3):
            before = optimizer.state_dict()
            optimizer.step(np.full((3, 4), np.nan), on_nonfinite="skip")
            with pytest.raises(schuss.DivergenceError):
                optimizer.step(np.full((3, 4), np.nan), clip_norm=1.0)
            assert_equal(optimizer.state_dict(), before)
            optimizer.load_state_dict(before)
        optimizer.step(g)
        other.step(g)
    assert_array_equal(p, q)
    assert_equal(optimizer.state_dict(), other.state_dict())


# ---- fit -------------------------------------------------------------------------------------------------------------


def problem(rows: int = 64) -> tuple[schuss.Network, Array, Array]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, 6)).astype(np.float32)
    net = schuss.Network([schuss.Dense(6, 9, "tanh"), schuss.Dense(9, 3)], seed=3)
    return net, X, rng.integers(0, 3, rows)


def average_of(net: schuss.Network) -> list[Array]:
    """What eval() makes of the network's parameters, which are at y."""
    optimizer = copy.deepcopy(net.optimizer)
    assert isinstance(optimizer, (schuss.ScheduleFreeSGD, schuss.ScheduleFreeAdamW))
    assert optimizer.training
    optimizer.eval()
    return params_of(optimizer)


@kinds
def test_fit_evaluates_and_leaves_the_average(kind: Kind, options: dict[str, Any]) -> None:
    net, X, y = problem()
    options = {**options, "maximize": False}
    optimizer = kind(net.parameters, **options)
    seen = []

    def look(record: schuss.EpochRecord) -> None:
        assert not optimizer.training
        assert record.logs["val_loss"] == record.network.evaluate(X, y, "cross_entropy")["loss"]
        seen.append(record.logs["val_loss"])

    net.fit(
        X, y, loss="cross_entropy", optimizer=optimizer, epochs=3, batch_size=10, validation_data=(X, y),
        callbacks=[look],
    )  # fmt: skip
    assert len(seen) == 3
    assert net.evaluate(X, y, "cross_entropy")["loss"] == seen[-1]
    x = [p.copy() for p in net.parameters]
    for step in (
        lambda: net.train_step(X, y, "cross_entropy", optimizer),
        lambda: net.train_step(X, y, lambda p, t: (0.0, np.zeros_like(p)), optimizer),
    ):
        with pytest.raises(RuntimeError, match=r"train\(\)"):
            step()
    for p, q in zip(net.parameters, x, strict=True):
        assert_array_equal(p, q)
    optimizer.train()
    assert net.evaluate(X, y, "cross_entropy")["loss"] != seen[-1]
    for p, q in zip(average_of(net), x, strict=True):
        assert_allclose(p, q, rtol=1e-5, atol=1e-6)
    net.train_step(X, y, "cross_entropy", optimizer)
    net.fit(X, y, loss="cross_entropy", epochs=1)
    assert not optimizer.training


@kinds
def test_fit_in_parts_is_fit(kind: Kind, options: dict[str, Any]) -> None:
    """Whether evaluated on the way or not."""
    ends = []
    for epochs, validates in (((4,), False), ((1, 2, 1), False), ((2, 2), True)):
        net, X, y = problem()
        validation = {"validation_data": (X, y)} if validates else {}
        optimizer = kind(net.parameters, **{**options, "maximize": False})
        for count in epochs:
            net.fit(X, y, loss="cross_entropy", optimizer=optimizer, epochs=count, batch_size=10, **validation)
        ends.append((optimizer.state_dict(), [p.copy() for p in net.parameters]))
    for end in ends[1:]:
        assert_equal(end, ends[0])


def test_early_stopping_restores_an_average() -> None:
    net, X, y = problem()
    kept: list[Array] = []

    def keep(record: schuss.EpochRecord) -> None:
        if record.epoch == 1:
            kept.extend(p.copy() for p in net.parameters)

    net.fit(
        X, y, loss="cross_entropy", optimizer="schedule_free_adamw", epochs=9, callbacks=[keep],
        early_stopping=schuss.EarlyStopping(2, min_delta=1e9, monitor="loss"),
    )  # fmt: skip
    assert net.epochs_done == 3
    for p, q in zip(net.parameters, kept, strict=True):
        assert_array_equal(p, q)


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_whatever_ends_a_fit_it_leaves_the_average(error: type[BaseException]) -> None:
    net, X, _ = problem()
    optimizer = schuss.ScheduleFreeSGD(net.parameters, lr=0.1)
    calls = iter(range(100))
    before: list[list[Array]] = []

    def loss(prediction: Array, target: Array) -> tuple[float, Array]:
        if next(calls) == 9:
            before.append([p.copy() for p in net.parameters])
            raise error
        return float((prediction**2).mean()), 2 * prediction / prediction.size

    with pytest.raises(error):
        net.fit(X, np.zeros((len(X), 3)), loss=loss, optimizer=optimizer, epochs=9, batch_size=10)
    assert optimizer.steps == 9
    assert not optimizer.training
    found = [p.copy() for p in net.parameters]
    z = [own["z"] for own in optimizer.state_dict()["state"].values()]
    for p, q, to in zip(found, before[0], z, strict=True):
        assert_array_equal(p, q + np.float32(1 - 1 / 0.9) * (to - q))


@kinds
@pytest.mark.parametrize("bad_at", [0, 20])
def test_divergence_goes_back_to_an_average(kind: Kind, options: dict[str, Any], bad_at: int) -> None:
    net, X, y = problem()
    optimizer = kind(net.parameters, **{**options, "maximize": False})
    if bad_at == 20:
        net.fit(X, y, loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=10)
    steps = optimizer.steps
    before = [p.copy() for p in net.parameters]
    state = optimizer.state_dict()
    calls = iter(range(100))

    def loss(prediction: Array, target: Array) -> tuple[float, Array]:
        value = np.nan if next(calls) == 3 else 1.0
        return value, 2 * prediction / prediction.size

    with pytest.raises(schuss.DivergenceError):
        net.fit(X, np.zeros((len(X), 3)), loss=loss, optimizer=optimizer, epochs=3, batch_size=10)
    assert optimizer.steps == steps
    assert not optimizer.training
    for p, q in zip(net.parameters, before, strict=True):
        assert_allclose(p, q, rtol=1e-5, atol=1e-6)  # there and back
    after = optimizer.state_dict()
    assert after["param_groups"] == [{**group, "train_mode": False} for group in state["param_groups"]]
    assert_equal(after["state"], state["state"])


# ---- the authors' package --------------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11)])
def test_follows_the_authors(kind: Kind, options: dict[str, Any], dtype: str, tolerance: float) -> None:
    """200 steps, with a look at the average on the way; then each goes on from the other's state."""
    theirs: Any = pytest.importorskip("schedulefree")
    torch: Any = pytest.importorskip("torch")
    options = {key: value for key, value in options.items() if key != "maximize"}
    name = {"ScheduleFreeSGD": "SGDScheduleFree", "ScheduleFreeAdamW": "AdamWScheduleFree"}[kind.__name__]
    start = np.random.default_rng(1).normal(size=(3, 4)).astype(dtype)
    mine = kind(start.copy(), **options)
    tensor = torch.nn.Parameter(torch.tensor(start))
    other = getattr(theirs, name)([tensor], **options)
    other.train()

    def step(g: Array) -> None:
        mine.step(g.astype(dtype))
        tensor.grad = torch.tensor(g.astype(dtype))
        other.step()

    def assert_same() -> None:
        p, q = params_of(mine)[0], tensor.detach().numpy()
        assert np.max(np.abs(p - q)) <= tolerance * np.max(np.abs(q))

    def look() -> None:
        assert_same()
        mine.eval()
        other.eval()
        assert_same()

    for k, g in enumerate(gradients(200), 1):
        step(g)
        if k in (1, 100, 200):
            look()
            mine.train()
            other.train()
    look()
    was, mine = mine, kind(tensor.detach().numpy().copy())
    mine.load_state_dict(other.state_dict())
    assert not mine.training
    assert mine.steps == 200
    tensor = torch.nn.Parameter(torch.tensor(params_of(was)[0]))
    other = getattr(theirs, name)([tensor])
    state = was.state_dict()
    state["param_groups"] = [{**other.param_groups[0], **group} for group in state["param_groups"]]
    for own in state["state"].values():
        own.update({key: torch.tensor(value) for key, value in own.items()})
    other.load_state_dict(state)
    mine.train()
    other.train()
    for g in gradients(20, seed=2):
        step(g)
    look()
