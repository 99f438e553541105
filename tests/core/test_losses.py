"""Losses: value and gradient against the twin, weights, and extreme predictions.

The prediction is the weight matrix of a network that gets the identity matrix as input: so a prediction can be set,
and the gradient with respect to it read off, to the last bit.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss import _core
from tests.reference import losses
from tests.reference.network import nodes_of

Array = NDArray[Any]

CASES = [
    ("mse", 0.0, "reals"),
    ("mae", 0.0, "reals"),
    ("huber", 1.0, "reals"),
    ("huber", 0.3, "reals"),
    ("cross_entropy", 0.0, "labels"),
    ("cross_entropy", 0.0, "probabilities"),
    ("cross_entropy", 0.1, "labels"),
    ("cross_entropy", 0.1, "probabilities"),
    ("binary_cross_entropy", 0.0, "fractions"),
    ("poisson", 0.0, "counts"),
    ("quantile", 0.8, "reals"),
    ("gamma", 0.0, "positive"),
    ("tweedie", 1.5, "counts"),
    ("tweedie", 3.0, "positive"),
    ("focal", 2.0, "labels"),
    ("binary_focal", 0.7, "yes or no"),
]
SHAPES = [(1, 1), (1, 10), (7, 1), (33, 10), (16, 16), (31, 17), (5, 70), (300, 3)]
cases = pytest.mark.parametrize(("kind", "parameter", "targets"), CASES)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])


def draw(targets: str, rows: int, cols: int, dtype: str) -> tuple[Array, Array]:
    """A prediction and a target for it."""
    rng = np.random.default_rng(rows * 100 + cols)
    prediction = (rng.normal(size=(rows, cols)) * 2).astype(dtype)
    if targets == "labels":
        return prediction, rng.integers(0, cols, rows)
    draws: dict[str, Callable[[], Array]] = {
        "reals": lambda: rng.normal(size=(rows, cols)),
        "probabilities": lambda: rng.dirichlet(np.ones(cols), rows),
        "fractions": lambda: rng.choice([0.0, 1.0, 0.25], (rows, cols)),
        "counts": lambda: rng.poisson(2, (rows, cols)).astype(float),
        "positive": lambda: rng.gamma(2, 1, (rows, cols)) + 0.1,
        "yes or no": lambda: rng.integers(0, 2, (rows, cols)).astype(float),
    }
    return prediction, draws[targets]().astype(dtype)


def evaluate(
    kind: str, parameter: float, prediction: Array, target: Array, weights: Array | None, activation: str = "identity"
) -> tuple[float, float, Array]:
    """The core's loss, its loss together with gradients, and the gradient."""
    rows, cols = prediction.shape
    net = _core.Net(nodes_of([(rows, cols, activation, 0.0, False, 0.0)]), prediction.dtype, 0)
    net.parameters[0][...] = prediction
    x = np.eye(rows, dtype=prediction.dtype)
    alone = net.loss(x, target, weights, (kind, parameter))
    value = net.loss_and_gradients(x, target, weights, (kind, parameter))
    return alone, value, net.gradients[0].copy()


def widen(a: Array) -> Array:
    return a if np.issubdtype(a.dtype, np.integer) else a.astype(float)


def weights_for(rows: int) -> Array:
    """Uneven, a third of them zero, but not all."""
    w = np.random.default_rng(rows).uniform(0.1, 3, rows)
    w[1::3] = 0
    return w


@cases
@dtypes
@pytest.mark.parametrize("weighted", [False, True], ids=["even", "weighted"])
def test_value_and_gradient(
    kind: str, parameter: float, targets: str, dtype: str, weighted: bool, isa: str, threads: int
) -> None:
    tolerance = 1e-6 if dtype == "float32" else 2e-15
    for rows, cols in SHAPES:
        prediction, target = draw(targets, rows, cols, dtype)
        weights = weights_for(rows) if weighted else None
        alone, value, gradient = evaluate(kind, parameter, prediction, target, weights)
        wanted, slope = losses.value_and_gradient(kind, parameter, widen(prediction), widen(target), weights)
        assert gradient.dtype == prediction.dtype
        # Rows are sums of up to 70 terms that may cancel: the scale is that of the terms.
        scale = max(1.0, abs(wanted), float(np.max(np.abs(prediction))))
        assert abs(alone - wanted) <= 4 * tolerance * scale
        assert abs(value - wanted) <= 4 * tolerance * scale
        largest = float(np.max(np.abs(slope)))
        assert np.all(np.abs(gradient - slope) <= 2 * tolerance * max(largest, 1 / (rows * cols)))


@cases
@dtypes
def test_same_bits_everywhere(
    kind: str,
    parameter: float,
    targets: str,
    dtype: str,
    each_isa: Callable[[], Iterator[str]],
    set_threads: Callable[[int], None],
) -> None:
    for rows, cols in SHAPES:
        prediction, target = draw(targets, rows, cols, dtype)
        results = []
        for _ in each_isa():
            for threads in (1, 2, 3):
                set_threads(threads)
                results.append(evaluate(kind, parameter, prediction, target, weights_for(rows)))
        for alone, value, gradient in results[1:]:
            assert (alone, value) == results[0][:2]
            assert_array_equal(gradient, results[0][2])


@cases
@dtypes
def test_zero_weight_drops_the_row(kind: str, parameter: float, targets: str, dtype: str) -> None:
    """Even a row whose prediction would be infinitely wrong."""
    rows, cols = 30, 5
    prediction, target = draw(targets, rows, cols, dtype)
    weights = weights_for(rows)
    kept = weights > 0
    prediction[~kept] *= 1e6
    _, value, gradient = evaluate(kind, parameter, prediction, target, weights)
    _, wanted, slope = evaluate(kind, parameter, prediction[kept], target[kept], weights[kept])
    assert value == pytest.approx(wanted, rel=1e-14)
    assert_array_equal(gradient[~kept], 0)
    eps = float(np.finfo(dtype).eps)
    np.testing.assert_allclose(gradient[kept], slope, rtol=4 * eps)


@cases
@dtypes
def test_all_weights_zero(kind: str, parameter: float, targets: str, dtype: str) -> None:
    prediction, target = draw(targets, 6, 4, dtype)
    alone, value, gradient = evaluate(kind, parameter, prediction, target, np.zeros(6))
    assert (alone, value) == (0, 0)
    assert_array_equal(gradient, 0)


@cases
@dtypes
def test_stays_inside_its_arrays(
    kind: str, parameter: float, targets: str, dtype: str, isa: str, place: Callable[[str, Array], Array]
) -> None:
    """Input, target and weights that end where memory does."""
    for rows, cols in SHAPES[:-1]:
        prediction, target = draw(targets, rows, cols, dtype)
        plain = evaluate(kind, parameter, prediction, target, weights_for(rows))
        net = _core.Net(nodes_of([(rows, cols, "identity", 0.0, False, 0.0)]), dtype, 0)
        net.parameters[0][...] = prediction
        x = place("page end", np.eye(rows, dtype=dtype))
        y, w = place("page end", target), place("page end", weights_for(rows))
        assert net.loss(x, y, w, (kind, parameter)) == plain[0]
        assert net.loss_and_gradients(x, y, w, (kind, parameter)) == plain[1]
        assert_array_equal(net.gradients[0], plain[2])


@cases
def test_weights_of_one_change_nothing(kind: str, parameter: float, targets: str) -> None:
    prediction, target = draw(targets, 33, 10, "float32")
    plain = evaluate(kind, parameter, prediction, target, None)
    ones = evaluate(kind, parameter, prediction, target, np.ones(33))
    assert plain[:2] == ones[:2]
    assert_array_equal(plain[2], ones[2])


@dtypes
@pytest.mark.parametrize("size", [100.0, 1e4, 1e30])
def test_extreme_logits_stay_finite(dtype: str, size: float, isa: str) -> None:
    prediction = np.array([[size, -size, 0], [-size, -size, -size], [size, size, size]], dtype)
    labels = np.array([1, 0, 2])
    third = np.log(3) / 3
    _, value, gradient = evaluate("cross_entropy", 0.0, prediction, labels, None)
    assert value == pytest.approx(2 * size / 3 + 2 * third, rel=1e-6)
    assert np.all(np.isfinite(gradient))
    np.testing.assert_allclose(gradient[0] * 3, [1, -1, 0], atol=1e-6)
    _, value, gradient = evaluate("cross_entropy", 0.1, prediction, labels, None)
    assert np.isfinite(value)
    assert np.all(np.isfinite(gradient))
    target = np.array([[0, 1, 1], [0, 1, 0.5], [1, 0, 1]], dtype)
    _, value, gradient = evaluate("binary_cross_entropy", 0.0, prediction, target, None)
    wanted, slope = losses.value_and_gradient(
        "binary_cross_entropy", 0.0, prediction.astype(float), target.astype(float)
    )
    assert value == pytest.approx(wanted, rel=1e-6)
    np.testing.assert_allclose(gradient, slope, atol=1e-7)


@dtypes
@pytest.mark.parametrize(("kind", "activation"), [("cross_entropy", "softmax"), ("binary_cross_entropy", "sigmoid")])
def test_output_activation_belongs_to_the_loss(kind: str, activation: str, dtype: str) -> None:
    """Softmax before cross-entropy, sigmoid before binary cross-entropy: the same bits as from logits."""
    targets = "labels" if kind == "cross_entropy" else "fractions"
    prediction, target = draw(targets, 31, 17, dtype)
    fused = evaluate(kind, 0.0, prediction, target, None, activation)
    logits = evaluate(kind, 0.0, prediction, target, None)
    assert fused[:2] == logits[:2]
    assert_array_equal(fused[2], logits[2])


@dtypes
def test_probabilities_of_one_class_are_labels(dtype: str) -> None:
    prediction, labels = draw("labels", 33, 10, dtype)
    rows = np.eye(10, dtype=dtype)[labels]
    for smoothing in (0.0, 0.2):
        a = evaluate("cross_entropy", smoothing, prediction, labels, None)
        b = evaluate("cross_entropy", smoothing, prediction, rows, None)
        assert a[1] == pytest.approx(b[1], rel=1e-6 if dtype == "float32" else 1e-14)
        np.testing.assert_allclose(a[2], b[2], atol=float(np.finfo(dtype).eps))


@pytest.mark.parametrize("kind", [kind for kind in _core.LOSSES if kind != "gaussian"])
def test_nan_prediction_makes_the_loss_nan(kind: str, isa: str) -> None:
    """Training stops at such a loss; it must not be lost in a maximum."""
    target: Array = np.array([0, 1, 2]) if kind in ("cross_entropy", "focal") else np.full((3, 19), 0.5)
    for column in (0, 15, 18):
        prediction = np.ones((3, 19))
        prediction[1, column] = np.nan
        net = _core.Net(nodes_of([(3, 19, "identity", 0.0, False, 0.0)]), "float64", 0)
        net.parameters[0][...] = prediction
        number = 0.5 if kind in ("huber", "quantile", "focal", "binary_focal", "tweedie") else 0.0
        assert np.isnan(net.loss(np.eye(3), target, None, (kind, number)))


def test_many_rows_go_through_in_slabs() -> None:
    """The loss of more rows than a plan holds is the same weighted mean."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(20_011, 3))
    y = rng.integers(0, 4, 20_011)
    w = rng.uniform(0, 1, 20_011)
    net = _core.Net(nodes_of([(3, 4, "identity", 0.0, True, 0.0)]), "float64", 0)
    for p in net.parameters:
        p[...] = rng.normal(size=p.shape)
    wanted, _ = losses.value_and_gradient("cross_entropy", 0.0, x @ net.parameters[0] + net.parameters[1], y, w)
    assert net.loss(x, y, w, ("cross_entropy", 0.0)) == pytest.approx(wanted, rel=1e-12)


@dtypes
@pytest.mark.parametrize("weighted", [False, True], ids=["even", "weighted"])
def test_gaussian(dtype: str, weighted: bool, isa: str, threads: int) -> None:
    """Two outputs for each target."""
    tolerance = 1e-5 if dtype == "float32" else 1e-14
    rng = np.random.default_rng(1)
    for rows, cols in SHAPES:
        prediction = rng.normal(size=(rows, 2 * cols)).astype(dtype)
        target = rng.normal(size=(rows, cols)).astype(dtype)
        weights = weights_for(rows) if weighted else None
        alone, value, gradient = evaluate("gaussian", 0.0, prediction, target, weights)
        wanted, slope = losses.value_and_gradient("gaussian", 0.0, widen(prediction), widen(target), weights)
        assert alone == pytest.approx(wanted, rel=10 * tolerance)
        assert value == pytest.approx(wanted, rel=10 * tolerance)
        np.testing.assert_allclose(gradient, slope, atol=tolerance * float(np.max(np.abs(slope))))


@dtypes
def test_a_quantile_for_each_output(dtype: str, isa: str) -> None:
    rng = np.random.default_rng(2)
    prediction, target = rng.normal(size=(9, 19)).astype(dtype), rng.normal(size=(9, 19)).astype(dtype)
    levels = tuple(np.linspace(0.05, 0.95, 19).tolist())
    alone, value, gradient = evaluate("quantile", levels, prediction, target, None)  # type: ignore[arg-type]
    parts = [
        losses.value_and_gradient("quantile", q, widen(prediction[:, [k]]), widen(target[:, [k]]))
        for k, q in enumerate(levels)
    ]
    assert value == alone == pytest.approx(np.mean([part for part, _ in parts]), rel=1e-6)
    np.testing.assert_allclose(gradient, np.concatenate([slope for _, slope in parts], axis=1) / 19, rtol=1e-6)
    net = _core.Net(nodes_of([(9, 18, "identity", 0.0, False, 0.0)]), dtype, 0)
    with pytest.raises(ValueError, match="loss quantile has 19 numbers, expected 18"):
        net.loss(np.eye(9, dtype=dtype), target[:, :18].copy(), None, ("quantile", levels))


def in_sklearns_form(kind: str, z: Array, t: Array) -> tuple[Array, Array]:
    """Value and gradient of each row, as sklearn.neural_network._base has them."""
    if kind == "mse":
        return 0.5 * ((z - t) ** 2).mean(axis=1), z - t
    if kind == "poisson":
        constant = np.where(t > 0, t * np.log(np.maximum(t, 1e-300)) - t, 0.0)
        return (constant - t * z + np.exp(z)).sum(axis=1), np.exp(z) - t
    values, slopes = losses.rows(kind, 0.0, z, t)
    return values * z.shape[1], slopes * z.shape[1]


@dtypes
@pytest.mark.parametrize("kind", ["mse", "mae", "binary_cross_entropy", "poisson", "gamma"])
def test_sklearns_form(kind: str, dtype: str, isa: str) -> None:
    """Sums over outputs."""
    for rows, cols in SHAPES:
        prediction, target = draw("yes or no" if kind == "binary_cross_entropy" else "positive", rows, cols, dtype)
        net = _core.Net(nodes_of([(rows, cols, "identity", 0.0, False, 0.0)]), dtype, 0)
        net.parameters[0][...] = prediction
        weights = weights_for(rows)
        value = net.loss_and_gradients(np.eye(rows, dtype=dtype), target, weights, (kind, 0.0, "sklearn"))
        values, slopes = in_sklearns_form(kind, widen(prediction), widen(target))
        tolerance = 1e-5 if dtype == "float32" else 1e-13
        assert value == pytest.approx(np.average(values, weights=weights), rel=tolerance)
        wanted = slopes * (weights / weights.sum())[:, None]
        np.testing.assert_allclose(net.gradients[0], wanted, atol=tolerance * float(np.max(np.abs(wanted))))


@dtypes
def test_cross_entropies_in_sklearns_form_have_a_largest_value(dtype: str, isa: str) -> None:
    prediction = np.array([[0.0, 500.0], [300.0, 0.0], [0.0, 1.0]], dtype)
    most = -np.log(np.finfo(dtype).eps)
    net = _core.Net(nodes_of([(3, 2, "identity", 0.0, False, 0.0)]), dtype, 0)
    net.parameters[0][...] = prediction
    found = net.loss_and_gradients(np.eye(3, dtype=dtype), np.array([0, 0, 1]), None, ("cross_entropy", 0.0, "sklearn"))
    assert found == pytest.approx((most + np.log1p(np.exp(-1))) / 3, rel=1e-6)
    np.testing.assert_allclose(net.gradients[0][0], [-1 / 3, 1 / 3], rtol=1e-6)
    labels = np.array([[1, 0], [1, 0], [0, 1]], dtype)
    found = net.loss(np.eye(3, dtype=dtype), labels, None, ("binary_cross_entropy", 0.0, "sklearn"))
    assert found == pytest.approx((np.log(2) + most + np.log(2) + np.log(2) + np.log1p(np.exp(-1))) / 3, rel=1e-6)


@dtypes
def test_binary_cross_entropy_in_sklearns_form_has_the_digits_of_its_probabilities(dtype: str, isa: str) -> None:
    """1 - p of a p near 1 has few: what scikit-learn takes the logarithm of."""
    z = np.linspace(-45, 45, 1801).astype(dtype)[:, None]
    p = 1 / (1 + np.exp(-widen(z))).astype(dtype)  # rounded twice, as in this dtype's arithmetic
    p = np.clip(p, np.finfo(dtype).eps, 1 - np.finfo(dtype).eps)
    net = _core.Net(nodes_of([(1, 1, "identity", 0.0, False, 0.0)]), dtype, 0)
    net.parameters[0][...] = 1
    for label, q in ((0.0, 1 - p), (1.0, p)):
        found = [
            net.loss(x[None], np.full((1, 1), label, dtype), None, ("binary_cross_entropy", 0.0, "sklearn")) for x in z
        ]
        np.testing.assert_allclose(found, -np.log(widen(q[:, 0])), rtol=1e-5 if dtype == "float32" else 1e-12)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        (schuss.Gamma(), [[1.0, 0.0]] * 3, r"y must be > 0 for gamma; got 0.0 at \[0, 1\]|y.*> 0 for gamma"),
        (schuss.Tweedie(3.0), [[1.0, 0.0]] * 3, "> 0 for tweedie"),
        (schuss.Tweedie(1.5), [[1.0, -1.0]] * 3, ">= 0 for tweedie"),
        (schuss.BinaryFocal(), [[1.0, 2.0]] * 3, r"in \[0, 1\] for binary_focal"),
        (schuss.Focal(), [[0.5, 0.5]] * 3, "integer labels for focal"),
        (schuss.Gaussian(), [[1.0, 1.0]] * 3, r"y must have shape \(3, 1\)"),
        (schuss.Quantile([0.1, 0.5, 0.9]), [[1.0, 1.0]] * 3, "has 3 numbers, expected 2"),
    ],
    ids=repr,
)
def test_targets_are_checked(loss: schuss.Loss, y: Any, message: str) -> None:
    net = schuss.Network([schuss.Dense(2, 2)], seed=0)
    before = net.parameters[0].copy()
    with pytest.raises((ValueError, TypeError), match=message):
        net.fit(np.ones((3, 2)), y, loss=loss, epochs=1)
    assert_array_equal(net.parameters[0], before)


def test_gaussian_needs_two_outputs_a_target() -> None:
    net = schuss.Network([schuss.Dense(2, 3)], seed=0)
    with pytest.raises(ValueError, match="gaussian needs two outputs of the network for each target; got 3"):
        net.fit(np.ones((3, 2)), np.ones((3, 1)), loss="gaussian", epochs=1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schuss.Quantile(1.0), r"quantile must be a number in \(0, 1\); got 1.0"),
        (lambda: schuss.Quantile([0.5, 2]), r"quantile\[1\] must be a number in \(0, 1\); got 2"),
        (lambda: schuss.Quantile([]), "quantile must hold at least one number"),
        (lambda: schuss.Tweedie(2), r"power must not be 2, which is Gamma\(\)"),
        (lambda: schuss.Tweedie(0.5), r"power must be a number in \(1, inf\)"),
        (lambda: schuss.Focal(0), r"gamma must be a number in \(0, inf\)"),
    ],
)
def test_numbers_of_losses_are_checked(make: Callable[[], schuss.Loss], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "loss",
    [
        schuss.Quantile([0.1, 0.9]),
        schuss.Quantile(0.3),
        schuss.Gamma(),
        schuss.Tweedie(),
        schuss.Gaussian(),
        schuss.Focal(),
    ],
    ids=repr,
)
def test_fit_with_each(loss: schuss.Loss) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3)).astype(np.float32)
    y: Any = np.exp(X[:, :2])
    if isinstance(loss, schuss.Gaussian):
        y = y[:, :1]
    if isinstance(loss, schuss.Focal):
        y = (X[:, 0] > 0).astype(int)
    net = schuss.Network([schuss.Dense(3, 8, "tanh"), schuss.Dense(8, 2)], seed=0)
    history = net.fit(X, y, loss=loss, epochs=20, lr=0.01)
    assert history["loss"][-1] < history["loss"][0]
    assert pickle.loads(pickle.dumps(loss)) == loss
