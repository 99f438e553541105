"""Networks under attack: two that are the same, on other numbers of threads, one of them saved and loaded."""

from __future__ import annotations

import copy
import pickle
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import schuss
from schuss import _core
from schuss.layers import Activation, BatchNorm, Concatenate, Dense, Embedding, Input, LayerNorm, PReLU, Residual, Scale

from . import draws
from .calls import Refused, attempt, both
from .guarded import Array, begin, bits, check_canaries, guarded, same

LOSSES = {
    "mse": "numbers",
    "mae": "numbers",
    "huber": "numbers",
    "quantile": "numbers",
    "cross_entropy": "labels",
    "focal": "labels",
    "binary_cross_entropy": "shares",
    "binary_focal": "shares",
    "poisson": "shares",
    "tweedie": "shares",
}


def layers(draw: Any, columns: int, n_out: int) -> list[Any]:
    """A stack of some kinds, perhaps with a table of codes before it."""
    width = draw(st.sampled_from([1, 3, 8, 17, 40]))
    activation = draw(st.sampled_from(["relu", "tanh", "gelu", "sigmoid", "elu"]))
    kinds = [
        [Dense(columns, width, activation)],
        [Dense(columns, width, activation, dropout=0.3), BatchNorm()],
        [BatchNorm(columns), Dense(width), LayerNorm(), Activation("relu")],
        [Dense(columns, width), Residual([Dense(width, activation)]), PReLU()],
        [Scale(columns), Dense(width, activation, bias=False)],
        [Concatenate([[Dense(columns, width)], [Scale(columns)]])],
        [Input("codes", columns, dtype="int64"), Embedding(9, 3), Activation("tanh")],
    ]
    return [*draw(st.sampled_from(kinds)), Dense(n_out)]


class Networks(RuleBasedStateMachine):
    """Rules call a network and its twin."""

    def __init__(self) -> None:
        super().__init__()
        begin()
        self.isa = _core.config()["isa"]
        self.ready = False

    @initialize(data=st.data())
    def make(self, data: Any) -> None:
        draw = data.draw
        columns, n_out = draw(st.sampled_from([1, 2, 5, 16, 33])), draw(st.sampled_from([1, 2, 3, 10]))
        dtype, seed = draw(st.sampled_from(["float32", "float64"])), draw(st.integers(0, 2**64 - 1))
        stack = layers(draw, columns, n_out)
        self.columns = columns
        self.one = schuss.Network(stack, seed=seed, dtype=dtype)
        self.other = schuss.Network(stack, seed=seed, dtype=dtype)
        self.loss = draw(st.sampled_from(sorted(LOSSES)), label="loss")
        if LOSSES[self.loss] == "labels" and n_out == 1:
            self.loss = "mse"
        self.kind = draw(
            st.sampled_from(["sgd", "adam", "adamw", "lion", "muon", "rprop", "schedule_free_adamw", "soap", "lamb"])
        )
        self.ready = True

    def rows(self, draw: Any, n: int) -> Array:
        """Data of n rows that fit."""
        if self.one.inputs[0].codes:
            rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
            return guarded(rng.integers(0, 9, (n, self.columns)), np.int64)
        return guarded(
            draws.values(draw, (n, self.columns), self.one.dtype, False), self.one.dtype, draw(st.integers(0, 3))
        )

    def targets(self, draw: Any, n: int) -> Array:
        rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        match LOSSES[self.loss]:
            case "labels":
                return guarded(rng.integers(0, self.one.n_out, n), np.int64)
            case "shares":
                return guarded(rng.uniform(0, 1, (n, self.one.n_out)), self.one.dtype)
        return guarded(rng.normal(size=(n, self.one.n_out)), self.one.dtype)

    def odd_data(self, draw: Any, n: int) -> tuple[Any, Any]:
        """Data with something wrong, or of another form."""
        X, y = self.rows(draw, n), self.targets(draw, n)
        change = draw(st.integers(0, 11), label="change")
        with np.errstate(over="ignore"):
            match change:
                case 0:
                    X = X[:, :-1]
                case 1:
                    X = X[:-1]
                case 2:
                    X = np.full_like(X, draw(st.sampled_from([-1, 2**31 - 1]))) if X.dtype.kind == "i" else X * np.nan
                case 3:
                    X = X.astype(X.dtype.newbyteorder())
                case 4:
                    X = np.asfortranarray(X)
                case 5:
                    return draw(
                        st.sampled_from([None, 3, "x", X.tolist(), X[0], X[None], X.astype(object), X.view(draws.Kind)])
                    ), y
                case 6:
                    y = y[::-1].copy()[:-1]
                case 7:
                    flat = y.reshape(-1)
                    flat[0] = (
                        draw(st.sampled_from([-1, self.one.n_out, 2**40]))
                        if y.dtype.kind == "i"
                        else draw(st.sampled_from([np.nan, np.inf, -1.0, 1e30]))
                    )
                case 8:
                    return X, draw(
                        st.sampled_from(
                            [None, 3, "x", y.tolist(), y[None], y.astype(object), y.astype("f2"), y.view(draws.Kind)]
                        )
                    )
                case 9:
                    X.setflags(write=False)
                    y.setflags(write=False)
                case 10:
                    return {"x": X, "codes": X}, y
        return X, y

    def state(self, network: Any) -> Any:
        core = network._core
        optimizer = network.optimizer
        states = [] if optimizer is None else [bits(a) for of in optimizer._stepper.states for a in of if a is not None]
        return bits(core.flat_parameters), core.draws, network.epochs_done, states

    def on_both(self, name: str, call: Any, unchanged: bool = True) -> Any:
        """call(network, on_twin) of both."""

        def on_one() -> Any:
            with schuss.threads(1):
                return call(self.one, False)

        def on_other() -> Any:
            with schuss.threads(3):
                return call(self.other, True)

        return both(name, on_one, on_other, (lambda: self.state(self.one)) if unchanged else None)

    # ---- rules -------------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), n=st.integers(1, 40), odd=st.booleans())
    def fit(self, data: Any, n: int, odd: bool) -> None:
        draw = data.draw
        X, y = self.odd_data(draw, n) if odd else (self.rows(draw, n), self.targets(draw, n))
        how: dict[str, Any] = {
            "optimizer": self.kind,
            "epochs": draw(st.integers(1, 2)),
            "batch_size": draw(st.integers(1, 50)),
        }
        choices: dict[str, list[Any]] = {
            "lr": [1e-3, 0.1, 1e30, 1e300, 0.0, -1.0, float("nan"), schuss.schedules.Cosine(0.1, 7), lambda step: 0.1],
            "batch_size": [None, 1, 10**30, 0, -1, 2.5, "x"],
            "epochs": [1, 0, 1.0, None],
            "shuffle": [False, True, None],
            "validation_fraction": [0.3, 0.99, 1.0, -0.1, float("nan")],
            "validation_data": [(X, y), (X,), 3],
            "sample_weight": [
                np.ones(n),
                np.zeros(n),
                np.full(n, 1e300),
                np.full(n, np.nan),
                -np.ones(n),
                np.ones(n + 1),
                "x",
            ],
            "class_weight": ["balanced", {0: 2.0}, {0: -1.0}, "x", np.ones(3)],
            "metrics": ["mse", "accuracy", ["r2", "mae"], "x", 3],
            "early_stopping": [True, 1, 0, -1, "x"],
            "clip_norm": [1.0, 1e-300, 1e300, 0.0, float("nan")],
            "clip_value": [1.0, 1e-30, -1.0],
            "restore_on_divergence": [False, True],
        }
        for name in draw(st.lists(st.sampled_from(sorted(choices)), max_size=3, unique=True)):
            how[name] = draw(st.sampled_from(choices[name]), label=name)
        if callable(how.get("lr")) and not isinstance(how["lr"], schuss.schedules.Schedule):
            how["lr"] = constant
        self.on_both("fit", lambda network, twin: network.fit(X, y, loss=self.loss, **how)["loss"], False)

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), n=st.integers(2, 40))
    def fit_with_a_callback(self, data: Any, n: int) -> None:
        """A callback writes into what is in use; both networks see the same writes."""
        draw = data.draw
        X, y, w = self.rows(draw, n), self.targets(draw, n), np.ones(n)
        what = draw(
            st.sampled_from(
                ["X", "y", "w", "shape", "resize", "parameters", "threads", "fit", "group", "lock", "raise", "epochs"]
            )
        )
        k = draw(st.integers(0, n - 1))
        value = (
            draw(st.sampled_from([-1, 8, 2**62]))
            if X.dtype.kind == "i"
            else draw(st.sampled_from([np.nan, np.inf, 3.0, -1.0, 1e30]))
        )

        def run(network: Any, twin: bool) -> Any:
            mine = X.copy(), y.copy(), w.copy()

            def callback(record: Any) -> None:
                match what:
                    case "X":
                        mine[0][k, 0] = value
                    case "y":
                        mine[1][k] = 2**40 if y.dtype.kind == "i" else np.nan
                    case "w":
                        mine[2][k] = np.nan
                    case "shape":
                        mine[0].shape = mine[0].shape[::-1]
                    case "resize":
                        mine[k % 3].resize(10**5, refcheck=False)
                    case "parameters":
                        network.parameters[k % len(network.parameters)][...] = 0.25
                    case "threads":
                        _core.set_num_threads(20)
                    case "fit":
                        network.fit(*mine[:2], loss=self.loss)
                    case "group":
                        record.optimizer.param_groups[0]["lr"] = float("nan")
                    case "lock":
                        network.parameters[0].setflags(write=False)
                    case "raise":
                        raise ValueError("raised")
                    case "epochs":
                        network.epochs_done = 0

            try:
                network.fit(
                    *mine[:2],
                    sample_weight=mine[2],
                    loss=self.loss,
                    optimizer=self.kind,
                    epochs=2,
                    batch_size=7,
                    callbacks=[callback],
                )
            finally:
                _core.set_num_threads(None)
                network.parameters[0].setflags(write=True)
                if what == "group" and network.optimizer is not None:
                    network.optimizer.param_groups[0]["lr"] = 0.01

        self.on_both(f"fit, {what}", run, False)

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), n=st.integers(1, 20))
    def fit_with_a_loss_of_ones_own(self, data: Any, n: int) -> None:
        draw = data.draw
        X, y = self.rows(draw, n), guarded(np.ones((n, self.one.n_out)), self.one.dtype)
        what = draw(
            st.sampled_from(["right", "right", "shape", "dtype", "nan", "none", "text", "predict", "threads", "raise"])
        )

        def run(network: Any, twin: bool) -> Any:
            def loss(prediction: Array, target: Array) -> Any:
                difference = np.clip(prediction, -1e3, 1e3) - target
                value, gradient = float(np.square(difference).mean()), 2 * difference / difference.size
                match what:
                    case "shape":
                        gradient = gradient[:, :, None]
                    case "dtype":
                        gradient = np.ones(gradient.shape, np.int8)
                    case "nan":
                        value = float("nan")
                    case "none":
                        return None
                    case "text":
                        return "x", gradient
                    case "predict":
                        network.predict(X)
                    case "threads":
                        _core.set_num_threads(20)
                    case "raise":
                        raise ValueError("raised")
                return value, gradient

            try:
                network.fit(X, y, loss=loss, optimizer=self.kind, epochs=1, batch_size=6)
            finally:
                _core.set_num_threads(None)

        self.on_both(f"loss, {what}", run, False)

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), n=st.integers(1, 40), odd=st.booleans())
    def train_step(self, data: Any, n: int, odd: bool) -> None:
        draw = data.draw
        X, y = self.odd_data(draw, n) if odd else (self.rows(draw, n), self.targets(draw, n))
        how = {}
        if draw(st.booleans()):
            how["clip_norm"] = draw(draws.anything())
        if draw(st.booleans()):
            how["sample_weight"] = draw(
                st.sampled_from([np.ones(n), np.zeros(n), np.full(n, np.inf), np.ones(n, "f4"), -np.ones(n), "x"])
            )

        for network in (self.one, self.other):
            if network.optimizer is None:
                kind = schuss.Adam if self.kind == "muon" else schuss.optim.BY_NAME[self.kind]
                network.optimizer = kind(network.parameters)
        self.on_both("train_step", lambda network, twin: network.train_step(X, y, self.loss, network.optimizer, **how))

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), n=st.integers(1, 40), odd=st.booleans())
    def passes(self, data: Any, n: int, odd: bool) -> None:
        draw = data.draw
        X, y = self.odd_data(draw, n) if odd else (self.rows(draw, n), self.targets(draw, n))
        dout = draws.values(draw, (n, self.one.n_out), draw(st.sampled_from(["f4", "f8"])))
        if draw(st.integers(0, 4)) == 0:
            dout = dout[1:]
        results = []
        with np.errstate(over="ignore"):
            self.on_both("loss_and_gradients", lambda network, twin: network.loss_and_gradients(X, y, self.loss))
            same(self.one.gradients, self.other.gradients, "gradients") if not odd else None
            done = self.on_both("forward", lambda network, twin: results.append(network.forward(X)))
            if not isinstance(done, Refused):
                same([results[0]], [results[1]], "forward")
                results.clear()
                done = self.on_both("backward", lambda network, twin: results.append(network.backward(dout)))
                if not isinstance(done, Refused):
                    same(self.one.gradients, self.other.gradients, "gradients of backward")
            self.on_both("evaluate", lambda network, twin: network.evaluate(X, y, self.loss, ["mse"]))

    @precondition(lambda self: self.ready)
    @rule(data=st.data(), n=st.integers(1, 70), odd=st.booleans())
    def predict(self, data: Any, n: int, odd: bool) -> None:
        draw = data.draw
        X = self.odd_data(draw, n)[0] if odd else self.rows(draw, n)
        out = None
        form = draw(st.integers(0, 6))
        if form == 0:
            out = guarded(np.zeros((n, self.one.n_out)), self.one.dtype)
        elif form == 1:
            out = draw(
                st.sampled_from(
                    [
                        3,
                        np.zeros((n, 1), "f2"),
                        np.zeros((self.one.n_out, n)).T,
                        np.zeros((n + 1, self.one.n_out)),
                        X,
                        np.zeros((n, self.one.n_out), self.one.dtype).view(draws.Kind),
                    ]
                )
            )
        elif form == 2 and isinstance(X, np.ndarray) and X.ndim == 2 and len(X):
            X = X[0]
        results: list[Any] = []
        done = self.on_both("predict", lambda network, twin: results.append(np.array(network.predict(X, out))))
        if not isinstance(done, Refused):
            same(results[:1], results[1:], "predict")

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def write_into_parameters(self, data: Any) -> None:
        k = data.draw(st.integers(0, len(self.one.parameters) - 1))
        p = self.one.parameters[k]
        self.one.parameters[k][...] = self.other.parameters[k][...] = draws.values(data.draw, p.shape, p.dtype)

    @precondition(lambda self: self.ready)
    @rule(how=st.sampled_from(["pickle", "deepcopy", "save"]))
    def exchange_the_twin(self, how: str) -> None:
        def copied() -> Any:
            if how == "pickle":
                return pickle.loads(pickle.dumps(self.other))
            if how == "deepcopy" or self.has_a_schedule_that_is_no_data():
                return copy.deepcopy(self.other)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "network.npz")
                self.other.save(path, self.other.optimizer)
                return schuss.load(path)

        self.other = attempt(how, copied)
        assert not isinstance(self.other, Refused), self.other

    def has_a_schedule_that_is_no_data(self) -> bool:
        """A function of the user's, of which files have the present value alone."""
        groups = self.other.optimizer.param_groups if self.other.optimizer is not None else []
        schedules = [group["schedule"] for group in groups]
        return any(callable(one) and not isinstance(one, schuss.schedules.Schedule) for one in schedules)

    @precondition(lambda self: self.ready)
    @rule(level=st.sampled_from(_core.isa_levels()))
    def switch(self, level: str) -> None:
        _core.use_isa(level)

    # ---- what holds after each ---------------------------------------------------------------------------------------

    @invariant()
    def nothing_beside_arrays_is_written(self) -> None:
        check_canaries()

    @invariant()
    def twins_are_the_same(self) -> None:
        if self.ready:
            # not what lies between arrays, which is nobody's
            same(self.one.parameters, self.other.parameters, "parameters")
            same(self.one._core.states, self.other._core.states, "states")
            assert self.one.epochs_done == self.other.epochs_done
            if self.one.optimizer is not None and self.other.optimizer is not None:
                assert self.one.optimizer.steps == self.other.optimizer.steps

    def teardown(self) -> None:
        _core.use_isa(self.isa)
        _core.set_num_threads(None)


def constant(step: int) -> float:
    """A schedule that can be pickled."""
    return 0.1
