"""Optimizers as objects: groups, state_dict, copies, schedules. The update rules have tests of their own."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import optim

KINDS = [
    (schuss.SGD, {}),
    (schuss.SGD, {"momentum": 0.9, "dampening": 0.1}),
    (schuss.SGD, {"momentum": 0.9, "nesterov": True}),
    (schuss.AdaGrad, {"initial_accumulator_value": 0.25, "lr_decay": 0.1}),
    (schuss.RowAdaGrad, {"initial_accumulator_value": 0.25, "weight_decay": 0.1}),
    (schuss.Adam, {"rows": "exact"}),
    (schuss.SGD, {"momentum": 0.9, "rows": "lazy"}),
    (schuss.RMSProp, {}),
    (schuss.RMSProp, {"momentum": 0.5}),
    (schuss.RMSProp, {"centered": True, "momentum": 0.5}),
    (schuss.Adam, {}),
    (schuss.Adam, {"amsgrad": True, "weight_decay": 0.1, "maximize": True}),
    (schuss.AdamW, {}),
    (schuss.Adadelta, {}),
    (schuss.Adamax, {}),
    (schuss.NAdam, {"decoupled_weight_decay": True, "weight_decay": 0.1}),
    (schuss.RAdam, {"betas": (0.9, 0.99)}),
    (schuss.AdaBelief, {"amsgrad": True, "rectify": True}),
    (schuss.Lion, {"weight_decay": 0.1}),
    (schuss.Signum, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (schuss.Signum, {"momentum": 0.0}),
    (schuss.Rprop, {"etas": (0.3, 1.5)}),
    (schuss.ASGD, {"lambd": 0.1, "t0": 1.0}),
    (schuss.Yogi, {"initial_accumulator_value": 0.25}),
    (schuss.ADOPT, {}),
    (schuss.SGD, {"momentum": 0.9, "dialect": "sklearn"}),
    (schuss.NAdam, {"dialect": "keras"}),
    (schuss.FTRL, {"initial_accumulator_value": 0.25}),
    (schuss.Adan, {"weight_decay": 0.1}),
    (schuss.AdEMAMix, {"alpha_warmup": 10, "beta3_warmup": 5}),
    (schuss.AdEMAMix, {"betas": (0.0, 0.99, 0.999)}),
    (schuss.ScheduleFreeSGD, {"lr": 0.1, "warmup_steps": 4}),
    (schuss.ScheduleFreeAdamW, {"weight_decay": 0.1, "r": 0.5}),
    (schuss.LARS, {"weight_decay": 0.1, "nesterov": True}),
    (schuss.LAMB, {"weight_decay": 0.1}),
    (schuss.NovoGrad, {"weight_decay": 0.1}),
    (schuss.Prodigy, {"weight_decay": 0.1, "d0": 0.1}),
    (schuss.Adafactor, {"weight_decay": 0.1}),
    (schuss.Muon, {"adamw": {"amsgrad": True}, "momentum": 0.5}),
    (schuss.SOAP, {"shampoo_beta": 0.9, "precondition_frequency": 2}),
]


def arrays(seed: int, dtype: Any = np.float32) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape in ((3, 4), (4,), (2, 2, 2), ())]


def run(optimizer: schuss.Optimizer, first: int, count: int, dtype: Any = np.float32) -> None:
    for seed in range(first, first + count):
        optimizer.step(arrays(100 + seed, dtype))


def params_of(optimizer: schuss.Optimizer) -> list[np.ndarray]:
    return [array for group in optimizer.param_groups for array in group["params"]]


def assert_same_arrays(a: list[np.ndarray], b: list[np.ndarray]) -> None:
    for p, q in zip(a, b, strict=True):
        np.testing.assert_array_equal(p, q)


def test_steps_are_in_place() -> None:
    params = arrays(0)
    before = [p.copy() for p in params]
    optimizer = schuss.SGD(params, lr=0.5)
    grads = arrays(1)
    optimizer.step(grads)
    assert optimizer.steps == 1
    for p, old, g in zip(params, before, grads, strict=True):
        np.testing.assert_array_equal(p, old - np.float32(0.5) * g)
    assert all(p is q for p, q in zip(params_of(optimizer), params, strict=True))


@pytest.mark.parametrize("params", ["array", "list", "tuple", "generator", "memory-mapped"])
def test_forms_of_params(params: str, tmp_path: Any) -> None:
    array = np.ones(5, np.float64)
    np.save(tmp_path / "p.npy", array)
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r+")
    target = mapped if params == "memory-mapped" else array
    forms: dict[str, Any] = {
        "array": array, "list": [array], "tuple": (array,), "generator": (a for a in [array]), "memory-mapped": mapped
    }  # fmt: skip
    optimizer = schuss.SGD(forms[params], lr=0.25)
    optimizer.step(np.ones(5) if params == "array" else [np.ones(5)])
    np.testing.assert_array_equal(target, np.full(5, 0.75))


def test_groups() -> None:
    a, b, c = np.ones(3), np.ones(3), np.ones(3)
    optimizer = schuss.SGD([{"params": a, "lr": 0.5}, {"params": [b, c], "weight_decay": 1.0}], lr=0.25)
    assert [group["lr"] for group in optimizer.param_groups] == [0.5, 0.25]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.0, 1.0]
    optimizer.step([np.ones(3)] * 3)
    np.testing.assert_array_equal(a, np.full(3, 0.5))
    np.testing.assert_array_equal(b, np.full(3, 0.5))
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.param_groups[1]["weight_decay"] = 0.0
    optimizer.step([np.ones(3)] * 3)
    np.testing.assert_array_equal(a, np.full(3, 0.5))
    np.testing.assert_array_equal(c, np.full(3, 0.25))


def test_groups_equal_optimizers_of_their_own() -> None:
    together, one, two = arrays(0), arrays(0), arrays(0)
    optimizer = schuss.Adam([{"params": together[:2], "amsgrad": True}, {"params": together[2:], "lr": 0.1}])
    first, second = schuss.Adam(one[:2], amsgrad=True), schuss.Adam(two[2:], lr=0.1)
    for seed in range(5):
        grads = arrays(seed)
        optimizer.step(grads)
        first.step(grads[:2])
        second.step(grads[2:])
    assert_same_arrays(together, one[:2] + two[2:])


def test_schedules() -> None:
    a, b = np.zeros(1), np.zeros(1)
    optimizer = schuss.SGD([{"params": [a]}, {"params": [b], "lr": 1.0}], lr=lambda step: 2.0**step)
    assert optimizer.param_groups[0]["lr"] == 1.0
    for k in range(4):
        optimizer.step([-np.ones(1), -np.ones(1)])
        assert optimizer.param_groups[0]["lr"] == 2.0**k
    np.testing.assert_array_equal([a[0], b[0]], [15.0, 4.0])
    optimizer.param_groups[0]["schedule"] = None
    optimizer.step([-np.ones(1), -np.ones(1)])
    assert a[0] == 23.0
    optimizer.param_groups[0]["schedule"] = lambda step: float(step)
    optimizer.step([-np.ones(1), -np.ones(1)])
    assert a[0] == 28.0
    optimizer.param_groups[0]["schedule"] = lambda step: np.nan
    with pytest.raises(ValueError, match=r"lr\(6\)"):
        optimizer.step([-np.ones(1), -np.ones(1)])
    assert (a[0], optimizer.steps) == (28.0, 6)


def test_clipping() -> None:
    a, b = np.zeros(2), np.zeros(1)
    optimizer = schuss.SGD([a, b], lr=1.0)
    optimizer.step([np.array([3.0, 0.0]), np.array([-4.0])], clip_norm=1.0)
    np.testing.assert_allclose([*a, *b], [-0.6, 0.0, 0.8], rtol=1e-6)
    a[:], b[:] = 0, 0
    optimizer.step([np.array([3.0, 0.5]), np.array([-4.0])], clip_value=1.0)
    np.testing.assert_array_equal([*a, *b], [-1.0, -0.5, 1.0])
    for name in ("clip_norm", "clip_value"):
        with pytest.raises(ValueError, match=name):
            optimizer.step([np.ones(2), np.ones(1)], **{name: 0.0})


# ---- state -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_state_dict_goes_on_bit_for_bit(kind: type[schuss.Optimizer], options: dict[str, Any], dtype: Any) -> None:
    whole, half = kind(arrays(0, dtype), **options), kind(arrays(0, dtype), **options)
    run(whole, 0, 6, dtype)
    run(half, 0, 3, dtype)
    state = half.state_dict()
    fresh = kind([p.copy() for p in params_of(half)], lr=0.5, **kind._of_network)
    fresh.load_state_dict(state)
    np.testing.assert_equal(fresh.state_dict(), state)
    run(half, 3, 3, dtype)  # the state_dict holds copies
    run(fresh, 3, 3, dtype)
    assert_same_arrays(params_of(fresh), params_of(whole))
    assert_same_arrays(params_of(half), params_of(whole))


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_fresh_state_dict_loads(kind: type[schuss.Optimizer], options: dict[str, Any]) -> None:
    used, fresh = kind(arrays(0), **options), kind(arrays(0), **options)
    state = fresh.state_dict()
    run(used, 0, 2)
    used.load_state_dict(state)
    np.testing.assert_equal(used.state_dict(), state)
    empty = {"state": {}, "param_groups": state["param_groups"]}  # as torch's before the first step
    run(used, 0, 2)
    used.load_state_dict(empty)
    np.testing.assert_equal(used.state_dict(), state)


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("how", [copy.deepcopy, lambda optimizer: pickle.loads(pickle.dumps(optimizer))])
def test_copies(kind: type[schuss.Optimizer], options: dict[str, Any], how: Any) -> None:
    optimizer = kind(arrays(0), **options)
    run(optimizer, 0, 2)
    other = how(optimizer)
    assert type(other) is kind
    np.testing.assert_equal(other.state_dict(), optimizer.state_dict())
    assert not any(np.shares_memory(p, q) for p, q in zip(params_of(other), params_of(optimizer), strict=True))
    run(other, 2, 2)
    assert optimizer.steps == 2
    run(optimizer, 2, 2)
    assert_same_arrays(params_of(other), params_of(optimizer))


def test_shallow_copies_are_refused() -> None:
    with pytest.raises(TypeError, match="deepcopy"):
        copy.copy(schuss.Adam(arrays(0)))


def test_copies_keep_a_schedule() -> None:
    optimizer = schuss.SGD(np.zeros(1), lr=float)
    optimizer.step(np.ones(1))
    other = pickle.loads(pickle.dumps(optimizer))
    other.step(np.ones(1))
    assert other.param_groups[0]["lr"] == 1.0


TORCH = [
    (schuss.SGD, "SGD", {"lr": 0.1}),
    (schuss.SGD, "SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.1}),
    (schuss.AdaGrad, "Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.5}),
    (schuss.RMSProp, "RMSprop", {"centered": True, "momentum": 0.5}),
    (schuss.RMSProp, "RMSprop", {}),
    (schuss.Adam, "Adam", {"amsgrad": True, "betas": (0.8, 0.9)}),
    (schuss.AdamW, "AdamW", {}),
    (schuss.Adadelta, "Adadelta", {"rho": 0.8, "weight_decay": 0.1}),
    (schuss.Adamax, "Adamax", {"betas": (0.8, 0.9)}),
    (schuss.NAdam, "NAdam", {"momentum_decay": 0.1}),
    (schuss.NAdam, "NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (schuss.RAdam, "RAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (schuss.Adam, "Adam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (schuss.ASGD, "ASGD", {"lambd": 0.1, "t0": 2.0, "weight_decay": 0.1}),
    (schuss.Rprop, "Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (1e-3, 1.0)}),
]


@pytest.mark.parametrize(("kind", "name", "options"), TORCH)
def test_arguments_and_defaults_are_torchs(kind: type[schuss.Optimizer], name: str, options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    theirs = inspect.signature(getattr(torch.optim, name).__init__).parameters
    for key, parameter in inspect.signature(kind.__init__).parameters.items():
        if key not in ("self", "params", "no_decay", "dialect", "rows"):
            assert parameter.default == theirs[key].default, key


def change(state: dict[str, Any], what: str) -> dict[str, Any]:
    """A state_dict of Adam over arrays(0), spoiled."""
    group, first = state["param_groups"][0], state["state"][0]
    match what:
        case "no groups":
            del state["param_groups"]
        case "two groups":
            state["param_groups"].append(group)
        case "fewer params":
            group["params"] = group["params"][:-1]
        case "key of ours":
            group["schedule"] = 1.0
        case "key of the core":
            group["lr_factor"] = 1.0
        case "betas":
            group["betas"] = (0.9, 1.0)
        case "shape":
            first["exp_avg"] = np.zeros((4, 3), np.float32)
        case "dtype":
            first["exp_avg"] = first["exp_avg"].astype(np.int64)
        case "missing":
            del first["exp_avg_sq"]
        case "extra":
            first["momentum_buffer"] = first["exp_avg"]
        case "fraction":
            first["step"] = 1.5
        case "stranger":
            state["state"][9] = first
        case "amsgrad":
            group["amsgrad"] = True
    return state


@pytest.mark.parametrize(
    ("what", "match"),
    [
        ("no groups", "param_groups"),
        ("two groups", "1 param_groups; got 2"),
        ("fewer params", r"param_groups\[0\].*4 params; got 3"),
        ("key of ours", "'schedule'"),
        ("key of the core", "'lr_factor'"),
        ("betas", r"betas\[1\]"),
        ("shape", r"state\[0\]\['exp_avg'\].*\(3, 4\).*\(4, 3\)"),
        ("dtype", r"state\[0\]\['exp_avg'\].*float32.*int64"),
        ("missing", r"state\[0\].*exp_avg_sq"),
        ("extra", "momentum_buffer"),
        ("fraction", r"state\[0\]\['step'\]"),
        ("stranger", "9"),
        ("amsgrad", "max_exp_avg_sq"),
    ],
)
def test_load_state_dict_checks_everything_first(what: str, match: str) -> None:
    source, optimizer = schuss.Adam(arrays(0)), schuss.Adam(arrays(1), lr=0.5)
    run(source, 0, 3)
    run(optimizer, 0, 2)
    before = optimizer.state_dict()
    with pytest.raises(ValueError, match=match):
        optimizer.load_state_dict(change(source.state_dict(), what))
    np.testing.assert_equal(optimizer.state_dict(), before)
    run(optimizer, 2, 1)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"state": None, "param_groups": []}, r"state_dict\['state'\]"),
        ({"state": {}, "param_groups": None}, r"state_dict\['param_groups'\]"),
        ({"state": {}, "param_groups": [3]}, r"param_groups\[0\]"),
        ({"state": {0: 3}, "param_groups": [{"params": [0]}]}, r"state\[0\]"),
    ],
)
def test_load_state_dict_of_no_use(given: dict[str, Any], match: str) -> None:
    optimizer = schuss.Adam(np.ones(3))
    before = optimizer.state_dict()
    with pytest.raises(TypeError, match=match):
        optimizer.load_state_dict(given)
    np.testing.assert_equal(optimizer.state_dict(), before)


def test_load_state_dict_of_another_kind() -> None:
    source, optimizer = schuss.SGD(arrays(0), momentum=0.9), schuss.Adam(arrays(0))
    run(source, 0, 1)
    with pytest.raises(ValueError, match=r"state\[0\] has an entry that 'momentum_buffer'"):
        optimizer.load_state_dict(source.state_dict())


def test_misspelt_hyperparameters_are_refused_where_they_are_given() -> None:
    with pytest.raises(ValueError, match=r"'bets'.*'betas'"):
        schuss.Adam([{"params": np.ones(3), "bets": (0.9, 0.99)}])
    with pytest.raises(TypeError, match="bets"):
        schuss.Adam(np.ones(3), bets=(0.9, 0.99))  # type: ignore[call-arg]


def test_load_state_dict_in_a_running_fit() -> None:
    """The states go into the arrays that the fit holds."""
    X = np.random.default_rng(0).normal(size=(20, 2)).astype(np.float32)
    net = schuss.Network([schuss.Dense(2, 1)], seed=0)
    seen: list[int] = []

    def reset(record: schuss.EpochRecord) -> None:
        seen.append(record.optimizer.steps)
        record.optimizer.load_state_dict(fresh)

    optimizer = schuss.Adam(net.parameters)
    fresh = optimizer.state_dict()
    net.fit(X, X[:, 0], loss="mse", optimizer=optimizer, epochs=3, batch_size=10, callbacks=[reset])
    assert seen == [2, 2, 2]


# ---- names -----------------------------------------------------------------------------------------------------------


def test_names() -> None:
    assert schuss.Adagrad is schuss.AdaGrad
    assert schuss.RMSprop is schuss.RMSProp
    assert optim.by_name("adamw") is schuss.AdamW
    with pytest.raises(ValueError, match="'adam'"):
        optim.by_name("Adam")
    for name in schuss.__all__:
        assert hasattr(schuss, name)


def test_repr() -> None:
    text = repr(schuss.Adam([{"params": arrays(0)}, {"params": np.zeros(3, np.float32), "lr": 0.5}]))
    assert "Adam([(3, 4), (4,), (2, 2, 2), ()], lr=0.001" in text
    assert "lr=0.5" in text


def test_losses_are_values() -> None:
    for loss in (schuss.MSE(), schuss.Huber(2.0), schuss.CrossEntropy(0.1)):
        assert copy.deepcopy(loss) == loss == pickle.loads(pickle.dumps(loss))
        assert hash(loss) == hash(copy.copy(loss))
        with pytest.raises(AttributeError, match="immutable"):
            loss.spec = ("mse", 0.0)
    assert schuss.MSE() != schuss.MAE()
    assert schuss.Huber(1.0) != schuss.Huber(2.0)
    assert schuss.Huber(2.0).delta == 2.0
    assert schuss.CrossEntropy(0.1).label_smoothing == 0.1
