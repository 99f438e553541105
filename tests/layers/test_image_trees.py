"""Drawn trees of layers of images and series: against the plain walk, and the same bits however they are computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from schuss.layers import Layer, Shape
from tests.layers.test_trees import near, size_of
from tests.layers.trees import ACTIVATIONS, Tree, dropouts, epsilons
from tests.reference import layers as twin

Array = NDArray[Any]
Levels = Callable[[], Iterator[str]]
SetThreads = Callable[[int], None]
DEPTH = 5
drawn = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
widths = st.one_of(st.integers(1, 7), st.sampled_from([16, 17, 33]))


def behind(layer: Layer, shape: Shape) -> Shape:
    found = layer.after(shape, "layer")
    return found.shape if found._spatial else found.shape._replace(dims=shape.dims)


@st.composite
def of_one_size(draw: st.DrawFn, rank: int, n_out: int | None = None) -> Layer:
    """A layer that gives as many positions as come in, and n_out columns if that is said."""
    kind = draw(st.sampled_from(["conv", "conv", "dense", *(["pool", "norm", "activation"] if n_out is None else [])]))
    n = draw(widths) if n_out is None else n_out
    end = {"dropout": draw(dropouts), "bias": draw(st.booleans())}
    if kind == "dense":
        return schuss.Dense(n, draw(st.sampled_from(ACTIVATIONS)), **end)
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    if kind == "conv":
        padding = draw(st.sampled_from(["same", "same", "causal"] if rank == 1 else ["same"]))
        options = {"padding": padding, "dilation": draw(st.integers(1, 2)), **end}
        return (schuss.Conv1D, schuss.Conv2D)[rank - 1](n, kernel, draw(st.sampled_from(ACTIVATIONS)), **options)
    if kind == "pool":
        if draw(st.booleans()):
            return schuss.MaxPool(kernel, 1, "same")
        return schuss.AvgPool(kernel, 1, "same", count_include_pad=draw(st.booleans()))
    if kind == "norm":
        return schuss.LayerNorm(eps=draw(epsilons)) if draw(st.booleans()) else schuss.BatchNorm(eps=draw(epsilons))
    return schuss.Activation(draw(st.sampled_from(ACTIVATIONS)), dropout=draw(dropouts))


@st.composite
def smaller(draw: st.DrawFn, dims: tuple[int, ...]) -> Layer:
    """A convolution or a pool with any stride and padding."""
    kernel = tuple(draw(st.integers(1, min(size + 1, 5))) for size in dims)
    stride = tuple(draw(st.integers(1, 3)) for _ in dims)
    padding = tuple(
        (draw(st.integers(max(0, k - size), max(k - 1, k - size, 0))), draw(st.integers(0, k - 1)))
        for k, size in zip(kernel, dims, strict=True)
    )
    kind = draw(st.sampled_from(["conv", "max", "avg"]))
    if kind == "conv":
        conv = (schuss.Conv1D, schuss.Conv2D)[len(dims) - 1]
        return conv(draw(widths), kernel, draw(st.sampled_from(ACTIVATIONS)), stride=stride, padding=padding)
    if kind == "max":
        return schuss.MaxPool(kernel, stride, padding)
    return schuss.AvgPool(kernel, stride, padding, count_include_pad=draw(st.booleans()))


@st.composite
def image_trees(draw: st.DrawFn) -> Tree:
    dims = tuple(draw(st.integers(1, 8)) for _ in range(draw(st.integers(1, 2))))
    first = schuss.Input("x", (*dims, draw(widths)))
    layers: list[Layer] = [first]
    shape = first.shape
    for _ in range(draw(st.integers(1, DEPTH))):
        rank = len(shape.dims)
        kind = draw(st.sampled_from(["layer", "layer", "smaller", "smaller", "residual", "join"]))
        if kind == "residual":
            inner = [draw(of_one_size(rank)), draw(of_one_size(rank, shape.columns))]
            layers.append(schuss.Residual(inner))
        elif kind == "join":
            branches = [[], [draw(of_one_size(rank))], [draw(of_one_size(rank)), draw(of_one_size(rank))]]
            join = schuss.Concatenate(branches[draw(st.integers(0, 1)) :])
            layers.append(join)
            columns = 0
            for branch in join.branches:
                found = shape
                for layer in branch:
                    found = behind(layer, found)
                columns += found.columns
            shape = shape._replace(columns=columns)
        else:
            layers.append(draw(smaller(shape.dims) if kind == "smaller" else of_one_size(rank)))
            shape = behind(layers[-1], shape)
    end = draw(st.sampled_from(["positions", "flatten", "max", "avg"]))
    if end != "positions":
        ends = {"flatten": schuss.Flatten, "max": schuss.GlobalMaxPool, "avg": schuss.GlobalAvgPool}
        layers.append(ends[end]())
        layers.append(schuss.Dense(draw(widths)))
    return Tree(layers, draw(st.sampled_from([1, 4, 9])), draw(st.integers(0, 1000)))


def data(tree: Tree, net: schuss.Network, rows: int | None = None) -> Array:
    rng = np.random.default_rng([tree.seed, 1])
    return rng.normal(size=(tree.rows if rows is None else rows, *net.inputs[0].row_shape)).astype(net.dtype)


@drawn
@given(tree=image_trees(), threads=st.sampled_from([1, 2, 3]))
def test_values_and_gradients(tree: Tree, threads: int, set_threads: SetThreads) -> None:
    set_threads(threads)
    net = tree.network()
    x = data(tree, net)
    wanted = twin.run(net, x)
    assume(wanted.gap > 1e-9)
    assert near(net.predict(x), wanted.value, size_of([wanted.value]))
    wanted = twin.run(net, x, training=True)
    assume(wanted.gap > 1e-9)
    value = net.forward(x)
    assert near(value, wanted.value, size_of([wanted.value]))
    for name, state in net.named_states().items():
        assert near(state, wanted.states[name], size_of([wanted.states[name]])), name
    d = np.random.default_rng([tree.seed, 2]).normal(size=value.shape)
    wanted.back(d)
    for _ in range(2):
        dx = net.backward(d)
        size = size_of([*wanted.gradients.values(), *wanted.by_input.values()])
        for (name, gradient), found in zip(wanted.gradients.items(), net.gradients, strict=True):
            assert near(found, gradient, size), name
        assert isinstance(dx, np.ndarray)
        assert near(dx, wanted.by_input["x"], size)


@drawn
@given(
    tree=image_trees(),
    rows=st.sampled_from([5, 21]),
    batch=st.sampled_from([1, 7, 32]),
    dtype=st.sampled_from(["float32", "float64"]),
    shift=st.sampled_from([None, 1]),
)
def test_same_bits(
    tree: Tree,
    rows: int,
    batch: int,
    dtype: str,
    shift: int | None,
    each_fma_isa: Levels,
    set_threads: SetThreads,
) -> None:
    """For any instruction set and number of threads, with images that move."""
    dims = tree.layers[0].shape.dims
    augment = None if shift is None or len(dims) != 2 or min(dims) < 2 else schuss.Augment(shift, flip=True, crop=0.7)
    found: list[tuple[schuss.Network, Array]] = []
    for _ in each_fma_isa():
        for threads in (1, 2, 3):
            set_threads(threads)
            net = tree.network(dtype)
            assume(net.parameters)
            x = data(tree, net, rows)
            y = np.random.default_rng(tree.seed).normal(size=net.predict(x).shape)
            net.fit(
                x,
                y,
                loss="huber",
                optimizer="sgd",
                lr=1e-3,
                epochs=2,
                batch_size=batch,
                clip_value=1.0,
                augment=augment,
            )
            found.append((net, net.predict(x)))
    for net, prediction in found[1:]:
        assert_array_equal(prediction, found[0][1])
        for name, array in {**net.named_parameters(), **net.named_states()}.items():
            other = {**found[0][0].named_parameters(), **found[0][0].named_states()}[name]
            assert_array_equal(array, other, err_msg=name)
