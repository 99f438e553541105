"""Optimizers in Keras' dialect against keras.optimizers, over 200 steps with a learning rate that changes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import schuss
from tests.reference.rule_cases import DIALECT_CASES, RULE_CASES, Case

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("KERAS_HOME", tempfile.mkdtemp())
keras: Any = pytest.importorskip("keras")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # its own conversions to NumPy

KERAS_NAME = {
    "SGD": "SGD",
    "AdaGrad": "Adagrad",
    "RMSProp": "RMSprop",
    "Adam": "Adam",
    "AdamW": "AdamW",
    "Adadelta": "Adadelta",
    "Adamax": "Adamax",
    "NAdam": "Nadam",
    "FTRL": "Ftrl",
}
# Our names of hyperparameters where they are not Keras' own.
ARGUMENT = {
    "lr": "learning_rate",
    "alpha": "rho",
    "eps": "epsilon",
    "lr_power": "learning_rate_power",
    "l1": "l1_regularization_strength",
    "l2": "l2_regularization_strength",
    "l2_shrinkage": "l2_shrinkage_regularization_strength",
}
# What Keras does not have; in our groups for the other dialects.
NOT_THERE = {"params", "schedule", "rule", "decoupled", "maximize", "dialect", "dampening", "lr_decay"} | {
    "momentum_decay",
    "decoupled_weight_decay",
}
CASES = [case for case in DIALECT_CASES if case.options["dialect"] == "keras" and "maximize" not in case.options]
CASES += [case for case in RULE_CASES if case.optimizer == "FTRL" and "maximize" not in case.options]


@pytest.fixture
def floats(dtype: str) -> Iterator[None]:
    found = keras.config.floatx()
    keras.config.set_floatx(dtype)
    yield
    keras.config.set_floatx(found)


def of_keras(name: str, group: dict[str, Any]) -> Any:
    """Keras' optimizer with the hyperparameters of our group."""
    given = {ARGUMENT.get(key, key): value for key, value in group.items() if key not in NOT_THERE}
    if "betas" in given:
        given["beta_1"], given["beta_2"] = given.pop("betas")
    given["weight_decay"] = given.get("weight_decay", 0.0) or None
    return getattr(keras.optimizers, KERAS_NAME[name])(**given)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11)])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_follows_keras(case: Case, dtype: str, tolerance: float, floats: None) -> None:
    """Within the tolerance of the largest parameter."""
    rng = np.random.default_rng(7)
    shapes = [(31, 7), (7,), (1,)]
    params = [rng.normal(size=s).astype(dtype) for s in shapes]
    ours = getattr(schuss, case.optimizer)(params, **case.options)
    theirs = of_keras(case.optimizer, ours.param_groups[0])
    variables = [keras.Variable(p, dtype=dtype) for p in params]
    lr = ours.param_groups[0]["lr"]
    for t in range(200):
        grads = [rng.normal(size=s).astype(dtype) for s in shapes]
        if case.optimizer != "FTRL":
            lr *= 0.99 if t % 2 else 1.005
        ours.step(grads, lr=lr)
        theirs.learning_rate = lr
        theirs.apply([keras.ops.array(g, dtype=dtype) for g in grads], variables)
    wanted = [keras.ops.convert_to_numpy(v) for v in variables]
    largest = max(np.max(np.abs(q)) for q in wanted)
    for p, q in zip(params, wanted, strict=True):
        assert np.max(np.abs(p - q)) <= tolerance * largest
