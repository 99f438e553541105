"""Training a function of jax's: Adam by hand, a jitted call a step, or an epoch in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cases import BETAS, EPS, LEARNING_RATE, Problem
from .steps import Steps

# (parameters, rows) -> logits; the parameters as a case's weights hold them.
Logits = Callable[[Any, Any], Any]


def jitted(case: Problem, jax: Any, logits: Logits) -> Steps:
    """One jitted call a step, state donated; waits at the end of a run only."""
    compiled = jax.jit(_step_of(jax, logits), donate_argnums=0)
    state = _state(case, jax)
    batches = [(jax.device_put(x), jax.device_put(y.astype(np.int32))) for x, y in case.batches]

    def step(k: int) -> Any:
        nonlocal state
        state, loss = compiled(state, *batches[k])
        return loss

    return Steps("jax jit", len(batches), step, lambda: jax.block_until_ready(state))


class Scan:
    """A whole epoch in one compiled call: the counterpart of our `fit`, without shuffling."""

    name = "jax scan"

    def __init__(self, case: Problem, jax: Any, logits: Logits) -> None:
        self._jax = jax
        self._state = _state(case, jax)
        self._case = case
        self.unit = case.epoch_steps
        step = _step_of(jax, logits)
        self._epoch = jax.jit(
            lambda state, x, y: jax.lax.scan(lambda s, batch: step(s, *batch), state, (x, y)), donate_argnums=0
        )
        self._timed = self._stacked(self.unit)

    def _stacked(self, steps: int) -> tuple[Any, Any]:
        batches = self._case.batches[:steps]
        x, y = np.stack([x for x, _ in batches]), np.stack([y for _, y in batches])
        return self._jax.device_put(x), self._jax.device_put(y.astype(np.int32))

    def losses(self, steps: int) -> NDArray[np.float64]:
        self._state, losses = self._epoch(self._state, *self._stacked(steps))
        return np.asarray(losses, np.float64)

    def run(self, calls: int) -> None:
        for _ in range(calls):
            self._state, _ = self._epoch(self._state, *self._timed)
        self._jax.block_until_ready(self._state)


def _step_of(jax: Any, logits: Logits) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """One step as a pure function: (parameters, m, v, steps), rows, labels -> the new state and the loss."""
    jnp = jax.numpy
    beta1, beta2 = BETAS

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        found = logits(parameters, x)
        picked = jnp.take_along_axis(found, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(found, axis=1) - picked)

    def step(state: Any, x: Any, y: Any) -> tuple[Any, Any]:
        parameters, m, v, count = state
        value, gradients = jax.value_and_grad(loss_of)(parameters, x, y)
        count = count + 1
        size = LEARNING_RATE / (1 - beta1**count)
        root = jnp.sqrt(1 - beta2**count)
        tree = jax.tree_util.tree_map
        m = tree(lambda a, g: beta1 * a + (1 - beta1) * g, m, gradients)
        v = tree(lambda a, g: beta2 * a + (1 - beta2) * g * g, v, gradients)
        parameters = tree(lambda p, a, b: p - size * a / (jnp.sqrt(b) / root + EPS), parameters, m, v)
        return (parameters, m, v, count), value

    return step


def _state(case: Any, jax: Any) -> Any:
    tree = jax.tree_util.tree_map
    copied = tree(jax.numpy.array, case.weights)
    return copied, *(tree(jax.numpy.zeros_like, copied) for _ in range(2)), jax.numpy.float32(0)
