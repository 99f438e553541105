"""Compares all optimizers on three small problems, each at its own best learning rate: ``python docs/comparison.py``.

Writes docs/comparison.json and docs/plots/comparison.png, in some minutes; docs/optimizers.py puts the numbers into the
page. Results are the same for any number of threads and on any CPU with fused multiply-add.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optimizers import ranking

import schuss
from schuss.optim import BY_NAME

Array = NDArray[Any]

PLACE = Path(__file__).parent
TUNING = range(1000, 1005)  # seeds by which the learning rate is chosen
REPORTED = range(20)  # seeds whose results are reported
FACTOR = math.sqrt(10)
FIRST_RATES = [
    1e-4 * FACTOR**k for k in range(7)
]  # more beyond where the best is at an end, then between its neighbours
LEAST_RATE, MOST_RATE = 1e-7, 1e4
DECAYS: dict[str, Callable[[float, int], Any]] = {
    "constant": lambda lr, steps: lr,
    "cosine": schuss.schedules.Cosine,
}


@dataclass(frozen=True)
class Entrant:
    """An optimizer, what is set beside its learning rate, and the latter if it is not to be searched for."""

    name: str
    kind: type[schuss.Optimizer]
    options: dict[str, Any] = field(default_factory=dict)
    lr: float | None = None

    @property
    def decays(self) -> list[str]:
        """How its rate may fall. Rprop's is no rate, but the size of the first step."""
        return ["constant"] if self.kind is schuss.Rprop else list(DECAYS)

    def make(self, params: Any, lr: Any) -> schuss.Optimizer:
        """Without weight decay, which would change the problem."""
        options = dict(self.options)
        if "weight_decay" in inspect.signature(self.kind).parameters:
            options["weight_decay"] = 0.0
        if self.name == "Muon":  # vectors go to AdamW, whose steps then have the same size
            options |= {"adjust_lr_fn": "match_rms_adamw", "adamw": {"lr": lr, "weight_decay": 0.0}}
        return self.kind(params, lr=lr, **options)


def entrants() -> list[Entrant]:
    """All of them with their defaults, SGD with momentum too, and as they are those that say they need no rate."""
    found = [Entrant(kind.__name__, kind) for kind in BY_NAME.values()]
    found.append(Entrant("SGD, momentum 0.9", schuss.SGD, {"momentum": 0.9}))
    found += [Entrant(f"{kind.__name__}, lr 1", kind, lr=1.0) for kind in (schuss.Adadelta, schuss.Prodigy)]
    return found


@dataclass(frozen=True)
class Problem:
    """Something to train, and how good the result is: less is better.

    Attributes
    ----------
    title, measure : str
        For the picture: what is trained, and what is measured.
    data : callable
        Of a seed: inputs, targets, and a function that measures a network.
    """

    title: str
    measure: str
    epochs: int
    batch: int
    loss: str
    data: Callable[[int], tuple[Array, Array, Callable[[schuss.Network], float]]]
    layers: tuple[schuss.Dense, ...]
    dtype: str = "float32"

    def run(self, entrant: Entrant, lr: float, decay: str, seed: int) -> float:
        """Train from the start; what comes out, infinite where it diverges."""
        X, y, score = self.data(seed)
        net = schuss.Network(self.layers, seed=seed, dtype=self.dtype)
        steps = self.epochs * math.ceil(len(X) / self.batch)
        optimizer = entrant.make(net.parameters, DECAYS[decay](lr, steps))
        try:
            net.fit(X, y, loss=self.loss, optimizer=optimizer, epochs=self.epochs, batch_size=self.batch)
        except schuss.DivergenceError:
            return math.inf
        value = score(net)
        return value if math.isfinite(value) else math.inf


# ---- the problems ----------------------------------------------------------------------------------------------------


@cache
def digits(seed: int) -> tuple[Array, Array, Callable[[schuss.Network], float]]:
    """Most rows of scikit-learn's digits."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = (X / 16 - 0.5).astype(np.float32)
    rows = np.random.default_rng(seed).permutation(len(X))[:1280]
    X, y = X[rows], y[rows]
    return X, y, lambda net: net.evaluate(X, y, loss="cross_entropy")["loss"]


@cache
def diagnoses(seed: int) -> tuple[Array, Array, Callable[[schuss.Network], float]]:
    """Four fifths of scikit-learn's breast_cancer, standardised; labels 0.02 and 0.98, so that there is a minimum."""
    from sklearn.datasets import load_breast_cancer

    X, y = load_breast_cancer(return_X_y=True)
    rows = np.random.default_rng(seed).permutation(len(X))[:455]
    X, y = X[rows], 0.02 + 0.96 * y[rows]
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    extended = np.column_stack([X, np.ones(len(X))])

    def loss(w: Array) -> float:
        z = extended @ w
        return float(np.mean(np.logaddexp(0, z) - y * z))

    w = np.zeros(extended.shape[1])
    for _ in range(50):  # Newton's method
        p = 0.5 + 0.5 * np.tanh(extended @ w / 2)
        hessian = (extended.T * (p * (1 - p))) @ extended
        w -= np.linalg.solve(hessian, extended.T @ (p - y))
    least = loss(w)

    def score(net: schuss.Network) -> float:
        weights, bias = net.parameters
        return loss(np.append(weights[:, 0], bias)) - least

    return X, y[:, None], score


@cache
def words(seed: int) -> tuple[Array, Array, Callable[[schuss.Network], float]]:
    """Rows of ones and zeros, in which feature k is there with a probability of about 1 / k; a linear target with noise
    that is 20 times as large in one row of 50."""
    rng = np.random.default_rng(seed)
    chance = np.minimum(0.5, 1 / np.arange(1, 201))
    truth = rng.normal(size=200)
    X = (rng.random((6000, 200)) < chance).astype(np.float32)
    signal = X @ truth
    noise = 0.5 * rng.normal(size=6000) * np.where(rng.random(6000) < 0.02, 20, 1)
    train, test = slice(4000), slice(4000, None)
    clean = signal[test]
    variance = float(clean.var())

    def score(net: schuss.Network) -> float:
        return float(np.mean((net.predict(X[test])[:, 0] - clean) ** 2)) / variance

    return X[train], (signal + noise)[train, None].astype(np.float32), score


PROBLEMS = {
    "digits": Problem(
        "digits: a network, 64-32-10,\n200 steps of 32 rows",
        "loss over all rows",
        5,
        32,
        "cross_entropy",
        digits,
        (schuss.Dense(64, 32, "relu"), schuss.Dense(32, 10)),
    ),
    "diagnoses": Problem(
        "diagnoses: logistic regression,\n400 steps of all rows",
        "loss above the least",
        400,
        455,
        "binary_cross_entropy",
        diagnoses,
        (schuss.Dense(30, 1),),
        "float64",
    ),
    "words": Problem(
        "words: linear regression, rare features,\noutliers, 500 steps of 8 rows",
        "share of the variance not explained",
        1,
        8,
        "mse",
        words,
        (schuss.Dense(200, 1),),
    ),
}


# ---- the search ------------------------------------------------------------------------------------------------------


def search(problem: Problem, entrant: Entrant, decay: str) -> tuple[float, float]:
    """The best rate and its result, medians over the seeds for tuning."""

    @cache
    def of(lr: float) -> float:
        return float(np.median([problem.run(entrant, lr, decay, seed) for seed in TUNING]))

    if entrant.lr is not None:
        return of(entrant.lr), entrant.lr
    rates = list(FIRST_RATES)
    while True:
        best = min(rates, key=of)
        if best == rates[0] and best > LEAST_RATE:
            rates.insert(0, best / FACTOR)
        elif best == rates[-1] and best < MOST_RATE:
            rates.append(best * FACTOR)
        else:
            break
    best = min((best / math.sqrt(FACTOR), best, best * math.sqrt(FACTOR)), key=of)
    return of(best), best


def compared(problem: Problem, entrant: Entrant) -> dict[str, Any]:
    """The entrant at its best on fresh seeds: median and tenths, and the medians at 3 times less and more."""
    _, lr, decay = min((*search(problem, entrant, decay), decay) for decay in entrant.decays)
    at = {
        name: [problem.run(entrant, lr * factor, decay, seed) for seed in REPORTED]
        for name, factor in (("", 1), ("less", 1 / FACTOR), ("more", FACTOR))
    }
    low, median, high = np.percentile(at[""], [10, 50, 90], method="nearest")
    return {
        "lr": rounded(lr, 2),
        "decay": decay,
        "median": rounded(median),
        "low": rounded(low),
        "high": rounded(high),
        "less": rounded(np.median(at["less"])),
        "more": rounded(np.median(at["more"])),
    }


def descent_of_lbfgs(problem: Problem, seed: int) -> list[float]:
    """How good the network is at each gradient that L-BFGS asks for."""
    X, y, score = problem.data(seed)
    net = schuss.Network(problem.layers, seed=seed, dtype=problem.dtype)
    seen: list[float] = []

    def closure() -> tuple[float, Any]:
        seen.append(score(net))
        return net.loss_and_gradients(X, y, loss=problem.loss), net.gradients

    options: dict[str, Any] = {"line_search_fn": "strong_wolfe", "tolerance_grad": 0, "tolerance_change": 0}
    schuss.LBFGS(net.parameters, max_iter=problem.epochs, max_eval=problem.epochs, **options).step(closure)
    return seen


def gradients_of_lbfgs(problem: Problem) -> dict[str, int]:
    """How many gradients it needs to come so close to the minimum, medians."""
    runs = [descent_of_lbfgs(problem, seed) for seed in REPORTED]
    return {
        level: int(np.median([1 + next(k for k, value in enumerate(run) if value < float(level)) for run in runs]))
        for level in ("1e-4", "1e-8", "1e-12")
    }


def rounded(value: Any, digits: int = 3) -> float | None:
    """To so many digits; None where it diverged."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


# ---- the picture -----------------------------------------------------------------------------------------------------


# Marks, colours, fills, and what they mean.
MARKS = {
    "less": ("<", "#1f4e9c", "none", "rate 3 times smaller"),
    "more": (">", "#1f4e9c", "none", "rate 3 times larger"),
    "median": ("o", "#c1121f", "#c1121f", "median"),
}


def draw(rows: list[tuple[str, dict[str, Any]]], path: Path) -> None:
    """One panel a problem, one line for those with the same results."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter
    from PIL import Image

    names = [name for name, _ in rows]
    figure = Figure(figsize=(10, 1.4 + 0.2 * len(names)), layout="constrained")
    marks: dict[str, Any] = {}
    for panel, (key, problem) in zip(figure.subplots(1, len(PROBLEMS), sharey=True), PROBLEMS.items(), strict=True):
        found = [results[key] for _, results in rows]
        second = sorted(result["median"] for result in found)[1]  # the best may be far ahead
        edge = min(1.6 * max(result["high"] for result in found), 40 * second)
        for y, result in enumerate(found):
            at = {name: edge if result[name] is None else min(result[name], edge) for name in ("low", "high", *MARKS)}
            marks["10 to 90% of 20 seeds"] = panel.plot([at["low"], at["high"]], [y, y], color="0.55", linewidth=3)[0]
            for name, (mark, colour, fill, label) in MARKS.items():
                style = {"color": colour, "markerfacecolor": fill, "markersize": 4, "clip_on": False}
                (marks[label],) = panel.plot(at[name], y, mark, **style)
        panel.set_xscale("log")
        panel.set_xlim(0.7 * min(result["low"] for result in found), edge)
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_title(problem.title, fontsize=8)
        panel.set_xlabel(problem.measure, fontsize=8)
        panel.grid(alpha=0.25)
        panel.tick_params(labelsize=7)
        panel.set_yticks(range(len(names)), names)
        panel.set_ylim(len(names) - 0.5, -0.5)
    figure.legend(marks.values(), marks.keys(), loc="outside lower center", ncols=len(marks), fontsize=8, frameon=False)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=90)
    Image.open(drawn).convert("RGB").quantize(48).save(path, optimize=True)


def main() -> None:
    """Compare, write, draw."""
    results: dict[str, Any] = {}
    for entrant in entrants():
        results[entrant.name] = {key: compared(problem, entrant) for key, problem in PROBLEMS.items()}
        print(
            entrant.name, *(f"{key} {found['median']:.3g}" for key, found in results[entrant.name].items()), flush=True
        )
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in results.items())
    lbfgs = json.dumps(gradients_of_lbfgs(PROBLEMS["diagnoses"]))
    text = f'{{\n "LBFGS": {lbfgs},\n "results": {{\n{lines}\n }}\n}}\n'
    (PLACE / "comparison.json").write_text(text, encoding="utf-8")
    draw(ranking(), PLACE / "plots" / "comparison.png")


if __name__ == "__main__":
    main()
