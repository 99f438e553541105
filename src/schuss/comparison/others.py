"""Models of other kinds on the same rows: what always says the same, a linear one, and boosted trees.

The linear one and the trees are scikit-learn's, by its own defaults as far as that is quick, where it is installed.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from math import nan
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from ..layers import Dense
from ..losses import CrossEntropy
from ..network import Network
from ..threads import get_num_threads
from .data import Other
from .problem import OF_ANY_UNIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .problem import Problem

# Of losses and scores: other libraries' sums may change in their last bits with the number of threads.
DIGITS = 8
# Numbers in all rows, times classes, up to which threads would wait for one another more than work.
SMALL = 300_000
# Columns times classes, from which on boosted trees get less, and what they get then.
MANY = 1000
QUICKER: dict[str, Any] = {"max_bins": 63, "max_iter": 50, "learning_rate": 0.2}
# Probabilities that are no lower, so that a loss is finite.
LEAST = 1e-15


def others(problem: Problem) -> tuple[tuple[Other, ...], tuple[str, ...]]:
    """The models that can be fitted here, and what is to be said of them."""
    x, y, _ = problem.training
    classes = problem.task == "classification"
    if not isinstance(x, np.ndarray) or x.ndim != 2 or (not classes and y.shape[1:] not in ((), (1,))):
        return (), ("Other models are compared on columns of numbers and one target only.",)
    if not (isinstance(problem.loss, CrossEntropy) if classes else isinstance(problem.loss, OF_ANY_UNIT)):
        return (), (f"Other models are not compared by {problem.loss.name}.",)
    target = y.reshape(-1)
    found = [_judged("majority" if classes else "mean", problem, _constant, x, target)]
    if importlib.util.find_spec("sklearn") is None:
        return tuple(found), ("Linear models and gradient boosting need scikit-learn: pip install scikit-learn",)
    n_classes = len(np.unique(target)) if classes else 0
    if n_classes == 1:
        return tuple(found), ()
    # What is loaded later has no limit, and counts as time of a fit.
    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401
    from threadpoolctl import threadpool_limits  # scikit-learn needs it, too

    # Their threads wait busily for one another: with one for each CPU, whatever else runs makes them many times slower.
    most = get_num_threads() // 2 if x.size * max(1, n_classes) > SMALL else 1
    with threadpool_limits(max(1, most)):
        for name, fit in (("linear", _linear), ("gradient boosting", _boosted)):
            found.append(_judged(name, problem, fit, x, target))
    said = ", ".join(f"{name}={value}" for name, value in QUICKER.items())
    return tuple(found), (f"Gradient boosting was made quicker: {said}.",) if _are_many(x, n_classes) else ()


#: Fits, and gives logarithms of probabilities or quantities for rows.
Fit = Callable[[Any, Any, int], Callable[[Any], Any]]


def _judged(name: str, problem: Problem, fit: Fit, x: NDArray[Any], y: NDArray[Any]) -> Other:
    n_out = problem.network(0).n_out
    classes = n_out if problem.task == "classification" else 0
    start = perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predict = fit(x, y, classes)
        seconds = perf_counter() - start
        found = np.asarray(predict(problem.judging[0]), np.float64).reshape(-1, n_out)
    if not np.isfinite(found).all():
        return Other(name, nan, nan, seconds)
    # A network that gives what it gets: so the loss and the metric are those of the others.
    same = Network([Dense(n_out, n_out)], seed=0, dtype="float64")
    same.parameters[0][...], same.parameters[1][...] = np.eye(n_out), 0.0
    _, target, weights = problem.judging
    target = target if classes else target.astype(np.float64)
    values = same.evaluate(found, target, problem.loss, problem.metric, sample_weight=weights)
    return Other(name, _rounded(values["loss"]), _rounded(values[problem.metric]), seconds)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _logs(probabilities: NDArray[np.float64], of: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
    """Logarithms, for all classes, of probabilities of those that were seen."""
    found = np.full((len(probabilities), classes), LEAST)
    found[:, of] = np.maximum(probabilities, LEAST)
    logs: NDArray[np.float64] = np.log(found)
    return logs


def _constant(x: Any, y: NDArray[Any], classes: int) -> Callable[[Any], Any]:
    if not classes:
        mean = float(np.mean(y, dtype=np.float64))
        return lambda rows: np.full(len(rows), mean)
    shares = np.bincount(y, minlength=classes) / len(y)
    return lambda rows: np.tile(np.log(np.maximum(shares, LEAST)), (len(rows), 1))


def _linear(x: NDArray[Any], y: NDArray[Any], classes: int) -> Callable[[Any], Any]:
    from sklearn.linear_model import LogisticRegression, RidgeCV

    if not classes:
        return RidgeCV(np.logspace(-3, 3, 13)).fit(x, y).predict  # type: ignore[no-any-return]
    model = LogisticRegression(max_iter=1000).fit(x, y)
    return lambda rows: _logs(model.predict_proba(rows), model.classes_, classes)


def _settings(x: NDArray[Any], classes: int) -> dict[str, Any]:
    """scikit-learn's own, but less where trees of many columns for many classes would take minutes."""
    return {"random_state": 0, **(QUICKER if _are_many(x, classes) else {})}


def _are_many(x: NDArray[Any], classes: int) -> bool:
    return int(x.shape[1]) * max(1, classes) > MANY


def _boosted(x: NDArray[Any], y: NDArray[Any], classes: int) -> Callable[[Any], Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    if not classes:
        return HistGradientBoostingRegressor(**_settings(x, classes)).fit(x, y).predict  # type: ignore[no-any-return]
    model = HistGradientBoostingClassifier(**_settings(x, classes)).fit(x, y)
    return lambda rows: _logs(model.predict_proba(rows), model.classes_, classes)
