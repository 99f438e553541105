"""Parameters and gradients for tests."""

from __future__ import annotations

from typing import Any

import pytest

torch: Any = pytest.importorskip("torch")


def parameters(shapes: list[tuple[int, ...]], dtype: Any = None, seed: int = 7) -> list[Any]:
    """Parameters of normal numbers."""
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype or torch.float32))
        for shape in shapes
    ]


def clones(params: list[Any]) -> list[Any]:
    """The same parameters again, over memory of their own."""
    return [torch.nn.Parameter(p.detach().clone(memory_format=torch.preserve_format)) for p in params]


def give(params: list[Any], *others: list[Any], seed: int) -> None:
    """Gives each parameter a gradient that lies as it does, and parameters of the same place the same one."""
    generator = torch.Generator().manual_seed(1000 + seed)
    for same in zip(params, *others, strict=True):
        grad = torch.randn(same[0].shape, generator=generator, dtype=torch.float64)
        for p in same:
            p.grad = torch.empty_like(p).copy_(grad)


def train(optimizer: Any, params: list[Any], first: int, last: int) -> None:
    """Steps with gradients of these numbers."""
    for t in range(first, last):
        give(params, seed=t)
        optimizer.step()


def difference(ours: list[Any], theirs: list[Any]) -> float:
    """The largest, as a share of the largest parameter."""
    largest = max(float(q.detach().abs().max()) for q in theirs)
    return max(float((p - q).detach().abs().max()) for p, q in zip(ours, theirs, strict=True)) / largest


def same_bits(ours: list[Any], theirs: list[Any]) -> bool:
    """Whether all elements are the same; NaN is."""
    return all(
        torch.equal(p.detach().nan_to_num(7), q.detach().nan_to_num(7)) for p, q in zip(ours, theirs, strict=True)
    )
