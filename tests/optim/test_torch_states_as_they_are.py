"""States as torch leaves them: after schedulers, by named_parameters, with parameters that made fewer steps or none."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal

import schuss
from tests.reference.rule_cases import MATRIX_CASES, Case

torch: Any = pytest.importorskip("torch")

from tests.optim.test_rules_torch import TORCH_CASES, TORCH_NAME, iterated, scalars_in_double  # noqa: E402

__all__ = ["scalars_in_double"]
SHAPES = [(31, 7), (7,), (1,), (5, 4), (3,)]
MUON = [case for case in MATRIX_CASES if case.optimizer == "Muon" and "maximize" not in case.options]
CASES = [*TORCH_CASES, *MUON]
NEVER = 4  # this one has no gradient before the state is taken


def cycles_momentum(optimizer: Any) -> bool:
    return "momentum" in optimizer.defaults or "betas" in optimizer.defaults


# Which leave something in groups, or tensors in them.
SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "OneCycleLR": lambda o: torch.optim.lr_scheduler.OneCycleLR(
        o, max_lr=0.05, total_steps=60, cycle_momentum=cycles_momentum(o)
    ),
    "CyclicLR": lambda o: torch.optim.lr_scheduler.CyclicLR(
        o, base_lr=0.001, max_lr=0.05, step_size_up=7, cycle_momentum=cycles_momentum(o)
    ),
    "SWALR": lambda o: torch.optim.swa_utils.SWALR(o, swa_lr=0.02, anneal_epochs=10),
    "LambdaLR": lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda t: 0.9**t),
    "MultiplicativeLR": lambda o: torch.optim.lr_scheduler.MultiplicativeLR(o, lambda t: 0.9),
    "CosineAnnealingWarmRestarts": lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=6),
    "ReduceLROnPlateau": lambda o: torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=2),
}


def shapes_of(case: Case) -> list[Any]:
    return [(31, 7), (7, 31), (20, 20), (1, 5), (6, 3)] if case.optimizer == "Muon" else SHAPES


def gradients(seed: int, shapes: list[Any], dtype: str, first: bool) -> list[np.ndarray | None]:
    """Some are missing."""
    rng = np.random.default_rng(seed)
    drawn = [(rng.normal(size=shape).astype(dtype), rng.random()) for shape in shapes]
    return [None if chance < 0.3 or (first and k == NEVER) else g for k, (g, chance) in enumerate(drawn)]


def torch_step(optimizer: Any, params: list[Any], grads: list[np.ndarray | None]) -> None:
    for p, g in zip(params, grads, strict=True):
        p.grad = None if g is None else torch.tensor(g)
    optimizer.step()


def made_in_torch(case: Case, dtype: str, named: bool = False) -> tuple[Any, list[Any]]:
    rng = np.random.default_rng(1)
    params = [torch.tensor(rng.normal(size=s).astype(dtype), requires_grad=True) for s in shapes_of(case)]
    name = "Muon" if case.optimizer == "Muon" else TORCH_NAME[case.optimizer]
    given: Any = [(f"layer.{k}", p) for k, p in enumerate(params)] if named else params
    return getattr(torch.optim, name)(given, **case.options), params


def assert_close(ours: list[Any], theirs: list[Any], tolerance: float) -> None:
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p, q.detach().numpy(), rtol=0, atol=tolerance * max(1e-30, np.abs(p).max()))


def there_and_back(case: Case, optimizer: Any, params: list[Any], dtype: str, tolerance: float) -> Any:
    """Ours goes on from torch's state, and torch again from ours."""
    shapes = shapes_of(case)
    ours = [q.detach().numpy().copy() for q in params]
    opt = getattr(schuss, case.optimizer)(ours)
    opt.load_state_dict(optimizer.state_dict())
    for t in range(100, 120):
        grads = gradients(t, shapes, dtype, False)
        opt.step(grads)
        torch_step(optimizer, params, grads)
    assert_close(ours, params, tolerance)
    again = [torch.tensor(p, requires_grad=True) for p in ours]
    other = type(optimizer)(again)
    other.load_state_dict(opt.state_dict(like="torch"))
    for t in range(120, 140):
        grads = gradients(t, shapes, dtype, False)
        opt.step(grads)
        torch_step(other, again, grads)
    assert_close(ours, again, tolerance)
    return opt


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 3e-5), ("float64", 1e-11)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_after_each_scheduler(
    case: Case, dtype: str, tolerance: float, scalars_in_double: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.optim._muon._zeropower_via_newtonschulz", iterated)
    shapes = shapes_of(case)
    for name, scheduler_of in SCHEDULERS.items():
        optimizer, params = made_in_torch(case, dtype, named=name in ("SWALR", "OneCycleLR"))
        scheduler = scheduler_of(optimizer)
        for t in range(20):
            torch_step(optimizer, params, gradients(t, shapes, dtype, True))
            scheduler.step(*((1.0,) if name == "ReduceLROnPlateau" else ()))
        if case.optimizer == "ASGD":  # there a rate is used from the step after the next on
            torch_step(optimizer, params, [np.ones(shape, dtype) for shape in shapes])
        left = {key: optimizer.param_groups[0][key] for key in optimizer.param_groups[0] if "_" in key}
        opt = there_and_back(case, optimizer, params, dtype, tolerance)
        # What nobody here reads is given back.
        mine = opt.state_dict(like="torch")["param_groups"][0]
        for key in ("initial_lr", "max_lr", "min_lr", "base_momentum", "max_momentum", "swa_lr", "param_names"):
            assert (key in mine) == (key in left), key
            if key in left:
                assert mine[key] == left[key] and type(mine[key]) is type(left[key]), key


def test_a_scheduler_of_torchs_goes_on_over_a_state_of_ours() -> None:
    case = Case("Adam")
    optimizer, params = made_in_torch(case, "float32")
    scheduler = SCHEDULERS["OneCycleLR"](optimizer)
    for t in range(20):
        torch_step(optimizer, params, gradients(t, SHAPES, "float32", True))
        scheduler.step()
    opt = schuss.Adam([q.detach().numpy().copy() for q in params])
    opt.load_state_dict(optimizer.state_dict())
    again = [q.detach().clone().requires_grad_() for q in params]
    other = torch.optim.Adam(again)
    resumed = SCHEDULERS["OneCycleLR"](other)
    other.load_state_dict(opt.state_dict(like="torch"))
    resumed.load_state_dict(scheduler.state_dict())
    for _ in range(5):
        torch_step(other, again, gradients(7, SHAPES, "float32", False))
        torch_step(optimizer, params, gradients(7, SHAPES, "float32", False))
        resumed.step()
        scheduler.step()
        assert other.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    for p, q in zip(again, params, strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", [Case("Adam"), Case("SGD", {"lr": 0.1, "momentum": 0.9}), Case("NAdam")], ids=str)
def test_hyperparameters_that_are_tensors(case: Case) -> None:
    """Those that need a gradient, too; and numbers of 1 element."""
    options: dict[str, Any] = dict(case.options)
    options["lr"] = torch.tensor(0.02, dtype=torch.float64)
    optimizer, params = made_in_torch(Case(case.optimizer, options), "float32")
    for t in range(5):
        torch_step(optimizer, params, gradients(t, SHAPES, "float32", True))
    state = optimizer.state_dict()
    state["param_groups"][0]["lr"] = torch.tensor([0.02], dtype=torch.float64, requires_grad=True)
    state["param_groups"][0]["weight_decay"] = torch.tensor(0.5, dtype=torch.bfloat16)
    optimizer.param_groups[0]["weight_decay"] = 0.5
    opt = getattr(schuss, case.optimizer)([q.detach().numpy().copy() for q in params])
    opt.load_state_dict(state)
    assert (opt.param_groups[0]["lr"], opt.param_groups[0]["weight_decay"]) == (0.02, 0.5)
    assert type(opt.param_groups[0]["lr"]) is float
    grads = gradients(9, SHAPES, "float32", False)
    opt.step(grads)
    torch_step(optimizer, params, grads)
    assert_close(opt._stepper.params, params, 1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("given", ["bfloat16", "float16", "float32", "float64"])
@pytest.mark.parametrize("as_arrays", [False, True])
def test_states_of_other_dtypes_are_rounded_once(dtype: Any, given: str, as_arrays: bool) -> None:
    drawn = torch.tensor(np.random.default_rng(0).normal(size=(40, 3)) ** 2).to(getattr(torch, given))
    value: Any = drawn.clone().requires_grad_()
    if as_arrays:
        ml_dtypes = pytest.importorskip("ml_dtypes")
        value = drawn.double().numpy().astype(ml_dtypes.bfloat16 if given == "bfloat16" else given)
    opt = schuss.Adam(np.ones((40, 3), dtype))
    step = torch.tensor(3.0, dtype=torch.bfloat16, requires_grad=True)
    opt.load_state_dict(
        {
            "state": {0: {"step": step, "exp_avg": value, "exp_avg_sq": value}},
            "param_groups": [{"params": [0]}],
        }
    )
    assert opt.steps == 3
    (state,) = opt.state_dict()["state"].values()
    assert state["exp_avg"].dtype == dtype
    assert_array_equal(state["exp_avg"], drawn.double().numpy().astype(dtype))


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.full((2, 2), 1e300), "must hold numbers that float32 can hold"),
        (np.ones((2, 2), np.int64), r"must be float32 of shape \(2, 2\); got int64"),
        (np.ones((2, 2), np.complex64), "got complex64"),
        (np.ones((2, 2), bool), "got bool"),
        (torch.ones(2, 2, dtype=torch.int64), "got int64"),
        (torch.ones(2, 3, dtype=torch.bfloat16), r"got float32 of shape \(2, 3\)"),
        ("text", "got <U4"),
    ],
    ids=str,
)
def test_states_of_no_use(value: Any, match: str) -> None:
    optimizer = schuss.Adam(np.ones((2, 2), np.float32))
    optimizer.step(np.ones((2, 2), np.float32))
    before = optimizer.state_dict()
    state = optimizer.state_dict()
    state["state"][0]["exp_avg_sq"] = value
    with pytest.raises(ValueError, match=rf"state\[0\]\['exp_avg_sq'\].*{match}"):
        optimizer.load_state_dict(state)
    assert_equal(optimizer.state_dict(), before)


def test_infinities_and_nan_stay() -> None:
    optimizer = schuss.Adam(np.ones(3, np.float32))
    wild = np.array([np.inf, -np.inf, np.nan])
    optimizer.load_state_dict(
        {"state": {0: {"step": 1, "exp_avg": wild, "exp_avg_sq": wild}}, "param_groups": [{"params": [0]}]}
    )
    assert_array_equal(optimizer.state_dict()["state"][0]["exp_avg"], wild)


# ---- what others keep in groups --------------------------------------------------------------------------------------


def test_keys_of_the_users_are_kept_and_given_back(tmp_path: Path) -> None:
    own = {"name": "backbone", "depth": 3, "scales": [0.5, 1], "more": {"a": None}, "param_names": ["w"]}
    net = schuss.Network([schuss.Dense(2, 1, bias=False)], seed=0)
    optimizer = schuss.Adam(net.parameters)
    optimizer.load_state_dict({"state": {}, "param_groups": [{"params": [0], "lr": 0.5, **own}]})
    optimizer.param_groups[0]["mine"] = 7
    own["mine"] = 7
    for like in ("numpy", "torch"):
        group = optimizer.state_dict(like=like)["param_groups"][0]
        assert {key: group[key] for key in own} == own
    optimizer.step([np.ones((2, 1), np.float32)])
    optimizer.load_state_dict(schuss.Adam(net.parameters, lr=0.25).state_dict())  # which has none
    assert {key: optimizer.param_groups[0][key] for key in own} == own
    assert optimizer.param_groups[0]["lr"] == 0.25
    assert optimizer.steps == 0
    for ending in ("npz", "safetensors"):
        net.save(tmp_path / f"net.{ending}", optimizer)
        again = schuss.load(tmp_path / f"net.{ending}").optimizer
        assert again is not None
        assert {key: again.param_groups[0][key] for key in own} == own
        again.step([np.ones((2, 1), np.float32)])
    optimizer.param_groups[0]["odd"] = object()
    with pytest.raises(TypeError, match=r"param_groups\[0\]\['odd'\] must be numbers and text to be saved"):
        net.save(tmp_path / "other.npz", optimizer)
    assert not (tmp_path / "other.npz").exists()
    for key in ("schedule", "rule", "decoupled", "lr_factor"):
        with pytest.raises(ValueError, match=f"'{key}' is not known"):
            optimizer.load_state_dict({"state": {}, "param_groups": [{"params": [0], key: 0.5}]})


def test_a_group_with_such_keys_is_not_read_again_each_step() -> None:
    """Its own values may be of any type; what it is asked for is seen to be the same."""
    optimizer = schuss.SGD(np.ones(3), lr=1.0)
    optimizer.param_groups[0]["param_names"] = ["w"]
    optimizer.step(np.zeros(3))
    optimizer.param_groups[0]["lr"] = 0.5
    optimizer.step(np.ones(3))
    assert_array_equal(optimizer.param_groups[0]["params"][0], 0.5)


def test_the_table_of_optimizers_is_torchs() -> None:
    """But for its own SparseAdam, for sparse gradients alone, and L-BFGS, whose state is of another kind."""
    theirs = {
        name
        for name, kind in vars(torch.optim).items()
        if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)
    }
    assert theirs - {"Optimizer", "SparseAdam", "LBFGS"} == {*TORCH_NAME.values(), "Muon"}


def test_sparse_adam_there_and_back() -> None:
    torch.sparse.check_sparse_tensor_invariants.enable()
    rows = schuss.Rows([1, 3], np.ones((2, 2), np.float32))

    def step(params: Any, optimizer: Any) -> None:
        params.grad = torch.sparse_coo_tensor(torch.tensor([[1, 3]]), torch.ones(2, 2), (5, 2))
        optimizer.step()

    p = torch.ones(5, 2, requires_grad=True)
    theirs = torch.optim.SparseAdam([p])
    step(p, theirs)
    ours = schuss.SparseAdam(p.detach().numpy().copy())
    ours.load_state_dict(theirs.state_dict())
    step(p, theirs)
    ours.step([rows])
    assert_close(ours._stepper.params, [p], 1e-6)
    q = torch.tensor(ours._stepper.params[0], requires_grad=True)
    other = torch.optim.SparseAdam([q])
    other.load_state_dict(ours.state_dict(like="torch"))
    step(q, other)
    ours.step([rows])
    assert_close(ours._stepper.params, [q], 1e-6)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_before_the_first_step(case: Case, scalars_in_double: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.optim._muon._zeropower_via_newtonschulz", iterated)
    optimizer, params = made_in_torch(case, "float64")
    there_and_back(case, optimizer, params, "float64", 1e-11)
    optimizer, params = made_in_torch(case, "float64")
    ours = [q.detach().numpy().copy() for q in params]
    opt = getattr(schuss, case.optimizer)(ours, **case.options)
    optimizer.load_state_dict(opt.state_dict(like="torch"))
    for t in range(5):
        grads = gradients(t, shapes_of(case), "float64", True)
        opt.step(grads)
        torch_step(optimizer, params, grads)
    assert_close(ours, params, 1e-11)
