"""Code for a fresh interpreter: what must be seen from the import on, or may go wrong for the whole process."""

from __future__ import annotations

import os
import subprocess
import sys

# Large enough that a step of it is worth more than one thread.
TRAIN = """
import numpy as np
import schuss

def data(seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((1024, 128), dtype=np.float32), rng.integers(0, 10, 1024)

def network(seed):
    return schuss.Network([schuss.Dense(128, 384, "relu"), schuss.Dense(384, 10)], seed=seed)

def fit(net, X, y, epochs=2):
    net.fit(X, y, loss="cross_entropy", optimizer="adam", epochs=epochs, batch_size=512)
    return b"".join(p.tobytes() for p in net.parameters)

def train(seed=0):
    return fit(network(seed), *data(seed))
"""


def script(code: str, timeout: float = 60, **environment: str) -> str:
    """Runs code in a fresh interpreter, with these variables and no other setting of ours; returns what it prints."""
    settings = {"SCHUSS_ISA", "SCHUSS_NUM_THREADS", "OMP_NUM_THREADS"}
    clean = {name: value for name, value in os.environ.items() if name not in settings}
    done = subprocess.run(
        [sys.executable, "-c", code], env=clean | environment, capture_output=True, text=True, timeout=timeout
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
