"""What users give to `fit`: frames and lists, weights, validation rows of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...tables.fitting import Rows
from ..validation import given_together

if TYPE_CHECKING:
    pass


def is_frame(X: Any) -> bool:
    """Whether it is a DataFrame of pandas or polars."""
    return hasattr(X, "columns") and (hasattr(X, "iloc") or hasattr(X, "get_columns"))


def of_lists(rows: Any) -> Any:
    """Rows as lists: text beside numbers is no reason to make text of the numbers."""
    kinds = {isinstance(value, str) or value is None for row in rows if isinstance(row, (list, tuple)) for value in row}
    return np.array(rows, dtype=object) if True in kinds and len(kinds) > 1 else rows


def of_weight(rows: Rows) -> Rows:
    """Without the rows of weight 0, which count nothing; and without weights that are all 1."""
    if rows.weights is None:
        return rows
    chosen = rows.weights > 0
    if not chosen.any():
        raise ValueError("Sample weights must contain at least one non-zero number.")
    weights = rows.weights[chosen]
    kept = None if (weights == 1).all() else weights
    if chosen.all():
        return Rows(rows.table, rows.y, kept)
    return Rows(rows.table.take(np.flatnonzero(chosen)), rows.y[chosen], kept)


def own_validation(X_val: Any, y_val: Any, sample_weight_val: Any, eval_set: Any) -> tuple[Any, Any, Any]:
    """X, y and weights of the user's own validation rows, in whichever way they came."""
    if eval_set is not None:
        if X_val is not None or y_val is not None or sample_weight_val is not None:
            raise ValueError("eval_set must be None where X_val and y_val are given")
        if isinstance(eval_set, list) and len(eval_set) == 1:
            eval_set = eval_set[0]
        if not isinstance(eval_set, (tuple, list)) or len(eval_set) not in (2, 3):
            raise ValueError("eval_set must be (X, y), (X, y, sample_weight) or a list of one of these")
        return eval_set[0], eval_set[1], eval_set[2] if len(eval_set) == 3 else None
    given_together(X_val, y_val, sample_weight_val)
    return X_val, y_val, sample_weight_val
