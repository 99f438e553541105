"""Element-wise rules that adapt the step to each parameter, as plain NumPy expressions: see optim.py."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .power import exp, log, power, powers, squaring

Array = NDArray[Any]
Options = Mapping[str, Any]


def adadelta(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    square, delta = s
    eps, fresh = r(o["eps"]), r(1 - o["rho"])
    square[...] = r(o["rho"]) * square + fresh * (g * g)
    d = np.sqrt((delta + eps) / (square + eps)) * g
    delta[...] = r(o["rho"]) * delta + fresh * (d * d)
    p[...] = p - r(o["lr"]) * d


def adamax(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    beta1, beta2 = o["betas"]
    m, u = s
    m[...] = m + r(1 - beta1) * (g - m)
    inner, outer = (0, o["eps"]) if o["dialect"] == "keras" else (o["eps"], 0)
    u[...] = np.maximum(r(beta2) * u, np.abs(g) + r(inner))
    p[...] = p - r(o["lr"] / (1 - squaring(beta1, t))) * (m / (u + r(outer)))


def adam_means(g: Array, m: Array, v: Array, o: Options) -> None:
    """Of the gradient and its square, as Adam keeps them."""
    r = g.dtype.type
    m[...] = m + r(1 - o["betas"][0]) * (g - m)
    v[...] = r(o["betas"][1]) * v + r(1 - o["betas"][1]) * (g * g)


def adam_root(v: Array, beta: float, o: Options, t: int) -> Array:
    """What Adam divides by, from a mean square of which beta is kept at each step."""
    r = v.dtype.type
    return np.asarray(np.sqrt(v) * r(1 / math.sqrt(1 - squaring(beta, t))) + r(o["eps"]))


def nadam(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    m, v = s

    def momentum(k: int) -> float:
        exponent = k * (1 if o["dialect"] == "keras" else o["momentum_decay"])
        return float(o["betas"][0] * (1 - 0.5 * (power(0.96, exponent) if exponent < 1000 else 0)))

    product = 1.0
    for k in range(1, t + 1):
        product *= momentum(k)
    of_mean = r(o["lr"] * momentum(t + 1) / (1 - product * momentum(t + 1)))
    of_gradient = r(o["lr"] * (1 - momentum(t)) / (1 - product))
    adam_means(g, m, v, o)
    p[...] = p - (of_mean * m + of_gradient * g) / adam_root(v, o["betas"][1], o, t)


def rectification(beta2: float, t: int) -> float:
    """What multiplies RAdam's step beside Adam's correction of the first mean; 0: it has no denominator."""
    kept = squaring(beta2, t)
    most = 2 / (1 - beta2) - 1
    now = most - 2 * t * kept / (1 - kept)
    if now <= 5:
        return 0.0
    return math.sqrt((1 - kept) * (now - 4) * (now - 2) * most / ((most - 4) * (most - 2) * now))


def radam(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    m, v = s
    adam_means(g, m, v, o)
    step = o["lr"] / (1 - squaring(o["betas"][0], t))
    factor = rectification(o["betas"][1], t)
    if factor:
        p[...] = p - r(step * factor) * (m / (np.sqrt(v) + r(o["eps"])))
    else:
        p[...] = p - r(step) * m


def adabelief(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    beta1, beta2 = o["betas"]
    m, var = s[0], s[1]
    m[...] = m + r(1 - beta1) * (g - m)
    var[...] = r(beta2) * var + r(1 - beta2) * ((g - m) * (g - m)) + r(o["eps"])
    if o["amsgrad"]:
        s[2][...] = np.maximum(s[2], var)
        var = s[2]
    step = o["lr"] / (1 - squaring(beta1, t))
    if not o["rectify"]:
        p[...] = p - r(step) * (m / adam_root(var, beta2, o, t))
    elif rectification(beta2, t):
        p[...] = p - r(step * rectification(beta2, t)) * (m / (np.sqrt(var) + r(o["eps"])))
    else:
        p[...] = p - r(step) * m


def yogi(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    beta1, beta2 = o["betas"]
    m, v = s
    m[...] = m + r(1 - beta1) * (g - m)
    v[...] = v - np.sign(v - g * g) * (r(1 - beta2) * (g * g))
    p[...] = p - r(o["lr"] / (1 - squaring(beta1, t))) * (m / adam_root(v, beta2, o, t))


def adopt(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    beta1, beta2 = o["betas"]
    m, v = s
    if t == 1:
        v[...] = g * g
        return
    u = g / np.maximum(np.sqrt(v), r(o["eps"]))
    if o["clip"]:
        limit = r(math.sqrt(math.sqrt(t - 1)))
        u = np.minimum(np.maximum(u, -limit), limit)
    m[...] = m + r(1 - beta1) * (u - m)
    p[...] = p - r(o["lr"]) * m
    v[...] = r(beta2) * v + r(1 - beta2) * (g * g)


def ademamix(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    beta1, beta2, beta3 = o["betas"]
    v, slow = s[0], s[1]
    fast = g
    alpha = o["alpha"]
    if t < o["alpha_warmup"]:
        alpha *= t / o["alpha_warmup"]
    if t < o["beta3_warmup"]:
        come = t / o["beta3_warmup"]
        start = 1 / log(beta1) if beta1 > 0 else 0.0
        beta3 = min(exp(1 / ((1 - come) * start + come * (1 / log(beta3)))), beta3)
    if beta1:
        fast = s[2]
        fast[...] = fast + r(1 - beta1) * (g - fast)
    slow[...] = slow + r(1 - beta3) * (g - slow)
    v[...] = r(beta2) * v + r(1 - beta2) * (g * g)
    of_fast, of_slow = r(o["lr"] / (1 - squaring(beta1, t))), r(o["lr"] * alpha)
    p[...] = p - (of_fast * fast + of_slow * slow) / adam_root(v, beta2, o, t)


def adan(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    beta1, beta2, beta3 = o["betas"]
    m, square, w, negative_last = s
    d = np.zeros_like(g) if t == 1 else g + negative_last
    ahead = g + r(beta2) * d
    negative_last[...] = -g
    m[...] = m + r(1 - beta1) * (g - m)
    w[...] = w + r(1 - beta2) * (d - w)
    square[...] = r(beta3) * square + r(1 - beta3) * (ahead * ahead)
    prox = 1.0 if o["no_prox"] else 1 / (1 + o["lr"] * o["weight_decay"])
    keep = 1 - o["lr"] * o["weight_decay"] if o["no_prox"] else prox
    of_mean = r(o["lr"] / (1 - squaring(beta1, t)) * prox)
    of_change = r(o["lr"] * beta2 / (1 - squaring(beta2, t)) * prox)
    p[...] = r(keep) * p - (of_mean * m + of_change * w) / adam_root(square, beta3, o, t)


def ftrl(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    square, z = s
    if o["lr"] == 0:
        return

    def power(x: Array) -> Array:
        return np.sqrt(x) if o["lr_power"] == -0.5 else powers(x, -o["lr_power"]).astype(p.dtype)

    inverse, l1 = r(1 / o["lr"]), r(o["l1"])
    before = power(square)
    square[...] = square + g * g
    now = power(square)
    z[...] = z + ((g + r(2 * o["l2_shrinkage"]) * p) - (now - before) * inverse * p)
    below = now * inverse + r(2 * o["l2"] + o["beta"] / o["lr"])
    inside = np.minimum(np.maximum(z, -l1), l1)
    p[...] = np.where(below == 0, r(0), (inside - z) / np.where(below == 0, r(1), below))


def laprop(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    beta1, beta2 = o["betas"]
    m, v = s
    v[...] = r(beta2) * v + r(1 - beta2) * (g * g)
    m[...] = m + r(1 - beta1) * (g / adam_root(v, beta2, o, t) - m)
    p[...] = p - r(o["lr"] / (1 - squaring(beta1, t))) * m


RULES: dict[str, Callable[[Array, Array, Sequence[Array], Options, int], None]] = {
    "adadelta": adadelta,
    "adamax": adamax,
    "nadam": nadam,
    "radam": radam,
    "adabelief": adabelief,
    "ftrl": ftrl,
    "adan": adan,
    "ademamix": ademamix,
    "adopt": adopt,
    "yogi": yogi,
    "laprop": laprop,
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "dialect": "torch"},
    "adamax": {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "dialect": "torch"},
    "nadam": {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8, "momentum_decay": 4e-3, "dialect": "torch"},
    "radam": {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8},
    "yogi": {"lr": 1e-2, "betas": (0.9, 0.999), "eps": 1e-3},
    "laprop": {"lr": 4e-4, "betas": (0.9, 0.999), "eps": 1e-15},
    "adopt": {"lr": 1e-3, "betas": (0.9, 0.9999), "eps": 1e-6, "clip": True},
    "ademamix": {
        "lr": 1e-3,
        "betas": (0.9, 0.999, 0.9999),
        "alpha": 5.0,
        "eps": 1e-8,
        "alpha_warmup": 0,
        "beta3_warmup": 0,
        "decoupled": True,
    },
    "adan": {"lr": 1e-3, "betas": (0.98, 0.92, 0.99), "eps": 1e-8, "no_prox": False, "decoupled": True},
    "ftrl": {"lr": 1e-3, "lr_power": -0.5, "l1": 0.0, "l2": 0.0, "l2_shrinkage": 0.0, "beta": 0.0},
    "adabelief": {
        "lr": 1e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-16,
        "amsgrad": False,
        "rectify": False,
        "decoupled_weight_decay": True,
    },
}

# How many state arrays a parameter has.
SLOTS: dict[str, Callable[[Options], int]] = {
    "adadelta": lambda o: 2,
    "adamax": lambda o: 2,
    "nadam": lambda o: 2,
    "radam": lambda o: 2,
    "yogi": lambda o: 2,
    "laprop": lambda o: 2,
    "adopt": lambda o: 2,
    "ademamix": lambda o: 3 if o["betas"][0] else 2,
    "adan": lambda o: 4,
    "ftrl": lambda o: 2,
    "adabelief": lambda o: 3 if o["amsgrad"] else 2,
}

# Optimizers and options of theirs, as rule_cases.py has them for others.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("LaProp", {}),
    ("LaProp", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 0.001, "weight_decay": 0.1}),
    ("LaProp", {"lr": 0.1, "betas": (0.0, 0.9), "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
]
