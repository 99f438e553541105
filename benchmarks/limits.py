"""The limits of the machine, as far as they can be reached from here: each is a lower bound of the true ceiling.

Arithmetic: multiply-adds in registers. Memory: the best of several streams over as much memory as the row in question
touches. Both are bare loops in C (`bare.py`), which know nothing of networks; where no compiler makes them, the best of
what libraries and we do. A ceiling takes the fastest sample, not the median.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

import schuss
from schuss import _core

from . import bare, peers
from .timing import best

_PRODUCTS = ((128, 784, 256), (256, 512, 512), (512, 512, 512), (1024, 1024, 1024))
# Below this the Python calls are most of what a stream measures, if it is not a bare loop.
LEAST_BYTES = 1 << 17
ARITHMETIC_NOTE = (
    "Arithmetic limit: the floating-point operations of the matrix products alone, at the fastest rate seen of a bare "
    "loop: independent multiply-adds in registers, the widest vectors, a thread a CPU (`peak.c`, compiled when "
    "measured). Where no C compiler is found: the fastest GEMM seen, our own among them, which is no independent "
    "witness. The lines below say which it was."
)
BYTES_NOTE = (
    "Limit of a training step: the arithmetic limit plus the bytes that it cannot do without at the fastest rate seen. "
    "The bytes: each parameter with its two moments read and written (24; the gradient can be used up where it is "
    "born), each row of the batch read and written once (gathered). The rate: bare loops that read and write, again "
    "and again, as much memory as parameters and moments take, as one array or three, with and without prefetching, "
    "each thread its own share (where no C compiler is found: the streams of our own optimizers, nothing for small "
    "networks). A sum, though the two overlap in part; and it counts no activation function, no loss, "
    "no arithmetic of Adam, and no way of data between threads."
)

Rate = tuple[float, str]


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
        self.threads = threads
        self._seconds = seconds
        self._gflops: Rate | None = None
        self._bare_streams: dict[int, Rate | None] = {}
        self._streams: dict[int, Rate] = {}

    def arithmetic(self, operations: float) -> float:
        """Microseconds that so many floating-point operations take at least."""
        return operations / (1e3 * self._peak()[0])

    def both(self, operations: float, touched: int, moved: int) -> float:
        """Microseconds of so many operations, and then of moving so many bytes in a loop over so much memory."""
        stream = self._bare_stream(touched) or (self._stream(touched) if touched >= LEAST_BYTES else None)
        return self.arithmetic(operations) + (moved / (1e3 * stream[0]) if stream else 0)

    def seen(self) -> list[str]:
        """What was measured so far, and by what."""
        threads = f"With {self.threads} {'thread' if self.threads == 1 else 'threads'}:"
        found = []
        if self._gflops is not None:
            found.append(f"{threads} {self._gflops[0]:.0f} GFLOP/s ({self._gflops[1]}).")
        streams = {n: rate for n, rate in self._bare_streams.items() if rate is not None} | self._streams
        if streams:
            parts = [f"{rate:.0f} over {n / 1e6:.3g} MB ({name})" for n, (rate, name) in sorted(streams.items())]
            found.append(f"{threads} GB/s {', '.join(parts)}.")
        return found

    def _peak(self) -> Rate:
        if self._gflops is None:
            loops = bare.library()
            # Everything hangs on this one number: it gets more time than the others.
            self._gflops = bare.multiply_add(loops, self.threads, 5 * self._seconds) if loops else max(self._gemms())
        return self._gflops

    def _gemms(self) -> list[Rate]:
        rng = np.random.default_rng(0)
        found = []
        for m, k, n in _PRODUCTS:
            a, b = rng.standard_normal((m, k), np.float32), rng.standard_normal((k, n), np.float32)
            out = np.empty((m, n), np.float32)
            rate = self._rate(2.0 * m * k * n, partial(_core.gemm, a, b, out=out))
            found.append((rate, f"no C compiler; own GEMM at {m}x{k}x{n}"))
        # The last of the sizes, for the others too.
        found.append((self._rate(2.0 * m * k * n, partial(np.matmul, a, b, out=out)), "no C compiler; NumPy"))
        torch = peers.module("torch")
        if torch is not None:
            ta, tb, tout = torch.from_numpy(a), torch.from_numpy(b), torch.from_numpy(out)
            found.append((self._rate(2.0 * m * k * n, partial(torch.mm, ta, tb, out=tout)), "no C compiler; torch"))
        return found

    def _bare_stream(self, touched: int) -> Rate | None:
        if touched not in self._bare_streams:
            loops = bare.library()
            found = bare.stream(loops, self.threads, self._seconds, touched) if loops else None
            self._bare_streams[touched] = found
        return self._bare_streams[touched]

    def _stream(self, touched: int) -> Rate:
        if touched not in self._streams:
            halves = [np.ones(touched // 8, np.float32) for _ in range(2)]
            quarters = [half[: len(half) // 2] for half in halves]
            sgd, adam = schuss.SGD(halves[:1], lr=1e-3), schuss.Adam(quarters[:1], lr=1e-3)
            found = [
                (self._rate(12.0 * len(halves[0]), partial(sgd.step, halves[1:])), "own SGD"),
                (self._rate(28.0 * len(quarters[0]), partial(adam.step, quarters[1:])), "own Adam"),
            ]
            bare_one = self._bare_stream(touched)
            self._streams[touched] = max(found if bare_one is None else [bare_one, *found])
        return self._streams[touched]

    def _rate(self, amount: float, call: Callable[[], object]) -> float:
        """In units of 1e9 a second."""
        return 1e-9 * amount / best(call, self._seconds)
