"""The design's table of bad input, row by row: the right error, naming what was wrong, and nothing changed."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import schuss
from schuss import _core
from schuss.training import SPLIT_EPOCH

FLOATS = (np.float32, np.float64)
KINDS = [
    (schuss.SGD, {"momentum": 0.9}),
    (schuss.AdaGrad, {}),
    (schuss.RowAdaGrad, {}),
    (schuss.RMSProp, {"centered": True, "momentum": 0.5, "rows": "exact"}),
    (schuss.Adam, {"amsgrad": True}),
    (schuss.AdamW, {}),
    (schuss.Lion, {}),
    (schuss.Signum, {}),
    (schuss.Rprop, {}),
    (schuss.ASGD, {}),
    (schuss.ScheduleFreeSGD, {}),
    (schuss.ScheduleFreeAdamW, {}),
]


def small_net(n_out: int = 3, activation: str = "identity", **kwargs: Any) -> schuss.Network:
    layers = [schuss.Dense(4, 5, "tanh"), schuss.Dense(5, n_out, activation)]
    return schuss.Network(layers, seed=1, **kwargs)


def data(rows: int = 20) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 4)).astype(np.float32), rng.integers(0, 3, rows)


def state_of(net: schuss.Network) -> Any:
    optimizer = None if net.optimizer is None else net.optimizer.state_dict()
    return copy.deepcopy(
        (
            [p.copy() for p in net.parameters],
            optimizer,
            net.epochs_done,
            net._core.draws,
            len(net.history),
            net.metadata,
        )
    )


@contextmanager
def unchanged(*holders: Any) -> Iterator[None]:
    """Networks, optimizers (by state_dict and parameters) or arrays that must be the same afterwards."""

    def look(holder: Any) -> Any:
        if isinstance(holder, schuss.Network):
            return state_of(holder)
        if isinstance(holder, schuss.Optimizer):
            return holder.state_dict(), [p.copy() for g in holder.param_groups for p in g["params"]]
        return holder.copy()

    before = [look(holder) for holder in holders]
    yield
    for old, holder in zip(before, holders, strict=True):
        np.testing.assert_equal(look(holder), old)


# ---- in-place targets ------------------------------------------------------------------------------------------------


def read_only() -> np.ndarray:
    a = np.ones((3, 4), np.float32)
    a.flags.writeable = False
    return a


def misaligned() -> np.ndarray:
    return np.zeros(4 * 4 + 1, np.uint8)[1:].view(np.float32)


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize(
    ("make", "error"),
    [
        (read_only, ValueError),
        (misaligned, ValueError),
        (lambda: np.ones((3, 4), np.float32).T, ValueError),
        (lambda: np.ones((6, 4), np.float32)[::2], ValueError),
        (lambda: np.ones(3, np.int64), TypeError),
        (lambda: np.ones(3, np.longdouble), TypeError),
        (lambda: np.ones(3, np.int16), TypeError),
        (lambda: np.ones(3, np.complex64), TypeError),
        (lambda: np.ones(3, np.dtype(np.float32).newbyteorder()), TypeError),
        (lambda: np.array([1.0], object), TypeError),
        (lambda: [1.0, 2.0], TypeError),
        (lambda: 1.0, TypeError),
        (lambda: np.float32(1.0), TypeError),
        (lambda: None, TypeError),
    ],
)
def test_in_place_target(
    kind: type[schuss.Optimizer], options: dict[str, Any], make: Callable[[], Any], error: type[Exception]
) -> None:
    good = np.ones(3, np.float32)
    with unchanged(good), pytest.raises(error, match=r"params\[1\]"):
        kind([good, make()], **options)


def test_in_place_targets_must_not_overlap() -> None:
    whole = np.zeros(10, np.float32)
    with unchanged(whole), pytest.raises(ValueError, match=r"params\[1\].*overlap"):
        schuss.Adam([whole[:6], whole[5:]])
    with pytest.raises(ValueError, match="overlap"):
        schuss.Adam([whole, whole])
    schuss.Adam([whole[:5], whole[5:]])


def test_in_place_targets_have_one_dtype() -> None:
    with pytest.raises(TypeError, match=r"params\[1\]"):
        schuss.Adam([np.zeros(3, np.float32), np.zeros(3, np.float64)])


@pytest.mark.parametrize(
    "params",
    [[], 3.0, "abc", {"params": {}}, None, [{"params": []}], [{"params": 3}], [{"lr": 1.0}]],
)
def test_params_of_no_use(params: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="params"):
        schuss.SGD(params)


# ---- gradients -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "options"), KINDS)
@settings(max_examples=25, deadline=None)
@given(
    shape=hnp.array_shapes(max_dims=3, max_side=5),
    other=hnp.array_shapes(max_dims=3, max_side=5),
    dtype=st.sampled_from(FLOATS),
    grad_dtype=st.sampled_from([*FLOATS, np.float16, np.int32, np.complex64, np.bool_]),
)
def test_gradient_of_another_shape_or_dtype(
    kind: type[schuss.Optimizer],
    options: dict[str, Any],
    shape: tuple[int, ...],
    other: tuple[int, ...],
    dtype: type,
    grad_dtype: type,
) -> None:
    params = [np.ones(2, dtype), np.ones(shape, dtype)]
    optimizer = kind(params, **options)
    grads = [np.ones(2, dtype), np.ones(other, grad_dtype)]
    others = () if options.get("rows") == "exact" else (*FLOATS, np.float16)
    if shape == other and grad_dtype in (dtype, *others):
        optimizer.step(grads)
        assert optimizer.steps == 1
        return
    with unchanged(optimizer), pytest.raises(ValueError, match=r"grads\[1\]"):
        optimizer.step(grads)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_gradient_count(count: int) -> None:
    optimizer = schuss.Adam([np.ones(3, np.float32), np.ones(3, np.float32)])
    with unchanged(optimizer), pytest.raises(ValueError, match="grads"):
        optimizer.step([np.ones(3, np.float32)] * count)


@pytest.mark.parametrize("grads", [None, 1.0, ["a"], [[1.0, 1.0, 1.0]]])
def test_gradient_of_no_array(grads: Any) -> None:
    optimizer = schuss.Adam(np.ones(3, np.float32))
    with unchanged(optimizer), pytest.raises((TypeError, ValueError)):
        optimizer.step(grads)


def test_gradient_that_is_a_parameter() -> None:
    p = np.ones(3, np.float32)
    optimizer = schuss.SGD(p)
    with unchanged(optimizer), pytest.raises(ValueError, match="grads shares memory"):
        optimizer.step(p)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_gradient_is_not_silent(bad: float) -> None:
    gradient = np.array([1.0, bad, 1.0], np.float32)
    optimizer = schuss.SGD(np.ones(3, np.float32))
    for options in ({"on_nonfinite": "raise"}, {"clip_norm": 1.0}, {"clip_norm": 1.0, "clip_value": 1.0}):
        with unchanged(optimizer), pytest.raises(schuss.DivergenceError, match="nothing was updated"):
            optimizer.step(gradient, **options)  # type: ignore[arg-type]
        assert optimizer.nonfinite
    optimizer.step(np.ones(3, np.float32))
    assert not optimizer.nonfinite
    optimizer.step(gradient)
    assert optimizer.nonfinite
    with pytest.raises(ValueError, match="on_nonfinite"):
        optimizer.step(gradient, on_nonfinite="rais")


# ---- numbers out of range, unknown names -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "value", "interval"),
    [
        (schuss.SGD, "lr", -1e-3, r"\[0, inf\)"),
        (schuss.SGD, "lr", np.nan, r"\[0, inf\)"),
        (schuss.SGD, "lr", np.inf, r"\[0, inf\)"),
        (schuss.SGD, "momentum", -0.1, r"\[0, inf\)"),
        (schuss.SGD, "weight_decay", -0.1, r"\[0, inf\)"),
        (schuss.SGD, "dampening", np.nan, r"\(-inf, inf\)"),
        (schuss.AdaGrad, "lr_decay", -1.0, r"\[0, inf\)"),
        (schuss.AdaGrad, "initial_accumulator_value", -1.0, r"\[0, inf\)"),
        (schuss.AdaGrad, "eps", -1e-9, r"\[0, inf\)"),
        (schuss.RMSProp, "alpha", 1.1, r"\[0, 1\]"),
        (schuss.Adam, "betas", (1.0, 0.9), r"\[0\].*\[0, 1\)"),
        (schuss.Adam, "betas", (0.9, -0.1), r"\[1\].*\[0, 1\)"),
        (schuss.Adam, "betas", (0.9,), r"\[0, 1\)"),
        (schuss.Adam, "eps", -1.0, r"\[0, inf\)"),
        (schuss.AdamW, "weight_decay", np.inf, r"\[0, inf\)"),
        (schuss.Lion, "betas", (0.9, 1.0), r"\[1\].*\[0, 1\)"),
        (schuss.Lion, "weight_decay", -0.1, r"\[0, inf\)"),
        (schuss.Signum, "momentum", 1.0, r"\[0, 1\)"),
        (schuss.Signum, "lr", -1.0, r"\[0, inf\)"),
        (schuss.ASGD, "lambd", -1e-4, r"\[0, inf\)"),
        (schuss.ASGD, "alpha", 1.5, r"\[0, 1\]"),
        (schuss.ASGD, "t0", -1.0, r"\[0, inf\)"),
        (schuss.ScheduleFreeSGD, "momentum", 0.0, r"\(0, 1\)"),
        (schuss.ScheduleFreeSGD, "momentum", 1.0, r"\(0, 1\)"),
        (schuss.ScheduleFreeSGD, "r", -0.1, r"\[0, 100\]"),
        (schuss.ScheduleFreeSGD, "weight_lr_power", 101.0, r"\[0, 100\]"),
        (schuss.ScheduleFreeSGD, "warmup_steps", -1, "an integer >= 0"),
        (schuss.ScheduleFreeSGD, "warmup_steps", 10**400, r"at most 2\*\*53"),
        (schuss.ScheduleFreeAdamW, "betas", (0.0, 0.9), r"\[0\].*\(0, 1\)"),
        (schuss.ScheduleFreeAdamW, "betas", (0.9, 1.0), r"\[1\].*\[0, 1\)"),
        (schuss.ScheduleFreeAdamW, "eps", -1.0, r"\[0, inf\)"),
        (schuss.Adafactor, "beta2_decay", 0.1, r"\(-inf, 0\]"),
        (schuss.Adafactor, "d", 0.9, r"\[1, inf\)"),
        (schuss.Adafactor, "eps", (-1e-3, 1e-3), r"\[0\].*\[0, inf\)"),
        (schuss.Adafactor, "eps", (None, -1e-3), r"\[1\].*\[0, inf\)"),
        (schuss.Adafactor, "eps", 1e-3, "two numbers"),
        (schuss.Adafactor, "weight_decay", -1.0, r"\[0, inf\)"),
        (schuss.Muon, "momentum", -0.1, r"\[0, inf\)"),
        (schuss.Muon, "eps", -1.0, r"\[0, inf\)"),
        (schuss.Muon, "ns_coefficients", (1.0, np.inf, 0.0), r"\[1\].*\(-inf, inf\)"),
        (schuss.Muon, "ns_coefficients", (1.0, 2.0), "three numbers"),
        (schuss.Muon, "products", "float16", "bfloat16"),
        (schuss.Muon, "ns_steps", 100, "an integer from 1 to 99"),
        (schuss.Muon, "ns_steps", 0, "an integer from 1 to 99"),
        (schuss.SOAP, "betas", (0.9, 1.0), r"\[1\].*\[0, 1\)"),
        (schuss.SOAP, "shampoo_beta", 1.0, r"\(-inf, 1\)"),
        (schuss.SOAP, "eps", -1e-8, r"\[0, inf\)"),
        (schuss.SOAP, "weight_decay", -1.0, r"\[0, inf\)"),
        (schuss.SOAP, "precondition_frequency", 0, "an integer from 1 to 1000000000"),
        (schuss.SOAP, "max_precond_dim", -1, "an integer from 0 to 1000000000"),
        (schuss.Rprop, "etas", (0.5, 1.0), r"\[1\].*\(1, inf\)"),
        (schuss.Rprop, "etas", (1.0, 1.2), r"\[0\].*\(0, 1\)"),
        (schuss.Rprop, "etas", (0.5,), r"\(0, 1\) and \(1, inf\)"),
        (schuss.Rprop, "step_sizes", (-1e-6, 50), r"\[0\].*\[0, inf\)"),
        (schuss.Rprop, "step_sizes", (2, 1), r"got \(2.0, 1.0\)"),
        (schuss.NovoGrad, "betas", (1.0, 0.9), r"\[0\].*\[0, 1\)"),
        (schuss.Prodigy, "beta3", 1.0, r"\(0, 1\)"),
        (schuss.Prodigy, "d0", 0.0, r"\(0, inf\)"),
        (schuss.Prodigy, "d_coef", np.inf, r"\(0, inf\)"),
        (schuss.Prodigy, "growth_rate", 0.9, r"\[1, inf\]"),
        (schuss.NovoGrad, "eps", -1.0, r"\[0, inf\)"),
        (schuss.LAMB, "betas", (0.9, 1.0), r"\[1\].*\[0, 1\)"),
        (schuss.LAMB, "clamp", (-1.0, 1.0), r"\[0\].*\[0, inf\]"),
        (schuss.LAMB, "clamp", (0.0, np.nan), r"\[1\].*\[0, inf\]"),
        (schuss.LAMB, "clamp", (2.0, 1.0), "increasing"),
        (schuss.LARS, "trust_coefficient", -1.0, r"\[0, inf\)"),
        (schuss.LARS, "momentum", -0.1, r"\[0, inf\)"),
        (schuss.Adadelta, "rho", 1.1, r"\[0, 1\]"),
        (schuss.Adadelta, "eps", -1.0, r"\[0, inf\)"),
        (schuss.Adamax, "betas", (0.9, 1.0), r"\[1\].*\[0, 1\)"),
        (schuss.NAdam, "momentum_decay", -0.1, r"\[0, inf\)"),
        (schuss.RAdam, "betas", (-0.1, 0.9), r"\[0\].*\[0, 1\)"),
        (schuss.AdaBelief, "eps", np.nan, r"\[0, inf\)"),
        (schuss.Yogi, "initial_accumulator_value", -1e-6, r"\[0, inf\)"),
        (schuss.ADOPT, "betas", (0.9, 1.0), r"\[1\].*\[0, 1\)"),
        (schuss.AdEMAMix, "betas", (0.9, 0.999), r"three numbers in \[0, 1\)"),
        (schuss.AdEMAMix, "betas", (0.9, 0.999, 1.0), r"\[2\].*\[0, 1\)"),
        (schuss.AdEMAMix, "alpha", -1.0, r"\[0, inf\)"),
        (schuss.AdEMAMix, "alpha_warmup", -1, r"\[0, inf\)"),
        (schuss.AdEMAMix, "beta3_warmup", np.nan, r"\[0, inf\)"),
        (schuss.Adan, "betas", (0.98, 0.92), r"three numbers in \[0, 1\)"),
        (schuss.Adan, "weight_decay", -0.1, r"\[0, inf\)"),
        (schuss.FTRL, "lr_power", 0.5, r"\[-1, 0\]"),
        (schuss.FTRL, "initial_accumulator_value", -0.1, r"\[0, inf\)"),
        (schuss.FTRL, "l1", -0.1, r"\[0, inf\)"),
        (schuss.FTRL, "l2", np.inf, r"\[0, inf\)"),
        (schuss.FTRL, "l2_shrinkage", -0.1, r"\[0, inf\)"),
        (schuss.FTRL, "beta", -0.1, r"\[0, inf\)"),
    ],
)
def test_hyperparameter_out_of_range(kind: type[schuss.Optimizer], name: str, value: Any, interval: str) -> None:
    with pytest.raises(ValueError, match=f"{name}.*{interval}"):
        kind(np.ones((3, 1)), **{name: value})
    with pytest.raises(ValueError, match=f"{name}.*{interval}"):
        kind([{"params": [np.ones((3, 1))], name: value}])


@pytest.mark.parametrize(
    ("name", "value"), [("lr", True), ("lr", "1"), ("lr", None), ("amsgrad", 1), ("maximize", None), ("eps", [1e-8])]
)
def test_hyperparameter_of_another_type(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=name):
        schuss.Adam(np.ones(3), **{name: value})


def test_nesterov_needs_momentum() -> None:
    with pytest.raises(ValueError, match="nesterov"):
        schuss.SGD(np.ones(3), nesterov=True)
    with pytest.raises(ValueError, match="nesterov"):
        schuss.SGD(np.ones(3), momentum=0.9, dampening=0.1, nesterov=True)
    with pytest.raises(ValueError, match="nesterov"):
        schuss.LARS(np.ones(3), momentum=0.0, nesterov=True)


def test_rprop_has_no_learning_rate_to_change() -> None:
    net = small_net()
    X, y = data()
    for lr in (lambda step: 0.1, lambda step: 0.1 / (step + 1)):
        with pytest.raises(ValueError, match="lr must be a number"):
            schuss.Rprop(np.ones(3), lr=lr)
    optimizer = schuss.Rprop(net.parameters)
    optimizer.step(net.gradients)
    with unchanged(optimizer), pytest.raises(ValueError, match="lr must not be given"):
        optimizer.step(net.gradients, lr=0.1)
    net.fit(X, y, loss="cross_entropy", optimizer=optimizer, epochs=1)
    with unchanged(net), pytest.raises(ValueError, match="lr must be a number"):
        net.fit(X, y, loss="cross_entropy", lr=lambda step: 0.1)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        (schuss.Rprop, "etas", (0.5, 0.9)),
        (schuss.Rprop, "step_sizes", (-1.0, 1.0)),
        (schuss.ScheduleFreeAdamW, "betas", (0.0, 0.9)),
    ],
)
def test_tuple_changed_to_nonsense(kind: type[schuss.Optimizer], key: str, value: Any) -> None:
    optimizer = kind(np.ones(3))
    optimizer.param_groups[0][key] = value
    with pytest.raises(ValueError, match=key):
        optimizer.step(np.ones(3))


@pytest.mark.parametrize(
    ("kind", "refused", "known"),
    [
        (schuss.Adam, "optax", "torch, keras, sklearn"),
        (schuss.SGD, "Keras", "torch, keras, sklearn"),
        *((getattr(schuss, name), "sklearn", "torch, keras") for name in ("AdaGrad", "RMSProp", "Adadelta")),
        *((getattr(schuss, name), "sklearn", "torch, keras") for name in ("Adamax", "NAdam")),
    ],
)
def test_dialect_unknown(kind: type[schuss.Optimizer], refused: str, known: str) -> None:
    with pytest.raises(ValueError, match=f"dialect '{refused}' is not known.*{known}$"):
        kind(np.ones(3), dialect=refused)
    optimizer = kind(np.ones(3))
    optimizer.param_groups[0]["dialect"] = refused
    with unchanged(optimizer), pytest.raises(ValueError, match=f"dialect '{refused}' is not known.*{known}$"):
        optimizer.step(np.ones(3))


def test_dialect_of_another_type() -> None:
    with pytest.raises(TypeError, match="dialect"):
        schuss.Adam(np.ones(3), dialect=None)  # type: ignore[arg-type]


def test_keras_has_no_momentum_decay() -> None:
    with pytest.raises(ValueError, match=r"momentum_decay.*0\.1"):
        schuss.NAdam(np.ones(3), momentum_decay=0.1, dialect="keras")


def test_group_key_unknown() -> None:
    with pytest.raises(ValueError, match=r"params\[0\].*'beta'.*'betas'"):
        schuss.Adam([{"params": [np.ones(3)], "beta": 1.0}])


@pytest.mark.parametrize(("key", "value"), [("lr", -1.0), ("lr", np.nan), ("betas", (1.0, 0.5)), ("eps", -1.0)])
def test_hyperparameter_changed_to_nonsense(key: str, value: Any) -> None:
    optimizer = schuss.Adam(np.ones(3, np.float32))
    optimizer.param_groups[0][key] = value
    parameters = optimizer.param_groups[0]["params"][0]
    with unchanged(parameters), pytest.raises(ValueError, match=key):
        optimizer.step(np.ones(3, np.float32))
    assert optimizer.steps == 0


@pytest.mark.parametrize(
    ("optimizer", "key", "value"),
    [
        (schuss.SGD, "momentum", 0.9),
        (schuss.Adam, "amsgrad", True),
        (schuss.RMSProp, "centered", True),
        (schuss.AdaBelief, "amsgrad", True),
    ],
)
def test_hyperparameter_that_needs_states_it_has_not(optimizer: type[schuss.Optimizer], key: str, value: Any) -> None:
    made = optimizer(np.ones(3, np.float32))
    made.param_groups[0][key] = value
    parameters = made.param_groups[0]["params"][0]
    with unchanged(parameters), pytest.raises(ValueError, match=f"{key}|state"):
        made.step(np.ones(3, np.float32))


def test_unknown_names_tell_the_nearest() -> None:
    net = small_net()
    X, y = data()
    with unchanged(net):
        with pytest.raises(ValueError, match=r"'adma'.*'adam'"):
            net.fit(X, y, loss="cross_entropy", optimizer="adma")
        with pytest.raises(ValueError, match=r"'crossentropy'.*'cross_entropy'"):
            net.fit(X, y, loss="crossentropy")
        with pytest.raises(ValueError, match=r"'acuracy'.*'accuracy'"):
            net.fit(X, y, loss="cross_entropy", metrics="acuracy")
        with pytest.raises(ValueError, match="val_loss"):
            net.fit(X, y, loss="cross_entropy", early_stopping=3)
        with pytest.raises(ValueError, match="did you mean 'accuracy'"):
            net.fit(X, y, loss="cross_entropy", metrics="accu")
        with pytest.raises(ValueError, match="here: 'accuracy'; known"):
            net.fit(X, y, loss="cross_entropy", metrics="acc")
    with pytest.raises(ValueError, match=r"'rellu'.*'relu'"):
        schuss.Dense(2, 3, "rellu")
    with pytest.raises(ValueError, match=r"'glorot'.*glorot_uniform"):
        schuss.Dense(2, 3, init="glorot")


@pytest.mark.parametrize(
    ("arguments", "options", "error", "match"),
    [
        ((0, 3), {}, ValueError, "n_in"),
        ((3, -1), {}, ValueError, "n_out"),
        ((3.0, 1), {}, TypeError, "n_in"),
        ((True, 1), {}, TypeError, "n_in"),
        ((3, 1, None), {}, TypeError, "activation"),
        ((3, 1), {"dropout": 1.0}, ValueError, "dropout"),
        ((3, 1), {"dropout": -0.1}, ValueError, "dropout"),
        ((3, 1), {"bias": 1}, TypeError, "bias"),
        ((3, 1, "relu"), {"alpha": 0.1}, ValueError, "alpha"),
        ((3, 1, "elu"), {"alpha": np.nan}, ValueError, "alpha"),
    ],
)
def test_dense(arguments: tuple[Any, ...], options: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        schuss.Dense(*arguments, **options)


@pytest.mark.parametrize(
    ("layers", "options", "error", "match"),
    [
        ([], {}, ValueError, "layers"),
        (schuss.Dense(2, 3), {}, TypeError, "layers"),
        ([schuss.Dense(2, 3), (3, 4)], {}, TypeError, r"layers\[1\]"),
        ([schuss.Dense(2, 3), schuss.Dense(4, 1)], {}, ValueError, r"layers\[1\].n_in.*3.*4"),
        ([schuss.Dense(2, 3, "softmax"), schuss.Dense(3, 1)], {}, ValueError, r"layers\[0\].*softmax"),
        ([schuss.Dense(2, 3)], {"seed": -1}, ValueError, "seed"),
        ([schuss.Dense(2, 3)], {"seed": 2**64}, ValueError, "seed"),
        ([schuss.Dense(2, 3)], {"seed": 1.5}, TypeError, "seed"),
        ([schuss.Dense(2, 3)], {"dtype": "float16"}, ValueError, "dtype"),
        ([schuss.Dense(2, 3)], {"dtype": "nonsense"}, ValueError, "dtype"),
        ([schuss.Dense(2, 3)], {"dtype": np.dtype(">f4")}, ValueError, "dtype"),
    ],
)
def test_network(layers: Any, options: dict[str, Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        schuss.Network(layers, **options)


@pytest.mark.parametrize(
    ("loss", "options"), [(schuss.Huber, {"delta": 0.0}), (schuss.CrossEntropy, {"label_smoothing": 1.0})]
)
def test_loss_numbers(loss: type, options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        loss(**options)


# ---- X and y ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@settings(max_examples=20, deadline=None)
@given(row=st.integers(0, 19), column=st.integers(0, 3))
def test_X_not_finite(bad: float, row: int, column: int) -> None:
    net = small_net()
    X, y = data()
    X[row, column] = bad
    with unchanged(net):
        for call in (net.fit, net.evaluate):
            with pytest.raises(ValueError, match=rf"X\[{row}, {column}\]"):
                call(X, y, loss="cross_entropy")


def test_X_too_large_for_the_dtype() -> None:
    net = small_net()
    X, y = data()
    wide = X.astype(np.float64)
    wide[3, 2] = 1e300
    with unchanged(net), pytest.raises(ValueError, match=r"X\[3, 2\].*float32"):
        net.fit(wide, y, loss="cross_entropy")


def test_large_but_finite_X_is_accepted() -> None:
    X = np.full((20, 4), 3e38, np.float32)  # the sum overflows, no element does
    net = schuss.Network([schuss.Dense(4, 1, init="zeros")], seed=0)
    assert np.isfinite(net.evaluate(X, np.ones(20), "mse")["loss"])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@settings(max_examples=20, deadline=None)
@given(row=st.integers(0, 19), column=st.integers(0, 2))
def test_y_not_finite(bad: float, row: int, column: int) -> None:
    net = small_net()
    X, _ = data()
    y = np.zeros((20, 3))
    y[row, column] = bad
    for loss in ("mse", "mae", "huber", "poisson", lambda prediction, target: (0.0, prediction)):
        with unchanged(net), pytest.raises(ValueError, match=rf"y\[{row}, {column}\]"):
            net.fit(X, y, loss=loss)


@pytest.mark.parametrize(
    ("X", "error", "match"),
    [
        (np.zeros((20, 3)), ValueError, "4 columns; got 3"),
        (np.zeros((20, 5)), ValueError, "4 columns; got 5"),
        (np.zeros(20), ValueError, r"\(rows, 4\)"),
        (np.zeros((20, 4, 1)), ValueError, r"\(rows, 4\)"),
        (np.zeros((0, 4)), ValueError, "at least one row"),
        (np.zeros((20, 4), object), TypeError, "object"),
        (np.zeros((20, 4), complex), TypeError, "complex"),
        (np.full((20, 4), "a"), TypeError, "X"),
        (np.zeros((20, 4), "M8[s]"), TypeError, "datetime"),
        (np.ma.masked_array(np.zeros((20, 4)), mask=True), TypeError, "mask"),
        ([[1.0, 2.0], [3.0]], ValueError, "differ in shape"),
        (None, TypeError, "X"),
        ({"a": 1}, ValueError, "'a' is not known; known: x"),
    ],
)
def test_X_of_no_use(X: Any, error: type[Exception], match: str) -> None:
    net = small_net()
    _, y = data()
    with unchanged(net):
        for call in (net.fit, net.evaluate):
            with pytest.raises(error, match=match):
                call(X, y, loss="cross_entropy")
        for step in (
            lambda: net.loss_and_gradients(X, y, "cross_entropy"),
            lambda: net.train_step(X, y, "cross_entropy", schuss.SGD(net.parameters)),
            lambda: net.forward(X),
        ):
            with pytest.raises(error):
                step()
        if not (isinstance(X, np.ndarray) and X.ndim == 1):
            with pytest.raises(error):
                net.predict(X)


LABELS = np.zeros(20, np.int64)


def with_value(array: np.ndarray, at: Any, value: Any) -> np.ndarray:
    array = array.copy()
    array[at] = value
    return array


@pytest.mark.parametrize(
    ("y", "error", "match"),
    [
        (with_value(LABELS, 7, 3), ValueError, r"y\[7\]"),
        (with_value(LABELS, 7, -1), ValueError, r"y\[7\]"),
        (with_value(LABELS.astype(np.uint64), 7, 2**63 + 1), ValueError, r"y\[7\]"),
        (with_value(LABELS.astype(np.int8), 0, -128), ValueError, r"y\[0\]"),
        (LABELS[:19], ValueError, "20"),
        (LABELS[:0], ValueError, "20"),
        (LABELS.astype(float), TypeError, r"integer labels.*y\.astype\(int\)"),
        (LABELS.astype(complex), TypeError, "complex"),
        (LABELS.astype(object), TypeError, "object"),
        (LABELS.astype(str), TypeError, r"np\.unique\(y"),
        (["a"] * 20, TypeError, r"np\.unique\(y"),
        (np.zeros((20, 2)), ValueError, r"\(20, 3\)"),
        (np.full((20, 3), 0.5), ValueError, "sum to 1"),
        (with_value(np.full((20, 3), 1 / 3), (4, 1), -0.1), ValueError, r"y\[4, 1\]"),
        (with_value(np.full((20, 3), 1 / 3), (4, 1), np.nan), ValueError, r"y\[4, 1\]"),
        (5, ValueError, "y"),
    ],
)
def test_labels(y: Any, error: type[Exception], match: str) -> None:
    net = small_net()
    optimizer = schuss.SGD(net.parameters)
    X, _ = data()
    with unchanged(net, optimizer):
        for call in (
            lambda: net.fit(X, y, loss="cross_entropy"),
            lambda: net.evaluate(X, y, "cross_entropy"),
            lambda: net.loss_and_gradients(X, y, "cross_entropy"),
            lambda: net.train_step(X, y, "cross_entropy", optimizer),
        ):
            with pytest.raises(error, match=match):
                call()


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        ("binary_cross_entropy", 1.1),
        ("binary_cross_entropy", -0.1),
        ("binary_cross_entropy", np.nan),
        ("poisson", -1.0),
        ("poisson", np.nan),
    ],
)
def test_targets_out_of_range(loss: str, value: float) -> None:
    net = small_net()
    optimizer = schuss.SGD(net.parameters)
    X, _ = data()
    y = np.ones((20, 3), np.float32)
    y[5, 2] = value
    with unchanged(net, optimizer):
        for call in (
            lambda: net.fit(X, y, loss=loss),
            lambda: net.loss_and_gradients(X, y, loss),
            lambda: net.train_step(X, y, loss, optimizer),
        ):
            with pytest.raises(ValueError, match=r"y\[5, 2\]"):
                call()


def test_cross_entropy_needs_two_outputs() -> None:
    X, _ = data()
    with pytest.raises(ValueError, match="binary_cross_entropy"):
        small_net(1).fit(X, LABELS, loss="cross_entropy")


@pytest.mark.parametrize(
    ("weight", "error"),
    [
        (np.ones(19), ValueError),
        (np.ones((20, 1)), ValueError),
        (-np.ones(20), ValueError),
        (np.full(20, np.nan), ValueError),
        (np.zeros(20), ValueError),
        (np.ones(20, complex), TypeError),
        ("balanced", TypeError),
    ],
)
def test_sample_weight(weight: Any, error: type[Exception]) -> None:
    net = small_net()
    X, y = data()
    with unchanged(net), pytest.raises(error, match="sample_weight"):
        net.fit(X, y, loss="cross_entropy", sample_weight=weight)


@pytest.mark.parametrize(
    ("weight", "error"),
    [
        ("unbalanced", ValueError),
        ({3: 1.0}, ValueError),
        ({"a": 1.0}, TypeError),
        ({0: -1.0}, ValueError),
        ([1.0, 2.0], ValueError),
        ([1.0, 2.0, np.inf], ValueError),
        ([1.0, 2.0, -1.0], ValueError),
        ([0.0, 0.0, 0.0], ValueError),
    ],
)
def test_class_weight(weight: Any, error: type[Exception]) -> None:
    net = small_net()
    X, y = data()
    with unchanged(net), pytest.raises(error, match="class_weight"):
        net.fit(X, y, loss="cross_entropy", class_weight=weight)


def test_weights_where_they_mean_nothing() -> None:
    net = small_net()
    X, y = data()
    with unchanged(net):
        with pytest.raises(ValueError, match="class_weight"):
            net.fit(X, np.zeros((20, 3)), loss="mse", class_weight="balanced")
        for name in ("sample_weight", "class_weight"):
            with pytest.raises(ValueError, match=name):
                net.fit(X, y, loss=lambda prediction, target: (0.0, prediction), **{name: np.ones(20)})


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"epochs": 0}, ValueError, "epochs"),
        ({"epochs": 1.5}, TypeError, "epochs"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": "all"}, TypeError, "batch_size"),
        ({"shuffle": 1}, TypeError, "shuffle"),
        ({"verbose": 3}, ValueError, "verbose"),
        ({"lr": -1.0}, ValueError, "lr"),
        ({"lr": lambda step: -1.0}, ValueError, "lr"),
        ({"lr": "fast"}, TypeError, "lr"),
        ({"clip_norm": 0.0}, ValueError, "clip_norm"),
        ({"clip_value": -1.0}, ValueError, "clip_value"),
        ({"validation_fraction": 1.0}, ValueError, "validation_fraction"),
        ({"validation_fraction": 0.99}, ValueError, "validation_fraction"),
        ({"validation_data": data(5), "validation_fraction": 0.5}, ValueError, "validation_fraction"),
        ({"validation_data": data(5)[0]}, ValueError, "validation_data"),
        ({"validation_data": (data(5)[0], data(5)[1] + 3)}, ValueError, r"validation_data\[1\]\["),
        ({"validation_data": (data(5)[0] * np.nan, data(5)[1])}, ValueError, r"validation_data\[0\]\[0, 0\]"),
        ({"validation_data": (data(5)[0],)}, ValueError, "a tuple of 1"),
        ({"validation_data": (data(5)[0], data(4)[1])}, ValueError, r"validation_data\[1\] must have 5 rows"),
        ({"metrics": [3]}, TypeError, "metrics"),
        ({"metrics": 3}, TypeError, "metrics"),
        ({"metrics": ["accuracy", "accuracy"]}, ValueError, "accuracy"),
        ({"metrics": "mse"}, ValueError, "mse"),
        ({"callbacks": [3]}, TypeError, r"callbacks\[0\]"),
        ({"callbacks": 3}, TypeError, "callbacks"),
        ({"callbacks": "log"}, TypeError, "callbacks"),
        ({"early_stopping": 0}, ValueError, "early_stopping"),
        ({"early_stopping": 2.5}, TypeError, "early_stopping"),
        ({"early_stopping": schuss.EarlyStopping(monitor="accuracy")}, ValueError, "monitor.*loss"),
        ({"loss": 3}, TypeError, "loss"),
        ({"loss": schuss.MSE}, TypeError, "MSE"),
        ({"optimizer": 3}, TypeError, "optimizer"),
        ({"optimizer": schuss.Adam}, TypeError, "optimizer"),
        ({"optimizer": schuss.Adam(np.ones(3, np.float32))}, ValueError, "net.parameters"),
    ],
)
def test_fit_arguments(options: dict[str, Any], error: type[Exception], match: str) -> None:
    net = small_net()
    X, y = data()
    net.fit(X, y, loss="cross_entropy", epochs=1)
    with unchanged(net), pytest.raises(error, match=match):
        net.fit(X, y, **{"loss": "cross_entropy", **options})


def test_splits_without_weight() -> None:
    net = small_net()
    X, y = data()
    net.fit(X, y, loss="cross_entropy", epochs=1)
    held_out = np.sort(_core.permutation(20, net.seed, SPLIT_EPOCH)[16:])
    of_validation = np.isin(np.arange(20), held_out).astype(float)
    with unchanged(net):
        with pytest.raises(ValueError, match="sample_weight in the training split"):
            net.fit(X, y, loss="cross_entropy", validation_fraction=0.2, sample_weight=of_validation)
        with pytest.raises(ValueError, match="sample_weight in the validation split"):
            net.fit(X, y, loss="cross_entropy", validation_fraction=0.2, sample_weight=1 - of_validation)


@pytest.mark.parametrize(
    ("answer", "error", "match"),
    [
        (lambda p: None, TypeError, "a tuple .value, gradient.; got None"),
        (lambda p: 1.0, TypeError, "a tuple .value, gradient.; got 1.0"),
        (lambda p: [1.0, p], TypeError, "a tuple .value, gradient.; got .*list"),
        (lambda p: ("a", p), TypeError, "value must be a number"),
        (lambda p: (p, p), TypeError, "value must be a number"),
        (lambda p: (1.0, p[:1]), ValueError, "gradient must have the prediction's shape"),
        (lambda p: (1.0, None), TypeError, "gradient"),
        (lambda p: (1.0, p + 0j), TypeError, "gradient.*complex"),
    ],
)
def test_own_loss_that_answers_something_else(answer: Any, error: type[Exception], match: str) -> None:
    net = small_net()
    X, y = data()

    def loss(prediction: Any, target: Any) -> Any:
        return answer(prediction)

    for call in (
        lambda: net.fit(X, y, loss=loss),
        lambda: net.evaluate(X, y, loss),
        lambda: net.loss_and_gradients(X, y, loss),
        lambda: net.train_step(X, y, loss, schuss.SGD(net.parameters)),
    ):
        before = [p.copy() for p in net.parameters]
        with pytest.raises(error, match=match) as caught:
            call()
        assert "\n" not in str(caught.value)
        np.testing.assert_equal(list(net.parameters), before)


@pytest.mark.parametrize("value", [np.ones(3), "0.5", None])
def test_metric_that_returns_no_number(value: Any) -> None:
    def score(prediction: Any, target: Any) -> Any:
        return value

    X, y = data()
    with pytest.raises(TypeError, match="metric 'score' must return a number"):
        small_net().evaluate(X, y, "cross_entropy", score)


def test_parameters_are_not_to_be_replaced() -> None:
    net = small_net()
    for name in ("parameters", "gradients"):
        with unchanged(net):
            with pytest.raises(AttributeError):
                setattr(net, name, [])
            with pytest.raises(TypeError):
                getattr(net, name)[0] = np.zeros((4, 5), np.float32)


def test_lr_beside_an_optimizer_object() -> None:
    net = small_net()
    X, y = data()
    with unchanged(net), pytest.raises(ValueError, match="lr"):
        net.fit(X, y, loss="cross_entropy", optimizer=schuss.Adam(net.parameters), lr=0.1)


def test_backward_needs_forward() -> None:
    net = small_net()
    with pytest.raises(RuntimeError, match="forward"):
        net.backward(np.zeros((2, 3), np.float32))
    net.forward(np.zeros((2, 4)))
    with pytest.raises(ValueError, match="dout"):
        net.backward(np.zeros((2, 4), np.float32))


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((20, 2), np.float32),
        np.zeros((20, 3), np.float64),
        np.zeros((3, 20), np.float32).T,
        [[0.0] * 3] * 20,
        np.broadcast_to(np.zeros(3, np.float32), (20, 3)),
        np.frombuffer(bytes(240), np.float32).reshape(20, 3),
    ],
)
def test_predict_out(out: Any) -> None:
    for x in (data()[0], data()[0].tolist(), data()[0][0]):
        with pytest.raises((TypeError, ValueError, BufferError), match=r"^out "):
            small_net().predict(x, out=out)


# ---- divergence ------------------------------------------------------------------------------------------------------


def test_divergence_restores_the_start_of_the_epoch() -> None:
    net = schuss.Network([schuss.Dense(4, 8, "relu"), schuss.Dense(8, 1)], seed=0)
    X, _ = data(200)
    y = X[:, 0]
    net.fit(X, y, loss="mse", optimizer="sgd", lr=1e-2, epochs=2, batch_size=10)
    before = state_of(net)
    with pytest.raises(schuss.DivergenceError, match=r"lr=1e\+12.*clip_norm") as caught:
        net.fit(X, y, loss="mse", lr=1e12, epochs=5, batch_size=10)
    error = caught.value
    assert isinstance(error, ArithmeticError)
    assert error.epoch == 3
    assert error.batch is not None
    assert 1 < error.batch <= 20
    assert error.lr == 1e12
    assert error.loss is not None
    after = state_of(net)
    before[1]["param_groups"][0]["lr"] = 1e12
    np.testing.assert_equal(after, before)
    assert net.history.stopped == "diverged"
    net.fit(X, y, loss="mse", lr=1e-2, epochs=2, batch_size=10)


def test_divergence_in_the_last_step_of_an_epoch_goes_back_further() -> None:
    """The first batch of epoch 4 finds what the only step of epoch 3 did."""
    net = schuss.Network([schuss.Dense(4, 8, "relu"), schuss.Dense(8, 1)], seed=0)
    X, _ = data(50)
    y = X[:, 0]
    net.fit(X, y, loss="mse", optimizer="sgd", lr=1e-3, epochs=2, batch_size=None)
    before = [p.copy() for p in net.parameters]
    with pytest.raises(schuss.DivergenceError) as caught:
        net.fit(X, y, loss="mse", lr=1e18, epochs=3, batch_size=None)
    assert caught.value.batch == 1
    for p, q in zip(net.parameters, before, strict=True):
        np.testing.assert_array_equal(p, q)
    assert np.isfinite(net.evaluate(X, y, "mse")["loss"])


def test_divergence_without_going_back() -> None:
    """Nothing is kept: the network is as the failing step found it, and so is the count of epochs."""
    net = schuss.Network([schuss.Dense(4, 8, "relu"), schuss.Dense(8, 1)], seed=0)
    X, _ = data(50)
    before = [p.copy() for p in net.parameters]
    with pytest.raises(schuss.DivergenceError) as caught:
        net.fit(
            X, X[:, 0], loss="mse", optimizer="sgd", lr=1e18, epochs=3, batch_size=None, restore_on_divergence=False
        )
    assert caught.value.epoch == 2
    assert net.epochs_done == 1
    assert not np.array_equal(net.parameters[0], before[0])
    with pytest.raises(TypeError, match="restore_on_divergence"):
        net.fit(X, X[:, 0], loss="mse", restore_on_divergence="yes")  # type: ignore[arg-type]


def test_divergence_of_the_validation_loss() -> None:
    net = schuss.Network([schuss.Dense(4, 1)], seed=0)
    X, _ = data(20)
    before = state_of(net)[0]
    with pytest.raises(schuss.DivergenceError, match="validation") as caught:
        net.fit(X, X[:, 0], loss="mse", epochs=2, validation_data=(np.full((3, 4), 3e38), np.zeros(3)))
    assert caught.value.batch is None
    np.testing.assert_equal(state_of(net)[0], before)


def test_divergence_with_early_stopping_keeps_the_best() -> None:
    net = schuss.Network([schuss.Dense(4, 8, "relu"), schuss.Dense(8, 1)], seed=0)
    X, _ = data(60)
    y = X[:, 0]
    kept = {}

    def spoil(record: schuss.EpochRecord) -> None:
        if record.epoch == 3:
            kept["parameters"] = [p.copy() for p in record.network.parameters]
            record.optimizer.param_groups[0]["lr"] = 1e15

    with pytest.raises(schuss.DivergenceError):
        net.fit(
            X, y, loss="mse", optimizer="sgd", lr=1e-2, epochs=9, validation_fraction=0.2, early_stopping=5,
            callbacks=[spoil],
        )  # fmt: skip
    assert net.history.best_epoch == 3
    for p, q in zip(net.parameters, kept["parameters"], strict=True):
        np.testing.assert_array_equal(p, q)


def test_divergence_of_a_single_step() -> None:
    net = small_net(1)
    net.parameters[0][...] = 1.0
    optimizer = schuss.SGD(net.parameters)
    x = np.ones((2, 4), np.float32)
    net.parameters[-1][...] = np.finfo(np.float32).max
    for loss in ("mse", lambda prediction, target: (float("nan"), prediction)):
        with unchanged(optimizer):
            with pytest.raises(schuss.DivergenceError, match="try"):
                net.train_step(x, np.zeros(2), loss, optimizer)
            with pytest.raises(schuss.DivergenceError, match="try"):
                net.loss_and_gradients(x, np.zeros(2), loss)


@pytest.mark.parametrize("name", ["clip_norm", "clip_value"])
def test_limits_of_gradients_that_count_as_zero(name: str) -> None:
    X, y = data()
    net = small_net()
    optimizer = schuss.SGD(net.parameters, lr=0.1)
    limit: Any = {name: 1e-310}
    with unchanged(net, optimizer):
        with pytest.raises(ValueError, match=name):
            net.fit(X, y, loss="cross_entropy", optimizer=optimizer, **limit)
        with pytest.raises(ValueError, match=name):
            net.train_step(X, y, "cross_entropy", optimizer, **limit)
        with pytest.raises(ValueError, match=name):
            optimizer.step(list(net.gradients), **limit)


def test_train_step_with_an_optimizer_over_other_arrays_or_over_part_of_one() -> None:
    X, y = data()
    net, other = small_net(), small_net()
    for parameters in (other.parameters, [net.parameters[0][:3]], [net._core.flat_parameters]):
        optimizer = schuss.SGD(parameters, lr=0.1)
        with unchanged(net, optimizer), pytest.raises(ValueError, match=r"params\[0\]"):
            net.train_step(X, y, "cross_entropy", optimizer)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["x", "y"])
def test_single_step_on_data_that_are_not_finite(bad: float, where: str) -> None:
    net = small_net(1)
    optimizer = schuss.SGD(net.parameters)
    x, y = np.ones((3, 4)), np.zeros((3, 1))
    {"x": x, "y": y}[where][2, 0] = bad

    def own(prediction: Any, target: Any) -> tuple[float, Any]:
        return float((prediction - target).sum() + x.sum()), np.ones_like(prediction)

    losses: list[Any] = ["mse", own]
    for loss in losses:
        with unchanged(optimizer), pytest.raises(ValueError, match=rf"{where} must be finite; {where}\[2, 0\] is"):
            net.train_step(x, y, loss, optimizer)


def test_gradient_that_overflows_from_a_finite_loss() -> None:
    net = schuss.Network([schuss.Dense(1, 1, bias=False)], seed=0)
    net.parameters[0][...] = 0.0
    optimizer = schuss.SGD(net.parameters)
    x = np.full((1, 1), 3e38, np.float32)
    with unchanged(net), unchanged(optimizer), pytest.raises(schuss.DivergenceError, match="gradient"):
        net.train_step(x, np.full((1, 1), 4.0), "mse", optimizer)


# ---- inputs of any layout --------------------------------------------------------------------------------------------


def layouts(array: np.ndarray, tmp_path: Any) -> dict[str, Any]:
    wide = np.zeros((array.shape[0] * 2, array.shape[1] * 3), array.dtype)
    wide[::2, ::3] = array
    frozen = array.copy()
    frozen.flags.writeable = False
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    shifted = raw.view(array.dtype).reshape(array.shape)
    shifted[...] = array
    np.save(tmp_path / "x.npy", array)
    return {
        "strided": wide[::2, ::3],
        "reversed": array[::-1, ::-1].copy()[::-1, ::-1],
        "fortran": np.asfortranarray(array),
        "read-only": frozen,
        "misaligned": shifted,
        "big-endian": array.astype(array.dtype.newbyteorder(">")),
        "memory-mapped": np.load(tmp_path / "x.npy", mmap_mode="r"),
        "float64": array.astype(np.float64),
        "longdouble": array.astype(np.longdouble),
        "list": array.tolist(),
    }


def test_inputs_of_any_layout(tmp_path: Any) -> None:
    X, y = data(40)
    expected = small_net()
    expected.fit(X, y, loss="cross_entropy", epochs=2)
    prediction = expected.predict(X)
    scores = expected.evaluate(X, y, "cross_entropy", "accuracy")
    for name, given_x in layouts(X, tmp_path).items():
        net = small_net()
        net.fit(given_x, y, loss="cross_entropy", epochs=2)
        for p, q in zip(net.parameters, expected.parameters, strict=True):
            np.testing.assert_array_equal(p, q, err_msg=name)
        np.testing.assert_array_equal(net.predict(given_x), prediction, err_msg=name)
        assert net.evaluate(given_x, y, "cross_entropy", "accuracy") == scores
        np.testing.assert_array_equal(net.forward(given_x), net.forward(X), err_msg=name)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", ">i4", ">i8", "?"])
def test_labels_of_any_integer_dtype(dtype: str) -> None:
    X, y = data(40)
    y = y % 2
    expected = small_net().evaluate(X, y, "cross_entropy")
    assert small_net().evaluate(X, y.astype(dtype), "cross_entropy") == expected
    assert small_net().loss_and_gradients(X, y.astype(dtype), "cross_entropy") == pytest.approx(expected["loss"])
    assert small_net().evaluate(X, np.repeat(y, 2)[::2].astype(dtype), "cross_entropy") == expected


@pytest.mark.parametrize("dtype", ["?", "i1", "u2", "i8", "f2", ">f4", ">f8", "f8"])
def test_X_of_any_dtype(dtype: str) -> None:
    X = np.random.default_rng(3).integers(0, 2, (40, 4))
    np.testing.assert_array_equal(small_net().predict(X.astype(dtype)), small_net().predict(X.astype(np.float32)))


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 9),
    column_step=st.integers(-3, 3).filter(bool),
    row_step=st.integers(-3, 3).filter(bool),
    dtype=st.sampled_from(FLOATS),
    swap=st.booleans(),
)
def test_any_strides(rows: int, column_step: int, row_step: int, dtype: type, swap: bool) -> None:
    net = small_net(dtype=np.dtype(dtype).name)
    base = np.random.default_rng(rows).normal(size=(abs(row_step) * rows, abs(column_step) * 4)).astype(dtype)
    if swap:
        base = base.astype(base.dtype.newbyteorder())
    x = base[::row_step, ::column_step]
    same = np.ascontiguousarray(x, dtype=dtype)
    np.testing.assert_array_equal(net.predict(x), net.predict(same))
    target = np.zeros((rows, 3))
    assert net.loss_and_gradients(x, target, "mse") == net.loss_and_gradients(same, target, "mse")
    optimizer, other = (schuss.Adam(np.ones(x.shape, dtype)) for _ in range(2))
    optimizer.step(x)
    other.step(same)
    np.testing.assert_array_equal(optimizer.param_groups[0]["params"][0], other.param_groups[0]["params"][0])


# ---- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n_in", "n_out"), [(2**40, 2**40), (2**62, 1), (2**31, 2**31), (1, 2**70)])
def test_sizes_that_overflow(n_in: int, n_out: int) -> None:
    with pytest.raises((MemoryError, OverflowError, ValueError), match=str(n_in)):
        schuss.Network([schuss.Dense(n_in, n_out)], seed=0)


@pytest.mark.skipif(sys.maxsize <= 2**32, reason="needs 64 bits")
def test_more_than_2_to_the_31_elements() -> None:
    try:
        X = np.zeros((2**25 + 3, 64), np.float32)  # pages that are only read take no memory
    except MemoryError:
        pytest.skip("the system promises no such array")
    X[-1], X[-2, 0] = 1, 2
    net = schuss.Network([schuss.Dense(64, 1, "tanh")], seed=0)
    np.testing.assert_array_equal(net.predict(X)[-3:], net.predict(X[-3:]))
