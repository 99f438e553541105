"""Growth: the time of a training step against width, depth, batch and threads, beside a cost model.

The model of a step, with the same five prices for all sizes at one number of threads, none negative:

    time = step + layers * layer + elements * element + f * arithmetic + b * memory

elements: outputs of all layers and rows; arithmetic and memory: the limits' microseconds for the products, and for the
bytes that a step cannot do without. f = b = 1 and the other prices zero would be the limit itself. The prices minimise
the sum of squared relative errors.

A cliff is a size that costs more than `CLIFF` times what the model predicts from a neighbour: with r = time / model,
r(i) > CLIFF * min(r(i - 1), r(i + 1)). That is stricter than a prediction that interpolates r between the two, and
sees a step that lasts as well as a lone spike. It asks nothing of the model but that it grow alike from one size to
the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import drawing, ours, peers
from .cases import Case
from .limits import LEAST_BYTES, Limits
from .tables import Result, Row, row
from .timing import Contender, alternate

CLIFF = 1.5
ROUNDS = 7
# Memory is measured over so many bytes times powers of four; in between, and above, interpolated and held.
MOST_BYTES = 1 << 28
WIDTHS = (
    16, 17, 24, 32, 33, 48, 64, 65, 96, 128, 129, 192, 256, 257, 384, 512, 513, 768, 1024, 1025, 1536, 2048, 2049,
    3072, 4096,
)  # fmt: skip
DEPTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
BATCHES = (
    1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 16, 17, 24, 32, 33, 48, 64, 65, 96, 128, 129, 192, 256, 257, 384, 512, 513,
    768, 1024, 1025, 1536, 2048, 2049, 3072, 4096, 4097, 6144, 8192,
)  # fmt: skip


@dataclass(frozen=True)
class Series:
    """Cases that differ in one size."""

    name: str
    cases: dict[int, Case]


def series(quick: bool) -> list[Series]:
    """What is measured: all sizes, or the first of them and every other."""
    widths, depths, batches = (WIDTHS[:12], DEPTHS[:6], BATCHES[:22:2]) if quick else (WIDTHS, DEPTHS, BATCHES)
    found = [
        Series("width w: 64-w-w-10, batch 128", {w: Case((64, w, w, 10), 128) for w in widths}),
        Series("depth d: 64-d*64-10, batch 64", {d: Case((64, *[64] * d, 10), 64) for d in depths}),
        Series("depth d: 64-d*512-10, batch 128", {d: Case((64, *[512] * d, 10), 128) for d in depths}),
        Series("batch: 64-100-10", {b: Case((64, 100, 10), b) for b in batches}),
        Series("batch: 128-512-512-10", {b: Case((128, 512, 512, 10), b) for b in batches}),
    ]
    return [found[0], found[1], found[3]] if quick else found


class Work:
    """What the model counts of a step.

    Parameters
    ----------
    limits : Limits
    most : int
        Bytes over which memory is measured at most.
    """

    def __init__(self, limits: Limits, most: int) -> None:
        self._limits = limits
        self._sizes = [LEAST_BYTES << k for k in range(0, 64, 2) if LEAST_BYTES << k <= most]
        # Microseconds a byte.
        self._prices = [limits.both(0, size, 1 << 20) / (1 << 20) for size in self._sizes]

    def __call__(self, case: Case) -> tuple[float, ...]:
        """Steps (one), layers, elements, arithmetic, memory."""
        elements = case.batch * sum(case.sizes[1:])
        price = float(np.interp(np.log(case.state_bytes), np.log(self._sizes), self._prices))
        arithmetic = self._limits.arithmetic(case.operations)
        return 1.0, len(case.sizes) - 1, elements, arithmetic, case.moved_bytes * price


def prices(work: NDArray[np.float64], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Non-negative least squares of relative errors: the best of the ordinary fits by some of the columns that come
    out without a negative price. With so few columns all can be tried.
    """
    relative = work / times[:, None]
    scale = np.linalg.norm(relative, axis=0)
    columns = range(work.shape[1])
    best, found = np.inf, np.zeros(work.shape[1])
    for chosen in (list(some) for count in columns for some in combinations(columns, count + 1)):
        part = relative[:, chosen] / scale[chosen]
        solved = np.linalg.lstsq(part, np.ones(len(times)), rcond=None)[0]
        error = float(np.square(part @ solved - 1).sum())
        if solved.min() >= 0 and error < best:
            best, found = error, np.zeros(work.shape[1])
            found[chosen] = solved / scale[chosen]
    return found


def grouped(rows: Sequence[Row]) -> dict[tuple[str, int], list[Row]]:
    """Rows by series and threads, in the order of their sizes."""
    found: dict[tuple[str, int], list[Row]] = {}
    for one in rows:
        found.setdefault((one.label["series"], one.threads), []).append(one)
    return found


def judged(rows: Sequence[Row]) -> list[str]:
    """The cliffs. Writes time / model into the rows' labels, and how many times that of a neighbour it is at most."""
    cliffs = []
    for (name, _), line in grouped(rows).items():
        ratios = [_time(one) / float(one.label["model"]) for one in line]
        for k, (one, ratio) in enumerate(zip(line, ratios, strict=True)):
            near = ratio / min(ratios[max(k - 1, 0) : k] + ratios[k + 1 : k + 2])
            one.label |= {"/model": f"{ratio:.2f}", "/near": f"{near:.2f}"}
            if near > CLIFF:
                cliffs.append(f"{name} at {one.label['size']}: {near:.2f}")
    return cliffs


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    result = Result("Growth of the training step")
    work = Work(limits, 1 << 23 if options.quick else MOST_BYTES)
    measured: list[tuple[Series, int, Row]] = []
    counted: list[tuple[float, ...]] = []
    for one in series(options.quick):
        peers.note(f"growth {one.name}, threads {threads}")
        # All sizes take turns: what slows the machine for a while hits no size alone.
        fits = {size: ours.fit(case) for size, case in one.cases.items()}
        turns = [Contender(str(size), fit.run, fit.unit) for size, fit in fits.items()]
        times = alternate(turns, 0.01 * len(turns) * ROUNDS, ROUNDS, 5)
        for size, case in one.cases.items():
            counted.append(work(case))
            label = {"series": one.name, "size": str(size)}
            limit = counted[-1][3] + counted[-1][4]
            measured.append((one, size, row(label, threads, ["ours"], {"ours": times[str(size)]}, limit, None)))
    found = prices(np.array(counted), np.array([row.times["ours"].median for _, _, row in measured]))
    for (_, _, one_row), amounts in zip(measured, counted, strict=True):
        one_row.label["model"] = f"{np.dot(amounts, found):.4g}"
    result.rows = [one_row for _, _, one_row in measured]
    name = _threads(threads)
    cliffs = judged(result.rows)
    ratios = [float(one_row.label["/model"]) for one_row in result.rows]
    result.notes = [
        f"Adam, cross-entropy, float32, as steps of fit. model: one for all sizes at a number of threads, fitted to "
        f"the times. /near: time / model over the smaller of the same of both sizes beside it: a cliff above {CLIFF}. "
        "limit: as of the training step, with bandwidths interpolated between sizes.",
        f"{name}: model: {found[0]:.3g} us a step, {found[1]:.3g} us a layer, {1e3 * found[2]:.3g} ns an output, "
        f"{found[3]:.3g} times the arithmetic, {found[4]:.3g} times the memory; time / model from {min(ratios):.2f} to "
        f"{max(ratios):.2f}.",
        f"{name}: cliffs: {'; '.join(cliffs) or 'none'}.",
        *limits.seen(),
    ]
    return [result]


def draw(result: Result, folder: Path) -> list[Path]:
    """Times, model and limit against size, a panel a series; last, what more threads bring. Into ``growth.svg``."""
    plt = drawing.pyplot()
    if not result.rows:
        return []
    lines = grouped(result.rows)
    names = list(dict.fromkeys(name for name, _ in lines))
    threads = sorted({count for _, count in lines})
    figure, axes = plt.subplots(2, (len(names) + 2) // 2, squeeze=False, figsize=(13, 7.5), layout="constrained")
    panels = list(axes.ravel())
    for (name, count), rows in lines.items():
        panel, colour = panels[names.index(name)], f"C{threads.index(count)}"
        sizes, times = [int(one.label["size"]) for one in rows], [_time(one) for one in rows]
        panel.plot(sizes, times, "o", ms=3.5, color=colour, label=f"measured, {_threads(count)}")
        panel.plot(sizes, [float(one.label["model"]) for one in rows], "-", lw=1, color=colour, label="model")
        panel.plot(sizes, [one.limit or np.nan for one in rows], ":", lw=1, color=colour, label="limit")
        far = [k for k, one in enumerate(rows) if float(one.label["/near"]) > CLIFF]
        panel.plot([sizes[k] for k in far], [times[k] for k in far], "o", ms=10, mfc="none", color="red")
        panel.set(title=name, yscale="log", ylabel="microseconds a step")
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter("{x:g}")
    panels[0].legend(fontsize="small")
    last = panels[len(names)]
    for number, name in enumerate(names):
        for count in threads[1:]:
            pairs = zip(lines.get((name, threads[0]), []), lines.get((name, count), []), strict=True)
            points = [(_time(few), _time(few) / _time(many)) for few, many in pairs]
            style = {"ms": 4, "lw": 0.5, "color": f"C{number + 2}"}
            last.plot(*zip(*points, strict=True), ".-", **style, label=f"{name}; {_threads(count)}")
    if len(threads) > 1:
        few = _threads(threads[0])
        last.set(title=f"time with {few} over time with more", xscale="log", xlabel=f"microseconds with {few}")
        last.set_ylim(0, 1.1 * threads[-1] / threads[0])
        last.axhline(1, color="grey", lw=0.5)
        last.legend(fontsize="small", loc="lower right")
    for panel in panels[: len(names) + 1]:
        panel.grid(color="#e4e4e4")
    for panel in panels[len(names) + (len(threads) > 1) :]:
        panel.remove()
    path = folder / "growth.svg"
    drawing.save(figure, path)
    return [path]


def _threads(number: int) -> str:
    return "1 thread" if number == 1 else f"{number} threads"


def _time(one: Row) -> float:
    return one.times["ours"].median
