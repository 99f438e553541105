"""Fixtures that run a test on every instruction set, with several thread counts, and on awkwardly placed arrays."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from schuss import _core
from tests import quick

Array = NDArray[Any]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the quick subset before -m looks for it."""
    quick.mark(items)


@pytest.fixture
def keep_isa() -> Iterator[None]:
    """Puts the instruction set found back after the test."""
    found = _core.config()["isa"]
    yield
    _core.use_isa(found)


@pytest.fixture(params=_core.isa_levels())
def isa(request: pytest.FixtureRequest, keep_isa: None) -> str:
    """Each instruction set that this CPU has, in use during the test."""
    return _core.use_isa(request.param)


@pytest.fixture
def each_isa(keep_isa: None) -> Callable[[], Iterator[str]]:
    """To loop over all instruction sets: each is in use during its turn."""

    def levels() -> Iterator[str]:
        for level in _core.isa_levels():
            yield _core.use_isa(level)

    return levels


@pytest.fixture
def each_fma_isa(keep_isa: None) -> Callable[[], Iterator[str]]:
    """The same, without the baseline: it has no fused multiply-add, so its products may differ in the last bits."""

    def levels() -> Iterator[str]:
        for level in _core.isa_levels():
            if level != "baseline":
                yield _core.use_isa(level)

    return levels


@pytest.fixture
def set_threads() -> Iterator[Callable[[int], None]]:
    """Sets the number of threads; undone after the test."""
    yield _core.set_num_threads
    _core.set_num_threads(None)


@pytest.fixture(params=[1, 2], ids=["1thread", "2threads"])
def threads(request: pytest.FixtureRequest, set_threads: Callable[[int], None]) -> int:
    """One thread, then two."""
    set_threads(request.param)
    return int(request.param)


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, also where a shell has started pytest in the background, with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def guarded_memory(nbytes: int, at_end: bool) -> Array:
    """Nbytes between two pages that may not be touched, against the later one or the earlier one."""
    page = mmap.PAGESIZE
    room = max(page, -(-nbytes // page) * page)
    block = mmap.mmap(-1, room + 2 * page)
    memory: Array = np.frombuffer(block, dtype=np.uint8)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    for guard in (memory.ctypes.data, memory.ctypes.data + page + room):
        if protect(guard, page, 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    first = page + room - nbytes if at_end else page
    return memory[first : first + nbytes]


def aligned_memory(nbytes: int, shift: int) -> Array:
    """Nbytes that begin `shift` bytes past a multiple of 64."""
    memory: Array = np.empty(nbytes + 64 + shift, dtype=np.uint8)
    first = -memory.ctypes.data % 64 + shift
    return memory[first : first + nbytes]


PLACEMENTS = ("aligned", "unaligned", "page end", "page start")


@pytest.fixture
def place() -> Callable[[str, Array], Array]:
    """Copies an array to a placement: aligned, unaligned (one element past 64 bytes), page end, page start."""

    def put(placement: str, array: Array) -> Array:
        if placement not in PLACEMENTS:
            raise ValueError(placement)
        if placement.startswith("page"):
            if os.name == "nt":
                pytest.skip("guard pages need mprotect")
            memory = guarded_memory(array.nbytes, placement == "page end")
        else:
            memory = aligned_memory(array.nbytes, array.itemsize if placement == "unaligned" else 0)
        copy = memory.view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    return put
