"""A small, fixed share of the attack; ``python -m tests.attack`` makes as much of it as is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from . import __main__ as program
from . import functions
from .networks import Networks
from .optimizers import Optimizers


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("subject", "examples"),
    [(Optimizers, 40), (Networks, 30), (functions.minimizations, 80), (functions.estimators, 40)],
)
def test_attack(subject: Any, examples: int, keep_isa: None) -> None:
    program.attack(subject, program.plan(examples, derandomize=True))
