"""Recommenders in files, .npz or .safetensors: arrays by name, all else as JSON with checksums, as for networks."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import file_path, integer
from ..files.containers import checksum, checksum_of_text, container
from ..files.networks import as_damage
from ..files.writing import replace
from ..schedules.plain import as_data, of_data
from .matrices import Compressed
from .table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .pairwise import PairwiseRanker

    Content = tuple[dict[str, Any], dict[str, NDArray[Any]]]

FORMAT = "schuss recommender"
# The newest that this code reads and writes.
VERSION = 1


def write(path: str | os.PathLike[str], kind: str, header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> None:
    """Replace a file by one of this kind of recommender."""
    name = file_path("path", path)
    encode = container(name).encode
    sums = {key: checksum(array) for key, array in arrays.items()}
    text = json.dumps({"format": FORMAT, "version": VERSION, "kind": kind, "checksums": sums, **header})
    replace(os.path.realpath(name), encode(arrays, text))


def read(path: str | os.PathLike[str]) -> tuple[str, dict[str, Any], dict[str, NDArray[Any]]]:
    """The name of a file, its header, which names the kind, and its arrays. ValueError that says what is wrong."""
    name = file_path("path", path)
    decode = container(name).decode
    if not stat.S_ISREG(os.stat(name).st_mode) and not os.path.isdir(name):  # reading it might never end
        raise ValueError(f"{name} is no regular file")
    with open(name, "rb") as file:
        data = file.read()
    arrays, text, found = decode(name, data)
    with as_damage(name):
        if found != checksum_of_text(text):
            raise ValueError("its header does not fit its checksum")
        header = json.loads(text)
        ours = isinstance(header, dict) and header.get("format") == FORMAT
        version = integer("version", header.get("version"), 1) if ours else 0
    if not ours:
        raise ValueError(f"{name} holds no recommender: schuss.load reads networks, and schuss.load_table tables")
    if version > VERSION:
        raise ValueError(f"{name} has format version {version}, newer than {VERSION}, the newest that is read here")
    with as_damage(name):
        if header["checksums"] != {key: checksum(array) for key, array in arrays.items()}:
            raise ValueError("its arrays do not fit their checksums")
    return name, header, arrays


def load(path: str | os.PathLike[str]) -> Any:
    """Read a recommender from a file that its ``save`` has written.

    Parameters
    ----------
    path : str or path
        Ending in .npz or .safetensors.

    Returns
    -------
    PairwiseRanker
        Which goes on where it was saved: further fits give the bits that they would have given there.

    Raises
    ------
    ValueError
        That says what is wrong with the file. Files of strangers may be read: nothing in one is run.
    """
    name, header, arrays = read(path)
    with as_damage(name):
        if header["kind"] == "PairwiseRanker":
            return _ranker(header, arrays)
        raise ValueError(f"it holds a {header['kind']}, which is not known here")


def of_ranker(model: PairwiseRanker, users: Table, items: Table) -> Content:
    """What a file of a ranker holds."""
    arguments = model.get_params()
    seed = arguments["random_state"]
    arguments["random_state"] = int(seed) if isinstance(seed, (int, np.integer)) else None
    arguments["dtype"] = np.dtype(arguments["dtype"]).name
    schedules: list[dict[str, Any]] = []
    if callable(arguments["learning_rate"]):
        schedules, places = as_data([arguments["learning_rate"]])
        if places[0] is None:
            raise TypeError("learning_rate must be a number or a schedule of schuss.schedules to be saved; got a function")
        arguments["learning_rate"] = None
    header = {
        "arguments": {name: _plain(value) for name, value in arguments.items()},
        "schedules": schedules,
        "seed": model._seed,
        "epochs": model.epochs_,
        "steps": model._steps,
        "best_epoch": model.best_epoch_,
        "history": model.history_,
    }
    arrays = {"users": users.parts(), "items": items.parts()}
    if model._known is not None:
        arrays["known.start"] = model._known.start
        arrays["known.indices"] = model._known.indices.astype(np.int64)
        header["known"] = list(model._known.shape)
    return header, arrays


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _ranker(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> PairwiseRanker:
    from .pairwise import PairwiseRanker

    arguments = dict(header["arguments"])
    if header["schedules"]:
        arguments["learning_rate"] = of_data(header["schedules"])[-1]
    model = PairwiseRanker(**arguments)
    settings = model._checked()
    slots, width = 3 if settings.adadelta is not None else 2, settings.dim + 1
    tables = []
    for side in ("users", "items"):
        parts = arrays.pop(side)
        if parts.ndim != 3 or parts.shape[1:] != (slots, width) or parts.dtype != settings.dtype:
            raise ValueError(f"its array {side!r} is {parts.dtype} of shape {parts.shape}, which its arguments do not fit")
        tables.append(Table.of_parts(parts))
    known = None
    if "known" in header:
        shape = integer("known", header["known"][0], 0), integer("known", header["known"][1], 0)
        start, indices = arrays.pop("known.start"), arrays.pop("known.indices")
        good = start.shape == (shape[0] + 1,) and indices.ndim == 1 and start.dtype == indices.dtype == np.int64
        if not good or start[0] != 0 or start[-1] != len(indices) or np.any(np.diff(start) < 0):
            raise ValueError("its known pairs are no compressed rows")
        if indices.size and (indices.min() < 0 or indices.max() >= shape[1]):
            raise ValueError("its known pairs have columns out of range")
        inside = np.diff(np.repeat(np.arange(shape[0]), np.diff(start)) * np.int64(shape[1]) + indices)
        if np.any(inside <= 0):
            raise ValueError("its known pairs do not rise")
        known = Compressed(start, indices, np.ones(len(indices), np.float32), shape)
    if arrays:
        raise ValueError(f"its array {next(iter(arrays))!r} is not known")
    history = {str(name): [float(value) for value in values] for name, values in dict(header["history"]).items()}
    best = header["best_epoch"]
    model.__dict__.update(
        _users=tables[0],
        _items=tables[1],
        _known=known,
        _seed=integer("seed", header["seed"], 0, 2**64 - 1),
        epochs_=integer("epochs", header["epochs"], 0, 2**40 - 1),
        _steps=integer("steps", header["steps"], 0),
        best_epoch_=None if best is None else integer("best_epoch", best, 1),
        history_={"loss": [], **history},
    )
    return model
