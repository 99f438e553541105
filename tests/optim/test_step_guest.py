"""Optimizer steps as guests: two threads at once, after a fork, under Ctrl-C, and without memory of their own."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import schuss
from tests.interpreter import script

N = 400_003
MAKERS: list[Callable[[Any], Any]] = [
    lambda p: schuss.Adam(p, lr=0.01),
    lambda p: schuss.EMA(schuss.AdamW(p, lr=0.01)),
    lambda p: schuss.SGD(p, lr=0.01, momentum=0.9),
]


def problem(seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal(N, np.float32), rng.standard_normal(N, np.float32)


def stepped(make: Any, seed: int, steps: int = 10) -> Any:
    p, g = problem(seed)
    optimizer = make(p)
    for _ in range(steps):
        optimizer.step(g, clip_norm=1.0)
    return p


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_two_threads_step_two_optimizers(threads: int, set_threads: Callable[[int], None]) -> None:
    set_threads(threads)
    expected = [stepped(make, k) for k, make in enumerate(MAKERS)]
    found: dict[int, Any] = {}

    def work(k: int) -> None:
        found[k] = stepped(MAKERS[k], k)

    for _ in range(3):
        workers = [threading.Thread(target=work, args=(k,)) for k in range(len(MAKERS))]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for k, wanted in enumerate(expected):
            assert_array_equal(found[k], wanted)


def test_one_optimizer_in_two_threads_is_refused_or_in_turns() -> None:
    """Never half a step: each either counts or raises."""
    p, g = problem(0)
    optimizer = schuss.SGD(p, lr=1.0)
    start, refused = p.copy(), []
    g[...] = 1

    def work() -> None:
        for _ in range(50):
            try:
                optimizer.step(g)
            except RuntimeError:
                refused.append(1)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert optimizer.steps == 100 - len(refused)
    twin = start.copy()
    plain = schuss.SGD(twin, lr=1.0)
    for _ in range(optimizer.steps):
        plain.step(g)
    assert_array_equal(p, twin)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_steps_go_on_after_a_fork() -> None:
    code = """
import os
import numpy as np
import schuss

schuss.set_num_threads(2)
p, g = np.ones(400_003, np.float32), np.ones(400_003, np.float32)
optimizer = schuss.Adam(p)
optimizer.step(g)
child = os.fork()
optimizer.step(g)
sums = float(p.sum())
if child == 0:
    os._exit(0 if optimizer.steps == 2 and abs(sums - 400_003 * (1 - 2e-3)) < 1 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), optimizer.steps)
"""
    assert script(code) == "0 2"


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal to itself")
@pytest.mark.usefixtures("interruptible")
def test_ctrl_c_in_a_step_leaves_it_whole() -> None:
    """Every element has made the same number of steps, and the optimizer has counted them."""
    p, g = np.zeros(20_000_000, np.float32), np.ones(20_000_000, np.float32)
    optimizer = schuss.SGD(p, lr=1.0)
    optimizer.step(g)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))

    def steps() -> None:
        timer.start()
        for _ in range(10_000):
            optimizer.step(g)

    with pytest.raises(KeyboardInterrupt):
        steps()
    timer.join()
    assert 1 < optimizer.steps < 10_000
    assert p.min() == p.max() == -optimizer.steps


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("size", [1_000_000, 16_000_000])
def test_steps_need_no_memory_of_their_own(size: int) -> None:
    """Beyond parameters, gradients and states: 1 MB at most, whatever the size and the stages."""
    code = f"""
import numpy as np
import schuss

def now(name):
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith(name))

schuss.set_num_threads(2)
small = np.ones(100_000, np.float32)
for optimizer in (schuss.Adam(small), schuss.EMA(schuss.AdamW(small.copy()))):
    optimizer.step(small.copy(), clip_norm=1.0)
p, g = np.ones({size}, np.float32), np.ones({size}, np.float32)
optimizer = schuss.EMA(schuss.AdamW(p))
for state in (*optimizer.optimizer._stepper.states[0], *optimizer.averages):
    state[...] = 0
before = now("VmRSS")
for _ in range(3):
    optimizer.step(g, clip_norm=1.0, clip_value=1.0, grad_scale=0.5, zero_grad=True)
print(now("VmHWM") - before)
"""
    assert min(int(script(code)) for _ in range(3)) <= 1_000_000
