"""Rules that step by the sign of something, as NumPy expressions. See optim.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import optim


def sign(x: optim.Array) -> optim.Array:
    """1 or -1; x itself where that is 0 or NaN."""
    one = x.dtype.type(1)
    return np.where(x > 0, one, np.where(x < 0, -one, x))


def lion(p: optim.Array, g: optim.Array, s: Sequence[optim.Array], o: optim.Options, t: int) -> None:
    r = p.dtype.type
    beta1, beta2 = o["betas"]
    p[...] = p - r(o["lr"]) * sign(r(beta1) * s[0] + r(1 - beta1) * g)
    s[0][...] = r(beta2) * s[0] + r(1 - beta2) * g


def signum(p: optim.Array, g: optim.Array, s: Sequence[optim.Array], o: optim.Options, t: int) -> None:
    r = p.dtype.type
    if o["momentum"]:
        s[0][...] = r(o["momentum"]) * s[0] + r(1 - o["momentum"]) * g
        g = s[0]
    p[...] = p - r(o["lr"]) * sign(g)


def rprop(p: optim.Array, g: optim.Array, s: Sequence[optim.Array], o: optim.Options, t: int) -> None:
    r = p.dtype.type
    before, size = s
    shrink, grow = o["etas"]
    agree = sign(g) * before
    factor = np.where(agree > 0, r(grow), np.where(agree < 0, r(shrink), r(1)))
    size[...] = np.minimum(np.maximum(size * factor, r(o["step_sizes"][0])), r(o["step_sizes"][1]))
    before[...] = np.where(agree < 0, r(0), g)
    p[...] = p - sign(before) * size


RULES = {"lion": lion, "signum": signum, "rprop": rprop}
DEFAULTS: dict[str, dict[str, Any]] = {
    "lion": {"lr": 1e-4, "betas": (0.9, 0.99), "decoupled": True},
    "signum": {"lr": 1e-3, "momentum": 0.9, "decoupled_weight_decay": False},
    "rprop": {"lr": 1e-2, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50)},
}
SLOTS: dict[str, Callable[[optim.Options], int]] = {
    "lion": lambda o: 1,
    "signum": lambda o: 1 if o["momentum"] else 0,
    "rprop": lambda o: 2,
}
