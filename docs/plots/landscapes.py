"""Draws the pictures of docs/landscapes.md: ``python docs/plots/landscapes.py``."""

from __future__ import annotations

import io
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.figure
import matplotlib.style
from PIL import Image

import schuss
from schuss import plots

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "landscape.py"


def save(figure: Any, name: str, dpi: int = 80) -> None:
    """With all its colours: thin lines lose theirs where there are few."""
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=dpi)
    path = HERE / f"landscape_{name}.png"
    Image.open(drawn).convert("RGB").save(path, optimize=True)
    print(path.name, path.stat().st_size, "bytes")


def in_both(draw: Callable[[], Any], name: str) -> None:
    """On a light and on a dark ground."""
    save(draw(), name)
    with matplotlib.style.context("dark_background"):
        save(draw(), f"{name}_dark")


def networks() -> None:
    """What the example finds, at a size at which it can be read."""
    names = runpy.run_path(str(EXAMPLE))
    X, y = names["digits"]()
    held, X, y = (X[:360], y[:360]), X[360:], y[360:]
    layers = [schuss.Dense(64, 32, "relu"), schuss.Dense(32, 10)]
    start, elsewhere = (schuss.Network(layers, seed=seed) for seed in (0, 1))
    found = {name: names["train"](start, name, X, y) for name in names["OPTIMIZERS"]}
    nets = {name: net for name, (net, _) in found.items()}
    ways = {name: way for name, (_, way) in found.items()}
    other, _ = names["train"](elsewhere, "Adam", X, y)
    figure = matplotlib.figure.Figure(figsize=(9.5, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    common: dict[str, Any] = {"loss": "cross_entropy", "validation_data": held}
    plots.loss_line(nets["SGD"], nets["Adam"], X, y, labels=("SGD", "Adam"), **common).plot(ax=left)
    plots.loss_line(nets["Adam"], other, X, y, labels=("Adam", "Adam, another start"), **common).plot(ax=right)
    right.set_ylabel("")
    save(figure, "lines")
    save(plots.loss_plane(nets, X, y, loss="cross_entropy", paths=ways, resolution=51).plot(), "plane")
    save(plots.loss_plane(None, X, y, loss="cross_entropy", paths=ways, network=start, resolution=51).plot(), "widest")


def main() -> None:
    """Write all pictures."""
    in_both(lambda: plots.paths("rosenbrock"), "rosenbrock")
    save(plots.paths("beale", optimizers=["sgd", ("sgd", {"lr": 0.5}), "adam", "lbfgs"]), "beale")
    usual = ["sgd", ("sgd", {"momentum": 0.9}), "adagrad", "rmsprop", "adam"]
    film = HERE / "landscape_saddle.gif"
    plots.paths("saddle", optimizers=usual, lr=0.03, steps=150, path=film)
    print(film.name, film.stat().st_size, "bytes")
    networks()


if __name__ == "__main__":
    main()
