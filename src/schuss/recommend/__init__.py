"""Recommenders: users and items as rows of tables, learnt from what was seen or rated.

Loaded when it is first asked for, as ``import schuss.recommend``.
"""

from .factorization import MatrixFactorization
from .metrics import auc_score, ndcg_at_k, precision_at_k, recall_at_k
from .pairwise import PairwiseRanker
from .ranking import recommend

__all__ = [
    "MatrixFactorization",
    "PairwiseRanker",
    "auc_score",
    "ndcg_at_k",
    "precision_at_k",
    "recall_at_k",
    "recommend",
]
