"""The peak memory of training the largest case, each in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from .. import peers
from ..tables import Result, Row
from .cases import CASES

# Each one's column, its library, and its maker in a module beside this one.
MAKERS = (
    ("ours", "schuss", "ours.fit"),
    ("torch", "torch", "torch_peer.eager"),
    ("torch last", "torch", "torch_peer.channels_last"),
    ("jax", "jax", "jax_peer.jitted"),
    ("Keras", "keras", "keras_peer.fit"),
)
ROUNDS = 3


def measure(options: Any, threads: int) -> list[Result]:
    case = CASES[-1]
    peers.note(f"memory of {case}, threads {threads}")
    above: dict[str, list[float]] = {}
    peak: dict[str, list[float]] = {}
    for _ in range(1 if options.quick else ROUNDS):
        for name, *which in MAKERS:
            found = _in_process(name, which, threads)
            if found is not None:
                above.setdefault(name, []).append(found[0] / 1e6)
                peak.setdefault(name, []).append(found[1] / 1e6)
    result = Result("Peak memory of training, MB", baselines=["torch"])
    for what, samples in (("above the start", above), ("whole process", peak)):
        if "ours" in samples:
            result.rows.append(Row({**case.label, "memory": what}, threads, ["ours"], samples))
    result.notes = [
        f"Megabytes, {case.checked_steps} steps, ours by fit, each in processes of its own. above the start: the peak "
        "above what was resident before the model was made, with the library and the rows there; whole process: the "
        "peak, the library's code and the rows included."
    ]
    return [result]


def _in_process(name: str, which: list[str], threads: int) -> tuple[float, float] | None:
    """Bytes above the start, and at the peak."""
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peak_memory", "images", *which, str(threads)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no word"]
        peers.note(f"memory of {name} left out: {lines[-1]}")
        return None
    found, peak = json.loads(done.stdout.splitlines()[-1])
    return found, peak
