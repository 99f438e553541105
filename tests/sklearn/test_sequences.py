"""Estimators of sequences: scikit-learn's checks, every form of X, each argument, and that they learn."""

from __future__ import annotations

import copy
import doctest
import importlib
import pickle
import re
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.utils.estimator_checks import parametrize_with_checks

import schuss
from schuss.sklearn import SequenceClassifier, SequenceRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

FEATURES = 2


def ragged(rows: int, seed: int = 0, shortest: int = 3, longest: int = 12) -> tuple[list[np.ndarray], np.ndarray]:
    """Rows of different lengths, and which of two features is greater in the mean of a row's last two times."""
    rng = np.random.default_rng(seed)
    X = [rng.normal(size=(int(rng.integers(shortest, longest + 1)), FEATURES)) for _ in range(rows)]
    y = np.array(["first" if (row[-2:, 0] - row[-2:, 1]).sum() > 0 else "second" for row in X])
    return X, y


def waves(rows: int, past: int = 20, ahead: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Windows (rows, past) of a series, and what follows each (rows, ahead)."""
    series = 100 + 10 * np.sin(np.arange(rows + past + ahead) / 3)
    X = np.stack([series[k : k + past] for k in range(rows)])
    return X, np.stack([series[k + past : k + past + ahead] for k in range(rows)])


def small(kind: Any, layer: str = "gru", **arguments: Any) -> Any:
    return kind(layer, **{"n_hidden": 12, "epochs": 3, "lr": 0.01, "random_state": 0, **arguments})


# -- scikit-learn ------------------------------------------------------------------------------------------------------

# scikit-learn's checks give X (rows, columns): here (rows, times) of one feature. Rows of another length are welcome
# where a table's rows of another width are not, and features are counted at each time.
TIMES = "columns of X are times of one feature, and rows of X may have other lengths in predict"
NOT_OF_SEQUENCES = {
    "check_n_features_in": TIMES,
    "check_n_features_in_after_fitting": TIMES,
    "check_estimators_partial_fit_n_features": TIMES,
    "check_sample_weight_equivalence_on_dense_data": "what a batch is follows from the number of rows",
}


def not_of(estimator: Any) -> dict[str, str]:
    if estimator.layer == "conv":  # takes rows of one length only
        return {
            name: why for name, why in NOT_OF_SEQUENCES.items() if name != "check_estimators_partial_fit_n_features"
        }
    if isinstance(estimator, SequenceClassifier):
        return {**NOT_OF_SEQUENCES, "check_classifiers_train": TIMES}
    return NOT_OF_SEQUENCES


@parametrize_with_checks(
    [
        SequenceClassifier("gru", n_hidden=16, epochs=30, lr=0.02),
        SequenceRegressor("gru", n_hidden=16, epochs=30, lr=0.02),
        SequenceClassifier(n_hidden=8, n_layers=2, bidirectional=True, epochs=40, lr=0.02, dtype="float64", n_jobs=1),
        SequenceRegressor("rnn", n_hidden=32, epochs=60, lr=0.005, loss="huber", optimizer="rmsprop"),
        SequenceClassifier("conv", n_hidden=16, epochs=30, lr=0.01),
    ],
    expected_failed_checks=not_of,
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor])
def test_what_the_checks_that_cannot_apply_are_after(kind: Any) -> None:
    """Features at each time are counted, and other ones refused, in every method."""
    X, y = np.random.default_rng(0).normal(size=(30, 5, 3)), np.arange(30) % 2
    est = small(kind).fit(X, y)
    assert est.n_features_in_ == 3
    message = re.escape(f"X has 2 features, but {kind.__name__} is expecting 3 features as input.")
    for method in (
        est.predict,
        lambda X: est.score(X, np.arange(30) % 2),
        lambda X: est.partial_fit(X, np.arange(30) % 2),
    ):
        with pytest.raises(ValueError, match=message):
            method(X[:, :, :2])
    assert small(kind).fit(X[:, :, 0], y).n_features_in_ == 1


def test_searches_copies_and_pickles() -> None:
    X, y = ragged(90)
    clf = small(SequenceClassifier)
    search = GridSearchCV(clf, {"layer": ["gru", "rnn"], "class_weight": [None, "balanced"]}, cv=2, n_jobs=2).fit(X, y)
    assert isinstance(search.best_estimator_, SequenceClassifier) and search.predict(X[:4]).shape == (4,)
    assert len(cross_val_score(clf, X, y, cv=3, scoring="roc_auc")) == 3
    train, test, of_train, _ = train_test_split(X, y, random_state=0)
    fitted = clf.fit(train, of_train)
    expected = fitted.predict_proba(test)
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted), clone(fitted).fit(train, of_train)):
        assert np.array_equal(again.predict_proba(test), expected)
    assert not hasattr(clone(fitted), "network_") and clone(fitted).get_params() == clf.get_params()
    assert clone(fitted).set_params(n_hidden=5, layer="lstm").fit(X, y).network_.layers[1].n_hidden == 5


def test_callbacks_of_scikit_learn() -> None:
    callback = pytest.importorskip("sklearn.callback")
    X, y = ragged(60)
    monitor = callback.ScoringMonitor(scoring="accuracy")
    clf = small(SequenceClassifier, epochs=4).set_callbacks(monitor).fit(X, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(rows) == clf.n_iter_ == 4 and rows[-1]["accuracy"] == clf.score(X, y)
    reg = small(SequenceRegressor).set_callbacks(callback.ScoringMonitor(scoring="r2"))
    assert reg.fit(X, np.arange(60.0)).n_iter_ == 3


# -- data --------------------------------------------------------------------------------------------------------------


def test_every_form_of_rows_is_the_same() -> None:
    """Lists, padded arrays with lengths, object arrays: the same bits, whatever stands behind the end of a row."""
    X, y = ragged(50)
    lengths = np.array([len(row) for row in X])
    padded = np.full((50, 15, FEATURES), 1e6)  # longer than any row
    objects = np.empty(50, object)
    for k, row in enumerate(X):
        padded[k, : len(row)] = row
        objects[k] = row
    expected = small(SequenceClassifier).fit(X, y)
    for form in (tuple(X), objects, [row.tolist() for row in X], schuss.Sequences(padded, lengths)):
        found = small(SequenceClassifier).fit(form, y)
        assert np.array_equal(found.predict_proba(form), expected.predict_proba(X))
    one = [row[:, 0] for row in X]
    assert np.array_equal(
        small(SequenceClassifier).fit(one, y).predict_proba(one),
        small(SequenceClassifier).fit([row[:, :1] for row in X], y).predict_proba([row[:, :1] for row in X]),
    )
    full = np.stack([row[:3] for row in X])
    assert np.array_equal(
        small(SequenceClassifier).fit(list(full), y).predict(full), small(SequenceClassifier).fit(full, y).predict(full)
    )


@pytest.mark.parametrize("layer", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_rows_may_be_longer_in_predict(layer: str, bidirectional: bool) -> None:
    """A row's output does not depend on what it stands beside, nor on how long rows of fit were."""
    X, y = ragged(40, longest=6)
    clf = small(SequenceClassifier, layer, bidirectional=bidirectional, n_layers=2).fit(X, y)
    long, _ = ragged(9, seed=1, shortest=1, longest=30)
    before = copy.deepcopy(clf.network_.parameters)
    together = clf.predict_proba(long)
    for row, expected in zip(long, together, strict=True):
        assert np.array_equal(clf.predict_proba([row])[0], expected)
    assert clf.network_.inputs[0].dims == (6,)
    for mine, kept in zip(clf.network_.parameters, before, strict=True):
        assert np.array_equal(mine, kept)


def test_a_row_of_length_zero_begins_and_ends() -> None:
    X, y = ragged(40)
    X[3] = X[3][:0]
    found = small(SequenceClassifier).fit(X, y).predict_proba(X)
    assert np.isfinite(found).all()


def test_scales_are_those_of_times_that_are_there() -> None:
    X, y = ragged(60)
    X = [row * [1e4, 1.0] + [5e6, 3.0] for row in X]
    there = np.concatenate(X)
    clf = small(SequenceClassifier, epochs=40).fit(X, y)
    np.testing.assert_allclose(clf.standard_.means, there.mean(axis=0))
    np.testing.assert_allclose(clf.standard_.deviations, there.std(axis=0))
    assert clf.score(X, y) > 0.9
    assert small(SequenceClassifier, standardize=False).fit(X, y).standard_ is None
    weights = np.random.default_rng(0).integers(0, 3, 60)
    counted = np.concatenate([row for row, weight in zip(X, weights, strict=True) for _ in range(weight)])
    np.testing.assert_allclose(
        small(SequenceClassifier).fit(X, y, sample_weight=weights).standard_.means, counted.mean(axis=0)
    )


def test_rows_of_weight_zero_are_not_there() -> None:
    X, y = ragged(50)
    weights = np.ones(50)
    weights[::5] = 0
    left = np.flatnonzero(weights)
    without = small(SequenceClassifier, early_stopping=True).fit([X[k] for k in left], y[left])
    found = small(SequenceClassifier, early_stopping=True).fit(X, y, sample_weight=weights)
    assert np.array_equal(found.predict_proba(X), without.predict_proba(X))


# -- learning ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["lstm", "gru", "rnn"])
def test_classes_are_learned(layer: str) -> None:
    X, y = ragged(400)
    clf = small(SequenceClassifier, layer, epochs=25).fit(X[:300], y[:300])
    assert clf.score(X[300:], y[300:]) > 0.9
    proba = clf.predict_proba(X)
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_array_equal(clf.classes_[proba.argmax(axis=1)], clf.predict(X))
    np.testing.assert_array_equal(np.log(proba), clf.predict_log_proba(X))


@pytest.mark.parametrize("layer", ["lstm", "gru", "rnn"])
def test_forecasts_are_learned(layer: str) -> None:
    X, y = waves(300)
    reg = small(SequenceRegressor, layer, epochs=25).fit(X[:200], y[:200])
    assert reg.predict(X).shape == y.shape and reg.score(X[200:], y[200:]) > 0.97


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceRegressor])
def test_convolutions(kind: Any) -> None:
    """They learn, and refuse rows of another length by name, before anything has changed."""
    X, y = waves(300)
    target = np.where(y[:, 0] > X[:, -1], "up", "down") if kind is SequenceClassifier else y
    est = small(kind, "conv", n_layers=2, dropout=0.1, epochs=25, n_hidden=16).fit(X[:200], target[:200])
    assert est.score(X[200:], target[200:]) > 0.85
    again = pickle.loads(pickle.dumps(est))
    assert np.array_equal(again.predict(X), est.predict(X))
    before = est.predict(X)
    options = {"X_val": X[:, :10], "y_val": target}
    for call, message in (
        (lambda: est.predict(X[:, :15]), "X must have 20 times with layer='conv', as all rows; got 15"),
        (lambda: est.predict(np.hstack([X, X])), "X must have 20 times with layer='conv', as all rows; got 40"),
        (lambda: est.predict([X[0], X[1][:3]]), re.escape("one length with layer='conv'; X[1] has 3 times of 20")),
        (lambda: est.partial_fit(X[:, :15], target), "X must have 20 times with layer='conv'"),
        (lambda: est.fit(X, target, **options), "X_val must have 20 times with layer='conv'"),
        (lambda: clone(est).set_params(bidirectional=True).fit(X, target), "bidirectional must be False"),
        (lambda: clone(est).set_params(recurrent_dropout=0.1).fit(X, target), "recurrent_dropout 0 with layer='conv'"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert np.array_equal(est.predict(X), before)
    recurrent = small(kind).fit(X, target).set_params(layer="conv")  # what is fitted is still the other
    assert len(recurrent.predict([X[0], X[1][:3]])) == 2
    assert small(kind, "conv", layer_options={"kernel": 3}).fit(X, target).network_.layers[1].kernel == 3


def test_targets_of_any_shape() -> None:
    X, y = waves(80)
    for shape in ((80,), (80, 1), (80, 2), (80, 2, 2)):
        target = y[:, : int(np.prod(shape[1:]))].reshape(shape)
        reg = small(SequenceRegressor, epochs=15).fit(X, target)
        assert reg.predict(X).shape == shape and reg.score(X, target) > 0.5
        with pytest.raises(ValueError, match="y must have shape"):
            reg.partial_fit(X, y[:, :3])
    in_columns = small(SequenceRegressor).fit(np.asfortranarray(X), np.asfortranarray(y))
    assert np.array_equal(in_columns.predict(X), small(SequenceRegressor).fit(X, y).predict(X))


def test_frames_and_series_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    X, y = ragged(30)
    clf = small(SequenceClassifier).fit(pandas.Series(X), pandas.Series(y))
    assert np.array_equal(clf.predict_proba(pandas.Series(X)), small(SequenceClassifier).fit(X, y).predict_proba(X))
    X, y = waves(30)
    reg = small(SequenceRegressor).fit(pandas.DataFrame(X), pandas.DataFrame(y))
    assert np.array_equal(reg.predict(pandas.DataFrame(X)), small(SequenceRegressor).fit(X, y).predict(X))


@pytest.mark.parametrize("name", ["classifier", "regressor"])
def test_examples_of_the_docstrings(name: str) -> None:
    module = importlib.import_module(f"schuss.sklearn.sequences.{name}")
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("loss", "shape"),
    [
        ("mae", ()),
        ("huber", ()),
        ("poisson", ()),
        ("gamma", ()),
        ("tweedie", ()),
        ("gaussian", ()),
        (schuss.Quantile(0.5), ()),
        (schuss.Quantile([0.1, 0.5, 0.9]), (3,)),
    ],
)
def test_losses(loss: Any, shape: tuple[int, ...]) -> None:
    X, y = waves(200)
    reg = small(SequenceRegressor, epochs=40, loss=loss).fit(X, y)
    found = reg.predict(X)
    assert found.shape == y.shape + shape and reg.score(X, y) > 0.7
    if shape:
        assert (np.diff(found, axis=-1) > 0).mean() > 0.8
    if loss == "gaussian":
        mean, deviation = reg.predict(X, return_std=True)
        assert mean.shape == deviation.shape == y.shape and (deviation > 0).all()
        assert 0.1 < (np.abs(mean - y) / deviation).mean() < 2
    else:
        with pytest.raises(ValueError, match="return_std needs loss='gaussian'"):
            reg.predict(X, return_std=True)


def test_class_weights_are_sample_weights() -> None:
    X, y = ragged(60)
    weights = np.where(y == "first", 3.0, 0.5)
    by_class = small(SequenceClassifier, class_weight={"first": 3.0, "second": 0.5}, standardize=False).fit(X, y)
    by_row = small(SequenceClassifier, standardize=False).fit(X, y, sample_weight=weights)
    assert np.array_equal(by_class.predict_proba(X), by_row.predict_proba(X))
    rare = np.where(np.arange(60) % 10 == 0, "rare", "common")
    plain, balanced = (small(SequenceClassifier, class_weight=w).fit(X, rare) for w in (None, "balanced"))
    assert (balanced.predict(X) == "rare").sum() > (plain.predict(X) == "rare").sum()


# -- training ----------------------------------------------------------------------------------------------------------


def test_early_stopping_keeps_the_best_epoch() -> None:
    X, y = ragged(120)
    y[::2] = y[::-2]  # half of it is noise
    arguments = {"early_stopping": True, "patience": 3, "epochs": 60, "lr": 0.03, "validation_fraction": 0.25}
    clf = small(SequenceClassifier, **arguments).fit(X, y)
    losses = clf.history_["val_loss"]
    assert clf.n_iter_ == clf.best_epoch_ + 3 < 60 and clf.best_epoch_ == losses.argmin() + 1
    train, held, of_train, of_held = train_test_split(X, y, random_state=1)
    own = small(SequenceClassifier, **arguments).fit(train, of_train, X_val=held, y_val=of_held)
    proba = own.predict_proba(held)[np.arange(len(held)), (of_held == "second").astype(int)]
    assert -np.log(proba).mean() == pytest.approx(own.history_["val_loss"].min(), rel=1e-5)
    looked = small(SequenceClassifier).fit(train, of_train, X_val=held, y_val=of_held)
    assert len(looked.history_["val_loss"]) == 3


def test_the_last_rows_validate() -> None:
    X, y = waves(100)
    by_fit = small(SequenceRegressor, early_stopping=True, validation_fraction=0.2, validation_rows="last").fit(X, y)
    given = small(SequenceRegressor, early_stopping=True).fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    assert np.array_equal(by_fit.predict(X), given.predict(X))


def test_warm_start_goes_on() -> None:
    X, y = ragged(70)
    whole = small(SequenceClassifier, epochs=7, dropout=0.2, recurrent_dropout=0.1).fit(X, y)
    parts = small(SequenceClassifier, epochs=3, dropout=0.2, recurrent_dropout=0.1, warm_start=True).fit(X, y)
    parts = pickle.loads(pickle.dumps(parts)).set_params(epochs=4).fit(X, y)
    assert np.array_equal(whole.predict_proba(X), parts.predict_proba(X))
    assert parts.n_iter_ == 4 and parts.network_.epochs_done == 7
    again = whole.fit(X, y)  # from anew, without warm_start
    assert again.network_.epochs_done == 7


def test_partial_fit_goes_through_rows_once() -> None:
    X, y = ragged(60, longest=6)
    once = small(SequenceClassifier, epochs=1).fit(X, y)
    found = small(SequenceClassifier).partial_fit(X, y, classes=["first", "second"])
    assert np.array_equal(found.predict_proba(X), once.predict_proba(X))
    longer, of_longer = ragged(60, seed=2, longest=15)
    for _ in range(20):
        found.partial_fit(longer, of_longer)
    assert found.score(longer, of_longer) > 0.8 and found.network_.inputs[0].dims == (15,)
    assert found.network_.epochs_done == 21
    three = small(SequenceClassifier).partial_fit(X, y, classes=["first", "second", "third"])
    assert three.predict_proba(X).shape == (60, 3)
    reg = small(SequenceRegressor).partial_fit(*waves(40))
    assert np.array_equal(
        reg.predict(waves(40)[0]), small(SequenceRegressor, epochs=1).fit(*waves(40)).predict(waves(40)[0])
    )


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_bits_for_any_threads(threads: int) -> None:
    X, y = ragged(80)
    expected = small(SequenceClassifier, n_hidden=40, n_jobs=1).fit(X, y).predict_proba(X)
    assert np.array_equal(small(SequenceClassifier, n_hidden=40, n_jobs=threads).fit(X, y).predict_proba(X), expected)


def test_optimizers_rates_and_options() -> None:
    X, y = ragged(60)
    schedule = schuss.schedules.Cosine(0.02, 6)
    arguments = {"optimizer": schuss.SGD, "lr": schedule, "optimizer_options": {"momentum": 0.9}, "clip_norm": None}
    clf = small(SequenceClassifier, **arguments).fit(X, y)
    assert type(clf.network_.optimizer) is schuss.SGD and clf.network_.optimizer.param_groups[0]["momentum"] == 0.9
    assert clf.history_["lr"][-1] == schedule(5)
    assert (
        small(SequenceClassifier, "lstm", layer_options={"dialect": "torch"}).fit(X, y).network_.layers[1].biases == 2
    )
    assert type(small(SequenceClassifier, optimizer="lion", lr=None).fit(X, y).network_.optimizer) is schuss.Lion


# -- bad input ---------------------------------------------------------------------------------------------------------

ROWS, LABELS = ragged(20)
BAD_FITS: list[tuple[Any, Any, dict[str, Any], type[Exception], str]] = [
    (
        np.zeros((20, 2, 2, 2)),
        LABELS,
        {},
        ValueError,
        r"X must have shape \(rows, times, features\) or \(rows, times\)",
    ),
    (
        [np.zeros((3, 2)), np.zeros((4, 3))],
        LABELS[:2],
        {},
        ValueError,
        r"X\[1\] must have shape \(length, ...\) as X\[0\]",
    ),
    ([*ROWS[:-1], ROWS[-1] * np.nan], LABELS, {}, ValueError, "Input X contains NaN"),
    ([*ROWS[:-1], "text"], LABELS, {}, TypeError, r"X\[19\] must be an array of real numbers"),
    (np.zeros((20, 0, 2)), LABELS, {}, ValueError, r"0 time\(s\)"),
    (np.zeros((20, 3, 0)), LABELS, {}, ValueError, r"0 feature\(s\)"),
    ([row[:0] for row in ROWS], LABELS, {}, ValueError, r"0 time\(s\)"),
    (ROWS[:-1], LABELS, {}, ValueError, "inconsistent numbers of samples"),
    (schuss.Sequences(np.zeros((20, 3, 1)), np.full(20, 4)), LABELS, {}, ValueError, r"X.lengths must be in \[0, 3\]"),
    (schuss.Sequences(np.zeros((20, 3, 1)), np.ones(19, int)), LABELS, {}, ValueError, r"must have shape \(20,\)"),
    (schuss.Sequences(np.zeros((20, 3, 1)), np.ones(20)), LABELS, {}, TypeError, "X.lengths must be integers"),
    (schuss.Sequences(np.zeros((20, 3, 1)), state=np.zeros((20, 3))), LABELS, {}, ValueError, "X must have no state"),
    (ROWS, ["a"] * 20, {}, ValueError, "at least two classes"),
    (ROWS, [None, *LABELS[1:]], {}, ValueError, "y contains NaN"),
    (ROWS, LABELS, {"sample_weight": np.zeros(20)}, ValueError, "at least one non-zero number"),
    (ROWS, LABELS, {"sample_weight": np.full(20, -1)}, ValueError, "[Nn]egative"),
    (ROWS, LABELS, {"X_val": ROWS}, ValueError, "X_val and y_val must be given together"),
    (ROWS, LABELS, {"X_val": ROWS, "y_val": ["other"] * 20}, ValueError, "y_val must hold classes of y"),
    (ROWS, LABELS, {"X_val": [row[:, :1] for row in ROWS], "y_val": LABELS}, ValueError, "X_val has 1 features"),
]


@pytest.mark.parametrize("case", range(len(BAD_FITS)))
def test_bad_rows_are_named_and_change_nothing(case: int) -> None:
    X, y, more, error, message = BAD_FITS[case]
    clf = small(SequenceClassifier).fit(ROWS, LABELS)
    before, parameters = dict(clf.__dict__), [array.copy() for array in clf.network_.parameters]
    with pytest.raises(error, match=message):
        clf.fit(X, y, **more)
    assert clf.__dict__ == before
    for mine, kept in zip(clf.network_.parameters, parameters, strict=True):
        assert np.array_equal(mine, kept)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"layer": "transformer"}, "'layer' parameter"),
        ({"n_hidden": 0}, "'n_hidden' parameter"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"recurrent_dropout": -0.1}, "'recurrent_dropout' parameter"),
        ({"lr": 0.0}, "'lr' parameter"),
        ({"epochs": 0}, "'epochs' parameter"),
        ({"optimizer": "magic"}, "'optimizer' parameter"),
        ({"optimizer": dict}, "optimizer must be a name or class"),
        ({"loss": "mse"}, "'loss' parameter"),
        ({"loss": schuss.MSE()}, "loss must be one for classes"),
        ({"validation_rows": "first"}, "'validation_rows' parameter"),
        ({"layer_options": {"dialect": "french"}}, "dialect 'french' is not known"),
        ({"dtype": "float16"}, "'dtype' parameter"),
        (
            {"early_stopping": True, "validation_rows": "last", "validation_fraction": 0.99},
            "must leave rows to train on",
        ),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    clf = SequenceClassifier(**arguments)
    with pytest.raises((ValueError, TypeError), match=message):
        clf.fit(ROWS, LABELS)
    assert not hasattr(clf, "network_") and not hasattr(clf, "n_features_in_")


def test_bad_calls_of_partial_fit() -> None:
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        small(SequenceClassifier).partial_fit(ROWS, LABELS)
    with pytest.raises(ValueError, match="must not be 'balanced' in partial_fit"):
        small(SequenceClassifier, class_weight="balanced").partial_fit(ROWS, LABELS, classes=["first", "second"])
    clf = small(SequenceClassifier, early_stopping=True)
    with pytest.raises(ValueError, match="does not support early_stopping"):
        clf.partial_fit(ROWS, LABELS, classes=["first", "second"])
    assert set(vars(clf)) == set(clf.get_params())
    with pytest.raises(ValueError, match=r"y must be >= 0 for poisson"):
        small(SequenceRegressor, loss="poisson").fit(ROWS, -np.arange(20.0))


def test_a_fit_that_diverges_leaves_the_estimator() -> None:
    X, y = waves(60)
    reg = small(SequenceRegressor).fit(X, y)
    before = reg.predict(X)
    reg.set_params(optimizer="sgd", lr=1e30, clip_norm=None, layer="rnn", layer_options={"activation": "relu"})
    with pytest.raises(schuss.DivergenceError):
        reg.fit(X, y)
    assert np.array_equal(reg.predict(X), before)
