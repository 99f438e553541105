"""The table of the benchmarks: a row for each optimizer, whose counts of arrays and whose memory are what they say."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import schuss
from benchmarks import optimizers, step_peers
from tests.interpreter import script

ROWS = optimizers.present()
# Beyond parameters, gradients and states, in bytes: what matrix products need is as large as the matrix.
MOST = 1_000_000
WORKING = {"Muon", "SOAP", "LBFGS"}

# Memory of 64 KiB and more comes from the system and goes back at once, so nothing freed before counts as there.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
MEASURE = """
import sys
sys.path.insert(0, root)
import numpy as np
import schuss
from benchmarks import optimizers, step_peers

def now(name):
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(name))

schuss.set_num_threads(2)
for optimizer in optimizers.present(names):
    for size in (100_000, 4_000_000):  # the first brings in code, threads and their stacks
        given = step_peers.problem(optimizer, size)
        made = step_peers.own(given)
        made.run(2)  # all states have been written
        with open("/proc/self/clear_refs", "w") as peak:
            peak.write("5")
        before = now("VmRSS")
        made.run(2)
        peak = now("VmHWM") - before
    print(optimizer.name, peak)
"""


def test_every_optimizer_has_a_row() -> None:
    names = [one.name for one in optimizers.ALL]
    assert len(names) == len(set(names))
    assert {kind.__name__ for kind in schuss.optim.BY_NAME.values()} | {"LBFGS"} == {one.name for one in ROWS}


@pytest.mark.parametrize("row", [row for row in ROWS if row.name != "LBFGS"], ids=lambda row: row.name)
def test_states_of_a_row(row: optimizers.Optimizer) -> None:
    """The passes over memory read the parameters, the gradient and all states of their size, each pass no more."""
    optimizer, parameters, grads = step_peers.made(step_peers.problem(row, 10_000))
    optimizer.step(grads)
    states = [state for state in optimizer._stepper.states[0] if state is not None and state.size == parameters[0].size]
    reads = [arrays for arrays, _ in row.passes]
    assert max(reads) <= 2 + len(states) <= sum(reads)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads and writes /proc")
def test_steps_need_no_memory_of_their_own() -> None:
    """Steps of 4M parameters, on two threads; the system may be wrong by some hundred KiB."""
    names = [row.name for row in ROWS if row.name not in WORKING]
    code = f"names, root = {names}, {str(Path(__file__).parents[2])!r}\n{MEASURE}"
    runs = [dict(line.split() for line in script(code, **MALLOC).splitlines()) for _ in range(3)]
    found = {name: min(int(run[name]) for run in runs) for name in names}
    assert {name: peak for name, peak in found.items() if peak > MOST} == {}
