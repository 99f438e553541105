"""The thread pool and the choice of instruction set are good guests: lazy, bounded, without trace in the results."""

from __future__ import annotations

import os
import platform
import sys
import threading
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import _core
from tests.interpreter import TRAIN, script

SetThreads = Callable[[int], None]

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def training() -> Any:
    """The names that TRAIN defines."""
    names: dict[str, Any] = {}
    exec(TRAIN, names)
    return names


def in_thread(call: Callable[[], Any]) -> Any:
    """What call returns in another Python thread."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


# Starting


@linux_only
def test_import_starts_no_thread_and_training_starts_what_it_needs() -> None:
    code = """
import os
import numpy
count = lambda: len(os.listdir("/proc/self/task"))
before = count()
import schuss
print(count() - before, schuss.show_config(mode="dicts")["workers"])
"""
    code += TRAIN + "schuss.set_num_threads(1); train(); print(count() - before)\n"
    code += "schuss.set_num_threads(2); train(); print(count() - before, schuss.show_config(mode='dicts')['workers'])\n"
    code += "schuss.set_num_threads(1); train(); print(count() - before)\n"
    assert script(code).splitlines() == ["0 0", "0", "1 1", "1"]


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_bits_do_not_depend_on_the_number_of_threads(n: int, set_threads: SetThreads) -> None:
    train = training()["train"]
    set_threads(1)
    alone = train()
    set_threads(n)
    assert train() == alone


@pytest.mark.parametrize("n", [2, 3])
def test_predictions_through_many_layers_of_unequal_width(n: int, set_threads: SetThreads) -> None:
    widths = [64, 128, 120, 16, 120, 40, 3]
    net = schuss.Network([schuss.Dense(a, b, "relu") for a, b in pairwise(widths)], seed=1)
    x = np.random.default_rng(0).standard_normal((256, 64)).astype(np.float32)
    set_threads(1)
    alone = net.predict(x)
    set_threads(n)
    for _ in range(1500):  # one thread is a layer ahead of another only now and then
        assert_array_equal(net.predict(x), alone)


def test_two_python_threads_train_at_once(set_threads: SetThreads) -> None:
    train = training()["train"]
    set_threads(2)
    alone = [train(0), train(1)]
    together: list[list[bytes]] = [[], []]

    def repeat(seed: int) -> None:
        for _ in range(3):
            together[seed].append(train(seed))

    both = [threading.Thread(target=repeat, args=(seed,)) for seed in (0, 1)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    assert together == [[alone[0]] * 3, [alone[1]] * 3]


# Settings


@pytest.mark.parametrize(("value", "threads"), [("1", 1), ("3", 3), (" 5 ", 5)])
def test_environment_sets_threads(value: str, threads: int) -> None:
    code = "import schuss; print(schuss.get_num_threads())"
    assert script(code, SCHUSS_NUM_THREADS=value, OMP_NUM_THREADS="2") == str(threads)


def test_openmp_variable_is_an_upper_bound() -> None:
    code = "import schuss; print(schuss.get_num_threads() - schuss.show_config(mode='dicts')['cpu_quota'])"
    assert script(code, OMP_NUM_THREADS="100000") == "0"
    assert script(code, OMP_NUM_THREADS="many") == "0"
    code = "import schuss; print(schuss.get_num_threads())"
    assert script(code, OMP_NUM_THREADS="1") == "1"
    assert script(code, OMP_NUM_THREADS="1,4") == "1"


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", "99999999999999999999"])
def test_bad_environment_threads(value: str) -> None:
    code = """
import schuss
try:
    schuss.get_num_threads()
except (ValueError, RuntimeError) as error:
    print(error)
"""
    said = script(code, SCHUSS_NUM_THREADS=value)
    assert "SCHUSS_NUM_THREADS" in said
    assert value in said


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_affinity_bounds_the_default() -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import schuss
print(schuss.get_num_threads(), schuss.show_config(mode="dicts")["cpu_quota"])
"""
    assert script(code) == "1 1"


def test_set_num_threads(set_threads: SetThreads) -> None:
    default = schuss.get_num_threads()
    schuss.set_num_threads(5)
    assert schuss.get_num_threads() == 5
    assert _core.config()["threads"] == 5
    assert in_thread(schuss.get_num_threads) == 5
    schuss.set_num_threads(None)
    assert schuss.get_num_threads() == default


@pytest.mark.parametrize("n", [0, -1, 2**40, 1.5, "2"])
def test_bad_numbers_of_threads(n: Any, set_threads: SetThreads) -> None:
    schuss.set_num_threads(3)
    for call in (schuss.set_num_threads, schuss.threads):
        with pytest.raises((ValueError, TypeError), match=r"\bn\b"):
            call(n)
        assert schuss.get_num_threads() == 3


def test_limit_is_for_one_python_thread_and_nests(set_threads: SetThreads) -> None:
    schuss.set_num_threads(5)
    with schuss.threads(2):
        assert schuss.get_num_threads() == 2
        assert in_thread(schuss.get_num_threads) == 5
        with schuss.threads(1):
            assert schuss.get_num_threads() == 1
        assert schuss.get_num_threads() == 2
    assert schuss.get_num_threads() == 5


def test_limit_is_lifted_after_an_error_and_may_be_used_again(set_threads: SetThreads) -> None:
    schuss.set_num_threads(5)
    limit = schuss.threads(2)

    def fail() -> None:
        with limit:
            assert schuss.get_num_threads() == 2
            raise KeyError

    for _ in range(2):
        with pytest.raises(KeyError):
            fail()
        assert schuss.get_num_threads() == 5
    with limit, limit:
        assert schuss.get_num_threads() == 2
    assert schuss.get_num_threads() == 5


# The instruction set

OF_ANOTHER_CPU = "avx2" if platform.machine().lower() in ("aarch64", "arm64") else "neon"


@pytest.mark.parametrize("name", ["sse9", OF_ANOTHER_CPU])
def test_bad_isa_is_an_error_at_first_use(name: str) -> None:
    code = """
import numpy as np
import schuss
p = np.ones(3)
def step():
    schuss.Adam([p]).step([p.copy()])
def fit():
    schuss.Network([schuss.Dense(2, 1)]).fit(np.ones((4, 2)), np.ones((4, 1)), loss="mse", epochs=1)
for use in (step, fit, lambda: schuss.show_config(mode="dicts"), step):
    try:
        use()
    except RuntimeError as error:
        print(error)
assert (p == 1).all()
"""
    said = script(code, SCHUSS_ISA=name).splitlines()
    assert len(said) == 4
    assert all("SCHUSS_ISA" in line and name in line for line in said)


def test_isa_from_the_environment() -> None:
    code = "import schuss; print(schuss.show_config(mode='dicts')['isa'])"
    for level in _core.isa_levels():
        assert script(code, SCHUSS_ISA=level) == level
    assert script(code, SCHUSS_ISA="") == _core.isa_levels()[-1]


# Denormals


def test_denormals_are_left_alone() -> None:
    code = """
tiny = [float("5e-324")]
def intact():
    single = np.full(64, 1e-40, np.float32)
    return tiny[0] * 1.0 > 0 and bool((single * np.float32(0.5) > 0).all())
import numpy as np
import schuss
print(intact())
"""
    code += TRAIN + "schuss.set_num_threads(2); train(); print(intact())\n"
    code += "for n in (3, 1 << 20): schuss.SGD([np.ones(n)], lr=0.1).step([np.ones(n)]); print(intact())\n"
    assert script(code).splitlines() == ["True"] * 4


@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"), reason="no such mode is known here"
)
@pytest.mark.parametrize("n", [5, 1 << 20])
def test_kernels_flush_denormals_on_every_thread(n: int, isa: str, threads: int) -> None:
    tiny = float(np.finfo(np.float32).tiny)
    p: NDArray[np.float32] = np.full(n, tiny / 8, np.float32)
    schuss.SGD([p], lr=1.0).step([np.zeros(n, np.float32)])
    assert_array_equal(p, np.zeros(n, np.float32))


@pytest.mark.parametrize("n", [1, 2])
def test_losses_flush_denormals_on_any_number_of_threads(n: int, set_threads: SetThreads) -> None:
    net = schuss.Network([schuss.Dense(1, 64)], seed=0)
    x, y = np.zeros((1024, 1), np.float32), np.full((1024, 64), 1e-40, np.float32)
    set_threads(n)
    assert net.evaluate(x, y, "mae") == {"loss": 0.0}
    assert net.loss_and_gradients(x, y, "mae") == 0.0


# Beside others


@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
@pytest.mark.parametrize("order", ["torch, schuss", "schuss, torch"])
def test_torch_in_the_same_process(order: str) -> None:
    code = f"import {order}\n" + TRAIN
    code += """
import hashlib
import torch
def theirs():
    torch.manual_seed(0)
    x = torch.randn(256, 256, requires_grad=True)
    (x @ x).relu().sum().backward()
    return x.grad.sum().item()
schuss.set_num_threads(2)
threads = torch.get_num_threads()
before = theirs()
bits = train()
assert theirs() == before
assert train() == bits
assert torch.get_num_threads() == threads
print(hashlib.sha256(bits).hexdigest())
"""
    alone = script(TRAIN + "import hashlib; print(hashlib.sha256(train()).hexdigest())")
    assert script(code) == alone


@pytest.mark.skipif(find_spec("joblib") is None, reason="joblib is not installed")
def test_joblib_worker_with_a_read_only_memory_map() -> None:
    code = (
        TRAIN
        + """
import os
from joblib import Parallel, delayed

def job(X, y, seed):
    assert isinstance(X, np.memmap) and not X.flags.writeable
    assert schuss.get_num_threads() <= int(os.environ["OMP_NUM_THREADS"])
    with schuss.threads(2):
        return fit(network(seed), X, y)

X, y = data(0)
found = Parallel(n_jobs=2, backend="loky", max_nbytes=1)(delayed(job)(X, y, seed) for seed in (0, 1))
print(found == [fit(network(seed), X, y) for seed in (0, 1)])
"""
    )
    assert script(code) == "True"
