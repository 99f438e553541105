"""One training step: forward, mean cross-entropy, backward, Adam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import comparison, drawing, ours, peers
from .cases import CHECKED_STEPS, FEWER_CHECKED_STEPS, chosen
from .limits import ARITHMETIC_NOTE, BYTES_NOTE, Limits
from .tables import Result

OURS = (ours.fit, ours.train_step)


def makers(with_compile: bool = False) -> list[comparison.Maker]:
    """Everybody, whether installed or not."""
    found: list[comparison.Maker] = [*OURS, *peers.PEERS]
    if with_compile:
        found.insert(found.index(peers.torch_eager) + 1, peers.torch_compiled)
    return found


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    result = Result("Training step", baselines=["torch"])
    for case in chosen(options):
        peers.note(f"train {case}, threads {threads}")
        label = {"layers": case.layers, "batch": str(case.batch)}
        found, _ = comparison.compared(label, case, makers(options.compile), options, limits)
        result.rows.append(found)
    result.notes = [
        "float32, ReLU, mean cross-entropy of integer labels, Adam; the same rows, labels and start weights for all. "
        f"differ: largest relative difference, from the median of all, of the losses of the first {CHECKED_STEPS} steps"
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
