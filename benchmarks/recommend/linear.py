"""Logistic regression on compressed rows of a million features, beside scikit-learn's SGDClassifier, to one held-out
loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss

from .. import peers
from ..rare_features import drawn, log_loss
from ..tables import Result, Row, row
from ..timing import Contender, alternate

ROWS, HELD, FEATURES, ENTRIES, EXPONENT = 100_000, 20_000, 1_000_000, 30, 1.3
ALPHA = 1e-4
BATCH, RATE = 128, 0.1
EPOCHS = 10


@dataclass(frozen=True)
class Data:
    """Rows that train and rows that are held out, with labels of 0 and 1."""

    X: Any
    y: NDArray[np.float32]
    X_held: Any
    y_held: NDArray[np.float32]


@cache
def data(rows: int = ROWS, features: int = FEATURES) -> Data:
    """Features by Zipf's law, each with a weight of its own."""
    X = drawn(0, rows + HELD, features, EXPONENT, ENTRIES)
    rng = np.random.default_rng(1)
    z = X @ rng.normal(0, 0.5, features)
    y = (rng.random(len(z)) < 1 / (1 + np.exp(-(z - z.mean())))).astype(np.float32)
    return Data(X[:rows], y[:rows], X[rows:], y[rows:])


class Ours:
    """A network of one dense layer on compressed rows, AdaGrad with the penalty of alpha."""

    name = "ours"

    def __init__(self, given: Data, rows: str | None = "lazy") -> None:
        n = given.X.shape[1]
        self.net = schuss.Network([schuss.Input("features", n, dtype="sparse"), schuss.Dense(1)], seed=0)
        options: dict[str, Any] = {} if rows is None else {"rows": rows}
        self.optimizer = schuss.AdaGrad(self.net.parameters, lr=RATE, weight_decay=ALPHA, **options)
        self.given = given

    def run(self, epochs: int) -> None:
        self.net.fit(
            self.given.X,
            self.given.y,
            loss="binary_cross_entropy",
            optimizer=self.optimizer,
            epochs=epochs,
            batch_size=BATCH,
            training_metrics=False,
            restore_on_divergence=False,
        )

    def logits(self) -> NDArray[Any]:
        return np.asarray(self.net.predict(self.given.X_held), np.float64).ravel()


class Theirs:
    """SGDClassifier with its own schedule of rates."""

    name = "SGDClassifier"

    def __init__(self, given: Data) -> None:
        module = peers.module("sklearn.linear_model")
        self.model = module.SGDClassifier(loss="log_loss", alpha=ALPHA, random_state=0)
        self.given = given
        self.classes = np.array([0.0, 1.0])
        # In double precision, which it would make of it in each call.
        self.X = given.X.astype(np.float64)

    def run(self, epochs: int) -> None:
        # What partial_fit does, with an epoch a call: shuffled, the rate goes on falling.
        for _ in range(epochs):
            self.model.partial_fit(self.X, self.given.y, classes=self.classes)

    def logits(self) -> NDArray[Any]:
        return np.asarray(self.model.decision_function(self.given.X_held), np.float64)


MAKERS: tuple[Callable[[Data], Any], ...] = (Ours, Theirs)


def measured(options: Any, threads: int) -> tuple[Row, list[str]]:
    """Times of an epoch, and how the held-out loss falls with the CPU seconds."""
    given = data()
    entries = given.X.nnz
    notes: list[str] = []
    curves: dict[str, list[tuple[float, float]]] = {}
    for make in MAKERS:
        if make is Theirs and peers.module("sklearn.linear_model") is None:
            continue
        one = make(given)
        own, spent = curves.setdefault(one.name, []), 0.0
        for _ in range(3 if options.quick else EPOCHS):
            start = time.process_time()
            one.run(1)
            spent += time.process_time() - start
            own.append((log_loss(one.logits(), given.y_held), spent))
        told = ", ".join(f"{loss:.4f} ({seconds:.3f} s)" for loss, seconds in own)
        notes.append(
            f"{one.name}, threads {threads}: held-out log loss after each epoch (CPU seconds until then): {told}."
        )
    notes += compared(curves)
    makers = [make for make in MAKERS if make is not Theirs or peers.module("sklearn.linear_model") is not None]
    found = [make(given) for make in makers]
    contenders = [Contender(one.name, one.run) for one in found]
    times = alternate(contenders, 1.0 if options.quick else 8.0)
    label = {"rows": str(ROWS), "features": str(FEATURES), "entries": str(entries), "alpha": f"{ALPHA:g}"}
    notes += [f"{name}: {1e3 * time.median / entries:.1f} ns an entry." for name, time in times.items()]
    return row(label, threads, ["ours"], times, None, None), notes


def compared(curves: Mapping[str, list[tuple[float, float]]]) -> list[str]:
    """How long ours takes to the best loss that the other reaches, and how long the other."""
    if Theirs.name not in curves:
        return []
    loss, seconds = min(curves[Theirs.name])
    first = next((spent for own, spent in curves[Ours.name] if own <= loss), None)
    if first is None:
        return [f"ours does not reach {loss:.4f}."]
    longer = f"{seconds / first:.1f} times as long"
    return [f"To {loss:.4f}: ours {first:.3f}, {Theirs.name} {seconds:.3f} CPU seconds, {longer}."]


def result(options: Any, threads: int) -> Result:
    found = Result("Logistic regression on compressed rows", baselines=["SGDClassifier"])
    peers.note(f"recommend: logistic regression, threads {threads}")
    one, notes = measured(options, threads)
    found.rows.append(one)
    found.notes = [
        f"An epoch over {ROWS} rows, {ENTRIES} features of {FEATURES} drawn for each by Zipf's law with exponent "
        f"{EXPONENT} (repeats are one entry); weights of the truth normal, deviation 0.5; {HELD} rows held out. ours: "
        f"a network of one Dense, AdaGrad, rate {RATE}, batches of {BATCH}; SGDClassifier(loss='log_loss'): one row a "
        "step, its own rates. The same alpha: a penalty of alpha / 2 times the squares.",
        *notes,
    ]
    return found
