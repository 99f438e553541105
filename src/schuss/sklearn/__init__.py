"""scikit-learn's multi-layer perceptrons, compiled: the same arguments, the same results, and what was asked for.

Needs scikit-learn. ``docs/sklearn.md`` lists what these estimators have in addition.
"""

from .classifier import MLPClassifier
from .regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
