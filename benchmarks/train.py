"""One training step: forward, mean cross-entropy, backward, Adam."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import ours, peers
from .cases import CHECKED_STEPS, Case, chosen
from .limits import ARITHMETIC_NOTE, Limits
from .peers import Training
from .tables import Result, row
from .timing import Contender, alternate

OURS = (ours.Fit, ours.train_step)


def contenders(case: Case, with_compile: bool = False) -> tuple[list[Training], float]:
    """Everybody who can train the case, `CHECKED_STEPS` in, and the largest relative difference of their losses."""
    makers = [*OURS, *peers.PEERS] + ([peers.torch_compiled] if with_compile else [])
    losses: list[Any] = []
    found = peers.built(makers, case, started=lambda training: losses.append(training.losses(CHECKED_STEPS)))
    return found, _difference(losses)


def _difference(losses: list[Any]) -> float:
    """Step by step; where only the mean over all steps is known, of that."""
    full = [values for values in losses if len(values) == CHECKED_STEPS]
    apart = [np.abs(values / full[0] - 1).max() for values in full]
    apart += [abs(values.mean() / full[0].mean() - 1) for values in losses]
    return float(max(apart))


def measure(options: Any, threads: int, limits: Limits) -> Result:
    result = Result("Training step")
    for case in chosen(options):
        peers.note(f"train {case}, threads {threads}")
        found, difference = contenders(case, options.compile)
        times = alternate([Contender(one.name, one.run, one.unit) for one in found], 0.5 if options.quick else 2.0)
        mine = [one.name for one in found if one.name.startswith("ours")]
        label = {"layers": case.layers, "batch": str(case.batch)}
        result.rows.append(row(label, threads, mine, times, limits.arithmetic(case.operations), difference))
    result.notes = [
        "float32, ReLU, mean cross-entropy of integer labels, Adam; the same rows, labels and start weights for all. "
        f"differ: largest relative difference of the losses of the first {CHECKED_STEPS} steps.",
        "ours: fit is the time of calls of fit, with checks, shuffling and records, over the steps in them; "
        "train_step is called from Python. torch: eager, Adam with fused=True. jax: one jitted call a step, state "
        "donated; jax scan: an epoch in one jitted call, rows in order. sklearn: MLPClassifier's inner loop without "
        "its checks. NumPy: by hand, in place.",
        ARITHMETIC_NOTE,
        *limits.seen(),
    ]
    return result
