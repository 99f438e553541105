"""Memory of other libraries is taken as it is: no copy of a parameter, no guess, and messages that name what it was."""

from __future__ import annotations

import array
import ctypes
import gc
import mmap
import pickle
import weakref
from collections.abc import Callable, Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss import foreign
from tests.interpreter import script

HAS_VERSIONED = tuple(map(int, np.__version__.split(".")[:2])) >= (2, 1)
needs_versioned = pytest.mark.skipif(not HAS_VERSIONED, reason="this NumPy makes no capsules of DLPack 1")


def step(parameter: Any, gradient: Any) -> None:
    """p = p - 0.5 g over both memories as they are taken."""
    schuss.SGD([foreign.target("params[0]", parameter)], lr=0.5).step([foreign.source("grads[0]", gradient)])


class Reader:
    """An array of some library that lends its memory by DLPack, of version 1 or before, and is not written itself."""

    def __init__(self, memory: np.ndarray, versioned: bool = HAS_VERSIONED, device: Any = (1, 0)) -> None:
        self.memory = memory
        self.versioned = versioned
        self.where = device

    def __dlpack_device__(self) -> Any:
        return self.where

    def __dlpack__(self, **options: Any) -> Any:
        if self.versioned:
            capsule = self.memory.__dlpack__(max_version=(1, 0))
            self.change(foreign._Versioned.from_address(foreign._pointer(capsule, b"dltensor_versioned")))
        else:
            if options:
                raise TypeError("unexpected keyword argument")
            capsule = self.memory.__dlpack__()
            self.change(foreign._Managed.from_address(foreign._pointer(capsule, b"dltensor")))
        return capsule

    def change(self, managed: Any) -> None:
        """For tests of what the capsule says."""


class Array(Reader):
    """One that can be written."""

    def __setitem__(self, key: Any, value: Any) -> None:
        self.memory[key] = value


BOTH = [pytest.param(True, marks=needs_versioned, id="version 1"), pytest.param(False, id="before")]


# ---- NumPy -----------------------------------------------------------------------------------------------------------


class Other(np.ndarray):
    """A subclass."""


@pytest.mark.parametrize(
    "given",
    [np.ones(3), np.ones((3, 4), np.float32).T, np.ones(3, int), np.array(1.0), np.ones(3).view(Other), np.ones(0)],
    ids=["plain", "strided", "int", "0-d", "subclass", "empty"],
)
def test_ndarrays_are_taken_as_they_are(given: np.ndarray) -> None:
    """What does not fit is for the core to say, which sees it with its shape."""
    assert foreign.target("p", given) is given
    assert foreign.source("g", given) is given


@pytest.mark.parametrize("mode", ["r+", "r", "c"])
def test_memory_maps(mode: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.ones(5))
    mapped = np.load(tmp_path / "p.npy", mmap_mode=mode)
    assert foreign.target("p", mapped) is mapped
    if mode == "r":
        with pytest.raises(ValueError, match=r"params\[0\] is read-only"):
            step(mapped, np.ones(5))
    else:
        step(mapped, mapped.copy())
        np.testing.assert_array_equal(mapped, 0.5)
        mapped.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), 0.5 if mode == "r+" else 1.0)
    step(np.ones(5), mapped)


def test_masked_arrays_are_refused() -> None:
    for take in (foreign.target, foreign.source):
        with pytest.raises(TypeError, match=r"w must be an array without a mask.*\.data"):
            take("w", np.ma.masked_array(np.ones(3), [True, False, False]))


def test_scalars() -> None:
    """The gradient of a 0-d parameter is often one; a parameter cannot be."""
    p = np.array(2.0)
    step(p, np.float64(1.0))
    assert p == 1.5
    with pytest.raises(TypeError, match=r"numpy\.float64, which is read-only"):
        foreign.target("p", np.float64(1.0))


# ---- the buffer protocol ---------------------------------------------------------------------------------------------


def shared() -> Iterator[Any]:
    memory = SharedMemory(create=True, size=12)
    yield memory.buf[:12].cast("f")
    gc.collect()
    memory.close()
    memory.unlink()


def buffers() -> dict[str, Callable[[], Iterator[Any]]]:
    """Three floats each, in the ways that Python has."""

    def of(make: Callable[[], Any]) -> Callable[[], Iterator[Any]]:
        return lambda: iter([make()])

    return {
        "array.array": of(lambda: array.array("f", [0.0] * 3)),
        "double": of(lambda: array.array("d", [0.0] * 3)),
        "memoryview": of(lambda: memoryview(np.zeros(3, np.float32))),
        "bytearray": of(lambda: memoryview(bytearray(12)).cast("f")),
        "ctypes": of(lambda: (ctypes.c_float * 3)()),
        "mmap": of(lambda: memoryview(mmap.mmap(-1, 24)).cast("d")),
        "shared memory": shared,
    }


@pytest.mark.parametrize("kind", buffers())
def test_buffers(kind: str) -> None:
    making = buffers()[kind]()
    p = next(making)
    taken = foreign.target("p", p)
    assert taken.shape == (3,) and taken.flags.writeable
    taken[:] = [1.0, 2.0, 3.0]
    step(p, np.array([2.0, 2.0, 4.0], taken.dtype))
    assert list(p) == [0.0, 1.0, 1.0]
    gradient = foreign.source("g", p)
    assert gradient.ctypes.data == taken.ctypes.data
    step(np.ones(3, taken.dtype), p)
    del taken, gradient, p
    next(making, None)


def test_shapes_of_ctypes() -> None:
    assert foreign.target("p", (ctypes.c_double * 2 * 3)()).shape == (3, 2)
    number = ctypes.c_double(1.0)
    step(number, np.array(1.0))
    assert number.value == 0.5


def test_read_only_buffers() -> None:
    for given in (memoryview(np.ones(3)).toreadonly(), memoryview(bytes(24)).cast("d")):
        with pytest.raises(ValueError, match=r"params\['w'\] must be .* in place; got memoryview, which is read-only"):
            foreign.target("params['w']", given)
        step(np.ones(3), given)


@pytest.mark.parametrize("given", [bytearray(8), b"12345678", mmap.mmap(-1, 8), memoryview(bytearray(8))])
def test_bytes_are_not_guessed_at(given: Any) -> None:
    for take in (foreign.target, foreign.source):
        with pytest.raises(TypeError, match=r"w must be .*float64 or 16-bit floats.* of uint8: .*numpy\.frombuffer"):
            take("w", given)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (array.array("i", [1]), "array.array of int32"),
        ((ctypes.c_int64 * 2)(), "c_long.*_Array_2 of int64"),
        (memoryview(np.ones(2, np.uint16)), "memoryview of uint16"),
        (memoryview(np.ones(2, np.longdouble)), "memoryview of float128"),
        (memoryview(np.ones(2, np.complex64)), "memoryview of complex64"),
        (ctypes.pointer(ctypes.c_float()), "LP_c_float of format"),
    ],
)
def test_buffers_of_no_floats(given: Any, found: str) -> None:
    for take in (foreign.target, foreign.source):
        with pytest.raises(TypeError, match=f"w must be .*{found}"):
            take("w", given)


def test_released_buffers() -> None:
    view = memoryview(bytearray(8))
    view.release()
    with pytest.raises(TypeError, match=r"w must be .*released"):
        foreign.target("w", view)


def test_a_buffer_with_a_view_stays_where_it_is() -> None:
    memory = array.array("d", [1.0])
    view = foreign.target("p", memory)
    with pytest.raises(BufferError):
        memory.extend([1.0] * 1000)
    del view
    memory.extend([1.0] * 1000)


# ---- DLPack ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("versioned", BOTH)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (3,), (0,), (2, 0), (2, 3, 4)])
def test_dlpack(versioned: bool, dtype: Any, shape: tuple[int, ...]) -> None:
    memory = np.ones(shape, dtype)
    lender = Array(memory, versioned)
    for view in (foreign.target("p", lender), foreign.source("g", lender)):
        assert type(view) is np.ndarray
        assert (view.shape, view.dtype, view.flags.writeable) == (shape, dtype, True)
        assert view.size == 0 or (view.ctypes.data, view.strides) == (memory.ctypes.data, memory.strides)
    step(lender, np.ones(shape, dtype))
    np.testing.assert_array_equal(memory, np.full(shape, 0.5))


@pytest.mark.parametrize("versioned", BOTH)
def test_dlpack_of_strided_memory(versioned: bool) -> None:
    whole = np.arange(24.0).reshape(4, 6)
    for memory in (whole.T, whole[1:, ::2], whole[::-1], np.broadcast_to(whole[0], (3, 6))):
        memory.flags.writeable = True
        view = foreign.source("g", Array(memory, versioned))
        assert view.strides == memory.strides
        np.testing.assert_array_equal(view, memory)
        p = np.zeros(memory.shape)
        step(p, Array(memory, versioned))
        np.testing.assert_array_equal(p, -0.5 * memory)
    with pytest.raises(ValueError, match=r"params\[0\] is not C-contiguous"):
        step(Array(whole.T, versioned), np.ones((6, 4)))


@pytest.mark.parametrize("versioned", BOTH)
def test_a_view_keeps_its_lender_and_gives_it_back(versioned: bool) -> None:
    memory = np.ones(3).view(Other)
    owner = weakref.ref(memory)
    lender = Array(memory, versioned)
    view = foreign.target("p", lender)
    again = view[1:]
    del memory, lender, view
    gc.collect()
    assert owner() is not None
    again[:] = 7.0
    assert owner()[2] == 7.0  # type: ignore[index]
    del again
    gc.collect()
    assert owner() is None
    optimizer = schuss.SGD([foreign.target("p", Array(np.ones(3), versioned))])
    other = pickle.loads(pickle.dumps(optimizer))
    np.testing.assert_array_equal(other.param_groups[0]["params"][0], np.ones(3))


@pytest.mark.parametrize("versioned", BOTH)
def test_memory_that_is_only_read(versioned: bool) -> None:
    """Before version 1 a capsule does not say so: then what has no way to be written is not."""
    memory = np.ones(3)
    lender = Array(memory) if versioned else Reader(memory, False)
    memory.flags.writeable = not versioned
    with pytest.raises(ValueError, match=r"got .*test_foreign\.(Array|Reader), which is read-only"):
        foreign.target("p", lender)
    assert foreign.source("g", lender).ctypes.data == memory.ctypes.data


@needs_versioned
def test_copies_are_not_parameters() -> None:
    class Copier(Array):
        def change(self, managed: Any) -> None:
            managed.flags |= foreign._COPIED

    with pytest.raises(ValueError, match="read-only"):
        foreign.target("p", Copier(np.ones(3)))
    foreign.source("g", Copier(np.ones(3)))


@needs_versioned
def test_versions_to_come() -> None:
    class Later(Array):
        def change(self, managed: Any) -> None:
            managed.major = 2

    with pytest.raises(TypeError, match="by DLPack 2, known: 1"):
        foreign.target("p", Later(np.ones(3)))


@pytest.mark.parametrize("versioned", BOTH)
def test_what_a_capsule_may_leave_out_or_add(versioned: bool) -> None:
    class Sparing(Array):
        def change(self, managed: Any) -> None:
            managed.tensor.strides = None
            managed.tensor.data -= 64
            managed.tensor.byte_offset = 64

    memory = np.ones((3, 4))
    view = foreign.target("p", Sparing(memory, versioned))
    assert view.ctypes.data == memory.ctypes.data
    assert view.flags.c_contiguous


@pytest.mark.parametrize("versioned", BOTH)
@pytest.mark.parametrize(
    ("code", "bits", "lanes", "found"),
    [
        (0, 64, 1, "int64"),
        (1, 8, 1, "uint8"),
        (1, 16, 1, "uint16"),
        (2, 8, 1, "float8"),
        (2, 128, 1, "float128"),
        (2, 16, 2, "2 lanes of float16"),
        (2, 32, 4, "4 lanes of float32"),
        (4, 32, 1, "bfloat32"),
        (4, 16, 2, "2 lanes of bfloat16"),
        (5, 64, 1, "complex64"),
        (10, 8, 1, "DLPack's type 10 of 8 bits"),
    ],
)
def test_dlpack_of_other_types(versioned: bool, code: int, bits: int, lanes: int, found: str) -> None:
    class Odd(Array):
        def change(self, managed: Any) -> None:
            managed.tensor.code, managed.tensor.bits, managed.tensor.lanes = code, bits, lanes

    for take in (foreign.target, foreign.source):
        with pytest.raises(TypeError, match=rf"grads\['w'\] must be .*test_foreign\..*Odd of {found}$"):
            take("grads['w']", Odd(np.ones(3), versioned))


class OnDevice(Array):
    """What is elsewhere is not asked for its memory: that might wait for the device, or copy."""

    device = "cuda:0"

    def __dlpack__(self, **options: Any) -> Any:
        raise AssertionError("asked")


@pytest.mark.parametrize(
    ("number", "found"),
    [(2, "2, CUDA"), (8, "8, Metal"), (10, "10, ROCm"), (13, "13, CUDA managed memory"), (77, "77, unknown")],
)
def test_other_devices(number: int, found: str) -> None:
    for take in (foreign.target, foreign.source):
        with pytest.raises(
            ValueError,
            match=rf"params\[3\] must be in the CPU's memory; got .*OnDevice on device cuda:0 "
            rf"\(DLPack device type {found}\)",
        ):
            take("params[3]", OnDevice(np.ones(3), device=(number, 0)))


@pytest.mark.parametrize("number", [1, 3, 11])
def test_pinned_memory_is_the_cpus(number: int) -> None:
    memory = np.ones(3)
    step(Array(memory, device=(number, 0)), np.ones(3))
    np.testing.assert_array_equal(memory, 0.5)


def test_lenders_that_contradict_themselves_or_refuse() -> None:
    class Moved(Array):
        def change(self, managed: Any) -> None:
            managed.tensor.device_type = 2

    class NoCapsule(Array):
        def __dlpack__(self, **options: Any) -> Any:
            return "here"

    class Refusing(Array):
        def __dlpack__(self, **options: Any) -> Any:
            raise BufferError("it is on loan")

    class Nowhere(Array):
        def __dlpack_device__(self) -> Any:
            raise ValueError("on no device")

    for kind, error, match in (
        (Moved, ValueError, "DLPack device type 2, CUDA"),
        (NoCapsule, TypeError, "__dlpack__ gives 'here'"),
        (Refusing, TypeError, "Refusing: it is on loan"),
        (Nowhere, TypeError, "Nowhere: on no device"),
    ):
        for take in (foreign.target, foreign.source):
            with pytest.raises(error, match=match):
                take("w", kind(np.ones(3)))


# ---- other protocols, and none ---------------------------------------------------------------------------------------


class Interface:
    """One that has only NumPy's own protocol."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory = memory

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self.memory.__array_interface__


def test_array_interface() -> None:
    memory = np.ones((2, 3), np.float32)
    view = foreign.target("p", Interface(memory))
    assert view.ctypes.data == memory.ctypes.data
    step(Interface(memory), Interface(np.ones((2, 3), np.float32)))
    np.testing.assert_array_equal(memory, 0.5)
    memory.flags.writeable = False
    with pytest.raises(ValueError, match="Interface, which is read-only"):
        foreign.target("p", Interface(memory))
    with pytest.raises(TypeError, match="Interface of int64"):
        foreign.source("g", Interface(np.ones(3, np.int64)))


def test_cuda_without_dlpack() -> None:
    class Device:
        __cuda_array_interface__: dict[str, Any] = {}  # noqa: RUF012

    for take in (foreign.target, foreign.source):
        with pytest.raises(ValueError, match=r"w must be in the CPU's memory; got .*Device on CUDA"):
            take("w", Device())


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, r"None \(NoneType\)"),
        (1.0, r"1\.0 \(float\)"),
        ("text", r"'text' \(str\)"),
        ([1.0, 2.0], r"\[1\.0, 2\.0\] \(list\)"),
        ({"a": 1}, r"\{'a': 1\} \(dict\)"),
        (np.ones, "function ones"),
    ],
)
def test_no_memory(given: Any, found: str) -> None:
    assert not foreign.speaks(given)
    with pytest.raises(TypeError, match=rf"params\['w'\] must be .*in place; got .*{found}"):
        foreign.target("params['w']", given)
    with pytest.raises(TypeError, match=rf"grads\['w'\] must be .*; got .*{found}"):
        foreign.source("grads['w']", given)


def test_what_speaks() -> None:
    for given in (np.ones(3), np.float32(1), array.array("d"), bytearray(), Array(np.ones(3)), Interface(np.ones(3))):
        assert foreign.speaks(given)


def test_nothing_is_imported() -> None:
    """Neither at import nor for memory that is not theirs."""
    code = """
import sys, array
import numpy as np
import schuss
from schuss import foreign, structure
foreign.source("g", array.array("d", [1.0])), structure.read({"w": array.array("d", [1.0])})
print([name for name in ("torch", "jax", "pandas", "multiprocessing") if name in sys.modules])
"""
    assert script(code) == "[]"


# ---- libraries, live -------------------------------------------------------------------------------------------------


def test_torch() -> None:
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.float64):
        for shape in ((), (3,), (2, 3)):
            tensor = torch.ones(shape, dtype=dtype)
            parameter = torch.nn.Parameter(torch.ones(shape, dtype=dtype))
            for p in (tensor, parameter, torch.ones(shape, dtype=dtype, requires_grad=True)):
                view = foreign.target("p", p)
                assert view.ctypes.data == p.data_ptr()
                assert view.flags.writeable
                step(p, torch.ones(shape, dtype=dtype))
                assert (p.detach() == 0.5).all()
                assert foreign.source("g", p).ctypes.data == p.data_ptr()
            (parameter**2).sum().backward()
            step(parameter, parameter.grad)
            assert (parameter.detach() == 0).all()
    assert foreign.target("p", torch.ones(0, 3)).shape == (0, 3)


def test_torch_trains_as_torch() -> None:
    torch = pytest.importorskip("torch")
    data, wanted = torch.randn(20, 4), torch.randn(20, 2)
    mine = torch.nn.Linear(4, 2)
    theirs = torch.nn.Linear(4, 2)
    theirs.load_state_dict(mine.state_dict())
    optimizer = schuss.Adam([foreign.target("p", p) for p in mine.parameters()], lr=0.01)
    reference = torch.optim.Adam(theirs.parameters(), lr=0.01)
    for _ in range(10):
        for model in (mine, theirs):
            model.zero_grad()
            ((model(data) - wanted) ** 2).mean().backward()
        optimizer.step([foreign.source("g", p.grad) for p in mine.parameters()])
        reference.step()
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def test_torch_that_does_not_fit() -> None:
    torch = pytest.importorskip("torch")
    view = foreign.target("p", torch.ones(3, 4).t())
    assert (view.shape, view.strides) == ((4, 3), (4, 16))
    with pytest.raises(ValueError, match=r"params\[0\] is not C-contiguous"):
        step(torch.ones(3, 4).t(), np.ones((4, 3), np.float32))
    p = np.zeros((4, 3), np.float32)
    step(p, torch.arange(12.0).reshape(3, 4).t())
    np.testing.assert_array_equal(p, -0.5 * np.arange(12.0).reshape(3, 4).T)
    for tensor, found in (
        (torch.ones(3, dtype=torch.uint16), r"torch\.Tensor of uint16"),
        (torch.ones(3, dtype=torch.float8_e5m2), r"torch\.Tensor of DLPack's type"),
        (torch.ones(3, 3).to_sparse(), r"torch\.Tensor on device cpu: .*layout"),
        (torch.ones(3, device="meta"), r"torch\.Tensor on device meta: "),
    ):
        for take in (foreign.target, foreign.source):
            with pytest.raises(TypeError, match=rf"params\['w'\] must be .*; got .*{found}"):
                take("params['w']", tensor)
    for tensor, found in ((torch.ones(3, dtype=torch.int16), "int16"), (torch.ones(3, dtype=torch.int32), "int32")):
        with pytest.raises(TypeError, match=rf"w must be .*; got torch\.Tensor of {found}"):
            foreign.target("w", tensor)
        with pytest.raises(ValueError, match=rf"grads\[0\] has dtype {found}"):
            step(np.ones(3, np.float32), tensor)


def test_torch_of_16_bits() -> None:
    torch = pytest.importorskip("torch")
    for dtype, bits in ((torch.bfloat16, np.uint16), (torch.float16, np.float16)):
        for tensor in (torch.ones(3, dtype=dtype), torch.nn.Parameter(torch.ones(3, dtype=dtype))):
            for take in (foreign.target, foreign.source):
                view = take("w", tensor)
                assert view.dtype == bits
                assert view.ctypes.data == tensor.data_ptr()
            step(tensor, torch.ones(3, dtype=dtype))
            assert (tensor == 0.5).all()


def test_torch_keeps_its_memory_while_there_is_a_view() -> None:
    torch = pytest.importorskip("torch")
    memory = np.ones(3).view(Other)
    owner = weakref.ref(memory)
    view = foreign.target("p", torch.nn.Parameter(torch.from_numpy(memory)))
    del memory
    gc.collect()
    assert owner() is not None
    np.testing.assert_array_equal(view, 1.0)
    del view
    gc.collect()
    assert owner() is None


def test_jax_arrays_are_gradients_but_not_parameters() -> None:
    jax = pytest.importorskip("jax")
    gradient = jax.numpy.ones(3)
    p = np.ones(3, np.float32)
    step(p, gradient)
    np.testing.assert_array_equal(p, 0.5)
    with pytest.raises(ValueError, match=r"params\['w'\] must be .*; got jaxlib.*, which is read-only: give a copy"):
        foreign.target("params['w']", gradient)
    # Of bfloat16 they are as well, by DLPack: as its bits.
    half = jax.numpy.ones(3, jax.numpy.bfloat16)
    step(p, half)
    np.testing.assert_array_equal(p, 0.0)
    with pytest.raises(ValueError, match=r"w must be .*; got jaxlib.*, which is read-only: give a copy"):
        foreign.target("w", half)
    for take in (foreign.target, foreign.source):
        with pytest.raises(TypeError, match=r"w must be .*; got jaxlib.* of int32"):
            take("w", jax.numpy.ones(3, jax.numpy.int32))


def test_arrow_arrays_are_gradients_but_not_parameters() -> None:
    arrow = pytest.importorskip("pyarrow")
    gradient = arrow.array([1.0, 1.0])
    p = np.ones(2)
    step(p, gradient)
    np.testing.assert_array_equal(p, 0.5)
    with pytest.raises(ValueError, match=r"pyarrow.*, which is read-only"):
        foreign.target("p", gradient)


def test_frames_share_no_memory() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(TypeError, match=r"p must be .*Series"):
        foreign.target("p", pandas.Series([1.0, 2.0]))
