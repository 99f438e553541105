"""A fork leaves a working core in the child, whatever the parent's threads were doing."""

from __future__ import annotations

import multiprocessing
import os

import pytest

from tests.interpreter import TRAIN, script

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

# in_child(call): whether call() is true in a forked child; a child that hangs is ended by its alarm.
FORK = (
    TRAIN
    + """
import os, signal, threading, time, warnings
warnings.simplefilter("ignore", DeprecationWarning)
schuss.set_num_threads(2)

def workers():
    return schuss.show_config(mode="dicts")["workers"]

def in_child(call):
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        status = 1
        try:
            status = 0 if call() else 2
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0
"""
)


def test_child_has_its_own_workers() -> None:
    code = """
bits = train()
assert workers() == 1

def grandchild():
    return workers() == 0 and train() == bits

def child():
    return grandchild() and workers() == 1 and in_child(grandchild)

print(in_child(child), train() == bits, in_child(child))
"""
    assert script(FORK + code) == "True True True"


def test_child_before_any_thread() -> None:
    code = "print(in_child(lambda: len(train()) > 0 and workers() == 1), workers())"
    assert script(FORK + code) == "True 0"


def test_child_goes_on_with_the_network_of_its_parent() -> None:
    code = """
X, y = data(0)
net = network(0)
fit(net, X, y)
r, w = os.pipe()
def child():
    import hashlib
    return os.write(w, hashlib.sha256(fit(net, X, y)).digest()) == 32
assert in_child(child)
import hashlib
print(os.read(r, 32) == hashlib.sha256(fit(net, X, y)).digest())
"""
    assert script(FORK + code) == "True"


def test_fork_while_another_thread_trains() -> None:
    code = """
bits = train()
stop = False
wrong = []

def keep_training():
    while not stop:
        if train() != bits:
            wrong.append("parent")

thread = threading.Thread(target=keep_training)
thread.start()
for _ in range(8):
    time.sleep(0.005)
    if not in_child(lambda: workers() == 0 and train() == bits and workers() == 1):
        wrong.append("child")
stop = True
thread.join()
print(wrong, workers())
"""
    assert script(FORK + code) == "[] 1"


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
def test_multiprocessing_fork() -> None:
    code = """
import multiprocessing
alone = [train(seed) for seed in range(4)]
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map_async(train, range(4)).get(30) == alone)
"""
    assert script(FORK + code) == "True"


def test_sleeping_workers_do_not_hold_up_the_exit() -> None:
    code = """
schuss.set_num_threads(4)
train()
time.sleep(0.01)
print("end")
"""
    assert script(FORK + code, timeout=30) == "end"
