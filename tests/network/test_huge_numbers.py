"""Values whose squares or sums are too large for any dtype: results are infinite or NaN, without a warning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import schuss
from schuss.cli.version1_columns import NumberColumn, Target

RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 1.0, (20, 3))
Y = RNG.uniform(0.5, 1.0, (20, 1))


@pytest.mark.parametrize("weight", [None, 1e-320, 1e300])
@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "poisson"])
@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 1e30), ("float32", 3e38), ("float64", 1e160), ("float64", 1e308)]
)
def test_evaluate(dtype: str, size: float, loss: str, weight: float | None) -> None:
    net = schuss.Network([schuss.Dense(3, 4, "relu"), schuss.Dense(4, 1)], seed=0, dtype=dtype)
    weights = None if weight is None else np.full(20, weight)
    found = net.evaluate(
        (X * size).astype(dtype), (Y * size).astype(dtype), loss, ["mse", "mae", "r2"], sample_weight=weights
    )
    assert list(found) == ["loss", "mse", "mae", "r2"]
    assert found["mse"] > size
    assert found["mae"] > size / 10


def test_metrics_of_float32_are_those_of_double() -> None:
    net = schuss.Network([schuss.Dense(3, 1)], seed=0)
    x, y = (X * 1e30).astype(np.float32), (Y * 1e30).astype(np.float32)
    found = net.evaluate(x, y, "mae", ["mse", "r2"])
    difference = net.predict(x).astype(np.float64) - y
    assert found["mse"] == pytest.approx(float((difference**2).mean()), rel=1e-14)
    assert np.isfinite(found["r2"])


def test_what_is_no_number_is_infinite_or_nan() -> None:
    net = schuss.Network([schuss.Dense(3, 1)], seed=0, dtype="float64")
    found = net.evaluate(X * 1e160, Y, "mse", ["mse", "mae", "r2"])
    assert found["mse"] == np.inf
    assert np.isfinite(found["mae"])
    assert found["r2"] == -np.inf
    assert np.isnan(net.evaluate(X, Y * 1e160, "mae", "r2")["r2"])


def test_classes() -> None:
    net = schuss.Network([schuss.Dense(3, 3)], seed=0)
    found = net.evaluate((X * 3e38).astype(np.float32), np.arange(20) % 3, "cross_entropy", "accuracy")
    assert 0 <= found["accuracy"] <= 1


def test_metrics_after_each_epoch() -> None:
    net = schuss.Network([schuss.Dense(3, 1)], seed=0, dtype="float64")
    history = net.fit(X, Y * 1e160, loss="mae", metrics=["mse", "r2"], epochs=1, validation_fraction=0.3)
    assert history["mse"][0] == history["val_mse"][0] == np.inf


def test_parameters_that_are_infinite_after_the_last_step() -> None:
    """Of both signs: their sum is NaN, of which NumPy would warn."""
    net = schuss.Network([schuss.Dense(3, 2), schuss.Dense(2, 1)], seed=0)
    x = np.array([[1.0, -1.0, 1.0]] * 8)
    with pytest.raises(schuss.DivergenceError, match="parameters were not finite at the end of epoch 1"):
        net.fit(x, np.full((8, 1), 1e5), loss="mse", optimizer="sgd", lr=1e38, epochs=1, restore_on_divergence=False)


def test_warnings_of_a_metric_of_ones_own_are_its_own() -> None:
    net = schuss.Network([schuss.Dense(3, 1)], seed=0, dtype="float64")

    def squares(prediction: Any, target: Any) -> float:
        return float(np.square(prediction - target).mean())

    with pytest.warns(RuntimeWarning, match="overflow"):
        net.evaluate(X, Y * 1e160, "mae", squares)


def test_columns_of_tables() -> None:
    column = NumberColumn("a", 0.0, 0.0, 1e-300, 10.0, False)
    out = np.empty((2, 1), np.float32)
    column.encode(np.array([1e300, -1e300]), "t", out)
    assert out.ravel().tolist() == [10.0, -10.0]
    target = Target("y", "regression", (), 1e308, 1e308)
    assert target.decode(np.array([[1e30]], np.float32)).tolist() == [np.inf]
