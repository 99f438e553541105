"""Optimizers in scikit-learn's dialect against those of its networks, over 200 steps with a changing learning rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import schuss

theirs: Any = pytest.importorskip("sklearn.neural_network._stochastic_optimizers")

CASES: list[tuple[type[schuss.Optimizer], dict[str, Any], type[Any], dict[str, Any]]] = [
    (schuss.SGD, {"momentum": 0.0}, theirs.SGDOptimizer, {"momentum": 0.0, "nesterov": False}),
    (schuss.SGD, {"momentum": 0.9}, theirs.SGDOptimizer, {"momentum": 0.9, "nesterov": False}),
    (schuss.SGD, {"momentum": 0.7, "nesterov": True}, theirs.SGDOptimizer, {"momentum": 0.7}),
    (schuss.Adam, {}, theirs.AdamOptimizer, {}),
    (
        schuss.Adam,
        {"betas": (0.8, 0.9), "eps": 0.01},
        theirs.AdamOptimizer,
        {"beta_1": 0.8, "beta_2": 0.9, "epsilon": 0.01},
    ),
]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11)])
@pytest.mark.parametrize(("ours", "options", "kind", "given"), CASES)
def test_follows_sklearn(
    ours: type[schuss.Optimizer],
    options: dict[str, Any],
    kind: type[Any],
    given: dict[str, Any],
    dtype: str,
    tolerance: float,
) -> None:
    rng = np.random.default_rng(7)
    shapes = [(31, 7), (7,), (1,)]
    params = [rng.normal(size=s).astype(dtype) for s in shapes]
    wanted = [p.copy() for p in params]
    opt, other = ours(params, dialect="sklearn", **options), kind(wanted, **given)
    lr = 0.1
    for _ in range(200):
        grads = [rng.normal(size=s).astype(dtype) for s in shapes]
        lr *= 0.99
        opt.step(grads, lr=lr)
        other.learning_rate = other.learning_rate_init = lr
        other.update_params(wanted, grads)
    largest = max(np.max(np.abs(q)) for q in wanted)
    for p, q in zip(params, wanted, strict=True):
        assert np.max(np.abs(p - q)) <= tolerance * largest


def test_defaults_of_adam_are_theirs() -> None:
    adam = theirs.AdamOptimizer([])
    group = schuss.Adam(np.ones(1)).param_groups[0]
    assert (adam.learning_rate_init, (adam.beta_1, adam.beta_2), adam.epsilon) == (
        group["lr"], group["betas"], group["eps"]
    )  # fmt: skip
