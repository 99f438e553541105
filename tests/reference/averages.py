"""Rules that average their way, as NumPy expressions. See optim.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import optim, power


def asgd(p: optim.Array, g: optim.Array, s: Sequence[optim.Array], o: optim.Options, t: int) -> None:
    r = p.dtype.type
    eta = o["lr"] / power.power(1 + o["lambd"] * o["lr"] * (t - 1), o["alpha"])
    mu = 1 / max(1, t - 1 - o["t0"])
    p[...] = r(1 - o["lambd"] * eta) * p - r(eta) * g
    s[0][...] = p if mu == 1 else s[0] + r(mu) * (p - s[0])


def schedule(o: optim.Options, t: int) -> tuple[float, float]:
    """The rate of step t and the newest point's share of the average, with an lr that never changed."""
    lr = largest = total = share = 0.0
    for k in range(1, t + 1):
        lr = o["lr"] * (k / o["warmup_steps"]) if k < o["warmup_steps"] else o["lr"]
        largest = max(largest, lr)
        weight = power.power(float(k), o["r"]) * power.power(largest, o["weight_lr_power"])
        total += weight
        share = weight / total if total > 0 else 0.0
    return lr, share


def move(y: optim.Array, z: optim.Array, d: optim.Array, beta: float, o: optim.Options, t: int) -> None:
    r = y.dtype.type
    lr, share = schedule(o, t)
    if t == 1:
        z[...] = y
    y[...] = (y + r(share) * (z - y)) - r(lr * (1 - beta * (1 - share))) * d
    z[...] = z - r(lr) * d


def schedule_free_sgd(p: optim.Array, g: optim.Array, s: Sequence[optim.Array], o: optim.Options, t: int) -> None:
    move(p, s[0], g, o["momentum"], o, t)


def schedule_free_adamw(p: optim.Array, g: optim.Array, s: Sequence[optim.Array], o: optim.Options, t: int) -> None:
    r = p.dtype.type
    beta1, beta2 = o["betas"]
    s[1][...] = r(beta2) * s[1] + r(1 - beta2) * (g * g)
    correction = r(1 / math.sqrt(1 - power.squaring(beta2, t)))
    d = g / (np.sqrt(s[1]) * correction + r(o["eps"])) + r(o["weight_decay"]) * p
    move(p, s[0], d, beta1, o, t)


RULES = {"asgd": asgd, "schedule_free_sgd": schedule_free_sgd, "schedule_free_adamw": schedule_free_adamw}
AVERAGE = {"warmup_steps": 0, "r": 0.0, "weight_lr_power": 2.0}
DEFAULTS: dict[str, dict[str, Any]] = {
    "asgd": {"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6},
    "schedule_free_sgd": {"lr": 1.0, "momentum": 0.9, **AVERAGE},
    "schedule_free_adamw": {"lr": 0.0025, "betas": (0.9, 0.999), "eps": 1e-8, **AVERAGE},
}
SLOTS: dict[str, Callable[[optim.Options], int]] = {
    "asgd": lambda o: 1,
    "schedule_free_sgd": lambda o: 1,
    "schedule_free_adamw": lambda o: 2,
}
OWN_DECAY = {"schedule_free_adamw"}
"""Rules that see to weight decay themselves."""
