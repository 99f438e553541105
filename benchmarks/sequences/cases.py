"""What is trained on sequences: one recurrent layer, whose last output goes through a dense one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..cases import Float, Named

CLASSES = 10
# Blocks of units whose gates a product makes.
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


@dataclass(frozen=True)
class Case(Named):
    """Rows (times, inputs), float32: tanh, torch's order of gates, the reset gate behind the product."""

    kind: str
    times: int
    batch: int
    inputs: int
    units: int

    def __str__(self) -> str:
        return f"{self.kind} T{self.times} B{self.batch} I{self.inputs} H{self.units}"

    @property
    def label(self) -> dict[str, str]:
        """What a table says of it."""
        network = f"{self.kind} {self.inputs}-{self.units}-{self.classes}"
        return {"network": network, "times": str(self.times), "batch": str(self.batch)}

    @property
    def row_shape(self) -> tuple[int, ...]:
        return self.times, self.inputs

    @property
    def classes(self) -> int:
        return CLASSES

    @property
    def width(self) -> int:
        """Of all gates."""
        return GATES[self.kind] * self.units

    @property
    def operations(self) -> int:
        """Of the products of a step. The state before the first time is zero: nothing is counted for it."""
        inputs = 2 * self.times * self.inputs * self.width
        states = 3 * (self.times - 1) * self.units * self.width
        return 2 * self.batch * (inputs + states + 3 * self.units * self.classes)

    @cached_property
    def weights(self) -> dict[str, Float]:
        """``weight`` (inputs, gates) and ``recurrent`` (units, gates), ``bias``, in the GRU ``recurrent_bias`` too;
        ``dense`` and ``dense_bias``. Gates stand as in torch: input, forget, cell, output; reset, update, new.
        """
        rng = np.random.default_rng(11)
        shapes: dict[str, Any] = {"weight": (self.inputs, self.width), "recurrent": (self.units, self.width)}
        shapes["bias"] = (self.width,)
        if self.kind == "GRU":
            shapes["recurrent_bias"] = (self.width,)
        shapes |= {"dense": (self.units, self.classes), "dense_bias": (self.classes,)}
        limit = np.float32(self.units**-0.5)
        return {name: rng.uniform(-limit, limit, shape).astype(np.float32) for name, shape in shapes.items()}


CASES = (
    Case("LSTM", 32, 32, 16, 64),
    Case("GRU", 32, 32, 16, 64),
    Case("RNN", 32, 32, 16, 32),
    Case("LSTM", 100, 64, 8, 32),
    Case("LSTM", 28, 128, 28, 128),
    Case("GRU", 24, 1, 8, 32),
)
QUICK = (CASES[0], CASES[1], CASES[5])
