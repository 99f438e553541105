"""Rules that take whole arrays, as NumPy expressions: sums and products make them differ from ours in the last bits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .formats import narrow_bfloat16, widen_bfloat16
from .gemm import chain
from .power import power

Array = NDArray[Any]
Options = Mapping[str, Any]

DEFAULTS: dict[str, dict[str, Any]] = {
    "adafactor": {"lr": 1e-2, "beta2_decay": -0.8, "eps": (None, 1e-3), "d": 1.0, "decoupled": True},
    "muon": {
        "lr": 1e-3,
        "weight_decay": 0.1,
        "momentum": 0.95,
        "nesterov": True,
        "ns_coefficients": (3.4445, -4.7750, 2.0315),
        "eps": 1e-7,
        "ns_steps": 5,
        "adjust_lr_fn": None,
        "products": None,
        "decoupled": True,
    },
}


def state_shapes(o: Options, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    if o["rule"] == "adafactor" and len(shape) > 1:
        return [(*shape[:-1], 1), (*shape[:-2], 1, shape[-1])]
    return [shape]


def rms(x: Array) -> float:
    return math.sqrt(np.mean(x.astype(float) ** 2))


def adafactor(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    rms_p = rms(p) / (1 - o["lr"] * o["weight_decay"])  # before it decayed
    eps1, eps2 = o["eps"]
    eps1 = float(np.finfo(r).eps) if eps1 is None else eps1
    w = power(float(t), o["beta2_decay"])

    def mixed(v: Array, x: Array) -> Array:
        mixed: Array = v + r(w) * (x - v) if w < 0.5 else x - r(1 - w) * (x - v)
        return mixed

    if p.ndim > 1:
        squares = g.astype(float) ** 2
        for state, axis in ((s[0], -1), (s[1], -2)):
            state[...] = mixed(state, squares.mean(axis, keepdims=True).astype(r))
        mean = np.maximum(s[0].astype(float).mean(-2, keepdims=True).astype(r), r(eps1))
        with np.errstate(divide="ignore", invalid="ignore"):
            u = g * np.minimum(np.sqrt(mean / s[0]) * (1 / np.sqrt(s[1])), r(1 / eps1))
    else:
        s[0][...] = mixed(s[0], g * g)
        u = g / np.maximum(np.sqrt(s[0]), r(eps1))
    size = min(o["lr"], 1 / math.sqrt(t)) * max(rms_p, eps2) / max(1.0, rms(u) / o["d"])
    p[...] = p - r(size) * u


def product_in_bfloat16(a: Array, b: Array) -> Array:
    """A @ b of elements rounded to bfloat16, to the last bit: a chain in float32, the second of each two first."""
    odd = a.shape[1] % 2
    a, b = (
        widen_bfloat16(narrow_bfloat16(np.pad(m, w)), np.float32)
        for m, w in ((a, ((0, 0), (0, odd))), (b, ((0, odd), (0, 0))))
    )
    order = np.arange(a.shape[1]).reshape(-1, 2)[:, ::-1].ravel()
    return chain(a[:, order], b[order])


def orthogonalised(u: Array, o: Options) -> Array:
    r = u.dtype.type
    a, b, c = (r(k) for k in o["ns_coefficients"])
    x = u.T if u.shape[0] > u.shape[1] else u
    x = x / r(max(math.sqrt(np.sum(u.astype(float) ** 2)), o["eps"]))
    product = product_in_bfloat16 if o["products"] == "bfloat16" else np.matmul
    for _ in range(o["ns_steps"]):
        gram = product(x, x.T).astype(r)
        x = a * x + product(b * gram + c * product(gram, gram).astype(r), x).astype(r)
    return x.T if u.shape[0] > u.shape[1] else x


def muon(p: Array, g: Array, s: Sequence[Array], o: Options, t: int) -> None:
    r = p.dtype.type
    fresh = r(1 - o["momentum"])
    s[0][...] = s[0] + fresh * (g - s[0])
    u = s[0] + fresh * (g - s[0]) if o["nesterov"] else s[0]
    m, n = p.shape
    shape = 0.2 * math.sqrt(max(m, n)) if o["adjust_lr_fn"] == "match_rms_adamw" else math.sqrt(max(1.0, m / n))
    p[...] = p - r(o["lr"] * shape) * orthogonalised(u, o)


RULES = {"adafactor": adafactor, "muon": muon}
