"""The training step as a pytest-benchmark suite: ``pytest benchmarks``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from . import comparison, train
from .cases import CASES, Case
from .peers import PEERS

pytest.importorskip("pytest_benchmark")

# The largest networks take a minute each.
SMALL = [case for case in CASES if case.operations < 1e9]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("case", SMALL, ids=str)
@pytest.mark.parametrize("make", [*train.OURS, *PEERS], ids=lambda make: make.__name__)
def test_step(benchmark: Any, make: Callable[[Case], Any], case: Case) -> None:
    benchmark.group = f"train {case}"
    one = make(case)
    if one is None:
        pytest.skip("not installed")
    one.losses(case.checked_steps)
    # One number is the time of so many steps.
    benchmark.extra_info["steps"] = one.unit
    benchmark(one.run, 1)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("case", SMALL, ids=str)
def test_all_do_the_same(case: Case) -> None:
    _, apart = comparison.contenders(train.makers(), case)
    assert max(apart.values()) < 2e-3
