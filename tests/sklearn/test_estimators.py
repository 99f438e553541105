"""schuss.sklearn among scikit-learn's tools: its checks, sparse and weighted data, state, what others do with it."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import joblib
from sklearn import config_context, datasets, set_config
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate, learning_curve
from sklearn.neural_network import MLPClassifier as TheirClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import schuss
from schuss.sklearn import MLPClassifier, MLPRegressor

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    X, y = datasets.load_digits(return_X_y=True)
    return X[:400] / 16, y[:400]


@pytest.fixture(scope="module")
def diabetes() -> tuple[Any, Any]:
    X, y = datasets.load_diabetes(return_X_y=True)
    return X * 20, y / 100


@parametrize_with_checks(
    [
        MLPClassifier(max_iter=100),
        MLPRegressor(max_iter=100),
        MLPClassifier(
            hidden_layer_sizes=(20, 10),
            activation=["gelu", "leaky_relu"],
            solver="adamw",
            solver_options={"weight_decay": 0.01},
            learning_rate=schuss.schedules.Constant(0.01),
            max_iter=60,
            loss=schuss.CrossEntropy(0.05),
            l1=1e-4,
            clip_norm=1.0,
            n_jobs=1,
        ),
        MLPClassifier(activation="silu", solver="lion", max_iter=60, loss="focal", random_order="schuss"),
        MLPRegressor(
            "huber",
            activation="softplus",
            solver="radam",
            learning_rate_init=0.01,
            max_iter=60,
            l1=1e-4,
            clip_value=1.0,
        ),
        MLPRegressor("quantile", solver=schuss.RMSProp, learning_rate_init=0.01, max_iter=60, random_order="schuss"),
    ]
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    check(estimator)


# -- data ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize("form", ["csr", "csc", "csr of int64"])
def test_sparse_is_as_dense(form: str, solver: str, digits: tuple[Any, Any]) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X, y = digits
    given = sparse.csc_array(X) if form == "csc" else sparse.csr_array(X)
    if form == "csr of int64":
        given.indptr, given.indices = given.indptr.astype(np.int64), given.indices.astype(np.int64)
    arguments = {"solver": solver, "random_state": 0, "max_iter": 8, "batch_size": 33, "hidden_layer_sizes": 12}
    dense = MLPClassifier(**arguments).fit(X, y)
    found = MLPClassifier(**arguments).fit(given, y)
    for a, b in zip(dense.coefs_ + dense.intercepts_, found.coefs_ + found.intercepts_, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(dense.predict_proba(X), found.predict_proba(given))


@pytest.mark.parametrize("density", [0.0, 0.02, 0.5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_few_or_many_zeros_change_nothing(density: float, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compressed or dense, whatever the input was."""
    from schuss.sklearn import model

    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    X = np.where(rng.random((300, 90)) < density, rng.normal(size=(300, 90)), 0.0).astype(dtype)
    y = rng.integers(0, 3, 300)
    found = []
    for given in (X, sparse.csr_array(X), sparse.csc_array(X)):
        for share in (0.0, 2.0):
            monkeypatch.setattr(model, "DENSE_FROM", share)
            clf = MLPClassifier((37, 5), random_state=0, max_iter=4, batch_size=64, activation="tanh", dropout=0.1)
            found.append(clf.fit(given, y))
    assert all(same(found[0], other) and other.loss_curve_ == found[0].loss_curve_ for other in found[1:])


def test_sparse_rows_that_are_not_canonical() -> None:
    """Columns in any order, and twice: scikit-learn adds them up."""
    sparse = pytest.importorskip("scipy.sparse")
    X = sparse.csr_array((np.array([1.0, 2.0, 3.0, 4.0]), np.array([2, 0, 2, 1]), np.array([0, 3, 4])), shape=(2, 3))
    y = [0.5, 1.0]
    arguments = {"random_state": 0, "max_iter": 5, "hidden_layer_sizes": 4, "early_stopping": False}
    a = MLPRegressor(**arguments).fit(X, y)
    b = MLPRegressor(**arguments).fit(X.toarray(), y)
    np.testing.assert_array_equal(a.coefs_[0], b.coefs_[0])


@pytest.mark.parametrize("batch_size", [400, 64])
def test_sparse_in_schusss_own_order(batch_size: int, digits: tuple[Any, Any]) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X, y = digits
    arguments = {"random_state": 0, "max_iter": 6, "random_order": "schuss", "batch_size": batch_size, "dropout": 0.1}
    a, b = MLPClassifier(**arguments).fit(X, y), MLPClassifier(**arguments).fit(sparse.csr_array(X), y)
    np.testing.assert_array_equal(a.coefs_[0], b.coefs_[0])


@pytest.mark.parametrize("shuffle", [True, False])
def test_sparse_with_early_stopping_and_without_shuffling(shuffle: bool, digits: tuple[Any, Any]) -> None:
    sparse = pytest.importorskip("scipy.sparse")
    X, y = digits
    arguments = {"random_state": 0, "max_iter": 6, "early_stopping": True, "shuffle": shuffle}
    a, b = MLPClassifier(**arguments).fit(X, y), MLPClassifier(**arguments).fit(sparse.csr_array(X), y)
    np.testing.assert_array_equal(a.coefs_[0], b.coefs_[0])
    assert a.validation_scores_ == b.validation_scores_


@pytest.mark.parametrize("order", ["C", "F", "strided", "read-only", "big-endian"])
def test_any_layout(order: str, digits: tuple[Any, Any]) -> None:
    X, y = digits
    plain = MLPClassifier(random_state=0, max_iter=4).fit(X, y)
    given = {
        "C": X,
        "F": np.asfortranarray(X),
        "strided": np.repeat(X, 2, axis=0)[::2],
        "read-only": X.copy(),
        "big-endian": X.astype(">f8"),
    }[order]
    given.flags.writeable = order != "read-only"
    found = MLPClassifier(random_state=0, max_iter=4).fit(given, y)
    np.testing.assert_array_equal(plain.coefs_[0], found.coefs_[0])
    np.testing.assert_array_equal(plain.predict_proba(X), found.predict_proba(given))


def test_pandas_names_are_checked(digits: tuple[Any, Any]) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = digits
    frame = pandas.DataFrame(X, columns=[f"p{k}" for k in range(64)])
    clf = MLPClassifier(random_state=0, max_iter=4, early_stopping=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", category=__import__("sklearn.exceptions").exceptions.ConvergenceWarning)
        clf.fit(frame, pandas.Series(y))
        clf.predict(frame)
    assert list(clf.feature_names_in_) == list(frame.columns)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        clf.predict(X)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(frame.rename(columns={"p0": "other"}))


def test_polars(digits: tuple[Any, Any]) -> None:
    polars = pytest.importorskip("polars")
    X, y = digits
    clf = MLPClassifier(random_state=0, max_iter=4).fit(polars.DataFrame(X), y)
    np.testing.assert_array_equal(clf.coefs_[0], MLPClassifier(random_state=0, max_iter=4).fit(X, y).coefs_[0])


def test_torch_tensors(digits: tuple[Any, Any]) -> None:
    torch = pytest.importorskip("torch")
    X, y = digits
    clf = MLPClassifier(random_state=0, max_iter=4).fit(torch.from_numpy(X), torch.from_numpy(y))
    np.testing.assert_array_equal(clf.coefs_[0], MLPClassifier(random_state=0, max_iter=4).fit(X, y).coefs_[0])


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
def test_weights_are_scikit_learns(solver: str, digits: tuple[Any, Any]) -> None:
    X, y = digits
    w = np.random.default_rng(0).uniform(0, 3, len(y))
    w[:5] = 0
    arguments = {"solver": solver, "random_state": 0, "max_iter": 8, "batch_size": 50}
    theirs = TheirClassifier(**arguments).fit(X, y, sample_weight=w)
    ours = MLPClassifier(**arguments).fit(X, y, sample_weight=w)
    np.testing.assert_allclose(ours.coefs_[0], theirs.coefs_[0], rtol=1e-4 if solver == "lbfgs" else 1e-9, atol=1e-9)
    assert ours.score(X, y, sample_weight=w) == pytest.approx(theirs.score(X, y, sample_weight=w), abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "nothing"}, "'activation' parameter of MLPClassifier must be"),
        ({"solver": "nothing"}, "'solver' parameter of MLPClassifier must be"),
        ({"solver": int}, "solver must be .lbfgs., or a name or class"),
        ({"activation": ["relu", "relu"]}, "activation must be one for all hidden layers or 1, one each; got 2"),
        ({"dropout": [1.5]}, "dropout must be in"),
        ({"hidden_layer_sizes": (10, 0)}, "hidden_layer_sizes must be > 0, got"),
        ({"loss": schuss.MSE()}, "loss must be one for classes"),
        ({"alpha": -1}, "'alpha' parameter of MLPClassifier must be"),
        ({"solver_options": {"no": 1}}, "no"),
        ({"random_order": "other"}, "'random_order' parameter"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], message: str, digits: tuple[Any, Any]) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        MLPClassifier(**arguments).fit(*digits)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_in_fit_and_prediction(bad: float, digits: tuple[Any, Any]) -> None:
    X, y = digits
    worse = X.copy()
    worse[3, 7] = bad
    clf = MLPClassifier(max_iter=2)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        clf.fit(worse, y)
    clf.fit(X, y)
    for method in (clf.predict, clf.predict_proba):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            method(worse)


def test_diverging_is_told(diabetes: tuple[Any, Any]) -> None:
    X, y = diabetes
    reg = MLPRegressor(solver="sgd", learning_rate_init=100.0, activation="identity", random_state=0)
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        reg.fit(X * 1e3, y)


def test_zero_weight_batches_do_no_harm(digits: tuple[Any, Any]) -> None:
    X, y = digits
    w = np.zeros(len(y))
    w[::40] = 1
    clf = MLPClassifier(random_state=0, max_iter=3, batch_size=10).fit(X, y, sample_weight=w)
    assert np.isfinite(clf.coefs_[0]).all() and np.isfinite(clf.loss_)


# -- state -----------------------------------------------------------------------------------------------------------


def same(a: Any, b: Any) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True))


@pytest.mark.parametrize("solver", ["sgd", "adam", "rmsprop"])
def test_pickled_it_goes_on_as_if_it_had_not_been(solver: str, digits: tuple[Any, Any]) -> None:
    X, y = digits
    clf = MLPClassifier(solver=solver, random_state=np.random.RandomState(0), max_iter=3)
    clf.partial_fit(X, y, classes=np.unique(y)).partial_fit(X, y)
    for again in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        assert same(clf, again)
        np.testing.assert_array_equal(clf.predict_proba(X), again.predict_proba(X))
        assert again.coefs_[0] is not clf.coefs_[0]
        once = copy.deepcopy(clf).partial_fit(X, y)
        assert same(once, again.partial_fit(X, y))


def test_joblib_memory_maps(digits: tuple[Any, Any], tmp_path: Any) -> None:
    X, y = digits
    clf = MLPClassifier(random_state=0, max_iter=3).fit(X, y)
    joblib.dump(clf, tmp_path / "clf")
    again = joblib.load(tmp_path / "clf", mmap_mode="r")
    assert same(clf, again)
    again.partial_fit(X, y)
    joblib.dump(X, tmp_path / "X")
    mapped = joblib.load(tmp_path / "X", mmap_mode="r")
    assert same(clf, MLPClassifier(random_state=0, max_iter=3).fit(mapped, y))


def test_clone_is_not_fitted(digits: tuple[Any, Any]) -> None:
    clf = MLPClassifier(solver_options={"amsgrad": True}, loss=schuss.Focal(1.0), max_iter=2).fit(*digits)
    again = clone(clf)
    assert not hasattr(again, "coefs_") and again.get_params()["loss"] == schuss.Focal(1.0)
    assert repr(MLPClassifier()) == "MLPClassifier()"
    assert is_classifier(again) and is_regressor(MLPRegressor())


def test_what_is_written_into_the_weights_counts(digits: tuple[Any, Any]) -> None:
    X, y = digits
    clf = MLPClassifier(random_state=0, max_iter=3).fit(X, y)
    before = clf.predict_proba(X)
    clf.coefs_[1][:] = 0
    assert not np.array_equal(before, clf.predict_proba(X))
    clf.intercepts_[1] = np.zeros(10)
    np.testing.assert_allclose(clf.predict_proba(X), 0.1)
    clf.coefs_ = [np.zeros((64, 5)), np.zeros((5, 10))]
    clf.intercepts_ = [np.zeros(5), np.arange(10.0)]
    assert (clf.predict(X) == 9).all()
    pickled = pickle.loads(pickle.dumps(clf))
    assert (pickled.predict(X) == 9).all()


def test_weights_set_by_hand_without_a_fit() -> None:
    clf = MLPClassifier(activation="identity")
    clf.coefs_, clf.intercepts_ = [np.eye(2), np.array([[1.0], [-1.0]])], [np.zeros(2), np.zeros(1)]
    clf.n_layers_, clf.n_outputs_, clf.out_activation_ = 3, 1, "logistic"
    clf.n_features_in_ = 2
    np.testing.assert_allclose(clf.predict_proba([[3.0, 1.0]])[0, 1], 1 / (1 + np.exp(-2)))


@pytest.mark.parametrize("own", [True, False])
def test_warm_start_keeps_parameters(own: bool, digits: tuple[Any, Any]) -> None:
    X, y = digits
    clf = MLPClassifier(warm_start=True, max_iter=4, random_state=0, random_order="schuss" if own else "sklearn")
    clf.fit(X, y)
    first = clf.loss_curve_[-1]
    clf.fit(X, y)
    assert len(clf.loss_curve_) == 8 and clf.n_iter_ == 4 and clf.loss_curve_[4] < first * 1.05


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.05, "n_iter_no_change": 1},
        {"solver": "adamw", "learning_rate": schuss.schedules.Cosine(0.01, 200), "dropout": 0.2},
        {"early_stopping": True, "n_iter_no_change": 100},
        {"batch_size": 400, "solver": "radam", "l1": 1e-3},
    ],
)
@pytest.mark.parametrize("way", ["warm start", "pickle"])
def test_resumed_is_the_same_to_the_last_bit(way: str, more: dict[str, Any], digits: tuple[Any, Any]) -> None:
    X, y = digits
    arguments = {"random_state": 5, "random_order": "schuss", "warm_start": True, "max_iter": 12, **more}
    once = MLPClassifier(**arguments).fit(X, y)
    parts = MLPClassifier(**arguments).set_params(max_iter=5).fit(X, y)
    if way == "pickle":
        parts = pickle.loads(pickle.dumps(parts))
    parts.set_params(max_iter=7).fit(X, y)
    assert parts.loss_curve_ == once.loss_curve_
    assert same(once, parts) and once.t_ == parts.t_
    assert once.validation_scores_ == parts.validation_scores_


def test_solvers_and_early_stopping_may_change_between_fits(digits: tuple[Any, Any]) -> None:
    X, y = digits
    clf = MLPClassifier(solver="lbfgs", warm_start=True, max_iter=5, random_state=0).fit(X, y)
    clf.set_params(solver="adam").fit(X, y)
    assert clf.coefs_[0].dtype == np.float64 and len(clf.loss_curve_) == 5
    clf.set_params(early_stopping=True).fit(X, y)
    assert len(clf.validation_scores_) == 5 and clf.best_loss_ is None
    clf.set_params(early_stopping=False).fit(X, y)
    assert len(clf.loss_curve_) == 15 and clf.best_loss_ == min(clf.loss_curve_[10:])


def test_an_interrupt_keeps_what_there_is(digits: tuple[Any, Any]) -> None:
    X, y = digits

    class Stop:
        def setup(self, estimator: Any, context: Any) -> None: ...
        def teardown(self, estimator: Any, context: Any) -> None: ...
        def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...
        def on_fit_task_end(self, estimator: Any, context: Any) -> None:
            if context.task_name == "epoch" and context.task_id == 4:
                raise KeyboardInterrupt

    if not hasattr(MLPClassifier, "set_callbacks"):
        pytest.skip("this scikit-learn has no callbacks")
    clf = MLPClassifier(random_state=0, max_iter=20)
    clf.set_callbacks(Stop())
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf.fit(X, y)
    assert clf.n_iter_ == 5
    assert same(clf, MLPClassifier(random_state=0, max_iter=5).fit(X, y))


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="needs setitimer")
def test_ctrl_c_and_on_is_the_same_as_one_fit() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20000, 60)), rng.integers(0, 5, 20000)
    arguments = {"random_state": 0, "random_order": "schuss", "warm_start": True, "tol": 0.0, "batch_size": 32}
    clf = MLPClassifier(max_iter=1000, **arguments)
    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            clf.fit(X, y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    done = len(clf.loss_curve_)
    assert done < 1000
    clf.set_params(max_iter=2).fit(X, y)
    once = MLPClassifier(max_iter=done + 2, **arguments).fit(X, y)
    assert once.loss_curve_ == clf.loss_curve_ and same(once, clf)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.skipif(sys.platform == "win32", reason="needs setitimer")
def test_ctrl_c_ends_a_fit_soon() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100_000, 60)), rng.integers(0, 5, 100_000)
    clf = MLPClassifier((200, 200), max_iter=1000, random_state=0)
    before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            clf.fit(X, y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert np.isfinite(clf.predict_proba(X[:5])).all()


def test_arguments_set_between_fits_count(digits: tuple[Any, Any]) -> None:
    X, y = digits
    for kind in (TheirClassifier, MLPClassifier):
        clf = kind(random_state=0, max_iter=3, warm_start=True).fit(X, y)
        clf.set_params(activation="tanh", solver="sgd", learning_rate_init=0.1).fit(X, y)
        if kind is TheirClassifier:
            theirs = clf
    np.testing.assert_allclose(clf.loss_curve_, theirs.loss_curve_, rtol=1e-12)
    part = MLPClassifier(random_state=0).partial_fit(X, y, classes=np.unique(y))
    steps = part._network.optimizer.steps
    part.set_params(dropout=0.3).partial_fit(X, y)
    assert part._network.layers[0].dropout == 0.3 and part._network.optimizer.steps == 2 * steps


def test_array_api_dispatch() -> None:
    """With scikit-learn's dispatch on, tensors come in and NumPy arrays out."""
    pytest.importorskip("torch")
    code = """
import sklearn, torch, numpy as np, warnings
warnings.simplefilter("ignore")
from schuss.sklearn import MLPClassifier, MLPRegressor
X, y = torch.randn(60, 4, dtype=torch.float64), torch.arange(60) % 3
with sklearn.config_context(array_api_dispatch=True):
    clf = MLPClassifier(max_iter=3, random_state=0).fit(X, y)
    reg = MLPRegressor(max_iter=3, random_state=0, early_stopping=True).fit(X, X[:, 0])
    assert isinstance(clf.predict(X), np.ndarray) and isinstance(reg.predict(X), np.ndarray)
    clf.partial_fit(X, y, sample_weight=torch.ones(60, dtype=torch.float64))
plain = MLPClassifier(max_iter=3, random_state=0).fit(X.numpy(), y.numpy())
assert np.array_equal(plain.loss_curve_, clf.loss_curve_[:3])
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "SCIPY_ARRAY_API": "1"})


# -- among others ----------------------------------------------------------------------------------------------------


@pytest.fixture
def routing() -> Iterator[None]:
    set_config(enable_metadata_routing=True)
    yield
    set_config(enable_metadata_routing=False)


def test_metadata_routing(routing: None, digits: tuple[Any, Any]) -> None:
    X, y = digits
    w = np.random.default_rng(0).uniform(0.1, 2, len(y))
    clf = (
        MLPClassifier(random_state=0, max_iter=3)
        .set_fit_request(sample_weight=True)
        .set_score_request(sample_weight=True)
    )
    pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), clf)
    pipe.fit(X, y, sample_weight=w)
    alone = MLPClassifier(random_state=0, max_iter=3).fit(StandardScaler().fit_transform(X), y, sample_weight=w)
    assert same(pipe[-1], alone)
    found = cross_validate(pipe, X, y, params={"sample_weight": w}, cv=2, error_score="raise")
    assert (found["test_score"] > 0).all()


def test_pipeline_and_search_on_two_processes(digits: tuple[Any, Any]) -> None:
    X, y = digits
    pipe = make_pipeline(StandardScaler(), MLPClassifier(random_state=0, max_iter=5))
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__hidden_layer_sizes": [(10,), (20, 5)]}
    alone = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(X, y)
    shared = GridSearchCV(pipe, grid, cv=2, n_jobs=2, error_score="raise").fit(X, y)
    np.testing.assert_array_equal(alone.cv_results_["mean_test_score"], shared.cv_results_["mean_test_score"])
    theirs = make_pipeline(StandardScaler(), TheirClassifier(random_state=0, max_iter=5))
    grid = {name.replace("mlp", "mlp"): values for name, values in grid.items()}
    found = GridSearchCV(theirs, grid, cv=2, error_score="raise").fit(X, y)
    np.testing.assert_allclose(alone.cv_results_["mean_test_score"], found.cv_results_["mean_test_score"], atol=1e-12)


def _threads_of_a_worker(_: int) -> int:
    return schuss.get_num_threads()


def test_workers_share_the_cpus() -> None:
    """Joblib tells its processes how many threads each may have."""
    found = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(_threads_of_a_worker)(k) for k in range(2))
    assert max(found) <= max(1, len(os.sched_getaffinity(0)) // 2 if hasattr(os, "sched_getaffinity") else 1000)


def test_calibration_stacking_and_learning_curve(digits: tuple[Any, Any]) -> None:
    X, y = digits
    clf = MLPClassifier(random_state=0, max_iter=40)
    assert CalibratedClassifierCV(clf, cv=2).fit(X, y).score(X, y) > 0.7
    stack = StackingClassifier(
        [("a", clf), ("b", MLPClassifier((20,), random_state=1, max_iter=40))], LogisticRegression(), cv=2
    )
    assert stack.fit(X, y).score(X, y) > 0.8
    sizes, train, _ = learning_curve(clf, X, y, train_sizes=[0.5, 1.0], cv=2)
    assert len(sizes) == 2 and np.isfinite(train).all()
    assert (cross_val_score(clf, X, y, cv=3) > 0.5).all()


def test_threads_may_predict_at_once(digits: tuple[Any, Any]) -> None:
    X, y = digits
    clf = MLPClassifier(random_state=0, max_iter=3).fit(X, y)
    wanted, found, errors = clf.predict_proba(X), [], []

    def work() -> None:
        try:
            for _ in range(50):
                found.append(np.array_equal(clf.predict_proba(X), wanted))
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not errors and len(found) == 200 and all(found)


def test_parallel_fits_on_threads(digits: tuple[Any, Any]) -> None:
    X, y = digits
    wanted = MLPClassifier(random_state=0, max_iter=4).fit(X, y)
    found = joblib.Parallel(n_jobs=3, backend="threading")(
        joblib.delayed(MLPClassifier(random_state=0, max_iter=4).fit)(X, y) for _ in range(6)
    )
    assert all(same(wanted, clf) for clf in found)


def test_finite_is_assumed_where_the_user_says_so(digits: tuple[Any, Any]) -> None:
    X, y = digits
    clf = MLPClassifier(random_state=0, max_iter=2).fit(X, y)
    worse = X[:2].copy()
    worse[0, 0] = np.nan
    with config_context(assume_finite=True):
        found = clf.predict_proba(worse)
    assert np.isnan(found[0]).all() and np.isfinite(found[1]).all()


def test_import_of_schuss_does_not_import_scikit_learn() -> None:
    code = "import schuss, sys; assert not any(m.split('.')[0] in ('sklearn', 'scipy') for m in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_scikit_learn_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["sklearn"] = None
try:
    import schuss.sklearn
except ImportError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found == "schuss.sklearn needs scikit-learn: pip install 'schuss[sklearn]'\n"
