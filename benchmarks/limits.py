"""The limits of the machine, as far as they can be reached from here: each is a lower bound of the true ceiling.

Arithmetic: the best of several matrix products. Memory: the best of several streams over as much memory as the row in
question touches. A ceiling takes the fastest sample, not the median.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

import schuss
from schuss import _core

from . import peers
from .cases import Float
from .timing import best

_PRODUCTS = ((128, 784, 256), (256, 512, 512), (512, 512, 512), (1024, 1024, 1024))
# Below this the Python calls are most of what a stream measures.
LEAST_BYTES = 1 << 17
# Below this two Python threads cost more than they bring.
_SPLIT_BYTES = 1 << 23
ARITHMETIC_NOTE = (
    "Arithmetic limit: the floating-point operations of the matrix products alone, at the fastest rate seen among our "
    f"own GEMM at {', '.join('x'.join(map(str, size)) for size in _PRODUCTS)}, NumPy's (and torch's, if installed) "
    "at the last of these. Our own GEMM is no independent witness, and no product reaches the peak of its CPU: the "
    "rate is a lower bound of the ceiling."
)
MEMORY_NOTE = (
    "Memory limit: bytes read and written (each array counted once for reading, once for writing) at the fastest rate "
    "seen among streams over as much memory: NumPy copy (8 bytes an element) and in-place add (12), over as many "
    "threads, and our own SGD without momentum (12) and Adam (28). Partly our own code, and untuned: a lower bound of "
    "the ceiling, in cache for small sizes; none is given where calls dominate."
)


class Limits:
    """Measured when first asked for, then remembered.

    Parameters
    ----------
    threads : int
        That everybody may use.
    seconds : float
        For each candidate.
    """

    def __init__(self, threads: int, seconds: float) -> None:
        self._threads = threads
        self._seconds = seconds
        self._gflops: tuple[float, str] | None = None
        self._streams: dict[int, tuple[float, str]] = {}

    def arithmetic(self, operations: float) -> float:
        """Microseconds that so many floating-point operations take at least."""
        return operations / (1e3 * self._peak()[0])

    def memory(self, touched: int, moved: int) -> float | None:
        """Microseconds that moving so many bytes takes at least, in a loop over so much memory; None if too little."""
        if touched < LEAST_BYTES:
            return None
        return moved / (1e3 * self._stream(touched)[0])

    def seen(self) -> list[str]:
        """What was measured so far, and by what."""
        threads = f"With {self._threads} {'thread' if self._threads == 1 else 'threads'}:"
        found = []
        if self._gflops is not None:
            found.append(f"{threads} {self._gflops[0]:.0f} GFLOP/s ({self._gflops[1]}).")
        if self._streams:
            parts = [f"{rate:.0f} over {n / 1e6:.3g} MB ({name})" for n, (rate, name) in sorted(self._streams.items())]
            found.append(f"{threads} GB/s {', '.join(parts)}.")
        return found

    def _peak(self) -> tuple[float, str]:
        if self._gflops is None:
            rng = np.random.default_rng(0)
            found = []
            for m, k, n in _PRODUCTS:
                a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
                rate = _rate(2.0 * m * k * n, partial(_core.gemm, a, b), self._seconds)
                found.append((rate, f"own GEMM at {m}x{k}x{n}"))
            # The last of the sizes, for the others too.
            out = np.empty((m, n), np.float32)
            found.append((_rate(2.0 * m * k * n, partial(np.matmul, a, b, out=out), self._seconds), "NumPy"))
            torch = peers.module("torch")
            if torch is not None:
                ta, tb, tout = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(out)
                found.append((_rate(2.0 * m * k * n, partial(torch.mm, ta, tb, out=tout), self._seconds), "torch"))
            self._gflops = max(found)
        return self._gflops

    def _stream(self, touched: int) -> tuple[float, str]:
        if touched not in self._streams:
            n = touched // 8
            a, b = np.ones(n, np.float32), np.ones(n, np.float32)
            quarter = np.ones(touched // 16, np.float32)
            sgd, adam = schuss.SGD([a], lr=1e-3), schuss.Adam([quarter], lr=1e-3)
            grads = [b], [b[: len(quarter)]]
            candidates: list[tuple[str, float, Callable[[], object]]] = [
                ("NumPy copy", 8.0 * n, lambda: np.copyto(a, b)),
                ("NumPy add", 12.0 * n, lambda: np.add(a, b, out=a)),
                ("own SGD", 12.0 * n, lambda: sgd.step(grads[0])),
                ("own Adam", 28.0 * len(quarter), lambda: adam.step(grads[1])),
            ]
            if self._threads > 1 and touched >= _SPLIT_BYTES:
                with ThreadPoolExecutor(self._threads) as pool:
                    candidates[0] = ("NumPy copy", 8.0 * n, self._split(pool, _copy, a, b))
                    candidates[1] = ("NumPy add", 12.0 * n, self._split(pool, _add, a, b))
                    found = self._measured(candidates)
            else:
                found = self._measured(candidates)
            self._streams[touched] = max(found)
        return self._streams[touched]

    def _measured(self, candidates: list[tuple[str, float, Callable[[], object]]]) -> list[tuple[float, str]]:
        return [(_rate(size, call, self._seconds), name) for name, size, call in candidates]

    def _split(
        self, pool: ThreadPoolExecutor, call: Callable[[Float, Float], object], a: Float, b: Float
    ) -> Callable[[], object]:
        parts = list(zip(np.array_split(a, self._threads), np.array_split(b, self._threads), strict=True))
        return lambda: [future.result() for future in [pool.submit(call, *part) for part in parts]]


def _copy(a: Float, b: Float) -> None:
    np.copyto(a, b)


def _add(a: Float, b: Float) -> None:
    np.add(a, b, out=a)


def _rate(amount: float, call: Callable[[], object], seconds: float) -> float:
    """In units of 1e9 a second."""
    return 1e-9 * amount / best(call, seconds)
