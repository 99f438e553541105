"""Update rules that take norms of arrays, as NumPy expressions. See optim.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .power import squaring
from .sums import dot

Array = NDArray[Any]
Options = Mapping[str, Any]

DEFAULTS: dict[str, dict[str, Any]] = {
    "lars": {
        "lr": 1.0,
        "momentum": 0.9,
        "trust_coefficient": 1e-3,
        "eps": 1e-8,
        "nesterov": False,
        "adapt": True,
    },
    "lamb": {
        "lr": 1e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-6,
        "clamp": (0.0, math.inf),
        "bias_correction": True,
        "adapt": True,
    },
    "novograd": {"lr": 1e-3, "betas": (0.95, 0.98), "eps": 1e-8, "grad_averaging": False},
}


def lars(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    norm = math.sqrt(dot(p, p))
    whole = math.sqrt(dot(g, g)) + o["weight_decay"] * norm + o["eps"]
    rate = o["lr"]
    if o["adapt"] and norm != 0 and whole != 0:
        rate = o["lr"] * (o["trust_coefficient"] * norm / whole)
    d = r(rate) * (g + r(o["weight_decay"]) * p)
    if o["momentum"]:
        buf = s[0]
        buf[...] = r(o["momentum"]) * buf + d
        d = d + r(o["momentum"]) * buf if o["nesterov"] else buf
    p[...] = p - d


def lamb(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    m, v = s
    beta1, beta2 = o["betas"]
    m[...] = m + r(1 - beta1) * (g - m)
    v[...] = r(beta2) * v + r(1 - beta2) * (g * g)
    unbiased = correction = 1.0
    if o["bias_correction"]:
        unbiased, correction = 1 / (1 - squaring(beta1, t)), 1 / math.sqrt(1 - squaring(beta2, t))
    u = r(unbiased) * m / (np.sqrt(v) * r(correction) + r(o["eps"])) + r(o["weight_decay"]) * p
    norm, length = min(max(math.sqrt(dot(p, p)), o["clamp"][0]), o["clamp"][1]), math.sqrt(dot(u, u))
    rate = o["lr"] * (norm / length) if o["adapt"] and norm != 0 and length != 0 else o["lr"]
    p[...] = p - r(rate) * u


def novograd(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    m, v = s
    beta1, beta2 = o["betas"]
    total = dot(g, g)
    v[...] = total if v == 0 else beta2 * float(v) + (1 - beta2) * total
    factor = 1 / (math.sqrt(float(v)) + o["eps"])
    fresh = 1 - beta1 if o["grad_averaging"] else 1.0
    m[...] = r(beta1) * m + r(fresh) * (r(factor) * g + r(o["weight_decay"]) * p)
    p[...] = p - r(o["lr"]) * m


RULES: dict[str, Callable[[Array, Array, Sequence[Array], Options, int], None]] = {
    "lars": lars,
    "lamb": lamb,
    "novograd": novograd,
}
SLOTS: dict[str, Callable[[Options], int]] = {
    "lars": lambda o: 1 if o["momentum"] else 0,
    "lamb": lambda o: 2,
    "novograd": lambda o: 2,
}
ONE_NUMBER = {"novograd": {1}}
"""States of no dimension."""
OWN_DECAY = frozenset(RULES)
"""Rules that decay by themselves, not through the gradient."""
