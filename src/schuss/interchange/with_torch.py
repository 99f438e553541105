"""Networks from modules of torch, and modules of torch from networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import flag, integer, shown
from ..layers import Input
from . import torch_images, torch_recurrent
from .parts import Part, check_dense, check_same, network_of, shape_behind, written
from .torch_layers import READERS, WRITERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..network import Network

_RECURRENT = ("RNN", "GRU", "LSTM")
# All that are known, and what messages say of them.
_READERS = {**READERS, **torch_images.READERS}
_KNOWN = (*_READERS, *torch_images.PADS)
_HINT = "give the list of the layers that have counterparts, in their order"


def from_torch(
    module: Any, input_shape: Any = None, *, return_sequences: bool | None = None, seed: int | None = None
) -> Network:
    """A network with the layers and the weights of a module of torch.

    Known are Linear, RNN, GRU and LSTM with all their layers and directions, Conv1d, Conv2d, max and average pools,
    adaptive pools of all positions, Flatten, zero padding in front of a convolution, Embedding, LayerNorm, BatchNorm1d,
    BatchNorm2d, Dropout, Identity, activations, and Sequential of these. A module of one's own is taken as its layers,
    one after the other in the order in which it has them, and then asked: unless it gives what they give, it is
    refused.

    Parameters
    ----------
    module : torch.nn.Module or list of these
        In a list, layers one after the other.
    input_shape : int or tuple, optional
        Of a row: columns, (times, features), or (times,) of codes for an Embedding; of networks with convolutions,
        pools or Flatten, as torch has it, (channels, height, width) or (channels, times). Default: that of a first
        Linear.
    return_sequences : bool, optional
        Whether the last recurrent layer hands on the outputs of all times, as torch's first result has them, rather
        than the state after the last one. Default: what the module does; a list has to be told.
    seed : int, optional
        Of the network.

    Returns
    -------
    Network
        In the module's dtype. Its rows come first, whatever the module's ``batch_first``. Where torch has the channels
        first, its input has them, too (``Input(..., channels="first")``); its layers have them last, so that weights
        behind a Flatten change their places, and so has what comes out of it at each position.

    Raises
    ------
    ValueError, TypeError
        If a layer is not known, or one of its arguments has no counterpart: the message has its name.

    See Also
    --------
    to_torch : The weights back, after training.

    Examples
    --------
    >>> import torch, schuss  # doctest: +SKIP
    >>> lstm = torch.nn.LSTM(16, 64, num_layers=2, bidirectional=True, batch_first=True)  # doctest: +SKIP
    >>> net = schuss.from_torch([lstm, torch.nn.Linear(128, 1)], (32, 16), return_sequences=False)  # doctest: +SKIP
    """
    leaves = list(_leaves(module, "module"))
    if not leaves:
        raise ValueError(f"module must have a layer; got {shown(module)}")
    first = _input_of(leaves[0], input_shape, _has_channels_first(leaves))
    dtype = _dtype_of(leaves)
    candidates = _candidates(module, leaves, return_sequences)
    error: ValueError | None = None
    for sequences in candidates:
        net = network_of(first, _read(leaves, first, sequences), dtype, seed)
        if isinstance(module, (list, tuple)):
            return net
        try:
            x = _rows(first, leaves, dtype)
            check_same(net, x, _asked(module, leaves, first, x), _HINT)
        except ValueError as wrong:
            if error is None or "numbers" in str(wrong):  # of the right shape: this is what is meant
                error = wrong
        else:
            return net
    assert error is not None
    raise error


def to_torch(network: Network, module: Any = None) -> Any:
    """A module of torch with a network's layers and weights, or one that is there with its weights.

    Parameters
    ----------
    network : Network
        Of layers that `from_torch` knows, one after the other; `Bidirectional` is one.
    module : torch.nn.Module or list of these, optional
        What gets the weights, in place: it has to be of the same layers. Default: a new ``torch.nn.Sequential``, whose
        recurrent layers hand on one array.

    Returns
    -------
    torch.nn.Module
        The module.

    Raises
    ------
    ValueError, TypeError
        If a layer has no counterpart, or the module is of others; it is then as it was.
    """
    if module is None:
        module = _made(network)
    leaves = list(_leaves(module, "module"))
    first = network.inputs[0]
    parts = _read(leaves, first, _hands_on_all(network))
    undo = written(network, parts)
    if not isinstance(module, (list, tuple)):
        try:
            x = _rows(first, leaves, network.dtype)
            check_same(network, x, _asked(module, leaves, first, x), _HINT)
        except ValueError:
            undo()
            raise
    return module


# ---- reading ---------------------------------------------------------------------------------------------------------


def _leaves(module: Any, where: str) -> Iterator[tuple[str, str, Any]]:
    """What messages call it, the name of its class, and each module that has no known ones inside."""
    import torch

    from .torch_modules import Recurrent

    if isinstance(module, (list, tuple)):
        for k, one in enumerate(module):
            yield from _leaves(one, f"{where}[{k}]")
        return
    if not isinstance(module, torch.nn.Module):
        raise TypeError(f"{where} must be a torch.nn.Module; got {shown(module)} ({type(module).__name__})")
    name = type(module).__name__
    if type(module) is Recurrent or (name in _KNOWN and type(module) is getattr(torch.nn, name, None)):
        yield where, name, module
        return
    children = list(module.named_children())
    if not children or module._parameters:
        raise TypeError(f"{where} must be made of layers that are known ({', '.join(_KNOWN)}); got {name}")
    for child, one in children:
        yield from _leaves(one, f"{where}.{child}")


def _has_channels_first(leaves: Sequence[tuple[str, str, Any]]) -> bool:
    """Whether these are modules for images, or for series as images of one line."""
    return any(name in torch_images.READERS for _, name, _m in leaves)


def _read(leaves: Sequence[tuple[str, str, Any]], first: Input, sequences: bool) -> list[Part]:
    """Parts of all modules; of recurrent ones all but the last hand on all times."""
    last = max((k for k, (_, name, _m) in enumerate(leaves) if name in _RECURRENT), default=-1)
    readers = {**_READERS, **torch_images.ALSO} if _has_channels_first(leaves) else _READERS
    parts: list[Part] = []
    order: NDArray[np.intp] | None = None
    pads: tuple[str, Any] | None = None
    for k, (where, name, module) in enumerate(leaves):
        if name in torch_images.PADS:
            pads = where, module
            continue
        shape = shape_behind(first, parts)
        if _has_channels_first(leaves) and shape.dims and name in ("Linear", "LayerNorm"):
            raise ValueError(f"{where} must come behind a Flatten: torch has the channels first; got {shape.of_row}")
        reader = torch_recurrent.read_one_array if name == "Recurrent" else readers[name]
        found = reader(module, where, shape, sequences or k != last)
        if pads is not None:
            found, pads = torch_images.padded(found, *pads), None
        if order is not None:
            found = [torch_images.reordered(part, order) for part in found]
            order = None if name == "Linear" else order
        if name == "Flatten" and found:
            order = torch_images.order_behind(shape)
        parts += found
    if pads is not None:
        raise ValueError(f"{pads[0]} must come before a convolution or a max pool, which pad here")
    if order is not None and not np.array_equal(order, np.arange(len(order))):
        raise ValueError(f"{leaves[-1][0]} must be a Linear behind Flatten: torch's columns are in another order")
    if not parts:
        raise ValueError("module must have a layer that computes something; got none")
    return parts


def _input_of(leaf: tuple[str, str, Any], given: Any, channels_first: bool) -> Input:
    """What comes in, in front of the first module."""
    where, name, module = leaf
    recurrent = name in (*_RECURRENT, "Recurrent")
    if given is None:
        if name != "Linear":
            kind = "(times, features)" if recurrent else "columns, (times, features) or (times,)"
            if channels_first:
                kind = "(channels, height, width) or (channels, times)"
            raise ValueError(f"input_shape must be {kind} for {where}, {name}, which tells no more; got None")
        return Input("x", module.in_features)
    sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,)
    sizes = tuple(integer("input_shape" if len(sizes) == 1 else f"input_shape[{k}]", n, 1) for k, n in enumerate(sizes))
    if name == "Embedding":
        if len(sizes) != 1:
            raise ValueError(f"input_shape must be (times,) for {where}, Embedding; got {shown(given)}")
        return Input("x", (*sizes, 1), dtype="int64")
    if recurrent and len(sizes) != 2:
        raise ValueError(f"input_shape must be (times, features) for {where}, {name}; got {shown(given)}")
    if channels_first and len(sizes) > 1:
        return Input("x", sizes, channels="first")
    return Input("x", sizes if len(sizes) > 1 else sizes[0])


def _dtype_of(leaves: Sequence[tuple[str, str, Any]]) -> str:
    found = {str(p.dtype).removeprefix("torch.") for _, _, module in leaves for p in module.parameters()}
    if not found:
        return "float32"
    if len(found) > 1 or not found <= {"float32", "float64"}:
        raise TypeError(f"module must have parameters of float32 or of float64; got {', '.join(sorted(found))}")
    return found.pop()


def _candidates(module: Any, leaves: Sequence[tuple[str, str, Any]], given: bool | None) -> tuple[bool, ...]:
    """What the last recurrent layer may hand on."""
    if given is not None:
        return (flag("return_sequences", given),)
    if not any(name in _RECURRENT for _, name, _m in leaves):
        return (True,)
    if isinstance(module, (list, tuple)):
        raise ValueError("return_sequences must be True or False for a list of layers with a recurrent one; got None")
    return (True, False)


# ---- asking ----------------------------------------------------------------------------------------------------------


def _rows(first: Input, leaves: Sequence[tuple[str, str, Any]], dtype: Any) -> NDArray[Any]:
    """Rows to compare by."""
    rng = np.random.default_rng(0)
    if first.codes:
        return rng.integers(0, leaves[0][2].num_embeddings, (3, *first.row_shape))
    return rng.normal(size=(3, *first.row_shape)).astype(dtype)


def _asked(module: Any, leaves: Sequence[tuple[str, str, Any]], first: Input, x: NDArray[Any]) -> NDArray[Any]:
    """What the module gives for these rows."""
    import torch

    inside = [one.layer if name == "Recurrent" else one for _, name, one in leaves]
    turned = any(not getattr(one, "batch_first", True) for one in inside)
    channels_first = _has_channels_first(leaves)
    if channels_first and first.dims and first.channels == "last":
        x = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    given = torch.from_numpy(x)
    if first.codes and first.n == 1:
        given = given[..., 0]
    try:
        with torch.no_grad():
            found = deepcopy(module).eval()(given.transpose(0, 1).contiguous() if turned else given)
    except Exception as error:
        raise ValueError(f"module must take rows of shape {x.shape}; got {type(error).__name__}: {error}") from error
    while isinstance(found, (tuple, list)):
        found = found[0]
    if turned and found.ndim == 3:
        found = found.transpose(0, 1)
    if channels_first and found.ndim > 2:
        found = found.movedim(1, -1)
    array: NDArray[Any] = found.cpu().numpy()
    return array


# ---- writing ---------------------------------------------------------------------------------------------------------


def _hands_on_all(network: Network) -> bool:
    """Whether the last recurrent layer does."""
    found = [numbers["sequences"] for _, _, _, numbers, *_rest in network._graph.nodes if "sequences" in numbers]
    return bool(found and found[-1])


def _made(network: Network) -> Any:
    """A Sequential of a network's layers."""
    import torch

    if len(network.inputs) > 1:
        raise ValueError(f"network must have one input; got {len(network.inputs)}")
    first = network.inputs[0]
    check_dense(first)
    layers = [layer for layer in network.layers if not isinstance(layer, Input)]
    channels_first = any(layer.kind in torch_images.WRITERS for layer in layers)
    if first.channels == "first" and not channels_first:
        raise ValueError("network must have an input with the channels last; got 'first'")
    writers = {**WRITERS, **torch_images.WRITERS}
    if channels_first:
        writers["batch_norm"] = torch_images.made_batch_norm
    behind: list[Part] = []
    modules: list[Any] = []
    for k, layer in enumerate(layers):
        where = f"network.layers[{k + len(network.layers) - len(layers)}]"
        if layer.kind not in writers:
            raise TypeError(f"{where} must be one of {', '.join(writers)}; got {type(layer).__name__}")
        modules += writers[layer.kind](layer, shape_behind(first, behind), where)
        behind.append(Part(layer, {}, where))
    made = torch.nn.Sequential(*modules)
    return made.double() if network.dtype == np.float64 else made
