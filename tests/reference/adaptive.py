"""Element-wise rules that adapt the step to each parameter, as plain NumPy expressions: see optim.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .power import squaring

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
    u[...] = np.maximum(r(beta2) * u, np.abs(g) + r(o["eps"]))
    p[...] = p - r(o["lr"] / (1 - squaring(beta1, t))) * (m / u)


RULES: dict[str, Callable[[Array, Array, Sequence[Array], Options, int], None]] = {
    "adadelta": adadelta,
    "adamax": adamax,
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
    "adamax": {"lr": 2e-3, "betas": (0.9, 0.999), "eps": 1e-8},
}

# How many state arrays a parameter has.
SLOTS: dict[str, Callable[[Options], int]] = {
    "adadelta": lambda o: 2,
    "adamax": lambda o: 2,
}
