"""States go from torch's optimizers to ours and back, mid-run, for every optimizer that both have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import schuss
from tests.reference.rule_cases import Case

torch: Any = pytest.importorskip("torch")

from tests.optim.test_rules_torch import TORCH_CASES, TORCH_NAME, scalars_in_double  # noqa: E402

__all__ = ["scalars_in_double"]
SHAPES = [(31, 7), (7,), (1,)]


def gradients(t: int) -> list[Any]:
    rng = np.random.default_rng(t)
    return [rng.normal(size=shape) for shape in SHAPES]


def torch_steps(optimizer: Any, params: list[Any], first: int, last: int) -> None:
    for t in range(first, last):
        for p, g in zip(params, gradients(t), strict=True):
            p.grad = torch.tensor(g)
        optimizer.step()


def assert_close(ours: list[Any], theirs: list[Any]) -> None:
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p, q.detach().numpy(), rtol=0, atol=1e-11 * np.abs(p).max())


@pytest.mark.parametrize("case", TORCH_CASES, ids=str)
@pytest.mark.parametrize("steps", [0, 5])
def test_there_and_back(case: Case, steps: int, scalars_in_double: None) -> None:
    start = gradients(99)
    theirs = [torch.tensor(p, requires_grad=True) for p in start]
    torch_opt = getattr(torch.optim, TORCH_NAME[case.optimizer])(theirs, **case.options)
    torch_steps(torch_opt, theirs, 0, steps)
    ours = [q.detach().numpy().copy() for q in theirs]
    opt = getattr(schuss, case.optimizer)(ours)
    opt.load_state_dict(torch_opt.state_dict())
    for t in range(5, 10):
        opt.step(gradients(t))
    torch_steps(torch_opt, theirs, 5, 10)
    assert_close(ours, theirs)
    again = [torch.tensor(p, requires_grad=True) for p in ours]
    other = getattr(torch.optim, TORCH_NAME[case.optimizer])(again)
    other.load_state_dict(opt.state_dict(like="torch"))
    torch_steps(other, again, 10, 15)
    for t in range(10, 15):
        opt.step(gradients(t))
    assert_close(ours, again)
