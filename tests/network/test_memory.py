"""The peak of a fit's memory: parameters, the optimizer's states, activations, two batches, and little else."""

from __future__ import annotations

import sys

import pytest

from tests.interpreter import script

# Memory of 64 KiB and more comes from the system and goes back to it at once, so that nothing freed before counts as
# there already. The warm-up brings in code, worker threads and their stacks.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
MEASURE = """
import numpy as np
import schuss

UNITS, BATCH = (784, 512, 512, 10), 128

def now(name):
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(name))

def fit(units, epochs):
    layers = [schuss.Dense(a, b, "relu") for a, b in zip(units, units[1:-1])]
    net = schuss.Network([*layers, schuss.Dense(*units[-2:])], seed=0)
    net.fit(
        X, y, loss="cross_entropy", optimizer=schuss.Adam(net.parameters), epochs=epochs, batch_size=BATCH,
        restore_on_divergence=False, clip_norm=clip_norm,
    )
    return net

schuss.set_num_threads(threads)
rng = np.random.default_rng(0)
X, y = rng.standard_normal((5 * BATCH, UNITS[0]), dtype=np.float32), rng.integers(0, UNITS[-1], 5 * BATCH)
fit((784, 64, 10), 2)
before = now("VmRSS")
net = fit(UNITS, 3)
assert now("VmHWM") > before + 2 * net.n_parameters * 4
print(now("VmHWM") - before, net.n_parameters * 4, BATCH * sum(UNITS[1:]) * 4, BATCH * UNITS[0] * 4)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("arenas", "clip_norm"), [(3, None), (4, 1.0)], ids=["fused", "global norm"])
def test_peak_of_a_fit(arenas: int, clip_norm: float | None, threads: int) -> None:
    """What is resident at most, less what was resident before the network was made.

    Allowed are 1.05 times the sum of: the parameters and Adam's two states, and where the norm of all gradients is
    needed the gradients; every layer's outputs for one batch; two batches of X. Data and code are there before. The
    system counts pages a CPU at a time and may be wrong by some hundred KiB: the middle of three runs counts.
    """
    cpus = "import os\nos.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])\n"
    settings = f"threads, clip_norm = {threads}, {clip_norm}\n"
    runs = [[int(n) for n in script(cpus + settings + MEASURE, **MALLOC).split()] for _ in range(3)]
    peak, parameters, activations, batch = sorted(runs)[1]
    assert peak <= 1.05 * (arenas * parameters + activations + 2 * batch)
