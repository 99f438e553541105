"""The other libraries, each making the same training step. What is not installed, or does not work, is left out."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np

from . import jax_steps, numpy_steps, torch_steps
from .cases import BETAS, EPS, LEARNING_RATE, Case
from .steps import Steps, Training


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


def torch_eager(case: Case) -> Training | None:
    torch = module("torch")
    return torch and torch_steps.eager(case, torch, torch_model(case, torch))


def torch_compiled(case: Case) -> Training | None:
    torch = module("torch")
    return torch and torch_steps.compiled(case, torch, torch_model(case, torch))


def _jax_logits(jax: Any) -> Callable[[Any, Any], Any]:
    def logits(parameters: Any, x: Any) -> Any:
        for w, b in parameters[:-1]:
            x = jax.numpy.maximum(x @ w + b, 0)
        w, b = parameters[-1]
        return x @ w + b

    return logits


def jax_step(case: Case) -> Training | None:
    jax = module("jax")
    return jax and jax_steps.jitted(case, jax, _jax_logits(jax))


def jax_scan(case: Case) -> Training | None:
    jax = module("jax")
    return jax and jax_steps.Scan(case, jax, _jax_logits(jax))


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
    values, slopes, update = numpy_steps.flat(array for layer in case.weights for array in layer)
    layers = list(zip(values[::2], values[1::2], strict=True))
    outputs = [np.empty((case.batch, n), np.float32) for n in case.sizes[1:]]
    deltas = [np.empty_like(out) for out in outputs]
    last = len(layers) - 1

    def step(k: int) -> Any:
        x, y = case.batches[k]
        h = x
        for (w, b), out in zip(layers, outputs, strict=True):
            np.matmul(h, w, out=out)
            np.add(out, b, out=out)
            if out is not outputs[last]:
                np.maximum(out, 0, out=out)
            h = out
        loss = numpy_steps.cross_entropy(h, y, deltas[last])
        for number in range(last, -1, -1):
            below = outputs[number - 1] if number else x
            np.matmul(below.T, deltas[number], out=slopes[2 * number])
            np.sum(deltas[number], axis=0, out=slopes[2 * number + 1])
            if number:
                np.matmul(deltas[number], layers[number][0].T, out=deltas[number - 1])
                np.multiply(deltas[number - 1], below > 0, out=deltas[number - 1])
        update()
        return loss

    return Steps("NumPy", len(case.batches), step)


PEERS: tuple[Callable[[Case], Training | None], ...] = (torch_eager, jax_step, jax_scan, sklearn_loop, numpy_loop)
