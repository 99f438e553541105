"""What AdaGrad, SGD and Adam learn of the weights of frequent features and of rare ones, and how soon.

``python examples/rare_features.py [PICTURE.png]``. 20 000 rows have 20 of 20 000 features each, feature k as often as
1 / k. Each feature has a weight, and the sum of a row's weights says how likely its label is 1.
"""

import sys
from itertools import pairwise

import numpy as np
from scipy.sparse import csr_matrix

import schuss

ROWS, HELD, FEATURES, ENTRIES = 20_000, 5_000, 20_000, 20
EPOCHS = 12
# Of 1, 0.3, 0.1, 0.03 and so on each has the best, by the loss of the rows held out.
OPTIMIZERS = {
    "SGD": lambda parameters: schuss.SGD(parameters, lr=0.3),
    "Adam": lambda parameters: schuss.Adam(parameters, lr=3e-3, rows="lazy"),
    "AdaGrad": lambda parameters: schuss.AdaGrad(parameters, lr=0.1),
}


def made_up(seed=0):
    """Compressed rows, labels, and the truth: weights and the part of each row."""
    draw = np.random.default_rng(seed)
    chances = 1 / np.arange(1, FEATURES + 1)
    columns = draw.choice(FEATURES, (ROWS + HELD, ENTRIES), p=chances / chances.sum()).ravel()
    X = csr_matrix((np.ones(len(columns), np.float32), columns, np.arange(0, len(columns) + 1, ENTRIES)))
    X.resize(ROWS + HELD, FEATURES)
    X.sum_duplicates()
    X.data[:] = 1
    weights = draw.normal(0, 0.5, FEATURES)
    z = X @ weights
    y = (draw.random(len(z)) < 1 / (1 + np.exp(z.mean() - z))).astype(np.float32)
    return X, y, weights, z - z.mean()


def log_loss(z, y):
    return np.mean(np.logaddexp(0, np.where(y > 0, -z, z)))


def main(picture=None):
    X, y, weights, z = made_up()
    often = np.diff(X[:ROWS].tocsc().indptr)
    print(f"{np.mean(often < 10):.0%} of the features are in fewer than 10 of {ROWS} rows")
    least, constant = log_loss(z[ROWS:], y[ROWS:]), log_loss(0 * z[ROWS:], y[ROWS:])
    print(f"who knows the weights: loss {least:.4f}; a constant: {constant:.4f}")
    losses, learned = {}, {}
    for name, optimizer in OPTIMIZERS.items():
        net = schuss.Network([schuss.Input("features", FEATURES, dtype="sparse"), schuss.Dense(1)], seed=0)
        history = net.fit(
            X[:ROWS],
            y[:ROWS],
            loss="binary_cross_entropy",
            optimizer=optimizer(net.parameters),
            epochs=EPOCHS,
            validation_data=(X[ROWS:], y[ROWS:]),
            early_stopping=schuss.EarlyStopping(EPOCHS),
        )
        losses[name] = history["val_loss"]
        learned[name] = np.array(net.parameters[0]).ravel()
        best = losses[name].argmin()
        print(f"{name:<8} least loss of the rows held out {losses[name][best]:.4f}, after epoch {best + 1}")
    if picture is not None:
        draw(picture, losses, learned, weights, often, least)


def draw(picture, losses, learned, weights, often, least):
    import matplotlib.pyplot as plt

    figure, (counts, held, found) = plt.subplots(1, 3, figsize=(14, 4.3), layout="constrained")
    counts.plot(np.arange(1, FEATURES + 1), often, lw=0.7)
    counts.set(xlabel="feature", ylabel="rows that have it", xscale="log", yscale="log", title="Most features are rare")
    for name, curve in losses.items():
        held.plot(np.arange(1, len(curve) + 1), curve, marker=".", label=name)
    held.axhline(least, color="gray", ls=":", label="who knows the weights")
    held.set(xlabel="epoch", ylabel="log loss", title="5000 rows held out")
    held.legend()
    edges = np.array([1, 3, 10, 30, 100, 300, 1000, 3000, 20001])
    for name, own in learned.items():
        shares = []
        for low, high in pairwise(edges):
            chosen = (often >= low) & (often < high)
            shares.append(weights[chosen] @ own[chosen] / (weights[chosen] @ weights[chosen]))
        found.plot(np.sqrt(edges[1:] * edges[:-1]), shares, marker=".", label=name)
    found.axhline(1, color="gray", ls=":")
    found.set(xlabel="rows that have the feature", ylabel="share of the weight", xscale="log")
    found.set_title("What is learned of the weights")
    found.legend()
    figure.savefig(picture, dpi=110)
    print(f"wrote {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:])
