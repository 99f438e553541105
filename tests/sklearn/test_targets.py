"""Targets that an estimator cannot learn are refused in words, and those of several kinds stay what they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import schuss
from schuss.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).normal(size=(60, 3))
COUNTS = np.arange(60.0) % 7 + 1
BOTH = [[k % 3, "up" if k % 2 else "down"] for k in range(60)]


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie", schuss.Poisson(), schuss.Gamma(), schuss.Tweedie(1.7)])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_negative_targets_are_refused_where_a_loss_has_no_value(loss: Any, solver: str) -> None:
    y = COUNTS.copy()
    y[17] = -1
    reg = MLPRegressor(loss, solver=solver, max_iter=2)
    with pytest.raises(ValueError, match=r"^y must be >= 0 for .*y\[17\] is -1\.0"):
        reg.fit(X, y)
    assert not hasattr(reg, "coefs_")
    with pytest.raises(ValueError, match=r"y\[17, 1\] is -1"):
        reg.fit(X, np.stack([COUNTS, y], axis=1).astype(int))
    with pytest.raises(ValueError, match=r"y\[17\] is -1"):
        MLPRegressor(loss).partial_fit(X, y)


def test_zero_is_no_amount_of_gamma() -> None:
    y = COUNTS.copy()
    y[3] = 0
    with pytest.raises(ValueError, match=r"y must be > 0 for gamma; y\[3\] is 0\.0"):
        MLPRegressor("gamma").fit(X, y)
    with pytest.raises(ValueError, match=r"y must be > 0 for tweedie; y\[3\] is 0\.0"):
        MLPRegressor(schuss.Tweedie(2.5)).fit(X, y)
    MLPRegressor("poisson", solver="lbfgs", max_iter=200).fit(X, y)


def test_negative_targets_of_validation_and_of_a_further_fit() -> None:
    with pytest.raises(ValueError, match=r"y_val must be >= 0 for poisson; y_val\[0\] is -1\.0"):
        MLPRegressor("poisson").fit(X, COUNTS, X_val=X, y_val=-COUNTS)
    reg = MLPRegressor("poisson", random_state=0).partial_fit(X, COUNTS)
    before = reg.predict(X)
    with pytest.raises(ValueError, match=r"y\[0\] is -1\.0"):
        reg.partial_fit(X, -COUNTS)
    assert np.array_equal(reg.predict(X), before)


@pytest.mark.parametrize("random_order", ["sklearn", "schuss"])
@pytest.mark.parametrize("estimator", [MLPRegressor, MLPClassifier])
def test_splits_all_of_whose_rows_have_weight_0(estimator: Any, random_order: str) -> None:
    weights = (np.arange(60) < 1).astype(float)
    model = estimator(early_stopping=True, random_state=1, max_iter=2, random_order=random_order)
    with pytest.raises(ValueError, match="Sample weights must contain at least one non-zero number"):
        model.fit(X, (COUNTS > 3).astype(int), weights)


@pytest.mark.parametrize("as_frame", [False, True])
def test_numbers_and_text_as_targets_together(as_frame: bool) -> None:
    y: Any = BOTH
    if as_frame:
        y = pytest.importorskip("pandas").DataFrame(BOTH, columns=["n", "way"])
    clf = MLPClassifier(multi_output=True, random_state=0, max_iter=3).fit(X, y, X_val=X, y_val=y)
    assert [of_column.tolist() for of_column in clf.classes_] == [[0, 1, 2], ["down", "up"]]
    found = clf.predict(X)
    assert {type(label) for label in found[:, 0]} <= {int, np.int64} and {type(label) for label in found[:, 1]} == {str}
    assert clf.score(X, y) == np.mean([list(row) == label for row, label in zip(found.tolist(), BOTH, strict=True)])
    part = MLPClassifier(multi_output=True, random_state=0).partial_fit(X, y, classes=clf.classes_)
    assert part.predict(X).shape == (60, 2)
    stopped = MLPClassifier(multi_output=True, early_stopping=True, random_state=0, max_iter=3).fit(X, y)
    assert len(stopped.validation_scores_) == 3


def test_a_column_of_both_kinds_is_no_target() -> None:
    y = [["a", 1], *BOTH[1:]]
    with pytest.raises(ValueError, match=r"y\[:, 0\] must hold labels of one kind; y\[1, 0\] is 1 beside others"):
        MLPClassifier(multi_output=True).fit(X, y)
    truths = np.array([[bool(k % 2), "up"] for k in range(60)], dtype=object)
    found = MLPClassifier(multi_output=True, max_iter=2, random_state=0).fit(X, truths).predict(X)
    assert {type(label) for label in found[:, 0]} == {bool}
