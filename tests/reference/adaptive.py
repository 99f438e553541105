"""Element-wise rules that adapt the step to each parameter, as plain NumPy expressions: see optim.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


RULES: dict[str, Callable[[Array, Array, Sequence[Array], Options, int], None]] = {
    "adadelta": adadelta,
}

DEFAULTS: dict[str, dict[str, Any]] = {
    "adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
}

# How many state arrays a parameter has.
SLOTS: dict[str, Callable[[Options], int]] = {
    "adadelta": lambda o: 2,
}
