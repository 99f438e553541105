"""What could corrupt memory or mix up two callers: refused, or harmless."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import _core
from tests.reference.network import nodes_of


def data(rows: int = 64) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 4)).astype(np.float32), rng.integers(0, 3, rows)


def network(n_out: int = 3, **options: Any) -> schuss.Network:
    return schuss.Network([schuss.Dense(4, 16, "relu"), schuss.Dense(16, n_out)], seed=0, **options)


def test_a_step_from_inside_the_loss_is_refused() -> None:
    X, _ = data()
    net = network(1)
    optimizer = schuss.SGD(net.parameters, lr=0.1)

    def loss(prediction: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray]:
        optimizer.step([np.ones_like(p) for p in net.parameters])
        return 0.0, prediction

    with pytest.raises(RuntimeError, match="in a step"):
        net.fit(X, X[:, :1], loss=loss, optimizer=optimizer)
    with pytest.raises(RuntimeError, match="in use"):
        net.fit(X, X[:, :1], loss=lambda p, t: (float(net.predict(X[:1])[0, 0]), p), optimizer=optimizer)
    net.fit(X, X[:, :1], loss="mse", optimizer=optimizer, epochs=1)


def test_gradients_live_until_the_step_is_made() -> None:
    class Fresh:
        """Makes a new array at every look."""

        def __len__(self) -> int:
            return 40

        def __getitem__(self, i: int) -> np.ndarray:
            if i >= 40:
                raise IndexError(i)
            return np.full(20_000, float(i), np.float32)

    arrays = [np.zeros(20_000, np.float32) for _ in range(40)]
    schuss.SGD(arrays, lr=1.0).step(Fresh())  # type: ignore[arg-type]
    for i, array in enumerate(arrays):
        np.testing.assert_array_equal(array, -float(i))


def test_labels_changed_during_training() -> None:
    X, y = data()
    y = y.astype(np.int64)

    def spoil(record: schuss.EpochRecord) -> None:
        y[...] = 1 << 40

    with pytest.raises(schuss.DivergenceError):
        network().fit(X, y, loss="cross_entropy", epochs=5, callbacks=[spoil])


def test_instruction_set_changed_between_forward_and_backward() -> None:
    levels = _core.isa_levels()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 300)).astype(np.float32)
    net = schuss.Network([schuss.Dense(300, 500, "tanh"), schuss.Dense(500, 200)], seed=0)
    try:
        for first in levels:
            for second in levels:
                _core.use_isa(first)
                out = net.forward(x)
                _core.use_isa(second)
                assert np.isfinite(net.backward(out)).all()
    finally:
        _core.use_isa(None)


@pytest.fixture
def two_threads() -> Iterator[None]:
    with schuss.threads(2):
        yield


@pytest.mark.usefixtures("two_threads")
def test_threads_raised_between_forward_and_backward() -> None:
    x = np.random.default_rng(0).normal(size=(256, 300)).astype(np.float32)
    nets = [schuss.Network([schuss.Dense(300, 500, "tanh"), schuss.Dense(500, 200)], seed=0) for _ in range(2)]
    found = []
    for net, threads in zip(nets, (2, 7), strict=True):
        out = net.forward(x)
        with schuss.threads(threads):
            found.append(net.backward(out))
    np.testing.assert_array_equal(*found)


def test_a_step_in_a_callback_leaves_the_clipping_of_fit() -> None:
    X, y = data()

    def run(callback: Any) -> np.ndarray:
        net = network()
        optimizer = schuss.SGD(net.parameters, lr=0.1)
        zeros = [np.zeros_like(p) for p in net.parameters]
        net.fit(
            X, y, loss="cross_entropy", optimizer=optimizer, epochs=3, clip_norm=1e-3,
            callbacks=[lambda record: optimizer.step(zeros)] if callback else [],
        )  # fmt: skip
        return net.parameters[0].copy()

    np.testing.assert_array_equal(run(True), run(False))


def test_predict_into_its_own_input() -> None:
    x = np.ones((5, 4), np.float32)
    net = network(4)
    with pytest.raises(ValueError, match="out shares memory with X"):
        net.predict(x, out=x)


def test_gradient_that_is_a_state() -> None:
    p = np.ones(50, np.float32)
    optimizer = schuss.SGD(p, momentum=0.9)
    with pytest.raises(ValueError, match="grads shares memory with a state"):
        optimizer.step(optimizer._stepper.states[0][0])
    assert optimizer.steps == 0


def test_input_changed_between_forward_and_backward() -> None:
    x, _ = data()
    gradients = []
    for changed in (False, True):
        net = network()
        mine = x.copy()
        out = net.forward(mine)
        if changed:
            mine[...] = np.nan
        net.backward(out)
        gradients.append(net.gradients[0].copy())
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("make", [lambda: _core.Net(nodes_of([]), "float32", 0), lambda: _core.philox([], [])])
def test_too_little(make: Any) -> None:
    with pytest.raises((ValueError, IndexError)):
        make()


def test_layers_that_do_not_continue() -> None:
    with pytest.raises(ValueError, match="node 2 does not fit in its n_in"):
        _core.Net(nodes_of([(3, 4, "relu", 0.0, True, 0.0), (5, 4, "relu", 0.0, True, 0.0)]), "float32", 0)


def test_sizes_whose_sum_overflows() -> None:
    huge = (1 << 29, 1 << 29, "relu", 0.0, False, 0.0)
    with pytest.raises(OverflowError, match="address space"):
        _core.Net(nodes_of([huge] * 8), "float64", 0)


def test_sure_and_right_binary_answers_keep_their_loss() -> None:
    net = schuss.Network([schuss.Dense(1, 1, bias=False)], seed=0)
    net.parameters[0][...] = 1.0
    for z in (10.0, 15.0, 20.0):
        value = net.evaluate(np.array([[z]]), np.array([1.0]), loss="binary_cross_entropy")["loss"]
        np.testing.assert_allclose(value, np.log1p(np.exp(-z)), rtol=1e-5)


def test_eps_that_counts_as_zero() -> None:
    with pytest.raises(ValueError, match="eps"):
        schuss.Adam(np.ones(3, np.float32), eps=1e-40).step(np.zeros(3, np.float32))
    schuss.Adam(np.ones(3), eps=1e-40).step(np.zeros(3))


def test_dropout_on_softmax() -> None:
    with pytest.raises(ValueError, match="dropout"):
        schuss.Dense(3, 2, "softmax", dropout=0.5)


def test_most_threads_there_can_be() -> None:
    with schuss.threads(1024):
        assert np.isfinite(network().predict(data()[0])).all()
    with pytest.raises(ValueError, match="n"):
        schuss.threads(1025)
