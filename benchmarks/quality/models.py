"""Who takes part: each with its defaults, on one thread. What a peer cannot take is prepared for it, as said here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from .columns import Categories, ordinal, scaled

# Whether the target is a quantity, and a seed -> something with fit(frame, y) and predict or predict_proba.
Maker = Callable[[bool, int], Any]

# HistGradientBoosting bins a column into 255 values at most and refuses a column of more categories.
MOST_CATEGORIES = 254


def _lightgbm(quantity: bool, seed: int) -> Any:
    lightgbm = importlib.import_module("lightgbm")
    kind = lightgbm.LGBMRegressor if quantity else lightgbm.LGBMClassifier
    return make_pipeline(Categories(), kind(n_jobs=1, random_state=seed, verbose=-1))


def _hist_gradient_boosting(quantity: bool, seed: int) -> Any:
    kind = HistGradientBoostingRegressor if quantity else HistGradientBoostingClassifier
    model = kind(categorical_features="from_dtype", random_state=seed)
    return make_pipeline(Categories(most=MOST_CATEGORIES), model)


def _random_forest(quantity: bool, seed: int) -> Any:
    kind = RandomForestRegressor if quantity else RandomForestClassifier
    return make_pipeline(ordinal(), kind(n_jobs=1, random_state=seed))


def _linear(quantity: bool, seed: int) -> Any:
    return make_pipeline(scaled(), Ridge() if quantity else LogisticRegression(max_iter=1000))


def _sklearn_mlp(quantity: bool, seed: int) -> Any:
    """scikit-learn's MLP leaves a quantity in its units, where it learns badly: it is standardised for it."""
    if not quantity:
        return make_pipeline(scaled(), MLPClassifier(random_state=seed))
    network = MLPRegressor(random_state=seed)
    return make_pipeline(scaled(), TransformedTargetRegressor(network, transformer=StandardScaler()))


def _pytabkit(name: str) -> Maker:
    def make(quantity: bool, seed: int) -> Any:
        """pytabkit refuses missing numbers: they get the median of the training rows, missing words a category."""
        kind = getattr(importlib.import_module("pytabkit"), f"{name}_{'Regressor' if quantity else 'Classifier'}")
        model = kind(device="cpu", random_state=seed, n_threads=1, verbosity=0)
        return make_pipeline(Categories(missing="(missing)", medians=True), model)

    return make


def _schuss(recipe: str) -> Maker:
    def make(quantity: bool, seed: int) -> Any:
        """Ours gets the raw rows."""
        ours = importlib.import_module("schuss.sklearn")
        kind = ours.TabularRegressor if quantity else ours.TabularClassifier
        return kind(recipe=recipe, n_jobs=1, random_state=seed)

    return make


PEERS: Mapping[str, Maker] = {
    "lightgbm": _lightgbm,
    "hist-gradient-boosting": _hist_gradient_boosting,
    "random-forest": _random_forest,
    "linear": _linear,
    "sklearn-mlp": _sklearn_mlp,
}
PYTABKIT: Mapping[str, Maker] = {"pytabkit-td-s": _pytabkit("RealMLP_TD_S"), "pytabkit-td": _pytabkit("RealMLP_TD")}
OURS: Mapping[str, Maker] = {f"schuss-{name}": _schuss(name) for name in ("realmlp", "realmlp-s", "tabm", "mlp")}

MODELS: Mapping[str, Maker] = {**PEERS, **PYTABKIT, **OURS}
GROUPS: Mapping[str, tuple[str, ...]] = {
    "peers": tuple(PEERS),
    "pytabkit": tuple(PYTABKIT),
    "ours": tuple(OURS),
    "all": tuple(MODELS),
}
