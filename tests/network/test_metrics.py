"""Metrics by name, against scikit-learn's; and early stopping by them: ties, and what NaN does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import schuss
from schuss import metrics

sk = pytest.importorskip("sklearn.metrics")
BINARY, MANY, MSE = schuss.BinaryCrossEntropy(), schuss.CrossEntropy(), schuss.MSE()


def measured(name: str, loss: Any, prediction: Any, target: Any, weights: Any = None, activation: str = "") -> float:
    n_out = prediction.shape[1]
    return metrics.resolve(name, loss, n_out, activation)[name](prediction, target, weights)


def weights_or_none(rng: np.random.Generator, n: int, weighted: bool) -> Any:
    return rng.uniform(0, 2, n) * (rng.random(n) < 0.8) + 1e-3 if weighted else None


@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(4, 60),
    k=st.integers(2, 5),
    weighted=st.booleans(),
    ties=st.booleans(),
)
@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_classes(dtype: Any, seed: int, n: int, k: int, weighted: bool, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k) % k, rng.integers(0, k, n)])
    logits = (rng.integers(-3, 3, (len(labels), k)) if ties else 4 * rng.normal(size=(len(labels), k))).astype(dtype)
    exact = np.exp(logits.astype(np.float64))
    p = exact / exact.sum(axis=1, keepdims=True)
    w = weights_or_none(rng, len(labels), weighted)
    guesses = logits.argmax(axis=1)
    expected = {
        "accuracy": sk.accuracy_score(labels, guesses, sample_weight=w),
        "error": sk.zero_one_loss(labels, guesses, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, guesses, sample_weight=w),
        "log_loss": sk.log_loss(labels, p, sample_weight=w),
    }
    if k == 2:
        expected["auc"] = sk.roc_auc_score(labels, logits[:, 1] - logits[:, 0].astype(np.float64), sample_weight=w)
    hot = np.eye(k, dtype=dtype)[labels]
    for name, value in expected.items():
        for target in (labels, hot):
            assert measured(name, MANY, logits, target, w) == pytest.approx(value, rel=1e-12, abs=1e-14)
    given = p.astype(dtype)
    found = measured("log_loss", MANY, given, labels, w, "softmax")
    expected_loss = sk.log_loss(labels, given, sample_weight=w)
    assert found == pytest.approx(expected_loss, rel=1e-12 if dtype is np.float64 else 1e-5)
    if k == 2:
        found = measured("auc", MANY, given, labels, w, "softmax")
        assert found == pytest.approx(sk.roc_auc_score(labels, given[:, 1], sample_weight=w), rel=1e-12)


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(4, 60), weighted=st.booleans(), ties=st.booleans())
@settings(deadline=None, max_examples=60)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_classes(dtype: Any, seed: int, n: int, weighted: bool, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    y = np.concatenate([[0, 1], rng.integers(0, 2, n)])
    z = (rng.integers(-3, 3, len(y)) if ties else 4 * rng.normal(size=len(y))).astype(dtype)
    p = 1 / (1 + np.exp(-z.astype(np.float64)))
    w = weights_or_none(rng, len(y), weighted)
    target = y[:, None].astype(dtype)
    for prediction, activation, guesses in ((z, "", z > 0), (p.astype(dtype), "sigmoid", p.astype(dtype) > 0.5)):
        expected = {
            "accuracy": sk.accuracy_score(y, guesses, sample_weight=w),
            "error": sk.zero_one_loss(y, guesses, sample_weight=w),
            "balanced_accuracy": sk.balanced_accuracy_score(y, guesses, sample_weight=w),
            "auc": sk.roc_auc_score(y, prediction, sample_weight=w),
            "log_loss": sk.log_loss(y, prediction if activation else p, sample_weight=w),
        }
        for name, value in expected.items():
            found = measured(name, BINARY, prediction[:, None], target, w, activation)
            tolerance = 1e-6 if name == "log_loss" and activation and dtype is np.float32 else 1e-12
            assert found == pytest.approx(value, rel=tolerance, abs=1e-14), name


def test_several_outputs_of_two_classes() -> None:
    rng = np.random.default_rng(0)
    y, z = rng.integers(0, 2, (50, 3)), rng.normal(size=(50, 3))
    target = y.astype(float)
    assert measured("auc", BINARY, z, target) == pytest.approx(sk.roc_auc_score(y, z), rel=1e-12)
    expected = [sk.balanced_accuracy_score(y[:, k], z[:, k] > 0) for k in range(3)]
    assert measured("balanced_accuracy", BINARY, z, target) == pytest.approx(np.mean(expected), rel=1e-12)
    expected = [sk.log_loss(y[:, k], 1 / (1 + np.exp(-z[:, k]))) for k in range(3)]
    assert measured("log_loss", BINARY, z, target) == pytest.approx(np.mean(expected), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_out", [1, 3])
def test_numbers(weighted: bool, n_out: int) -> None:
    rng = np.random.default_rng(1)
    y, p = rng.normal(size=(2, 40, n_out))
    w = weights_or_none(rng, 40, weighted)
    assert measured("rmse", MSE, p, y, w) == pytest.approx(sk.root_mean_squared_error(y, p, sample_weight=w), rel=1e-12)
    assert measured("mse", MSE, p, y, w) == pytest.approx(sk.mean_squared_error(y, p, sample_weight=w), rel=1e-12)
    assert measured("mae", MSE, p, y, w) == pytest.approx(sk.mean_absolute_error(y, p, sample_weight=w), rel=1e-12)
    assert measured("r2", MSE, p, y, w) == pytest.approx(sk.r2_score(y, p, sample_weight=w), rel=1e-12)


def test_ends() -> None:
    z = np.array([[0.0], [1.0], [2.0]])
    ones = np.ones((3, 1))
    assert np.isnan(measured("auc", BINARY, z, ones))  # one class only
    assert np.isnan(measured("auc", BINARY, np.array([[0.0], [np.nan], [1.0]]), np.array([[0.0], [1.0], [1.0]])))
    assert measured("auc", BINARY, z, np.array([[0.0], [1.0], [1.0]]), np.array([1.0, 0.0, 1.0])) == 1.0
    assert measured("balanced_accuracy", BINARY, z, ones) == pytest.approx(2 / 3)
    assert np.isnan(measured("log_loss", MANY, np.full((2, 2), np.nan), np.array([0, 1])))
    # A probability of 0 costs as much as one of eps, as with scikit-learn; a logit is taken as it is.
    sure = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert measured("log_loss", MANY, sure, np.array([0, 1]), None, "softmax") == pytest.approx(
        sk.log_loss([0, 1], sure), rel=1e-12
    )
    assert measured("log_loss", MANY, 1e3 * sure, np.array([0, 1])) == 1000.0


def test_errors() -> None:
    for name in ("error", "balanced_accuracy", "log_loss", "auc"):
        with pytest.raises(
            ValueError, match=f"metric '{name}' is for cross_entropy and binary_cross_entropy; got loss mse"
        ):
            metrics.resolve(name, MSE, 1, "")
    with pytest.raises(ValueError, match="metric 'auc' is for two classes; got a network with 3 outputs"):
        metrics.resolve("auc", MANY, 3, "")
    with pytest.raises(ValueError, match="metric 'rmse' is for numbers as targets"):
        metrics.resolve("rmse", MANY, 3, "")
    with pytest.raises(ValueError, match=r"metric 'acc' is not known; here: 'accuracy'; known: "):
        metrics.resolve("acc", MANY, 3, "")


# ---- early stopping --------------------------------------------------------------------------------------------------


def fitted(values: list[float], **options: Any) -> tuple[schuss.Network, list[list[np.ndarray]], schuss.History]:
    """A fit whose monitored metric has these values, and the parameters before it and after each epoch."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 1))
    net = schuss.Network([schuss.Dense(3, 4, "tanh"), schuss.BatchNorm(4), schuss.Dense(4, 1)], seed=0)
    kept = [[p.copy() for p in (*net.parameters, *net._core.states)]]
    left = iter(values)

    def own(prediction: np.ndarray, target: np.ndarray) -> float:
        return next(left)

    def keep(record: schuss.EpochRecord) -> None:
        kept.append([p.copy() for p in (*record.network.parameters, *record.network._core.states)])

    stopping = schuss.EarlyStopping(**{"patience": 100, "monitor": "own", "mode": "min", **options})
    history = net.fit(
        X, y, loss="mse", epochs=len(values), metrics=own, early_stopping=stopping, callbacks=[keep], lr=0.01
    )
    return net, kept, history


NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "options", "best"),
    [
        ([3, 2, 2, 2, 4], {}, 2),
        ([3, 2, 2, 2, 4], {"ties": "last"}, 4),
        ([3, 2, NAN, 2, NAN], {"ties": "last"}, 4),
        ([1, 2, 2, 0], {"ties": "last", "mode": "max"}, 3),
        ([1, 2, 2, 0], {"ties": "first", "mode": "max"}, 2),
        ([NAN, NAN, 5], {}, 3),
        ([NAN, NAN, NAN], {}, 0),
        ([NAN, NAN, NAN], {"ties": "last"}, 0),
        ([float("inf")] * 3, {"ties": "last"}, 0),
        ([5, 4.9, 4.8, 5.0, 5.1], {"min_delta": 0.5}, 1),
        ([5, 4.9, 4.8, 5.0, 5.1], {"min_delta": 0.5, "ties": "last"}, 4),
    ],
)
def test_which_epoch_is_restored(values: list[float], options: dict[str, Any], best: int) -> None:
    net, kept, history = fitted(values, **options)
    for mine, theirs in zip((*net.parameters, *net._core.states), kept[best], strict=True):
        np.testing.assert_array_equal(mine, theirs)
    if best and not options.get("min_delta"):
        assert history.best_epoch == best


def test_patience_counts_from_the_first_of_equal_ones() -> None:
    for ties in ("first", "last"):
        _, _, history = fitted([3, 2, 2, 2, 2, 2], patience=3, ties=ties)
        assert len(history) == 5
        assert history.stopped == "early_stopping"
        assert history.best_epoch == (5 if ties == "last" else 2)
    _, _, history = fitted([NAN] * 6, patience=3)
    assert len(history) == 3


def test_without_restoring_nothing_is_restored() -> None:
    net, kept, _ = fitted([NAN, NAN], restore_best=False)
    np.testing.assert_array_equal(net.parameters[0], kept[-1][0])


def test_ties_in_files(tmp_path: Path) -> None:
    for ties, best in (("first", 2), ("last", 4)):
        net, _, _ = fitted([3, 2, 2, 2, 4], ties=ties)
        net.save(tmp_path / "net.npz")
        assert schuss.load(tmp_path / "net.npz").history.best_epoch == best


def test_bad_ties() -> None:
    with pytest.raises(ValueError, match="ties 'lst' is not known; did you mean 'last'"):
        schuss.EarlyStopping(ties="lst")
    with pytest.raises(TypeError, match="ties must be a name"):
        schuss.EarlyStopping(ties=None)  # type: ignore[arg-type]


def test_the_restored_epoch_by_a_metric_known_by_name() -> None:
    rng = np.random.default_rng(2)
    X = rng.normal(size=(80, 3))
    y = (X[:, 0] > 0).astype(int)
    net = schuss.Network([schuss.Dense(3, 8, "relu"), schuss.Dense(8, 2)], seed=0)
    stopping = schuss.EarlyStopping(50, monitor="val_error", ties="last")
    history = net.fit(
        X,
        y,
        loss="cross_entropy",
        epochs=20,
        validation_data=(X[:40], y[:40]),
        early_stopping=stopping,
        metrics=["error", "log_loss", "auc", "balanced_accuracy"],
        lr=0.02,
    )
    errors = history["val_error"]
    assert history.best_epoch == int(np.flatnonzero(errors == errors.min())[-1]) + 1
    assert net.evaluate(X[:40], y[:40], "cross_entropy", metrics="error")["error"] == errors.min()
    np.testing.assert_allclose(history["log_loss"], history["log_loss"])
