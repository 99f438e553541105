"""SOAP with NumPy's eigenvectors and orthonormal factors. Their signs are not ours: updates do not depend on them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .power import squaring

Array = NDArray[Any]
Options = Mapping[str, Any]

DEFAULTS: dict[str, dict[str, Any]] = {
    "soap": {
        "lr": 3e-3,
        "betas": (0.95, 0.95),
        "shampoo_beta": -1,
        "eps": 1e-8,
        "weight_decay": 0.01,
        "precondition_frequency": 10,
        "max_precond_dim": 10_000,
        "merge_dims": False,
        "precondition_1d": False,
        "normalize_grads": False,
        "correct_bias": True,
        "decoupled": True,
    },
}


def sizes(o: Options, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The dimensions, neighbours in one if they are to be."""
    if not o["merge_dims"] or len(shape) < 2:
        return shape
    merged: list[int] = []
    so_far = 1
    for size in shape:
        if so_far * size > o["max_precond_dim"]:
            merged.append(so_far if so_far > 1 else size)
            so_far = size if so_far > 1 else 1
        else:
            so_far *= size
    if so_far > 1 or not merged:
        merged.append(so_far)
    return tuple(merged)


def sides(o: Options, shape: tuple[int, ...]) -> dict[int, int]:
    """Those with a basis."""
    if len(shape) == 1 and not o["precondition_1d"]:
        return {}
    return {k: size for k, size in enumerate(sizes(o, shape)) if size <= o["max_precond_dim"]}


def state_shapes(o: Options, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """m, v, the averages, the bases."""
    squares = [(size, size) for size in sides(o, shape).values()]
    return [shape, shape, *squares, *squares]


def project(x: Array, o: Options, bases: Sequence[Array], back: bool = False) -> Array:
    """Along every side that has a basis."""
    y = x.reshape(sizes(o, x.shape))
    for k, q in zip(sides(o, x.shape), bases, strict=True):
        y = np.moveaxis(np.tensordot(y, q, axes=(k, 1 if back else 0)), -1, k)
    return y.reshape(x.shape)


def grams(g: Array, o: Options) -> list[Array]:
    """g g' for each side, that one first."""
    parts = [np.moveaxis(g.reshape(sizes(o, g.shape)), k, 0) for k in sides(o, g.shape)]
    return [part.reshape(len(part), -1) @ part.reshape(len(part), -1).T for part in parts]


def update(g: Array, s: Sequence[Array], o: Options, t: int) -> Array:
    """Of m and v, and what p is to lose."""
    m, v, bases = s[0], s[1], s[2 + len(s[2:]) // 2 :]
    beta1, beta2 = o["betas"]
    h = project(g, o, bases)
    m[...] = m + (1 - beta1) * (h - m)
    v[...] = beta2 * v + (1 - beta2) * h**2
    u = project(m / (np.sqrt(v) + o["eps"]), o, bases, back=True)
    size = o["lr"]
    if o["correct_bias"]:
        size *= math.sqrt(1 - squaring(beta2, t - 1)) / (1 - squaring(beta1, t - 1))
    if o["normalize_grads"]:
        size /= 1e-30 + math.sqrt(np.mean(u.astype(float) ** 2))
    return u * g.dtype.type(size)


def average(g: Array, averages: Sequence[Array], o: Options) -> None:
    beta = o["shampoo_beta"]
    for mean, gram in zip(averages, grams(g, o), strict=True):
        mean[...] = mean + (1 - (o["betas"][1] if beta is None or beta < 0 else beta)) * (gram - mean)


def refresh(s: Sequence[Array], o: Options) -> None:
    """Orthogonal iteration; v goes with its directions, and m through the original space."""
    m, v, half = s[0], s[1], len(s[2:]) // 2
    averages, bases = s[2 : 2 + half], s[2 + half :]
    original = project(m, o, bases, back=True)
    sorted_v = v.reshape(sizes(o, v.shape))
    for k, mean, q in zip(sides(o, v.shape), averages, bases, strict=True):
        power = mean @ q
        order = np.argsort(-np.sum(q * power, axis=0), kind="stable")
        sorted_v = np.take(sorted_v, order, axis=k)
        q[...] = np.linalg.qr(power[:, order])[0]
    v[...] = sorted_v.reshape(v.shape)
    m[...] = project(original, o, bases)


def soap(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    half = len(s[2:]) // 2
    averages, bases = s[2 : 2 + half], s[2 + half :]
    if t > 1:
        p[...] = p.dtype.type(1 - o["lr"] * o["weight_decay"]) * (p - update(g, s, o, t))
    average(g, averages, o)
    if t == 1:
        for mean, q in zip(averages, bases, strict=True):
            q[...] = np.linalg.eigh(mean)[1][:, ::-1]
    elif (t - 1) % o["precondition_frequency"] == 0 and bases:
        refresh(s, o)


RULES = {"soap": soap}
