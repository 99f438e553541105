"""Recurrent layers in jax: `lax.scan` over the times.

Each time makes its own product of the inputs: one product for all of them in front of the loop takes up to three times
as long in all (jax 0.10.2, CPU).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import jax_steps
from ..peers import module
from ..steps import Training
from .cases import Case


def _cells(jax: Any) -> dict[str, Callable[[Any, Any, Any], Any]]:
    """By kind: (parameters, states, what the inputs give) -> the new states, the output first."""
    jnp, sigmoid = jax.numpy, jax.nn.sigmoid

    def rnn(p: Any, states: Any, x: Any) -> Any:
        return (jnp.tanh(x + states[0] @ p["recurrent"]),)

    def gru(p: Any, states: Any, x: Any) -> Any:
        (h,) = states
        r, z, n = jnp.split(x, 3, axis=1)
        hr, hz, hn = jnp.split(h @ p["recurrent"] + p["recurrent_bias"], 3, axis=1)
        z = sigmoid(z + hz)
        return (z * h + (1 - z) * jnp.tanh(n + sigmoid(r + hr) * hn),)

    def lstm(p: Any, states: Any, x: Any) -> Any:
        h, c = states
        i, f, g, o = jnp.split(x + h @ p["recurrent"], 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)
        return sigmoid(o) * jnp.tanh(c), c

    return {"RNN": rnn, "GRU": gru, "LSTM": lstm}


def _logits(case: Case, jax: Any) -> jax_steps.Logits:
    cell = _cells(jax)[case.kind]

    def logits(p: Any, x: Any) -> Any:
        zeros = jax.numpy.zeros((case.batch, case.units), x.dtype)
        start = (zeros, zeros) if case.kind == "LSTM" else (zeros,)

        def step(states: Any, x: Any) -> Any:
            return cell(p, states, x @ p["weight"] + p["bias"]), None

        states, _ = jax.lax.scan(step, start, jax.numpy.swapaxes(x, 0, 1))
        return states[0] @ p["dense"] + p["dense_bias"]

    return logits


def jitted(case: Case) -> Training | None:
    jax = module("jax")
    return jax and jax_steps.jitted(case, jax, _logits(case, jax))


def scan(case: Case) -> Training | None:
    jax = module("jax")
    return jax and jax_steps.Scan(case, jax, _logits(case, jax))
