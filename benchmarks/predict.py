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
# A column, and a call that predicts the rows.
Predictor = tuple[str, Callable[[], Any]]


def own(case: Case, x: Float) -> Predictor:
    predict = ours.network(case, "softmax").predict
    return "ours", lambda: predict(x)


def own_out(case: Case, x: Float) -> Predictor:
    predict = ours.network(case, "softmax").predict
    out = np.empty((len(x), case.sizes[-1]), np.float32)
    return "ours: out=", lambda: predict(x, out=out)


def torch_eager(case: Case, x: Float) -> Predictor | None:
    torch = peers.module("torch")
    if torch is None:
        return None
    model, rows = peers.torch_model(case, torch), torch.from_numpy(x)

    def predict() -> Any:
        with torch.inference_mode():
            return torch.softmax(model(rows), 1)

    return "torch", predict


def jax_jitted(case: Case, x: Float) -> Predictor | None:
    jax = peers.module("jax")
    if jax is None:
        return None
    weights = [(jax.numpy.array(w), jax.numpy.array(b)) for w, b in case.weights]
    rows = jax.device_put(x)

    # The weights are constants of what is compiled.
    @jax.jit  # type: ignore[untyped-decorator]
    def probabilities(x: Any) -> Any:
        for w, b in weights[:-1]:
            x = jax.numpy.maximum(x @ w + b, 0)
        w, b = weights[-1]
        return jax.nn.softmax(x @ w + b, axis=1)

    return "jax", lambda: probabilities(rows).block_until_ready()


def sklearn_public(case: Case, x: Float) -> Predictor | None:
    network = peers.module("sklearn.neural_network")
    if network is None:
        return None
    model = network.MLPClassifier(case.sizes[1:-1])
    classes = np.arange(case.sizes[-1])
    model.partial_fit(np.resize(case.data[0], (len(classes), case.sizes[0])), classes, classes=classes)
    model.coefs_ = [w.copy() for w, _ in case.weights]
    model.intercepts_ = [b.copy() for _, b in case.weights]
    return "sklearn", lambda: model.predict_proba(x)


def numpy_plain(case: Case, x: Float) -> Predictor:
    weights = case.weights

    def predict() -> Float:
        h = x
        for number, (w, b) in enumerate(weights):
            h = h @ w
            h += b
            if number < len(weights) - 1:
                np.maximum(h, 0, out=h)
        h -= h.max(axis=1, keepdims=True)
        np.exp(h, out=h)
        h /= h.sum(axis=1, keepdims=True)
        return h

    return "NumPy", predict


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    result = Result("Prediction", baselines=["torch"])
    makers: tuple[Callable[[Case, Float], Predictor | None], ...] = (
        own, own_out, torch_eager, jax_jitted, sklearn_public, numpy_plain,
    )  # fmt: skip
    for case in CASES[:2] if options.quick else CASES:
        peers.note(f"predict {case}, threads {threads}")
        x = np.ascontiguousarray(case.data[0][: case.batch])
        contenders, apart = [], 0.0
        first: Float | None = None
        for name, predict in peers.built(makers, case, x):
            found = np.asarray(predict())
            first = found if first is None else first
            apart = max(apart, float(np.abs(found - first).max()))
            contenders.append(Contender(name, _calls(predict)))
        times = alternate(contenders, 0.3 if options.quick else 1.0)
        label = {"layers": case.layers, "rows": str(case.batch)}
        limit = limits.arithmetic(2 * case.batch * case.products)
        result.rows.append(row(label, threads, ["ours", "ours: out="], times, limit, apart))
    result.notes = [
        "Class probabilities, softmax included, of float32 rows, which all have as their own kind of array. ours: "
        "Network.predict, of a two-dimensional array, with a new result each time or into out; torch: eager, inference "
        "mode; jax: jitted; sklearn: predict_proba. differ: largest difference of a probability.",
        ARITHMETIC_NOTE,
        *limits.seen(),
    ]
    return [result]


def _calls(predict: Callable[[], Any]) -> Callable[[int], None]:
    def run(calls: int) -> None:
        for _ in range(calls):
            predict()

    return run
