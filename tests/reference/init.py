"""Initial weights and the order of an epoch, from the blocks of the generator."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import philox

Array = NDArray[Any]
STREAM_SHUFFLE = 0
STREAM_INIT = 1 << 20


def permutation(n: int, seed: int, epoch: int) -> Array:
    """Fisher-Yates from the end; step i takes 64 bits, half of block i // 2, as a fraction of i + 1."""
    words = philox.blocks(seed, STREAM_SHUFFLE + (epoch >> 32), epoch & 0xFFFFFFFF, 0, n // 2 + 1)
    bits = words[:, 1::2] << philox.HIGH | words[:, ::2]
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = int(bits[i // 2, i % 2]) * (i + 1) >> 64
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)


def initialise(shape: tuple[int, int], kind: str, scale: float, seed: int, stream: int) -> Array:
    """Float64 weights: zeros, uniform in [-scale, scale), normal, or with orthonormal rows or columns times scale."""
    n = shape[0] * shape[1]
    if kind == "zeros":
        return np.zeros(shape)
    u = philox.units(philox.blocks(seed, STREAM_INIT + stream, 0, 0, n // 2 + 1))[:n]
    if kind == "uniform":
        return np.asarray(scale * (2 * u - 1)).reshape(shape)
    normal = NormalDist()
    z = np.array([normal.inv_cdf(v) for v in np.minimum(u + 2.0**-54, 1 - 2.0**-53)])
    if kind == "normal":
        return np.asarray(scale * z).reshape(shape)
    # Gram-Schmidt of the shorter side's vectors, drawn one after the other: QR with a positive diagonal.
    q, r = np.linalg.qr(z.reshape(min(shape), max(shape)).T)
    q = scale * q * np.sign(np.diag(r))
    return np.asarray(q.T if shape[0] < shape[1] else q)
