"""The optimizer step as a pytest-benchmark suite: ``pytest benchmarks``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import schuss

from . import optimizers, step, step_peers
from .optimizers import Optimizer
from .step_peers import Problem, Stepping

each_optimizer = pytest.mark.parametrize("optimizer", optimizers.present(), ids=lambda optimizer: optimizer.name)


def test_every_optimizer_has_a_row() -> None:
    rows = [one.name for one in optimizers.ALL]
    assert len(rows) == len(set(rows))
    assert {kind.__name__ for kind in schuss.optim.BY_NAME.values()} <= set(rows)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("size", step.SIZES[:5])
@each_optimizer
@pytest.mark.parametrize("make", step_peers.MAKERS, ids=lambda make: make.__name__)
def test_step(benchmark: Any, make: Callable[[Problem], Stepping | None], optimizer: Optimizer, size: int) -> None:
    pytest.importorskip("pytest_benchmark")
    if size > optimizer.most or optimizer.form == "closure":
        pytest.skip("seconds of arithmetic, or a closure")
    benchmark.group = f"{optimizer.name} {size}"
    one = make(step_peers.problem(optimizer, size))
    if one is None:
        pytest.skip("not installed, or no such form")
    benchmark(one.run, 1)


@pytest.mark.filterwarnings("default")
@each_optimizer
def test_all_do_the_same(optimizer: Optimizer) -> None:
    _, difference = step.contenders(step_peers.problem(optimizer, 10_000))
    assert difference < 1e-3
