"""Calls with arguments that fit as they are take a short way to the core: the same answers as by the long one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import schuss
from schuss import _core
from schuss.optim import Optimizer

Change = Callable[[dict[str, Any]], None]


class Other(np.ndarray):
    """An array that is not of exactly NumPy's class."""


def small_net(n_out: int = 3, dtype: str = "float32") -> schuss.Network:
    return schuss.Network([schuss.Dense(4, 16, "relu"), schuss.Dense(16, n_out)], seed=0, dtype=dtype)


def batch(rows: int = 5, n_out: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(rows)
    return rng.normal(size=(rows, 4)).astype(np.float32), rng.integers(0, n_out, rows)


def forms(array: np.ndarray) -> dict[str, Any]:
    """The same numbers in forms that the core does not take as they are, or not at once."""
    twice = np.repeat(np.repeat(array, 2, 0), 2, -1) if array.ndim == 2 else np.repeat(array, 2)
    askew = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    askew[...] = array
    readonly = array.copy()
    readonly.flags.writeable = False
    return {
        "list": array.tolist(),
        "strided": twice[::2, ::2] if array.ndim == 2 else twice[::2],
        "Fortran": np.asfortranarray(array),
        "misaligned": askew,
        "swapped": array.astype(array.dtype.newbyteorder()),
        "subclass": array.view(Other),
        "read-only": readonly,
        "dtype with metadata": array.view(np.dtype(array.dtype, metadata={"unit": "m"})),
        "wider" if array.dtype.kind == "f" else "narrower": array.astype("f8" if array.dtype.kind == "f" else "i4"),
    }


# ---- arrays ----------------------------------------------------------------------------------------------------------


def trained(x: Any, y: Any, loss: Any, n_out: int = 3, **options: Any) -> list[Any]:
    """Losses and parameters of three steps."""
    net = small_net(n_out)
    optimizer = schuss.Adam(net.parameters)
    losses = [net.train_step(x, y, loss=loss, optimizer=optimizer, **options) for _ in range(3)]
    net.loss_and_gradients(x, y, loss)
    return [*losses, *net.parameters, *net.gradients]


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "binary_cross_entropy", "poisson", schuss.Huber(0.3)])
@pytest.mark.parametrize("rows", [1, 5])
def test_train_step_takes_any_form(loss: Any, rows: int) -> None:
    x, y = batch(rows)
    if loss != "cross_entropy":
        y = np.random.default_rng(1).uniform(size=(rows, 3)).astype(np.float32)
    assert small_net()._core.accepts_inputs(x)
    plain = trained(x, y, loss)
    for name, form in forms(x).items():
        for mine, theirs in zip(trained(form, y, loss), plain, strict=True):
            assert_array_equal(mine, theirs, err_msg=name)
    for name, form in forms(y).items():
        for mine, theirs in zip(trained(x, form, loss), plain, strict=True):
            assert_array_equal(mine, theirs, err_msg=name)


def test_weights_of_any_form() -> None:
    x, y = batch()
    weights = np.arange(5.0)
    plain = trained(x, y, "cross_entropy", sample_weight=weights)
    for name, form in {**forms(weights), "int": np.arange(5), "float32": weights.astype(np.float32)}.items():
        for mine, theirs in zip(trained(x, y, "cross_entropy", sample_weight=form), plain, strict=True):
            assert_array_equal(mine, theirs, err_msg=name)
    net = small_net()
    for bad in (-1.0, np.nan, np.inf):
        weights[3] = bad
        with pytest.raises(ValueError, match=r"sample_weight must be (>= 0|finite); sample_weight\[3\] is"):
            net.train_step(x, y, "cross_entropy", schuss.SGD(net.parameters), sample_weight=weights)
        with pytest.raises(ValueError, match=r"sample_weight must be (>= 0|finite); sample_weight\[3\] is"):
            net.loss_and_gradients(x, y, "cross_entropy", sample_weight=weights)
    with pytest.raises(ValueError, match=r"sample_weight must have shape \(5,\)"):
        net.train_step(x, y, "cross_entropy", schuss.SGD(net.parameters), sample_weight=weights[:4])


@pytest.mark.parametrize("dtype", ["u1", "i2", "i4", "u8", ">i8", "?"])
def test_labels_of_any_dtype(dtype: str) -> None:
    x, y = batch()
    y = y % 2
    for mine, theirs in zip(trained(x, y.astype(dtype), "cross_entropy"), trained(x, y, "cross_entropy"), strict=True):
        assert_array_equal(mine, theirs)


@pytest.mark.parametrize("rows", [1, 5])
def test_predict_takes_any_form(rows: int) -> None:
    x, _ = batch(rows)
    net = small_net()
    plain = net.predict(x)
    assert plain.shape == (rows, 3)
    one = net.predict(x[0])
    assert one.shape == (3,)
    assert_array_equal(one, plain[0])
    for name, form in forms(x).items():
        assert_array_equal(net.predict(form), plain, err_msg=name)
    for name, form in forms(x[0]).items():
        assert_array_equal(net.predict(form), plain[0], err_msg=name)


@pytest.mark.parametrize("given", [np.zeros((5, 3), np.float32), np.zeros((5, 3), np.float32).view(Other)])
def test_predict_writes_where_it_is_told(given: np.ndarray) -> None:
    x, _ = batch()
    net = small_net()
    expected = net.predict(x)
    for form in (x, x.astype(np.float64)):
        given[...] = 0
        assert net.predict(form, out=given) is given
        assert_array_equal(given, expected)
        assert net.predict(form[1], out=given[0]) is not None
        assert_array_equal(given[0], expected[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_step_takes_any_form_of_gradient(dtype: str) -> None:
    g = np.random.default_rng(0).normal(size=(3, 4)).astype(dtype)
    expected = np.ones((3, 4), dtype)
    schuss.Adam(expected).step(g)
    for name, form in {**forms(g), "memoryview": memoryview(g)}.items():
        if name in ("list", "wider"):
            continue
        p = np.ones((3, 4), dtype)
        schuss.Adam(p).step([form])
        assert_array_equal(p, expected, err_msg=name)
    p = np.array(1.0, dtype)
    schuss.SGD(p, lr=0.5).step(np.array(1.0, dtype))
    assert p == 0.5


def test_shapes_that_only_resemble() -> None:
    p = np.ones((3, 4), np.float32)
    optimizer = schuss.SGD(p)
    for shape in ((4, 3), (12,), (3, 4, 1)):
        with pytest.raises(ValueError, match="grads has shape"):
            optimizer.step(np.ones(shape, np.float32))
    with pytest.raises(ValueError, match="grads has dtype"):
        optimizer.step(np.ones((3, 4), np.int32))
    assert_array_equal(p, 1)


@pytest.mark.parametrize(
    ("x", "y", "loss", "message"),
    [
        (np.zeros((0, 4), np.float32), np.zeros(0, np.int64), "cross_entropy", "x must have at least one row"),
        (np.zeros((2, 3), np.float32), np.zeros(2, np.int64), "cross_entropy", "x must have 4 columns"),
        (np.zeros(4, np.float32), np.zeros(1, np.int64), "cross_entropy", r"x must have shape \(rows, 4\)"),
        (np.zeros((2, 4), np.float32), np.zeros(3, np.int64), "cross_entropy", "y must have 2 rows"),
        (np.zeros((2, 4), np.float32), np.array([0, 3]), "cross_entropy", r"y\[1\] is 3"),
        (np.zeros((2, 4), np.float32), np.array([0, -1]), "cross_entropy", r"y\[1\] is -1"),
        (np.zeros((2, 4), np.float32), np.array([0, 3], np.int32), "cross_entropy", r"y\[1\] is 3"),
        (np.zeros((2, 4), np.float32), np.array([0, 2**63], np.uint64), "cross_entropy", r"y\[1\] is 922337203"),
        (np.zeros((2, 4), np.float32), np.full((2, 3), 1.5, np.float32), "binary_cross_entropy", r"in \[0, 1\].* 1\.5"),
        (np.zeros((2, 4), np.float32), np.full((2, 3), np.nan, "f4"), "binary_cross_entropy", r"in \[0, 1\].* nan"),
        (np.zeros((2, 4), np.float32), np.full((2, 3), -1, np.float32), "poisson", r">= 0 for poisson.* -1"),
        (np.zeros((2, 4), np.float32), np.full((2, 3), np.nan, np.float32), "mse", r"y\[0, 0\] is nan"),
        (np.full((2, 4), np.inf, np.float32), np.zeros((2, 3), np.float32), "mse", r"x\[0, 0\] is inf"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_unchanged(x: Any, y: Any, loss: str, message: str) -> None:
    net = small_net()
    optimizer = schuss.Adam(net.parameters)
    before = [p.copy() for p in net.parameters]
    with pytest.raises(ValueError, match=message):
        net.train_step(x, y, loss=loss, optimizer=optimizer)
    for mine, theirs in zip(net.parameters, before, strict=True):
        assert_array_equal(mine, theirs)
    assert optimizer.steps == 0


@pytest.mark.parametrize("value", [1, 1.0, np.float32(1), np.float64(1)])
def test_limits_of_any_type(value: Any) -> None:
    x, y = batch()
    plain = trained(x, y, "cross_entropy", clip_norm=1.0, clip_value=1.0)
    for mine, theirs in zip(trained(x, y, "cross_entropy", clip_norm=value, clip_value=value), plain, strict=True):
        assert_array_equal(mine, theirs)


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan"), True, "1"])
@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
def test_limits_out_of_range(name: str, value: Any) -> None:
    net = small_net()
    x, y = batch()
    limits: dict[str, Any] = {name: value}
    with pytest.raises((ValueError, TypeError), match=name):
        net.train_step(x, y, loss="cross_entropy", optimizer=schuss.SGD(net.parameters), **limits)


# ---- groups ----------------------------------------------------------------------------------------------------------


def change(**numbers: Any) -> Change:
    return lambda group: group.update(**numbers)


CHANGES: list[tuple[type[Optimizer], Change]] = [
    (schuss.SGD, change(lr=0.5)),
    (schuss.SGD, change(lr=1)),
    (schuss.SGD, change(lr=np.float32(0.5))),
    (schuss.SGD, change(lr=0.5, weight_decay=0.1)),
    (schuss.SGD, change(maximize=True)),
    (schuss.Adam, change(betas=(0.5, 0.9))),
    (schuss.Adam, change(betas=[0.5, 0.9])),
    (schuss.Adam, change(eps=0.1)),
    (schuss.AdamW, change(weight_decay=0.5)),
    (schuss.AdaGrad, change(lr_decay=0.5)),
    (schuss.RMSProp, change(alpha=0.5)),
    (schuss.SGD, lambda group: group.update(lr=group["lr"] * 2, note="the user's own")),
]


@pytest.mark.parametrize(("kind", "changed"), CHANGES)
@pytest.mark.parametrize("replaced", [False, True], ids=["changed", "replaced"])
def test_a_change_between_steps_is_seen(kind: type[Optimizer], changed: Change, replaced: bool) -> None:
    """As by an optimizer that was made with those numbers and given the other's state."""
    g = np.random.default_rng(0).normal(size=7)
    p = np.ones(7)
    optimizer = kind(p, lr=0.25)  # type: ignore[call-arg]
    for _ in range(2):
        optimizer.step(g)
    other = kind(p.copy(), lr=0.25)  # type: ignore[call-arg]
    other.load_state_dict(optimizer.state_dict())
    q = other.param_groups[0]["params"][0]
    changed(other.param_groups[0])
    other.step(g)
    if replaced:
        optimizer.param_groups[0] = dict(optimizer.param_groups[0])
    changed(optimizer.param_groups[0])
    optimizer.step(g)
    assert_array_equal(p, q)


def test_numbers_that_change_and_stay_the_same_object() -> None:
    p, g = np.zeros(3), np.ones(3)
    optimizer = schuss.SGD(p, lr=1.0)
    lr = np.array(1.0)
    optimizer.param_groups[0]["lr"] = lr
    for value, expected in ((1.0, -1.0), (0.5, -1.5), (0.25, -1.75)):
        lr[...] = value
        optimizer.step(g)
        assert_array_equal(p, expected)
    mine, theirs = (schuss.Adam(np.zeros(3), lr=0.1) for _ in range(2))
    betas = [0.9, 0.999]
    mine.param_groups[0]["betas"] = betas
    for first in (0.9, 0.5, 0.2):
        betas[0] = first
        mine.step(g)
        theirs.param_groups[0]["betas"] = (first, 0.999)
        theirs.step(g)
    assert_array_equal(mine.param_groups[0]["params"][0], theirs.param_groups[0]["params"][0])


@pytest.mark.parametrize(
    "bad", [{"lr": -1.0}, {"lr": "1"}, {"lr": float("nan")}, {"weight_decay": -1.0}, {"momentum": 0.9}]
)
def test_a_bad_number_is_refused_each_time(bad: dict[str, Any]) -> None:
    net = small_net()
    optimizer = schuss.SGD(net.parameters, lr=0.1)
    x, y = batch()
    net.train_step(x, y, loss="cross_entropy", optimizer=optimizer)
    before = [p.copy() for p in net.parameters]
    group = optimizer.param_groups[0]
    good = {key: group[key] for key in bad}
    group.update(bad)
    for _ in range(2):
        with pytest.raises((ValueError, TypeError)):
            optimizer.step(net.gradients)
        with pytest.raises((ValueError, TypeError)):
            net.train_step(x, y, loss="cross_entropy", optimizer=optimizer)
    for mine, theirs in zip(net.parameters, before, strict=True):
        assert_array_equal(mine, theirs)
    group.update(good)
    net.train_step(x, y, loss="cross_entropy", optimizer=optimizer)
    assert optimizer.steps == 2


def test_one_group_of_two_changes() -> None:
    a, b = np.zeros(2), np.zeros(3)
    optimizer = schuss.SGD([{"params": a}, {"params": b, "lr": 0.5}], lr=1.0)
    ones = [np.ones(2), np.ones(3)]
    optimizer.step(ones)
    optimizer.param_groups[1]["lr"] = 0.25
    optimizer.step(ones)
    assert_array_equal(a, -2)
    assert_array_equal(b, -0.75)
    optimizer.param_groups.reverse()
    optimizer.step(ones)
    assert_array_equal(a, -2.25)
    assert_array_equal(b, -1.75)


def test_a_schedule_set_between_steps() -> None:
    net = small_net()
    optimizer = schuss.SGD(net.parameters, lr=0.1)
    x, y = batch()
    seen: list[int] = []

    def schedule(step: int) -> float:
        seen.append(step)
        return 0.1 / (1 + step)

    net.train_step(x, y, loss="cross_entropy", optimizer=optimizer)
    optimizer.param_groups[0]["schedule"] = schedule
    for _ in range(2):
        net.train_step(x, y, loss="cross_entropy", optimizer=optimizer)
    optimizer.step(net.gradients)
    assert seen == [1, 2, 3]
    assert optimizer.param_groups[0]["lr"] == 0.1 / 4


def test_rates_of_a_fit_do_not_stay() -> None:
    """A fit's schedule writes its rates where the numbers of the groups are kept for the core."""
    net = small_net()
    x, y = batch()
    groups = [{"rule": "sgd", "lr": 0.5}]
    stepper = _core.Stepper(net._core.parameters, [0] * 4, [{"rule": "sgd", "lr": 0.1}])
    zeros = [np.zeros_like(p) for p in net.parameters]
    stepper.step(zeros, groups)
    trainer = _core.Trainer(net._core, stepper, groups, ("cross_entropy", 0.0), x, y, None, 5, 0.0, 0.0)
    trainer.start_epoch(None, 0, np.array([0.0]))
    trainer.run(1.0)
    before = net.parameters[1].copy()
    stepper.step([np.ones_like(p) for p in net.parameters], groups)
    assert_array_equal(net.parameters[1], before - np.float32(0.5))


# ---- losses ----------------------------------------------------------------------------------------------------------


def test_losses_in_turn() -> None:
    x, y = batch()
    wide = np.random.default_rng(2).uniform(size=(5, 3)).astype(np.float32)
    kinds: list[tuple[Any, Any]] = [
        ("cross_entropy", y), (schuss.CrossEntropy(0.3), y), ("mse", wide), (schuss.Huber(0.1), wide),
        (schuss.Huber(0.2), wide), ("".join(["m", "se"]), wide), ("cross_entropy", wide / wide.sum(1, keepdims=True)),
    ]  # fmt: skip
    net = small_net()
    values = [net.loss_and_gradients(x, target, loss) for loss, target in kinds]
    assert values == [small_net().loss_and_gradients(x, target, loss) for loss, target in kinds]
    optimizer = schuss.SGD(net.parameters, lr=0.0)
    assert values == [net.train_step(x, target, loss=loss, optimizer=optimizer) for loss, target in kinds]
