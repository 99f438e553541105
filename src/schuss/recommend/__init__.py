"""Recommenders: users and items as rows of tables, learnt from what was seen or rated.

Loaded when it is first asked for, as ``import schuss.recommend``.
"""

from .files import load
from .pairwise import PairwiseRanker

__all__ = ["PairwiseRanker", "load"]
