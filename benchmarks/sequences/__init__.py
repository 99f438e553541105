"""One training step of a recurrent layer and a dense one behind its last output, with Adam."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import comparison, drawing
from ..cases import CHECKED_STEPS
from ..limits import ARITHMETIC_NOTE, BYTES_NOTE, Limits
from ..tables import Result
from . import jax_peer, keras_peer, numpy_peer, ours, torch_peer
from .cases import CASES, QUICK

# Relative; what rounding makes of the losses is a hundredth of it.
TOLERANCE = 1e-4
PEERS: tuple[comparison.Maker, ...] = (
    torch_peer.eager,
    jax_peer.jitted,
    jax_peer.scan,
    keras_peer.fit,
    numpy_peer.loop,
)


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    result = Result("Sequences", baselines=["torch"])
    makers = [*ours.MAKERS, *PEERS]
    if options.compile:
        makers.insert(makers.index(torch_peer.eager) + 1, torch_peer.compiled)
    cases = QUICK if options.quick else CASES
    left_out = comparison.add_rows(result, "sequences", cases, makers, options, limits, TOLERANCE)
    result.notes = [
        "float32, Adam, mean cross-entropy of integer labels; a recurrent layer from a zero state, its last output "
        "through a dense layer to 10 classes; the same rows, labels and start weights for all. LSTM and RNN with one "
        "bias (torch's second is not trained), GRU with two and the reset behind the product. differ: largest relative "
        f"difference, from the median of all, of the losses of the first {CHECKED_STEPS} steps; more than "
        f"{TOLERANCE:g} is not timed.",
        "ours: fit is the time of calls of fit, with checks, shuffling and records, over the steps in them; "
        "train_step is called from Python. torch: eager, Adam with fused=True; torch.compile: forward, loss and "
        f"backward compiled (it unrolls the times: up to {torch_peer.MOST_COMPILED}; it refuses LSTM), the same Adam. "
        "jax jit: lax.scan over the times, a jitted call a step, state donated; jax scan: an epoch in one jitted call, "
        "rows in order, not among those that best is chosen from. Keras fit: its own layers, Adam and fit on jax, "
        "rows in order. NumPy: by hand, a product for the inputs of all times, in place.",
        "Products that are counted: of the inputs and their weights' gradients at all times, of the states, their "
        "weights' and their own gradients at all but the first, whose state is zero; of the dense layer.",
        BYTES_NOTE,
        ARITHMETIC_NOTE,
        *limits.seen(),
        *left_out,
    ]
    return [result]


def draw(result: Result, folder: Path) -> list[Path]:
    """Everybody beside the limit. Writes ``sequences.svg``."""
    return [drawing.compared(result, folder / "sequences.svg")]
