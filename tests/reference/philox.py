"""Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

WORD = np.uint64(0xFFFFFFFF)
HIGH = np.uint64(32)
MULTIPLIERS = (np.uint64(0xD2511F53), np.uint64(0xCD9E8D57))
INCREMENTS = (0x9E3779B9, 0xBB67AE85)


def philox(counter: Sequence[Any], key: tuple[int, int]) -> list[NDArray[np.uint64]]:
    """The four words of a block. The four words of the counter may be arrays; values below 2**32."""
    c0, c1, c2, c3 = (np.asarray(c, dtype=np.uint64) for c in counter)
    k0, k1 = key
    for _ in range(10):
        a, b = MULTIPLIERS[0] * c0, MULTIPLIERS[1] * c2
        c0, c1, c2, c3 = (b >> HIGH) ^ c1 ^ np.uint64(k0), b & WORD, (a >> HIGH) ^ c3 ^ np.uint64(k1), a & WORD
        k0, k1 = (k0 + INCREMENTS[0]) & 0xFFFFFFFF, (k1 + INCREMENTS[1]) & 0xFFFFFFFF
    return [np.asarray(c) for c in np.broadcast_arrays(c0, c1, c2, c3)]


def blocks(seed: int, stream: int, item: int, first: int, count: int) -> NDArray[np.uint64]:
    """Blocks first, first + 1, ... of the sequence of (seed, stream, item): shape (count, 4)."""
    index = np.arange(first, first + count, dtype=np.uint64)
    words = philox((index & WORD, index >> HIGH, item, stream), (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF))
    return np.stack(words, axis=1)


def units(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Two numbers in [0, 1) from each block: 53 bits from words 0 and 1, then from words 2 and 3."""
    pairs = words.reshape(-1, 2)
    return np.asarray(((pairs[:, 1] << HIGH | pairs[:, 0]) >> np.uint64(11)).astype(float) * 2.0**-53)


DROPOUT_STREAM = 2 << 20


def dropout_mask(shape: tuple[int, ...], probability: float, seed: int, layer: int, draw: int) -> NDArray[np.float64]:
    """0 where a word is below probability * 2**32, else 1 / (1 - probability); a block holds four outputs."""
    size = prod(shape)
    words = philox(
        (draw & 0xFFFFFFFF, draw >> 32, np.arange(-(-size // 4)), DROPOUT_STREAM + layer),
        (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF),
    )
    flat = np.stack(words, axis=1).ravel()[:size]
    return np.where(flat < int(probability * 2**32), 0.0, 1 / (1 - probability)).reshape(shape)
