"""scikit-learn's checks of arrays, which here always give NumPy's."""

from __future__ import annotations

from typing import Any

from sklearn import config_context, get_config
from sklearn.utils.validation import validate_data


def validated(estimator: Any, *arrays: Any, **checks: Any) -> Any:
    """`validate_data`. Where other libraries' arrays would stay what they are, they become NumPy's: the core's kind."""
    if get_config().get("array_api_dispatch"):
        with config_context(array_api_dispatch=False):
            return validate_data(estimator, *arrays, **checks)
    return validate_data(estimator, *arrays, **checks)
