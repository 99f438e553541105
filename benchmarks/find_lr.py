"""Whether `schuss.find_lr` finds the rate that a grid of factors of 2 finds, how stable it is, and what it costs.

``python -m benchmarks.find_lr`` writes docs/find_lr.json, ``python -m benchmarks.find_lr --table`` prints it as the
page has it. Final losses of trainings of 20 epochs are compared in three ways, for losses that go to 1e-6 are within 5%
of nothing:

- fall: how much less of the way from the first loss to the best final one is made, on training rows;
- train: the ratio of the final losses on training rows;
- validation: the ratio of the lowest losses on rows held out, on the way, as early stopping keeps them.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss
from schuss import datasets

EPOCHS, BATCH = 20, 32
GRID = 2.0 ** np.arange(-14, 3)
SEEDS = range(8)
DRAWS = range(20)
TARGET = Path(__file__).parent.parent / "docs" / "find_lr.json"
HIDDEN = {"digits": 64, "breast_cancer": 32, "diabetes": 32, "mnist5k": 128}
OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "SGD, momentum 0.9": lambda parameters, lr: schuss.SGD(parameters, lr=lr, momentum=0.9),
    "Adam": lambda parameters, lr: schuss.Adam(parameters, lr=lr),
    "RMSProp": lambda parameters, lr: schuss.RMSProp(parameters, lr=lr),
}


@dataclass(frozen=True)
class Problem:
    """Rows to train on and rows held out, a loss and a size."""

    name: str
    x: NDArray[np.float32]
    y: NDArray[Any]
    x_held: NDArray[np.float32]
    y_held: NDArray[Any]
    loss: str
    outputs: int

    @classmethod
    def of(cls, name: str) -> Problem:
        """A named data set, four fifths of it for training; scaled by these."""
        table = datasets.load(name)
        *columns, target = table.columns.values()
        order = np.random.Generator(np.random.PCG64(0)).permutation(table.n_rows)
        x = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)[order]
        y: NDArray[Any] = np.asarray(target)[order]
        n = 4 * len(x) // 5
        if "pixel" in next(iter(table.columns)):
            x /= x.max()
        else:
            x = (x - x[:n].mean(axis=0)) / x[:n].std(axis=0)
        if name == "diabetes":
            y = (y.astype(np.float64) - y[:n].mean()) / y[:n].std()
            loss, outputs = "mse", 1
        else:
            names, y = np.unique(y, return_inverse=True)
            loss, outputs = "cross_entropy", len(names)
        rows = x.astype(np.float32)
        return cls(name, rows[:n], y[:n], rows[n:], y[n:], loss, outputs)

    def network(self, seed: int) -> schuss.Network:
        units = HIDDEN[self.name]
        return schuss.Network([schuss.Dense(self.x.shape[1], units, "relu"), schuss.Dense(self.outputs)], seed=seed)


def trained(problem: Problem, optimizer: str, rates: Sequence[float], seeds: Sequence[int]) -> NDArray[np.float64]:
    """The final loss on training rows and the lowest on held-out ones of a training for each pair; inf: diverged."""
    fits = []
    for rate, seed in zip(rates, seeds, strict=True):
        network = problem.network(seed)
        fits.append({
            "network": network, "X": problem.x, "y": problem.y, "loss": problem.loss, "epochs": EPOCHS,
            "batch_size": BATCH, "optimizer": OPTIMIZERS[optimizer](network.parameters, rate),
            "validation_data": (problem.x_held, problem.y_held),
        })  # fmt: skip
    found = schuss.fit_side_by_side(fits)
    numbers = np.full((len(fits), 2), np.inf)
    for row, fit, history in zip(numbers, fits, found, strict=True):
        if isinstance(history, schuss.History):
            of_fit: Any = fit["network"]
            row[:] = of_fit.evaluate(problem.x, problem.y, loss=problem.loss)["loss"], history["val_loss"].min()
    return numbers


def searched(problem: Problem, optimizer: str, network_seeds: Sequence[int], draws: Sequence[int]) -> list[Any]:
    """What `find_lr` says for networks of these seeds, on the batches of these draws."""
    found = []
    for network_seed, draw in zip(network_seeds, draws, strict=True):
        network = problem.network(network_seed)
        given = OPTIMIZERS[optimizer](network.parameters, 1e-3)
        found.append(schuss.find_lr(network, problem.x, problem.y, loss=problem.loss, optimizer=given, seed=draw))
    return found


def same_later(problem: Problem, optimizer: str) -> bool:
    """Whether a training after a search has the bits of one without."""
    networks = [problem.network(0), problem.network(0)]
    for k, network in enumerate(networks):
        given = OPTIMIZERS[optimizer](network.parameters, 1e-3)
        if k:
            schuss.find_lr(network, problem.x, problem.y, loss=problem.loss, optimizer=given)
        network.fit(problem.x, problem.y, loss=problem.loss, optimizer=given, epochs=1)
    pairs = zip(networks[0].parameters, networks[1].parameters, strict=True)
    return all(a.tobytes() == b.tobytes() for a, b in pairs)


def cost(problem: Problem, optimizer: str) -> tuple[float, float]:
    """Seconds of a search and of a training of 20 epochs, each the best of three, in turns."""
    times = [[np.inf], [np.inf]]
    for _ in range(3):
        network = problem.network(0)
        given = OPTIMIZERS[optimizer](network.parameters, 1e-3)
        start = time.perf_counter()
        schuss.find_lr(network, problem.x, problem.y, loss=problem.loss, optimizer=given)
        times[0].append(time.perf_counter() - start)
        start = time.perf_counter()
        network.fit(problem.x, problem.y, loss=problem.loss, optimizer=given, epochs=EPOCHS, batch_size=BATCH)
        times[1].append(time.perf_counter() - start)
    return min(times[0]), min(times[1])


def measured(problem: Problem, optimizer: str) -> dict[str, Any]:
    """One row of the table."""
    shape = (len(SEEDS), len(GRID), 2)
    grid = trained(problem, optimizer, np.tile(GRID, len(SEEDS)).tolist(), np.repeat(SEEDS, len(GRID)).tolist())
    grid = grid.reshape(shape).mean(axis=0)
    best = grid.min(axis=0)
    begun = [problem.network(seed).evaluate(problem.x, problem.y, loss=problem.loss)["loss"] for seed in SEEDS]
    first = float(np.mean(begun))
    draws = searched(problem, optimizer, [0] * len(DRAWS), list(DRAWS))
    both = searched(problem, optimizer, list(DRAWS), list(DRAWS))
    row: dict[str, Any] = {
        "data": problem.name, "optimizer": optimizer, "steps_of_training": EPOCHS * -(-len(problem.x) // BATCH),
        "first_loss": first,
        "grid": [{"lr": lr, "train": a, "validation": b} for lr, (a, b) in zip(GRID, grid.tolist(), strict=True)],
        "steps": int(np.median([one.steps for one in both])),
    }  # fmt: skip
    for rule in ("suggestion", "valley", "steepest", "safe"):
        rates = [getattr(one, rule) for one in both]
        of_draws = np.array([getattr(one, rule) for one in draws])
        came_to = trained(problem, optimizer, [rates[seed] for seed in SEEDS], list(SEEDS)).mean(axis=0)
        row[rule] = {
            "median": float(np.median(of_draws)),
            "moves_with_draws": float(of_draws.max() / of_draws.min()),
            "moves_with_networks_too": float(max(rates) / min(rates)),
            "fall": float((came_to[0] - best[0]) / (first - best[0])),
            "train": float(came_to[0] / best[0] - 1.0) if best[0] > 0 else float("inf"),
            "validation": float(came_to[1] / best[1] - 1.0),
        }
    seconds, of_training = cost(problem, optimizer)
    row.update(seconds=seconds, seconds_of_training=of_training, same_later=same_later(problem, optimizer))
    return row


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The tables of docs/rates.md."""
    lines = [
        "| data | optimizer | suggestion | fall | validation | train | moves with batches | with networks too | steps "
        "| time |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        use = row["suggestion"]
        lines.append(
            f"| {row['data']} | {row['optimizer']} | {use['median']:.3g} "
            f"| {use['fall']:.1%} | {use['validation']:+.0%} | {use['train']:+.0%} "
            f"| {use['moves_with_draws']:.2f} | {use['moves_with_networks_too']:.2f} "
            f"| {row['steps'] / row['steps_of_training']:.0%} "
            f"| {1e3 * row['seconds']:.0f} of {1e3 * row['seconds_of_training']:.0f} ms |"
        )
    lines += [
        "",
        "| of 12 | fall within 5% | validation within 5% | train within 5% | moves by < 2 with batches "
        "| with networks too |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for rule in ("suggestion", "valley", "steepest", "safe"):
        found = [row[rule] for row in rows]
        counts = [sum(one[key] <= 0.05 for one in found) for key in ("fall", "validation", "train")]
        counts += [sum(one[key] < 2.0 for one in found) for key in ("moves_with_draws", "moves_with_networks_too")]
        lines.append(f"| {rule} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines)


def alone(row: dict[str, Any]) -> bool:
    """Whether no other rate of the grid than the best ends within 5% of it on training rows."""
    ends = sorted(one["train"] for one in row["grid"])
    return bool(ends[1] > 1.05 * ends[0])


def main() -> None:
    """Measure all of it, or print what was measured."""
    if sys.argv[1:] == ["--table"]:
        print(table(json.loads(TARGET.read_text())["rows"]))
        return
    names = sys.argv[1:] or list(HIDDEN)
    rows = []
    for name in names:
        problem = Problem.of(name)
        for optimizer in OPTIMIZERS:
            row = measured(problem, optimizer)
            rows.append(row)
            use = row["suggestion"]
            print(
                f"{name:14s} {optimizer:18s} use {use['median']:.3g} x{use['moves_with_draws']:.2f} "
                f"x{use['moves_with_networks_too']:.2f}  fall {use['fall']:+.1%} train {use['train']:+.0%} "
                f"validation {use['validation']:+.1%}  steps {row['steps'] / row['steps_of_training']:.1%} "
                f"time {row['seconds'] / row['seconds_of_training']:.1%} ({1e3 * row['seconds']:.1f} ms) "
                f"{'same bits' if row['same_later'] else 'OTHER BITS'}",
                flush=True,
            )
    if not sys.argv[1:]:
        TARGET.write_text(json.dumps({"epochs": EPOCHS, "batch_size": BATCH, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
