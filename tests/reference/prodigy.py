"""Prodigy, whose arrays have sums in common, as NumPy expressions. See optim.py."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .power import squaring
from .sums import add_dot

Array = NDArray[Any]
Options = Mapping[str, Any]
Part = tuple[Array, Array, Sequence[Array], int]
"""Parameters, gradient, states, group."""

DEFAULTS: dict[str, dict[str, Any]] = {
    "prodigy": {
        "lr": 1.0,
        "betas": (0.9, 0.999),
        "beta3": None,
        "eps": 1e-8,
        "decouple": True,
        "use_bias_correction": False,
        "safeguard_warmup": False,
        "d0": 1e-6,
        "d_coef": 1.0,
        "growth_rate": math.inf,
    },
}
SLOTS = {"prodigy": lambda o: 4}


def rate_of(o: Options, d: float, t: int) -> float:
    beta1, beta2 = o["betas"]
    correction = 1.0
    if o["use_bias_correction"]:
        correction = math.sqrt(1 - squaring(beta2, t)) / (1 - squaring(beta1, t))
    return float(d * o["lr"] * correction)


def step(parts: Sequence[Part], groups: Sequence[Options], t: int, memory: dict[str, float]) -> None:
    """All arrays, in order, that have this rule. memory: empty before the first step."""
    first = groups[min(group for *_, group in parts)]
    beta3 = first["beta3"] or math.sqrt(first["betas"][1])
    d = memory.setdefault("d", first["d0"])
    d_max = memory.setdefault("d_max", first["d0"])
    sums: dict[int, list[float]] = {}
    for p, g, (_, _, s, p0), group in parts:
        o, r = groups[group], p.dtype.type
        rate = rate_of(o, d, t)
        if t == 1:
            p0[...] = p
        weight = d / o["d0"] * (d if o["safeguard_warmup"] else rate)
        s[...] = r(o["beta3"] or math.sqrt(o["betas"][1])) * s + r(weight) * g
        way, length = sums.setdefault(group, [0.0, 0.0])
        sums[group] = [add_dot(way, g, p0 - p), add_dot(length, s, np.where(s < 0, r(-1), r(1)))]
    numerator, denominator = beta3 * memory.setdefault("d_numerator", 0.0), 0.0
    for group in sorted(sums):
        numerator += d / groups[group]["d0"] * rate_of(groups[group], d, t) * sums[group][0]
        denominator += sums[group][1]
    grown = d
    if denominator != 0:
        found = first["d_coef"] * numerator / denominator
        d_max = max(d_max, found)
        grown = min(d_max, (max(d, found) if d == first["d0"] else d) * first["growth_rate"])
        memory.update(d=grown, d_max=d_max, d_numerator=numerator)
    for p, g, (m, v, _, _), group in parts:
        o, r = groups[group], p.dtype.type
        beta1, beta2 = o["betas"]
        rate = rate_of(o, d, t)
        m[...] = r(beta1) * m + r((1 - beta1) * d) * g
        v[...] = r(beta2) * v + r((1 - beta2) * (d * d)) * (g * g)
        keep = r(1 - rate * o["weight_decay"]) if o["decouple"] else r(1)
        p[...] = keep * p - r(rate) * (m / (np.sqrt(v) + r(grown * o["eps"])))
