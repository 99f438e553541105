"""Configurations for scikit-learn's networks and ours, drawn over all arguments that both have."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from sklearn import datasets, preprocessing

KINDS = ("classes", "numbers")
CLASSES = ("iris", "digits", "wine", "breast_cancer", "make_classification", "make_moons", "make_multilabel")
NUMBERS = ("diabetes", "make_regression", "make_friedman1", "two targets", "counts")
UNSCALED = ("wine raw",)


@lru_cache
def data(name: str) -> tuple[Any, Any]:
    """Rows and targets, few enough for hundreds of fits."""
    if name == "digits":
        X, y = datasets.load_digits(return_X_y=True)
        return X[:600] / 16, y[:600]
    if name in ("iris", "wine", "breast_cancer"):
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        return preprocessing.scale(X), y
    if name == "wine raw":
        return datasets.load_wine(return_X_y=True)  # type: ignore[no-any-return]
    if name == "make_classification":
        X, y = datasets.make_classification(300, 12, n_informative=6, n_classes=4, random_state=1)
        return X, np.array(["a", "b", "c", "d"])[y]
    if name == "make_moons":
        return datasets.make_moons(200, noise=0.2, random_state=2)  # type: ignore[no-any-return]
    if name == "make_multilabel":
        return datasets.make_multilabel_classification(150, 10, n_classes=4, random_state=3)  # type: ignore[no-any-return]
    if name == "diabetes":
        X, y = datasets.load_diabetes(return_X_y=True)
        return preprocessing.scale(X), y / 100
    if name == "make_regression":
        X, y = datasets.make_regression(250, 8, noise=5.0, random_state=4)
        return X, preprocessing.scale(y)
    if name == "make_friedman1":
        X, y = datasets.make_friedman1(300, random_state=5)
        return X, preprocessing.scale(y)
    if name == "two targets":
        X, y = datasets.make_regression(200, 6, n_targets=2, random_state=6)
        return X, preprocessing.scale(y)
    if name == "counts":
        rng = np.random.default_rng(7)
        X = rng.normal(size=(200, 5))
        return X, rng.poisson(np.exp(0.5 * X[:, 0] + 0.2)).astype(float)
    raise ValueError(name)


@dataclass(frozen=True)
class Case:
    """One configuration: what to fit to what, and how."""

    number: int
    kind: str
    dataset: str
    arguments: dict[str, Any]
    weighted: bool
    way: str  # fit, warm: fit twice, partial: partial_fit three times

    def __repr__(self) -> str:
        return f"{self.number}-{self.dataset}-{self.arguments['solver']}-{self.way}".replace(" ", "_")


def draw(number: int) -> Case:
    """The configuration of a number."""
    rng = np.random.default_rng(1000 + number)

    def one(*of: Any) -> Any:
        return of[int(rng.integers(len(of)))]

    kind = KINDS[number % 2]
    dataset = one(*(CLASSES if kind == "classes" else NUMBERS), *(UNSCALED if kind == "classes" else ()))
    solver = one("sgd", "adam", "sgd", "adam", "lbfgs")
    arguments: dict[str, Any] = {
        "solver": solver,
        "hidden_layer_sizes": one((20,), (50,), (10, 10), 7, (100,), (15, 8, 5), ()),
        "activation": one("identity", "logistic", "tanh", "relu"),
        "alpha": one(0.0, 1e-4, 1e-2, 1.0),
        "batch_size": one("auto", 16, 33, 1000),
        "learning_rate": one("constant", "invscaling", "adaptive"),
        "learning_rate_init": one(1e-3, 1e-2, 0.05),
        "power_t": one(0.5, 0.2),
        "max_iter": one(20, 60, 100),
        "shuffle": one(True, True, False),
        "random_state": int(rng.integers(1000)),
        "tol": one(1e-4, 1e-2, 0.0),
        "momentum": one(0.9, 0.5, 0.0),
        "nesterovs_momentum": one(True, False),
        "early_stopping": one(True, False, False),
        "validation_fraction": one(0.1, 0.25),
        "beta_1": one(0.9, 0.8),
        "beta_2": one(0.999, 0.95),
        "epsilon": one(1e-8, 1e-4),
        "n_iter_no_change": one(10, 3, np.inf),
        "max_fun": one(15000, 30),
    }
    way = one("fit", "fit", "warm", "partial")
    if way == "partial":
        arguments["early_stopping"] = False
        if solver == "lbfgs":
            way = "fit"
    arguments["warm_start"] = way == "warm"
    if kind == "numbers" and dataset == "counts":
        arguments["loss"] = one("poisson", "squared_error")
    return Case(number, kind, dataset, arguments, bool(rng.random() < 0.3), way)


def fitted(case: Case, kind: type[Any], **more: Any) -> Any:
    """An estimator of this class, fitted as the case says."""
    X, y = data(case.dataset)
    weights = {}
    if case.weighted:
        weights["sample_weight"] = np.random.default_rng(case.number).uniform(0.2, 2.0, len(X))
    estimator = kind(**case.arguments, **more)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if case.way != "partial":
            for _ in range(2 if case.way == "warm" else 1):
                estimator.fit(X, y, **weights)
            return estimator
        first = {"classes": np.unique(y) if y.ndim == 1 else np.arange(y.shape[1])} if case.kind == "classes" else {}
        for _ in range(3):
            estimator.partial_fit(X, y, **weights, **first)
            first = {}
    return estimator
