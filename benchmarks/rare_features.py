"""AdaGrad, SGD, Adam and FTRL where most features are rare, each at its own best rate: writes numbers and a picture.

``python -m benchmarks.rare_features RESULTS.json [PICTURE.png]``: some minutes of one core. A rate is searched by two
seeds, by the least validation loss, and further where the best is at an end of the ladder; then five other seeds are
trained at it. A seed draws rows, split and start anew. A training goes on until the validation loss has not fallen for
three epochs, and keeps the best epoch. Rates are constant.

The words are of the PyPI package vaderSentiment's source archive (MIT; C. J. Hutto, E. Gilbert, 2014): 10 605
sentences of reviews of films (B. Pang, L. Lee, 2005), rated by twenty people each.
``pip download --no-deps --no-binary :all: vaderSentiment==3.3.2``, and name the file in the environment variable
``SCHUSS_REVIEWS``; without it only what is made up is measured.
"""

from __future__ import annotations

import inspect
import io
import json
import math
import os
import re
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss

from . import rate_search, study

VARIABLE = "SCHUSS_REVIEWS"
LADDER = tuple(float(f"{digit}e{power}") for power in range(-5, 3) for digit in (1, 3))
TUNING, REPORTED = (100, 101), range(5)
EPOCHS, PATIENCE, BATCH = 40, 3, 32
HIDDEN = 16
# What the others are compared with, seed by seed.
BASE = "AdaGrad"


@dataclass(frozen=True)
class Entrant:
    """An optimizer, by its name in schuss, what is set, and the rates that the search begins with.

    Attributes
    ----------
    name : str
    options : dict
    first : tuple of float
        Rates of the ladder.
    of_rows : bool
        Whether it needs rows of several numbers to be something of its own.
    """

    name: str
    options: dict[str, Any]
    first: tuple[float, ...]
    of_rows: bool = False

    def make(self, net: schuss.Network, lr: float) -> schuss.Optimizer:
        kind = getattr(schuss, self.name)
        made: schuss.Optimizer = kind(net.parameters, lr=lr, **self.options)
        return made

    @property
    def known(self) -> bool:
        """Whether this version of schuss has it."""
        kind = getattr(schuss, self.name, None)
        return kind is not None and set(self.options) <= set(inspect.signature(kind).parameters)


ENTRANTS = {
    BASE: Entrant("AdaGrad", {}, (0.03, 0.1, 0.3)),
    "SGD": Entrant("SGD", {}, (0.3, 1.0, 3.0)),
    "SGD, momentum 0.9": Entrant("SGD", {"momentum": 0.9}, (0.03, 0.1, 0.3)),
    "RowAdaGrad": Entrant("RowAdaGrad", {}, (0.03, 0.1, 0.3), of_rows=True),
    "FTRL": Entrant("FTRL", {}, (0.03, 0.1, 0.3)),
    "Adam": Entrant("Adam", {}, (1e-3, 3e-3, 1e-2)),
    "Adam, rows lazy": Entrant("Adam", {"rows": "lazy"}, (1e-3, 3e-3, 1e-2)),
}

Rows = tuple[Any, NDArray[np.float32]]


@dataclass(frozen=True)
class Split:
    """What trains, validates and tests, and the log loss of who knows the truth, if it is known."""

    training: Rows
    validation: Rows
    test: Rows
    truth: float = math.nan


@dataclass(frozen=True)
class Problem:
    """Rows for a seed, and the hidden units of what learns them; 0: a linear model."""

    split: Callable[[int], Split]
    hidden: int

    def run(self, name: str, lr: float, seed: int) -> dict[str, Any]:
        """Validation losses after each epoch, the test's at the best; infinite where training has diverged."""
        rows = self.split(seed)
        n = rows.training[0].shape[1]
        hidden = [schuss.Dense(self.hidden, "relu")] if self.hidden else []
        net = schuss.Network([schuss.Input("features", n, dtype="sparse"), *hidden, schuss.Dense(1)], seed=seed)
        try:
            history = net.fit(
                *rows.training,
                loss="binary_cross_entropy",
                optimizer=ENTRANTS[name].make(net, lr),
                epochs=EPOCHS,
                batch_size=BATCH,
                validation_data=rows.validation,
                early_stopping=PATIENCE,
                training_metrics=False,
            )
        except schuss.DivergenceError:
            return {"val_loss": [math.inf], "error": math.inf, "truth": rows.truth}
        z = np.asarray(net.predict(rows.test[0]), np.float64).ravel()
        error = log_loss(z, rows.test[1])
        return {
            "val_loss": [round(one, 5) for one in history["val_loss"].tolist()],
            "error": error,
            "truth": rows.truth,
        }


def log_loss(z: NDArray[Any], y: NDArray[Any]) -> float:
    """The mean, of logits."""
    return float(np.mean(np.logaddexp(0, np.where(y > 0, -z, z))))


def drawn(seed: int, rows: int, features: int, exponent: float, entries: int = 20) -> Any:
    """A CSR matrix of zeros and ones: so many features a row, each drawn by its rank to the minus exponent."""
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(seed)
    chances = np.arange(1, features + 1) ** -exponent
    columns = rng.choice(features, (rows, entries), p=chances / chances.sum())
    matrix = csr_matrix(
        (np.ones(rows * entries, np.float32), columns.ravel(), np.arange(0, rows * entries + 1, entries)),
        shape=(rows, features),
    )
    matrix.sum_duplicates()
    matrix.data[:] = 1
    return matrix


def made_up(features: int, exponent: float) -> Callable[[int], Split]:
    """20 000 rows that train, 5000 that validate, 20 000 that test; the weights of the features are always the same."""

    def split(seed: int) -> Split:
        X = drawn(seed, 45_000, features, exponent)
        rng = np.random.default_rng((seed, 1))
        z = X @ np.random.default_rng(0).normal(0, 0.5, features)
        z -= z.mean()
        y = (rng.random(len(z)) < 1 / (1 + np.exp(-z))).astype(np.float32)
        parts = [(X[part], y[part]) for part in (slice(20_000), slice(20_000, 25_000), slice(25_000, None))]
        return Split(parts[0], parts[1], parts[2], log_loss(z[25_000:], y[25_000:]))

    return split


def words(seed: int) -> Split:
    """Sentences as the words that are in them, liking or not: 60 % train, 15 % validate, 25 % test.

    A word that no sentence that trains has is no feature.
    """
    from scipy.sparse import csr_matrix

    sentences, liked = reviews()
    order = np.random.default_rng(seed).permutation(len(liked))
    ends = [round(0.6 * len(order)), round(0.75 * len(order)), len(order)]
    training, validation, test = order[: ends[0]], order[ends[0] : ends[1]], order[ends[1] :]
    counts = Counter(word for k in training for word in sentences[k])
    column = {word: k for k, word in enumerate(sorted(counts))}

    def rows(places: NDArray[np.intp]) -> Rows:
        codes = [[column[word] for word in sentences[k] if word in column] for k in places]
        ends = np.cumsum([0, *map(len, codes)])
        flat = np.array([code for own in codes for code in own], np.int32)
        matrix = csr_matrix((np.ones(len(flat), np.float32), flat, ends), shape=(len(places), len(column)))
        matrix.sort_indices()
        return matrix, liked[places]

    return Split(rows(training), rows(validation), rows(test))


def reviews() -> tuple[list[list[str]], NDArray[np.float32]]:
    """The different words of each sentence, and whether it likes the film."""
    with tarfile.open(os.environ[VARIABLE]) as outer:
        inner = next(name for name in outer.getnames() if name.endswith("hutto_ICWSM_2014.tar.gz"))
        packed = outer.extractfile(inner)
        assert packed is not None
        with tarfile.open(fileobj=io.BytesIO(packed.read())) as archive:
            name = next(name for name in archive.getnames() if name.endswith("movieReviewSnippets_GroundTruth.txt"))
            file = archive.extractfile(name)
            assert file is not None
            lines = file.read().decode("utf-8", "replace").splitlines()
    cells = [line.split("\t") for line in lines if line.count("\t") == 2]
    sentences = [sorted(set(re.findall(r"\w+", text.lower()))) for _, _, text in cells]
    return sentences, np.array([float(mean) > 0 for _, mean, _ in cells], np.float32)


PROBLEMS = {
    "rare features, linear": Problem(made_up(50_000, 1.1), 0),
    "common features, linear": Problem(made_up(300, 0.0), 0),
    "words, linear": Problem(words, 0),
    f"words, {HIDDEN} hidden": Problem(words, HIDDEN),
}


def best_rate(problem: Problem, name: str) -> tuple[float, dict[float, float]]:
    """The rate with the least validation loss in the mean over the seeds for tuning, and what was tried."""
    return rate_search.best_rate(
        LADDER,
        ENTRANTS[name].first,
        lambda lr: float(np.mean([min(problem.run(name, lr, seed)["val_loss"]) for seed in TUNING])),
    )


def measure(path: Path) -> dict[str, Any]:
    """All that the file does not have yet and that can be measured here; it is written after each optimizer."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for title, problem in PROBLEMS.items():
        if problem.split is words and not os.environ.get(VARIABLE):
            print(f"{title} left out: {VARIABLE} does not name the archive", file=sys.stderr)
            continue
        of_problem = found.setdefault(title, {})
        for name, entrant in ENTRANTS.items():
            if name in of_problem or not entrant.known or (entrant.of_rows and not problem.hidden):
                continue
            start = time.process_time()
            lr, tried = best_rate(problem, name)
            runs = [problem.run(name, lr, seed) for seed in REPORTED]
            of_problem[name] = {"lr": lr, "tried": {f"{rate:g}": loss for rate, loss in tried.items()}, "runs": runs}
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            print(f"{title}: {told(name, of_problem)} {time.process_time() - start:.0f} s", flush=True)
    return found


def told(name: str, of_problem: dict[str, Any]) -> str:
    """A row of the tables in docs/sparse.md: what an optimizer's loss is over that of AdaGrad is seed by seed."""
    own, base = of_problem[name], of_problem.get(BASE, of_problem[name])
    errors = np.array([run["error"] for run in own["runs"]])
    over = errors - [run["error"] for run in base["runs"]]
    epochs = np.median([int(np.argmin(run["val_loss"])) + 1 for run in own["runs"]])
    return (
        f"| {name} | {own['lr']:g} | {errors.mean():.4f} ± {errors.std(ddof=1):.4f} | "
        f"{over.mean():+.4f} ± {over.std(ddof=1):.4f} | {epochs:.0f} |"
    )


def draw(found: dict[str, Any], picture: str) -> None:
    """Above, validation losses over epochs, the mean of the seeds; below, what each rate of the search came to."""
    import matplotlib.pyplot as plt

    figure, places = plt.subplots(2, len(found), figsize=(4 * len(found), 7), layout="constrained", squeeze=False)
    for (above, below), (title, of_problem) in zip(places.T, found.items(), strict=True):
        least = min(min(own["tried"].values()) for own in of_problem.values())
        for k, name in enumerate(ENTRANTS):
            if name not in of_problem:
                continue
            own = of_problem[name]
            shortest = min(len(run["val_loss"]) for run in own["runs"])
            curve = np.mean([run["val_loss"][:shortest] for run in own["runs"]], axis=0)
            above.plot(
                np.arange(1, shortest + 1), curve, color=f"C{k}", marker=".", label=f"{name}, rate {own['lr']:g}"
            )
            rates, losses = np.array([*map(float, own["tried"])]), np.array([*own["tried"].values()])
            below.plot(rates, losses, color=f"C{k}", marker=".", label=name)
        above.set(xlabel="epoch", ylabel="validation log loss", title=title)
        above.set_ylim(0.985 * least, 1.2 * least)
        above.legend(fontsize=7)
        below.set(
            xlabel="learning rate", ylabel="least validation log loss", xscale="log", title="Rates that were tried"
        )
        below.set_ylim(0.985 * least, 1.2 * least)
    figure.savefig(picture, dpi=90)


main = partial(study.main, measure, draw)

if __name__ == "__main__":
    main(*sys.argv[1:])
