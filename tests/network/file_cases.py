"""Files of networks to be damaged, and what may come of reading one that is."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import schuss
from schuss.files.containers import checksum, container
from schuss.files.header import MOST_EPOCHS
from schuss.optim.state import MOST_STEPS

ENDINGS = [".npz", ".safetensors"] if find_spec("safetensors") else [".npz"]
# Memory that reading may take beyond a multiple of the file's size: what is imported and cached the first time.
ROOM = 4_000_000
TIMES = 60
Change = Callable[[dict[str, Any], dict[str, Any]], None]


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(24, 4)), rng.integers(0, 3, 24)


def fitted(kind: str = "adam") -> schuss.Network:
    """A small network with about everything that a file can hold."""
    block = schuss.Residual([schuss.LayerNorm(), schuss.Dense(5, "relu", dropout=0.1)])
    net = schuss.Network([schuss.Dense(4, 5), schuss.BatchNorm(), block, schuss.Dense(5, 3)], seed=3)
    makers: dict[str, Callable[[], Any]] = {
        "adam": lambda: schuss.EMA(schuss.Lookahead(schuss.Adam(net.parameters, lr=_schedule()), k=2), 0.9),
        "prodigy": lambda: schuss.Prodigy(net.parameter_groups({"*.bias": {"weight_decay": 0.0}})),
        "schedule_free": lambda: schuss.ScheduleFreeAdamW(net.parameters, lr=0.01),
        "muon": lambda: schuss.Muon(net.parameters, adamw={"lr": 0.01}),
        "soap": lambda: schuss.SOAP(net.parameters, precondition_frequency=2),
    }
    net.fit(*data(), loss="cross_entropy", optimizer=makers[kind](), epochs=2, batch_size=8, early_stopping=None,
            validation_fraction=0.25)  # fmt: skip
    net.metadata = {"note": "text", "list": [1, 2.5, None, {"deep": [True]}]}
    return net


def _schedule() -> Any:
    from schuss import schedules

    return schedules.WarmUp(3, schedules.ReduceOnPlateau(0.01, patience=1)) * schedules.Cosine(1.0, 50)


def rewritten(path: Path, change: Change) -> None:
    """Change the header and content of a file, with checksums that fit."""
    encode, decode = container(str(path))
    content, text, _ = decode(str(path), path.read_bytes())
    header = json.loads(text)
    change(header, content)
    header["checksums"] = {name: checksum(array) for name, array in content.items()}
    path.write_bytes(encode(content, json.dumps(header)))


def used(net: schuss.Network, path: Path) -> None:
    """Fit an epoch and save: works, or is refused as documented."""
    if net.n_in > 1000 or net.n_out > 1000 or len(net.inputs) > 1:
        return  # no data that fit it are at hand
    rng = np.random.default_rng(1)
    X = rng.normal(size=(6, net.n_in)) if not net.inputs[0].codes else rng.integers(0, 2, (6, net.n_in))
    loss, y = ("mse", rng.normal(size=(6, net.n_out)))
    if net._graph.activation == "softmax":
        loss, y = "cross_entropy", rng.integers(0, net.n_out, 6)
    try:
        with np.errstate(all="ignore"):
            net.fit(X, y, loss=loss, epochs=1, batch_size=3)
    except (ValueError, TypeError, schuss.DivergenceError):
        pass
    try:
        net.save(path)
    except ValueError:  # counters that were at their end have gone on
        assert net.epochs_done > MOST_EPOCHS or (net.optimizer is not None and net.optimizer.steps > MOST_STEPS)


def outcome(path: Path, again: Path) -> str:
    """Read a file that may be damaged, in bounded memory and time: "refused", or "loaded" and used."""
    size = path.stat().st_size
    tracemalloc.start()
    start = time.perf_counter()
    try:
        net = schuss.load(path)
    except ValueError as error:
        net, said = None, str(error)
    finally:
        peak, seconds = tracemalloc.get_traced_memory()[1], time.perf_counter() - start
        tracemalloc.stop()
        assert peak < ROOM + TIMES * size, f"{peak} bytes for a file of {size}"
        assert seconds < 5 + size / 1e6
    if net is None:
        assert str(path) in said, said
        return "refused"
    used(net, again)
    return "loaded"
