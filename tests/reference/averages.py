"""Rules that average their way, as NumPy expressions. See optim.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import optim, power


def asgd(p: optim.Array, g: optim.Array, s: Sequence[optim.Array], o: optim.Options, t: int) -> None:
    r = p.dtype.type
    eta = o["lr"] / power.power(1 + o["lambd"] * o["lr"] * (t - 1), o["alpha"])
    mu = 1 / max(1, t - 1 - o["t0"])
    p[...] = r(1 - o["lambd"] * eta) * p - r(eta) * g
    s[0][...] = p if mu == 1 else s[0] + r(mu) * (p - s[0])


RULES = {"asgd": asgd}
DEFAULTS: dict[str, dict[str, Any]] = {"asgd": {"lr": 1e-2, "lambd": 1e-4, "alpha": 0.75, "t0": 1e6}}
SLOTS: dict[str, Callable[[optim.Options], int]] = {"asgd": lambda o: 1}
