"""scikit-learn's multi-layer perceptrons, compiled: the same arguments, the same results, and what was asked for.

Needs scikit-learn. ``docs/sklearn.md`` lists what these estimators have in addition.
"""

try:
    import sklearn  # noqa: F401
except ImportError:
    raise ImportError("schuss.sklearn needs scikit-learn: pip install 'schuss[sklearn]'") from None

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
