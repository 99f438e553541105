"""Estimators that take tables as they are: numbers, text, categories, truth values, dates, and gaps in all of them."""

from .classifier import TabularClassifier
from .regressor import TabularRegressor

__all__ = ["TabularClassifier", "TabularRegressor"]
