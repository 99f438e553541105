"""A spectrum of two peaks on a slope fitted by SciPy's methods and by schuss's, on all rows and on batches of them."""

import itertools
import sys
import time

import numpy as np
from scipy import optimize

import schuss

TRUTH = np.array([1.0, 3.0, -0.7, 0.6, 6.5, 0.1, 0.2, 0.05])  # height, place and log of the width of each; the line


def spectrum(theta, t):
    """Two peaks height exp(-z^2 / 2), z = (t - place) / width, on a line; and its derivatives by theta."""
    value, parts = theta[6] + theta[7] * t, []
    for height, place, log_width in theta[:6].reshape(2, 3):
        width = np.exp(log_width)
        z = (t - place) / width
        bump = np.exp(-z * z / 2)
        value = value + height * bump
        parts += [bump, height * bump * z / width, height * bump * z * z]
    return value, [*parts, np.ones_like(t), t]


def loss_and_gradient(theta, t, y):
    """Half the mean square of what the spectrum leaves, and its gradient by theta."""
    value, parts = spectrum(theta, t)
    rest = value - y
    return rest @ rest / (2 * len(t)), np.array([rest @ part for part in parts]) / len(t)


def main(rows="100000"):
    rng = np.random.default_rng(0)
    t = rng.uniform(0, 10, int(rows))
    y = spectrum(TRUTH, t)[0] + 0.3 * rng.normal(size=len(t))
    start = np.array([0.5, 2.0, 0.0, 0.5, 8.0, 0.0, 0.0, 0.0])

    def on_batch(theta, k):
        return loss_and_gradient(theta, t[k], y[k])

    batches = (rng.integers(len(t), size=256) for _ in itertools.count())
    adam = {"lr": schuss.schedules.Cosine(0.03, 2000), "maxiter": 2000}
    calls = {
        "SciPy's BFGS": lambda: optimize.minimize(loss_and_gradient, start, (t, y), "BFGS", jac=True),
        "SciPy's L-BFGS-B": lambda: optimize.minimize(loss_and_gradient, start, (t, y), "L-BFGS-B", jac=True),
        "L-BFGS": lambda: schuss.minimize(loss_and_gradient, start, (t, y), "lbfgs", jac=True),
        "Adam": lambda: schuss.minimize(loss_and_gradient, start, (t, y), "adam", jac=True, options={"lr": 0.03}),
        "Adam, batches of 256": lambda: schuss.minimize(on_batch, start, jac=True, batches=batches, options=adam),
    }
    print(f"{'':22}{'loss':>9}{'largest error':>15}{'rows seen':>12}{'seconds':>9}")
    for name, call in calls.items():
        begin = time.perf_counter()
        result = call()
        seconds = time.perf_counter() - begin
        seen = result.nfev * (256 if "batches" in name else len(t))
        error = np.abs(result.x - TRUTH).max()
        loss = loss_and_gradient(result.x, t, y)[0]
        print(f"{name:22}{loss:9.5f}{error:15.4f}{seen:12,}{seconds:9.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
