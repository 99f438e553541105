"""Networks in files: NumPy's .npz, or .safetensors; the same content either way.

Arrays are stored by name, everything else as JSON with a checksum for each array, so that damage is found whatever the
container checks itself. Nothing is pickled.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core
from .arguments import file_path, shown
from .files.containers import checksum, checksum_of_text, container
from .history import History
from .layers import of_description
from .layers.graph import built
from .network import Network
from .optim import BY_NAME, Optimizer
from .optim.state import NOT_HYPER

if TYPE_CHECKING:
    from numpy.typing import NDArray

FORMAT = "schuss network"
# 2: each layer's kind is stored, and the states of layers.
VERSION = 2


def save(
    network: Network, path: str | os.PathLike[str], optimizer: Optimizer | None, metadata: dict[str, Any] | None
) -> None:
    """`Network.save`, which documents it."""
    import json

    name = file_path("path", path)
    encode = container(name).encode
    if metadata is None:
        metadata = network.metadata
    if not isinstance(metadata, dict):
        raise TypeError(f"metadata must be a dict; got {shown(metadata)}")
    if optimizer is None:
        optimizer = network.optimizer
    elif not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an Optimizer over net.parameters; got {shown(optimizer)}")
    content = {f"parameters.{k}": np.ascontiguousarray(array) for k, array in enumerate(network.parameters)}
    content.update((f"states.{k}", np.ascontiguousarray(array)) for k, array in enumerate(network._core.states))
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "layers": [layer.described() for layer in network.layers],
        "dtype": network.dtype.name,
        "seed": network.seed,
        "epochs_done": network.epochs_done,
        "draws": network._core.draws,
        "optimizer": None if optimizer is None else _described(network, optimizer, content),
        "history": _described_history(network.history, content),
    }
    try:
        header["metadata"] = metadata
        header["checksums"] = {name: checksum(array) for name, array in content.items()}
        text = json.dumps(header)
    except (TypeError, ValueError) as error:
        raise TypeError(f"metadata must be what JSON can hold; {error}") from None
    from .files.writing import replace

    replace(os.path.realpath(name), encode(content, text))


def load(path: str | os.PathLike[str]) -> Network:
    """Read a network from a file written by `Network.save`.

    Parameters
    ----------
    path : str or path
        Ending in .npz or .safetensors.

    Returns
    -------
    Network
        With its optimizer (bound to its parameters), history, counters and metadata.

    Raises
    ------
    ValueError
        If the file is damaged, truncated, of a newer version, or not of this kind.
    OSError
        If it cannot be read.
    ImportError
        If it is a .safetensors file and that package is not installed.
    """
    import json

    name = file_path("path", path)
    decode = container(name).decode
    kind = os.stat(name).st_mode
    if not stat.S_ISREG(kind) and not stat.S_ISDIR(kind):  # reading it might never end
        raise ValueError(f"{name} is no regular file")
    with open(name, "rb") as file:
        data = file.read()
    content, text, found = decode(name, data)
    try:
        if found != checksum_of_text(text):
            raise ValueError("its header does not fit its checksum")
        header = json.loads(text)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise ValueError("its header is not that of a network")
        newer = header["version"] > VERSION
        network = None if newer else _assembled(header, content)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{name} is damaged: {error if isinstance(error, ValueError) else repr(error)}") from None
    if network is None:
        raise ValueError(
            f"{name} has format version {header['version']}, newer than {VERSION}, the newest that this version of "
            f"schuss reads"
        )
    return network


def _described(network: Network, optimizer: Optimizer, content: dict[str, NDArray[Any]]) -> dict[str, Any]:
    indices = network._indices_of(optimizer)
    kind = next((name for name, known in BY_NAME.items() if type(optimizer) is known), None)
    if kind is None:
        raise ValueError(f"optimizer must be one of {', '.join(BY_NAME)} to be saved; got {shown(optimizer)}")
    states = optimizer._states()
    for k, number in enumerate(itertools.chain(*optimizer._members())):
        for name, array in states[number].items():
            content[f"optimizer.{k}.{name}"] = np.asarray(array, order="C")  # may be of no dimension
    groups = [
        {**{key: value for key, value in group.items() if key not in NOT_HYPER}, "params": own}
        for group, own in zip(optimizer.param_groups, indices, strict=True)
    ]
    from .schedules.plain import as_data

    schedules, places = as_data([group["schedule"] for group in optimizer.param_groups])
    memories = optimizer._stepper.memories.tolist() if optimizer._memory else None
    return {
        "kind": kind,
        "steps": optimizer.steps,
        "groups": groups,
        "order": optimizer._group_of,
        "memories": memories,
        "schedules": schedules,
        "scheduled": places,
    }


def _described_history(history: History, content: dict[str, NDArray[Any]]) -> dict[str, Any]:
    content["history.epochs"] = history.epochs
    content["history.seconds"] = history.times
    content["history.lr"] = history.lr
    for k, name in enumerate(history.names):
        content[f"history.{k}"] = history[name]
    return {"names": history.names, "stopped": history.stopped, "monitor": history._monitor}


def _assembled(header: Mapping[str, Any], content: dict[str, NDArray[Any]]) -> Network:
    """The network of a file. Shapes are compared with the file's before anything of their size is allocated."""
    checksums = header["checksums"]
    for name in (*checksums, *content):
        if name not in content or name not in checksums:
            raise ValueError(f"its array {name!r} is missing or unexpected")
        if checksum(content[name]) != checksums[name]:
            raise ValueError(f"its array {name!r} does not fit its checksum")
    layers = [of_description(layer) for layer in header["layers"]]
    dtype = np.dtype(header["dtype"])
    shapes, states = _core.shapes(built(layers).nodes)
    for kind, of_layers in (("parameters", shapes), ("states", states)):
        found = sum(name.startswith(f"{kind}.") for name in content)
        if found > len(of_layers):  # of those that are missing it is told which
            raise ValueError(f"it has {found} arrays of {kind}, its layers have {len(of_layers)}")
    parameters = [_taken(content, f"parameters.{k}", shape, dtype) for k, shape in enumerate(shapes)]
    network = Network.__new__(Network)
    network.__setstate__(
        {
            "layers": layers,
            "seed": header["seed"],
            "dtype": header["dtype"],
            "parameters": parameters,
            "states": [_taken(content, f"states.{k}", shape, dtype) for k, shape in enumerate(states)],
            "draws": header["draws"],
            "epochs_done": header["epochs_done"],
            "history": _history(header["history"], content),
            "metadata": header["metadata"],
            "optimizer": None,
        }
    )
    if header["optimizer"] is not None:
        network.optimizer = _optimizer(network, header["optimizer"], content)
    return network


def _optimizer(network: Network, described: Mapping[str, Any], content: dict[str, NDArray[Any]]) -> Optimizer:
    kind = BY_NAME[described["kind"]]
    groups = [{**group, "params": [network.parameters[k] for k in group["params"]]} for group in described["groups"]]
    for group in groups:
        for key in kind._tuples:
            if key in group:
                group[key] = tuple(group[key])
    from .schedules.plain import of_data

    schedules = of_data(described.get("schedules", ()))
    optimizer = kind(groups)
    for group, place in zip(optimizer.param_groups, described.get("scheduled", ()), strict=False):
        group["schedule"] = None if place is None else schedules[place]
    if "order" in described:
        if sorted(described["order"]) != sorted(optimizer._group_of):
            raise ValueError("its order of parameters does not fit its groups")
        optimizer._take_order(described["order"])
    states = optimizer._states()
    for k, number in enumerate(itertools.chain(*optimizer._members())):
        for name, state in states[number].items():
            state[...] = _taken(content, f"optimizer.{k}.{name}", state.shape, state.dtype)
    if described.get("memories") is not None:
        optimizer._stepper.memories[...] = described["memories"]
    optimizer._stepper.steps = described["steps"]
    return optimizer


def _history(described: Mapping[str, Any], content: dict[str, NDArray[Any]]) -> History:
    history = History()
    length = (len(content["history.epochs"]),)
    columns = {
        name: _taken(content, f"history.{k}", length, np.dtype(np.float64)) for k, name in enumerate(described["names"])
    }
    seconds = _taken(content, "history.seconds", length, np.dtype(np.float64))
    rates = _taken(content, "history.lr", length, np.dtype(np.float64))
    for k, epoch in enumerate(content["history.epochs"].tolist()):
        logs = {name: float(values[k]) for name, values in columns.items()}
        history.append(epoch, float(seconds[k]), float(rates[k]), logs)
    history.stopped = described["stopped"]
    history._monitor = None if described["monitor"] is None else tuple(described["monitor"])
    return history


def _taken(
    content: Mapping[str, NDArray[Any]], name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    array = content[name]
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"its array {name!r} must be {dtype} of shape {shape}, not {array.dtype} of {array.shape}")
    return array
