"""The time of a step against the rows of the table that it looks a few up in: ours, lazy, exact and whole, and torch's.

``python -m benchmarks.table_size RESULTS.json [PICTURE.png]``: one CPU, one thread, a minute or two; 6 GB for the
largest table. The batch is the same for all sizes: 256 rows of 4 codes, small ones more often (code k about as 1 / k),
vectors of 16 numbers, a dense layer to one output, Adam.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    from . import machine

    machine.keep_to(1)

import numpy as np

import schuss

from . import peers, study
from .timing import Contender, alternate

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZES = tuple(round(10 ** (k / 2)) for k in range(8, 15))
# Whole tables are stepped up to this size.
MOST_WHOLE = 1_000_000
DIM, CODES, BATCH, STEPS = 16, 4, 256, 64
# What the samples of a size take together.
SECONDS = 4.0


def codes(size: int) -> NDArray[np.int64]:
    """The codes of `STEPS` batches."""
    rng = np.random.default_rng(0)
    places = np.exp(rng.random((STEPS * BATCH, CODES)) * np.log(size))
    found: NDArray[np.int64] = np.minimum(places.astype(np.int64), size - 1)
    return found


def ours(name: str, rows: str | None, size: int) -> Contender:
    """Calls of train_step."""
    x, y = codes(size), np.zeros((STEPS * BATCH, 1), np.float32)
    layers = [schuss.Input("codes", CODES, dtype="int64"), schuss.Embedding(size, DIM), schuss.Dense(1)]
    net = schuss.Network(layers, seed=0)
    options: dict[str, Any] = {} if rows is None else {"rows": rows}
    optimizer = schuss.Adam(net.parameters, lr=1e-3, **options)
    batches = [(x[k : k + BATCH], y[k : k + BATCH]) for k in range(0, len(x), BATCH)]

    def run(calls: int) -> None:
        for _ in range(calls):
            for part, target in batches:
                net.train_step(part, target, loss="mse", optimizer=optimizer)

    return Contender(name, run, unit=STEPS, quiet=True)


def torch(size: int) -> Contender | None:
    """SparseAdam for the table, Adam for the rest."""
    module: Any = peers.module("torch")
    if module is None:
        return None
    module.set_num_threads(1)
    table, last = module.nn.Embedding(size, DIM, sparse=True), module.nn.Linear(CODES * DIM, 1)
    optimizers = [module.optim.SparseAdam([table.weight], lr=1e-3), module.optim.Adam(last.parameters(), fused=True)]
    batches = module.from_numpy(codes(size)).split(BATCH)

    def run(calls: int) -> None:
        for _ in range(calls):
            for part in batches:
                for optimizer in optimizers:
                    optimizer.zero_grad()
                (last(table(part).flatten(1)) ** 2).mean().backward()
                for optimizer in optimizers:
                    optimizer.step()

    return Contender("torch, SparseAdam", run, unit=STEPS)


def makers(size: int) -> list[Callable[[], Contender | None]]:
    """Those that can stand a table of the size."""
    found: list[Callable[[], Contender | None]] = [
        lambda: ours("ours, lazy", "lazy", size),
        lambda: ours("ours, exact", "exact", size),
        lambda: torch(size),
    ]
    if size <= MOST_WHOLE:
        found.append(lambda: ours("ours, whole table", None, size))
    return found


def measure(path: Path) -> dict[str, Any]:
    """Microseconds of a step, all rounds, by size and name."""
    found: dict[str, Any] = {}
    for size in SIZES:
        times = alternate(peers.built(makers(size)), SECONDS)
        found[str(size)] = {name: [round(one, 2) for one in samples.values] for name, samples in times.items()}
        told = [f"{name} {own.median:.0f} ({own.low:.0f} to {own.high:.0f})" for name, own in times.items()]
        print(f"{size} rows, microseconds a step: {', '.join(told)}", flush=True)
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def draw(found: dict[str, Any], picture: str) -> None:
    """Medians over the sizes, and from the least to the greatest."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    names = list(dict.fromkeys(name for times in found.values() for name in times))
    for k, name in enumerate(names):
        of_name = {int(size): times[name] for size, times in found.items() if name in times}
        least, middle, most = ([at(one) for one in of_name.values()] for at in (min, statistics.median, max))
        axes.fill_between(list(of_name), least, most, color=f"C{k}", alpha=0.2, lw=0)
        axes.plot(list(of_name), middle, color=f"C{k}", marker="o", label=name)
    axes.set(xlabel="rows of the table", ylabel="microseconds a step", xscale="log", yscale="log")
    axes.set_title("A step of 256 rows of 4 codes, Adam, one thread")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(picture, dpi=110)


main = partial(study.main, measure, draw)

if __name__ == "__main__":
    main(*sys.argv[1:])
