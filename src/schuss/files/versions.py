"""Which version of the format a file is of: the lowest whose readers know every word of its header.

So a build reads what younger builds write as long as it has all that it takes, and refuses the rest by its version,
before it looks at anything else. Whoever adds a word (a field, a kind of layer or schedule, an optimizer, an argument)
enters it here, with a version that no build has had; `tests/files/words.json` holds those that each version knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# The newest that this code reads.
VERSION = 8
# The oldest that is written. 2: each layer's kind, and the states of layers. 3: what stands around the optimizer, the
# averages that it keeps, and the form in which it was given its parameters.
OLDEST = 3
# Words that are younger, and the version that has brought them. Tables, and networks for them.
_OF_4 = dict.fromkeys(
    (
        "field others",
        "field monitor of three",
        "field decay_places",
        "layer clamp",
        "layer ensemble_dense",
        "layer grouped_dense",
        "layer mean_of_members",
        "layer periodic",
        "layer piecewise_linear",
        "layer dense.bias_std",
        "layer dense.parametrization",
        "init normal",
        "init uniform",
        "optimizer laprop",
        "schedule CosLog",
        "schedule FlatCos",
    ),
    4,
)
# Sequences and images.
_OF_5 = dict.fromkeys(
    (
        "layer avg_pool",
        "layer conv1d",
        "layer conv2d",
        "layer flatten",
        "layer global_avg_pool",
        "layer global_max_pool",
        "layer gru",
        "layer input.channels",
        "layer input.dims",
        "layer lstm",
        "layer max_pool",
        "layer rnn",
    ),
    5,
)
# Tables of which a step touches some rows, sparse rows and raw categories.
_OF_6 = dict.fromkeys(
    (
        "layer embedding.table",
        "layer embedding_bag",
        "layer input of hashed",
        "layer input of sparse",
        "optimizer adagrad.rows",
        "optimizer adam.rows",
        "optimizer adamw.rows",
        "optimizer ftrl.rows",
        "optimizer lion.rows",
        "optimizer rmsprop.rows",
        "optimizer rowadagrad",
        "optimizer sgd.rows",
    ),
    6,
)
# One optimizer, and then another; what a fit did about divergence; what goes on after an interruption.
_OF_7 = dict.fromkeys(("field beside", "field recoveries", "field stopping", "wrapper Switch"), 7)
# Parameters that have made different numbers of steps; what others keep in an optimizer's groups; states in fewer bits;
# Muon in bfloat16.
_OF_8 = dict.fromkeys(("field clocks", "field own", "field precision", "optimizer muon.products"), 8)
SINCE: dict[str, int] = {**_OF_4, **_OF_5, **_OF_6, **_OF_7, **_OF_8}


def version_of(header: Mapping[str, Any]) -> int:
    """The lowest version that has every word of a header that is about to be written."""
    return max((SINCE.get(word, OLDEST) for word in words(header)), default=OLDEST)


def words(header: Mapping[str, Any]) -> Iterator[str]:
    """What a reader has to know, in no order, some of it more than once."""
    for part in (header, *header.get("others", ())):
        yield from (f"field {name}" for name in part)
        yield f"field monitor of {'three' if len(part['history']['monitor'] or ()) == 3 else 'two'}"
        if "recoveries" in part["history"]:
            yield "field recoveries"
        for layer in part["layers"]:
            yield from _words_of_layer(layer)
        if part["optimizer"] is not None:
            yield from _words_of_optimizer(part["optimizer"])


def _words_of_layer(layer: Mapping[str, Any]) -> Iterator[str]:
    kind = layer["kind"]
    yield f"layer {kind}"
    yield from (f"layer {kind}.{name}" for name in layer if name != "kind")
    yield from (f"{name} {layer[name]}" for name in ("init", "activation") if name in layer)
    if layer.get("dtype") not in (None, "int64"):
        yield f"layer {kind} of {layer['dtype'] if isinstance(layer['dtype'], str) else layer['dtype']['kind']}"
    for inner in (*layer.get("layers", ()), *(one for branch in layer.get("branches", ()) for one in branch)):
        yield from _words_of_layer(inner)


def _words_of_optimizer(optimizer: Mapping[str, Any]) -> Iterator[str]:
    kind = optimizer["kind"]
    yield f"optimizer {kind}"
    yield from (f"field {name}" for name in optimizer)
    yield from (f"optimizer {kind}.{name}" for group in optimizer["groups"] for name in group)
    for schedule in optimizer["schedules"]:
        yield f"schedule {schedule['kind']}"
        yield from (f"schedule {schedule['kind']}.{name}" for name in schedule["arguments"])
    for other in optimizer.get("beside", ()):
        yield from _words_of_optimizer(other)
    for wrapper in optimizer.get("wrappers", ()):
        yield f"wrapper {wrapper['kind']}"
        yield from (f"wrapper {wrapper['kind']}.{name}" for name in (*wrapper["numbers"], *wrapper["arrays"]))
