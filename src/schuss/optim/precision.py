"""In how many bits an optimizer keeps what it has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..arguments import choice, integer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STATES = ("float32", "bfloat16", "8bit")
MASTERS = ("float32", "split")
ROUNDINGS = ("nearest", "stochastic")


class Precision(NamedTuple):
    """How an optimizer keeps its states, and parameters of 16 bits; see `Optimizer.set_precision`."""

    states: str = "float32"
    master: str | None = None
    rounding: str = "nearest"
    seed: int = 0
    directory: str | None = None

    @property
    def kept(self) -> dict[str, Any]:
        """All of it but where it lies, which is of the machine."""
        return {name: value for name, value in self._asdict().items() if name != "directory"}


PLAIN = Precision()


def checked(precision: Precision, params: Sequence[NDArray[Any]]) -> Precision:
    """The precision, if it suits these parameters. ValueError, TypeError else."""
    states, master, rounding, seed, directory = precision
    choice("states", states, STATES)
    if master is not None:
        choice("master", master, MASTERS)
    choice("rounding", rounding, ROUNDINGS)
    seed = integer("seed", seed, 0, 2**64 - 1)
    if directory is not None and not os.path.isdir(directory):
        raise ValueError(f"directory must be None or a folder that is there; got {directory!r}")
    dtypes = {str(p.dtype) for p in params}
    if "float64" in dtypes and precision.kept != PLAIN.kept:
        raise ValueError(
            "states, master, rounding and seed must be left out, as parameters are in float64; got "
            + ", ".join(f"{name}={given!r}" for name, given in precision.kept.items() if given != PLAIN.kept[name])
        )
    halves = dtypes - {"float32"}
    if master is not None and not halves:
        raise ValueError(f"master must be None, as parameters are in float32 themselves; got {master!r}")
    if master == "split" and "float16" in halves:
        raise ValueError(f"master must be None or 'float32' for parameters in float16; got {master!r}")
    rounds = states == "bfloat16" or (master is None and bool(halves - {"float16"}))
    if rounding == "stochastic" and not rounds:
        raise ValueError(
            "rounding must be 'nearest', as neither states nor parameters are rounded to bfloat16; got 'stochastic'"
        )
    return Precision(states, master, rounding, seed, directory)


def computing_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype that steps of parameters of this one are computed in, of which averages of them are."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)
