"""Networks of sequences under attack: drawn layers, windows, lengths, states and steps, on other numbers of threads and
on copies of what they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

import schuss

from .calls import Refused, both
from .guarded import Array, begin, bits, check_canaries, guarded, same

KINDS = (schuss.RNN, schuss.GRU, schuss.LSTM)


def layers(draw: Any, times: int, features: int, n_out: int) -> tuple[list[Any], bool]:
    """Some recurrent layers and a dense one; whether what comes out has times."""
    sequences = draw(st.booleans(), label="sequences")
    found: list[Any] = [schuss.Input("x", (times, features))]
    count = draw(st.integers(1, 2))
    for k in range(count):
        arguments: dict[str, Any] = {
            "return_sequences": sequences or k < count - 1,
            "reverse": draw(st.integers(0, 4)) == 0,
            "dropout": draw(st.sampled_from([0.0, 0.3])),
            "recurrent_dropout": draw(st.sampled_from([0.0, 0.3])),
            "dialect": draw(st.sampled_from(["keras", "torch"])),
        }
        layer = draw(st.sampled_from(KINDS))(draw(st.sampled_from([1, 3, 8, 17])), **arguments)
        two = draw(st.integers(0, 4)) == 0 and not arguments["reverse"]
        found.append(schuss.Bidirectional(layer) if two else layer)
        if draw(st.integers(0, 3)) == 0:
            found.append(draw(st.sampled_from([schuss.LayerNorm(), schuss.BatchNorm(), schuss.Dense(5, "tanh")])))
    return [*found, schuss.Dense(n_out)], sequences


def sequences(data: Any) -> None:
    """Two networks that are the same: of one the rows are windows that overlap, of the other copies of them."""
    begin()
    draw = data.draw
    times, features, n_out = draw(st.integers(1, 7)), draw(st.integers(1, 5)), draw(st.integers(1, 3))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    stack, has_times = layers(draw, times, features, n_out)
    one, other = (schuss.Network(stack, seed=draw(st.just(3)), dtype=dtype) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(times, 60))
    series = guarded(
        rng.normal(size=(n, features)),
        draw(st.sampled_from(["float32", "float64", ">f4"])),
        draw(st.integers(0, 3)),
    )
    X, _ = schuss.windows(series, times, 0, step=draw(st.integers(1, times + 1)))
    copied = guarded(X, X.dtype)
    rows = len(X)
    y = guarded(rng.normal(size=(rows, times, n_out) if has_times else (rows, n_out)), dtype)
    drawn = rng.integers(0, times + 1, rows)
    drawn[0] = max(drawn[0], 1)  # something has to weigh something
    lengths = guarded(drawn, np.int64) if draw(st.booleans()) else None
    wrong = draw(
        st.sampled_from(
            [None] * 6
            + [
                {"lengths": np.full(rows, times + 1)},
                {"lengths": np.full(rows + 1, 1)},
                {"lengths": np.full(rows, 0.5)},
                {"carry_state": 3},
                {"carry_state": True, "shuffle": True},
                {"carry_state": True, "validation_fraction": 0.5},
                {"carry_state": True, "batch_size": rows + 1},
                {"shuffle": 0.5},
            ]
        )
    )
    for _ in range(draw(st.integers(1, 4))):
        match draw(st.sampled_from(["fit", "carry", "predict", "evaluate", "train_step", "step"])):
            case "fit":
                how: dict[str, Any] = {
                    "batch_size": draw(st.integers(1, rows + 1)),
                    "lengths": lengths,
                    "shuffle": draw(st.sampled_from([True, False, None])),
                    "validation_data": draw(st.sampled_from([None, (X, y)])),
                    **(wrong or {}),
                }
                twins(one, other, "fit", X, copied, lambda net, x, how=how: fit(net, x, y, **how))
            case "carry":
                batch = draw(st.integers(1, rows))
                drop = draw(st.booleans())
                found = twins(
                    one,
                    other,
                    "fit, carried",
                    X,
                    copied,
                    lambda net, x, batch=batch, drop=drop: fit(
                        net, x, y, batch_size=batch, lengths=lengths, carry_state=True, drop_last=drop
                    ),
                )
                assert isinstance(found, Refused) == (rows % batch != 0 and not drop)
            case "predict":
                first = rng.normal(size=(rows, one.state_size))
                state = [guarded(first, dtype) for _ in range(2)]
                twins(
                    one,
                    other,
                    "predict",
                    X,
                    copied,
                    lambda net, x, state=state: net.predict(x, lengths=lengths, state=state[net is other]),
                )
                same(state[:1], state[1:], "states")
            case "evaluate":
                twins(
                    one, other, "evaluate", X, copied, lambda net, x: net.evaluate(x, y, "mse", lengths=lengths)["loss"]
                )
            case "train_step":
                state = [net.initial_state(rows) for net in (one, other)]
                twins(
                    one,
                    other,
                    "train_step",
                    X,
                    copied,
                    lambda net, x, state=state: net.train_step(
                        x, y, "mse", schuss.SGD(net.parameters, lr=0.01), lengths=lengths, state=state[net is other]
                    ),
                )
                same(state[:1], state[1:], "states")
            case _:
                steps(one, other, copied.astype(dtype), has_times)
        same(one.parameters, other.parameters, "parameters")
    check_canaries()


def twins(one: Any, other: Any, name: str, X: Array, copied: Array, call: Any) -> Any:
    """The same call of both, each on its data and its threads."""

    def on(net: Any, x: Array, threads: int) -> Any:
        with schuss.threads(threads):
            return call(net, x)

    results: list[Any] = []

    def first() -> Any:
        results.append(on(one, X, 1))
        return results[-1]

    def second() -> Any:
        results.append(on(other, copied, 3))
        return results[-1]

    found = both(name, first, second, lambda: [bits(a) for a in one.parameters])
    if not isinstance(found, Refused):
        same([np.asarray(results[0])], [np.asarray(results[1])], name)
    return found


def fit(net: Any, x: Array, y: Array, **how: Any) -> Any:
    return net.fit(x, y, loss="mse", optimizer="sgd", lr=0.01, epochs=2, **how)["loss"]


def steps(one: Any, other: Any, X: Array, has_times: bool) -> None:
    """Times one by one, beside a prediction of all."""
    state, whole_state = guarded(np.zeros((len(X), one.state_size)), X.dtype), other.initial_state(len(X))
    whole = other.predict(X, state=whole_state)

    def run(net: Any) -> Any:
        with schuss.threads(1 if net is one else 3):
            given = state if net is one else net.initial_state(len(X))
            return np.stack([net.step(X[:, t].copy(), given) for t in range(X.shape[1])], 1)

    found = both("step", lambda: run(one), lambda: run(other), lambda: bits(state))
    if isinstance(found, Refused):
        assert "begins with the last time" in found.text
        return
    same([found if has_times else found[:, -1]], [whole], "steps")
    same([state], [whole_state], "states")
