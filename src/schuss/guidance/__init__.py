"""Guidance: which learning rate."""

from .find_lr import find_lr
from .result import RateSweep

__all__ = ["RateSweep", "find_lr"]
