"""What a caller, a callback, a schedule or an object's own method writes after it was checked: an error that says so or
the right result, never memory of another's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import schuss
from schuss import _core

Array = np.ndarray[Any, Any]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
RNG = np.random.default_rng(0)
LARGE = 1 << 20  # elements: memory of its own, which is gone for good when it is given back


def ones(*shape: int) -> Array:
    return np.ones(shape, np.float32)


class Liar(np.ndarray):  # type: ignore[type-arg]
    """An array that says that it is of another shape."""

    said: tuple[int, ...] = ()

    @property
    def shape(self) -> Any:
        return self.said

    @property
    def size(self) -> int:
        return int(np.prod(self.said))

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize


def liar(true: tuple[int, ...], said: tuple[int, ...], dtype: Any = np.float32) -> Any:
    array = np.ones(true, dtype).view(Liar)
    array.said = said
    return array


class Lender:
    """Lends an array, and does something when it is asked to."""

    def __init__(self, array: Array, act: Callable[[], Any]) -> None:
        self.array, self.act = array, act

    def __dlpack__(self, **how: Any) -> Any:
        self.act()
        return self.array.__dlpack__()

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class Number:
    """A number that does something when it is asked for."""

    def __init__(self, value: float, act: Callable[[], Any]) -> None:
        self.value, self.act = value, act

    def __float__(self) -> float:
        self.act()
        return self.value


# ---- parameters ------------------------------------------------------------------------------------------------------


def resize(p: Array) -> None:
    p.resize(3, refcheck=False)


def retype(p: Array) -> None:
    p.dtype = np.int32  # type: ignore[misc]


def restride(p: Array) -> None:
    p.strides = (4, 4 * 1024)


def lock(p: Array) -> None:
    p.setflags(write=False)


CHANGES = {resize: "cannot resize", retype: "has become int32", restride: "other strides", lock: "has become read-only"}


@pytest.mark.parametrize("when", ["before", "schedule", "lender"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_parameter(change: Callable[[Array], None], when: str) -> None:
    p, q = np.zeros((1024, 1024), np.float32), np.zeros(5, np.float32)
    memory = p.view() if change is not resize else None
    armed: list[bool] = []

    def act() -> None:
        if armed:
            change(p)

    def schedule(step: int) -> float:
        act()
        return 1.0

    optimizer = schuss.SGD([p, q], lr=schedule if when == "schedule" else 1.0)
    armed.append(True)

    def run() -> None:
        if when == "before":
            act()
        optimizer.step([ones(1024, 1024), Lender(ones(5), act) if when == "lender" else ones(5)])

    with pytest.raises((ValueError, TypeError), match=CHANGES[change]):
        run()
    assert optimizer.steps == 0
    assert not q.any()
    assert memory is None or not memory.any()


def test_a_parameter_gets_another_shape() -> None:
    p = np.zeros((4, 6), np.float32)
    optimizer = schuss.Adam([p], lr=1.0)
    p.shape = (24,)
    optimizer.step([ones(4, 6)])
    assert_array_equal(p, np.full(24, -1, np.float32))


def test_rows_of_a_parameter_of_another_shape() -> None:
    p = np.zeros((4, 6), np.float32)
    optimizer = schuss.SGD([p], lr=1.0)
    p.shape = (24, 1)
    with pytest.raises(ValueError, match=r"row 24, expected rows in \[0, 24\)"):
        optimizer.step([schuss.Rows([24], ones(1, 1))])
    optimizer.step([schuss.Rows([23], ones(1, 1))])
    assert p[23] == -1
    assert p.sum() == -1


def test_memory_under_a_view_stays() -> None:
    whole = np.zeros(LARGE, np.float32)
    optimizer = schuss.SGD([whole[: LARGE // 2]], lr=1.0)
    with pytest.raises(ValueError, match="cannot resize"):
        whole.resize(3, refcheck=False)
    optimizer.step([ones(LARGE // 2)])
    assert whole.sum() == -LARGE // 2
    del optimizer
    whole.resize(3, refcheck=False)
    assert whole.size == 3


def test_lbfgs() -> None:
    for change, message in ((resize, "cannot resize"), (lock, "has become read-only")):
        p = np.ones(LARGE, np.float32)
        calls: list[int] = []

        def closure(p: Array = p, change: Any = change, calls: list[int] = calls) -> Any:
            gradient = 2 * p
            calls.append(1)
            if len(calls) > 1:
                change(p)
            return float(np.square(p).sum()), [gradient]

        with pytest.raises(ValueError, match=message):
            schuss.LBFGS([p]).step(closure)


# ---- subclasses ------------------------------------------------------------------------------------------------------


def test_a_subclass_that_lies_of_its_shape() -> None:
    p = np.zeros(LARGE, np.float32)
    optimizer = schuss.SGD([p], lr=1.0)
    with pytest.raises(ValueError, match=r"grads\[0\] has shape \(4,\)"):
        optimizer.step([liar((4,), (LARGE,))])
    assert not p.any()
    for optimizer in (schuss.SGD([liar((4,), (LARGE,))], lr=1.0), schuss.Adam([liar((LARGE,), (4,))], lr=1.0)):
        true = optimizer._stepper.params[0].shape
        with pytest.raises(ValueError, match=r"grads\[0\] has shape"):
            optimizer.step([ones(5)])
        optimizer.step([np.ones(true, np.float32)])
        assert optimizer._stepper.params[0].max() == 0


def test_a_network_given_liars() -> None:
    net = schuss.Network([schuss.Dense(4, 3)], seed=0)
    X, y, w = ones(9, 4), np.zeros(9, np.int64), np.ones(9)
    for bad in (
        (liar((2, 4), (9, 4)), y, w),
        (X, liar((2,), (9,), np.int64), w),
        (X, y, liar((2,), (9,), np.float64)),
    ):
        with pytest.raises(ValueError, match="must have"):
            net.fit(bad[0], bad[1], sample_weight=bad[2], loss="cross_entropy", epochs=1)
    assert net.predict(liar((2, 4), (9, 4))).shape == (2, 3)
    with pytest.raises(ValueError, match="out has shape"):
        net.predict(X, out=liar((2, 3), (9, 3)))
    net.forward(X)
    with pytest.raises(ValueError, match="dout has shape"):
        net.backward(liar((2, 3), (9, 3)))


class Whole(int):
    """An integer that is in every range, by its own account."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return False


def test_an_integer_that_lies() -> None:
    p = ones(3, 3)
    for make in (
        lambda: schuss.EMA(schuss.SGD([p]), every=Whole(0)),
        lambda: schuss.LBFGS([p], history_size=Whole(-5)),
        lambda: schuss.SOAP([p], precondition_frequency=Whole(0)),
        lambda: schuss.Dense(Whole(-4), 3),
        lambda: schuss.set_num_threads(Whole(-3)),
    ):
        with pytest.raises(ValueError, match="must be an integer"):
            make()


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1])
def test_a_lender_changes_another_gradient(place: int) -> None:
    params = [np.zeros(LARGE, np.float32), np.zeros(LARGE, np.float32)]
    for change, message in ((resize, "has shape"), (retype, "has dtype")):
        plain = ones(LARGE)
        grads: list[Any] = [plain, plain]
        grads[place] = Lender(ones(LARGE), lambda plain=plain, change=change: change(plain))
        optimizer = schuss.SGD(params, lr=1.0)
        with pytest.raises(ValueError, match=message):
            optimizer.step(grads)
        assert not params[0].any() and not params[1].any()


def test_a_lender_changes_the_list_and_threads() -> None:
    params = [np.zeros((70, 70), np.float32) for _ in range(3)]
    twins = [p.copy() for p in params]
    g = RNG.normal(size=(70, 70)).astype(np.float32)
    optimizer, twin = schuss.Muon(params), schuss.Muon(twins)
    grads: list[Any] = [g, g, g]

    def act() -> None:
        grads.clear()
        schuss.set_num_threads(64)

    grads[1] = Lender(g, act)
    try:
        schuss.set_num_threads(1)
        optimizer.step([g, g, g])
        optimizer.step(grads)
    finally:
        schuss.set_num_threads(None)
    twin.step([g, g, g])
    twin.step([g, g, g])
    assert_array_equal(params, twins)


def test_a_lender_steps_the_same_optimizer() -> None:
    p = np.zeros(5, np.float32)
    optimizer = schuss.SGD([p], lr=1.0)
    with pytest.raises(TypeError, match="in a step"):
        optimizer.step([Lender(ones(5), lambda: optimizer.step([ones(5)]))])
    assert not p.any()
    optimizer.step([ones(5)])
    assert_array_equal(p, -ones(5))


def test_gradients_that_are_zeroed_share_no_memory() -> None:
    params = [np.zeros(4, np.float32) for _ in range(2)]
    optimizer = schuss.SGD(params, lr=1.0)
    g = ones(8)
    for shared in ([g[:4], g[:4]], [g[:4], g[2:6]], [g[4:], g[1:5]]):
        optimizer_before = [p.copy() for p in params]
        with pytest.raises(ValueError, match=r"grads\[1\] shares memory with grads\[0\]"):
            optimizer.step(shared, zero_grad=True)
        assert_array_equal(params, optimizer_before)
        assert_array_equal(g, ones(8))
    for _ in range(2):
        optimizer.step([g[:4], g[4:]], zero_grad=True)
        assert not g.any()
        g[...] = 1
    optimizer.step([g[:4], g[:4]])
    assert_array_equal(params, [np.full(4, -3, np.float32)] * 2)


# ---- rows ------------------------------------------------------------------------------------------------------------


def test_rows() -> None:
    p = np.zeros((8, 4), np.float32)
    optimizer = schuss.SGD([p], lr=1.0)
    index = np.array([1, 2, 3])
    g = schuss.Rows(index, ones(3, 4))
    index[1] = 10**9
    with pytest.raises(ValueError, match="read-only"):
        g.indices[1] = 10**9
    with pytest.raises(AttributeError):
        g.values = ones(9, 4)  # type: ignore[misc]
    optimizer.step([g])
    assert p.sum() == -12


@pytest.mark.parametrize("shape", [(4, 3), (12,), (3, 2, 2), (1, 12), (12, 1)])
def test_values_of_rows_get_another_shape(shape: tuple[int, ...]) -> None:
    p = np.zeros((8, 4), np.float32)
    optimizer = schuss.SGD([p], lr=1.0)
    g = schuss.Rows([1, 2, 7], ones(3, 4))
    g.values.shape = shape
    with pytest.raises(ValueError, match=r"grads\[0\] has (rows of shape|\d+ rows)"):
        optimizer.step([g])
    assert not p.any()
    assert optimizer.steps == 0


def test_values_of_rows_become_others() -> None:
    p = np.zeros((8, 4), np.float32)
    optimizer = schuss.SGD([p], lr=1.0)
    values = ones(3, 4)
    g = schuss.Rows([1, 2, 7], values)
    for array in (values, g.values):
        with pytest.raises(ValueError, match="cannot resize"):
            array.resize((300, 4), refcheck=False)
    retype(g.values)
    with pytest.raises(ValueError, match=r"grads\[0\] has dtype int32"):
        optimizer.step([g])
    assert not p.any()
    del g
    values.resize(3, refcheck=False)


def test_values_of_rows_that_are_read_only_are_not_zeroed() -> None:
    kept = ones(3, 4).tobytes()
    p = np.zeros((8, 4), np.float32)
    optimizer = schuss.SGD([p], lr=1.0)
    g = schuss.Rows([1, 2, 7], np.frombuffer(kept, np.float32).reshape(3, 4))
    with pytest.raises(ValueError, match="values that are read-only"):
        optimizer.step([g], zero_grad=True)
    assert kept == ones(3, 4).tobytes()
    assert not p.any()
    optimizer.step([g])
    assert p.sum() == -12
    optimizer.step([schuss.Rows([1, 2, 7], ones(3, 4))], zero_grad=True)
    assert p.sum() == -24


# ---- what a network is trained on ------------------------------------------------------------------------------------


def classifier(rows: int = 64) -> tuple[schuss.Network, Array, Array]:
    net = schuss.Network([schuss.Dense(4, 8, "relu"), schuss.Dense(8, 3)], seed=0)
    return net, RNG.normal(size=(rows, 4)).astype(np.float32), np.arange(rows) % 3


def fit(net: schuss.Network, X: Any, y: Any, act: Callable[[Any], Any] = lambda record: None, **how: Any) -> None:
    def callback(record: Any) -> None:
        act(record)

    net.fit(X, y, **{"loss": "cross_entropy", "epochs": 3, "batch_size": 16, "callbacks": [callback], **how})


@pytest.mark.parametrize("which", ["X", "y"])
@pytest.mark.parametrize("own_loss", [False, True])
def test_memory_of_what_is_fitted_stays(which: str, own_loss: bool) -> None:
    net, X, y = classifier(LARGE // 4)
    array = X if which == "X" else y
    if not own_loss:
        with pytest.raises(ValueError, match="cannot resize"):
            fit(net, X, y, lambda record: array.resize(3, refcheck=False), batch_size=4096, epochs=2)
    else:
        targets = np.zeros((len(X), 3), np.float32)

        def loss(prediction: Array, target: Array) -> Any:
            (X if which == "X" else targets).resize(3, refcheck=False)
            return 0.0, np.zeros_like(prediction)

        with pytest.raises(ValueError, match="cannot resize"):
            fit(net, X, targets, loss=loss, batch_size=4096)
    (X if which == "X" or not own_loss else y).resize(3, refcheck=False)  # and not any longer


def test_x_gets_another_shape() -> None:
    net, X, y = classifier()
    twin, given = classifier()[0], X.copy()
    fit(twin, given, y)

    def act(record: Any) -> None:
        X.shape = (32, 8)

    fit(net, X, y, act)
    assert_array_equal(net._core.flat_parameters, twin._core.flat_parameters)
    X.shape = (64, 4)
    with pytest.raises(ValueError, match="has shape"):
        fit(net, X, y, act, metrics="accuracy")


def test_labels_leave_their_range() -> None:
    for bad in (3, -1, 2**62, -(2**63)):
        net, X, y = classifier()

        def act(record: Any, y: Array = y, bad: int = bad) -> None:
            y[7] = bad

        with pytest.raises(schuss.DivergenceError, match="loss was nan"):
            fit(net, X, y, act)
        assert np.isfinite(net._core.flat_parameters).all()


def test_weights_are_held_as_they_were() -> None:
    net, X, y = classifier()
    w = RNG.uniform(0.5, 1.5, 64)
    twin = classifier()[0]
    fit(twin, X, y, sample_weight=w.copy())

    def act(record: Any) -> None:
        w[...] = (np.nan, -1.0, np.inf)[record.epoch - 1]
        w.resize(3, refcheck=False)
        w.resize(64, refcheck=False)

    fit(net, X, y, act, sample_weight=w)
    assert_array_equal(net._core.flat_parameters, twin._core.flat_parameters)


def test_the_order_of_rows_is_held() -> None:
    net, X, y = classifier()
    optimizer = schuss.SGD(net.parameters)
    trainer = _core.Trainer(
        net._core, optimizer._stepper, optimizer.param_groups, ("cross_entropy", 0.0), X, y, None, 16, 0.0, 0.0
    )
    order = np.arange(64)
    trainer.start_epoch(None, 0, None, order)
    order[...] = 2**62
    while trainer.run(0.0):
        pass
    assert np.isfinite(trainer.loss)
    for bad in (order, np.arange(63), np.arange(64)[::-1] - 1):
        with pytest.raises(ValueError, match="order is not of 64 rows"):
            trainer.start_epoch(None, 1, None, bad)


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_compressed_rows(dtype: Any) -> None:
    net, _, y = classifier(3)
    optimizer = schuss.SGD(net.parameters)

    def trainer(start: Any, indices: Any, data: Array) -> _core.Trainer:
        given = np.array(start, np.int64), np.array(indices, dtype), data
        return _core.Trainer(
            net._core, optimizer._stepper, optimizer.param_groups, ("cross_entropy", 0.0), given, y, None, 2, 0.0, 0.0
        )

    data = ones(5)
    for start in (
        [0, 2**63 - 1, -2, 5],
        [0, 3, 2, 5],
        [1, 2, 3, 5],
        [0, 2, 4, 4],
        [0, 2, 4, 6],
        [0, -1, 3, 5],
        [0, 6, 5, 5],
    ):
        with pytest.raises(ValueError, match="start must rise from 0 to 5"):
            trainer(start, [0, 1, 2, 3, 0], data)
    for bad in (4, -1, np.iinfo(dtype).max, np.iinfo(dtype).min):
        with pytest.raises(ValueError, match="out of range"):
            trainer([0, 2, 4, 5], [0, 1, 2, 3, bad], data)
    for indices in ([1, 0, 2, 3, 0], [1, 1, 2, 3, 0]):
        with pytest.raises(ValueError, match="do not increase"):
            trainer([0, 2, 4, 5], indices, data)
    start, columns = np.array([0, 2, 4, 5]), np.array([0, 1, 2, 3, 0], dtype)
    given, loss = (start, columns, data), ("cross_entropy", 0.0)
    made = _core.Trainer(net._core, optimizer._stepper, optimizer.param_groups, loss, given, y, None, 2, 0.0, 0.0)
    start[...], columns[...], data[...] = 2**62, np.iinfo(dtype).max, np.nan
    data.resize(1, refcheck=False)
    made.start_epoch(0, 0, None)
    while made.run(0.0):
        pass
    assert np.isfinite(made.loss)


def test_codes_leave_their_table() -> None:
    for bad in (10, -1, 2**62, -(2**63)):
        net = schuss.Network([schuss.Input("c", 2, dtype="int64"), schuss.Embedding(10, 4), schuss.Dense(3)], seed=0)
        codes = np.arange(128).reshape(64, 2) % 10

        def act(record: Any, codes: Array = codes, bad: int = bad) -> None:
            codes[5, 1] = bad

        with pytest.raises(ValueError, match="codes have changed during training"):
            fit(net, codes, np.arange(64) % 3, act)
        assert np.isfinite(net._core.flat_parameters).all()
        with pytest.raises(ValueError, match="expected a code"):
            net.predict(codes)


# ---- callbacks and losses of one's own -------------------------------------------------------------------------------


def test_epochs_end_whatever_is_written() -> None:
    net, X, y = classifier()
    epochs: list[int] = []

    def act(record: Any) -> None:
        epochs.append(record.epoch)
        net.epochs_done = 0

    fit(net, X, y, act)
    assert epochs == [1, 1, 1]


def test_parameters_become_nan() -> None:
    net, X, y = classifier()

    def act(record: Any) -> None:
        net.parameters[0][...] = np.nan

    with pytest.raises(schuss.DivergenceError):
        fit(net, X, y, act)


def test_a_loss_that_uses_what_is_in_use() -> None:
    net, X, _ = classifier()
    y = np.zeros((64, 3), np.float32)
    optimizer = schuss.SGD(net.parameters, lr=0.1)
    twin = classifier()[0]
    fit(twin, X, y, loss="mse", optimizer=schuss.SGD(twin.parameters, lr=0.1), epochs=1)
    refused = 0

    def loss(prediction: Array, target: Array) -> Any:
        nonlocal refused
        for act in (
            lambda: net.predict(X), lambda: net.forward(X), lambda: net.evaluate(X, y, "mse"),
            lambda: optimizer.step(net.gradients), lambda: net.train_step(X, y, "mse", optimizer),
            lambda: net.backward(prediction), lambda: fit(net, X, y),
        ):  # fmt: skip
            with pytest.raises(RuntimeError):
                act()
            refused += 1
        schuss.set_num_threads(33)
        return float(np.square(prediction - target).mean()), 2 * (prediction - target) / prediction.size

    try:
        fit(net, X, y, loss=loss, optimizer=optimizer, epochs=1)
    finally:
        schuss.set_num_threads(None)
    assert refused == 28
    np.testing.assert_allclose(net._core.flat_parameters, twin._core.flat_parameters, rtol=1e-4, atol=1e-6)


def test_threads_between_and_within_passes() -> None:
    net = schuss.Network([schuss.Dense(64, 300, "relu"), schuss.Dense(300, 10)], seed=0)
    twin = schuss.Network([schuss.Dense(64, 300, "relu"), schuss.Dense(300, 10)], seed=0)
    X, y = RNG.normal(size=(600, 64)).astype(np.float32), np.arange(600) % 10
    try:
        schuss.set_num_threads(1)
        fit(net, X, y, lambda record: schuss.set_num_threads(64), optimizer="muon", batch_size=200)
        net.forward(X)
        schuss.set_num_threads(100)
        net.backward(ones(600, 10))
    finally:
        schuss.set_num_threads(None)
    fit(twin, X, y, optimizer="muon", batch_size=200)
    assert_array_equal(net._core.flat_parameters, twin._core.flat_parameters)


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [schuss.AdaGrad, schuss.FTRL, schuss.optim.Yogi])
def test_first_states_that_the_dtype_does_not_hold(kind: Any) -> None:
    for value in (3.5e38, 1e300, 1e-39, 1e-320):
        with pytest.raises(ValueError, match="initial_accumulator_value must be"):
            kind([ones(3)], initial_accumulator_value=value)
        if value > 1e-320:
            kind([np.ones(3)], initial_accumulator_value=value)
    kind([ones(3)], initial_accumulator_value=3e38)


def test_a_rate_that_begins_a_state() -> None:
    for rate in (1e39, 1e-39):
        with pytest.raises(ValueError, match="lr must be"):
            schuss.Rprop([ones(3)], lr=rate)
        schuss.Rprop([np.ones(3)], lr=rate)


def test_what_warns_of_nothing() -> None:
    assert np.isinf(schuss.Rows([1, 1], np.full((2, 3), 3e38, np.float32)).values).all()
    net = schuss.Network([schuss.Dense(4, 3)], seed=0)
    net.parameters[0][...] = 3e38
    net.fit(np.zeros((9, 4)), np.zeros((9, 3)), loss="mse", epochs=1)
    found = schuss.minimize(lambda x: (1.0, x), np.ones(3), jac=True, options={"gtol": 1e300})
    assert found.success


def test_a_value_whose_repr_raises() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise IndexError

    with pytest.raises(TypeError, match="Silent whose repr raises IndexError"):
        schuss.SGD([ones(3)], lr=Silent())  # type: ignore[arg-type]


@pytest.mark.parametrize("step", [np.inf, np.nan, 2**63, 2**53 + 1, 1e300, 10**400, -1, 0.5, True, "2"])
@pytest.mark.parametrize("kind", [schuss.Adam, schuss.LBFGS])
def test_steps_that_are_no_count(kind: Any, step: Any) -> None:
    p = np.ones(4)
    optimizer = kind([p])
    optimizer.step((lambda: (float(np.square(p).sum()), [2 * p])) if kind is schuss.LBFGS else [p.copy()])
    before, given = optimizer.state_dict(), optimizer.state_dict()
    given["param_groups"][0]["lr"] = 7.0
    for value in given["state"][0].values():
        if isinstance(value, np.ndarray):
            value += 1
    names = ("step", "n_iter", "func_evals") if kind is schuss.LBFGS else ("step",)
    for name in names:
        with pytest.raises(ValueError, match=rf"\['{name}'\] must be a whole number >= 0"):
            optimizer.load_state_dict({**given, "state": {0: {**given["state"][0], name: step}}})
        np.testing.assert_equal(optimizer.state_dict(), before)


def test_a_number_too_large_for_a_float() -> None:
    optimizer = schuss.Prodigy([ones(3)])
    given = optimizer.state_dict()
    name = schuss._core.memory_names("prodigy")[0]
    given["param_groups"][0][name] = 10**400
    with pytest.raises(ValueError, match="that a float can hold"):
        optimizer.load_state_dict(given)


@pytest.mark.parametrize("name", ["adam", "soap"])
def test_states_are_not_loaded_into_a_step(name: str) -> None:
    p = np.zeros((3, 3), np.float32)
    optimizer = schuss.optim.BY_NAME[name]([p])
    optimizer.step([ones(3, 3)])
    before, given = [p.copy(), *(a.copy() for a in optimizer._stepper.states[0])], optimizer.state_dict()
    with pytest.raises(TypeError, match="in a step"):
        optimizer.step([Lender(ones(3, 3), lambda: optimizer.load_state_dict(given))])
    np.testing.assert_equal([p, *optimizer._stepper.states[0]], before)
    assert optimizer.steps == 1
    optimizer.load_state_dict(given)
