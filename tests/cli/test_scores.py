"""Scores of the command line beside scikit-learn's, and what a constant reaches."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("sklearn")

from sklearn import metrics

from schuss.cli.scores import (
    Predicted,
    baseline_of_classes,
    baseline_of_numbers,
    confusion,
    of_classes,
    of_numbers,
)
from schuss.losses import MSE, Gamma, Gaussian, Poisson, Quantile, Tweedie


def drawn_classes(k: int, ties: bool = False) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(k)
    logits = rng.normal(size=(300, k))
    if ties:
        logits = np.round(logits)
    e = np.exp(logits)
    return e / e.sum(axis=1, keepdims=True), rng.integers(0, k, 300)


@pytest.mark.parametrize("k", [2, 3, 7])
@pytest.mark.parametrize("ties", [False, True])
def test_classes(k: int, ties: bool) -> None:
    p, y = drawn_classes(k, ties)
    found = of_classes(Predicted(y, p))
    labels = list(range(k))
    assert found["log loss"] == pytest.approx(metrics.log_loss(y, p, labels=labels), rel=1e-12)
    assert found["accuracy"] == metrics.accuracy_score(y, p.argmax(axis=1))
    assert found["balanced accuracy"] == pytest.approx(metrics.balanced_accuracy_score(y, p.argmax(axis=1)))
    area = metrics.roc_auc_score(y, p[:, 1]) if k == 2 else metrics.roc_auc_score(y, p, multi_class="ovr")
    assert found["AUC" if k == 2 else "AUC, one against the rest"] == pytest.approx(area, rel=1e-12)
    np.testing.assert_array_equal(confusion(p, y), metrics.confusion_matrix(y, p.argmax(axis=1), labels=labels))


def test_classes_that_are_not_there() -> None:
    p, y = drawn_classes(4)
    some = y < 2
    found = of_classes(Predicted(y[some], p[some]))
    assert found["balanced accuracy"] == pytest.approx(
        np.mean([(p[y == k].argmax(axis=1) == k).mean() for k in range(2)])
    )
    one = of_classes(Predicted(np.zeros(5, np.int64), p[:5, :2]))
    assert np.isnan(one["AUC"])
    sure = of_classes(Predicted(np.array([0, 1]), np.array([[0.0, 1.0], [0.0, 1.0]])))
    assert np.isfinite(sure["log loss"])
    assert "AUC, one against the rest" not in of_classes(Predicted(*reversed(drawn_classes(21))))


def test_quantities() -> None:
    rng = np.random.default_rng(0)
    y = rng.gamma(2.0, 3.0, 200)
    p = y * np.exp(rng.normal(0, 0.3, 200))
    found = of_numbers(Predicted(y, p), MSE())
    assert list(found) == ["R2", "RMSE", "MAE"]
    assert found["R2"] == pytest.approx(metrics.r2_score(y, p))
    assert found["RMSE"] == pytest.approx(metrics.root_mean_squared_error(y, p))
    assert found["MAE"] == pytest.approx(metrics.mean_absolute_error(y, p))
    for loss, power in ((Poisson(), 1), (Gamma(), 2), (Tweedie(1.5), 1.5), (Tweedie(2.5), 2.5)):
        *_, deviance = of_numbers(Predicted(y, p), loss).values()
        assert deviance == pytest.approx(metrics.mean_tweedie_deviance(y, p, power=power), rel=1e-9)
    counts = rng.poisson(2.0, 200).astype(float)
    *_, deviance = of_numbers(Predicted(counts, p), Poisson()).values()
    assert deviance == pytest.approx(metrics.mean_poisson_deviance(counts, p), rel=1e-9)
    nll = of_numbers(Predicted(y, p, np.full(200, 2.0)), Gaussian())["negative log-likelihood"]
    assert nll == pytest.approx(np.mean((y - p) ** 2 / 8) + np.log(2) + np.log(2 * np.pi) / 2)


def test_quantiles() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.normal(size=100), rng.normal(size=(100, 2))
    found = of_numbers(Predicted(y, p), Quantile((0.1, 0.9)))
    for k, q in enumerate((0.1, 0.9)):
        assert found[f"pinball loss of {q}"] == pytest.approx(metrics.mean_pinball_loss(y, p[:, k], alpha=q))
        assert found[f"share of rows below {q}"] == np.mean(y <= p[:, k])
    one = of_numbers(Predicted(y, p[:, 0]), Quantile(0.1))
    assert one["pinball loss of 0.1"] == found["pinball loss of 0.1"]


def test_baselines() -> None:
    training, y = np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1])
    found = baseline_of_classes(training, 2, y)
    assert found["accuracy"] == 0.25 and found["balanced accuracy"] == 0.5 and found["AUC"] == 0.5
    assert found["log loss"] == pytest.approx(-(np.log(0.75) + 3 * np.log(0.25)) / 4)
    numbers, right = np.array([1.0, 2.0, 9.0]), np.array([2.0, 3.0, 4.0])
    of_mean = baseline_of_numbers(numbers, right)
    assert of_mean["RMSE"] == pytest.approx(np.sqrt(((right - 4) ** 2).mean()))
    assert of_mean["MAE"] == pytest.approx(np.abs(right - 2).mean())
    pair = baseline_of_numbers(numbers, right, Quantile((0.25, 0.5)))
    assert pair["pinball loss of 0.5"] == pytest.approx(metrics.mean_pinball_loss(right, np.full(3, 2.0), alpha=0.5))
