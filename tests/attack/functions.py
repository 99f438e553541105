"""What is one call from outside under attack: `minimize`, estimators, and files."""

from __future__ import annotations

import pickle
import tempfile
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

import schuss
from schuss import _core
from schuss.optim import BY_NAME

from . import draws
from .calls import Refused, attempt, both
from .guarded import begin, bits, check_canaries, guarded


def minimizations(data: Any) -> None:
    """A function that may be anything but a function; the start stays as it is, and threads do not matter."""
    draw = data.draw
    begin()
    x0: Any = guarded(
        draws.values(
            draw, draw(st.sampled_from([(3,), (1,), (0,), (2, 3), (40,)])), draw(st.sampled_from(["f4", "f8"])), False
        ),
        "f8",
    )
    what = draw(
        st.sampled_from(
            ["right"] * 4 + ["nan", "inf", "text", "none", "shape", "dtype", "writes", "raises", "vector", "huge"]
        )
    )
    method = draw(st.sampled_from([*sorted(BY_NAME), "lbfgs", "x", None, schuss.Adam]))
    options: dict[str, Any] = {"maxiter": draw(st.integers(0, 6))}
    for name in draw(
        st.lists(
            st.sampled_from(
                [
                    "lr",
                    "gtol",
                    "ftol",
                    "maxfun",
                    "maxtime",
                    "patience",
                    "norm",
                    "f_target",
                    "best",
                    "x",
                    "shape",
                    "weight_decay",
                    "clip_norm",
                ]
            ),
            max_size=3,
            unique=True,
        )
    ):
        options[name] = draw(st.one_of(draws.numbers(), draws.anything()))
    bounds = draw(
        st.sampled_from(
            [None, None, [(-1, 1)] * x0.size, [(1, -1)] * x0.size, [(None, 0.5)] * x0.size, [(0, np.nan)], 3, "x"]
        )
    )
    jac = draw(st.sampled_from([True, True, True, None, "2-point", "3-point", "x", 3]))
    stop = draw(st.booleans())

    def fun(x: Any) -> Any:
        with np.errstate(all="ignore"):
            value, gradient = float(np.square(x - 0.5).sum()), 2 * (x - 0.5)
        match what:
            case "nan" | "inf":
                value = float(what)
            case "text":
                return "x"
            case "none":
                return None
            case "shape":
                gradient = gradient[:-1]
            case "dtype":
                gradient = gradient.astype(complex)
            case "writes":
                x[...] = 10**6
            case "raises":
                raise ValueError("raised")
            case "vector":
                return gradient
            case "huge":
                gradient = np.full_like(gradient, 1e308)
        return (value, gradient) if jac is True else value

    def callback(x: Any) -> None:
        if stop:
            raise StopIteration

    found: list[Any] = []

    def run(threads: int) -> Any:
        with schuss.threads(threads), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "x0 is not within|.*differences", UserWarning)
            warnings.filterwarnings("ignore", "x0 is not within|.*differences", RuntimeWarning)
            result = schuss.minimize(fun, x0, method=method, jac=jac, bounds=bounds, callback=callback, options=options)
            found.append(bits(np.asarray(result.x)))
            return result

    before = bits(x0)
    timed = "maxtime" in options
    done = both("minimize", lambda: run(1), lambda: run(3)) if not timed else attempt("minimize", lambda: run(1))
    assert bits(x0) == before
    assert isinstance(done, Refused) or timed or found[0] == found[1]
    check_canaries()


def table(draw: Any, rows: int) -> Any:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    X = rng.normal(size=(rows, 4)).astype(draw(st.sampled_from(["f4", "f8"])))
    form = draw(st.sampled_from(["plain", "sparse", "csc", "list", "nan", "huge", "wide", "one", "object"]))
    match form:
        case "sparse" | "csc":
            import scipy.sparse

            X = np.where(X > 0, X, 0)
            return scipy.sparse.csr_matrix(X) if form == "sparse" else scipy.sparse.csc_matrix(X)
        case "list":
            return X.tolist()
        case "nan":
            X[0, 0] = np.nan
        case "huge":
            X *= 1e30
        case "wide":
            return X[:, :3]
        case "one":
            return X[:, 0]
        case "object":
            return X.astype(object)
    return X


SETTINGS: dict[str, list[Any]] = {
    "hidden_layer_sizes": [(3,), (), (5, 2), (0,), -1, (2**40,), "x", None],
    "activation": ["relu", "tanh", "logistic", "identity", "gelu", "x", None],
    "solver": ["adam", "sgd", "lbfgs", "lion", "muon", "x"],
    "alpha": [0.0, 1e-3, 1e300, -1.0, float("nan"), None],
    "batch_size": ["auto", 1, 3, 1000, 0, -5, 2**70],
    "learning_rate": ["constant", "adaptive", "invscaling", "x"],
    "learning_rate_init": [1e-3, 1.0, 1e30, 1e-300, 0.0, -1.0],
    "shuffle": [True, False, "x"],
    "tol": [0.0, 1e-4, float("inf"), -1.0],
    "warm_start": [True, False],
    "momentum": [0.0, 0.9, 1.0, 2.0],
    "early_stopping": [True, False],
    "validation_fraction": [0.1, 0.5, 0.0, 1.5],
    "beta_1": [0.0, 0.9, 1.0],
    "epsilon": [1e-8, 1e-45, 0.0, -1.0],
    "n_iter_no_change": [1, 10, 0, float("inf")],
    "dropout": [0.0, 0.5, 1.0, -0.1],
    "l1": [0.0, 0.1, 1e300, -1.0],
    "clip_norm": [None, 1.0, 1e-310, -1.0],
    "random_order": ["sklearn", "schuss", "x"],
    "class_weight": [None, "balanced", {0: 2.0}, "x"],
    "loss": ["log_loss", "squared_error", "focal", "x"],
}


def estimators(data: Any) -> None:
    """Two estimators of the same settings, on other numbers of threads, one of which is pickled in between."""
    from sklearn.exceptions import ConvergenceWarning

    import schuss.sklearn as module

    draw = data.draw
    kind = draw(st.sampled_from([module.MLPClassifier, module.MLPRegressor]))
    known = kind().get_params()
    names = draw(st.lists(st.sampled_from(sorted(set(SETTINGS) & set(known))), max_size=4, unique=True))
    settings: dict[str, Any] = {name: draw(st.sampled_from(SETTINGS[name]), label=name) for name in names}
    settings = {"hidden_layer_sizes": (4,), "max_iter": 2, "random_state": 0, **settings}
    rows = draw(st.sampled_from([1, 2, 9, 30]))
    y = draw(
        st.sampled_from(
            [
                np.arange(rows) % 3,
                np.arange(rows) % 2,
                np.zeros(rows),
                np.linspace(0, 1, rows),
                np.arange(rows + 1),
                np.full(rows, np.nan),
                np.full(rows, 1e200),
                np.arange(2 * rows).reshape(rows, 2) % 2,
                ["a", "b"] * rows,
                None,
            ]
        )
    )
    one, other = kind(**settings), kind(**settings)
    for _ in range(draw(st.integers(1, 3))):
        X = table(draw, rows)
        call = draw(st.sampled_from(["fit", "fit", "partial_fit", "predict", "score", "predict_proba"]))
        results: list[Any] = []

        def run(est: Any, threads: int, X: Any = X, call: str = call, results: list[Any] = results) -> None:
            with schuss.threads(threads), warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                warnings.simplefilter("ignore", UserWarning)
                warnings.filterwarnings("ignore", category=RuntimeWarning, module="sklearn|numpy|scipy")
                method = getattr(est, call, None)
                if method is None:
                    return
                match call:
                    case "partial_fit" if kind is module.MLPClassifier and not hasattr(est, "classes_"):
                        method(X, y, classes=np.arange(3))
                    case "fit" | "partial_fit" | "score":
                        results.append(method(X, y))
                    case _:
                        results.append(method(X))

        done = both(f"{kind.__name__}.{call}", lambda run=run: run(one, 1), lambda run=run, other=other: run(other, 3))
        if not isinstance(done, Refused) and hasattr(one, "coefs_"):
            for a, b in zip(one.coefs_ + one.intercepts_, other.coefs_ + other.intercepts_, strict=True):
                assert bits(np.asarray(a)) == bits(np.asarray(b))
            other = pickle.loads(pickle.dumps(other))
        if len(results) == 2 and isinstance(results[0], np.ndarray) and results[0].dtype.kind == "f":
            assert bits(results[0]) == bits(results[1])
    _core.set_num_threads(None)


@lru_cache
def saved() -> bytes:
    """A file of a network: one for all, as it tells how long the epoch took."""
    network = schuss.Network([schuss.Dense(3, 4, "relu"), schuss.BatchNorm(), schuss.Dense(2)], seed=0)
    network.fit(np.ones((4, 3)), np.zeros((4, 2)), loss="mse", epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.npz")
        network.save(path, network.optimizer)
        return path.read_bytes()


def files(data: Any) -> None:
    """A saved network of which some bytes are others: refused, or loaded with all that counts."""
    draw = data.draw
    content = bytearray(saved())
    places = [draw(st.integers(0, 10**6)) % (len(content) - 64) for _ in range(4)]
    match draw(st.sampled_from(["bytes", "cut", "longer", "swap"])):
        case "bytes":
            for place in places:
                content[place] = draw(st.integers(0, 255))
        case "cut":
            del content[places[0] :]
        case "longer":
            content += draw(st.binary(max_size=40))
        case "swap":
            first, second = (slice(place, place + 32) for place in places[:2])
            content[first], content[second] = content[second], content[first]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.npz")
        path.write_bytes(content)
        found = attempt("load a file", lambda: schuss.load(path))
    if not isinstance(found, Refused):
        assert found.predict(np.ones((5, 3))).shape == (5, 2)
        attempt("fit what was loaded", lambda: found.fit(np.ones((4, 3)), np.zeros((4, 2)), loss="mse", epochs=1))
