"""Where optimizers go: down two functions of two variables, and between networks that learned digits in different ways.

matplotlib draws it, scikit-learn has the digits. With a second file, as saddle.gif or saddle.html, one picture moves.
"""

import copy
import sys

import numpy as np

import schuss
from schuss import plots
from schuss.datasets import load

OPTIMIZERS = {"SGD": {"lr": 0.1}, "Adam": {"lr": 0.003}, "RMSProp": {"lr": 0.003}}


def digits():
    """Images (rows, 64) from 0 to 1, and what they are; in a random order that is always the same."""
    columns = list(load("digits").columns.values())
    pixels, labels = np.stack(columns[:-1], axis=1) / 16, columns[-1].astype(int)
    order = np.random.default_rng(0).permutation(len(labels))
    return pixels[order].astype(np.float32), labels[order]


def train(start, name, X, y, epochs=20):
    """A copy of the network, trained, and what its parameters were at the start and after each epoch."""
    net = copy.deepcopy(start)
    seen = []

    def note(net):
        seen.append(np.concatenate([array.ravel() for array in net.parameters]))

    note(net)
    net.fit(
        X, y, loss="cross_entropy", optimizer=name.lower(), lr=OPTIMIZERS[name]["lr"], epochs=epochs,
        callbacks=[lambda record: note(record.network)],
    )  # fmt: skip
    return net, seen


def main(picture=None, film=None):
    usual = ["sgd", ("sgd", {"momentum": 0.9}), "adagrad", "rmsprop", "adam"]
    found = plots.trace("rosenbrock", optimizers=usual)
    print("200 steps down Rosenbrock's valley, each at the best of 17 rates:")
    for label, trace in found.items():
        print(f"  {label:<18} lr {trace.lr:<6g} from {trace.losses[0]:.1f} to {trace.losses[-1]:.3f}")

    X, y = digits()
    held, X, y = (X[:360], y[:360]), X[360:], y[360:]
    layers = [schuss.Dense(64, 32, "relu"), schuss.Dense(32, 10)]
    start, elsewhere = (schuss.Network(layers, seed=seed) for seed in (0, 1))
    nets, ways = {}, {}
    for name in OPTIMIZERS:
        nets[name], ways[name] = train(start, name, X, y)
    other, _ = train(elsewhere, "Adam", X, y)
    common = {"loss": "cross_entropy", "validation_data": held}
    near = plots.loss_line(nets["SGD"], nets["Adam"], X, y, labels=("SGD", "Adam"), **common)
    far = plots.loss_line(nets["Adam"], other, X, y, labels=("Adam", "Adam from another start"), **common)
    print(f"SGD to Adam from the same start: distance {near.distance:.1f}, barrier {near.barrier:.3f}")
    print(f"Adam to Adam from another start: distance {far.distance:.1f}, barrier {far.barrier:.3f}")
    plane = plots.loss_plane(nets, X, y, loss="cross_entropy", paths=ways)
    for name, place in plane.points.items():
        print(f"  {name:<8} loss {place.loss:.4f}; its path is up to {plane.paths[name][:, 2].max():.1f} off the plane")
    if picture:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(12, 9), layout="constrained")
        (a, b), (c, d) = figure.subplots(2, 2)
        plots.paths("rosenbrock", optimizers=found, ax=a)
        plots.paths("saddle", optimizers=usual, lr=0.03, ax=b)
        far.plot(ax=c)
        plane.plot(ax=d)
        figure.savefig(picture, dpi=100)
    if film:
        plots.paths("saddle", optimizers=usual, lr=0.03, steps=150, path=film)


if __name__ == "__main__":
    main(*sys.argv[1:])
