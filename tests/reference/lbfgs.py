"""L-BFGS as its papers have it: the recursion on vectors, the line search with its bracket as two tuples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Function = Callable[[Array], tuple[float, Array]]
Pairs = list[tuple[Array, Array]]  # (s, y), oldest first
Found = tuple[float, float, Array, float]  # t, loss, gradient, slope


def direction(pairs: Pairs, scale: float, g: Array) -> Array:
    """Algorithm 7.4 of Nocedal and Wright: minus the inverse Hessian times g."""
    q = -g
    alphas = []
    for s, y in reversed(pairs):
        alpha = (s @ q) / (y @ s)
        q = q - alpha * y
        alphas.append(alpha)
    r = scale * q
    for (s, y), alpha in zip(pairs, reversed(alphas), strict=True):
        r = r + (alpha - (y @ r) / (y @ s)) * s
    return r


def learn(pairs: Pairs, scale: float, s: Array, y: Array, most: int) -> float:
    """A new pair, if it is curved enough; returns the scale."""
    if not y @ s > 1e-10:
        return scale
    pairs.append((s, y))
    del pairs[:-most]
    return float((y @ s) / (y @ y))


def iterations(
    f: Function, x: Array, *, lr: float = 1.0, history_size: int = 100, search: bool = False, most: int = 25
) -> Iterator[Array]:
    """Where x is after each iteration, for ever. most: trials of a line search."""
    pairs: Pairs = []
    scale, loss, g = 1.0, *f(x)
    t = min(1.0, 1 / np.abs(g).sum()) * lr
    while True:
        d = direction(pairs, scale, g)
        if search:
            t, loss, after, _ = line_search(f, x, (0.0, loss, g, float(g @ d)), d, t, most)
        else:
            loss, after = f(x + t * d)
        x = x + t * d
        yield x
        scale = learn(pairs, scale, t * d, after - g, history_size)
        g, t = after, lr


def line_search(f: Function, x: Array, start: Found, d: Array, t: float, most: int) -> Found:
    """Algorithms 3.5 and 3.6, with minFunc's safeguards as torch has them."""
    _, loss, _, slope = start

    def at(t: float) -> Found:
        found, g = f(x + t * d)
        return t, found, g, float(g @ d)

    def high(point: Found) -> bool:
        return point[1] > loss + 1e-4 * point[0] * slope

    def fits(point: Found) -> bool:
        return abs(point[3]) <= -0.9 * slope

    last, new, made = start, at(t), 0
    while made < most:
        if high(new) or (made > 1 and new[1] >= last[1]) or (not fits(new) and new[3] >= 0):
            break
        if fits(new):
            return new
        t = interpolated(last, new, new[0] + 0.01 * (new[0] - last[0]), 10 * new[0])
        last, new, made = new, at(t), made + 1
    else:
        last = start
    bracket = [last, new]
    near = False
    while made < most:
        a, b = sorted((bracket[0][0], bracket[1][0]))
        if (b - a) * np.abs(d).max() < 1e-9:
            break
        t = interpolated(*bracket, a, b)
        close = min(b - t, t - a) < 0.1 * (b - a)
        if close and (near or not a < t < b):
            t = b - 0.1 * (b - a) if abs(t - b) < abs(t - a) else a + 0.1 * (b - a)
            close = False
        near = close
        new, made = at(t), made + 1
        best = 0 if bracket[0][1] <= bracket[1][1] else 1
        other = 1 - best
        if high(new) or new[1] >= bracket[best][1]:
            bracket[other] = new
        elif fits(new):
            return new
        else:
            if new[3] * (bracket[other][0] - bracket[best][0]) >= 0:
                bracket[other] = bracket[best]
            bracket[best] = new
    return min(bracket, key=lambda point: point[1])


def interpolated(p: Found, q: Found, low: float, high: float) -> float:
    """The minimum of the cubic through two points and their slopes, as in (3.59) of Nocedal and Wright."""
    (t0, f0, _, g0), (t1, f1, _, g1) = sorted((p, q), key=lambda point: point[0])
    d1 = g0 + g1 - 3 * (f0 - f1) / (t0 - t1)
    under_root = d1 * d1 - g0 * g1
    if under_root < 0:
        return (low + high) / 2
    d2 = math.sqrt(under_root)
    return min(max(t1 - (t1 - t0) * ((g1 + d2 - d1) / (g1 - g0 + 2 * d2)), low), high)
