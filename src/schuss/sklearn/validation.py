"""scikit-learn's checks of arrays, which here always give NumPy's, and of validation rows of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn import config_context, get_config
from sklearn.utils.validation import _check_sample_weight, validate_data

if TYPE_CHECKING:
    from numpy.typing import NDArray


def validated(estimator: Any, *arrays: Any, **checks: Any) -> Any:
    """`validate_data`. Where other libraries' arrays would stay what they are, they become NumPy's: the core's kind."""
    if get_config().get("array_api_dispatch"):
        with config_context(array_api_dispatch=False):
            return validate_data(estimator, *arrays, **checks)
    return validate_data(estimator, *arrays, **checks)


def given_together(X_val: Any, y_val: Any, sample_weight_val: Any) -> bool:
    """Whether there are validation rows of the user's own. ValueError if a part of them is missing."""
    if X_val is None and y_val is None:
        if sample_weight_val is not None:
            raise ValueError("sample_weight_val needs X_val and y_val; got neither")
        return False
    if X_val is None or y_val is None:
        raise ValueError("X_val and y_val must be given together; got only one of them")
    return True


def weights_of_rows(sample_weight: Any, rows: int) -> NDArray[Any] | None:
    """The weights of so many rows, checked."""
    if sample_weight is None:
        return None
    one_each = np.empty((rows, 1))
    found: NDArray[Any] = _check_sample_weight(sample_weight, one_each, dtype=np.float64, ensure_non_negative=True)
    return found
