"""Update rules as plain NumPy expressions, in the order of operations that the compiled rules promise.

Constants are computed in double and rounded to the dtype of the arrays once; after that every operation is one
rounded NumPy operation of that dtype. Steps are numbered from 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import adaptive, arrays, averages, norms, prodigy, signs, soap
from .power import squaring
from .sums import one_block

Array = NDArray[Any]
Options = Mapping[str, Any]

DEFAULTS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 1e-3, "momentum": 0.0, "dampening": 0.0, "nesterov": False, "dialect": "torch"},
    "adagrad": {"lr": 1e-2, "lr_decay": 0.0, "eps": 1e-10, "dialect": "torch"},
    "rowadagrad": {"lr": 1e-2, "lr_decay": 0.0, "eps": 1e-10},
    "rmsprop": {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8, "momentum": 0.0, "centered": False, "dialect": "torch"},
    "adam": {
        "lr": 1e-3,
        "betas": (0.9, 0.999),
        "eps": 1e-8,
        "amsgrad": False,
        "decoupled": False,
        "dialect": "torch",
    },
    **adaptive.DEFAULTS,
    **signs.DEFAULTS,
    **averages.DEFAULTS,
    **norms.DEFAULTS,
    **prodigy.DEFAULTS,
    **arrays.DEFAULTS,
    **soap.DEFAULTS,
}


def options(rule: str, **given: Any) -> dict[str, Any]:
    """All numbers of a group: the rule's defaults with those given on top."""
    return {"rule": rule, "maximize": False, "weight_decay": 0.0, **DEFAULTS[rule], **given}


def slots(o: Options) -> int:
    """How many state arrays a parameter has under these options."""
    if o["rule"] in adaptive.SLOTS:
        return adaptive.SLOTS[o["rule"]](o)
    if o["rule"] == "sgd":
        return 1 if o["momentum"] else 0
    if o["rule"] in ("adagrad", "rowadagrad"):
        return 1
    if o["rule"] == "rmsprop":
        return 3 if o["momentum"] else 2 if o["centered"] else 1
    if o["rule"] in averages.SLOTS:
        return averages.SLOTS[o["rule"]](o)
    if o["rule"] in signs.SLOTS:
        return signs.SLOTS[o["rule"]](o)
    if o["rule"] in prodigy.SLOTS:
        return prodigy.SLOTS[o["rule"]](o)
    if o["rule"] in norms.SLOTS:
        return norms.SLOTS[o["rule"]](o)
    return 3 if o["amsgrad"] else 2


def sgd(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    lr = o["lr"]
    if o["momentum"]:
        buf = s[0]
        fresh = 1 - o["dampening"]
        if o["dialect"] == "torch":
            buf[...] = g if t == 1 else r(o["momentum"]) * buf + r(fresh) * g
        else:
            buf[...] = r(o["momentum"]) * buf + r(fresh * lr) * g
            g = r(lr) * g
            lr = 1
        g = g + r(o["momentum"]) * buf if o["nesterov"] else buf
    p[...] = p - r(lr) * g


def root(x: Array, o: Options) -> Array:
    """Of x and eps, inside or outside."""
    eps = x.dtype.type(o["eps"])
    return np.asarray(np.sqrt(x + eps) if o["dialect"] == "keras" else np.sqrt(x) + eps)


def adagrad(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    s[0][...] = s[0] + g * g
    rate = r(o["lr"] / (1 + (t - 1) * o["lr_decay"]))
    p[...] = p - rate * (g / root(s[0], o))


def rowadagrad(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    rate = r(o["lr"] / (1 + (t - 1) * o["lr_decay"]))
    for k, (row, slope) in enumerate(zip(p, g, strict=True) if p.ndim else [(p, g)]):
        total = s[0][k : k + 1] if p.ndim else s[0]
        total[...] = total.astype(np.float64) + one_block(slope) / slope.size
        p[k if p.ndim else ...] = row - rate / (np.sqrt(total).reshape(()) + r(o["eps"])) * slope


def rmsprop(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    mix = r(1 - o["alpha"])
    s[0][...] = r(o["alpha"]) * s[0] + mix * (g * g)
    if o["centered"]:
        s[1][...] = s[1] + mix * (g - s[1])
        spread = root(np.maximum(s[0] - s[1] * s[1], r(0)), o)
    else:
        spread = root(s[0], o)
    if o["momentum"] and o["dialect"] == "keras":
        s[2][...] = r(o["momentum"]) * s[2] + r(o["lr"]) * (g / spread)
        p[...] = p - s[2]
    elif o["momentum"]:
        s[2][...] = r(o["momentum"]) * s[2] + g / spread
        p[...] = p - r(o["lr"]) * s[2]
    else:
        p[...] = p - r(o["lr"]) * (g / spread)


def adam(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    beta1, beta2 = o["betas"]
    s[0][...] = s[0] + r(1 - beta1) * (g - s[0])
    s[1][...] = r(beta2) * s[1] + r(1 - beta2) * (g * g)
    v = s[1]
    if o["amsgrad"]:
        s[2][...] = np.maximum(s[2], v)
        v = s[2]
    step = o["lr"] / (1 - squaring(beta1, t))
    root_of_correction = math.sqrt(1 - squaring(beta2, t))
    if o["dialect"] == "torch":
        p[...] = p - r(step) * (s[0] / (np.sqrt(v) * r(1 / root_of_correction) + r(o["eps"])))
    else:
        p[...] = p - r(step * root_of_correction) * (s[0] / (np.sqrt(v) + r(o["eps"])))


RULES: dict[str, Callable[[Array, Array, Sequence[Array], Options, int], None]] = {
    "sgd": sgd,
    "adagrad": adagrad,
    "rowadagrad": rowadagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    **adaptive.RULES,
    **signs.RULES,
    **averages.RULES,
    **norms.RULES,
    **arrays.RULES,
    **soap.RULES,
}


# Rules that decay weights in their own way.
OWN_DECAY = {*averages.OWN_DECAY, *norms.OWN_DECAY}


def limited(g: Array, grad_scale: float, clip_value: float) -> Array:
    """The gradient unscaled and limited element by element."""
    r = g.dtype.type
    if grad_scale != 1:
        g = g * r(grad_scale)
    if clip_value > 0:
        g = np.minimum(np.maximum(g, r(-clip_value)), r(clip_value))
    return g


def global_norm(grads: Sequence[Array], grad_scale: float = 1.0, clip_value: float = 0.0) -> float:
    """Of all gradients together, after they were unscaled and limited."""
    return math.sqrt(math.fsum(float(np.sum(limited(g, grad_scale, clip_value).astype(float) ** 2)) for g in grads))


def step(
    params: Sequence[Array],
    grads: Sequence[Array],
    states: Sequence[Sequence[Array]],
    groups: Sequence[Options],
    t: int,
    *,
    group_of: Sequence[int] | None = None,
    grad_scale: float = 1.0,
    clip_value: float = 0.0,
    clip_norm: float = 0.0,
    norm: float | None = None,
    memory: dict[str, float] | None = None,
) -> None:
    """One step of all parameters, in place.

    norm: the global norm, if the caller knows its last bits better. memory: what Prodigy remembers, empty at first.
    """
    together = []
    factor = 1.0
    if clip_norm > 0:
        if norm is None:
            norm = global_norm(grads, grad_scale, clip_value)
        factor = min(1.0, clip_norm / (norm + 1e-6))  # as torch's clip_grad_norm_
    for i, (p, g, s) in enumerate(zip(params, grads, states, strict=True)):
        o = groups[group_of[i] if group_of is not None else 0]
        if not p.size:
            continue
        r = p.dtype.type
        g = limited(g, grad_scale, clip_value)
        scale = -factor if o["maximize"] else factor
        if scale != 1:
            g = g * r(scale)
        if o.get("decoupled") or o.get("decoupled_weight_decay") or o.get("dialect") == "keras":
            if o["weight_decay"] and o["rule"] not in ("adan", "soap", "adopt" if t == 1 else None):
                p[...] = p * r(1 - o["lr"] * o["weight_decay"])
        elif o["weight_decay"] and o["rule"] not in OWN_DECAY and not o.get("decouple"):
            g = g + r(o["weight_decay"]) * p
        if o["rule"] == "prodigy":
            together.append((p, g, s, group_of[i] if group_of is not None else 0))
        else:
            RULES[o["rule"]](p, g, s, o, t)
    if together:
        assert memory is not None
        prodigy.step(together, groups, t, memory)
