"""What is drawn: numbers, shapes, gradients and junk."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import schuss

from .guarded import Array, guarded

SHAPES = [(), (0,), (1,), (3,), (17,), (65,), (2, 3), (0, 4), (4, 0), (7, 1), (1, 9), (5, 1, 3), (20, 33), (16, 16)]
NUMBERS = [0.0, -0.0, 0.5, 1.0, -1.0, 1e-3, 1e-8, 1e-45, 5e-324, 1e-310, 1e30, 3e38, 1e300, 1.7e308, 0.999999999, 2.0]
ODD = [
    float("nan"),
    float("inf"),
    -float("inf"),
    2**31,
    2**63,
    -(2**63),
    10**400,
    True,
    None,
    "x",
    "",
    b"",
    (),
    [],
    {},
    1j,
]
NUMPY = [
    np.float32(0.25),
    np.float64("nan"),
    np.int8(3),
    np.uint64(2**64 - 1),
    np.array(0.5),
    np.array([0.5, 0.5]),
    np.float16(1),
]


def numbers() -> Any:
    return st.sampled_from(NUMBERS)


def anything() -> Any:
    return st.sampled_from(NUMBERS + ODD + NUMPY)


def shapes(most: int = 4) -> Any:
    return st.lists(st.sampled_from(SHAPES), min_size=1, max_size=most)


def values(draw: Any, shape: tuple[int, ...], dtype: Any, odd: bool = True) -> Array:
    """Numbers of one kind, with one of another among them, perhaps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([1.0, 1.0, 1e-3, 1e-30, 1e18, 1e37] if odd else [1.0]))
    with np.errstate(over="ignore", under="ignore"):
        found = np.asarray(rng.normal(size=shape) * scale, dtype)
    if odd and found.size and draw(st.integers(0, 7)) == 0:
        with np.errstate(over="ignore"):
            found.reshape(-1)[rng.integers(found.size)] = draw(
                st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3e38, 1e300])
            )
    return found


class Lender:
    """Lends an array by DLPack, and may do something first."""

    def __init__(self, array: Array, act: Any = None) -> None:
        self.array, self.act = array, act

    def __dlpack__(self, **how: Any) -> Any:
        if self.act is not None:
            self.act()
        return self.array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class Kind(np.ndarray):  # type: ignore[type-arg]
    """A subclass that says that it is twice as large."""

    @property
    def shape(self) -> Any:
        return tuple(2 * n for n in np.asarray(self).shape)

    @property
    def size(self) -> int:
        return 2 * np.asarray(self).size


def gradient(draw: Any, param: Array, junk: bool) -> Any:
    """A gradient of this parameter in any form; with junk perhaps none."""
    g = values(draw, param.shape, param.dtype)
    form = draw(
        st.sampled_from(
            ["plain"] * 6 + ["guarded", "strided", "swapped", "locked", "lender", "rows", "rows"] + ["junk"] * junk
        )
    )
    if form == "guarded":
        return guarded(g, g.dtype, draw(st.integers(0, 3)))
    if form == "strided":
        return np.repeat(g[..., None], 2, -1)[..., 0] if g.ndim else g
    if form == "swapped":
        return g.astype(g.dtype.newbyteorder())
    if form == "locked":
        g.setflags(write=False)
        return g
    if form == "lender":
        return Lender(g)
    if form == "rows" and g.ndim and len(g):
        index = draw(st.lists(st.integers(0, len(g) - 1), max_size=4))
        if junk and draw(st.integers(0, 5)) == 0:
            index.append(draw(st.sampled_from([-1, len(g), 2**40, 2**62])))
        return schuss.Rows(np.array(index, np.int64), np.resize(g[:1], (len(index), *g.shape[1:])))
    if form == "junk":
        other = "f8" if param.dtype == np.float32 else "f4"
        return draw(
            st.sampled_from(
                [
                    None,
                    3.0,
                    "x",
                    [1.0],
                    b"12345678",
                    np.ones(g.shape, other),
                    g[None],
                    np.ones(g.shape, np.int32),
                    np.ones(g.shape, complex),
                    g.view(Kind),
                    np.ma.masked_array(g),
                    g.tolist(),
                    object(),
                ]
            )
        )
    return g


def copied(g: Any) -> Any:
    """The same gradient once more, for another optimizer."""
    if isinstance(g, Lender):
        return g.array.copy()
    if isinstance(g, np.ndarray) and type(g) is np.ndarray:
        return g.copy()
    return g
