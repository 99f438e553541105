"""What scikit-learn's networks say, ours say: errors and warnings, attributes and methods."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

neural_network = pytest.importorskip("sklearn.neural_network")

from sklearn import datasets  # noqa: E402

from schuss.sklearn import MLPClassifier, MLPRegressor  # noqa: E402

X, y = datasets.load_iris(return_X_y=True)
BOTH = [(MLPClassifier, neural_network.MLPClassifier), (MLPRegressor, neural_network.MLPRegressor)]
Do = Callable[[type[Any]], Any]


def said(do: Do, kind: type[Any]) -> list[tuple[str, str]]:
    """Class and text of every warning, and of the error at the end."""
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            do(kind)
        except Exception as error:
            return [_of(w) for w in caught] + [(type(error).__name__, str(error))]
    return [_of(w) for w in caught]


def _of(warning: warnings.WarningMessage) -> tuple[str, str]:
    return warning.category.__name__, str(warning.message)


def partial(kind: type[Any], **arguments: Any) -> Any:
    more = {"classes": [0, 1, 2]} if "Classifier" in kind.__name__ else {}
    return kind(**arguments).partial_fit(X, y, **more)


ANY: dict[str, Do] = {
    "too few iterations": lambda kind: kind(max_iter=2).fit(X, y),
    "lbfgs: too few iterations": lambda kind: kind(solver="lbfgs", max_iter=2, random_state=0).fit(X, y),
    "lbfgs: too few calls": lambda kind: kind(solver="lbfgs", max_fun=3, random_state=0).fit(X, y),
    "batch too large": lambda kind: kind(max_iter=2, batch_size=1000).fit(X, y),
    "batch of nothing": lambda kind: kind(batch_size=0).fit(X, y),
    "sizes": lambda kind: kind(hidden_layer_sizes=(4, 0)).fit(X, y),
    "negative sizes": lambda kind: kind(hidden_layer_sizes=-4).fit(X, y),
    "alpha": lambda kind: kind(alpha=-1).fit(X, y),
    "rate": lambda kind: kind(learning_rate_init=0.0).fit(X, y),
    "momentum": lambda kind: kind(solver="sgd", momentum=1.5).fit(X, y),
    "beta": lambda kind: kind(beta_1=1).fit(X, y),
    "shuffle": lambda kind: kind(shuffle="yes").fit(X, y),
    "fraction": lambda kind: kind(validation_fraction=1.0, early_stopping=True).fit(X, y),
    "patience": lambda kind: kind(n_iter_no_change=0).fit(X, y),
    "fraction too small": lambda kind: kind(validation_fraction=0.001, early_stopping=True).fit(X, y),
    "not finite": lambda kind: kind().fit(np.where(X > 6, np.nan, X), y),
    "no rows": lambda kind: kind().fit(X[:0], y[:0]),
    "other length": lambda kind: kind().fit(X, y[:-1]),
    "one dimension": lambda kind: kind().fit(X[:, 0], y),
    "column of targets": lambda kind: kind(max_iter=2).fit(X, y[:, None]),
    "not fitted": lambda kind: kind().predict(X),
    "other columns": lambda kind: kind(max_iter=200, tol=1.0, n_iter_no_change=1).fit(X, y).predict(X[:, :2]),
    "other columns in partial_fit": lambda kind: partial(kind).partial_fit(X[:, :2], y),
    "early stopping in partial_fit": lambda kind: partial(kind, early_stopping=True),
    "weights of other length": lambda kind: kind().fit(X, y, sample_weight=np.ones(3)),
    "weights not finite": lambda kind: kind().fit(X, y, sample_weight=np.full(150, np.nan)),
    "diverging": lambda kind: kind(solver="sgd", learning_rate_init=1e9, activation="identity").fit(X * 1e9, y * 1e9),
    "text": lambda kind: kind().fit([["a"], ["b"]], [0, 1]),
    "random state": lambda kind: kind(random_state="seed").fit(X, y),
    "complex": lambda kind: kind().fit(X * 1j, y),
}
OF_CLASSES: dict[str, Do] = {
    "no classes in the first partial_fit": lambda kind: kind().partial_fit(X, y),
    "other classes in partial_fit": lambda kind: partial(kind).partial_fit(X, y, classes=[0, 1]),
    "unknown class": lambda kind: partial(kind).partial_fit(X[:2], [0, 7]),
    "warm start with other classes": lambda kind: kind(max_iter=500, tol=1.0, warm_start=True).fit(X, y).fit(X, y // 2),
    "numbers": lambda kind: kind().fit(X, y + 0.5 * X[:, 0]),
    "several columns": lambda kind: kind().fit(X, np.stack([y, y], axis=1)),
    "one of a class": lambda kind: kind(early_stopping=True).fit(X[:4], [0, 0, 0, 1]),
    "lbfgs in partial_fit": lambda kind: kind(solver="lbfgs").partial_fit(X, y, classes=[0, 1, 2]),
    "probabilities, not fitted": lambda kind: kind().predict_proba(X),
    "one class": lambda kind: kind(max_iter=500, tol=1.0).fit(X, np.zeros(150)).predict(X),
}
OF_NUMBERS: dict[str, Do] = {
    "loss": lambda kind: kind(loss="poisson", max_iter=3, random_state=0).fit(X, y),
    "target not finite": lambda kind: kind().fit(X, np.where(y > 1, np.inf, y)),
}
# What has more choices here begins as it does there.
LONGER: dict[str, Do] = {
    "activation": lambda kind: kind(activation="nothing").fit(X, y),
    "solver": lambda kind: kind(solver="nothing").fit(X, y),
    "learning rate": lambda kind: kind(learning_rate="nothing").fit(X, y),
}


@pytest.mark.parametrize("name", [*ANY])
@pytest.mark.parametrize(("ours", "theirs"), BOTH)
def test_both_say_the_same(ours: type[Any], theirs: type[Any], name: str) -> None:
    assert said(ANY[name], ours) == said(ANY[name], theirs)


@pytest.mark.parametrize("name", [*OF_CLASSES])
def test_classifiers_say_the_same(name: str) -> None:
    assert said(OF_CLASSES[name], MLPClassifier) == said(OF_CLASSES[name], neural_network.MLPClassifier)


@pytest.mark.parametrize("name", [*OF_NUMBERS])
def test_regressors_say_the_same(name: str) -> None:
    assert said(OF_NUMBERS[name], MLPRegressor) == said(OF_NUMBERS[name], neural_network.MLPRegressor)


def test_words_are_no_numbers() -> None:
    """scikit-learn lets them through, and fails at a subtraction."""
    with pytest.raises(ValueError, match="could not convert string to float"):
        MLPRegressor().fit(X, np.array(["a", "b", "c"])[y])


@pytest.mark.parametrize("name", [*LONGER])
@pytest.mark.parametrize(("ours", "theirs"), BOTH)
def test_longer_lists_begin_alike(ours: type[Any], theirs: type[Any], name: str) -> None:
    ((kind, text),), ((wanted, theirs_text),) = said(LONGER[name], ours), said(LONGER[name], theirs)
    assert kind == wanted and text.split("{")[0].split(" a str ")[0] == theirs_text.split("{")[0].split(" a str ")[0]


@pytest.mark.parametrize("solver", ["sgd", "adam", "lbfgs"])
@pytest.mark.parametrize(("ours", "theirs"), BOTH)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_attributes_and_methods(ours: type[Any], theirs: type[Any], solver: str) -> None:
    arguments = {"solver": solver, "max_iter": 3, "early_stopping": solver == "sgd", "random_state": 0}
    a, b = ours(**arguments).fit(X, y), theirs(**arguments).fit(X, y)
    public = {name for name in vars(b) if not name.startswith("_")}
    assert public <= set(vars(a)), public - set(vars(a))
    extra = {name for name in vars(a) if name.endswith("_") and not name.startswith("_")} - public
    assert extra <= {"validation_loss_curve_"}
    for name in public:
        if name.endswith("_") and getattr(b, name) is not None and not isinstance(getattr(b, name), (list, np.ndarray)):
            kind = float if isinstance(getattr(b, name), float) else type(getattr(b, name))
            assert isinstance(getattr(a, name), kind), name
    methods = {name for name in dir(b) if not name.startswith("_")}
    assert methods <= set(dir(a)), methods - set(dir(a))


@pytest.mark.parametrize(("ours", "theirs"), BOTH)
@pytest.mark.parametrize(
    "arguments",
    [{"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2}, {"early_stopping": True}],
)
def test_verbose_prints_the_same(ours: type[Any], theirs: type[Any], arguments: dict[str, Any], capsys: Any) -> None:
    texts = []
    for kind in (ours, theirs):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            kind(verbose=True, random_state=0, max_iter=60, **arguments).fit(X, y)
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and "Iteration 2, loss" in texts[0]
