"""An interval that nine of ten targets lie in: a network with three quantiles as outputs, and a picture."""

import sys

import numpy as np

import schuss
from schuss.sklearn import MLPRegressor

LEVELS = (0.05, 0.5, 0.95)


def draw(rows, seed):
    """Noise that grows along x, and is skewed."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 10, rows)
    noise = (0.1 + 0.08 * x) * (rng.gamma(2.0, 1.0, rows) - 2.0)
    return x[:, None], np.sin(x) + noise


def main(path=None):
    X, y = draw(3000, seed=0)
    X_test, y_test = draw(3000, seed=1)
    reg = MLPRegressor(
        schuss.Quantile(LEVELS),
        hidden_layer_sizes=(64, 64),
        activation="tanh",
        solver="adam",
        learning_rate=schuss.schedules.Cosine(0.01, 3000),
        batch_size=100,
        max_iter=100,
        n_iter_no_change=100,
        random_state=0,
    ).fit((X - 5) / 3, y)
    low, middle, high = reg.predict((X_test - 5) / 3).T
    print(f"below the interval {np.mean(y_test < low):.1%}, above {np.mean(y_test > high):.1%} of {len(y_test)}")
    score = reg.score((X_test - 5) / 3, y_test)
    print(f"below the median {np.mean(y_test < middle):.1%}; D^2 of the pinball losses {score:.3f}")
    if path is None:
        return

    from matplotlib import pyplot as plt

    x = np.linspace(0, 10, 500)[:, None]
    low, middle, high = reg.predict((x - 5) / 3).T
    figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
    ax.plot(X_test[::5, 0], y_test[::5], ".", color="0.6", markersize=3, label="test data")
    ax.fill_between(x[:, 0], low, high, alpha=0.3, label="5% to 95%")
    ax.plot(x[:, 0], middle, label="median")
    ax.plot(x[:, 0], np.sin(x[:, 0]), "--", color="black", linewidth=1, label="without noise")
    ax.set(xlabel="x", ylabel="y", ylim=(-3, 5))
    ax.legend(loc="upper left", ncols=2)
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:2])
