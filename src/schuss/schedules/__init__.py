"""Learning rates as functions of the step's number, from 0.

Each is a small immutable object: it can be compared, hashed, pickled, multiplied, put in sequence and drawn, and goes
wherever an ``lr`` goes: into every optimizer, into groups and into `Network.fit`. Only `ReduceOnPlateau` has state.
"""

from typing import TYPE_CHECKING

from ..habits import teller
from .base import Constant, Lambda, Multiplicative, Schedule
from .composed import PerEpoch, Product, Sequence, WarmUp
from .cycles import Cosine, CosineRestarts, CosLog, Cyclic, FlatCos, OneCycle
from .decays import Exponential, InverseSqrt, InverseTime, Linear, Polynomial
from .piecewise import MultiStep, PiecewiseConstant, PiecewiseLinear, Step
from .plateau import PlateauState, ReduceOnPlateau

__all__ = [
    "Constant",
    "CosLog",
    "Cosine",
    "CosineRestarts",
    "Cyclic",
    "Exponential",
    "FlatCos",
    "InverseSqrt",
    "InverseTime",
    "Lambda",
    "Linear",
    "MultiStep",
    "Multiplicative",
    "OneCycle",
    "PerEpoch",
    "PiecewiseConstant",
    "PiecewiseLinear",
    "PlateauState",
    "Polynomial",
    "Product",
    "ReduceOnPlateau",
    "Schedule",
    "Sequence",
    "Step",
    "WarmUp",
]


if not TYPE_CHECKING:
    __getattr__ = teller(__name__)
