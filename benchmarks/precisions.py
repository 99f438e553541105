"""How parameters, gradients and moments of AdamW may lie in memory: what this takes, and what a step moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Bytes of an element. A block of 256 elements of 8 bits has a scale of 4 bytes.
BYTES = {"float32": 4.0, "bfloat16": 2.0, "8bit": 1 + 4 / 256}
MOMENTS = 2


@dataclass(frozen=True)
class Precision:
    """One way to keep AdamW's numbers.

    Attributes
    ----------
    name : str
        Its row.
    stored : {"float32", "bfloat16"}
        The parameters and their gradients.
    states : {"float32", "bfloat16", "8bit"}
        The two moments.
    master : {None, "float32", "split"}
        A second copy of the parameters in float32; or the 16 bits that bfloat16 leaves out.
    """

    name: str
    stored: str
    states: str = "float32"
    master: str | None = None

    @property
    def held(self) -> float:
        """Bytes a parameter that stay in memory, the gradient not counted."""
        return BYTES[self.stored] + self._master + MOMENTS * BYTES[self.states]

    @property
    def moved(self) -> float:
        """Bytes a parameter that a step reads and writes in one pass."""
        written = self.held + (self.master != "float32") * BYTES[self.stored]
        # A copy of the master is written, not read.
        return written + BYTES[self.stored] + self._master + MOMENTS * BYTES[self.states]

    @property
    def plain(self) -> bool:
        """Whether all of it is float32."""
        return {self.stored, self.states} == {"float32"}

    @property
    def options(self) -> Mapping[str, Any]:
        """What `set_precision` and the optimizers over tensors are given."""
        return {"states": self.states, "master": self.master}

    @property
    def _master(self) -> float:
        return {None: 0.0, "float32": 4.0, "split": 2.0}[self.master]


FLOAT32 = Precision("float32", "float32")
BFLOAT16 = Precision("bf16", "bfloat16")
MASTER = Precision("bf16, master float32", "bfloat16", master="float32")
EIGHT = Precision("float32, moments 8 bit", "float32", "8bit")
ALL = (
    FLOAT32,
    BFLOAT16,
    MASTER,
    Precision("bf16, split", "bfloat16", master="split"),
    Precision("bf16, moments bf16", "bfloat16", "bfloat16"),
    Precision("bf16, split, moments bf16", "bfloat16", "bfloat16", "split"),
    EIGHT,
    Precision("bf16, moments 8 bit", "bfloat16", "8bit"),
    Precision("bf16, split, moments 8 bit", "bfloat16", "8bit", "split"),
)
