"""Muon, which steps matrices alone."""

from __future__ import annotations

from typing import Any

from .. import optim
from .base import Optimizer


class Muon(Optimizer, of=optim.Muon, like="Muon"):
    def _check_params(self, group: dict[str, Any], names: list[str]) -> None:
        for name, tensor in zip(names, group["params"], strict=True):
            if tensor.dim() != 2:
                raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected a matrix: give it to AdamW")
