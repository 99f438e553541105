"""Estimators that take tables as they are: scikit-learn's checks, every kind of column and label, and each argument."""

from __future__ import annotations

import copy
import pickle
import time
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import schuss
from schuss.sklearn import TabularClassifier, TabularRegressor
from schuss.tables.folds import folds
from schuss.tables.recipes import BY_NAME

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]

N, TRAIN = 1200, 900
RECIPE = "realmlp-s"


def frame(seed: int = 0) -> dict[str, Any]:
    """Columns of every kind, with gaps."""
    rng = np.random.default_rng(seed)
    size = rng.normal(size=N)
    size[rng.random(N) < 0.1] = np.nan
    kind = rng.choice(["oak", "elm", "ash"], N).astype(object)
    kind[rng.random(N) < 0.1] = None
    wet = (rng.random(N) < 0.5).astype(object)
    wet[rng.random(N) < 0.05] = None
    day = np.datetime64("2020-01-01") + rng.integers(0, 900, N).astype("timedelta64[D]")
    return {"size": size, "kind": kind, "wet": wet, "day": day, "town": rng.choice([f"t{k}" for k in range(9)], N)}


def sold(columns: dict[str, Any]) -> np.ndarray:
    return (np.nan_to_num(columns["size"]) > 0) ^ (columns["kind"] == "oak")


def price(columns: dict[str, Any]) -> np.ndarray:
    return 50 + 10 * np.nan_to_num(columns["size"]) + 20 * (columns["wet"] == True)  # noqa: E712  None is neither


@pytest.fixture(scope="module")
def columns() -> dict[str, Any]:
    return frame()


@pytest.fixture(scope="module")
def X(columns: dict[str, Any]) -> Any:
    return pytest.importorskip("pandas").DataFrame(columns)


def small(estimator: Any, **arguments: Any) -> Any:
    return estimator(**{"recipe": RECIPE, "epochs": 12, "n_ensemble": 1, "random_state": 0, **arguments})


# -- scikit-learn ------------------------------------------------------------------------------------------------------


# The checks that ask for a good score, or for each class among the predictions, and the one that is expected to fail;
# all others ask what an estimator takes, keeps and refuses, which a few epochs show.
LEARNING = {
    "check_classifiers_train",
    "check_classifiers_classes",
    "check_class_weight_classifiers",
    "check_regressors_train",
    "check_sample_weight_equivalence_on_dense_data",
}
FEW_EPOCHS = 4


def expected(estimator: Any) -> dict[str, str]:
    reason = "which rows are held out, and what a batch is, follow from the number of rows"
    return {"check_sample_weight_equivalence_on_dense_data": reason}


@parametrize_with_checks(
    [
        TabularClassifier(epochs=30),
        TabularRegressor(epochs=30),
        TabularClassifier(RECIPE, epochs=30),
        TabularRegressor(RECIPE, epochs=30),
        TabularClassifier(RECIPE, epochs=40, n_ensemble=2, refit=True, class_weight="balanced", n_jobs=1),
        TabularRegressor(RECIPE, epochs=30, loss="huber", validation_fraction=0.0),
    ],
    expected_failed_checks=expected,
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator if check.func.__name__ in LEARNING else clone(estimator).set_params(epochs=FEW_EPOCHS))


def test_searches_pipelines_and_copies(X: Any, columns: dict[str, Any]) -> None:
    y = sold(columns)
    clf = small(TabularClassifier, epochs=3)
    search = GridSearchCV(clf, {"recipe": [RECIPE], "class_weight": [None, "balanced"]}, cv=2, n_jobs=2).fit(X, y)
    assert 0.4 < search.best_score_ <= 1 and isinstance(search.best_estimator_, TabularClassifier)
    assert len(cross_val_score(clf, X, y, cv=3, n_jobs=2, scoring="roc_auc")) == 3
    piped = make_pipeline(FunctionTransformer(lambda table: table.drop(columns="town")), clf).fit(X, y)
    assert piped.predict(X).shape == (N,)
    fitted = clf.fit(X, y)
    for again in (pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert not hasattr(clone(fitted), "model_") and clone(fitted).get_params() == clf.get_params()


class Watch:
    """Keeps the fitted copy of each epoch, and asks to stop after some."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs
        self.kept: list[Any] = []

    def setup(self, estimator: Any, context: Any) -> None: ...
    def teardown(self, estimator: Any, context: Any) -> None: ...
    def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...
    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> bool:
        if context.task_name == "epoch":
            self.kept.append(fitted_estimator)
        return len(self.kept) == self._epochs


def test_callbacks_of_scikit_learn(X: Any, columns: dict[str, Any]) -> None:
    callback = pytest.importorskip("sklearn.callback")
    y = sold(columns)
    monitor, watch = callback.ScoringMonitor(scoring="accuracy"), Watch(3)
    plain = small(TabularClassifier, validation_fraction=0.0, epochs=4)
    clf = clone(plain).set_callbacks(monitor, watch).fit(X, y)
    rows = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert clf.n_iter_ == len(rows) == 3 and rows[-1]["accuracy"] == clf.score(X, y)
    assert np.array_equal(watch.kept[2].predict_proba(X), clf.predict_proba(X))
    assert not np.array_equal(watch.kept[1].predict_proba(X), clf.predict_proba(X))
    several = (
        clone(plain).set_params(n_ensemble=2, refit=True).set_callbacks(callback.ScoringMonitor(scoring="accuracy"))
    )
    assert several.fit(X, y).n_iter_ == 4


# -- data --------------------------------------------------------------------------------------------------------------


def test_every_kind_of_column(X: Any, columns: dict[str, Any]) -> None:
    y = np.where(sold(columns), "sold", "kept")
    clf = small(TabularClassifier, epochs=50).fit(X[:TRAIN], y[:TRAIN])
    assert clf.score(X[TRAIN:], y[TRAIN:]) > 0.8
    assert list(clf.feature_names_in_) == list(columns) and clf.n_features_in_ == 5
    assert {column.name for column in clf.schema_.columns} == set(columns)
    reg = small(TabularRegressor, epochs=40).fit(X[:TRAIN], price(columns)[:TRAIN])
    assert reg.score(X[TRAIN:], price(columns)[TRAIN:]) > 0.7
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(X[list(columns)[::-1]])
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(X.rename(columns={"size": "Size"}))


def test_polars_and_arrays_are_as_pandas(X: Any, columns: dict[str, Any]) -> None:
    y = sold(columns)
    found = [small(TabularClassifier, epochs=2).fit(X, y).predict_proba(X)]
    objects = np.array([X[name].astype(object).to_numpy() for name in ("size", "kind", "wet", "town")], object).T
    part = X[["size", "kind", "wet", "town"]]
    of_part = small(TabularClassifier, epochs=2).fit(part, y).predict_proba(part)
    assert np.array_equal(small(TabularClassifier, epochs=2).fit(objects, y).predict_proba(objects), of_part)
    listed = [list(row) for row in objects]
    assert np.array_equal(small(TabularClassifier, epochs=2).fit(listed, y.tolist()).predict_proba(listed), of_part)
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({**columns, "wet": columns["wet"].tolist(), "kind": columns["kind"].tolist()})
    found.append(small(TabularClassifier, epochs=2).fit(table, y).predict_proba(table))
    assert np.array_equal(*found)


def test_columns_without_names_are_known_by_their_places(columns: dict[str, Any]) -> None:
    pandas = pytest.importorskip("pandas")
    y, numbers = sold(columns), np.random.default_rng(0).normal(size=(N, 4))
    numbers[:, 2] += y
    named, numbered = pandas.DataFrame(numbers, columns=list("abcd")), pandas.DataFrame(numbers)
    found = []
    for fitted in (numbers, named, numbered):
        clf = small(TabularClassifier, epochs=2).fit(fitted, y, X_val=fitted, y_val=y)
        for given in (numbers, named, numbered):
            if fitted is named or given is named:
                with warnings.catch_warnings():
                    warnings.filterwarnings("ignore", "X (has|does not have valid) feature names")
                    if fitted is named and given is numbered:
                        continue  # refused by scikit-learn, or not, by its version
                    found.append(clf.predict_proba(given))
            else:
                found.append(clf.predict_proba(given))
    assert all(np.array_equal(found[0], other) for other in found)


@pytest.mark.parametrize(
    "labels",
    [
        ["no", "yes"],
        [False, True],
        [3, 7],
        [2**62 + 1, 2**62 + 2],
        [1234567890123456789, 1234567890123456790],
        [-1.0, 2.0],
        ["None", "NA"],
        ["1", "01"],
    ],
)
@pytest.mark.parametrize("as_objects", [False, True])
def test_labels_stay_what_they_are(X: Any, columns: dict[str, Any], labels: list[Any], as_objects: bool) -> None:
    labels = sorted(labels)
    y = np.array(labels, dtype=object if as_objects else None)[sold(columns).astype(int)]
    clf = small(TabularClassifier, epochs=2).fit(X, y)
    assert clf.classes_.tolist() == labels and set(clf.predict(X).tolist()) <= set(labels)
    assert [type(label) for label in clf.classes_.tolist()] == [type(label) for label in labels]
    assert set(clf.model_.predict(X).tolist()) <= set(labels)
    assert (clf.model_.predict(X) == clf.predict(X)).all()


def test_labels_that_are_missing_or_alone(X: Any) -> None:
    for gap in (None, np.nan):
        with pytest.raises(ValueError, match=r"Input y contains NaN: y\[1\]"):
            TabularClassifier().fit(X[:3], np.array(["a", gap, "b"], dtype=object))
    with pytest.raises(ValueError, match="at least two classes"):
        TabularClassifier().fit(X, np.ones(N))
    with pytest.raises(ValueError, match="continuous"):
        TabularClassifier().fit(X, np.linspace(0, 1, N) + 0.123)


def test_what_networks_never_saw(X: Any, columns: dict[str, Any]) -> None:
    clf = small(TabularClassifier, epochs=2).fit(X, sold(columns))
    strange = X.copy()
    strange["kind"], strange["size"] = "palm", np.nan
    assert np.isfinite(clf.predict_proba(strange)).all()
    assert len(clf.predict(X[:1])) == 1
    endless = X.assign(size=np.inf)
    with pytest.raises(ValueError, match="infinit"):
        clf.predict(endless)
    with pytest.raises(ValueError, match="infinit"):
        small(TabularClassifier).fit(endless, sold(columns))


# -- the same results --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_ensemble", [1, 3])
def test_the_same_bits_for_any_threads_and_each_time(X: Any, columns: dict[str, Any], n_ensemble: int) -> None:
    def found(n_jobs: int | None) -> np.ndarray:
        clf = small(TabularClassifier, epochs=3, n_ensemble=n_ensemble, n_jobs=n_jobs)
        result: np.ndarray = clf.fit(X, sold(columns)).predict_proba(X)
        return result

    first = found(1)
    assert all(np.array_equal(first, found(n_jobs)) for n_jobs in (1, 2, 3, None))


def test_rows_of_weight_0_are_as_if_absent(X: Any, columns: dict[str, Any]) -> None:
    y = price(columns)
    weights = np.where(np.arange(N) % 3 == 0, 0.0, 1.0 + np.arange(N) % 2)
    some = weights > 0
    y[~some] = 1e9
    weighted = small(TabularRegressor, epochs=3).fit(X, y, weights)
    without = small(TabularRegressor, epochs=3).fit(X[some], y[some], weights[some])
    assert np.array_equal(weighted.predict(X), without.predict(X))
    equal = small(TabularRegressor, epochs=3).fit(X[some], y[some], np.full(some.sum(), 1.0))
    plain = small(TabularRegressor, epochs=3).fit(X[some], y[some])
    assert np.array_equal(equal.predict(X), plain.predict(X)) and not np.array_equal(
        equal.predict(X), without.predict(X)
    )
    with pytest.raises(ValueError, match="at least one non-zero"):
        small(TabularRegressor).fit(X, y, np.zeros(N))
    with pytest.raises(ValueError, match="Negative"):
        small(TabularRegressor).fit(X, y, -weights)


def test_weights_of_classes(X: Any, columns: dict[str, Any]) -> None:
    y = np.where(price(columns) > 75, "dear", "cheap")
    weights = {"dear": 4.0, "cheap": 0.5}
    by_class = small(TabularClassifier, epochs=4, class_weight=weights).fit(X, y)
    by_row = small(TabularClassifier, epochs=4).fit(X, y, np.vectorize(weights.get)(y))
    assert np.array_equal(by_class.predict_proba(X), by_row.predict_proba(X))
    balanced = small(TabularClassifier, class_weight="balanced").fit(X, y)
    plain = small(TabularClassifier).fit(X, y)
    assert (balanced.predict(X) == "dear").sum() > (plain.predict(X) == "dear").sum()


# -- losses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["mse", "squared_error", "mae", "absolute_error", schuss.Huber(0.5), "quantile"])
def test_losses_of_quantities(X: Any, columns: dict[str, Any], loss: Any) -> None:
    y = price(columns)
    reg = small(TabularRegressor, epochs=40, loss=loss).fit(X[:TRAIN], y[:TRAIN])
    assert reg.score(X[TRAIN:], y[TRAIN:]) > 0.6


@pytest.mark.parametrize("loss", ["poisson", "gamma", "tweedie", schuss.Tweedie(1.2)])
def test_losses_of_amounts(X: Any, columns: dict[str, Any], loss: Any) -> None:
    y = np.round(np.exp(price(columns) / 20)) + 1
    reg = small(TabularRegressor, epochs=40, loss=loss).fit(X[:TRAIN], y[:TRAIN])
    found = reg.predict(X[TRAIN:])
    assert (found > 0).all() and np.corrcoef(np.log(found), np.log(y[TRAIN:]))[0, 1] > 0.8
    y[17] = -1
    with pytest.raises(ValueError, match=r"y must be >= 0 for .*; y\[17\] is -1\.0"):
        reg.fit(X, y)
    with pytest.raises(ValueError, match=r"y_val must be >= 0 for .*; y_val\[17\] is -1\.0"):
        reg.fit(X, np.abs(y), X_val=X, y_val=y)


def test_several_quantiles_and_a_predicted_scale(X: Any, columns: dict[str, Any]) -> None:
    y = price(columns) + np.random.default_rng(1).normal(size=N) * 5
    quantiles = schuss.Quantile([0.1, 0.5, 0.9])
    reg = small(TabularRegressor, epochs=40, loss=quantiles).fit(X[:TRAIN], y[:TRAIN])
    found = reg.predict(X[TRAIN:])
    assert found.shape == (N - TRAIN, 3)
    assert 0.5 < ((found[:, 0] < y[TRAIN:]) & (y[TRAIN:] < found[:, 2])).mean() < 0.97
    assert 0.2 < reg.score(X[TRAIN:], y[TRAIN:]) < 1
    gauss = small(TabularRegressor, epochs=40, loss="gaussian", n_ensemble=2).fit(X[:TRAIN], y[:TRAIN])
    mean, std = gauss.predict(X[TRAIN:], return_std=True)
    assert mean.shape == std.shape == (N - TRAIN,) and (std > 0).all()
    assert 0.5 < (np.abs(mean - y[TRAIN:]) < 2 * std).mean() <= 1
    with pytest.raises(ValueError, match="return_std needs loss='gaussian'"):
        reg.predict(X, return_std=True)


def test_losses_of_classes_and_wrong_ones(X: Any, columns: dict[str, Any]) -> None:
    y = sold(columns)
    for loss in ("cross_entropy", "log_loss", "focal", schuss.CrossEntropy(0.1), schuss.Focal(1.0)):
        assert small(TabularClassifier, loss=loss, epochs=30).fit(X, y).score(X, y) > 0.75
    for estimator, loss in ((TabularClassifier, schuss.MSE()), (TabularRegressor, schuss.CrossEntropy())):
        with pytest.raises(ValueError, match="loss must be one for"):
            small(estimator, loss=loss).fit(X, y.astype(int))
    for estimator, loss in ((TabularClassifier, "mse"), (TabularRegressor, "cross_entropy")):
        with pytest.raises(ValueError, match="'loss' parameter"):
            small(estimator, loss=loss).fit(X, y.astype(int))


# -- validation, time, refit, ensembles --------------------------------------------------------------------------------


def test_validation_rows_of_ones_own(X: Any, columns: dict[str, Any]) -> None:
    y = sold(columns)
    train, test = (X[:TRAIN], y[:TRAIN]), (X[TRAIN:], y[TRAIN:])
    given = small(TabularClassifier).fit(*train, X_val=test[0], y_val=test[1])
    for eval_set in (test, [test], (*test, np.ones(N - TRAIN))):
        assert np.array_equal(
            given.predict_proba(X), small(TabularClassifier).fit(*train, eval_set=eval_set).predict_proba(X)
        )
    assert "val_loss" in given.history_ and len(given.history_) == given.n_iter_ == 12
    assert 1 <= given.best_epoch_ <= 12
    with pytest.raises(ValueError, match="given together"):
        small(TabularClassifier).fit(*train, X_val=X)
    with pytest.raises(ValueError, match="eval_set must be None"):
        small(TabularClassifier).fit(*train, eval_set=test, X_val=X, y_val=y)
    with pytest.raises(ValueError, match="y_val must hold classes of y"):
        small(TabularClassifier).fit(*train, X_val=X, y_val=np.where(y, 5, 6))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small(TabularClassifier).fit(*train, X_val=X, y_val=y[:-1])


@pytest.mark.parametrize("metric", [None, "loss", "error", "accuracy", "log_loss", "auc", "balanced_accuracy"])
def test_the_metric_says_which_epoch_is_best(X: Any, columns: dict[str, Any], metric: str | None) -> None:
    clf = small(TabularClassifier, metric=metric).fit(X, sold(columns))
    curve = clf.history_[f"val_{metric or 'error'}"] * (1 if metric in (None, "loss", "error", "log_loss") else -1)
    assert curve[clf.best_epoch_ - 1] == curve.min()
    with pytest.raises(ValueError, match="metric must be one of loss, error, accuracy"):
        small(TabularClassifier, metric="rmse").fit(X, sold(columns))
    with pytest.raises(ValueError, match="metric must be 'loss' or None with the loss 'poisson'"):
        small(TabularRegressor, metric="rmse", loss="poisson").fit(X, price(columns))


@pytest.mark.parametrize("weighted", [False, True])
def test_predictions_are_those_of_trainings_own_evaluation(X: Any, columns: dict[str, Any], weighted: bool) -> None:
    """Each row is read in prediction as it was for the curves of training."""
    y, weights = sold(columns), np.arange(N) % 4 + 1.0 if weighted else None
    more = {} if weights is None else {"sample_weight_val": weights[TRAIN:]}
    own = {"X_val": X[TRAIN:], "y_val": y[TRAIN:], **more}
    clf = small(TabularClassifier).fit(X[:TRAIN], y[:TRAIN], **own)
    of_rows = None if weights is None else weights[TRAIN:]
    error = clf.history_["val_error"][clf.best_epoch_ - 1]
    assert 1 - clf.score(X[TRAIN:], y[TRAIN:], of_rows) == pytest.approx(error, abs=1e-12)
    target = price(columns)
    own["y_val"] = target[TRAIN:]
    reg = small(TabularRegressor).fit(X[:TRAIN], target[:TRAIN], **own)
    distance = np.sqrt(np.average((reg.predict(X[TRAIN:]) - target[TRAIN:]) ** 2, weights=of_rows))
    rmse = reg.history_["val_rmse"][reg.best_epoch_ - 1] * target[:TRAIN].std()
    assert distance == pytest.approx(rmse, rel=1e-5)


def test_a_class_of_one_row_with_several_networks() -> None:
    rng = np.random.default_rng(0)
    clf = small(TabularClassifier, n_ensemble=3, validation_fraction=0.4, epochs=2)
    clf.fit(rng.normal(size=(5, 2)), [0, 0, 0, 0, 1])
    assert clf.predict_proba(rng.normal(size=(7, 2))).shape == (7, 2)
    clf.fit(rng.normal(size=(3, 2)), [2, 0, 2])
    assert clf.temperature_ > 0


def test_no_validation_keeps_the_last_epoch(X: Any, columns: dict[str, Any]) -> None:
    clf = small(TabularClassifier, validation_fraction=0.0).fit(X, sold(columns))
    assert clf.best_epoch_ == clf.n_iter_ == 12 and clf.temperature_ == 1.0 and "val_loss" not in clf.history_


def test_refit_on_all_rows(X: Any, columns: dict[str, Any]) -> None:
    y = price(columns)
    plain = small(TabularRegressor).fit(X, y)
    again = small(TabularRegressor, refit=True).fit(X, y)
    assert again.best_epoch_ == plain.best_epoch_ and not np.array_equal(again.predict(X), plain.predict(X))
    assert f"refitted on all {N} rows for {plain.best_epoch_} epochs" in again.notes_
    own = small(TabularRegressor, refit=True).fit(X[:TRAIN], y[:TRAIN], X_val=X[TRAIN:], y_val=y[TRAIN:])
    assert any(note.startswith(f"refitted on all {N} rows") for note in own.notes_)


def test_small_tables_get_several_networks(X: Any, columns: dict[str, Any]) -> None:
    y = price(columns)
    assert len(small(TabularRegressor, epochs=1, n_ensemble=None).fit(X, y).histories_) == 5
    assert len(small(TabularRegressor, epochs=1, n_ensemble=None, importance_repeats=1).fit(X, y).histories_) == 5
    counts = {8000: 5, 8001: 4, 10_001: 3, 13_334: 2, 20_000: 2, 20_001: 1, 10**9: 1, 0: 5}
    assert {rows: BY_NAME["realmlp"]().networks(rows) for rows in counts} == counts
    assert BY_NAME["tabm"]().networks(100) == 1


def test_an_ensemble_is_better_than_its_members(X: Any, columns: dict[str, Any]) -> None:
    y = price(columns) + np.random.default_rng(0).normal(size=N) * 8
    one = small(TabularRegressor, epochs=30).fit(X[:TRAIN], y[:TRAIN])
    five = small(TabularRegressor, epochs=30, n_ensemble=5).fit(X[:TRAIN], y[:TRAIN])
    assert len(five.histories_) == len(five.model_.networks) == 5 and five.history_ is five.histories_[0]
    assert five.score(X[TRAIN:], y[TRAIN:]) > one.score(X[TRAIN:], y[TRAIN:])


def test_a_time_limit(X: Any, columns: dict[str, Any]) -> None:
    y = sold(columns)
    TabularClassifier(RECIPE, epochs=1).fit(X, y)  # what is loaded the first time does not count
    start = time.perf_counter()
    clf = TabularClassifier(RECIPE, epochs=100_000, time_limit=1.0, random_state=0).fit(X, y)
    assert time.perf_counter() - start < 3.0
    assert clf.n_iter_ < 100_000 and clf.score(X, y) > 0.5
    assert len(clf.histories_) == 5 and all(len(history) < 100_000 for history in clf.histories_)
    assert any("fit the time limit" in note for note in clf.notes_)


def test_no_time_for_an_epoch(X: Any, columns: dict[str, Any]) -> None:
    clf = small(TabularClassifier, time_limit=1e-4).fit(X, sold(columns))
    assert clf.n_iter_ == 1 and clf.predict(X).shape == (N,)
    assert any(note.startswith("the time limit is shorter than an epoch: 256 of 960 rows train") for note in clf.notes_)


class Interrupt(Watch):
    """Ctrl-C in an epoch."""

    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> bool:
        ends = super().on_fit_task_end(estimator, context, fitted_estimator=fitted_estimator)
        if ends and context.task_name == "epoch":
            raise KeyboardInterrupt
        return False


@pytest.mark.parametrize("refit", [False, True])
def test_ctrl_c_keeps_what_there_is(X: Any, columns: dict[str, Any], refit: bool) -> None:
    pytest.importorskip("sklearn.callback")
    clf = small(TabularClassifier, refit=refit).set_callbacks(Interrupt(3))
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf.fit(X, sold(columns))
    assert clf.n_iter_ == 3 and clf.predict(X).shape == (N,)


def test_an_error_leaves_an_estimator_as_it_was(X: Any, columns: dict[str, Any]) -> None:
    clf = small(TabularClassifier, epochs=2).fit(X, sold(columns))
    before = clf.predict(X)
    for y, more in ((np.ones(N), {}), (np.where(before, "a", "b"), {"X_val": X.assign(size=np.inf), "y_val": before})):
        with pytest.raises(ValueError, match=r"class|infinit"):
            clf.fit(X, y, **more)
        assert np.array_equal(clf.predict(X), before) and clf.classes_.tolist() == [False, True]
    fresh = small(TabularClassifier)
    with pytest.raises(ValueError, match="y must have at least two classes"):
        fresh.fit(X, np.ones(N))
    assert not hasattr(fresh, "classes_") and not hasattr(fresh, "n_features_in_")


RECIPES = ["realmlp", "realmlp-s", "mlp", "tabm"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe(X: Any, columns: dict[str, Any], recipe: str, tmp_path: Any) -> None:
    y = np.where(sold(columns), "sold", "kept")
    several = {"n_ensemble": 2} if recipe != "tabm" else {}
    clf = TabularClassifier(recipe, epochs=25, random_state=0, **several).fit(X[:TRAIN], y[:TRAIN])
    reg = TabularRegressor(recipe, epochs=25, random_state=0).fit(X[:TRAIN], price(columns)[:TRAIN])
    assert log_loss(y[TRAIN:], clf.predict_proba(X[TRAIN:])) < 0.6
    assert reg.score(X[TRAIN:], price(columns)[TRAIN:]) > 0.5
    for estimator in (clf, reg):
        estimator.save(tmp_path / "model.npz")
        again = schuss.load_table(tmp_path / "model.npz")
        assert np.array_equal(again.predict(X), estimator.predict(X))
    assert again.recipe["recipe"] == recipe


def test_a_training_that_diverges_at_once_begins_anew_with_caution() -> None:
    """Few different rows make weights whose outputs cancel until dropout takes some; exp of that overflows."""
    anew = 0
    for seed in range(8):
        X = np.random.default_rng(seed).permutation(5)[:3, None]
        reg = TabularRegressor("realmlp", loss="poisson", epochs=3, random_state=seed, validation_fraction=0.0)
        assert np.isfinite(reg.fit(X, [3, 3, 3]).predict(X)).all()
        anew += any(note.startswith("training began anew, with another start") for note in reg.notes_)
    assert anew > 0


def test_a_recipe_with_other_numbers(X: Any, columns: dict[str, Any]) -> None:
    from schuss.tables.recipes import RealMLPS

    clf = small(TabularClassifier, recipe=RealMLPS(hidden=(32,), batch_size=64, epochs=3), epochs=None)
    clf.fit(X, sold(columns))
    assert clf.n_iter_ == 3 and clf.model_.networks[0].n_parameters < 2000
    assert clone(clf).fit(X, sold(columns)).predict_proba(X).tobytes() == clf.predict_proba(X).tobytes()
    with pytest.raises(ValueError, match="'recipe' parameter"):
        small(TabularClassifier, recipe="forest").fit(X, sold(columns))


def test_calibration(X: Any, columns: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    y = sold(columns) ^ (rng.random(N) < 0.25)
    train, test = (X[:300], y[:300]), (X[300:], y[300:])
    own = {"X_val": test[0], "y_val": test[1]}
    plain = small(TabularClassifier, epochs=60, calibrate=False).fit(*train, **own)
    found = small(TabularClassifier, epochs=60).fit(*train, **own)
    assert plain.temperature_ == 1.0 and found.temperature_ > 1.0  # it has learned labels that are noise by heart
    assert log_loss(test[1], found.predict_proba(test[0])) < log_loss(test[1], plain.predict_proba(test[0]))
    np.testing.assert_array_equal(found.predict(X), plain.predict(X))
    np.testing.assert_allclose(found.predict_proba(X).sum(axis=1), 1)
    np.testing.assert_array_equal(found.predict_log_proba(X), np.log(found.predict_proba(X)))


# -- importance --------------------------------------------------------------------------------------------------------


def test_importance(X: Any, columns: dict[str, Any]) -> None:
    y = sold(columns)
    clf = small(TabularClassifier, epochs=30, importance_repeats=3).fit(X, y)
    found = clf.permutation_importance_
    assert found.feature_names.tolist() == list(columns) and found.importances.shape == (5, 3)
    assert found.importances_mean[:2].min() > found.importances_mean[2:].max()
    for scoring in (None, "loss", "roc_auc", "neg_log_loss", lambda model, X, y: model.score(X, y)):
        by_score = clf.permutation_importance(X, y, n_repeats=2, scoring=scoring, random_state=0)
        assert by_score.importances_mean[:2].min() > by_score.importances_mean[2:].max()
    clf = small(TabularClassifier, epochs=4).fit(X, y)  # none of its probabilities is 0
    losses = [
        clf.permutation_importance(X, y, 2, scoring, random_state=3).importances for scoring in ("loss", "neg_log_loss")
    ]
    np.testing.assert_allclose(*losses)
    weighted = clf.permutation_importance(X, y, 2, sample_weight=np.arange(float(N)), random_state=3)
    assert np.isfinite(weighted.importances).all()
    reg = small(TabularRegressor, epochs=30, n_ensemble=2).fit(X, price(columns))
    of_quantity = reg.permutation_importance(X, price(columns), random_state=0).importances_mean
    assert set(np.argsort(of_quantity)[-2:]) == {0, 2}


def test_importance_is_that_of_columns_dealt_anew(X: Any, columns: dict[str, Any]) -> None:
    """The scores are those of tables whose columns were permuted and read again."""
    y = sold(columns)
    clf = small(TabularClassifier, epochs=5, n_ensemble=2).fit(X, y)
    found = clf.permutation_importance(X, y, 2, "neg_log_loss", random_state=7)
    seed = int(np.random.RandomState(7).randint(np.iinfo(np.int32).max))
    draw = np.random.Generator(np.random.PCG64(seed))
    orders = [draw.permutation(N) for _ in range(2)]
    before = -log_loss(y, clf.predict_proba(X))
    for k, name in enumerate(columns):
        for repeat, order in enumerate(orders):
            dealt = X.copy()
            dealt[name] = X[name].to_numpy()[order]
            expected_loss = before + log_loss(y, clf.predict_proba(dealt))
            np.testing.assert_allclose(found.importances[k, repeat], expected_loss, rtol=1e-9, atol=1e-12)


def test_importance_is_of_rows_not_learned_from(X: Any, columns: dict[str, Any]) -> None:
    y = sold(columns)
    plain = small(TabularClassifier, importance_repeats=2).fit(X, y).permutation_importance_
    again = small(TabularClassifier, importance_repeats=2, refit=True).fit(X, y).permutation_importance_
    np.testing.assert_array_equal(plain.importances, again.importances)
    target = price(columns)
    plain = small(TabularRegressor, importance_repeats=2).fit(X, target).permutation_importance_
    again = small(TabularRegressor, importance_repeats=2, refit=True).fit(X, target).permutation_importance_
    np.testing.assert_array_equal(plain.importances, again.importances)
    own = small(TabularClassifier, importance_repeats=2, n_ensemble=2)
    own.fit(X[:TRAIN], y[:TRAIN], X_val=X[TRAIN:], y_val=y[TRAIN:])
    seed = own.permutation_importance(X[TRAIN:], y[TRAIN:], 2, "loss", random_state=0).importances
    assert own.permutation_importance_.importances.shape == seed.shape
    assert not hasattr(small(TabularClassifier).fit(X, y), "permutation_importance_")


def test_importance_of_several_networks_is_of_what_each_has_not_learned_from(X: Any, columns: dict[str, Any]) -> None:
    y, weights = sold(columns), np.linspace(0.5, 1.5, N)
    clf = small(TabularClassifier, importance_repeats=2, n_ensemble=3, epochs=8).fit(X, y, sample_weight=weights)
    seed = int(np.random.RandomState(0).randint(np.iinfo(np.int32).max))
    encoded = np.searchsorted(clf.classes_, y)
    parts = [held for _, held in folds(N, 0.2, 3, seed, encoded)]
    assert len(set(np.concatenate(parts).tolist())) == sum(map(len, parts)) > N / 2
    wanted = np.zeros((len(columns), 2))
    for network, held in zip(clf.model_.networks, parts, strict=True):
        member = replace(clf.model_, networks=(network,))
        rows, truth, of_rows = X.iloc[held].reset_index(drop=True), encoded[held], weights[held]

        def lost(table: Any, member: Any = member, truth: Any = truth, of_rows: Any = of_rows) -> float:
            return float(log_loss(truth, member.predict_proba(table), sample_weight=of_rows))

        draw = np.random.Generator(np.random.PCG64(seed))
        orders = [draw.permutation(len(held)) for _ in range(2)]
        for k, name in enumerate(columns):
            for repeat, order in enumerate(orders):
                dealt = rows.copy()
                dealt[name] = rows[name].to_numpy()[order]
                wanted[k, repeat] += (lost(dealt) - lost(rows)) * of_rows.sum()
    wanted /= weights[np.concatenate(parts)].sum()
    np.testing.assert_allclose(clf.permutation_importance_.importances, wanted, rtol=1e-9, atol=1e-12)
    again = small(TabularClassifier, importance_repeats=2, n_ensemble=3, epochs=8, refit=True)
    again.fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(again.permutation_importance_.importances, clf.permutation_importance_.importances)
    plain = small(TabularClassifier, n_ensemble=3, epochs=8).fit(X, y, sample_weight=weights)
    np.testing.assert_array_equal(plain.predict_proba(X), clf.predict_proba(X))  # looking changes nothing


def test_importance_needs_rows_held_out(X: Any, columns: dict[str, Any]) -> None:
    clf = small(TabularClassifier, importance_repeats=2, validation_fraction=0.0)
    with pytest.raises(ValueError, match=r"importance_repeats must be 0 .* got 2 with validation_fraction=0.0 of"):
        clf.fit(X, sold(columns))
    assert not hasattr(clf, "model_")
    with pytest.raises(ValueError, match=r"importance_repeats must be 0 .* validation_fraction=0.2 of 4 rows"):
        small(TabularRegressor, importance_repeats=2, n_ensemble=2).fit(X[:4], price(columns)[:4])
    clf.fit(X[:TRAIN], sold(columns)[:TRAIN], X_val=X[TRAIN:], y_val=sold(columns)[TRAIN:])
    assert clf.permutation_importance_.importances.shape == (5, 2)


# -- what is said ------------------------------------------------------------------------------------------------------


def test_notes_are_told_once(columns: dict[str, Any], capsys: Any) -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({**columns, "same": 1.0})
    clf = small(TabularClassifier, verbose=2, epochs=2).fit(table, sold(columns))
    said = capsys.readouterr().err
    assert any("same" in note for note in clf.notes_)
    assert all(said.count(note) == 1 for note in clf.notes_)
    small(TabularClassifier, epochs=2).fit(table, sold(columns))
    assert capsys.readouterr() == ("", "")
