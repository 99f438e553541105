"""Memory of torch, as arrays of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .parts import Binding

if TYPE_CHECKING:
    from numpy.typing import NDArray


def bound(tensor: Any) -> Binding:
    """A tensor of at most two dimensions, which torch holds transposed."""

    def read() -> NDArray[Any]:
        found: NDArray[Any] = tensor.detach().cpu().numpy()
        return found.T

    def write(array: NDArray[Any]) -> None:
        import torch

        with torch.no_grad():
            tensor.copy_(torch.from_numpy(np.ascontiguousarray(array.T)))

    return Binding(read, write)


def bound_as_it_is(tensor: Any) -> Binding:
    """A tensor that lies as ours do."""
    turned = bound(tensor)
    return Binding(lambda: turned.read().T, lambda array: turned.write(array.T))
