"""Networks of torch and of Keras as networks here, and back, with their weights.

Each is one call: ``net = from_torch(module, (1, 28, 28))``, ``module = to_torch(net)``,
``from_keras(model)``, ``to_keras(net)``. Neither library is imported before it is needed: what comes from there is read
by what it tells of itself.
"""

from __future__ import annotations

from .keras import from_keras, to_keras
from .torch import from_torch, to_torch

__all__ = ["from_keras", "from_torch", "to_keras", "to_torch"]
