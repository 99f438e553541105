"""Optimizers that torch lacks against optax, over 200 steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import schuss
from tests.reference.rule_cases import Case

Theirs = Callable[[Any], Any]
"""From the optax module to its optimizer."""

CASES: list[tuple[Case, Theirs]] = [
    (Case("Lion", {"lr": 0.003}), lambda optax: optax.lion(0.003, weight_decay=0.0)),
    (
        Case("Lion", {"lr": 0.003, "betas": (0.95, 0.98), "weight_decay": 0.3}),
        lambda optax: optax.lion(0.003, 0.95, 0.98, weight_decay=0.3),
    ),
    (
        Case("ScheduleFreeSGD", {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.1, "weight_lr_power": 1.5}),
        lambda optax: optax.contrib.schedule_free_sgd(0.1, b1=0.8, weight_decay=0.1, weight_lr_power=1.5),
    ),
    (
        Case("ScheduleFreeAdamW", {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.1}),
        lambda optax: optax.contrib.schedule_free_adamw(0.01, b1=0.8, b2=0.99, eps=1e-3, weight_decay=0.1),
    ),
    (Case("LARS", {"lr": 10.0, "eps": 0.0}), lambda optax: optax.lars(10.0)),
    (
        Case("LARS", {"lr": 30.0, "momentum": 0.8, "nesterov": True, "trust_coefficient": 2e-3, "eps": 0.1}),
        lambda optax: optax.lars(30.0, momentum=0.8, nesterov=True, trust_coefficient=2e-3, eps=0.1),
    ),
    (Case("LAMB", {"lr": 0.01}), lambda optax: optax.lamb(0.01)),
    (
        Case("LAMB", {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-3, "weight_decay": 0.1}),
        lambda optax: optax.lamb(0.01, 0.8, 0.99, eps=1e-3, weight_decay=0.1),
    ),
    (Case("NovoGrad", {"lr": 0.01}), lambda optax: optax.novograd(0.01, 0.95, 0.98, eps=1e-8)),
    (
        Case("NovoGrad", {"lr": 0.01, "betas": (0.9, 0.25), "eps": 1e-3, "weight_decay": 0.1}),
        lambda optax: optax.novograd(0.01, eps=1e-3, weight_decay=0.1),
    ),
    (
        Case("Prodigy", {"use_bias_correction": True, "d0": 1e-3, "weight_decay": 0.1}),
        lambda optax: optax.contrib.prodigy(estim_lr0=1e-3, weight_decay=0.1),
    ),
    (
        Case(
            "Prodigy",
            {
                "lr": 0.5,
                "betas": (0.8, 0.99),
                "beta3": 0.9,
                "eps": 1e-3,
                "use_bias_correction": True,
                "safeguard_warmup": True,
                "d0": 0.01,
                "d_coef": 2.0,
            },
        ),
        lambda optax: optax.contrib.prodigy(
            0.5, (0.8, 0.99), 0.9, eps=1e-3, estim_lr0=0.01, estim_lr_coef=2.0, safeguard_warmup=True
        ),
    ),
    (Case("Signum", {"lr": 0.003, "momentum": 0.8}), lambda optax: optax.signum(0.003, 0.8)),
    (Case("Signum", {"lr": 0.003, "momentum": 0.0}), lambda optax: optax.sign_sgd(0.003)),
]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11)])
@pytest.mark.parametrize(("case", "theirs"), CASES, ids=[str(case) for case, _ in CASES])
def test_follows_optax(case: Case, theirs: Theirs, dtype: str, tolerance: float) -> None:
    """Within the tolerance of the largest parameter."""
    optax: Any = pytest.importorskip("optax")  # here and not above: jax warns of forks from then on
    import jax

    rng = np.random.default_rng(7)
    params = [rng.normal(size=s).astype(dtype) for s in [(31, 7), (7,), (1,)]]
    opt = getattr(schuss, case.optimizer)(params, **case.options)
    with jax.enable_x64(True):
        transformation = theirs(optax)
        values = [jax.numpy.asarray(p.copy()) for p in params]
        state = transformation.init(values)
        update = jax.jit(transformation.update)
        for _ in range(200):
            grads = [rng.normal(size=p.shape).astype(dtype) for p in params]
            opt.step(grads)
            changes, state = update([jax.numpy.asarray(g) for g in grads], state, values)
            values = optax.apply_updates(values, changes)
    wanted = [np.asarray(q) for q in values]
    largest = max(np.max(np.abs(q)) for q in wanted)
    for p, q in zip(params, wanted, strict=True):
        assert q.dtype == p.dtype
        assert np.max(np.abs(p - q)) <= tolerance * largest
