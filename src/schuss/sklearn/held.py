"""Validation data as the estimators hold them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class Held:
    """Validation data: y in the form that the network is fitted to, and as the user has it."""

    X: Any
    encoded: NDArray[Any]
    y: NDArray[Any]
    weights: NDArray[Any] | None
