"""Update rules in plain NumPy, in place, with one scratch vector: what careful hands write."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .cases import BETAS, EPS, LEARNING_RATE, Float

Step = Callable[[], None]


def sgd(p: Float, g: Float, momentum: float = 0.9) -> Step:
    buffer, a = np.zeros_like(p), np.empty_like(p)
    first = True

    def step() -> None:
        nonlocal first
        if first:
            buffer[...] = g
            first = False
        else:
            np.multiply(buffer, momentum, out=buffer)
            np.add(buffer, g, out=buffer)
        np.multiply(buffer, LEARNING_RATE, out=a)
        np.subtract(p, a, out=p)

    return step


def adagrad(p: Float, g: Float, eps: float = 1e-10) -> Step:
    total, a = np.zeros_like(p), np.empty_like(p)

    def step() -> None:
        np.multiply(g, g, out=a)
        np.add(total, a, out=total)
        np.sqrt(total, out=a)
        np.add(a, eps, out=a)
        np.divide(g, a, out=a)
        np.multiply(a, LEARNING_RATE, out=a)
        np.subtract(p, a, out=p)

    return step


def rmsprop(p: Float, g: Float, alpha: float = 0.99) -> Step:
    square, a = np.zeros_like(p), np.empty_like(p)

    def step() -> None:
        np.multiply(g, g, out=a)
        np.multiply(a, 1 - alpha, out=a)
        np.multiply(square, alpha, out=square)
        np.add(square, a, out=square)
        np.sqrt(square, out=a)
        np.add(a, EPS, out=a)
        np.divide(g, a, out=a)
        np.multiply(a, LEARNING_RATE, out=a)
        np.subtract(p, a, out=p)

    return step


def adam(p: Float, g: Float, decay: float = 0.0) -> Step:
    m, v, a = np.zeros_like(p), np.zeros_like(p), np.empty_like(p)
    beta1, beta2 = BETAS
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if decay:
            np.multiply(p, 1 - LEARNING_RATE * decay, out=p)
        np.subtract(g, m, out=a)
        np.multiply(a, 1 - beta1, out=a)
        np.add(m, a, out=m)
        np.multiply(g, g, out=a)
        np.multiply(a, 1 - beta2, out=a)
        np.multiply(v, beta2, out=v)
        np.add(v, a, out=v)
        np.sqrt(v, out=a)
        np.multiply(a, (1 - beta2**count) ** -0.5, out=a)
        np.add(a, EPS, out=a)
        np.divide(m, a, out=a)
        np.multiply(a, LEARNING_RATE / (1 - beta1**count), out=a)
        np.subtract(p, a, out=p)

    return step


def adamw(p: Float, g: Float) -> Step:
    return adam(p, g, decay=0.01)


RULES: dict[str, Callable[[Float, Float], Step]] = {
    "Adam": adam,
    "SGD": sgd,
    "AdaGrad": adagrad,
    "RMSProp": rmsprop,
    "AdamW": adamw,
}
