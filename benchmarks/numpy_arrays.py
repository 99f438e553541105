"""Update rules in plain NumPy that do not go element by element over whole arrays, in place, by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .cases import BETAS, EPS, LEARNING_RATE, Float
from .numpy_rules import Step


def sparse_adam(p: Float, g: Float, rows: Any) -> Step:
    """Adam over some rows of p; g has these alone."""
    m, v, a, b, c = np.zeros_like(p), np.zeros_like(p), np.empty_like(g), np.empty_like(g), np.empty_like(g)
    beta1, beta2 = BETAS
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        correction = (1 - beta2**count) ** 0.5
        np.take(m, rows, axis=0, out=a, mode="clip")
        np.subtract(g, a, out=b)
        np.multiply(b, 1 - beta1, out=b)
        np.add(a, b, out=a)
        m[rows] = a
        np.take(v, rows, axis=0, out=b, mode="clip")
        np.multiply(b, beta2, out=b)
        np.multiply(g, g, out=c)
        np.multiply(c, 1 - beta2, out=c)
        np.add(b, c, out=b)
        v[rows] = b
        np.sqrt(b, out=b)
        np.add(b, EPS, out=b)
        np.divide(a, b, out=a)
        np.multiply(a, LEARNING_RATE * correction / (1 - beta1**count), out=a)
        np.take(p, rows, axis=0, out=b, mode="clip")
        np.subtract(b, a, out=b)
        p[rows] = b

    return step


def adafactor(p: Float, g: Float) -> Step:
    """Of a matrix, as torch's with its defaults."""
    rows, cols = np.zeros((p.shape[0], 1), p.dtype), np.zeros((1, p.shape[1]), p.dtype)
    u = np.empty_like(p)
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        fresh = count**-0.8
        np.multiply(g, g, out=u)
        rows[...] += fresh * (u.mean(axis=1, keepdims=True) - rows)
        cols[...] += fresh * (u.mean(axis=0, keepdims=True) - cols)
        np.multiply(g, np.sqrt(rows.mean() / rows), out=u)
        np.multiply(u, 1 / np.sqrt(cols), out=u)
        rate = min(LEARNING_RATE, count**-0.5) * max(1e-3, _rms(p))
        np.multiply(u, rate / max(1.0, _rms(u)), out=u)
        np.subtract(p, u, out=p)

    return step


def _rms(x: Float) -> float:
    return math.sqrt(float(np.dot(x.reshape(-1), x.reshape(-1))) / x.size)


def muon(p: Float, g: Float, momentum: float = 0.95, decay: float = 0.1) -> Step:
    """Of a matrix that is no higher than wide, as torch's with its defaults, in float32."""
    a, b, c = 3.4445, -4.7750, 2.0315
    buffer, x, y = np.zeros_like(p), np.empty_like(p), np.empty_like(p)
    square, fourth = (np.empty((p.shape[0], p.shape[0]), p.dtype) for _ in range(2))

    def step() -> None:
        nonlocal x, y
        np.subtract(g, buffer, out=x)
        np.multiply(x, 1 - momentum, out=x)
        np.add(buffer, x, out=buffer)
        np.subtract(buffer, g, out=x)
        np.multiply(x, momentum, out=x)
        np.add(x, g, out=x)
        np.multiply(x, 1 / max(_rms(x) * x.size**0.5, 1e-7), out=x)
        for _ in range(5):
            np.matmul(x, x.T, out=square)
            np.matmul(square, square, out=fourth)
            np.multiply(square, b, out=square)
            np.multiply(fourth, c, out=fourth)
            np.add(square, fourth, out=square)
            np.matmul(square, x, out=y)
            np.multiply(x, a, out=x)
            np.add(y, x, out=y)
            x, y = y, x
        np.multiply(p, 1 - LEARNING_RATE * decay, out=p)
        np.multiply(x, LEARNING_RATE, out=y)
        np.subtract(p, y, out=p)

    return step


def soap(p: Float, g: Float, beta: float = 0.95, decay: float = 0.01, every: int = 10) -> Step:
    """Of a matrix, as its authors' with its defaults, with LAPACK's eigenvectors and orthonormal factors."""
    m, v, h, u, x = (np.zeros_like(p) for _ in range(5))
    averages = [(1 - beta) * (g @ g.T), (1 - beta) * (g.T @ g)]
    bases = [np.ascontiguousarray(np.linalg.eigh(average)[1][:, ::-1]) for average in averages]
    count = 0

    def step() -> None:
        nonlocal count, m, v
        count += 1
        left, right = bases
        np.matmul(left.T, g, out=x)
        np.matmul(x, right, out=h)
        np.subtract(h, m, out=x)
        np.multiply(x, 1 - beta, out=x)
        np.add(m, x, out=m)
        np.multiply(v, beta, out=v)
        np.multiply(h, h, out=x)
        np.multiply(x, 1 - beta, out=x)
        np.add(v, x, out=v)
        np.sqrt(v, out=x)
        np.add(x, EPS, out=x)
        np.divide(m, x, out=u)
        np.matmul(left, u, out=x)
        np.matmul(x, right.T, out=u)
        np.multiply(u, LEARNING_RATE * (1 - beta**count) ** -0.5, out=u)
        np.subtract(p, u, out=p)
        np.multiply(p, 1 - LEARNING_RATE * decay, out=p)
        for average, product in zip(averages, (g @ g.T, g.T @ g), strict=True):
            np.subtract(product, average, out=product)
            np.multiply(product, 1 - beta, out=product)
            np.add(average, product, out=average)
        if count % every:
            return
        m = left @ m @ right.T
        for k in range(2):
            power = averages[k] @ bases[k]
            order = np.argsort(-np.einsum("ij,ij->j", bases[k], power))
            v = np.take(v, order, axis=k)
            bases[k] = np.linalg.qr(power[:, order])[0]
        m = bases[0].T @ m @ bases[1]

    return step


def row_adagrad(p: Float, g: Float, eps: float = 1e-10) -> Step:
    """Of a matrix, with one sum a row."""
    total, x = np.zeros((p.shape[0], 1), p.dtype), np.empty_like(p)

    def step() -> None:
        np.multiply(g, g, out=x)
        np.add(total, x.mean(axis=1, keepdims=True), out=total)
        np.multiply(g, LEARNING_RATE / (np.sqrt(total) + eps), out=x)
        np.subtract(p, x, out=p)

    return step


RULES: dict[str, Callable[..., Step]] = {
    "RowAdaGrad": row_adagrad,
    "SparseAdam": sparse_adam,
    "Adafactor": adafactor,
    "Muon": muon,
    "SOAP": soap,
}
