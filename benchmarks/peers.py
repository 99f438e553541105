"""The other libraries, each making the same training step. What is not installed, or does not work, is left out."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from . import numpy_rules
from .cases import BETAS, EPS, LEARNING_RATE, Case, Float


@cache
def module(name: str) -> Any:
    """A module, or None where it is not installed. Untyped, so that types do not depend on what is installed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        note(f"{name} is not installed: left out")
        return None


def note(line: str) -> None:
    """Tell, aside from the results."""
    print(line, file=sys.stderr, flush=True)


class Training(Protocol):
    """One library training one case from the common start weights."""

    name: str
    unit: int

    def losses(self, steps: int) -> NDArray[np.float64]:
        """Train through the first batches; their losses, or once their mean. Called before `run`."""

    def run(self, calls: int) -> object:
        """Train on, `unit` steps a call, and wait for the end."""


def built(
    makers: Iterable[Callable[..., Any]], *arguments: Any, started: Callable[[Any], object] | None = None
) -> list[Any]:
    """What can be built here and started; the rest is told in a line each."""
    found = []
    for make in makers:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                one = make(*arguments)
                if one is not None and started is not None:
                    started(one)
        except Exception as error:
            note(f"{make.__name__} left out: {type(error).__name__}: {str(error).partition(chr(10))[0]}")
            continue
        if one is not None:
            found.append(one)
    return found


class Steps:
    """Training a batch at a time from Python.

    Parameters
    ----------
    name : str
        Of the library.
    batches : int
        How many there are.
    step : callable
        ``step(k)`` trains on batch k and returns its loss.
    wait : callable, optional
        Returns when all steps are done.
    """

    unit = 1

    def __init__(
        self, name: str, batches: int, step: Callable[[int], Any], wait: Callable[[], object] | None = None
    ) -> None:
        self.name = name
        self._step, self._wait, self._batches, self._next = step, wait, batches, 0

    def losses(self, steps: int) -> NDArray[np.float64]:
        return np.array([float(self._step(k % self._batches)) for k in range(steps)])

    def run(self, calls: int) -> None:
        step, batches, k = self._step, self._batches, self._next
        for _ in range(calls):
            step(k)
            k += 1
            if k == batches:
                k = 0
        self._next = k
        if self._wait is not None:
            self._wait()


def torch_model(case: Case, torch: Any) -> Any:
    """The layers with their start weights."""
    layers: list[Any] = []
    for w, b in case.weights:
        layer = torch.nn.Linear(*w.shape)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(w.T.copy()))
            layer.bias.copy_(torch.from_numpy(b))
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def _torch(case: Case, torch: Any, compiled: bool) -> Steps:
    model = torch_model(case, torch)
    # The fused form is the fastest that torch has on a CPU.
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE, betas=BETAS, eps=EPS, fused=True)
    batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in case.batches]

    def value(x: Any, y: Any) -> Any:
        return torch.nn.functional.cross_entropy(model(x), y)

    loss_of = value
    if compiled:
        # Each case is a function of its own: what was compiled for the others must not make its shapes variable.
        torch._dynamo.reset()
        loss_of = torch.compile(value, fullgraph=True, dynamic=False)

    def step(k: int) -> Any:
        loss = loss_of(*batches[k])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Steps("torch.compile" if compiled else "torch", len(batches), step)


def torch_eager(case: Case) -> Training | None:
    torch = module("torch")
    return None if torch is None else _torch(case, torch, compiled=False)


def torch_compiled(case: Case) -> Training | None:
    torch = module("torch")
    return None if torch is None else _torch(case, torch, compiled=True)


def _jax_step(jax: Any) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """One step as a pure function: (parameters, m, v, steps), rows, labels -> the new state and the loss."""
    jnp = jax.numpy
    beta1, beta2 = BETAS

    def loss_of(parameters: Any, x: Any, y: Any) -> Any:
        for w, b in parameters[:-1]:
            x = jnp.maximum(x @ w + b, 0)
        w, b = parameters[-1]
        logits = x @ w + b
        picked = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
        return jnp.mean(jax.nn.logsumexp(logits, axis=1) - picked)

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


class _JaxScan:
    """A whole epoch in one compiled call: the counterpart of our `fit`, without shuffling."""

    name = "jax scan"

    def __init__(self, case: Case, jax: Any) -> None:
        self._jax = jax
        self._state = _jax_state(case, jax)
        self._case = case
        self.unit = case.epoch_steps
        step = _jax_step(jax)
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


def _jax_state(case: Case, jax: Any) -> Any:
    copied = [(jax.numpy.array(w), jax.numpy.array(b)) for w, b in case.weights]
    zeros = [[(jax.numpy.zeros_like(w), jax.numpy.zeros_like(b)) for w, b in copied] for _ in range(2)]
    return copied, *zeros, jax.numpy.float32(0)


def jax_step(case: Case) -> Training | None:
    jax = module("jax")
    if jax is None:
        return None
    # State donated; waits at the end of a run only.
    compiled = jax.jit(_jax_step(jax), donate_argnums=0)
    state = _jax_state(case, jax)
    batches = [(jax.device_put(x), jax.device_put(y.astype(np.int32))) for x, y in case.batches]

    def step(k: int) -> Any:
        nonlocal state
        state, loss = compiled(state, *batches[k])
        return loss

    return Steps("jax jit", len(batches), step, lambda: jax.block_until_ready(state))


def jax_scan(case: Case) -> Training | None:
    jax = module("jax")
    return None if jax is None else _JaxScan(case, jax)


def sklearn_loop(case: Case) -> Training | None:
    """The inside of MLPClassifier's own loop, without its checks and shuffling: `_backprop` and its Adam."""
    network = module("sklearn.neural_network")
    if network is None:
        return None
    model = network.MLPClassifier(case.sizes[1:-1], activation="relu", alpha=0.0)
    # As `_initialize` leaves it, for any number of classes: two would become one logistic output.
    model.n_outputs_, model.n_layers_, model.out_activation_ = case.sizes[-1], len(case.sizes), "softmax"
    model.loss = "log_loss"
    model.coefs_ = [w.copy() for w, _ in case.weights]
    model.intercepts_ = [b.copy() for _, b in case.weights]
    parameters = model.coefs_ + model.intercepts_
    optimizer = network._stochastic_optimizers.AdamOptimizer(parameters, LEARNING_RATE, *BETAS, EPS)
    activations: list[Any] = [None] * len(case.sizes)
    deltas: list[Any] = [None] * len(case.weights)
    dw, db = [np.empty_like(w) for w, _ in case.weights], [np.empty_like(b) for _, b in case.weights]
    classes = np.arange(case.sizes[-1])
    batches = [(x, y[:, None] == classes) for x, y in case.batches]

    def step(k: int) -> Any:
        nonlocal dw, db
        x, y = batches[k]
        activations[0] = x
        loss, dw, db = model._backprop(x, y, None, activations, deltas, dw, db)
        optimizer.update_params(parameters, dw + db)
        return loss

    return Steps("sklearn", len(batches), step)


def numpy_loop(case: Case) -> Training:
    """Written by hand: nothing is allocated for the large arrays, one flat vector for Adam."""
    size = sum(w.size + b.size for w, b in case.weights)
    parameters, gradients = np.zeros(size, np.float32), np.zeros(size, np.float32)
    layers: list[tuple[Float, Float]] = []
    slopes: list[tuple[Float, Float]] = []
    start = 0
    for w, b in case.weights:
        middle, end = start + w.size, start + w.size + b.size
        for flat, views in ((parameters, layers), (gradients, slopes)):
            views.append((flat[start:middle].reshape(w.shape), flat[middle:end]))
        layers[-1][0][...], layers[-1][1][...] = w, b
        start = end
    update = numpy_rules.step_of("Adam", parameters, gradients)
    outputs = [np.empty((case.batch, n), np.float32) for n in case.sizes[1:]]
    deltas = [np.empty_like(out) for out in outputs]
    rows, last = np.arange(case.batch), len(layers) - 1

    def step(k: int) -> Any:
        x, y = case.batches[k]
        h = x
        for (w, b), out in zip(layers, outputs, strict=True):
            np.matmul(h, w, out=out)
            np.add(out, b, out=out)
            if out is not outputs[last]:
                np.maximum(out, 0, out=out)
            h = out
        delta = deltas[last]
        np.subtract(h, h.max(axis=1, keepdims=True), out=h)
        picked = h[rows, y]
        np.exp(h, out=delta)
        total = delta.sum(axis=1, keepdims=True)
        loss = (np.log(total[:, 0]) - picked).mean()
        np.divide(delta, total, out=delta)
        delta[rows, y] -= 1
        np.divide(delta, np.float32(case.batch), out=delta)
        for number in range(last, -1, -1):
            below = outputs[number - 1] if number else x
            np.matmul(below.T, deltas[number], out=slopes[number][0])
            np.sum(deltas[number], axis=0, out=slopes[number][1])
            if number:
                np.matmul(deltas[number], layers[number][0].T, out=deltas[number - 1])
                np.multiply(deltas[number - 1], below > 0, out=deltas[number - 1])
        update()
        return loss

    return Steps("NumPy", len(case.batches), step)


PEERS: tuple[Callable[[Case], Training | None], ...] = (torch_eager, jax_step, jax_scan, sklearn_loop, numpy_loop)
