"""How matrices of weights start."""

from __future__ import annotations

from math import sqrt

# Of each matrix by itself, whatever the others beside it.
ELEMENTWISE = (
    "zeros",
    "normal",
    "uniform",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
)
INITIALISERS = (*ELEMENTWISE, "orthogonal")


def initial_scale(init: str, n_in: int, n_out: int) -> tuple[str, float]:
    """Kind and scale of the start of a matrix (n_in, n_out), as the core takes them.

    Parameters
    ----------
    init : str
        One of `INITIALISERS`. "normal" has the standard deviation 1, "uniform" is in +-1 / sqrt(n_in).
    n_in, n_out : int
        At least 1.
    """
    if init == "uniform":
        return init, 1.0 / sqrt(n_in)
    family, _, kind = init.partition("_")
    if not kind:
        return family, 1.0
    variance = {"glorot": 2.0 / (n_in + n_out), "he": 2.0 / n_in, "lecun": 1.0 / n_in}[family]
    # A uniform variable in [-a, a) has variance a^2 / 3.
    return kind, sqrt(3.0 * variance if kind == "uniform" else variance)
