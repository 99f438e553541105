"""A training step of TabM beside the tabm package with torch's fused AdamW, and beside the limit of its products.

``python -m benchmarks.tabm [threads]``, where tabm and torch are installed. Both make steps by turns; the limit is what
the multiply-adds of the three products of each layer take at the machine's peak, measured by turns too. One thread is
timed by the clock of its CPU time, which other programs do not move; more are by the wall's.
"""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any

import numpy as np

import schuss
from schuss import AdamW, EnsembleDense, MeanOfMembers

from . import bare

MEMBERS, BLOCKS, WIDTH, BATCH, NUMBERS, DROPOUT = 32, 3, 512, 256, 20, 0.1
LR, DECAY = 2e-3, 3e-4
STEPS = 12
PEAK_SECONDS = 0.1


def network() -> schuss.Network:
    """Ours, with a layer of the ensemble for heads where there are no grouped ones."""
    first = EnsembleDense(
        WIDTH, "relu", members=MEMBERS, n_in=NUMBERS, shares_input=True, start="signs", dropout=DROPOUT
    )
    hidden = [EnsembleDense(WIDTH, "relu", members=MEMBERS, dropout=DROPOUT) for _ in range(BLOCKS - 1)]
    grouped: Any = getattr(schuss, "GroupedDense", None)
    heads = grouped(MEMBERS, WIDTH, 1) if grouped else EnsembleDense(1, members=MEMBERS)
    return schuss.Network([first, *hidden, heads, MeanOfMembers(MEMBERS)], seed=0)


def multiply_adds() -> float:
    """Of a step: forward, gradients by weights, and by values but for the input."""
    first, inner, heads = NUMBERS * WIDTH, (BLOCKS - 1) * WIDTH * WIDTH, WIDTH
    return float(BATCH * MEMBERS * (2 * first + 3 * inner + 3 * heads))


def torch_step(x: Any, y: Any, threads: int) -> Any:
    """A function that makes a step of tabm's, or None."""
    try:
        tabm: Any = import_module("tabm")
        torch: Any = import_module("torch")
    except ImportError:
        return None
    torch.set_num_threads(threads)
    model = tabm.TabM.make(
        n_num_features=NUMBERS,
        cat_cardinalities=[],
        d_out=1,
        k=MEMBERS,
        n_blocks=BLOCKS,
        d_block=WIDTH,
        dropout=DROPOUT,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=DECAY, fused=True)
    numbers, target = torch.from_numpy(x), torch.from_numpy(y)[:, None].expand(-1, MEMBERS, -1)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(numbers).flatten(0, 1), target.flatten(0, 1)).backward()
        optimizer.step()

    return step


def main(threads: int) -> None:
    """Prints medians, and the quartiles of ratios of steps made one after the other."""
    loops = bare.library()
    assert loops is not None, "no C compiler"
    schuss.set_num_threads(threads)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(BATCH, NUMBERS)).astype(np.float32)
    y = rng.normal(size=(BATCH, 1)).astype(np.float32)
    net = network()
    optimizer = AdamW(net.parameters, lr=LR, weight_decay=DECAY)
    theirs = torch_step(x, y, threads)
    clock = time.thread_time if threads == 1 else time.perf_counter
    found: dict[str, list[float]] = {"ours": [], "limit": [], "tabm": []}
    for turn in range(STEPS + 2):
        begin = clock()
        net.train_step(x, y, "mse", optimizer)
        ours = clock() - begin
        peak = bare.multiply_add(loops, threads, PEAK_SECONDS)[0]
        begin = clock()
        if theirs is not None:
            theirs()
        other = clock() - begin
        if turn >= 2:
            for name, value in (("ours", ours), ("limit", 2 * multiply_adds() / peak / 1e9), ("tabm", other)):
                found[name].append(value)
    times = {name: np.array(values) for name, values in found.items()}
    print(f"{threads} threads, milliseconds, medians of {STEPS} steps by turns")
    for name, values in times.items():
        if name != "tabm" or theirs is not None:
            print(f"  {name:6} {1e3 * np.median(values):7.1f}  (least {1e3 * values.min():.1f})")
    for name, top, bottom in (("limit / ours", "limit", "ours"), ("tabm / ours", "tabm", "ours")):
        if top != "tabm" or theirs is not None:
            low, middle, high = np.percentile(times[top] / times[bottom], [25, 50, 75])
            print(f"  {name}: {middle:.3f}  ({low:.3f} to {high:.3f})")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
