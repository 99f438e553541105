"""The words that files can have, for `words.json`: run with the code of each version, when it was new.

A version, once settled, has the words that it has: files of it are read by builds that know no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from inspect import signature
from pathlib import Path

import numpy as np

from schuss import _core, layers, schedules
from schuss.files import header
from schuss.files.contents import WRAPPERS
from schuss.layers.dense import INITIALISERS
from schuss.optim import BY_NAME
from schuss.optim.state import NOT_HYPER, WHERE_SET

PATH = Path(__file__).parent / "words.json"


def known() -> set[str]:
    """All words that this code can write, as `schuss.files.versions.words` calls them."""
    return set(_words())


def _words() -> Iterator[str]:
    yield from (f"field {name}" for name in (*header.SCHEMA, *header.SCHEMA_WITH_BESIDE))
    yield "field monitor of three"
    yield "field recoveries"
    yield from (f"init {name}" for name in INITIALISERS)
    yield from (f"activation {name}" for name in _core.ACTIVATIONS)
    for kind, layer in layers.KINDS.items():
        yield f"layer {kind}"
        yield from (f"layer {kind}.{field.name}" for field in fields(layer))
    yield from (f"layer input of {dtype}" for dtype in ("sparse", "hashed"))
    for name, optimizer in BY_NAME.items():
        yield f"optimizer {name}"
        params = [np.zeros((3, 2), np.float32), np.zeros(2, np.float32)]
        more = {"adamw": {"lr": 0.01}} if name == "muon" else {}
        for group in optimizer(params, lr=0.1, **more).param_groups:
            yield from (f"optimizer {name}.{key}" for key in group if key == "params" or key not in NOT_HYPER)
        yield from (f"optimizer {name}.{key}" for key in WHERE_SET if key in signature(optimizer).parameters)
    for name, schedule in vars(schedules).items():
        if isinstance(schedule, type) and issubclass(schedule, schedules.Schedule) and name != "Schedule":
            yield f"schedule {name}"
            yield from (f"schedule {name}.{key}" for key in signature(schedule).parameters)
    for name, wrapper in WRAPPERS.items():
        yield f"wrapper {name}"
        yield from (f"wrapper {name}.{key}" for key in (*wrapper._numbers, *wrapper._lists))


if __name__ == "__main__":
    from schuss.files.versions import VERSION

    stored = json.loads(PATH.read_text(encoding="utf-8"))
    before = {word for version, words in stored.items() if version != str(VERSION) for word in words}
    stored[str(VERSION)] = sorted(known() - before)
    PATH.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
