"""Made the saved networks in version3/ and what is expected of them: run with schuss at commit 4c0de3d.

Files of format version 3 must go on loading, and training must go on from them with the same bits, so the files and
version3/expected.json are never made again: this stays to show what is in them. Seconds of epochs are replaced by
numbers that do not change from run to run.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import schuss
from schuss import schedules
from tests.files.make_version1 import data, hashed, inputs
from tests.files.make_version2 import FIT, numbers

FOLDER = Path(__file__).parent / "version3"
HELD: dict[str, Any] = {"validation_fraction": 0.3, "early_stopping": 2}
Make = Callable[[schuss.Network], Any]


def fitted(make: Make, dtype: str = "float32", **more: Any) -> schuss.Network:
    """Trained for three epochs, with kinds of layers whose descriptions have grown since."""
    x, y = data("labels")
    block = schuss.Residual([schuss.LayerNorm(), schuss.Dense(6, "relu", init="orthogonal", dropout=0.1)])
    layers = [schuss.Dense(5, 6), schuss.BatchNorm(), schuss.PReLU(), block, schuss.Dense(6, 3)]
    net = schuss.Network(layers, seed=2**63, dtype=dtype)
    net.fit(x, y, optimizer=make(net), epochs=3, **FIT, **more)
    net.history._times = [0.25 * (k + 1) for k in range(len(net.history))]
    return net


def halved(net: schuss.Network) -> list[dict[str, Any]]:
    """Groups in an order that is not that of the network."""
    params = list(net.parameters)
    return [{"params": params[::2], "weight_decay": 0.0}, {"params": params[1::2], "lr": 3e-3}]


def plateau(net: schuss.Network) -> Any:
    return schuss.SGD(net.parameters, lr=schedules.WarmUp(3, schedules.ReduceOnPlateau(0.05, factor=0.5, patience=0)))


MADE: dict[str, Callable[[], schuss.Network]] = {
    "adagrad.npz": lambda: fitted(lambda net: schuss.Adagrad(net.parameters, lr=0.05)),
    "ema_of_lookahead.npz": lambda: fitted(
        lambda net: schuss.EMA(schuss.Lookahead(schuss.Adam(net.parameters), k=2), 0.9)
    ),
    "held_out.safetensors": lambda: fitted(lambda net: schuss.AdamW(net.parameters, lr=0.01), **HELD),
    "order_of_groups.safetensors": lambda: fitted(lambda net: schuss.AdamW(halved(net)), "float64"),
    "plateau.npz": lambda: fitted(plateau),
    "rmsprop.npz": lambda: fitted(lambda net: schuss.RMSprop(net.parameters, momentum=0.5, weight_decay=0.01)),
    "schedule_free.npz": lambda: fitted(lambda net: schuss.ScheduleFreeSGD(net.parameters, lr=0.1)),
    "swa.npz": lambda: fitted(lambda net: schuss.SWA(schuss.LAMB(net.parameters, lr=0.01), start=3, every=2)),
}


def numbers_of(net: schuss.Network) -> dict[str, Any]:
    """What a network, its optimizer and what stands around it are, for comparison."""
    wrapper, history = net.wrapper, net.history
    return {
        **numbers(net),
        "wrapper": None if wrapper is None else [type(wrapper).__name__, hashed(wrapper.averages)],
        "history": [*history.names, history.stopped, history.best_epoch],
    }


def main() -> None:
    FOLDER.mkdir()
    expected = {}
    for name, make in MADE.items():
        net = make()
        net.metadata = {"name": name}
        net.save(FOLDER / name)
        net = schuss.load(FOLDER / name)
        expected[name] = {"loaded": numbers_of(net), "prediction": net.predict(inputs()).tolist()}
        x, y = data("labels")
        net.fit(x, y, epochs=2, **FIT)
        expected[name]["continued"] = numbers_of(net)
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
