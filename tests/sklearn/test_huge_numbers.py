"""The estimators on values whose squares or sums are too large for any dtype: no warning of NumPy's."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.exceptions import ConvergenceWarning

import schuss
from schuss.sklearn import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 1.0, (20, 3))
Y = RNG.uniform(0.5, 1.0, 20)


def fitted(estimator: Any, X: Any, y: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return estimator.fit(X, y)


@pytest.mark.parametrize("loss", ["squared_error", "gaussian", "quantile", "two quantiles"])
@pytest.mark.parametrize("size", [1e30, 1e160, 1e307])
def test_regressor(size: float, loss: str) -> None:
    chosen = schuss.Quantile((0.1, 0.9)) if loss == "two quantiles" else loss
    reg = fitted(MLPRegressor(max_iter=2, random_state=0, loss=chosen), X, Y)
    assert not reg.score(X * size, Y) > 0
    assert not reg.score(X, Y * size) > 0
    if loss == "gaussian":
        assert len(reg.predict(X * size, return_std=True)) == 2


@pytest.mark.parametrize("size", [1e30, 1e160, 1e307])
@pytest.mark.parametrize("multi_output", [False, True])
def test_classifier(size: float, multi_output: bool) -> None:
    y = np.arange(20) % 3
    labels = np.stack([y, y > 0], axis=1) if multi_output else y
    clf = fitted(MLPClassifier(max_iter=2, random_state=0, multi_output=multi_output), X, labels)
    assert 0 <= clf.score(X * size, labels) <= 1
    first = clf.predict_log_proba(X * size)[0]
    assert (np.asarray(first) <= 0).all()


def test_early_stopping_where_training_diverges() -> None:
    reg = MLPRegressor(max_iter=20, random_state=0, solver="sgd", learning_rate_init=1e9, early_stopping=True)
    with pytest.warns(ConvergenceWarning) as told:
        reg.fit(X, Y)
    assert {warning.category for warning in told} == {ConvergenceWarning}
