"""A fit has the same bits whatever happens around it: CPUs taken, other numbers of threads, a fork, an interrupt."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import _core
from tests.interpreter import script

SetThreads = Callable[[int], None]

# A team shares rows in one, columns in the other.
NETS = {"by rows": (64, 100, 10), "by columns": (97, 90, 203, 5)}
ROWS, BATCH = 4000, 64
BURN = "import sys, time\nprint('burning', flush=True)\nend = time.monotonic() + 30\nwhile time.monotonic() < end: pass"


def fit(units: tuple[int, ...], epochs: int, callbacks: Any = ()) -> list[bytes]:
    rng = np.random.default_rng(0)
    layers = [schuss.Dense(a, b, "relu", dropout=0.1) for a, b in pairwise(units[:-1])]
    net = schuss.Network([*layers, schuss.Dense(*units[-2:])], seed=1)
    X, y = rng.standard_normal((ROWS, units[0]), dtype=np.float32), rng.integers(0, units[-1], ROWS)
    net.fit(X, y, loss="cross_entropy", optimizer="adam", epochs=epochs, batch_size=BATCH, callbacks=callbacks)
    return [p.tobytes() for p in net.parameters]


@pytest.fixture
def busy_cpus() -> Iterator[None]:
    """A process that never pauses for every CPU."""
    burners = [
        subprocess.Popen([sys.executable, "-c", BURN], stdout=subprocess.PIPE, text=True)
        for _ in range(min(8, os.cpu_count() or 1))
    ]
    for burner in burners:
        assert burner.stdout is not None
        assert burner.stdout.readline() == "burning\n"
    yield
    for burner in burners:
        burner.kill()
        burner.communicate()


@pytest.mark.parametrize("net", list(NETS))
def test_busy_cpus(net: str, set_threads: SetThreads, busy_cpus: None) -> None:
    """Teams that stall give way to one thread, and are tried again."""
    epochs = {"by rows": 40, "by columns": 8}[net]
    set_threads(1)
    alone = fit(NETS[net], epochs)
    for threads in (2, 3):
        set_threads(threads)
        assert fit(NETS[net], epochs) == alone


@pytest.mark.parametrize("net", list(NETS))
def test_a_busy_thread_of_this_process(net: str, set_threads: SetThreads) -> None:
    """Another Python thread takes the pool again and again, and a CPU."""
    set_threads(1)
    alone = fit(NETS[net], 3)
    stop = threading.Event()

    def step() -> None:
        p = np.ones(1 << 17)
        optimizer = schuss.SGD([p])
        while not stop.is_set():
            optimizer.step([p.copy()])

    other = threading.Thread(target=step)
    other.start()
    try:
        set_threads(2)
        assert fit(NETS[net], 3) == alone
    finally:
        stop.set()
        other.join()


@pytest.mark.parametrize("net", list(NETS))
@pytest.mark.parametrize("numbers", [(2, 1, 3, 5, 2), (1, 3, 2, 1, 4), (5, 2, 7, 1, 3)])
def test_number_of_threads_changed_by_a_callback(numbers: tuple[int, ...], net: str, set_threads: SetThreads) -> None:
    set_threads(1)
    alone = fit(NETS[net], len(numbers))
    set_threads(numbers[0])
    following = iter((*numbers[1:], 1))
    assert fit(NETS[net], len(numbers), [lambda record: _core.set_num_threads(next(following))]) == alone


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("net", list(NETS))
def test_fork_in_the_middle_of_a_fit(net: str) -> None:
    """Parent and child both go on with it: the child without the workers that its plan was laid for."""
    code = f"""
from __future__ import annotations
import hashlib, os, signal, warnings
from itertools import pairwise
import numpy as np
import schuss
warnings.simplefilter("ignore", DeprecationWarning)
ROWS, BATCH = {ROWS}, {BATCH}
{inspect.getsource(fit)}
schuss.set_num_threads(2)
digest = lambda: hashlib.sha256(b"".join(fit({NETS[net]}, 3, [fork]))).digest()
child = None
def fork(record):
    global child
    if record.epoch == 2 and forks:
        child = os.fork()
        if not child:
            signal.alarm(20)
forks = False
alone = digest()
forks = True
r, w = os.pipe()
found = digest()
if not child:
    os.write(w, found)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(found == alone, os.read(r, 32) == alone)
"""
    assert script(code) == "True True"


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_ctrl_c_in_a_long_step(interruptible: None, set_threads: SetThreads) -> None:
    """The step is finished first, and no other begun: the parameters are those of a whole number of steps."""
    set_threads(2)
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((4096, 512), dtype=np.float32), rng.integers(0, 10, 4096)

    def network() -> tuple[schuss.Network, schuss.Optimizer]:
        net = schuss.Network([schuss.Dense(512, 768, "relu"), schuss.Dense(768, 10)], seed=0)
        return net, schuss.Adam(net.parameters)

    def interrupt() -> None:
        time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    def start(record: schuss.EpochRecord) -> None:
        if record.epoch == 2:
            threading.Thread(target=interrupt).start()

    net, optimizer = network()
    with pytest.raises(KeyboardInterrupt):
        net.fit(
            X, y, loss="cross_entropy", optimizer=optimizer, epochs=1000, batch_size=None, callbacks=[start],
            restore_on_divergence=False,
        )  # fmt: skip
    assert net.history.stopped == "interrupted"
    assert 2 <= len(net.history) <= optimizer.steps < 100
    by_hand, stepper = network()
    for _ in range(optimizer.steps):
        by_hand.loss_and_gradients(X, y, "cross_entropy")
        stepper.step(by_hand.gradients)
    for p, q in zip(net.parameters, by_hand.parameters, strict=True):
        np.testing.assert_array_equal(p, q)
