"""What `schuss train` keeps beside a model while it trains, to go on after an interruption to the very same model."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from ..arguments import shown
from ..files.writing import replace
from ..tables import DataError

_ENDING = ".checkpoint"
_TOLD = "training.json"
_PIECE = 1 << 24


@dataclass(frozen=True)
class Checkpoints:
    """A folder with a file for each network.

    Attributes
    ----------
    folder : Path
    ending : str
        Of its files.
    seconds : float
        Between two of a network.
    """

    folder: Path
    ending: str
    seconds: float

    def arguments(self, phase: str, k: int) -> dict[str, Any]:
        """Those of the fit of a network in a phase of the training, by which it goes on from its file and keeps one."""
        from ..callbacks import Checkpoint

        path = str(self.folder / f"{phase}-{k}{self.ending}")
        return {"resume": path, "callbacks": Checkpoint(path, seconds=self.seconds)}


def folder_of(model: Path) -> Path:
    """Where the checkpoints of a model's training are."""
    return model.with_name(model.name + _ENDING)


def remove(model: Path) -> None:
    """The folder, if there is one: the model's training is over."""
    if (folder_of(model) / _TOLD).is_file():
        shutil.rmtree(folder_of(model), ignore_errors=True)


def begun(model: Path, seconds: float, told: Mapping[str, Any]) -> Checkpoints:
    """A new folder, in place of one of another training."""
    folder = folder_of(model)
    remove(model)
    if folder.exists():
        raise DataError(f"{folder} is there already and was not written by schuss; choose another name with --save")
    folder.mkdir()
    text = json.dumps({"seconds": seconds, "told": told}, indent=1)
    replace(os.path.realpath(folder / _TOLD), text.encode())
    return Checkpoints(folder, model.suffix, seconds)


def gone_on(model: Path, seconds: float | None, told: Mapping[str, Any]) -> Checkpoints:
    """The folder of an interrupted training. DataError unless this one is told the same."""
    folder = folder_of(model)
    try:
        found = json.loads((folder / _TOLD).read_text("utf-8"))
        before, kept = dict(found["told"]), float(found["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError(f"{folder}: holds no checkpoint of schuss train; remove it to begin anew") from None
    now = json.loads(json.dumps(told))
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            raise DataError(
                f"--resume: the interrupted training of {folder} was told another {name}: {shown(before.get(name))}, "
                f"not {shown(now.get(name))}; give the same options, or leave out --resume to begin anew"
            )
    return Checkpoints(folder, model.suffix, kept if seconds is None else seconds)


def sum_of(data: str) -> int | None:
    """A checksum of a file; None of what is none."""
    found = 0
    try:
        with open(data, "rb") as file:
            while piece := file.read(_PIECE):
                found = crc32(piece, found)
    except OSError:
        return None
    return found
