"""Ranking by pairs as csrc/recommend does it: every draw, loss and step, one number after the other; the same bits.

The exponential is the core's own, which tests/core/test_activations.py looks at.
"""

from __future__ import annotations

from math import log
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schuss import _core
from tests.reference import philox
from tests.reference.init import permutation

Array = NDArray[Any]

STREAM_NEGATIVES, STREAM_POSITIVES = 4 << 20, 5 << 20
LANES = 16
TRIES = 64


class Task(NamedTuple):
    """What an epoch is made of. users and items of features are dense matrices, or None."""

    loss: str
    tables: tuple[Array, Array]
    dim: int
    pairs: list[tuple[int, int]]
    liked: list[bool]
    weights: list[float]
    known: list[list[int]]
    features: tuple[Array | None, Array | None] = (None, None)
    alphas: tuple[float, float] = (0.0, 0.0)
    adadelta: tuple[float, float] | None = None
    lr: float = 0.05
    max_sampled: int = 10
    kos: tuple[int, int] = (5, 10)
    popularity: bool = True
    seed: int = 0
    batch: int = 0

    @property
    def items(self) -> int:
        """How many there are."""
        return len(self.tables[1]) if self.features[1] is None else len(self.features[1])


def numbers(task: Task, stream: int, pair: int, epoch: int, count: int) -> list[int]:
    """The first 32-bit numbers of a pair."""
    return philox.blocks(task.seed, stream, pair, epoch << 24, -(-count // 4)).ravel()[:count].tolist()


def negative(task: Task, epoch: int, pair: int, user: int) -> int | None:
    """BPR's: of the items of all pairs, or of all items, the first that is not known, else any that is not."""
    unknown = [item for item in range(task.items) if item not in task.known[user]]
    draws = numbers(task, STREAM_NEGATIVES, pair, epoch, TRIES + 4)
    choices = [item for _, item in task.pairs] if task.popularity else list(range(task.items))
    for bits in draws[:TRIES]:
        item = choices[bits * len(choices) >> 32]
        if item in unknown:
            return item
    return unknown[draws[TRIES] * len(unknown) >> 32] if unknown else None


def dot(u: Array, v: Array) -> Any:
    """By 16 lanes, then a tree."""
    lanes = np.zeros(LANES, u.dtype)
    for k, start in enumerate(range(0, len(u), LANES)):
        products = u[start : start + LANES] * v[start : start + LANES]
        lanes = products if k == 0 else lanes + products
    while len(lanes) > 1:
        lanes = lanes[: len(lanes) // 2] + lanes[len(lanes) // 2 :]
    return lanes[0]


def exp(x: Any) -> Any:
    """The core's."""
    return _core.elementary("exp", np.array([x]))[0]


def represented(task: Task, side: int, number: int) -> tuple[Array, list[tuple[int, Any]]]:
    """What a user or an item is, and the rows and values that it is made of."""
    table, features = task.tables[side], task.features[side]
    if features is None:
        return table[number, 0].copy(), [(number, table.dtype.type(1))]
    rows = [(int(k), features[number, k]) for k in np.flatnonzero(features[number])]
    found = np.zeros(table.shape[2], table.dtype)
    for row, value in rows:
        found = found + table[row, 0] * value
    return found, rows


class Asked(NamedTuple):
    """What a pair asks of rows: (side, number, gradient) in turn; its loss and its weight."""

    gradients: list[tuple[int, int, Array]]
    loss: Any
    weight: Any


def softplus(margin: Any) -> Any:
    """Of -margin."""
    a, half = abs(margin), type(margin)(0.5)
    return (a - margin) * half + _core.elementary("log1p", np.array([exp(-a)]))[0]


def look(task: Task, epoch: int, pair: int, at: int) -> Asked | None:
    """What comes of a pair; None: it is left out."""
    dtype = task.tables[0].dtype.type
    user, item = task.pairs[at]
    weight = dtype(1 if task.loss == "warp-kos" else task.weights[at])
    of_user, _ = represented(task, 0, user)
    u = of_user.copy()
    u[task.dim] = 1

    def score(number: int) -> Any:
        return dot(u, represented(task, 1, number)[0])

    if task.loss == "warp-kos":
        liked = task.known[user]
        if not liked:
            return None
        n = min(len(liked), task.kos[1])
        drawn = [liked[bits * len(liked) >> 32] for bits in numbers(task, STREAM_POSITIVES, pair, epoch, n)]
        ranked = sorted(drawn, key=lambda number: -score(number))
        item = ranked[min(task.kos[0], n) - 1]
    own = score(item)
    v = represented(task, 1, item)[0]
    if task.loss == "logistic":
        z = own + of_user[task.dim]
        margin = z if task.liked[at] else -z
        factor = weight * (dtype(1) / (dtype(1) + exp(margin)))
        factor = -factor if task.liked[at] else factor
        v[task.dim] = 1
        return Asked([(1, item, factor * u), (0, user, factor * v)], weight * softplus(margin), weight)
    if task.loss == "bpr":
        other = negative(task, epoch, pair, user)
        if other is None:
            return None
        margin = own - score(other)
        factor = weight * (dtype(1) / (dtype(1) + exp(margin)))
        loss = weight * softplus(margin)
    else:
        other, factor, loss = None, dtype(0), dtype(0)
        for t, bits in enumerate(numbers(task, STREAM_NEGATIVES, pair, epoch, task.max_sampled)):
            candidate = bits * task.items >> 32
            theirs = score(candidate)
            if theirs > own - dtype(1) and candidate not in task.known[user]:
                rank = dtype(min(10.0, log(max(1, (task.items - 1) // (t + 1)))))
                other, factor = candidate, weight * rank
                loss = weight * (rank * (dtype(1) - own + theirs))
                break
        if other is None:
            return Asked([], loss, weight)
    difference = represented(task, 1, other)[0] - v
    difference[task.dim] = 0
    by_item = factor * u
    return Asked([(1, item, -by_item), (1, other, by_item), (0, user, factor * difference)], loss, weight)


def step(task: Task, side: int, row: int, g: Array) -> None:
    """The step of a row."""
    states = task.tables[side][row]
    dtype = states.dtype.type
    p, s = states[0].copy(), states[1].copy()
    decayed = g + dtype(task.alphas[side]) * p
    if task.adadelta is None:
        states[0] = p - dtype(task.lr) / np.sqrt(s) * decayed
        states[1] = s + g * g
        return
    rho, fresh, eps = dtype(task.adadelta[0]), dtype(1 - task.adadelta[0]), dtype(task.adadelta[1])
    states[1] = rho * s + fresh * (g * g)
    d = np.sqrt(states[2] + eps) / np.sqrt(states[1] + eps) * decayed
    states[0] = p - d
    states[2] = rho * states[2] + fresh * (d * d)


def epoch(task: Task, number: int) -> float:
    """Make an epoch on the tables; its mean loss."""
    n = len(task.pairs)
    order = permutation(n, task.seed, number)
    losses, weights = 0.0, 0.0
    for start in range(0, n, task.batch or 1):
        places = range(start, min(start + (task.batch or 1), n))
        asked = [found for k in places if (found := look(task, number, k, int(order[k]))) is not None]
        sums: dict[tuple[int, int], Array] = {}
        for found in asked:
            losses, weights = losses + float(found.loss), weights + float(found.weight)
            for side, of, g in found.gradients:
                for row, value in represented(task, side, of)[1]:
                    if not task.batch:
                        step(task, side, row, g * value)
                    elif (side, row) in sums:
                        sums[side, row] = sums[side, row] + g * value
                    else:
                        sums[side, row] = g * value
        for (side, row), g in sums.items():
            step(task, side, row, g)
    return losses / weights if weights else float("nan")
