"""One training step: forward, mean cross-entropy, backward, Adam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from . import drawing, ours, peers
from .cases import CHECKED_STEPS, FEWER_CHECKED_STEPS, Case, chosen
from .limits import ARITHMETIC_NOTE, BYTES_NOTE, Limits
from .peers import Training
from .tables import Result, row
from .timing import Contender, alternate

OURS = (ours.Fit, ours.train_step)
# Many steps in one compiled call: no rival of a library that is called step by step, and yet the one to beat.
ASIDE = ("jax scan",)


def contenders(case: Case, with_compile: bool = False) -> tuple[list[Training], float]:
    """Everybody who can train the case, some steps in, and the largest relative difference of their losses."""
    makers = [*OURS, *peers.PEERS]
    if with_compile:
        makers.insert(makers.index(peers.torch_eager) + 1, peers.torch_compiled)
    losses: list[Any] = []
    steps = case.checked_steps
    found = peers.built(makers, case, started=lambda training: losses.append(training.losses(steps)))
    return found, _difference(losses, steps)


def _difference(losses: list[Any], steps: int) -> float:
    """Step by step; where only the mean over all steps is known, of that."""
    full = [values for values in losses if len(values) == steps]
    apart = [np.abs(values / full[0] - 1).max() for values in full]
    apart += [abs(values.mean() / full[0].mean() - 1) for values in losses]
    return float(max(apart))


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    result = Result("Training step", baselines=["torch"])
    for case in chosen(options):
        peers.note(f"train {case}, threads {threads}")
        limit = limits.both(case.operations, case.state_bytes, case.moved_bytes)
        found, difference = contenders(case, options.compile)
        times = alternate([Contender(one.name, one.run, one.unit) for one in found], 0.5 if options.quick else 3.0)
        mine = [one.name for one in found if one.name.startswith("ours")]
        label = {"layers": case.layers, "batch": str(case.batch)}
        result.rows.append(row(label, threads, mine, times, limit, difference, ASIDE))
    result.notes = [
        "float32, ReLU, mean cross-entropy of integer labels, Adam; the same rows, labels and start weights for all. "
        f"differ: largest relative difference of the losses of the first {CHECKED_STEPS} steps"
        + ("." if options.quick else f" ({FEWER_CHECKED_STEPS} of the largest network)."),
        "ours: fit is the time of calls of fit, with checks, shuffling and records, over the steps in them; "
        "train_step is called from Python. torch: eager, Adam with fused=True; torch.compile: forward, loss and "
        "backward compiled to C++, the same Adam. jax jit: one jitted call a step, state donated; jax scan: an epoch "
        "in one jitted call, rows in order, not among those that best is chosen from. sklearn: MLPClassifier's inner "
        "loop without its checks. NumPy: by hand, in place.",
        BYTES_NOTE,
        ARITHMETIC_NOTE,
        *limits.seen(),
    ]
    return [result]


def draw(result: Result, folder: Path) -> list[Path]:
    """Everybody beside the limit. Writes ``train.svg``."""
    return [drawing.compared(result, folder / "train.svg")]
