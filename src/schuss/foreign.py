"""Memory of other libraries as NumPy arrays over that memory, by protocols alone: none of them is imported.

Asked for in this order: the buffer protocol (memory maps, shared memory, array.array, ctypes, jax on the CPU), DLPack
(torch and most others), ``__array_interface__``. What lends memory lives as long as a view of it does, and whatever
else views bring holds here: an array.array cannot grow and shared memory cannot be closed while there is one, and a
torch tensor that is given other memory (``tensor.data = ...``, ``tensor.set_(...)``) leaves its view with the old one.
Gradients of classes with DLPack's table of C functions (torch) are read by the core without a view: as in torch's own
functions, no other thread may give them other memory meanwhile.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

import numpy as np

from .arguments import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    class SupportsDLPack(Protocol):
        """What the array API standard asks of an array that shares its memory."""

        def __dlpack__(self, *, stream: Any = None) -> Any: ...
        def __dlpack_device__(self) -> tuple[Any, int]: ...

    Memory = NDArray[Any] | SupportsDLPack | Buffer

# DLPack's numbers of devices whose memory the CPU has: its own, and what CUDA and ROCm have pinned.
_HOST = (1, 3, 11)
_DEVICES = {
    2: "CUDA",
    4: "OpenCL",
    7: "Vulkan",
    8: "Metal",
    9: "VPI",
    10: "ROCm",
    12: "an extension device",
    13: "CUDA managed memory",
    14: "oneAPI",
    15: "WebGPU",
    16: "Hexagon",
    17: "MAIA",
    18: "Trainium",
}
# Classes whose numpy() is documented to share memory or to refuse, in a third of the time that the protocols take; once
# met, the method.
_ZERO_COPY = (("torch", "Tensor"),)
_QUICK: dict[type, Callable[[Any], NDArray[Any]]] = {}
_FLOAT, _BFLOAT = 2, 4
_KINDS = {0: "int", 1: "uint", 2: "float", 4: "bfloat", 5: "complex", 6: "bool"}
# Libraries whose arrays never change, though DLPack does not say so. Those of other floats come by the buffer protocol,
# which does.
_IMMUTABLE = ("jax", "jaxlib")
# What views are of, by DLPack's code and bits. NumPy has no bfloat16: its bits are whole numbers.
_TYPES = {(_FLOAT, 64): "f8", (_FLOAT, 32): "f4", (_FLOAT, 16): "f2", (_BFLOAT, 16): "u2"}
_READ_ONLY, _COPIED = 1, 2
# What producers raise that cannot share what they were asked for.
_REFUSALS = (BufferError, TypeError, ValueError, RuntimeError, AttributeError)


def speaks(value: Any) -> bool:
    """Whether value is an array or other memory: something that `target` and `source` ask for its memory."""
    if isinstance(value, np.ndarray) or hasattr(value, "__dlpack__") or hasattr(value, "__array_interface__"):
        return True
    try:
        memoryview(value)
    except TypeError:
        return False
    except _REFUSALS:
        pass  # of a buffer that has no such view; whoever asks for it again says why
    return True


def target(name: str, value: Any) -> NDArray[Any]:
    """The memory of a parameter, to be written. A NumPy array is returned as it is, of whatever dtype and layout.

    Raises
    ------
    TypeError
        If value shares no memory, or not of float32, float64, float16 or bfloat16.
    ValueError
        If the memory is read-only (jax arrays are), or another device's.
    """
    expected = "an array, or other memory of float32, float64 or 16-bit floats that can be updated in place"
    array = _view(name, value, expected)
    if array is not value and not array.flags.writeable:
        kind = TypeError if isinstance(value, np.generic) else ValueError
        raise kind(f"{name} must be {expected}; got {_class(value)}, which is read-only: give a copy, numpy.array(...)")
    return array


def source(name: str, value: Any) -> NDArray[Any]:
    """The memory of a gradient, to be read. A NumPy array is returned as it is, of whatever dtype and layout.

    Raises
    ------
    TypeError
        If value shares no memory, or not of float32, float64, float16 or bfloat16.
    ValueError
        If the memory is another device's.
    """
    array = _quick_view(value)
    return (
        _view(name, value, "an array, or other memory of float32, float64 or 16-bit floats") if array is None else array
    )


def _quick_view(value: Any) -> NDArray[Any] | None:
    """The view, where it is had quickly."""
    kind = type(value)
    quick = _QUICK.get(kind)
    if quick is None:
        if (kind.__module__, kind.__qualname__) not in _ZERO_COPY:
            return None
        quick = _QUICK[kind] = kind.numpy
    try:
        found = quick(value)
        # Whole numbers of 16 bits are no bits of bfloat16 in a library that has both.
        return None if found.dtype == np.uint16 else found
    except _REFUSALS:
        return None  # the long way gets at some of them, and says why it does not get at the others


def _view(name: str, value: Any, expected: str) -> NDArray[Any]:
    if isinstance(value, np.ndarray):
        if isinstance(value, np.ma.MaskedArray):
            raise TypeError(f"{name} must be an array without a mask; got a masked array: give its .data")
        return value
    reason = ""
    try:
        memory = memoryview(value)
    except TypeError:
        pass
    except _REFUSALS as error:
        reason = f": {error}"  # a buffer, but not now or not of this dtype; perhaps the others can
    else:
        return _of_buffer(name, value, memory, expected)
    if hasattr(value, "__dlpack__"):
        return _of_dlpack(name, value, expected)
    if hasattr(value, "__cuda_array_interface__"):
        raise ValueError(f"{name} must be in the CPU's memory; got {_class(value)} on CUDA{_device(value)}")
    if hasattr(value, "__array_interface__"):
        return _floats(name, value, np.asarray(value), expected)
    raise TypeError(f"{name} must be {expected}; got {shown(value)} ({_class(value)}){reason}")


def _of_buffer(name: str, value: Any, memory: memoryview, expected: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.asarray(memory)
    except (ValueError, TypeError, RuntimeError):
        raise TypeError(f"{name} must be {expected}; got {_class(value)} of format {memory.format!r}") from None
    return _floats(name, value, array, expected)


def _floats(name: str, value: Any, array: NDArray[Any], expected: str) -> NDArray[Any]:
    if array.dtype.kind == "f" and array.itemsize in (2, 4, 8):
        return array
    hint = ": say what they mean, numpy.frombuffer(..., dtype)" if array.itemsize == 1 else ""
    raise TypeError(f"{name} must be {expected}; got {_class(value)} of {array.dtype}{hint}")


# ---- DLPack: the structures of dlpack.h ------------------------------------------------------------------------------


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    """Before version 1: nothing says whether it may be written."""

    _fields_ = [("tensor", _Tensor)]


class _Versioned(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    ]


# Function objects of our own: argument types set on those of ctypes.pythonapi are set for everyone.
_is_valid: Callable[[object, bytes], int] = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_IsValid", ctypes.pythonapi)
)
_pointer: Callable[[object, bytes], int] = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


class _Lent:
    """Memory and what keeps it: the base of the view that NumPy makes of it.

    The capsule is kept as it came, so that the producer's own destructor gives the memory back when the view dies.
    NumPy's from_dlpack is not used: what it makes can be written or not for reasons of its version.
    """

    __slots__ = ("__array_interface__", "capsule")

    def __init__(self, capsule: object, interface: dict[str, Any]) -> None:
        self.capsule = capsule
        self.__array_interface__ = interface


def _of_dlpack(name: str, value: Any, expected: str) -> NDArray[Any]:
    device = None
    try:
        # numpy() refuses it too; DLPack does not say it.
        if type(value).__module__.partition(".")[0] == "torch" and value.is_neg():
            raise TypeError("its memory holds the other sign: give its resolve_neg()")
        # A torch tensor that requires gradients shares its memory only detached from its graph.
        lender = value.detach() if getattr(value, "requires_grad", False) is True else value
        device = int(lender.__dlpack_device__()[0])
        if device in _HOST:
            try:
                capsule = lender.__dlpack__(max_version=(1, 0), copy=False)
            except TypeError:  # a producer of before version 1
                capsule = lender.__dlpack__()
    except _REFUSALS as error:
        raise TypeError(f"{name} must be {expected}; got {_class(value)}{_device(value)}: {error}") from None
    if device not in _HOST:
        _refuse_device(name, value, device)
    if _is_valid(capsule, b"dltensor_versioned"):
        versioned = _Versioned.from_address(_pointer(capsule, b"dltensor_versioned"))
        if versioned.major > 1:
            raise TypeError(f"{name} must be {expected}; got {_class(value)} by DLPack {versioned.major}, known: 1")
        tensor = versioned.tensor
        read_only = bool(versioned.flags & (_READ_ONLY | _COPIED))
    elif _is_valid(capsule, b"dltensor"):
        tensor = _Managed.from_address(_pointer(capsule, b"dltensor")).tensor
        # Its owner does not say, but writes to it itself or does not.
        read_only = not hasattr(type(value), "__setitem__")
    else:
        raise TypeError(f"{name} must be {expected}; got {_class(value)} whose __dlpack__ gives {shown(capsule)}")
    if type(value).__module__.partition(".")[0] in _IMMUTABLE:
        read_only = True
    if tensor.device_type not in _HOST:
        _refuse_device(name, value, tensor.device_type)
    if (tensor.code, tensor.bits) not in _TYPES or tensor.lanes != 1:
        raise TypeError(f"{name} must be {expected}; got {_class(value)} of {_type(tensor)}")
    return _array(capsule, tensor, read_only)


def _array(capsule: object, tensor: _Tensor, read_only: bool) -> NDArray[Any]:
    dtype = np.dtype(_TYPES[tensor.code, tensor.bits])
    shape = tuple(tensor.shape[: tensor.ndim]) if tensor.ndim else ()
    if not tensor.data or 0 in shape:
        return np.empty(shape, dtype)
    strides = tuple(dtype.itemsize * step for step in tensor.strides[: tensor.ndim]) if tensor.strides else None
    interface = {
        "version": 3,
        "shape": shape,
        "typestr": dtype.str,
        "strides": strides,
        "data": (tensor.data + tensor.byte_offset, read_only),
    }
    return np.asarray(_Lent(capsule, interface))


# ---- words for messages ----------------------------------------------------------------------------------------------


def _refuse_device(name: str, value: Any, number: int) -> NoReturn:
    found = f"{_class(value)}{_device(value)} (DLPack device type {number}, {_DEVICES.get(number, 'unknown')})"
    raise ValueError(f"{name} must be in the CPU's memory; got {found}")


def _type(tensor: _Tensor) -> str:
    kind = _KINDS.get(tensor.code)
    text = f"DLPack's type {tensor.code} of {tensor.bits} bits" if kind is None else f"{kind}{tensor.bits}"
    return text if tensor.lanes == 1 else f"{tensor.lanes} lanes of {text}"


def _class(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _device(value: Any) -> str:
    """As libraries say it themselves, such as "cuda:0"."""
    try:
        device = value.device
    except _REFUSALS:
        return ""
    return "" if device is None or callable(device) else f" on device {device}"
