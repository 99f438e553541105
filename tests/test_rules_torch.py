"""Optimizers against torch.optim, with every option, over 200 steps."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import schuss
from tests.reference.rule_cases import RULE_CASES, Case

torch: Any = pytest.importorskip("torch")

TORCH_NAME = {"SGD": "SGD", "AdaGrad": "Adagrad", "RMSProp": "RMSprop", "Adam": "Adam", "AdamW": "AdamW"}
TORCH_NAME |= {"ASGD": "ASGD", "Rprop": "Rprop"}
TORCH_NAME |= {"Adadelta": "Adadelta", "Adamax": "Adamax", "NAdam": "NAdam", "RAdam": "RAdam"}
TORCH_CASES = [case for case in RULE_CASES if case.optimizer in TORCH_NAME and "dialect" not in case.options]


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
