"""Whole fits of RealMLP beside pytabkit's: the same recipe, rows, epochs and batch, preprocessing and all."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schuss.tables import Columns, Standardise
from schuss.tables.recipes import BY_NAME, Task

from . import peers
from .gemm import Product, contenders
from .limits import Limits
from .tables import Result, row
from .timing import Contender, Samples, alternate

PEERS = {"realmlp": "RealMLP_TD", "realmlp-s": "RealMLP_TD_S"}
# Ratio of pytabkit's time to ours that is to be reached.
GOALS = {"realmlp": 4.0, "realmlp-s": 3.5}
BATCH = 256


@dataclass(frozen=True)
class Case:
    """A table of normally distributed numbers, of which a fifth of the rows validate."""

    recipe: str
    rows: int
    columns: int
    classes: int = 0

    def __str__(self) -> str:
        what = f"{self.classes} classes" if self.classes else "quantity"
        return f"{self.recipe}, {self.rows} x {self.columns}, {what}"

    def data(self) -> tuple[NDArray[np.float64], NDArray[Any]]:
        rng = np.random.default_rng(0)
        X = rng.normal(size=(self.rows, self.columns))
        score = X[:, 0] + np.sin(2 * X[:, 1]) * X[:, 2] + 0.3 * rng.normal(size=self.rows)
        if not self.classes:
            return X, score
        return X, np.digitize(score, np.quantile(score, np.arange(1, self.classes) / self.classes))

    def products(self) -> Iterator[tuple[float, Product]]:
        """The matrix products of an epoch, and how many there are of each: forward, back, and of the validation."""
        train = self.rows - self.rows // 5
        steps, held = train // BATCH, self.rows // 5 / BATCH
        first = self.columns * (4 if self.recipe == "realmlp" else 1)
        widths = [first, 256, 256, 256, self.classes or 1]
        for n_in, n_out in pairwise(widths):
            yield steps + held, Product(BATCH, n_in, n_out)
            yield steps, Product(n_in, BATCH, n_out, "TN")
            # Of the first layer too: a factor a column, and cosines, stand before it.
            yield steps, Product(BATCH, n_out, n_in, "NT")


CASES = (
    Case("realmlp-s", 10000, 9),
    Case("realmlp-s", 10000, 9, 3),
    Case("realmlp-s", 40000, 20),
    Case("realmlp", 10000, 9),
    Case("realmlp", 10000, 9, 3),
)
QUICK = (CASES[0], CASES[3])


def ours(case: Case, X: NDArray[np.float64], y: NDArray[Any], epochs: int) -> NDArray[Any]:
    """What the fitted network says of the first rows."""
    held = np.arange(len(X) - len(X) // 5, len(X))
    train = np.arange(len(X) - len(X) // 5)
    columns = Columns(X, np.empty((len(X), 0), np.int64))
    task, target = Task.of_classes(case.classes) if case.classes else Task(), y
    if not case.classes:
        standard = Standardise.fit(y[train, None])
        low, high = standard.limits()
        task, target = Task(limits=(float(low[0]), float(high[0]))), standard.transform(y[:, None])
    member = BY_NAME[case.recipe](epochs=epochs).fit(
        Columns(X[train], columns.codes[train]),
        target[train],
        task,
        validation=(Columns(X[held], columns.codes[held]), target[held]),
    )
    return member.outputs(Columns(X[:100], columns.codes[:100]))


def theirs(case: Case, X: NDArray[np.float64], y: NDArray[Any], epochs: int, threads: int) -> NDArray[Any]:
    name = f"{PEERS[case.recipe]}_{'Classifier' if case.classes else 'Regressor'}"
    model = getattr(peers.module("pytabkit"), name)(
        n_epochs=epochs, random_state=0, verbosity=0, device="cpu", n_threads=threads
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y, val_idxs=np.arange(len(X) - len(X) // 5, len(X)))
        found: NDArray[Any] = model.predict(X[:100])
    return found


def limit(case: Case, seconds: float) -> float:
    """Microseconds of an epoch's products alone, each by whoever makes it fastest."""
    total = 0.0
    for count, product in case.products():
        times = alternate(contenders(product)[0], seconds)
        total += count * min(found.median for found in times.values())
    return total


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    result = Result("RealMLP: whole fits, an epoch", baselines=["pytabkit"])
    epochs = 4 if options.quick else 16
    for case in QUICK if options.quick else CASES:
        peers.note(f"realmlp {case}, threads {threads}")
        X, y = case.data()
        calls: dict[str, Callable[[], Any]] = {"ours": partial(ours, case, X, y, epochs)}
        if peers.module("pytabkit") is not None:
            calls["pytabkit"] = partial(theirs, case, X, y, epochs, threads)
        times = alternate(
            [Contender(name, _repeated(call), epochs) for name, call in calls.items()],
            1.0,
            rounds=3 if options.quick else 5,
            least_rounds=3,
        )
        result.rows.append(row({"fit": str(case)}, threads, ["ours"], times, limit(case, 0.1), None))
        result.notes += _reached(case, threads, times)
    result.notes.insert(
        0,
        f"Microseconds an epoch, of fits of {epochs} epochs from the raw rows to the best network, a fifth of the rows "
        "validating; batch 256. limit: the matrix products of an epoch and of its validation, each by the fastest of "
        "ours, NumPy and torch.",
    )
    return [result]


def _reached(case: Case, threads: int, times: dict[str, Samples]) -> list[str]:
    if "pytabkit" not in times:
        return []
    ratio, goal = times["pytabkit"].ratio(times["ours"]), GOALS[case.recipe]
    return [f"{case}, threads {threads}: {ratio:.2f} times pytabkit (goal {goal})."]


def _repeated(call: Callable[[], Any]) -> Callable[[int], None]:
    def run(calls: int) -> None:
        for _ in range(calls):
            call()

    return run
