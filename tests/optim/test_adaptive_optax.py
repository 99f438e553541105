"""Rules that torch lacks against optax, over 200 steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import schuss

jax: Any = pytest.importorskip("jax")
optax: Any = pytest.importorskip("optax")

B = {"b1": 0.8, "b2": 0.9}


def warmed_up(count: Any, end: float, steps: int) -> Any:
    return end * jax.numpy.minimum((count + 1).astype(float) / steps, 1)


def slower(count: Any, steps: int, beta1: float = 0.9, beta3: float = 0.999) -> Any:
    """AdEMAMix's beta3, from the paper."""
    w = jax.numpy.minimum((count + 1).astype(float) / steps, 1)
    a, b = math.log(beta1), math.log(beta3)
    return jax.numpy.exp(a * b / ((1 - w) * b + w * a))


CASES: list[tuple[str, dict[str, Any], Callable[[], Any]]] = [
    ("AdaBelief", {}, lambda: optax.adabelief(0.1)),
    ("AdaBelief", {"betas": (0.8, 0.9), "eps": 1e-3}, lambda: optax.adabelief(0.1, **B, eps=1e-3, eps_root=1e-3)),
    ("Yogi", {}, lambda: optax.yogi(0.1)),
    ("Yogi", {"betas": (0.8, 0.9), "eps": 1e-2}, lambda: optax.yogi(0.1, **B, eps=1e-2)),
    # not 0.9999: there optax's 1 - b2 in float32 is off by 1.7e-4
    ("ADOPT", {"betas": (0.9, 0.999)}, lambda: optax.contrib.adopt(0.1, b2=0.999)),
    ("ADOPT", {"betas": (0.8, 0.9), "clip": False}, lambda: optax.contrib.adopt(0.1, **B, use_clipping=False)),
    ("AdEMAMix", {"weight_decay": 0.1}, lambda: optax.contrib.ademamix(0.1, weight_decay=0.1)),
    (
        "AdEMAMix",
        {"betas": (0.9, 0.99, 0.999), "alpha": 8.0, "alpha_warmup": 150, "beta3_warmup": 120},
        lambda: optax.contrib.ademamix(
            0.1, b2=0.99, b3=lambda count: slower(count, 120), alpha=lambda count: warmed_up(count, 8.0, 150)
        ),
    ),
]


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-11)])
@pytest.mark.parametrize(("name", "options", "make"), CASES)
def test_follows_optax(
    name: str, options: dict[str, Any], make: Callable[[], Any], dtype: str, tolerance: float
) -> None:
    """Within the tolerance of the largest parameter."""
    rng = np.random.default_rng(7)
    shapes = [(31, 7), (7,), (1,)]
    params = [rng.normal(size=s).astype(dtype) for s in shapes]
    with jax.enable_x64(dtype == "float64"):
        theirs = make()
        wanted = [jax.numpy.asarray(p) for p in params]
        state = theirs.init(wanted)
        step = jax.jit(theirs.update)
        opt = getattr(schuss, name)(params, lr=0.1, **options)
        if name == "Yogi":  # optax begins the mean of the gradient with the accumulator's first value too
            described = opt.state_dict()
            for entry in described["state"].values():
                entry["exp_avg"][...] = 1e-6
            opt.load_state_dict(described)
        for _ in range(200):
            grads = [rng.normal(size=s).astype(dtype) for s in shapes]
            opt.step(grads)
            updates, state = step([jax.numpy.asarray(g) for g in grads], state, wanted)
            wanted = optax.apply_updates(wanted, updates)
    largest = max(np.max(np.abs(q)) for q in wanted)
    for p, q in zip(params, wanted, strict=True):
        assert p.dtype == q.dtype
        assert np.max(np.abs(p - np.asarray(q))) <= tolerance * largest
