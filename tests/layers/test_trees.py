"""Drawn trees of layers against the plain walk: values, gradients of all parameters and inputs, names, freezing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

import schuss
from tests.layers.trees import Tree, trees
from tests.reference import layers as twin

Array = NDArray[Any]
SetThreads = Callable[[int], None]

TOLERANCE = 1e-9
"""Of the largest element. Norms of what has little variance make rounding errors 30 times larger each."""
drawn = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)
threads_used = st.sampled_from([1, 2, 3])


def near(found: Array, wanted: Array, size: float) -> bool:
    return found.shape == wanted.shape and bool(np.max(np.abs(found - wanted), initial=0.0) <= TOLERANCE * size)


def size_of(arrays: Iterable[Array]) -> float:
    """At least 1: what cancels to nothing has the rounding errors of its terms."""
    return max([1.0, *(float(np.max(np.abs(a), initial=0.0)) for a in arrays)])


@drawn
@given(tree=trees(), threads=threads_used)
def test_values_and_gradients(tree: Tree, threads: int, set_threads: SetThreads) -> None:
    """Forward in training and prediction, then back, twice; what BatchNorm keeps is a step of its own."""
    set_threads(threads)
    net = tree.network()
    x = tree.data(net)
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
    given_d = d.copy()
    for _ in range(2):
        by_inputs = net.backward(d)
        assert_array_equal(d, given_d)
        size = size_of([*wanted.gradients.values(), *wanted.by_input.values()])
        for (name, gradient), found in zip(wanted.gradients.items(), net.gradients, strict=True):
            assert near(found, gradient, size), name
        all_of_them = by_inputs if isinstance(by_inputs, tuple) else (by_inputs,)
        for put, of_input in zip(net.inputs, all_of_them, strict=True):
            if put.dtype is not None:
                assert of_input is None
            else:
                assert of_input is not None
                assert near(of_input, wanted.by_input[put.name], size), put.name


@drawn
@given(tree=trees(softmax=False), threads=threads_used, weighted=st.booleans(), labels=st.booleans())
def test_loss_and_its_gradients(
    tree: Tree, threads: int, weighted: bool, labels: bool, set_threads: SetThreads
) -> None:
    set_threads(threads)
    net = tree.network()
    assume(not labels or net.n_out > 1)
    assume(net.layers[-1].shape.columns > 0)
    x = tree.data(net)
    rng = np.random.default_rng([tree.seed, 3])
    y = rng.integers(0, net.n_out, tree.rows) if labels else rng.normal(size=(tree.rows, net.n_out))
    weights = rng.uniform(0.1, 1, tree.rows) if weighted else None
    share = np.ones(tree.rows) if weights is None else weights
    share = (share / share.sum())[:, None]
    wanted = twin.run(net, x, training=True)
    assume(wanted.gap > 1e-9)
    z = wanted.value
    if labels:
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        value = -(share[:, 0] * np.log(p[np.arange(len(p)), y])).sum()
        wanted.back(share * (p - np.eye(net.n_out)[y]))
    else:
        value = (share * (z - y) ** 2).sum() / net.n_out
        wanted.back(share * 2 * (z - y) / net.n_out)
    found = net.loss_and_gradients(x, y, "cross_entropy" if labels else "mse", sample_weight=weights)
    assert abs(found - value) <= TOLERANCE * max(1.0, abs(value), float(np.max(np.abs(z))) ** 2)
    size = size_of(wanted.gradients.values())
    for (name, gradient), of_net in zip(wanted.gradients.items(), net.gradients, strict=True):
        assert near(of_net, gradient, size), name


def layer_at(net: schuss.Network, path: str) -> schuss.layers.Layer:
    """The layer that a parameter's name tells."""
    place: Any = net
    for part in path.split("."):
        place = place[int(part)] if part.isdigit() else getattr(place, part)
    assert isinstance(place, schuss.layers.Layer)
    return place


@drawn
@given(tree=trees())
def test_names(tree: Tree) -> None:
    net = schuss.Network(tree.layers, seed=tree.seed)
    named, states = net.named_parameters(), net.named_states()
    assert all(a is b for a, b in zip(named.values(), net.parameters, strict=True))
    assert not set(named) & set(states)
    assert net.n_parameters == sum(layer.n_parameters for layer in net.layers) == sum(p.size for p in net.parameters)
    for name, array in {**named, **states}.items():
        path, _, last = name.rpartition(".")
        start = layer_at(net, path).starts()[last]
        if not isinstance(start, tuple):
            assert (array == np.asarray(start, array.dtype)).all()
    assert repr(schuss.Network(net.layers, seed=tree.seed)) == repr(net)
    net.summary()


@drawn
@given(tree=trees(), threads=threads_used, every=st.integers(2, 4), first=st.integers(0, 3), adam=st.booleans())
def test_frozen(tree: Tree, threads: int, every: int, first: int, adam: bool, set_threads: SetThreads) -> None:
    """Whatever is frozen keeps its bits; the others' first step is the one that they make when nothing is frozen."""
    set_threads(threads)
    names = list(tree.network().named_parameters())
    frozen = names[first::every]
    assume(0 < len(frozen) < len(names))
    found = []
    for patterns in ({}, {name: {"frozen": True} for name in frozen}):
        net = tree.network()
        x = tree.data(net)
        groups = net.parameter_groups(patterns)
        assert [name for group in groups for name in group["params"]] == [n for n in names if n not in patterns]
        optimizer = schuss.Adam(groups, lr=0.01) if adam else schuss.SGD(groups, lr=0.01)
        y = np.random.default_rng([tree.seed, 3]).normal(size=(tree.rows, net.n_out))
        loss = net.train_step(x, y, "mse", optimizer)
        again = tree.network()
        optimizer = (
            schuss.Adam(again.parameter_groups(patterns), lr=0.01)
            if adam
            else schuss.SGD(again.parameter_groups(patterns), lr=0.01)
        )
        history = again.fit(x, y, loss="mse", optimizer=optimizer, epochs=1, batch_size=None)
        assert history["loss"][0] == loss
        found.append((loss, net, again))
    before = tree.network().named_parameters()
    assert found[0][0] == found[1][0]
    for all_train, some_train in zip(found[0][1:], found[1][1:], strict=True):
        for name, p in some_train.named_parameters().items():
            same = before[name] if name in frozen else all_train.named_parameters()[name]
            assert_array_equal(p, same, err_msg=name)
        for name, state in some_train.named_states().items():
            assert_array_equal(state, all_train.named_states()[name], err_msg=name)
