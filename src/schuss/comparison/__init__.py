"""Optimizers side by side on a user's own data: each at its best rate, from the same start, with the same batches."""

from __future__ import annotations

from .comparing import compare
from .data import Contender, Other, Run, Tried
from .results import Comparison, load

__all__ = ["Comparison", "Contender", "Other", "Run", "Tried", "compare", "load"]
