"""Every kind of layer: finite differences of all parameters and inputs, and the plain walk on odd sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import schuss
from schuss import _core
from tests.layers.cases import CASES, NAMES, data, network
from tests.reference import layers as twin

Array = NDArray[Any]
SetThreads = Callable[[int], None]
cases = pytest.mark.parametrize(("kind", "name"), NAMES)


def test_every_kind_has_a_case() -> None:
    """Who adds a kind adds a case to `tests.layers.cases`, and a formula to `tests.reference.layers`."""
    assert set(CASES) == set(schuss.layers.KINDS)
    assert set(twin.FORMULAS) == set(schuss.layers.KINDS) - {"input", "concatenate", "residual"}
    for kind, nets in CASES.items():
        for name in nets:
            assert kind in repr([layer.described() for layer in network(kind, name, 3).layers])


def check_differences(value: Callable[[], float], arrays: dict[str, Array], gradients: dict[str, Array]) -> None:
    """Every element, to 1e-7 of the size of all."""
    h = 2e-5
    scale = max(1.0, *(float(np.max(np.abs(g))) for g in gradients.values()))
    assert set(arrays) == set(gradients)
    for name, array in arrays.items():
        assert gradients[name].shape == array.shape
        for index in np.ndindex(array.shape):
            found = array[index]
            sides = []
            for step in (h, -h):
                array[index] = found + step
                sides.append(value())
            array[index] = found
            difference = (sides[0] - sides[1]) / (2 * h)
            assert abs(gradients[name][index] - difference) <= 1e-7 * scale, (name, index)


@cases
@pytest.mark.parametrize("n", [1, 5])
def test_finite_differences(kind: str, name: str, n: int, isa: str) -> None:
    """Of a weighted sum of all outputs, by parameters and inputs, with the same dropout each time."""
    net = network(kind, name, n)
    x = data(net, 5)
    draw = net._core.draws
    d = np.random.default_rng(1).normal(size=net.forward(x).shape)
    by_inputs = net.backward(d)
    all_of_them = by_inputs if isinstance(by_inputs, tuple) else (by_inputs,)
    gradients = {path: g.copy() for path, g in zip(net.named_parameters(), net.gradients, strict=True)}
    for put, gradient in zip(net.inputs, all_of_them, strict=True):
        assert (gradient is None) == (put.dtype is not None)
        if gradient is not None:
            gradients[put.name] = gradient

    def value() -> float:
        net._core.draws = draw
        return float((net.forward(x) * d).sum())

    numbers = {put.name: x[put.name] for put in net.inputs if put.dtype is None}
    check_differences(value, {**net.named_parameters(), **numbers}, gradients)


@cases
def test_finite_differences_of_a_loss(kind: str, name: str, threads: int) -> None:
    net = network(kind, name, 3)
    x = data(net, 7)
    draw = net._core.draws
    rng = np.random.default_rng(1)
    y, weights = rng.normal(size=(7, net.n_out)), rng.uniform(0.1, 2, 7)

    def value() -> float:
        net._core.draws = draw
        return net.loss_and_gradients(x, y, "mse", sample_weight=weights)

    assert value() == value()
    gradients = {path: g.copy() for path, g in zip(net.named_parameters(), net.gradients, strict=True)}
    check_differences(value, net.named_parameters(), gradients)


@cases
@pytest.mark.parametrize(("n", "rows"), [(19, 37), (70, 1), (33, 131)])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-12), ("float32", 1e-5)])
def test_odd_sizes(
    kind: str, name: str, n: int, rows: int, dtype: str, tolerance: float, isa: str, set_threads: SetThreads
) -> None:
    """Against the walk in double: float32 to 1e-5 of the largest element, float64 to 1e-12."""
    set_threads(2)
    net = network(kind, name, n, dtype)
    x = data(net, rows)

    def check(what: str, found: Array, wanted: Array, size: float) -> None:
        assert found.dtype == dtype
        assert found.shape == wanted.shape
        assert np.max(np.abs(found - wanted)) <= tolerance * max(1.0, size), what

    predicted = twin.run(net, x).value
    check("prediction", net.predict(x), predicted, float(np.max(np.abs(predicted))))
    wanted = twin.run(net, x, training=True)
    value = net.forward(x)
    check("value", value, wanted.value, float(np.max(np.abs(wanted.value))))
    for path, state in net.named_states().items():
        check(path, state, wanted.states[path], float(np.max(np.abs(wanted.states[path]))))
    d = np.random.default_rng(1).normal(size=value.shape).astype(dtype)
    wanted.back(d.astype(float))
    by_inputs = net.backward(d)
    size = max(float(np.max(np.abs(g))) for g in [*wanted.gradients.values(), *wanted.by_input.values()])
    for path, gradient in zip(net.named_parameters(), net.gradients, strict=True):
        check(path, gradient, wanted.gradients[path], size)
    for put, of_input in zip(net.inputs, by_inputs if isinstance(by_inputs, tuple) else (by_inputs,), strict=True):
        if put.dtype is None:
            assert of_input is not None
            check(put.name, of_input, wanted.by_input[put.name], size)


@cases
def test_gradients_by_inputs_do_not_change_the_others(kind: str, name: str, set_threads: SetThreads) -> None:
    """With and without them, in any order and by any number of threads: the same bits of all other gradients."""
    found = []
    for asks in ([False], [True], [True, False], [False, True, False]):
        for threads in ([1], [2], [2, 1, 3]):
            net = network(kind, name, 19)
            x = data(net, 67)
            states = {path: state.copy() for path, state in net.named_states().items()}
            for ask in asks:
                for k, count in enumerate(threads):
                    set_threads(count)
                    net._core.draws = 0
                    for path, state in net.named_states().items():
                        state[...] = states[path]
                    y = np.random.default_rng(1).normal(size=(67, net.n_out))
                    if ask:
                        value = net.forward(x)
                        set_threads(threads[k - 1])
                        net.backward(2 * (value - np.tile(y, (1, net._core.members))) / value.size)
                    else:
                        net.loss_and_gradients(x, y, "mse")
            net._core.draws = 0
            for path, state in net.named_states().items():
                state[...] = states[path]
            net.loss_and_gradients(x, y, "mse")
            found.append([g.copy() for g in net.gradients])
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_sums_that_backward_took_are_not_of_another_batch(set_threads: SetThreads) -> None:
    """A BatchNorm that comes first has its sums from the way to the input only where that was asked for."""
    for rows in range(50, 3000, 350):
        net = schuss.Network([schuss.BatchNorm(200), schuss.Dense(2)], seed=1, dtype="float64")
        rng = np.random.default_rng(rows)
        first, second = (rng.normal(size=(rows, 200)) for _ in range(2))
        y = rng.normal(size=(rows, 2))
        _core.set_num_threads(3)
        net.forward(first)
        net.backward(np.ones((rows, 2)))
        net.loss_and_gradients(second, y, "mse")
        found = [g.copy() for g in net.gradients]
        set_threads(1)
        fresh = schuss.Network(net.layers, seed=1, dtype="float64")
        fresh.loss_and_gradients(second, y, "mse")
        for a, b in zip(found, fresh.gradients, strict=True):
            np.testing.assert_array_equal(a, b)
