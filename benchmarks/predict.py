"""Prediction: class probabilities of one row and of many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import ours, peers
from .cases import Case, Float
from .limits import ARITHMETIC_NOTE, Limits
from .tables import Result, row
from .timing import Contender, alternate

# The batch is the number of rows.
CASES = (
    Case((64, 100, 10), 1),
    Case((64, 100, 10), 1797),
    Case((784, 256, 10), 1),
    Case((784, 256, 10), 5000),
)
Predictor = tuple[str, Callable[[Float], Any]]


def own(case: Case) -> Predictor:
    return "ours", ours.network(case, "softmax").predict


def torch_eager(case: Case) -> Predictor | None:
    torch = peers.module("torch")
    if torch is None:
        return None
    model = peers.torch_model(case, torch)

    def predict(x: Float) -> Any:
        with torch.inference_mode():
            return torch.softmax(model(torch.from_numpy(x)), 1)

    return "torch", predict


def jax_jitted(case: Case) -> Predictor | None:
    jax = peers.module("jax")
    if jax is None:
        return None
    weights = [(jax.numpy.array(w), jax.numpy.array(b)) for w, b in case.weights]

    @jax.jit  # type: ignore[untyped-decorator]
    def probabilities(layers: Any, x: Any) -> Any:
        for w, b in layers[:-1]:
            x = jax.numpy.maximum(x @ w + b, 0)
        w, b = layers[-1]
        return jax.nn.softmax(x @ w + b, axis=1)

    return "jax", lambda x: probabilities(weights, x).block_until_ready()


def sklearn_public(case: Case) -> Predictor | None:
    network = peers.module("sklearn.neural_network")
    if network is None:
        return None
    model = network.MLPClassifier(case.sizes[1:-1])
    classes = np.arange(case.sizes[-1])
    model.partial_fit(np.resize(case.data[0], (len(classes), case.sizes[0])), classes, classes=classes)
    model.coefs_ = [w.copy() for w, _ in case.weights]
    model.intercepts_ = [b.copy() for _, b in case.weights]
    return "sklearn", model.predict_proba


def numpy_plain(case: Case) -> Predictor:
    weights = case.weights

    def predict(x: Float) -> Float:
        for number, (w, b) in enumerate(weights):
            x = x @ w
            x += b
            if number < len(weights) - 1:
                np.maximum(x, 0, out=x)
        x -= x.max(axis=1, keepdims=True)
        np.exp(x, out=x)
        x /= x.sum(axis=1, keepdims=True)
        return x

    return "NumPy", predict


def measure(options: Any, threads: int, limits: Limits) -> Result:
    result = Result("Prediction")
    makers: tuple[Callable[[Case], Predictor | None], ...] = (
        own, torch_eager, jax_jitted, sklearn_public, numpy_plain,
    )  # fmt: skip
    for case in CASES[:2] if options.quick else CASES:
        peers.note(f"predict {case}, threads {threads}")
        x = np.ascontiguousarray(case.data[0][: case.batch])
        contenders, apart = [], 0.0
        first: Float | None = None
        for name, predict in peers.built(makers, case):
            found = np.asarray(predict(x))
            first = found if first is None else first
            apart = max(apart, float(np.abs(found - first).max()))
            contenders.append(Contender(name, _calls(predict, x)))
        times = alternate(contenders, 0.3 if options.quick else 1.0)
        label = {"layers": case.layers, "rows": str(case.batch)}
        limit = limits.arithmetic(2 * case.batch * case.products)
        result.rows.append(row(label, threads, ["ours"], times, limit, apart))
    result.notes = [
        "Class probabilities, softmax included, of float32 rows. ours: Network.predict; torch: eager, inference mode, "
        "torch.from_numpy included; jax: jitted; sklearn: predict_proba. differ: largest difference of a probability.",
        ARITHMETIC_NOTE,
        *limits.seen(),
    ]
    return result


def _calls(predict: Callable[[Float], Any], x: Float) -> Callable[[int], None]:
    def run(calls: int) -> None:
        for _ in range(calls):
            predict(x)

    return run
