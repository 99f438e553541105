"""Gradients of any float format: the step is that with their numbers in the computing dtype."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

import schuss
from tests.optim.test_precision import narrowed, widened

Array = NDArray[Any]
SetThreads = Callable[[int], None]

SHAPES: list[tuple[int, ...]] = [(5003,), (), (0,), (70, 80), (33,)]
PARAMS = ["float32", "float64", "float16", "uint16", "bfloat16"]
KINDS = [schuss.AdamW, schuss.LAMB, schuss.NovoGrad, schuss.Adafactor, schuss.RowAdaGrad, schuss.Prodigy]


def as_param(x: Array, dtype: str) -> Array:
    if dtype == "uint16":
        return narrowed(x.astype(np.float32), "bfloat16")[0]
    return x.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


def bits(array: Array) -> bytes:
    return np.ascontiguousarray(array).tobytes()


# What makes a gradient out of an array in float64, so that this and the numbers in float64 are the same.
def float32(x: Array) -> Array:
    return x.astype(np.float32)


def float64(x: Array) -> Array:
    return x.astype(np.float64)


def float16(x: Array) -> Array:
    return x.astype(np.float16)


def of_bits(x: Array) -> Array:
    return as_param(x, "uint16")


def of_ml_dtypes(x: Array) -> Array:
    return x.astype(ml_dtypes.bfloat16)


def tensor_bfloat16(x: Array) -> torch.Tensor:
    return torch.tensor(x).bfloat16()


def tensor_float16(x: Array) -> torch.Tensor:
    return torch.tensor(x).half()


def tensor_float32(x: Array) -> torch.Tensor:
    return torch.tensor(x).float()


def strided_bfloat16(x: Array) -> Array:
    room = np.zeros((*x.shape, 2), ml_dtypes.bfloat16)
    room[..., 1] = x
    return room[..., 1]


def strided_tensor(x: Array) -> torch.Tensor:
    room = torch.zeros((*x.shape, 2), dtype=torch.bfloat16)
    room[..., 1] = torch.tensor(x)
    return room[..., 1]


def swapped_float16(x: Array) -> Array:
    return x.astype(">f2")


def misaligned_float64(x: Array) -> Array:
    room = np.zeros(x.size * 8 + 1, np.uint8)
    found = room[1:].view(np.float64).reshape(x.shape)
    found[...] = x
    return found


WRITABLE = [float32, float64, float16, of_bits, of_ml_dtypes]
FORMS = [
    *WRITABLE,
    tensor_bfloat16,
    tensor_float16,
    tensor_float32,
    strided_bfloat16,
    strided_tensor,
    swapped_float16,
    misaligned_float64,
]


def numbers(g: Any) -> Array:
    """What a gradient is, in float64."""
    if isinstance(g, torch.Tensor):
        return g.double().numpy()
    if g.dtype == np.uint16:
        return widened(g, "bfloat16").astype(np.float64)
    return np.asarray(g).astype(np.float64)


def computed(g: Any, dtype: str) -> Array:
    return numbers(g).astype(np.float64 if dtype == "float64" else np.float32)


def drawn(seed: int, shapes: list[tuple[int, ...]] = SHAPES) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize("dtype", PARAMS)
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_a_gradient_is_its_numbers(form: Callable[[Array], Any], dtype: str, isa: str) -> None:
    for kind in KINDS:
        params = [as_param(x, dtype) for x in drawn(0)]
        twins = [p.copy() for p in params]
        opt, twin = kind(params), kind(twins)
        for seed in (1, 2):
            gs = [form(x) for x in drawn(seed)]
            opt.step(gs)
            twin.step([computed(g, dtype) for g in gs])
        for p, expected in zip(params, twins, strict=True):
            assert bits(p) == bits(expected), kind.__name__
        for mine, theirs in zip(opt._states(), twin._states(), strict=True):
            for name in mine:
                assert bits(mine[name]) == bits(theirs[name])


@pytest.mark.parametrize("dtype", PARAMS)
def test_formats_are_mixed_within_a_step_and_change_from_step_to_step(dtype: str) -> None:
    shapes = [(300,)] * len(FORMS)
    params = [as_param(x, dtype) for x in drawn(0, shapes)]
    twins = [p.copy() for p in params]
    opt, twin = schuss.AdamW(params, weight_decay=0.1), schuss.AdamW(twins, weight_decay=0.1)
    for seed in range(len(FORMS)):
        forms = FORMS[seed:] + FORMS[:seed]
        gs = [form(x) for form, x in zip(forms, drawn(seed + 1, shapes), strict=True)]
        opt.step(gs, clip_norm=3.0)
        twin.step([computed(g, dtype) for g in gs], clip_norm=3.0)
    check_equal(params, twins, {"clip_norm": 3.0}, dtype)


@pytest.mark.parametrize("dtype", PARAMS)
@pytest.mark.parametrize(
    "stages",
    [
        {"clip_value": 0.5},
        {"clip_norm": 1.0},
        {"grad_scale": 1 / 128},
        {"clip_norm": 1.0, "clip_value": 0.5, "grad_scale": 0.25},
        {"on_nonfinite": "raise"},
        {"lr": 0.5},
    ],
    ids=str,
)
def test_stages(stages: dict[str, Any], dtype: str, isa: str) -> None:
    for kind, options in (
        (schuss.Adam, {"weight_decay": 0.1, "maximize": True}),
        (schuss.LARS, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
        (schuss.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ):
        params = [as_param(x, dtype) for x in drawn(0)]
        twins = [p.copy() for p in params]
        opt, twin = kind(params, **options), kind(twins, **options)
        for seed in (1, 2):
            gs = [form(x) for form, x in zip(WRITABLE, drawn(seed), strict=True)]
            before = [bits(g) for g in gs]
            opt.step(gs, **stages)
            twin.step([computed(g, dtype) for g in gs], **stages)
            assert [bits(g) for g in gs] == before
        check_equal(params, twins, stages, dtype)


def check_equal(params: list[Array], twins: list[Array], stages: dict[str, Any], dtype: str) -> None:
    """The same bits, but that norms in double are sums in another order: by the chunks that are widened."""
    for p, expected in zip(params, twins, strict=True):
        if "clip_norm" in stages and dtype == "float64":
            assert_allclose(p, expected, rtol=1e-13, atol=1e-15)
        else:
            assert bits(p) == bits(expected)


@pytest.mark.parametrize("dtype", PARAMS)
@pytest.mark.parametrize("form", WRITABLE, ids=lambda form: form.__name__)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_zero_grad_zeroes_the_very_gradient(
    kind: type[schuss.Optimizer], form: Callable[[Array], Any], dtype: str
) -> None:
    params = [as_param(x, dtype) for x in drawn(0)]
    twins = [p.copy() for p in params]
    gs = [form(x) for x in drawn(1)]
    kind(twins).step([computed(g, dtype) for g in gs])
    # What lies around a gradient stays.
    rooms = [np.full(g.size + 2, 7, g.dtype) for g in gs]
    views = []
    for room, g in zip(rooms, gs, strict=True):
        view = room[1 : 1 + g.size].reshape(g.shape)
        view[...] = g
        views.append(view)
    kind(params).step(views, zero_grad=True)
    for p, expected in zip(params, twins, strict=True):
        assert bits(p) == bits(expected)
    for room, view in zip(rooms, views, strict=True):
        assert not view.view(np.uint8 if view.ndim else view.dtype).any()
        assert room[0] == 7
        assert room[-1] == 7


def test_zero_grad_zeroes_tensors() -> None:
    p = torch.zeros(5003, dtype=torch.bfloat16)
    for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64):
        g = torch.ones(5003, dtype=dtype)
        schuss.SGD([p], lr=0.5).step([g], zero_grad=True)
        assert not g.any()
    assert (p == -2).all()


@pytest.mark.parametrize("given", [strided_bfloat16, swapped_float16, misaligned_float64], ids=lambda f: f.__name__)
def test_gradients_that_were_copied_are_not_to_be_zeroed(given: Callable[[Array], Array]) -> None:
    p = np.zeros(100, np.float32)
    g = given(np.ones(100))
    with pytest.raises(ValueError, match=r"grads\[0\] is read-only, not C-contiguous, misaligned or not native"):
        schuss.SGD([p], lr=0.5).step([g], zero_grad=True)
    assert not p.any()
    assert (g == 1).all()


def test_gradients_that_are_zeroed_share_no_memory() -> None:
    room = np.ones(100, np.float32)
    params = [np.zeros(100, np.float32), np.zeros(100, np.float32)]
    with pytest.raises(ValueError, match="shares memory"):
        schuss.SGD(params, lr=0.5).step([room, room.view(np.float16)[:100]], zero_grad=True)
    assert not params[0].any()
    # The halves of one array are apart.
    halves = np.ones(200, np.float16)
    schuss.SGD(params, lr=0.5).step([halves[:100], halves[100:]], zero_grad=True)
    assert not halves.any()


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16", "float16"])
@pytest.mark.parametrize("form", [float16, of_bits, of_ml_dtypes, tensor_bfloat16, float32], ids=lambda f: f.__name__)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 1023, 1024, 5002])
def test_what_is_not_finite_is_found(bad: float, place: int, form: Callable[[Array], Any], dtype: str) -> None:
    x = np.random.default_rng(0).normal(size=5003)
    p = as_param(x, dtype)
    x[place] = bad
    g = form(x)
    opt = schuss.AdamW([p])
    if dtype in ("uint16", "float16"):
        opt.set_precision(master="float32", states="8bit")
    elif dtype == "float32":
        opt.set_precision(states="bfloat16")
    before, states = bits(p), copy.deepcopy(opt.state_dict())
    first: list[dict[str, Any]] = [
        {"on_nonfinite": "raise"},
        {"clip_norm": 1.0},
        {"clip_norm": 1.0, "clip_value": 0.5},
        {"on_nonfinite": "raise", "clip_value": 0.5},
    ]
    for stages in first:
        with pytest.raises(schuss.DivergenceError):
            opt.step([g], **stages)
        assert opt.nonfinite
    opt.step([g], on_nonfinite="skip")
    assert opt.nonfinite
    assert opt.steps == 0
    assert bits(p) == before
    for name, value in opt.state_dict()["state"][0].items():
        assert_array_equal(value, states["state"][0][name])
    opt.step([g])
    assert opt.nonfinite
    assert opt.steps == 1
    opt.step([form(np.ones(5003))])
    assert not opt.nonfinite


@pytest.mark.parametrize(
    "dtype", ["int16", "int32", "int64", "uint8", "uint32", "bool", "complex64", "longdouble", "O", "S4", "M8[s]", "V2"]
)
def test_what_is_no_float_is_refused(dtype: str) -> None:
    for given in (np.zeros(8, np.float32), np.zeros(8), np.zeros(8, np.uint16)):
        opt = schuss.SGD([given], lr=0.1)
        with pytest.raises((ValueError, TypeError), match=r"grads\[0\]"):
            opt.step([np.zeros(8, dtype)])
        assert opt.steps == 0
    with pytest.raises(TypeError, match=r"params\[0\] has dtype"):
        schuss.SGD([np.zeros(8, dtype)], lr=0.1)


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float8_e5m2", "int4", "float8_e8m0fnu"])
def test_other_formats_of_ml_dtypes_are_refused(name: str) -> None:
    dtype = getattr(ml_dtypes, name)
    opt = schuss.SGD([np.zeros(8, np.float32)], lr=0.1)
    with pytest.raises(ValueError, match=r"grads\[0\] has dtype"):
        opt.step([np.ones(8, dtype)])
    with pytest.raises(TypeError, match=r"params\[0\] has dtype"):
        schuss.SGD([np.zeros(8, dtype)], lr=0.1)


@pytest.mark.parametrize("dtype", PARAMS)
def test_some_rows(dtype: str) -> None:
    for kind in (schuss.RowAdaGrad, schuss.SparseAdam, schuss.SGD):
        for form in (float32, float64, float16, of_bits, of_ml_dtypes, tensor_bfloat16):
            for cols in (3, 40, 300):
                p = as_param(np.random.default_rng(0).normal(size=(50, cols)), dtype)
                twin = p.copy()
                opt, plain = kind([p], lr=0.1), kind([twin], lr=0.1)
                for seed in (1, 2):
                    values = form(np.random.default_rng(seed).normal(size=(3, cols)))
                    opt.step([schuss.Rows(np.array([30, 2, 7]), values)])
                    plain.step([schuss.Rows(np.array([30, 2, 7]), computed(values, dtype))])
                assert bits(p) == bits(twin), (kind.__name__, form.__name__)
                rest = np.ones(50, bool)
                rest[[30, 2, 7]] = False
                start = as_param(np.random.default_rng(0).normal(size=(50, cols)), dtype)
                assert bits(p[rest]) == bits(start[rest])


def test_rows_that_come_twice_are_added_up_in_float32() -> None:
    values = np.array([[1.0], [0.001953125]], ml_dtypes.bfloat16)
    rows = schuss.Rows(np.array([4, 4]), values)
    assert rows.values.dtype == np.float32
    assert rows.values.item() == 1.001953125


@pytest.mark.parametrize("dtype", ["uint16", "float16", "float32"])
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_make_no_difference(threads: int, dtype: str, set_threads: SetThreads) -> None:
    hows: list[dict[str, Any]] = [{"states": "8bit"}, {"states": "bfloat16", "rounding": "stochastic", "seed": 3}]
    if dtype != "float32":
        hows += [{"master": "float32"}]
    if dtype == "uint16":
        hows += [{"master": "split", "states": "8bit"}, {"rounding": "stochastic"}]
    shapes: list[tuple[int, ...]] = [(100_001,), (33,), (300, 411)]
    for kind, form in (
        (schuss.AdamW, of_bits),
        (schuss.LAMB, float16),
        (schuss.LARS, of_bits),
        (schuss.RowAdaGrad, float64),
        (schuss.Adafactor, of_bits),
        (schuss.ScheduleFreeAdamW, float32),
    ):
        for how in hows:
            found = []
            for count in (1, threads):
                set_threads(count)
                params = [as_param(x, dtype) for x in drawn(0, shapes)]
                opt = kind(params, lr=0.01)
                opt.set_precision(**how)
                for seed in (1, 2):
                    opt.step([form(x) for x in drawn(seed, shapes)], clip_norm=100.0)
                if isinstance(opt, schuss.ScheduleFreeAdamW):
                    opt.eval()
                states = [state[name] for state in opt._states() for name in state]
                found.append([bits(array) for array in (*params, *states)])
            assert found[0] == found[1], (kind.__name__, how)
