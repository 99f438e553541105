"""Matrix products alone, beside OpenBLAS (NumPy) and MKL or oneDNN (torch)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from schuss import _core

from . import peers
from .cases import Float
from .limits import Limits
from .tables import Result, Row, row
from .timing import Contender, alternate

# By the largest side: the bound (None: no bound), and the geometric mean of better / ours that is to be reached.
BANDS: tuple[tuple[int | None, float], ...] = ((128, 1.3), (512, 1.0), (None, 0.95))
# No shape may fall below.
LEAST = 0.8
# A row counts only if the medians of all are at most so many times their fastest sample. Threads of OpenBLAS and MKL
# wait for whole time slices where other programs take a CPU: such a row would flatter us.
STEADY = 1.3


@dataclass(frozen=True)
class Product:
    """C (m, n) = op(A) op(B): A lies as (k, m) in the form TN, B as (n, k) in the form NT.

    In a layer NN is the forward pass, TN the gradient of the weights (k: rows of the batch), NT that of the inputs.
    """

    m: int
    k: int
    n: int
    form: str = "NN"

    def __str__(self) -> str:
        return f"{self.m}x{self.k}x{self.n}" + (f" {self.form}" if self.form != "NN" else "")

    @property
    def operations(self) -> float:
        return 2.0 * self.m * self.k * self.n

    @property
    def band(self) -> int:
        """Number of the band."""
        largest = max(self.m, self.k, self.n)
        return next(number for number, (bound, _) in enumerate(BANDS) if bound is None or largest <= bound)

    def operands(self) -> tuple[Float, Float]:
        """As they lie in memory."""
        rng = np.random.default_rng(3)
        a = rng.standard_normal((self.k, self.m) if self.form == "TN" else (self.m, self.k), np.float32)
        b = rng.standard_normal((self.n, self.k) if self.form == "NT" else (self.k, self.n), np.float32)
        return a, b


PRODUCTS = (
    # Up to 128: vectors, squares, odd sides, an outer product, a deep one, the layers of 64-100-10 at batch 32.
    Product(1, 1, 1),
    Product(1, 64, 100),
    Product(1, 100, 64, "NT"),
    Product(128, 128, 1),
    Product(4, 4, 4),
    Product(8, 8, 8),
    Product(17, 17, 17),
    Product(32, 32, 32),
    Product(33, 33, 33),
    Product(64, 64, 64),
    Product(100, 100, 100),
    Product(127, 127, 127),
    Product(128, 128, 128),
    Product(128, 1, 128, "TN"),
    Product(5, 128, 5),
    Product(32, 64, 100),
    Product(64, 32, 100, "TN"),
    Product(32, 10, 100, "NT"),
    # Up to 512: the same, tall, wide and deep, the layers of 784-512-512-10 at batch 128.
    Product(1, 512, 512),
    Product(256, 256, 256),
    Product(301, 301, 301),
    Product(512, 512, 512),
    Product(512, 16, 16),
    Product(16, 16, 512),
    Product(16, 512, 16, "TN"),
    Product(200, 64, 100),
    Product(128, 512, 512),
    Product(512, 128, 512, "TN"),
    Product(128, 512, 512, "NT"),
    # Above: the layers of 784-256-10, 1024-1024-1024 and 1024-4096-4096-1000.
    Product(1, 4096, 4096),
    Product(1000, 1000, 1000),
    Product(2048, 2048, 2048),
    Product(4096, 4096, 4096),
    Product(4096, 33, 33),
    Product(32, 4096, 32),
    Product(128, 784, 256),
    Product(784, 128, 256, "TN"),
    Product(256, 1024, 1024, "NT"),
    Product(1024, 256, 1024, "TN"),
    Product(512, 1000, 4096, "NT"),
)
QUICK = tuple(product for product in PRODUCTS if product.operations < 1e8)[::3]


def contenders(product: Product) -> tuple[list[Contender], float]:
    """Everybody, with all views made and the place of the result given, and how far the results differ at most,
    relative to the largest element.
    """
    a, b = product.operands()
    outs = [np.zeros((product.m, product.n), np.float32) for _ in range(3)]
    left, right = a.T if product.form == "TN" else a, b.T if product.form == "NT" else b
    calls: dict[str, Callable[[], Any]] = {
        "ours": partial(_core.gemm, a, b, product.form == "TN", product.form == "NT", out=outs[0]),
        "NumPy": partial(np.matmul, left, right, out=outs[1]),
    }
    torch = peers.module("torch")
    if torch is not None:
        views = [torch.from_numpy(array) for array in (left, right, outs[2])]
        calls["torch"] = partial(torch.mm, *views[:2], out=views[2])
    for call in calls.values():
        call()
    apart = max(float(np.abs(out - outs[1]).max()) for out in outs[: len(calls)])
    return [Contender(name, _repeated(call)) for name, call in calls.items()], apart / float(np.abs(outs[1]).max())


def _repeated(call: Callable[[], Any]) -> Callable[[int], None]:
    def run(calls: int) -> None:
        for _ in range(calls):
            call()

    return run


def better(one: Row) -> float:
    """How many times longer the better of the others takes: the median over the rounds."""
    assert one.best is not None  # NumPy is always there
    return one.times[one.best].ratio(one.times[one.ours[0]])


def steady(one: Row) -> bool:
    return all(found.median <= STEADY * found.low for found in one.times.values())


def summary(products: Sequence[Product], rows: Sequence[Row]) -> list[str]:
    """The geometric mean and the smallest ratio of each band, and what falls short."""
    pairs = list(zip(products, rows, strict=True))
    found = [(product, better(one)) for product, one in pairs if steady(one)]
    threads = f"{rows[0].threads} {'thread' if rows[0].threads == 1 else 'threads'}"
    lines = []
    for number, (bound, goal) in enumerate(BANDS):
        band = [(product, ratio) for product, ratio in found if product.band == number]
        if not band:
            continue
        mean = math.exp(math.fsum(math.log(ratio) for _, ratio in band) / len(band))
        least, ratio = min(band, key=lambda pair: pair[1])
        where = f"up to {bound}" if bound is not None else f"above {BANDS[number - 1][0]}"
        lines.append(
            f"{threads}, largest side {where}: better / ours is {mean:.2f} in the geometric mean of {len(band)} "
            f"(goal {goal}), {ratio:.2f} at least, at {least}."
        )
    slow = [f"{product} {ratio:.2f}" for product, ratio in sorted(found, key=lambda pair: pair[1]) if ratio < LEAST]
    if slow:
        lines.append(f"{threads}: under {LEAST}: {', '.join(slow)}.")
    disturbed = [str(product) for product, one in pairs if not steady(one)]
    if disturbed:
        lines.append(f"{threads}: disturbed by other programs, not counted: {', '.join(disturbed)}.")
    return lines


def measure(options: Any, threads: int, limits: Limits) -> list[Result]:
    result = Result("Matrix products")
    products = QUICK if options.quick else PRODUCTS
    for product in products:
        peers.note(f"gemm {product}, threads {threads}")
        found, apart = contenders(product)
        times = alternate(found, 0.1 if options.quick else 0.6)
        speed = product.operations / (1e3 * times["ours"].median)
        label = {"m x k x n": str(product), "ours GFLOP/s": f"{speed:.3g}"}
        result.rows.append(row(label, threads, ["ours"], times, limits.arithmetic(product.operations), apart))
    result.notes = [
        "float32, m x k x n. TN: the left operand lies transposed; NT: the right one. A Python call each, into an "
        "array that is given: NumPy's matmul (OpenBLAS), torch's mm (MKL or oneDNN). differ: largest difference of "
        "the results, relative to their largest element.",
        *summary(products, result.rows),
        *limits.seen(),
    ]
    return [result]
