"""Functions to minimise, with their gradients: f(x) -> (value, gradient), in double."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[[Array], tuple[float, Array]]


def rosenbrock(x: Array) -> tuple[float, Array]:
    """Of any dimension, chained; 0 at (1, ..., 1)."""
    valley, slope = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    g = np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * valley - 2 * slope
    g[1:] += 200 * valley
    return float((100 * valley**2 + slope**2).sum()), g


def beale(x: Array) -> tuple[float, Array]:
    """0 at (3, 0.5)."""
    powers = x[1] ** np.arange(1, 4)
    parts = np.array([1.5, 2.25, 2.625]) - x[0] * (1 - powers)
    by_y = x[0] * np.arange(1, 4) * x[1] ** np.arange(3)
    return float(parts @ parts), np.array([-2 * parts @ (1 - powers), 2 * parts @ by_y])


def himmelblau(x: Array) -> tuple[float, Array]:
    """0 at four points."""
    a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
    return float(a * a + b * b), np.array([4 * x[0] * a + 2 * b, 2 * a + 4 * x[1] * b])


def quadratic(n: int, condition: float, seed: int = 0) -> tuple[Function, Array]:
    """A turned one with eigenvalues from 1 to condition, and where it is least."""
    rng = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(rng.normal(size=(n, n)))
    matrix = (turn * np.logspace(0, np.log10(condition), n)) @ turn.T
    optimum = rng.normal(size=n)

    def f(x: Array) -> tuple[float, Array]:
        g = matrix @ (x - optimum)
        return float((x - optimum) @ g / 2), g

    return f, optimum


def logistic(n: int, rows: int, seed: int = 0) -> Function:
    """Logistic regression with a ridge of 1e-3 on drawn data."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, n))
    y = np.sign(X[:, 0] + rng.normal(size=rows))

    def f(w: Array) -> tuple[float, Array]:
        margin = y * (X @ w)
        loss = float(np.logaddexp(0, -margin).mean() + 5e-4 * (w @ w))
        return loss, -(X.T @ (y / (1 + np.exp(margin)))) / rows + 1e-3 * w

    return f
