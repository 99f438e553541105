"""Convolutions in jax, channels last."""

from __future__ import annotations

from typing import Any

from .. import jax_steps
from ..peers import module
from ..steps import Training
from .cases import Case, Conv

MOST_SCANNED = 1e9


def _logits(case: Case, jax: Any) -> jax_steps.Logits:
    jnp, lax = jax.numpy, jax.lax

    def logits(p: Any, x: Any) -> Any:
        for number, one in enumerate(case.placed):
            if isinstance(one.layer, Conv):
                padding = "SAME" if one.layer.same else "VALID"
                layout = ("NHWC", "HWIO", "NHWC")
                name = f"conv {number}"
                x = lax.conv_general_dilated(x, p[name], (1, 1), padding, dimension_numbers=layout)
                x = jnp.maximum(x + p[f"{name} bias"], 0)
            else:
                # A maximum over axes of its own: its gradient is far faster than that of lax.reduce_window.
                height, width, channels = one.out
                x = x.reshape(-1, height, 2, width, 2, channels).max(axis=(2, 4))
        x = jnp.maximum(x.reshape(len(x), -1) @ p["dense 0"] + p["dense 0 bias"], 0)
        return x @ p["dense 1"] + p["dense 1 bias"]

    return logits


def jitted(case: Case) -> Training | None:
    jax = module("jax")
    return jax and jax_steps.jitted(case, jax, _logits(case, jax))


def scan(case: Case) -> Training | None:
    # Inside of a scan, convolutions take 15 to 60 times as long (jax 0.10.2, CPU): minutes where they are large.
    jax = module("jax") if case.operations < MOST_SCANNED else None
    return jax and jax_steps.Scan(case, jax, _logits(case, jax))
