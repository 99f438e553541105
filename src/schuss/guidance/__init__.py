"""Guidance: which learning rate."""

from .finding import find_lr
from .result import RateSweep

__all__ = ["RateSweep", "find_lr"]
