"""What is trained on images: convolutions with ReLU, pooling, and dense layers behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..cases import Float, Named

CLASSES = 10


@dataclass(frozen=True)
class Conv:
    """A convolution of stride 1 with a square kernel, and ReLU; padded by zeros to the same size, or not at all."""

    filters: int
    kernel: int
    same: bool

    @property
    def margin(self) -> int:
        """Zeros on each side."""
        return self.kernel // 2 if self.same else 0


@dataclass(frozen=True)
class Pool:
    """The largest of each 2 x 2."""


@dataclass(frozen=True)
class Placed:
    """A convolution or a pool, by the shape of its input (height, width, channels)."""

    layer: Conv | Pool
    shape: tuple[int, int, int]

    @property
    def out(self) -> tuple[int, int, int]:
        """Shape of the output."""
        height, width, channels = self.shape
        if isinstance(self.layer, Pool):
            return height // 2, width // 2, channels
        less = self.layer.kernel - 1 - 2 * self.layer.margin
        return height - less, width - less, self.layer.filters

    @property
    def products(self) -> int:
        """Multiply-adds of one row; those with the zeros of the margin are not counted."""
        if isinstance(self.layer, Pool):
            return 0
        height, width = (_inside(n, self.layer) for n in self.shape[:2])
        return height * width * self.shape[2] * self.layer.filters


def _inside(n: int, layer: Conv) -> int:
    """Pairs of an output and a place of the kernel, along one axis, that meet inside of the image."""
    if not layer.same:
        return (n - layer.kernel + 1) * layer.kernel
    return n * layer.kernel - layer.margin * (layer.margin + 1)


@dataclass(frozen=True)
class Case(Named):
    """Rows (height, width, channels), float32; the hidden dense layer has ReLU too."""

    name: str
    shape: tuple[int, int, int]
    layers: tuple[Conv | Pool, ...]
    hidden: int
    batch: int

    def __str__(self) -> str:
        return f"{self.name}, {self.batch}"

    @property
    def label(self) -> dict[str, str]:
        """What a table says of it."""
        return {"network": self.name, "batch": str(self.batch)}

    @property
    def row_shape(self) -> tuple[int, ...]:
        return self.shape

    @property
    def classes(self) -> int:
        return CLASSES

    @cached_property
    def placed(self) -> tuple[Placed, ...]:
        """The layers before the dense ones, each with its shapes."""
        found: list[Placed] = []
        for layer in self.layers:
            found.append(Placed(layer, found[-1].out if found else self.shape))
        return tuple(found)

    @property
    def flat(self) -> int:
        """Inputs of the hidden dense layer: height, width, channels, in this order."""
        height, width, channels = self.placed[-1].out
        return height * width * channels

    @property
    def operations(self) -> int:
        convolutions = [one.products for one in self.placed]
        dense = self.flat * self.hidden + self.hidden * self.classes
        return 2 * self.batch * (3 * (sum(convolutions) + dense) - convolutions[0])

    @cached_property
    def weights(self) -> dict[str, Float]:
        """``conv k`` (height, width, inputs, filters) and ``conv k bias``, k of the layer; then ``dense k`` (n_in,
        n_out) and ``dense k bias``, k 0 and 1.
        """
        rng = np.random.default_rng(11)
        found: dict[str, Float] = {}
        for name, shape in self._shapes():
            fan_in = int(np.prod(shape[:-1]))
            limit = np.float32((3 / fan_in) ** 0.5)
            found[name] = rng.uniform(-limit, limit, shape).astype(np.float32)
            found[f"{name} bias"] = rng.uniform(-0.1, 0.1, shape[-1]).astype(np.float32)
        return found

    def _shapes(self) -> Iterator[tuple[str, Any]]:
        for number, one in enumerate(self.placed):
            if isinstance(one.layer, Conv):
                yield f"conv {number}", (one.layer.kernel, one.layer.kernel, one.shape[2], one.layer.filters)
        yield "dense 0", (self.flat, self.hidden)
        yield "dense 1", (self.hidden, self.classes)


def lenet(batch: int) -> Case:
    """5 x 5 without padding on 28 x 28."""
    layers = (Conv(16, 5, same=False), Pool(), Conv(32, 5, same=False), Pool())
    return Case("LeNet, 28x28", (28, 28, 1), layers, 128, batch)


def small_kernels(batch: int) -> Case:
    """3 x 3, padded, on 32 x 32 in colours."""
    pairs = [(Conv(n, 3, same=True), Conv(n, 3, same=True), Pool()) for n in (32, 64)]
    return Case("3x3, 32x32x3", (32, 32, 3), (*pairs[0], *pairs[1]), 128, batch)


CASES = (lenet(32), lenet(1), small_kernels(32))
QUICK = CASES[:2]
