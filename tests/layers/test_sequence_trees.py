"""Drawn trees of layers of sequences: against the plain walk, the same bits however they are computed, and padded.

SCHUSS_SEQUENCE_TREES in the environment is how many trees each test draws; they are then new ones each time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss.layers import Layer, Shape
from tests.layers.test_image_trees import behind, of_one_size, smaller
from tests.layers.test_trees import near, size_of
from tests.layers.trees import ACTIVATIONS, SHORTEST, Tree, dropouts, epsilons
from tests.reference import layers as twin

Array = NDArray[Any]
Levels = Callable[[], Iterator[str]]
SetThreads = Callable[[int], None]
DEPTH = 4
ASKED = os.environ.get("SCHUSS_SEQUENCE_TREES")
drawn = settings(
    max_examples=int(ASKED or 120),
    deadline=None,
    derandomize=ASKED is None,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
widths = st.one_of(st.integers(1, 6), st.sampled_from([16, 17]))


@dataclass(frozen=True)
class SequenceTree(Tree):
    """Of networks whose rows may end at different times, and may begin in a state."""

    ragged: bool
    carried: bool
    times: int

    def data(self, net: schuss.Network, rows: int | None = None) -> Any:
        rng = np.random.default_rng([self.seed, 1])
        rows = self.rows if rows is None else rows
        arrays = {
            put.name: rng.integers(0, SHORTEST, (rows, *put.row_shape))
            if put.codes
            else rng.normal(size=(rows, *put.row_shape)).astype(net.dtype)
            for put in net.inputs
        }
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))

    def more(self, net: schuss.Network, rows: int | None = None) -> dict[str, Array]:
        """Lengths, of which the first rows have the extremes, and a state, if there are any."""
        rng = np.random.default_rng([self.seed, 4])
        rows = self.rows if rows is None else rows
        found: dict[str, Array] = {}
        if self.ragged:
            found["lengths"] = rng.integers(0, self.times + 1, rows)
            found["lengths"][: rows // 4] = 0
            found["lengths"][rows // 4 : rows // 2] = self.times
        if self.carried and net.state_size:
            found["state"] = rng.normal(size=(rows, net.state_size)).astype(net.dtype)
        return found


@st.composite
def recurrent(draw: st.DrawFn, sequences: bool, n: int | None = None) -> Layer:
    """A layer that goes through times, in one direction or both, with n columns if that is said."""
    options: dict[str, Any] = {
        "return_sequences": sequences,
        "dropout": draw(dropouts),
        "recurrent_dropout": draw(dropouts),
        "dialect": draw(st.sampled_from(["keras", "torch"])),
    }
    both = n is None and draw(st.integers(0, 3)) == 0
    if not both:
        options["reverse"] = draw(st.booleans())
    size = draw(widths) if n is None else n
    kind = draw(st.sampled_from(["rnn", "relu", "gru", "gru before", "lstm"]))
    if kind == "gru before":
        layer: Any = schuss.GRU(size, reset="before", **{**options, "dialect": "keras"})
    elif kind in ("rnn", "relu"):
        layer = schuss.RNN(size, "relu" if kind == "relu" else "tanh", **options)
    else:
        layer = {"gru": schuss.GRU, "lstm": schuss.LSTM}[kind](size, **options)
    return schuss.Bidirectional(layer) if both else layer


@st.composite
def at_each_time(draw: st.DrawFn, n: int | None = None) -> Layer:
    """A layer to which times are rows of their own, whatever they are, with n columns if that is said."""
    kind = draw(st.sampled_from(["dense", *(["norm", "activation"] if n is None else [])]))
    if kind == "norm":
        return schuss.LayerNorm(eps=draw(epsilons))
    if kind == "activation":
        return schuss.Activation(draw(st.sampled_from(ACTIVATIONS)), dropout=draw(dropouts))
    size = draw(widths) if n is None else n
    return schuss.Dense(size, draw(st.sampled_from(ACTIVATIONS)), dropout=draw(dropouts), bias=draw(st.booleans()))


def of_all_times(ragged: bool, n: int | None = None) -> st.SearchStrategy[Layer]:
    """A layer that gives as many times as come in. What is not there is zeros, of which all are the largest."""
    others = of_one_size(1, n).filter(lambda layer: not (ragged and isinstance(layer, schuss.MaxPool)))
    return st.one_of(recurrent(True, n), others, recurrent(True, n))


def columns_behind(layers: list[Layer], shape: Shape) -> int:
    for layer in layers:
        shape = of(layer, shape)
    return shape.columns


def of(layer: Layer, shape: Shape) -> Shape:
    """The shape behind a layer that is drawn here."""
    if isinstance(layer, schuss.Residual):
        return shape
    if isinstance(layer, schuss.Concatenate):
        return shape._replace(columns=sum(columns_behind(list(branch), shape) for branch in layer.branches))
    return behind(layer, shape)


@st.composite
def blocks(draw: st.DrawFn, shape: Shape, layer: Callable[[int | None], st.SearchStrategy[Layer]]) -> Layer:
    """A layer, or a residual or branches of such."""
    kind = draw(st.sampled_from(["layer", "layer", "residual", "join"]))
    if kind == "residual":
        return schuss.Residual([draw(layer(None)), draw(layer(shape.columns))])
    if kind == "join":
        branches = [[], [draw(layer(None))], [draw(layer(None)), draw(layer(None))]]
        return schuss.Concatenate(branches[draw(st.integers(0, 1)) :])
    return draw(layer(None))


@st.composite
def starts(draw: st.DrawFn, times: int) -> tuple[list[Layer], Shape]:
    """Numbers, codes, or both at each time."""
    n, codes, dim = draw(widths), draw(st.integers(1, 2)), draw(st.sampled_from([1, 3, 16]))
    numbers: list[Layer] = [schuss.Input("x", (times, n))]
    words: list[Layer] = [schuss.Input("codes", (times, codes), dtype="int64"), schuss.Embedding(SHORTEST + 1, dim)]
    kind = draw(st.sampled_from(["numbers", "numbers", "codes", "both"]))
    if kind == "both":
        branches = [numbers, words][:: draw(st.sampled_from([1, -1]))]
        return [schuss.Concatenate(branches)], Shape(n + codes * dim, dims=(times,))
    return (numbers, Shape(n, dims=(times,))) if kind == "numbers" else (words, Shape(codes * dim, dims=(times,)))


@st.composite
def sequence_trees(draw: st.DrawFn, shielded: bool = False) -> SequenceTree:
    """With lengths all layers have as many times. shielded: what is not there comes to recurrent layers alone."""
    times = draw(st.integers(1, 7))
    ragged = shielded or draw(st.booleans())
    layers, shape = draw(starts(times))

    def put(layer: Layer) -> None:
        nonlocal shape
        layers.append(layer)
        shape = of(layer, shape)

    if shielded:
        for _ in range(draw(st.integers(0, 2))):
            put(draw(blocks(shape, at_each_time)))
        put(draw(recurrent(True)))
    for _ in range(draw(st.integers(0 if shielded else 1, DEPTH))):
        if not ragged and draw(st.integers(0, 3)) == 0:
            put(draw(smaller(shape.dims)))
        else:
            put(draw(blocks(shape, lambda n: of_all_times(ragged, n))))
    end = draw(st.sampled_from(["positions", "last", "last", "flatten", "average"]))
    if end != "positions":
        layers.append(
            draw(recurrent(False))
            if end == "last" or (ragged and not shielded)
            else schuss.Flatten()
            if end == "flatten"
            else schuss.GlobalAvgPool()
        )
        beside = draw(st.sampled_from(["nothing", "columns", "image"]))
        if beside != "nothing":  # in front, so that the first input has no times
            of_rows: list[Layer] = [schuss.Input("beside", 3 if beside == "columns" else (2, 3, 2))]
            layers = [schuss.Concatenate([of_rows if beside == "columns" else [*of_rows, schuss.Flatten()], layers])]
        layers.append(schuss.Dense(draw(widths)))
    elif len(layers) == 1 and isinstance(layers[0], schuss.Input):
        layers.append(schuss.Dense(2))
    rows, seed = draw(st.sampled_from([1, 4, 9])), draw(st.integers(0, 1000))
    return SequenceTree(layers, rows, seed, ragged, draw(st.booleans()), times)


def copied(more: dict[str, Array]) -> dict[str, Any]:
    """With a state that may be written."""
    return {name: array.copy() for name, array in more.items()}


@drawn
@given(tree=sequence_trees(), threads=st.sampled_from([1, 2, 3]))
def test_values_and_gradients(tree: SequenceTree, threads: int, set_threads: SetThreads) -> None:
    set_threads(threads)
    net = tree.network()
    x, more = tree.data(net), tree.more(net)
    for training in (False, True):
        wanted = twin.run(net, x, training=training, **more)
        assume(wanted.gap > 1e-9)
        here = copied(more)
        value = net.forward(x, **here) if training else net.predict(x, **here)
        assert near(value, wanted.value, size_of([wanted.value]))
        if "state" in more:
            carried = np.hstack(wanted.carries)
            assert near(here["state"], carried, size_of([carried]))
    for name, state in net.named_states().items():
        assert near(state, wanted.states[name], size_of([wanted.states[name]])), name
    d = np.random.default_rng([tree.seed, 2]).normal(size=value.shape)
    wanted.back(d)
    for _ in range(2):
        dx = net.backward(d)
        size = size_of([*wanted.gradients.values(), *wanted.by_input.values()])
        for (name, gradient), found in zip(wanted.gradients.items(), net.gradients, strict=True):
            assert near(found, gradient, size), name
        for put, by_input in zip(net.inputs, dx if isinstance(dx, tuple) else (dx,), strict=True):
            assert (by_input is None) == put.codes
            if by_input is not None:
                assert near(by_input, wanted.by_input[put.name], size), put.name


def part_of(x: Any, rows: slice) -> Any:
    return {name: array[rows] for name, array in x.items()} if isinstance(x, dict) else x[rows]


@drawn
@given(
    tree=sequence_trees(),
    batches=st.sampled_from([(5, 1), (5, 2), (21, 7), (21, 32)]),
    dtype=st.sampled_from(["float32", "float64"]),
)
def test_same_bits(
    tree: SequenceTree, batches: tuple[int, int], dtype: str, each_fma_isa: Levels, set_threads: SetThreads
) -> None:
    """For any instruction set and number of threads, and in a loop of one's own."""
    rows, size = batches
    wanted: dict[str, Array] = {}
    for level in each_fma_isa():
        for threads in (1, 2, 3, 0):  # 0: the loop
            set_threads(threads or 2)
            net = tree.network(dtype)
            x, more = tree.data(net, rows), tree.more(net, rows)
            lengths = more.get("lengths")
            carries = tree.carried and net.state_size > 0 and rows % min(size, rows) == 0
            y = np.random.default_rng(tree.seed).normal(size=net.predict(x).shape)
            options: dict[str, Any] = {"loss": "huber", "clip_value": 1.0}
            optimizer = schuss.SGD(net.parameters, lr=1e-3) if net.parameters else None
            assume(optimizer is not None)
            assert optimizer is not None
            if threads:
                net.fit(
                    x,
                    y,
                    optimizer=optimizer,
                    epochs=2,
                    batch_size=size,
                    shuffle=False,
                    lengths=lengths,
                    carry_state=carries,
                    **options,
                )
            for _ in range(0 if threads else 2):
                state = net.initial_state(min(size, rows)) if carries else None
                for k in range(0, rows, size):
                    part = slice(k, k + size)
                    net.train_step(
                        part_of(x, part),
                        y[part],
                        optimizer=optimizer,
                        lengths=None if lengths is None else lengths[part],
                        state=state,
                        **options,
                    )
            found = {**net.named_parameters(), **net.named_states(), "prediction": net.predict(x, **copied(more))}
            wanted = wanted or found
            for name, array in found.items():
                assert_array_equal(array, wanted[name], err_msg=f"{name}, {level}, {threads} threads")


@drawn
@given(tree=sequence_trees(shielded=True), dtype=st.sampled_from(["float32", "float64"]))
def test_what_is_not_there_changes_no_bit(tree: SequenceTree, dtype: str) -> None:
    """Behind a recurrent layer that is all zeros, for all layers; in front of it it is read and weighs nothing."""
    runs = []
    for other in (False, True):
        net = tree.network(dtype)
        x, more = tree.data(net), tree.more(net)
        padded = np.arange(tree.times) >= more["lengths"][:, None]
        rng = np.random.default_rng([tree.seed, 5])
        by_name = x if isinstance(x, dict) else {net.inputs[0].name: x}
        for put in net.inputs:
            if other and put.name != "beside":
                array = by_name[put.name]
                shape = array[padded].shape
                array[padded] = rng.integers(0, SHORTEST, shape) if put.codes else 1e3 * rng.normal(size=shape)
        here = copied(more)
        prediction = net.predict(x, **here)
        found = {"prediction": prediction, **here}
        value = net.forward(x, **copied(more))
        dx = net.backward(np.random.default_rng(tree.seed).normal(size=value.shape).astype(dtype))
        parts = dx if isinstance(dx, tuple) else (dx,)
        found |= {put.name: part for put, part in zip(net.inputs, parts, strict=True) if part is not None}
        found |= {"value": value, **net.named_states()}
        found |= {f"{name}'s gradient": g for name, g in zip(net.named_parameters(), net.gradients, strict=True)}
        runs.append(found)
    for name, array in runs[0].items():
        assert_array_equal(array, runs[1][name], err_msg=name)


# ---- what lengths count ----------------------------------------------------------------------------------------------


def two_inputs(*sizes: Any) -> schuss.layers.Concatenate:
    """A branch for each input: its columns, or its times and features."""
    branches: list[list[Layer]] = []
    for k, size in enumerate(sizes):
        branches.append([schuss.Input(f"x{k}", size), *([] if isinstance(size, int) else [schuss.GRU(3)])])
    return schuss.Concatenate(branches)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [schuss.Conv1D(4, 3, stride=2, padding="same", input_shape=(6, 2)), schuss.GRU(3)],
            "the input has 6 times, and layers.1, GRU, goes through 3",
        ),
        ([schuss.Conv1D(4, 3, input_shape=(6, 2)), schuss.LSTM(3)], "layers.1, LSTM, goes through 4"),
        ([schuss.Conv1D(4, 3, input_shape=(6, 2)), schuss.Flatten(), schuss.Dense(1)], "nothing would look at them"),
        ([schuss.Conv1D(4, 3, input_shape=(6, 2)), schuss.Dense(1)], "nothing would look at them"),
        ([two_inputs((4, 2), (6, 2)), schuss.Dense(1)], "different times, 4 of 'x0', 6 of 'x1'"),
        ([two_inputs((6, 2), (4, 2)), schuss.Dense(1)], "different times, 6 of 'x0', 4 of 'x1'"),
        ([schuss.Dense(3, 1)], "whose input has no times"),
        ([schuss.Input("x", (2, 3, 1)), schuss.Dense(1)], "whose input has no times"),
    ],
)
def test_lengths_that_would_not_be_looked_at(layers: list[Layer], message: str) -> None:
    """All methods refuse them, and without them all go on."""
    net = schuss.Network(layers, seed=0)
    by_name = {put.name: np.zeros((3, *(put.row_shape if put.dims else (put.n,)))) for put in net.inputs}
    x: Any = by_name if len(by_name) > 1 else next(iter(by_name.values()))
    y = np.zeros_like(net.predict(x))
    for lengths in ([1, 2, 3], [0, 0, 0]):
        for call in (
            lambda **more: net.predict(x, **more),
            lambda **more: net.forward(x, **more),
            lambda **more: net.loss_and_gradients(x, y, "mse", **more),
            lambda **more: net.evaluate(x, y, "mse", **more),
            lambda **more: net.fit(x, y, loss="mse", epochs=1, **more),
        ):
            call()
            with pytest.raises(ValueError, match="lengths"):
                call(lengths=lengths)
    if net._shaped:  # the message of others is shorter
        with pytest.raises(ValueError, match=message):
            net.predict(x, lengths=[1, 2, 3])


def test_the_input_with_times_may_be_any() -> None:
    rng = np.random.default_rng(0)
    lengths, x = rng.integers(0, 7, 5), {"x": rng.normal(size=(5, 6, 2)), "beside": rng.normal(size=(5, 3))}
    branches: list[list[Layer]] = [[schuss.Input("x", (6, 2)), schuss.GRU(4)], [schuss.Input("beside", 3)]]
    found = []
    for k in (1, -1):
        net = schuss.Network([schuss.Concatenate(branches[::k])], seed=0)
        found.append(np.roll(net.predict(x, lengths=lengths), 0 if k == 1 else -3, axis=1))
        with pytest.raises(ValueError, match=r"lengths must be in \[0, 6\]"):
            net.predict(x, lengths=[0, 0, 0, 0, 7])
    assert_array_equal(*found)


def test_outputs_at_other_times_than_the_inputs() -> None:
    """Lengths do not tell which of them count, so weights have to."""
    net = schuss.Network([schuss.GRU(3, return_sequences=True, input_shape=(6, 2)), schuss.AvgPool(2)], seed=0)
    rng = np.random.default_rng(0)
    x, y, weights, lengths = rng.normal(size=(4, 6, 2)), np.zeros((4, 3, 3)), np.ones((4, 3)), [6, 2, 0, 3]
    weights[1, 1:] = 0
    for call in (net.loss_and_gradients, net.evaluate):
        with pytest.raises(ValueError, match=r"sample_weight must be given with lengths.* 3 times that come out for 6"):
            call(x, y, "mse", lengths=lengths)
    found = net.loss_and_gradients(x, y, "mse", sample_weight=weights, lengths=lengths)
    errors = (net.predict(x, lengths=lengths).astype(float) ** 2).mean(axis=2)
    assert abs(found - (errors * weights).sum() / weights.sum()) < 1e-6
    own = {"epochs": 1, "lengths": lengths, "loss": lambda p, t: (0.0, 0 * p)}
    with pytest.raises(ValueError, match="lengths must be None with a loss function of one's own"):
        net.fit(x, y, **own)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", ["last", "first"])
@pytest.mark.parametrize("features", [1, 2])
def test_rows_shorter_than_the_network(channels: str, features: int) -> None:
    """They are filled up, in any form that data have, and a length counts no more than came."""
    shape = (6, features) if channels == "last" else (features, 6)
    net = schuss.Network([schuss.Input("x", shape, channels=channels), schuss.LSTM(4)], seed=0)
    x, lengths = np.random.default_rng(0).normal(size=(4, 6, features)), np.array([0, 3, 1, 2])
    axes = (0, 1, 2) if channels == "last" else (0, 2, 1)
    wanted = net.predict(x.transpose(axes), lengths=lengths)
    forms = [x.transpose(axes), x[:, :3].transpose(axes), *([x[:, :3, 0], x[:, :, 0]] if features == 1 else [])]
    for form in forms:
        assert_array_equal(net.predict(form, lengths=lengths), wanted)
    with pytest.raises(ValueError, match=r"lengths must be in \[0, 3\]"):
        net.predict(forms[1], lengths=[0, 3, 4, 2])
    if features == 1:
        ragged = schuss.Sequences([row[:n, 0] for row, n in zip(x, lengths, strict=True)])
        assert_array_equal(net.predict(ragged), wanted)


@pytest.mark.parametrize("ends", [[], ["identity"], ["identity", "identity"], ["tanh"], ["identity", "relu", "tanh"]])
@pytest.mark.parametrize("dropout", [0.0, 0.25])
def test_recurrent_dropout_in_front_of_activations(ends: list[str], dropout: float) -> None:
    """The node's end has the number of the last layer that is in it, and all draws are of that."""
    layer = schuss.GRU(4, recurrent_dropout=0.5, dropout=dropout, return_sequences=True, input_shape=(5, 3))
    net = schuss.Network([layer, *map(schuss.Activation, ends), schuss.Dense(2)], seed=1, dtype="float64")
    x = np.random.default_rng(0).normal(size=(7, 5, 3))
    wanted = twin.run(net, x, training=True)
    assert near(net.forward(x), wanted.value, size_of([wanted.value]))
