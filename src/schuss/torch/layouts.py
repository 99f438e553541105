"""Memory of tensors as arrays: of parameters, of their gradients, and of states back as tensors."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..rows import Rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

torch: Any = import_module("torch")

# The dtype that parameters of a dtype are computed in.
COMPUTED = {
    torch.float32: "float32",
    torch.bfloat16: "float32",
    torch.float16: "float32",
    torch.float64: "float64",
}
# NumPy's dtypes of the same bits.
_BITS: dict[Any, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32),
    torch.bfloat16: np.dtype(np.uint16),
    torch.float16: np.dtype(np.float16),
    torch.float64: np.dtype(np.float64),
}


def order_of(name: str, tensor: Any) -> tuple[int, ...]:
    """The order of the dimensions in which the elements lie one after the other; () where it is their own.

    Raises
    ------
    ValueError
        If they do not lie so in any order.
    """
    if tensor.is_contiguous():
        return ()
    strides, shape = tensor.stride(), tensor.shape
    order = tuple(sorted(range(tensor.dim()), key=lambda k: (-strides[k], -shape[k])))
    if not tensor.permute(order).is_contiguous():
        raise ValueError(
            f"{name} has strides {tuple(strides)} for shape {tuple(shape)}, expected elements that lie one after the "
            "other: it is updated in place"
        )
    return order


def array_of(name: str, tensor: Any, order: tuple[int, ...]) -> NDArray[Any]:
    """The memory of a parameter, in this order."""
    if tensor.layout is not torch.strided:
        raise TypeError(f"{name} is {tensor.layout}, expected a strided tensor")
    if tensor.dtype not in COMPUTED:
        raise TypeError(f"{name} is {tensor.dtype}, expected one of {', '.join(map(str, COMPUTED))}")
    if tensor.is_inference():
        raise TypeError(f"{name} was made in inference mode, expected a tensor that can be updated outside it")
    return _shared(name, tensor, order)


def _shared(name: str, tensor: Any, order: tuple[int, ...]) -> NDArray[Any]:
    plain = tensor.detach()
    try:
        if plain.dtype is torch.bfloat16:
            plain = plain.view(torch.uint16)
        array: NDArray[Any] = (plain.permute(order) if order else plain).numpy()
    except (RuntimeError, TypeError) as error:
        raise TypeError(f"{name} is a {type(tensor).__name__} without memory of its own: {error}") from None
    return array


def bits_of(tensor: Any) -> np.dtype[Any]:
    """The dtype of arrays that hold such a tensor's bits."""
    return _BITS.get(tensor.dtype, np.dtype(np.float32))


def tensor_over(array: NDArray[Any], order: tuple[int, ...]) -> Any:
    """A tensor over an array that lies in this order. 16 bits are a bfloat16."""
    found = torch.from_numpy(array)
    if array.dtype == np.uint16:
        found = found.view(torch.bfloat16)
    if not order:
        return found
    back = [0] * len(order)
    for place, k in enumerate(order):
        back[k] = place
    return found.permute(back)


class Gradients:
    """What steps take for gradients that do not lie just as their parameters do."""

    def __init__(self, tensors: list[Any], orders: list[tuple[int, ...]], names: list[str]) -> None:
        self._of = list(zip(tensors, orders, names, strict=True))

    def __call__(self, i: int, grad: Any) -> NDArray[Any] | Rows:
        """The i-th parameter's gradient, copied only where its parameter is contiguous and it is not."""
        tensor, order, name = self._of[i]
        name = f"{name}.grad"
        if grad.shape != tensor.shape:
            raise ValueError(f"{name} has shape {tuple(grad.shape)}, expected {tuple(tensor.shape)}")
        if grad.device.type != "cpu":
            raise ValueError(f"{name} is on device {grad.device}, expected cpu, as its parameter")
        if grad.dtype not in COMPUTED:
            raise TypeError(f"{name} is {grad.dtype}, expected one of {', '.join(map(str, COMPUTED))}")
        if grad.layout is torch.sparse_coo:
            return _rows(name, grad, order)
        if grad.layout is not torch.strided:
            raise TypeError(f"{name} is {grad.layout}, expected a strided or a sparse_coo tensor")
        if order and not _alike(grad, tensor):
            raise ValueError(
                f"{name} has strides {grad.stride()}, expected those of its parameter, {tensor.stride()}: only a "
                "contiguous parameter may have a gradient that lies otherwise"
            )
        return _shared(name, grad.detach().resolve_conj().resolve_neg(), order)


def _alike(grad: Any, tensor: Any) -> bool:
    return all(n < 2 or a == b for n, a, b in zip(tensor.shape, grad.stride(), tensor.stride(), strict=True))


def _rows(name: str, grad: Any, order: tuple[int, ...]) -> Rows:
    if grad.sparse_dim() != 1:
        raise ValueError(f"{name} is sparse in {grad.sparse_dim()} dimensions, expected 1: rows")
    if order:
        raise ValueError(f"{name} is of some rows, expected that its parameter is contiguous; got {order=}")
    whole = grad.detach().coalesce()
    values = whole.values()
    values = values.float() if values.element_size() == 2 else values
    return Rows(whole.indices()[0].numpy(), np.ascontiguousarray(values.numpy()))


class Names:
    """What messages call parameters: by their names where there are some, else by their places."""

    def __init__(self, names: list[str]) -> None:
        self._names = names

    def parameter(self, i: int) -> str:
        """What messages call the i-th parameter."""
        return self._names[i]

    def gradient(self, i: int) -> str:
        """What messages call its gradient."""
        return f"{self._names[i]}.grad"


def names_of(group: dict[str, Any], k: int) -> list[str]:
    """What messages call the parameters of group k."""
    given = group.get("param_names")
    if isinstance(given, list) and len(given) == len(group["params"]):
        return [str(name) for name in given]
    return [f"param_groups[{k}]['params'][{j}]" for j in range(len(group["params"]))]
