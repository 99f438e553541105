"""Attacks of any size, one seed after the other: ``python -m tests.attack [SECONDS] [SEED]``. Prints how many calls
were made; ends with 1 where one did what it must not."""

from __future__ import annotations

import faulthandler
import sys
import traceback
import warnings
from time import monotonic
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from . import calls, functions
from .crowds import crowds
from .networks import Networks
from .optimizers import Optimizers
from .sequences import sequences

ATTACKS: tuple[Any, ...] = (
    Optimizers,
    Networks,
    functions.minimizations,
    functions.estimators,
    functions.files,
    crowds,
    sequences,
)
PATIENCE = 300  # seconds for one seed: more is a hang


def plan(examples: int, steps: int = 20, **more: Any) -> settings:
    """Nothing is kept from run to run, and nothing is shortened."""
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),
        **more,
    )


def attack(subject: Any, how: settings, seed: int | None = None) -> None:
    """Run one machine or function; raises what it found."""
    if isinstance(subject, type):
        machine = type(subject.__name__, (subject,), {})
        machine = machine if seed is None else seeded(seed)(machine)
        run_state_machine_as_test(machine, settings=how)
    else:
        found = how(given(st.data())(subject))
        (found if seed is None else seeded(seed)(found))()


def main(seconds: float = 60, seed: int = 0) -> int:
    faulthandler.enable()
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    end, found, first = monotonic() + seconds, set(), seed
    while monotonic() < end:
        for subject in ATTACKS:
            faulthandler.dump_traceback_later(PATIENCE, exit=True)
            try:
                attack(subject, plan(4), seed)
            except Exception as error:
                key = type(error), str(error)[:60]
                if key not in found:
                    found.add(key)
                    print(f"--- {subject.__name__}, seed {seed}:", flush=True)
                    traceback.print_exception(error)
        seed += 1
    faulthandler.cancel_dump_traceback_later()
    total, refused = sum(calls.made.values()), sum(calls.refusals.values())
    print(f"attack: seeds {first} to {seed - 1}, {total} calls, {refused} refused, {len(found)} findings")
    for name, count in sorted(calls.made.items()):
        print(f"    {name}: {count}, refused {calls.refusals[name]}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
