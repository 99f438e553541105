"""Optimizers against torch.optim, with every option, over 200 steps."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import schuss
from tests.reference.rule_cases import ARRAY_CASES, MATRIX_CASES, RULE_CASES, Case

torch: Any = pytest.importorskip("torch")

TORCH_NAME = {"SGD": "SGD", "AdaGrad": "Adagrad", "RMSProp": "RMSprop", "Adam": "Adam", "AdamW": "AdamW"}
TORCH_NAME |= {"ASGD": "ASGD", "Rprop": "Rprop"}
TORCH_NAME |= {"Adadelta": "Adadelta", "Adamax": "Adamax", "NAdam": "NAdam", "RAdam": "RAdam"}
TORCH_NAME |= {"Adafactor": "Adafactor", "Muon": "Muon"}
TORCH_CASES = [
    case for case in RULE_CASES + ARRAY_CASES if case.optimizer in TORCH_NAME and "dialect" not in case.options
]


@pytest.fixture
def scalars_in_double() -> Iterator[None]:
    """Torch's optimizers keep numbers such as ASGD's rate in its default dtype, whatever that of the parameters."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11)])
@pytest.mark.parametrize("case", TORCH_CASES, ids=str)
def test_follows_torch(case: Case, dtype: str, tolerance: float, scalars_in_double: None) -> None:
    """Within the tolerance of the largest parameter."""
    rng = np.random.default_rng(7)
    shapes = [(31, 7), (7,), (1,)]
    if case in ARRAY_CASES:
        shapes += [(), (1, 9), (130, 140), (3, 4, 5), (50, 2, 3, 3)]
    params = [rng.normal(size=s).astype(dtype) for s in shapes]
    theirs = [torch.tensor(p, requires_grad=True) for p in params]
    opt = getattr(schuss, case.optimizer)(params, **case.options)
    torch_opt = getattr(torch.optim, TORCH_NAME[case.optimizer])(theirs, **case.options)
    for _ in range(200):
        grads = [rng.normal(size=s).astype(dtype) for s in shapes]
        opt.step(grads)
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(g)
        torch_opt.step()
    wanted = [q.detach().numpy() for q in theirs]
    largest = max(np.max(np.abs(q)) for q in wanted)
    for p, q in zip(params, wanted, strict=True):
        assert np.max(np.abs(p - q)) <= tolerance * largest


def iterated(grad: Any, ns_coefficients: tuple[float, float, float], ns_steps: int, eps: float) -> Any:
    """Muon's iteration as torch has it, but in the dtype of the gradient and not in bfloat16."""
    a, b, c = ns_coefficients
    x = grad.T if grad.size(0) > grad.size(1) else grad
    x = x / x.norm().clamp(min=eps)
    for _ in range(ns_steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if grad.size(0) > grad.size(1) else x


# Of the change of the parameters. bfloat16 has 8 bits.
MUON_TOLERANCE = {"float32": 1e-5, "float64": 1e-11, "bfloat16": 0.03}


@pytest.fixture
def one_torch_thread() -> Iterator[None]:
    """Small products on many threads wait for CPUs that others have."""
    found = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(found)


@pytest.mark.parametrize("precision", list(MUON_TOLERANCE))
@pytest.mark.parametrize("case", [case for case in MATRIX_CASES if case.optimizer == "Muon"], ids=str)
def test_muon_follows_torch(
    case: Case, precision: str, monkeypatch: pytest.MonkeyPatch, one_torch_thread: None
) -> None:
    """And states go there and back after 100 steps of 200."""
    if precision != "bfloat16":
        monkeypatch.setattr("torch.optim._muon._zeropower_via_newtonschulz", iterated)
    dtype = "float32" if precision == "bfloat16" else precision
    rng = np.random.default_rng(7)
    shapes = [(31, 7), (7, 31), (20, 20), (1, 5), (70, 64)]
    start = [rng.normal(size=s).astype(dtype) for s in shapes]
    params = [p.copy() for p in start]
    theirs = [torch.tensor(p, requires_grad=True) for p in start]
    of_torch = {name: value for name, value in case.options.items() if name != "maximize"}
    opt, torch_opt = schuss.Muon(params, **case.options), torch.optim.Muon(theirs, **of_torch)
    sign = -1 if case.options.get("maximize") else 1
    for step in range(200):
        grads = [rng.normal(size=s).astype(dtype) for s in shapes]
        opt.step(grads)
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(sign * g)
        torch_opt.step()
        if step == 99:
            ours, state = opt.state_dict(like="torch"), torch_opt.state_dict()
            torch_opt.load_state_dict(ours)
            opt.load_state_dict(state)
    for p, q, before in zip(params, theirs, start, strict=True):
        assert np.max(np.abs(p - q.detach().numpy())) <= MUON_TOLERANCE[precision] * np.max(np.abs(p - before))


@pytest.mark.parametrize("name", list(TORCH_NAME))
def test_defaults_are_torchs(name: str) -> None:
    ours = inspect.signature(getattr(schuss, name)).parameters
    theirs = inspect.signature(getattr(torch.optim, TORCH_NAME[name])).parameters
    of_torch_alone = {"params", "foreach", "fused", "capturable", "differentiable"}
    for option in theirs.keys() - of_torch_alone:
        assert option in ours
        assert ours[option].default == theirs[option].default, option


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11)])
@pytest.mark.parametrize("options", [{}, {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3, "maximize": True}])
def test_sparse_adam(options: dict[str, Any], dtype: str, tolerance: float) -> None:
    """With rows that come twice in a batch, and rows that never come."""
    rng = np.random.default_rng(3)
    p = rng.normal(size=(20, 7)).astype(dtype)
    theirs = torch.tensor(p, requires_grad=True)
    torch.sparse.check_sparse_tensor_invariants.enable()
    opt, torch_opt = schuss.SparseAdam(p, **options), torch.optim.SparseAdam([theirs], **options)
    for _ in range(200):
        index = rng.integers(0, 15, 9)
        rows = rng.normal(size=(9, 7)).astype(dtype)
        opt.step([schuss.Rows(index, rows)])
        theirs.grad = torch.sparse_coo_tensor(torch.tensor(index)[None], torch.tensor(rows), p.shape)
        torch_opt.step()
    wanted = theirs.detach().numpy()
    assert np.max(np.abs(p - wanted)) <= tolerance * np.max(np.abs(wanted))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11)])
@pytest.mark.parametrize("case", [*TORCH_CASES, *(case for case in MATRIX_CASES if case.optimizer == "Muon")], ids=str)
def test_follows_torch_where_gradients_are_missing(
    case: Case, dtype: str, tolerance: float, scalars_in_double: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At random; one parameter is frozen for 70 steps, one is from step 120 on, and in some steps there is none."""
    monkeypatch.setattr("torch.optim._muon._zeropower_via_newtonschulz", iterated)
    rng = np.random.default_rng(7)
    shapes = (
        [(31, 7), (7, 5), (3, 9), (20, 20), (4, 6)] if case.optimizer == "Muon" else [(31, 7), (7,), (1,), (3, 4), (9,)]
    )
    params = [rng.normal(size=s).astype(dtype) for s in shapes]
    start = [p.copy() for p in params]
    theirs = [torch.tensor(p, requires_grad=True) for p in params]
    opt = getattr(schuss, case.optimizer)(params, **case.options)
    of_torch = {name: value for name, value in case.options.items() if (case.optimizer, name) != ("Muon", "maximize")}
    torch_opt = getattr(torch.optim, TORCH_NAME[case.optimizer])(theirs, **of_torch)
    sign = -1 if case.optimizer == "Muon" and case.options.get("maximize") else 1
    for step in range(200):
        grads: list[Any] = [rng.normal(size=s).astype(dtype) for s in shapes]
        chances = rng.random(len(shapes))
        for k, chance in enumerate(chances):
            if chance < 0.3 or step % 50 == 3 or (k == 3 and step < 70) or (k == 4 and step >= 120):
                grads[k] = None
        opt.step(grads)
        for p, g in zip(theirs, grads, strict=True):
            p.grad = None if g is None else torch.tensor(sign * g)
        torch_opt.step()
    assert opt.steps == 200
    wanted = [q.detach().numpy() for q in theirs]
    of_change = case.optimizer == "Muon"
    largest = max(np.max(np.abs(q - p if of_change else q)) for q, p in zip(wanted, start, strict=True))
    for p, q in zip(params, wanted, strict=True):
        assert np.max(np.abs(p - q)) <= tolerance * largest
