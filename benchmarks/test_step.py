"""The optimizer step as a pytest-benchmark suite: ``pytest benchmarks``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from . import step
from .step import Rule

pytest.importorskip("pytest_benchmark")


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("size", step.SIZES)
@pytest.mark.parametrize("rule", step.RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("make", step.MAKERS, ids=lambda make: make.__name__)
def test_step(benchmark: Any, make: Callable[..., Any], rule: Rule, size: int) -> None:
    benchmark.group = f"{rule.name} {size}"
    one = make(rule, *step.vectors(size))
    if one is None:
        pytest.skip("not installed, or no such form")
    benchmark(one.run, 1)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("rule", step.RULES, ids=lambda rule: rule.name)
def test_all_do_the_same(rule: Rule) -> None:
    _, difference = step.contenders(rule, 10_000)
    assert difference < 1e-3
