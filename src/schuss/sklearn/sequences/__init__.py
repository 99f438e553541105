"""Estimators of sequences: arrays (rows, times, features), or lists of arrays of different lengths."""

from .classifier import SequenceClassifier
from .regressor import SequenceRegressor

__all__ = ["SequenceClassifier", "SequenceRegressor"]
