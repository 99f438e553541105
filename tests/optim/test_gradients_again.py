"""Gradients are taken at sight where they can be, and looked at anew in each step."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import schuss
from schuss.foreign import _Tensor

N = 3


def stepped() -> tuple[schuss.Optimizer, list[Any], list[Any]]:
    """An optimizer that knows its gradients, with its parameters and them."""
    params = [np.zeros((4, 6), np.float32) for _ in range(N)]
    grads = [np.ones((4, 6), np.float32) for _ in range(N)]
    optimizer = schuss.SGD(params, lr=1.0, momentum=0.5)
    for _ in range(2):
        optimizer.step(grads)
    return optimizer, params, grads


def reshaped(g: Any) -> None:
    g.shape = (6, 4)


def retyped(g: Any) -> None:
    g.dtype = np.int32


def resized(g: Any) -> None:
    g.resize((8, 6), refcheck=False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("change", [reshaped, retyped, resized])
def test_an_array_that_is_another_now(change: Callable[[Any], None]) -> None:
    optimizer, params, grads = stepped()
    before = [p.copy() for p in params]
    change(grads[1])
    with pytest.raises(ValueError, match=r"grads\[1\] has (shape|dtype)"):
        optimizer.step(grads)
    assert_array_equal(params, before)
    grads[1] = np.ones((4, 6), np.float32)
    optimizer.step(grads)
    assert_array_equal(params, [before[0] - 1.75] * N)


@pytest.mark.parametrize("shared", ["parameter", "state"])
def test_memory_that_a_step_writes(shared: str) -> None:
    optimizer, params, grads = stepped()
    before = [p.copy() for p in params]
    taken = params[2] if shared == "parameter" else optimizer._states()[2]["momentum_buffer"]
    for _ in range(2):
        with pytest.raises(ValueError, match=rf"grads\[1\] shares memory with a {shared}"):
            optimizer.step([grads[0], taken, grads[2]])
    assert_array_equal(params, before)
    optimizer.step(grads)
    assert_array_equal(params, [before[0] - 1.75] * N)


def test_an_array_that_is_read_only_now() -> None:
    optimizer, _, grads = stepped()
    grads[1].flags.writeable = False
    optimizer.step(grads)
    with pytest.raises(ValueError, match=r"grads\[1\] is read-only"):
        optimizer.step(grads, zero_grad=True)
    assert (grads[0] == 1).all()


def test_averages_are_not_gradients() -> None:
    params, grads = [np.zeros(5)], [np.ones(5)]
    inner = schuss.SGD(params, lr=1.0)
    inner.step(grads)
    averaged = schuss.EMA(inner, 0.9)
    averaged.step(grads)
    with pytest.raises(ValueError, match="shares memory with a state"):
        inner.step(inner._stepper.averages[0])


def test_rows_and_whole_arrays_in_turns() -> None:
    p, values = np.zeros((4, 2)), np.ones((2, 2))
    optimizer = schuss.SGD(p, lr=1.0)
    g = np.ones((4, 2))
    for _ in range(2):
        optimizer.step(g)
        optimizer.step([schuss.Rows([1, 3], values)])
    assert_array_equal(p[:, 0], [-2, -4, -2, -4])
    with pytest.raises(ValueError, match=r"has row 4, expected rows in \[0, 4\)"):
        optimizer.step([schuss.Rows([1, 4], values)])
    with pytest.raises(ValueError, match=r"has row -1"):
        optimizer.step([schuss.Rows([-1, 2], values)])
    with pytest.raises(ValueError, match=r"has rows of shape \(3,\), expected \(2,\)"):
        optimizer.step([schuss.Rows([1, 3], np.ones((2, 3)))])
    optimizer.step([schuss.Rows(np.empty(0, np.int64), np.empty((0, 2)))])
    assert_array_equal(p[:, 0], [-2, -4, -2, -4])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cols", [1, 7, 100, 700])
def test_rows_far_apart(cols: int, dtype: str) -> None:
    """More of them than are fetched ahead, of rows shorter and longer than what is fetched of each."""
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(60, cols)).astype(dtype)
    rows = np.sort(rng.choice(60, 23, replace=False))
    part, g = whole[rows].copy(), rng.normal(size=(23, cols)).astype(dtype)
    sparse, dense = schuss.AdamW(whole), schuss.AdamW(part)
    for _ in range(3):
        sparse.step([schuss.Rows(rows, g)])
        dense.step(g)
    assert_array_equal(whole[rows], part)


# ---- DLPack's table of C functions -----------------------------------------------------------------------------------


Look = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(_Tensor))


class Table(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("older", ctypes.c_void_p),
        ("others", ctypes.c_void_p * 3),
        ("look", Look),
        ("stream", ctypes.c_void_p),
    ]


capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)
NAME = b"dlpack_exchange_api"


def lender(versions: tuple[int, ...] = (1,), fails: bool = False, name: bytes = NAME, **changes: Any) -> Any:
    """An object of a class of its own that lends twelve ones by its table, or its newest; what it tells may be changed.
    By the buffer protocol nothing is had from it, and by __dlpack__ neither."""
    memory = np.ones(12, np.float32)
    shape, strides = (ctypes.c_int64 * 2)(3, 4), (ctypes.c_int64 * 2)(*changes.pop("strides", (4, 1)))
    told = {"data": memory.ctypes.data, "device_type": 1, "device_id": 0, "ndim": 2, "code": 2, "bits": 32, "lanes": 1}
    told |= {"byte_offset": 0, **changes}

    def look(found: Any, out: Any) -> int:
        if fails:
            return -1
        for key, value in told.items():
            setattr(out[0], key, value)
        out[0].shape, out[0].strides = shape, strides
        kind.asked += 1
        return 0

    function = Look(look)
    tables: list[Table] = []
    for version in reversed(versions):
        tables.append(Table(major=version, look=function))
        if len(tables) > 1:
            tables[-1].older = ctypes.addressof(tables[-2])
    kind: Any = type("Lender", (), {"kept": (memory, shape, strides, tables, function), "asked": 0})
    kind.__dlpack_c_exchange_api__ = capsule(ctypes.addressof(tables[-1]), name, None)
    return kind()


@pytest.mark.parametrize("versions", [(1,), (2, 1), (3, 2, 1)])
def test_a_table_of_functions(versions: tuple[int, ...]) -> None:
    p, g = np.zeros((3, 4), np.float32), lender(versions)
    optimizer = schuss.SGD(p, lr=1.0)
    optimizer.step([g])
    optimizer.step([g])
    assert_array_equal(p, -2)
    assert type(g).asked == 2


@pytest.mark.parametrize(
    "options",
    [
        {"versions": (2,)},
        {"versions": (0,)},
        {"fails": True},
        {"name": b"something_else"},
        {"device_type": 2},
        {"code": 0},
        {"bits": 8},
        {"bits": 128},
        {"bits": 32, "code": 4},
        {"bits": 16, "code": 1},
        {"lanes": 2},
        {"ndim": 1},
        {"data": None},
        {"byte_offset": 2},
        {"strides": (1, 3)},
        {"strides": (8, 2)},
    ],
    ids=str,
)
def test_what_it_tells_does_not_fit(options: dict[str, Any]) -> None:
    p = np.zeros((3, 4), np.float32)
    with pytest.raises(TypeError, match=r"grads\[0\] must be an array, or other memory"):
        schuss.SGD([p], lr=1.0).step([lender(**options)])
    assert_array_equal(p, 0)


def test_zeroing_is_not_asked_of_it() -> None:
    g = lender()
    with pytest.raises(TypeError, match=r"grads\[0\] must be an array, or other memory"):
        schuss.SGD([np.zeros((3, 4), np.float32)], lr=1.0).step([g], zero_grad=True)
    assert type(g).asked == 0


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    p = np.zeros((3, 4), np.float32)
    optimizer = schuss.SGD(p, lr=1.0)
    g = torch.ones(3, 4)
    for given in (g, torch.nn.Parameter(g), g.t().contiguous().t(), torch.ones(6, 4)[::2], torch.ones(7, 4)[2:5]):
        p[...] = 0
        optimizer.step([given])
        assert_array_equal(p, -1)
    g.data = torch.full((3, 4), 2.0)
    optimizer.step([g])
    assert_array_equal(p, -3)
    optimizer.step([g], zero_grad=True)
    assert (g == 0).all()
    with pytest.raises(ValueError, match=r"has shape \(4, 3\)"):
        optimizer.step([torch.ones(4, 3)])
    with pytest.raises(ValueError, match="shares memory with a parameter"):
        optimizer.step([torch.from_numpy(p)])


def test_a_sign_that_memory_does_not_have() -> None:
    torch = pytest.importorskip("torch")
    for shape in ((1,), (1, 1), (3,)):
        p = np.zeros(shape, np.float32)
        g = (torch.ones(shape, dtype=torch.complex64) * 2j).conj().imag
        with pytest.raises(TypeError, match="holds the other sign: give its resolve_neg"):
            schuss.SGD(p, lr=1.0).step([g])
        schuss.SGD(p, lr=1.0).step([g.resolve_neg()])
        assert_array_equal(p, 2)
