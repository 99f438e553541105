"""A small, fixed share of the attack; ``python -m tests.attack`` makes as much of it as is wanted."""

from __future__ import annotations

from typing import Any

import pytest

from . import __main__ as program

# Examples of each, in the order in which the program has them.
SHARES = (50, 40, 150, 60, 100, 6, 60)


def attack(subject: Any, examples: int) -> None:
    program.attack(subject, program.plan(examples, derandomize=True))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("k", range(len(SHARES)), ids=[subject.__name__ for subject in program.ATTACKS])
def test_attack(k: int, keep_isa: None) -> None:
    attack(program.ATTACKS[k], SHARES[k])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_few_of_each(keep_isa: None) -> None:
    for subject in program.ATTACKS:
        attack(subject, 2)
