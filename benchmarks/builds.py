"""One build of schuss beside another, as the Python that it is installed for: ``python benchmarks/builds.py OLD NEW``.

Each build has a process of its own. They work in turns, one waiting while the other measures, so that noise hits both
alike. A ratio above 1 says that the new one is faster. Only NumPy and schuss are needed in either.
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

SIZES = (
    "4-16-3, 1",
    "64-100-10, 32",
    "64-100-10, 200",
    "20-64-64-2, 64",
    "784-256-10, 128",
    "784-512-512-10, 128",
    "1024-1024-1024-1024-10, 256",
    "1024-4096-4096-1000, 512",
)
CASES = [*(f"fit {size}" for size in SIZES), *(f"train_step {size}" for size in SIZES), "predict 64-100-10, 1"]
# Seconds of a sample, about.
SAMPLE = 0.03


def _prepared(case: str) -> tuple[Callable[[int], Any], int]:
    """A function that makes n calls, and how many steps a call is."""
    import numpy as np

    import schuss

    kind, _, rest = case.partition(" ")
    layers, _, batch_text = rest.partition(", ")
    sizes, batch = [int(n) for n in layers.split("-")], int(batch_text)
    activations = ["relu"] * (len(sizes) - 2) + ["identity"]
    made = [schuss.Dense(a, b, act) for a, b, act in zip(sizes[:-1], sizes[1:], activations, strict=True)]
    net = schuss.Network(made, seed=0)
    rng = np.random.default_rng(0)
    work = batch * sum(a * b for a, b in itertools.pairwise(sizes))
    steps = max(4, 4096 // batch) if work < 3e9 else 4
    rows = batch * steps if kind == "fit" else batch
    x = rng.standard_normal((rows, sizes[0])).astype(np.float32)
    y = rng.integers(0, sizes[-1], rows)
    opt = schuss.Adam(net.parameters, lr=1e-5)
    if kind == "fit":
        return lambda n: net.fit(
            x, y, loss="cross_entropy", optimizer=opt, epochs=n, batch_size=batch, restore_on_divergence=False
        ), steps
    if kind == "predict":
        row = x[0]

        def predict(n: int) -> None:
            for _ in range(n):
                net.predict(row)

        return predict, 1

    def step(n: int) -> None:
        for _ in range(n):
            net.train_step(x, y, loss="cross_entropy", optimizer=opt)

    return step, 1


def work(threads: int) -> None:
    """Answer each line of a case with seconds a step."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import schuss

    schuss.set_num_threads(threads)
    clock = time.process_time if threads == 1 else time.perf_counter
    known: dict[str, tuple[Callable[[int], Any], int, int]] = {}
    for line in sys.stdin:
        case = line.strip()
        if case not in known:
            known.clear()
            run, unit = _prepared(case)
            run(1)
            start = clock()
            run(1)
            known[case] = run, unit, max(1, int(SAMPLE / max(clock() - start, 1e-6)))
        run, unit, calls = known[case]
        run(1)
        start = clock()
        run(calls)
        print((clock() - start) / (calls * unit), flush=True)


def _started(python: str, threads: int) -> subprocess.Popen[str]:
    command = [python, os.path.abspath(__file__), "--worker", str(threads)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")


def _asked(process: subprocess.Popen[str], case: str) -> float:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(case + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def compare(old: str, new: str, threads: int, rounds: int, starts: int, cases: list[str]) -> None:
    """Print a line a case: medians of both, the median ratio of the rounds, and its quartiles.

    Each case is measured by several pairs of processes: where memory happens to lie makes some of them faster.
    """
    for case in cases:
        ratios, times = [], []
        for _ in range(starts):
            both = [_started(python, threads) for python in (old, new)]
            for k in range(rounds + 1):
                pair = [0.0, 0.0]
                for which in (0, 1) if k % 2 else (1, 0):
                    pair[which] = _asked(both[which], case)
                if k:  # the first warms up
                    times.append(pair)
                    ratios.append(pair[0] / pair[1])
            for process in both:
                process.communicate()
        low, middle, high = statistics.quantiles(ratios, n=4)
        a, b = (1e6 * statistics.median(column) for column in zip(*times, strict=True))
        print(f"{threads} thread  {case:38}{a:12.2f}{b:12.2f} us   {middle:.3f}  ({low:.3f} to {high:.3f})", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("old", nargs="?")
    parser.add_argument("new", nargs="?", default=sys.executable)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--rounds", type=int, default=7, help="of each pair of processes")
    parser.add_argument("--starts", type=int, default=5, help="pairs of processes")
    parser.add_argument("--cases", default="", help="only those that hold this text")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker)
        return
    cases = [case for case in CASES if options.cases in case]
    for threads in options.threads.split(","):
        compare(options.old, options.new, int(threads), options.rounds, options.starts, cases)


if __name__ == "__main__":
    main()
