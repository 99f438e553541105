"""What scikit-learn's networks were asked for and did not get: each wish of docs/sklearn.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn import datasets
from sklearn.metrics import log_loss, make_scorer, mean_pinball_loss, recall_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale
from sklearn.utils.class_weight import compute_sample_weight

import schuss
from schuss.optim import BY_NAME
from schuss.sklearn import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def classes() -> tuple[Any, Any]:
    X, y = datasets.make_classification(500, 10, n_informative=6, n_classes=3, random_state=0)
    return X, np.array(["a", "b", "c"])[y]


@pytest.fixture(scope="module")
def rare() -> tuple[Any, Any]:
    X, y = datasets.make_classification(800, 8, weights=[0.93], flip_y=0.05, random_state=1)
    return X, y


@pytest.fixture(scope="module")
def numbers() -> tuple[Any, Any]:
    X, y = datasets.make_friedman1(500, noise=1.0, random_state=0)
    return scale(X), y


def gradient_error(est: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """How far the gradient that L-BFGS gets is from differences of its loss, relative."""
    from schuss.sklearn import quasi_newton

    seen: dict[str, Any] = {}

    def spy(fun: Any, start: Any, **_: Any) -> Any:
        x = start + 0.01 * np.random.default_rng(0).normal(size=len(start))
        value, gradient = fun(x)
        seen["gradient"] = gradient.copy()
        places = np.linspace(0, len(x) - 1, 25).astype(int)
        seen["places"], seen["slopes"] = places, []
        for k in places:
            step = np.zeros(len(x))
            step[k] = 1e-6
            seen["slopes"].append((fun(x + step)[0] - fun(x - step)[0]) / 2e-6)
        return quasi_newton.scipy.optimize.OptimizeResult(x=x, fun=value, nit=1, status=0, message="")

    est.set_params(solver="lbfgs", hidden_layer_sizes=(6,), activation="tanh", random_state=0)
    before = quasi_newton.scipy.optimize.minimize
    quasi_newton.scipy.optimize.minimize = spy
    try:
        est.fit(X, y, sample_weight=sample_weight)
    finally:
        quasi_newton.scipy.optimize.minimize = before
    found = seen["gradient"][seen["places"]]
    return float(np.max(np.abs(found - seen["slopes"])) / np.max(np.abs(found)))


# -- weights ---------------------------------------------------------------------------------------------------------


def test_class_weight_multiplies_sample_weight(rare: tuple[Any, Any]) -> None:
    X, y = rare
    arguments = {"random_state": 0, "max_iter": 15}
    w = np.random.default_rng(0).uniform(0.5, 2, len(y))
    by_class = MLPClassifier(class_weight={0: 1.0, 1: 7.0}, **arguments).fit(X, y, sample_weight=w)
    by_row = MLPClassifier(**arguments).fit(X, y, sample_weight=w * np.where(y == 1, 7.0, 1.0))
    np.testing.assert_array_equal(by_class.coefs_[0], by_row.coefs_[0])
    plain = MLPClassifier(**arguments).fit(X, y)
    balanced = MLPClassifier(class_weight="balanced", **arguments).fit(X, y)
    assert recall_score(y, balanced.predict(X)) > recall_score(y, plain.predict(X)) + 0.1
    with pytest.raises(ValueError, match="class_weight must not be 'balanced' in partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X, y, classes=[0, 1])
    strings = np.array(["no", "yes"])[y]
    named = MLPClassifier(class_weight={"no": 1.0, "yes": 7.0}, **arguments).fit(X, strings, sample_weight=w)
    np.testing.assert_array_equal(named.coefs_[0], by_class.coefs_[0])
    multilabel = np.stack([y, X[:, 0] > 0], axis=1).astype(int)
    found = MLPClassifier(class_weight="balanced", **arguments).fit(X, multilabel)
    by_row = MLPClassifier(**arguments).fit(X, multilabel, sample_weight=compute_sample_weight("balanced", multilabel))
    np.testing.assert_array_equal(found.coefs_[0], by_row.coefs_[0])


def test_sample_weight_in_every_method(rare: tuple[Any, Any]) -> None:
    X, y = rare
    w = np.where(y == 1, 3.0, 1.0)
    clf = MLPClassifier(random_state=0).partial_fit(X, y, w, [0, 1]).partial_fit(X, y, sample_weight=w)
    assert clf.score(X, y, sample_weight=w) != clf.score(X, y)
    clf.fit(X, y, w, X_val=X, y_val=y, sample_weight_val=w)
    MLPRegressor(random_state=0).partial_fit(X, y, w).partial_fit(X, y, sample_weight=w)


# -- networks --------------------------------------------------------------------------------------------------------


def test_dropout(classes: tuple[Any, Any]) -> None:
    X, y = classes
    plain = MLPClassifier((50, 20), random_state=0, max_iter=60).fit(X, y)
    dropped = MLPClassifier((50, 20), dropout=[0.3, 0.1], random_state=0, max_iter=60).fit(X, y)
    assert dropped.loss_ > plain.loss_  # in training; not when it predicts:
    np.testing.assert_array_equal(dropped.predict_proba(X), dropped.predict_proba(X))
    again = MLPClassifier((50, 20), dropout=[0.3, 0.1], random_state=0, max_iter=60).fit(X, y)
    np.testing.assert_array_equal(dropped.coefs_[0], again.coefs_[0])
    assert not np.array_equal(
        dropped.coefs_[0], MLPClassifier((50, 20), dropout=0.1, random_state=0).fit(X, y).coefs_[0]
    )


def test_an_activation_for_each_layer(classes: tuple[Any, Any]) -> None:
    X, y = classes
    names = ["gelu", "leaky_relu", "elu", "silu", "softplus", "sigmoid", "tanh", "relu", "identity", "logistic"]
    for name in [*names, "selu", "mish", "hard_swish"]:
        clf = MLPClassifier((15,), activation=name, random_state=0, max_iter=10).fit(X, y)
        hidden = schuss._core.activate(
            {"logistic": "sigmoid"}.get(name, name),
            (X @ clf.coefs_[0] + clf.intercepts_[0]).ravel(),
            {"leaky_relu": 0.01, "elu": 1.0}.get(name, 0.0),
        )
        logits = hidden.reshape(len(X), -1) @ clf.coefs_[1] + clf.intercepts_[1]
        assert (clf.classes_[logits.argmax(axis=1)] == clf.predict(X)).all()
    mixed = MLPClassifier((15, 10), activation=["gelu", "tanh"], random_state=0, max_iter=10).fit(X, y)
    assert [layer.activation for layer in mixed._network.layers] == ["gelu", "tanh", "softmax"]
    same = MLPClassifier((15, 10), activation=["relu", "relu"], random_state=0, max_iter=10).fit(X, y)
    np.testing.assert_array_equal(
        same.coefs_[0], MLPClassifier((15, 10), random_state=0, max_iter=10).fit(X, y).coefs_[0]
    )


# -- losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "loss",
    [
        "absolute_error",
        "huber",
        "quantile",
        "gamma",
        "tweedie",
        "gaussian",
        schuss.Huber(0.3),
        schuss.Quantile([0.1, 0.5, 0.9]),
        schuss.Tweedie(1.7),
        schuss.Tweedie(3.0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_numbers(loss: Any, weighted: bool, numbers: tuple[Any, Any]) -> None:
    X, y = numbers
    y = np.abs(y) / 10 + 0.1
    w = np.random.default_rng(0).uniform(0, 2, len(y)) if weighted else None
    assert gradient_error(MLPRegressor(loss, alpha=0.1, l1=0.0), X[:60], y[:60], w if w is None else w[:60]) < 1e-5
    reg = MLPRegressor(loss, random_state=0, max_iter=150, learning_rate_init=0.01).fit(X, y, sample_weight=w)
    assert reg.loss_ < reg.loss_curve_[0] and reg.score(X, y) > 0.3


def test_quantiles_are_quantiles(numbers: tuple[Any, Any]) -> None:
    X, y = numbers
    levels = [0.1, 0.5, 0.9]
    reg = MLPRegressor(schuss.Quantile(levels), random_state=0, max_iter=300, learning_rate_init=0.01).fit(X, y)
    found = reg.predict(X)
    assert found.shape == (len(X), 3) and reg.n_outputs_ == 1
    np.testing.assert_allclose((y[:, None] < found).mean(axis=0), levels, atol=0.15)
    one = MLPRegressor(schuss.Quantile(0.9), random_state=0, max_iter=300, learning_rate_init=0.01).fit(X, y)
    assert one.predict(X).shape == (len(X),)
    assert mean_pinball_loss(y, one.predict(X), alpha=0.9) < mean_pinball_loss(y, found[:, 1], alpha=0.9)


def test_gaussian_predicts_a_scale() -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (1500, 1))
    y = X[:, 0] + np.exp(X[:, 0]) * 0.3 * rng.normal(size=1500)
    reg = MLPRegressor("gaussian", (30,), activation="tanh", learning_rate_init=0.01, random_state=0).fit(X, y)
    mean, std = reg.predict([[-0.8], [0.8]], return_std=True)
    np.testing.assert_allclose(mean, [-0.8, 0.8], atol=0.15)
    np.testing.assert_allclose(std, 0.3 * np.exp([-0.8, 0.8]), rtol=0.25)
    with pytest.raises(ValueError, match="return_std needs loss='gaussian'"):
        MLPRegressor(max_iter=2).fit(X, y).predict(X, return_std=True)
    both = MLPRegressor("gaussian", (10,), max_iter=5, random_state=0).fit(X, np.stack([y, -y], axis=1))
    assert [part.shape for part in both.predict(X, return_std=True)] == [(1500, 2), (1500, 2)]


@pytest.mark.parametrize("kind", ["binary", "three", "labels"])
@pytest.mark.parametrize("loss", ["focal", schuss.Focal(0.5), schuss.CrossEntropy(0.1)], ids=repr)
def test_losses_of_classes(loss: Any, kind: str, classes: tuple[Any, Any]) -> None:
    X, y = classes
    target = {"binary": y == "a", "three": y, "labels": np.stack([y == "a", y != "b"], axis=1).astype(int)}[kind]
    w = np.random.default_rng(0).uniform(0.1, 2, len(y))
    assert gradient_error(MLPClassifier(loss=loss, alpha=0.1), X[:60], target[:60], w[:60]) < 1e-5
    clf = MLPClassifier(loss=loss, random_state=0, max_iter=100, learning_rate_init=0.01).fit(X, target)
    assert clf.score(X, target) > 0.75


def test_smoothing_keeps_probabilities_away_from_the_ends(classes: tuple[Any, Any]) -> None:
    X, y = classes
    arguments = {"random_state": 0, "max_iter": 300, "learning_rate_init": 0.01, "alpha": 0.0}
    sharp = MLPClassifier(**arguments).fit(X, y).predict_proba(X).max()
    soft = MLPClassifier(loss=schuss.CrossEntropy(0.2), **arguments).fit(X, y).predict_proba(X).max()
    assert soft < 0.99 < 0.9999 < sharp


def log_cosh(p: Any, t: Any, weights: Any = None) -> tuple[float, Any]:
    d = p - t
    share = np.full((len(d), 1), 1 / len(d)) if weights is None else (weights / weights.sum())[:, None]
    return float((share * (np.logaddexp(d, -d) - np.log(2))).sum()), share * np.tanh(d)


def test_a_loss_of_ones_own(numbers: tuple[Any, Any]) -> None:
    X, y = numbers
    w = np.random.default_rng(0).uniform(0.1, 2, len(y))
    assert gradient_error(MLPRegressor(log_cosh, alpha=0.1), X[:60], y[:60], w[:60]) < 1e-5
    reg = MLPRegressor(log_cosh, random_state=0, max_iter=100, learning_rate_init=0.01).fit(X, y)
    assert reg.score(X, y) > 0.8
    with pytest.raises(ValueError, match="gradient must have the prediction's shape"):
        MLPRegressor(lambda p, t: (0.0, np.zeros(3)), max_iter=2).fit(X, y)

    def squares(p: Any, t: Any) -> tuple[float, Any]:
        return float(0.5 * np.mean((p - t) ** 2)), (p - t) / len(p)

    mine = MLPRegressor(squares, random_state=0, max_iter=20).fit(X, y)
    theirs = MLPRegressor(random_state=0, max_iter=20).fit(X, y)
    np.testing.assert_allclose(mine.loss_curve_, theirs.loss_curve_, rtol=1e-9)


# -- solvers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_any_optimizer(name: str, classes: tuple[Any, Any]) -> None:
    X, y = classes
    rates = {"adadelta": 1.0, "prodigy": 1.0, "lion": 1e-3, "signum": 1e-3, "rprop": 1e-3, "ftrl": 0.1, "lars": 5.0}
    # Rprop is for gradients of all rows.
    arguments = {"random_state": 0, "max_iter": 60, "batch_size": 500 if name == "rprop" else 50}
    clf = MLPClassifier(solver=name, learning_rate_init=rates.get(name, 0.01), **arguments)
    clf.fit(X, y)
    assert clf.loss_ < 0.7 * clf.loss_curve_[0], (clf.loss_curve_[0], clf.loss_)
    clf.partial_fit(X, y)
    same = MLPClassifier(solver=BY_NAME[name], learning_rate_init=rates.get(name, 0.01), **arguments).fit(X, y)
    if name not in ("sgd", "adam"):  # these names are scikit-learn's form, with its arguments
        assert same.loss_ == clf.loss_curve_[-2]


def test_options_of_the_solver(classes: tuple[Any, Any]) -> None:
    X, y = classes
    clf = MLPClassifier(solver="adamw", solver_options={"weight_decay": 0.5}, random_state=0).fit(X, y)
    assert clf._network.optimizer.param_groups[0]["weight_decay"] == 0.5
    plain = MLPClassifier(solver="adamw", solver_options={"weight_decay": 0.0}, random_state=0).fit(X, y)
    assert np.abs(clf.coefs_[0]).sum() < np.abs(plain.coefs_[0]).sum()
    amsgrad = MLPClassifier(solver_options={"amsgrad": True}, random_state=0, max_iter=20).fit(X, y)
    assert amsgrad._network.optimizer.param_groups[0]["amsgrad"] is True


def test_alpha_is_the_same_in_every_solver(classes: tuple[Any, Any]) -> None:
    """Of the loss: not the optimizer's own decay."""
    X, y = classes
    for solver in ("adamw", "lamb", "muon", "rmsprop"):
        options = {} if solver == "rmsprop" else {"weight_decay": 0.0}
        found = [
            np.abs(
                MLPClassifier(
                    solver=solver, solver_options=options, alpha=alpha, random_state=0, learning_rate_init=0.01
                )
                .fit(X, y)
                .coefs_[0]
            ).sum()
            for alpha in (0.0, 20.0)
        ]
        assert found[1] < 0.9 * found[0], solver


@pytest.mark.parametrize("solver", ["sgd", "adam", "adamw"])
def test_schedules(solver: str, classes: tuple[Any, Any]) -> None:
    X, y = classes
    seen = []

    def rate(step: int) -> float:
        seen.append(step)
        return 0.01 / (1 + step)

    clf = MLPClassifier(solver=solver, learning_rate=rate, random_state=0, max_iter=4, batch_size=100)
    clf.fit(X, y)
    assert seen[-1] == 19
    clf.partial_fit(X, y)
    assert seen[-1] == 24  # it goes on
    MLPClassifier(solver=solver, learning_rate=schuss.schedules.Cosine(0.01, 100), max_iter=4, random_state=0).fit(X, y)
    plateau = schuss.schedules.ReduceOnPlateau(0.1, patience=1, threshold=0.5)
    clf = MLPClassifier(solver=solver, learning_rate=plateau, random_state=0, max_iter=30).fit(X, y)
    assert clf._network.optimizer.param_groups[0]["lr"] < 0.1
    assert plateau.state.reports == 0  # an estimator does not change its arguments


def test_clipping(numbers: tuple[Any, Any]) -> None:
    X, y = numbers
    wild = {"solver": "sgd", "learning_rate_init": 3.0, "random_state": 0, "max_iter": 30, "momentum": 0.0}
    with pytest.raises(ValueError, match="non-finite"):
        MLPRegressor(**wild, activation="identity").fit(X * 10, y)
    assert np.isfinite(MLPRegressor(**wild, activation="identity", clip_norm=0.01).fit(X * 10, y).loss_)
    assert np.isfinite(MLPRegressor(**wild, activation="identity", clip_value=0.001).fit(X * 10, y).loss_)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_l1_makes_weights_small(solver: str, classes: tuple[Any, Any]) -> None:
    X, y = classes
    arguments = {"solver": solver, "random_state": 0, "alpha": 0.0, "learning_rate_init": 0.01, "tol": 0.0}
    found = [MLPClassifier(l1=l1, **arguments).fit(X, y).coefs_[0] for l1 in (0.0, 1.0)]
    small = [float(np.mean(np.abs(w) < 0.01)) for w in found]
    assert small[1] > small[0] + 0.2


def test_l1_is_in_the_loss(classes: tuple[Any, Any]) -> None:
    X, y = classes
    arguments = {
        "random_state": 0,
        "max_iter": 1,
        "alpha": 0.0,
        "solver": "sgd",
        "learning_rate_init": 1e-300,
        "batch_size": len(y),
    }
    plain, found = MLPClassifier(**arguments).fit(X, y), MLPClassifier(l1=2.0, **arguments).fit(X, y)
    penalty = 2.0 * sum(np.abs(w).sum() for w in found.coefs_) / len(y)
    assert found.loss_ - plain.loss_ == pytest.approx(penalty, rel=1e-9)
    assert gradient_error(MLPClassifier(l1=0.3), X[:60], y[:60]) < 1e-5


# -- validation ------------------------------------------------------------------------------------------------------


def test_validation_data_of_ones_own(classes: tuple[Any, Any]) -> None:
    X, X_val, y, y_val = train_test_split(*classes, random_state=0)
    clf = MLPClassifier(early_stopping=True, random_state=0, learning_rate_init=0.01, n_iter_no_change=5)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    assert clf.score(X_val, y_val) == clf.best_validation_score_ == max(clf.validation_scores_)
    assert len(clf.validation_loss_curve_) == len(clf.validation_scores_) == clf.n_iter_
    assert clf.t_ == clf.n_iter_ * len(X)  # nothing was held out
    for wrong in ({"X_val": X_val}, {"y_val": y_val}):
        with pytest.raises(ValueError, match="X_val and y_val must be given together"):
            clf.fit(X, y, **wrong)
    with pytest.raises(ValueError, match="y_val must hold classes of y"):
        clf.fit(X, y, X_val=X_val, y_val=np.full(len(X_val), "z"))
    with pytest.raises(ValueError, match="features"):
        clf.fit(X, y, X_val=X_val[:, :3], y_val=y_val)
    with pytest.raises(ValueError, match="solver='lbfgs'"):
        MLPClassifier(solver="lbfgs").fit(X, y, X_val=X_val, y_val=y_val)


def test_validation_curve(classes: tuple[Any, Any]) -> None:
    X, X_val, y, y_val = train_test_split(*classes, random_state=0)
    clf = MLPClassifier(random_state=0, max_iter=7).fit(X, y, X_val=X_val, y_val=y_val)
    assert clf.validation_scores_ is None and len(clf.validation_loss_curve_) == 7
    assert clf.validation_loss_curve_[-1] == pytest.approx(log_loss(y_val, clf.predict_proba(X_val)), rel=1e-12)
    plain = MLPClassifier(random_state=0, max_iter=7).fit(X, y)
    assert plain.validation_loss_curve_ is None
    np.testing.assert_array_equal(plain.coefs_[0], clf.coefs_[0])
    held_out = MLPClassifier(random_state=0, max_iter=7, early_stopping=True).fit(X, y)
    assert len(held_out.validation_loss_curve_) == 7


@pytest.mark.parametrize("scoring", ["roc_auc", make_scorer(recall_score), "loss"])
def test_scoring_of_early_stopping(scoring: Any, rare: tuple[Any, Any]) -> None:
    X, X_val, y, y_val = train_test_split(*rare, random_state=0, stratify=rare[1])
    clf = MLPClassifier(early_stopping=True, scoring=scoring, random_state=0, max_iter=40)
    clf.fit(X, y, X_val=X_val, y_val=y_val)
    if scoring == "roc_auc":
        assert roc_auc_score(y_val, clf.predict_proba(X_val)[:, 1]) == pytest.approx(clf.best_validation_score_)
    elif scoring == "loss":
        assert clf.best_validation_score_ == -min(clf.validation_loss_curve_)
    else:
        assert recall_score(y_val, clf.predict(X_val)) == clf.best_validation_score_


def test_early_stopping_with_partial_fit(classes: tuple[Any, Any]) -> None:
    X, X_val, y, y_val = train_test_split(*classes, random_state=0)
    clf = MLPClassifier(early_stopping=True, random_state=0, learning_rate_init=0.05, n_iter_no_change=3)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        clf.partial_fit(X, y, classes=np.unique(y))
    for _ in range(300):
        clf.partial_fit(X, y, classes=np.unique(y), X_val=X_val, y_val=y_val)
        if clf.stopped_:
            break
    assert clf.stopped_ and clf.score(X_val, y_val) == clf.best_validation_score_ == max(clf.validation_scores_)


# -- outputs ---------------------------------------------------------------------------------------------------------


def test_several_columns_of_classes(classes: tuple[Any, Any]) -> None:
    X, y = classes
    both = np.stack([y, np.where(X[:, 0] > 0, "up", "down"), np.digitize(X[:, 1], [-1, 0, 1]).astype(str)], axis=1)
    clf = MLPClassifier(multi_output=True, random_state=0, max_iter=150, learning_rate_init=0.01).fit(X, both)
    assert [len(of_column) for of_column in clf.classes_] == [3, 2, 4]
    assert clf.predict(X).shape == both.shape and (clf.predict(X) == both).mean() > 0.85
    proba = clf.predict_proba(X)
    assert [p.shape for p in proba] == [(500, 3), (500, 2), (500, 4)]
    for p, of_column, column in zip(proba, clf.classes_, clf.predict(X).T, strict=True):
        np.testing.assert_allclose(p.sum(axis=1), 1)
        assert (of_column[p.argmax(axis=1)] == column).all()
    assert clf.score(X, both) == (clf.predict(X) == both).all(axis=1).mean()
    stopped = MLPClassifier(multi_output=True, early_stopping=True, random_state=0, max_iter=20).fit(X, both)
    assert len(stopped.validation_scores_) == stopped.n_iter_
    assert gradient_error(MLPClassifier(multi_output=True, alpha=0.1), X[:60], both[:60], np.arange(60.0)) < 1e-5
    part = MLPClassifier(multi_output=True, random_state=0).partial_fit(X[:9], both[:9], classes=clf.classes_)
    assert part.predict(X).shape == both.shape
    with pytest.raises(ValueError, match="Multioutput target data is not supported"):
        MLPClassifier().fit(X, both)


def test_threads_change_nothing(classes: tuple[Any, Any]) -> None:
    X, y = classes
    found = [MLPClassifier((200,), random_state=0, max_iter=5, n_jobs=n).fit(X, y).coefs_[0] for n in (1, 2, -1, None)]
    assert all(np.array_equal(found[0], other) for other in found)


def test_progress_bar(classes: tuple[Any, Any], capsys: Any) -> None:
    MLPClassifier(random_state=0, max_iter=3, verbose=1).fit(*classes)
    out, err = capsys.readouterr()
    assert out == "" and "epoch 3/3" in err
    MLPClassifier(random_state=0, max_iter=3, verbose=True).fit(*classes)
    out, err = capsys.readouterr()
    assert out.count("Iteration") == 3 and err == ""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_callbacks(classes: tuple[Any, Any], capsys: Any) -> None:
    callback = pytest.importorskip("sklearn.callback")
    pytest.importorskip("rich")
    X, y = classes
    monitor = callback.ScoringMonitor(scoring="accuracy")
    clf = MLPClassifier(random_state=0, max_iter=5).set_callbacks(callback.ProgressBar(), monitor)
    clf.fit(X, y)
    capsys.readouterr()
    log = monitor.get_logs()
    rows = [row for row in log.data if row["task_name"] == "epoch"]
    assert [row["task_id"] for row in rows] == [0, 1, 2, 3, 4]
    assert rows[-1]["accuracy"] == clf.score(X, y)
    plain = MLPClassifier(random_state=0, max_iter=5).fit(X, y)
    np.testing.assert_array_equal(plain.coefs_[0], clf.coefs_[0])

    class Stop:
        def setup(self, estimator: Any, context: Any) -> None: ...
        def teardown(self, estimator: Any, context: Any) -> None: ...
        def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...
        def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> bool:
            return context.task_name == "epoch" and fitted_estimator.score(X, y) > 0.5

    clf = MLPClassifier(random_state=0, max_iter=500)
    clf.set_callbacks(Stop()).fit(X, y)
    assert clf.n_iter_ < 100 and clf.score(X, y) > 0.5


@pytest.mark.parametrize(
    "given",
    [
        {"dropout": 0.1},
        {"dropout": [0.1]},
        {"clip_norm": 1.0},
        {"solver_options": {"lr": 1}},
        {"learning_rate": schuss.schedules.Constant(0.1)},
    ],
)
def test_lbfgs_refuses_what_is_about_steps(given: dict[str, Any], classes: tuple[Any, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(given))} must (not )?be .* with solver='lbfgs'"):
        MLPClassifier(solver="lbfgs", **given).fit(*classes)
    MLPClassifier((5,), solver="lbfgs", dropout=[0.0], max_iter=5).fit(*classes)


KEPT: list[Any] = []


class Keep:
    """A callback that keeps the fitted copy of each epoch."""

    def setup(self, estimator: Any, context: Any) -> None: ...
    def teardown(self, estimator: Any, context: Any) -> None: ...
    def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...
    def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
        KEPT.append(fitted_estimator)


def test_what_callbacks_get_may_be_kept(classes: tuple[Any, Any]) -> None:
    """A fitted copy of an epoch predicts later, and what was pickled before too."""
    pytest.importorskip("sklearn.callback")
    X, y = classes
    KEPT.clear()
    MLPClassifier(random_state=0, max_iter=4).set_callbacks(Keep()).fit(X, y)
    for epochs, copied in enumerate(KEPT[:4], 1):
        alone = MLPClassifier(random_state=0, max_iter=epochs).fit(X, y)
        state = copied.__getstate__()
        assert state["_network"] is None and "coefs_" in state
        again = MLPClassifier.__new__(MLPClassifier)
        again.__setstate__(state)
        for one in (again, copied):
            np.testing.assert_array_equal(one.predict_proba(X), alone.predict_proba(X))


def test_callbacks_of_lbfgs(classes: tuple[Any, Any]) -> None:
    callback = pytest.importorskip("sklearn.callback")
    X, y = classes
    monitor = callback.ScoringMonitor(scoring="accuracy")
    clf = MLPClassifier((8,), solver="lbfgs", random_state=0, max_iter=10).set_callbacks(monitor).fit(X, y)
    scores = [row["accuracy"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == clf.n_iter_ and scores[-1] == clf.score(X, y)


def test_defaults_change_nothing() -> None:
    """Every addition is by keyword, and named in the page."""
    import inspect

    neural_network = pytest.importorskip("sklearn.neural_network")
    page = (Path(__file__).parents[2] / "docs" / "sklearn.md").read_text()
    for ours, theirs in ((MLPClassifier, neural_network.MLPClassifier), (MLPRegressor, neural_network.MLPRegressor)):
        mine, known = inspect.signature(ours).parameters, inspect.signature(theirs).parameters
        assert list(mine)[: len(known)] == list(known)
        for name, parameter in mine.items():
            if name in known:
                assert parameter.default == known[name].default and parameter.kind == known[name].kind
            else:
                assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
                assert re.search(rf"`{name}\b", page), name


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("columns", [1, 2])
def test_r2_is_scikit_learns(weighted: bool, columns: int) -> None:
    from sklearn.metrics import r2_score

    from schuss.sklearn.regressor import _r2

    rng = np.random.default_rng(columns)
    t = rng.normal(size=(20, columns))
    w = rng.uniform(0, 2, 20) if weighted else None
    for found in (t + rng.normal(size=t.shape), t, np.ones_like(t)):
        assert _r2(t, found, w) == pytest.approx(r2_score(t, found, sample_weight=w), rel=1e-12)
        assert _r2(np.ones_like(t), found, w) == r2_score(np.ones_like(t), found, sample_weight=w)
