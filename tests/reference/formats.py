"""Numbers as arrays store them, as csrc/optim/formats.h has it, in integers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.reference.philox import WORD, philox

Array = NDArray[Any]
Codes = NDArray[np.uint16]

# Numbers beside the codes: the type of each, and how many numbers share one.
CODES = {
    "float32": np.uint32,
    "float64": np.uint64,
    "bfloat16": np.uint16,
    "float16": np.uint16,
    "bfloat16_stochastic": np.uint16,
    "split": np.uint16,
}
ROUNDING_STREAM = 6 << 20

SIGN, MAGNITUDE, INFINITY = 0x80000000, 0x7FFFFFFF, 0x7F800000


def as_bits(x: Array) -> NDArray[np.int64]:
    """The bits of floats, as integers that do not wrap; doubles are rounded to floats first."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(x, dtype=np.float32).view(np.uint32).astype(np.int64)


def from_bits(bits: Array, dtype: Any) -> Array:
    """Floats or doubles of these bits of floats."""
    with np.errstate(invalid="ignore"):
        return np.asarray(bits).astype(np.uint32).view(np.float32).astype(dtype)


def quiet(bits: NDArray[np.int64]) -> NDArray[np.int64]:
    return bits >> 16 | 0x40


def draws(n: int, seed: int, number: int, t: int, first: int) -> NDArray[np.int64]:
    """16 random bits of each of n elements of an array, from element `first` on."""
    element = np.arange(first, first + n, dtype=np.uint64)
    block = element >> np.uint64(3)
    words = np.stack(
        philox(
            (block & WORD, number, t & 0xFFFFFFFF, ROUNDING_STREAM + (t >> 32)),
            (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF),
        )
    )
    which = (element & np.uint64(7)).astype(np.int64)
    word = words[which >> 1, np.arange(n)]
    return np.where(which & 1, word >> np.uint64(16), word & np.uint64(0xFFFF)).astype(np.int64)


def narrow_bfloat16(x: Array) -> Codes:
    bits = as_bits(x)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    return np.where(bits & MAGNITUDE > INFINITY, quiet(bits), nearest).astype(np.uint16)


def narrow_stochastic(x: Array, draw: NDArray[np.int64]) -> Codes:
    bits = as_bits(x)
    magnitude = bits & MAGNITUDE
    away = np.minimum((magnitude + draw) >> 16, 0x7F7F)
    rounded = np.where(magnitude < INFINITY, away, magnitude >> 16) | bits >> 16 & 0x8000
    return np.where(magnitude > INFINITY, quiet(bits), rounded).astype(np.uint16)


def narrow_float16(x: Array) -> Codes:
    """Rounds the multiple of the last place that a number is, exactly, as a ratio of integers."""
    bits = as_bits(x)
    magnitude = bits & MAGNITUDE
    exponent = np.maximum(magnitude >> 23, 1)
    mantissa = np.where(magnitude >> 23 > 0, magnitude & 0x7FFFFF | 0x800000, magnitude)
    # Numbers of 16 bits have ten bits below the first from 2^-14 on, and below multiples of 2^-24.
    dropped = np.minimum(np.where(exponent >= 113, 13, 13 + 113 - exponent), 40)
    kept, rest, half = mantissa >> dropped, mantissa & (1 << dropped) - 1, 1 << dropped - 1
    kept = kept + ((rest > half) | (rest == half) & (kept & 1 == 1))
    rounded = np.minimum(np.where(exponent >= 113, (exponent - 113 << 10) + kept, kept), 0x7C00)
    nan = 0x7E00 | magnitude >> 13 & 0x3FF
    return (np.where(magnitude > INFINITY, nan, rounded) | bits >> 16 & 0x8000).astype(np.uint16)


def narrow_split(x: Array) -> tuple[Codes, Codes]:
    bits = as_bits(x)
    nan = bits & MAGNITUDE > INFINITY
    high = np.where(nan, quiet(bits), bits + 0x8000 >> 16)
    return high.astype(np.uint16), np.where(nan, 0, bits & 0xFFFF).astype(np.uint16)


def widen_bfloat16(codes: Codes, dtype: Any) -> Array:
    return from_bits(codes.astype(np.int64) << 16, dtype)


def widen_float16(codes: Codes, dtype: Any) -> Array:
    code = codes.astype(np.int64)
    magnitude = code & 0x7FFF
    denormal = as_bits(magnitude * 2.0**-24)
    normal = (magnitude << 13) + (112 << 23)
    beyond = np.where(magnitude > 0x7C00, magnitude << 13 | 0x7FC00000, INFINITY)
    bits = np.where(magnitude < 0x400, denormal, np.where(magnitude < 0x7C00, normal, beyond))
    return from_bits(bits | (code & 0x8000) << 16, dtype)


def widen_split(high: Codes, low: Codes, dtype: Any) -> Array:
    return from_bits((high.astype(np.int64) << 16) + low.view(np.int16).astype(np.int64) & 0xFFFFFFFF, dtype)


def narrow(
    name: str, x: Array, seed: int = 0, number: int = 0, t: int = 0, first: int = 0
) -> tuple[Array, NDArray[Any] | None]:
    """The codes, and what stands beside them."""
    if name == "split":
        return narrow_split(x)
    if name == "bfloat16_stochastic":
        return narrow_stochastic(x, draws(len(x), seed, number, t, first)), None
    if name == "bfloat16":
        return narrow_bfloat16(x), None
    if name == "float16":
        return narrow_float16(x), None
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return x.astype(name).view(CODES[name]), None


def widen(name: str, codes: Array, more: Array | None, dtype: Any) -> Array:
    """Reals of this dtype."""
    if name == "split":
        assert more is not None
        return widen_split(codes, more, dtype)
    if name in ("bfloat16", "bfloat16_stochastic"):
        return widen_bfloat16(codes, dtype)
    if name == "float16":
        return widen_float16(codes, dtype)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return np.asarray(codes).view(name).astype(dtype)
