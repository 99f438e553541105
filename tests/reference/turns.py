"""Cosine and sine of 2 pi x by the core's own operations, in the dtype of x: the same bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SINE = (
    6.283185307179586476925, -41.34170224039976023397, 81.6052492760750542034, -76.70585975306138584163,
    42.05869394489765314499, -15.09464257682299039183, 3.819952584848282127734, -0.7181223017785005122317,
    0.1042291622081398411727,
)  # fmt: skip
COSINE = (
    1.0, -19.73920880217871723767, 64.93939402266829149096, -85.45681720669372773602, 60.24464137187666036272,
    -26.4262567833743974529, 7.903536371318468804212, -1.714390711088672065422, 0.2820059684557912150703,
)  # fmt: skip
TERMS = {"float32": (5, 6), "float64": (9, 9)}
TWO_PI_REST = {"float32": -1.748455600074497132e-7, "float64": 2.449293598294706354e-16}


def rest(x: Array) -> Array:
    """x without its whole numbers, exactly; 0 has the sign of x."""
    a = np.abs(x)
    return np.where(np.signbit(x), -(a - np.rint(a)), a - np.rint(a))


def horner(coefficients: tuple[float, ...], z: Array) -> Array:
    """(sum of coefficients[i] z^i, without the first) / z."""
    kind = z.dtype.type
    p = np.full_like(z, coefficients[-1])
    for c in coefficients[-2:0:-1]:
        p = p * z + kind(c)
    return p


def cos_sin(x: Array) -> tuple[Array, Array]:
    """cos(2 pi x) and sin(2 pi x)."""
    kind = x.dtype.type
    sines, cosines = TERMS[x.dtype.name]
    r = rest(x)
    a = np.abs(r)
    quarter = np.rint(a * kind(4))
    s = a - quarter * kind(0.25)
    z = s * s
    by_sine = s * kind(SINE[0]) + s * (kind(TWO_PI_REST[x.dtype.name]) + z * horner(SINE[:sines], z))
    by_cosine = kind(1) + z * horner(COSINE[:cosines], z)
    sine = np.where(quarter == 1, by_cosine, np.where(quarter == 2, -by_sine, by_sine))
    cosine = np.where(quarter == 1, -by_sine, np.where(quarter == 2, -by_cosine, by_cosine))
    return cosine, np.where(np.signbit(r), -sine, sine)


def waves(x: Array, weight: Array, bias: Array | None) -> Array:
    """What `schuss.Periodic` gives: form "cos" with a bias, else "cos_sin"."""
    turns = x[:, :, None] * weight
    if bias is not None:
        return cos_sin(rest(turns) + bias * x.dtype.type(0.1591549430918953357688838))[0].reshape(len(x), -1)
    return np.concatenate(cos_sin(turns), axis=2).reshape(len(x), -1)
