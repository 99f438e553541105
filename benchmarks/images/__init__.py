"""One training step of a convolutional network with Adam; and the memory that a whole fit takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import comparison, drawing
from ..cases import CHECKED_STEPS
from ..limits import ARITHMETIC_NOTE, BYTES_NOTE, Limits
from ..tables import Result
from . import jax_peer, keras_peer, memory, numpy_peer, ours, torch_peer
from .cases import CASES, QUICK

# Relative; Adam's first steps divide rounding by itself where gradients are as small: 4e-4 between float32 and float64.
TOLERANCE = 3e-3
PEERS: tuple[comparison.Maker, ...] = (
    torch_peer.eager,
    torch_peer.channels_last,
    jax_peer.jitted,
    jax_peer.scan,
    keras_peer.fit,
    numpy_peer.loop,
)


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    result = Result("Images", baselines=["torch"])
    makers = [*ours.MAKERS, *PEERS]
    if options.compile:
        makers.insert(makers.index(torch_peer.channels_last) + 1, torch_peer.compiled)
    cases = QUICK if options.quick else CASES
    left_out = comparison.add_rows(result, "images", cases, makers, options, limits, TOLERANCE)
    result.notes = [
        "float32, Adam, mean cross-entropy of integer labels; convolutions with ReLU, pools of the largest of 2 x 2, "
        "a dense layer of 128 with ReLU, 10 classes; the same rows, labels and start weights for all. LeNet: 5x5x16, "
        "pool, 5x5x32, pool, no padding. 3x3: 32, 32, pool, 64, 64, pool, padded to the same size. differ: largest "
        f"relative difference, from the median of all, of the losses of the first {CHECKED_STEPS} steps; more than "
        f"{TOLERANCE:g} is not timed.",
        "ours: fit is the time of calls of fit, with checks, shuffling and records, over the steps in them; "
        "train_step is called from Python. torch: eager, channels first in memory, torch last: channels last, both "
        "laid out before anything is timed, Adam with fused=True; torch.compile: forward, loss and backward compiled, "
        "the same Adam. jax jit: channels last, a jitted call a step, state donated; jax scan: an epoch in one jitted "
        "call, rows in order, not among those that best is chosen from, and left out where it takes minutes. Keras "
        "fit: its own layers, Adam and fit on jax, rows in order. NumPy: by hand, a matrix of patches.",
        "Products that are counted: forward, of the weights' gradients, of all input gradients but the first; those "
        "with the zeros of a margin are not.",
        BYTES_NOTE,
        ARITHMETIC_NOTE,
        *limits.seen(),
        *left_out,
    ]
    return [result, *memory.measure(options, threads)]


def draw(result: Result, folder: Path) -> list[Path]:
    """Everybody beside the limit. Writes ``images.svg``."""
    return [drawing.compared(result, folder / "images.svg")]
