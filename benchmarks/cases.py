"""What is trained: shapes, data and start weights, the same for everybody."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
LEARNING_RATE = 1e-3
BETAS = (0.9, 0.999)
EPS = 1e-8
# Steps whose losses must agree; fewer where a step has more operations than this.
CHECKED_STEPS = 20
FEWER_CHECKED_STEPS = 5
_SLOW = 2e10
_MOST_STEPS = 512


class Problem(ABC):
    """A network and a batch size, trained by the mean cross-entropy of integer labels with Adam."""

    batch: int

    @property
    @abstractmethod
    def row_shape(self) -> tuple[int, ...]:
        """Of one row of the input."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """How many labels there are."""

    @property
    @abstractmethod
    def operations(self) -> int:
        """Floating-point operations of a step's matrix products: forward, weight gradients, and all input gradients
        but the first.
        """

    @property
    @abstractmethod
    def parameters(self) -> int:
        """How many numbers are trained."""

    @property
    def state_bytes(self) -> int:
        """Of the parameters and the two moments of Adam: the memory that a step has to touch."""
        return 3 * 4 * self.parameters

    @property
    def moved_bytes(self) -> int:
        """What a step cannot do without: parameters and moments read and written, the rows of the batch gathered. The
        gradients are not in it: they can be used up where they are born.
        """
        return 2 * self.state_bytes + 2 * 4 * self.batch * math.prod(self.row_shape)

    @property
    def epoch_steps(self) -> int:
        """Steps of the epochs that are timed: some thousand rows, or four steps of what is slow."""
        return 4 if self.operations > _SLOW else max(4, 4096 // self.batch)

    @property
    def checked_steps(self) -> int:
        """Steps whose losses must agree."""
        return CHECKED_STEPS if self.operations <= _SLOW else FEWER_CHECKED_STEPS

    @cached_property
    def data(self) -> tuple[Float, NDArray[np.int64]]:
        """Rows and labels. Each row comes twice with different labels: no loss reaches zero, no gradient dies out."""
        rng = np.random.default_rng(7)
        half = self.batch * max(self.checked_steps, self.epoch_steps) // 2 + 1
        x = rng.standard_normal((half, *self.row_shape), np.float32)
        y = rng.integers(0, self.classes, half)
        return np.concatenate([x, x]), np.concatenate([y, (y + 1) % self.classes])

    @cached_property
    def batches(self) -> list[tuple[Float, NDArray[np.int64]]]:
        """Views of the data, cut before anything is timed."""
        x, y = self.data
        size = self.batch
        return [(x[k : k + size], y[k : k + size]) for k in range(0, len(x) - size + 1, size)]


@dataclass(frozen=True)
class Case(Problem):
    """Dense layers: ReLU between them."""

    sizes: tuple[int, ...]
    batch: int

    def __str__(self) -> str:
        return f"{self.layers}, {self.batch}"

    @property
    def layers(self) -> str:
        return "-".join(map(str, self.sizes))

    @property
    def row_shape(self) -> tuple[int, ...]:
        return self.sizes[:1]

    @property
    def classes(self) -> int:
        return self.sizes[-1]

    @property
    def products(self) -> int:
        """Weights in all layers: multiplications and additions of one row's forward pass."""
        return sum(a * b for a, b in pairwise(self.sizes))

    @property
    def operations(self) -> int:
        first = self.sizes[0] * self.sizes[1]
        return 2 * self.batch * (3 * self.products - first)

    @property
    def parameters(self) -> int:
        return self.products + sum(self.sizes[1:])

    @cached_property
    def weights(self) -> list[tuple[Float, Float]]:
        """Start weights (n_in, n_out) and biases (n_out,) of each layer."""
        rng = np.random.default_rng(11)
        found = []
        for n_in, n_out in pairwise(self.sizes):
            limit = np.float32((6 / n_in) ** 0.5)
            w = rng.uniform(-limit, limit, (n_in, n_out)).astype(np.float32)
            found.append((w, np.zeros(n_out, np.float32)))
        return found


class Named(Problem):
    """A network whose parameters are known by names."""

    @property
    @abstractmethod
    def weights(self) -> dict[str, Float]:
        """What training starts from, by name, in the order in which layers use them."""

    @property
    def parameters(self) -> int:
        return sum(array.size for array in self.weights.values())

    @property
    def epoch_steps(self) -> int:
        """So many that an epoch takes about a tenth of a second at best."""
        return max(4, min(_MOST_STEPS, 4096 // self.batch, int(_SLOW // self.operations)))


CASES = (
    Case((4, 16, 3), 1),
    Case((64, 100, 10), 32),
    Case((64, 100, 10), 200),
    Case((20, 64, 64, 2), 64),
    Case((784, 256, 10), 128),
    Case((784, 512, 512, 10), 128),
    Case((1024, 1024, 1024, 1024, 10), 256),
    Case((1024, 4096, 4096, 1000), 512),
)
QUICK = (CASES[0], CASES[1], CASES[4])


def chosen(options: Any) -> tuple[Case, ...]:
    """The cases of the given command-line options."""
    return QUICK if options.quick else CASES
