"""A card for torchao's CPUOffloadOptimizer where there is none: the CPU itself, which does everything at once."""

from __future__ import annotations

import contextlib
from functools import cache
from typing import Any

from . import peers


@cache
def offloading() -> Any:
    """torchao's module, which takes the CPU for a card from now on; None where it is not installed."""
    torch, home = peers.module("torch"), peers.module("torchao.optim.cpu_offload")
    if torch is None or home is None:
        return None
    home.get_available_devices = lambda: ["cpu", "cuda"]
    home.torch = _Torch(torch)
    return home


class _Stream:
    """Of a card that has done everything by the time it is asked."""

    def wait_stream(self, other: _Stream) -> None: ...

    def synchronize(self) -> None: ...

    def record_event(self) -> _Stream:
        return self


class _Cuda:
    Stream = _Stream
    current_stream = _Stream

    @staticmethod
    def stream(_: _Stream) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


class _Torch:
    """torch, but for the card and for memory that is pinned."""

    cuda = _Cuda

    def __init__(self, torch: Any) -> None:
        self._torch = torch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)

    def empty_like(self, tensor: Any, **_: Any) -> Any:
        return self._torch.empty_like(tensor)
