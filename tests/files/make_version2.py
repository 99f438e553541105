"""Made the saved networks in version2/ and what is expected of them: run with schuss at commit 0ee9a1d.

Files of format version 2 must go on loading, and training must go on from them with the same bits, so the files and
version2/expected.json are never made again: this stays to show what is in them. Seconds of epochs are replaced by
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
from tests.files.make_version1 import data, hashed, inputs, numbers_of_states

FOLDER = Path(__file__).parent / "version2"
FIT: dict[str, Any] = {"loss": "cross_entropy", "batch_size": 8}


def layers() -> list[Any]:
    """Kinds of layers and states that version 1 did not have."""
    block = schuss.Residual([schuss.LayerNorm(), schuss.Dense(6, "relu")])
    return [schuss.Dense(5, 6), schuss.BatchNorm(), schuss.PReLU(), block, schuss.Dense(6, 3)]


def fitted(make: Callable[[schuss.Network], Any] | None, dtype: str = "float32", epochs: int = 3) -> schuss.Network:
    net = schuss.Network(layers(), seed=2**64 - 5, dtype=dtype)
    x, y = data("labels")
    if make is not None:
        net.fit(x, y, optimizer=make(net), epochs=epochs, **FIT)
        net.history._times = [0.25 * (k + 1) for k in range(epochs)]
    return net


def plateau(net: schuss.Network) -> Any:
    return schuss.SGD(net.parameters, lr=schedules.WarmUp(3, schedules.ReduceOnPlateau(0.05, factor=0.5, patience=0)))


def grouped(net: schuss.Network) -> Any:
    groups = net.parameter_groups({"*.bias": {"weight_decay": 0.0}, "layers.0.*": {"lr_factor": 0.1}})
    return schuss.AdamW(groups, lr=3e-3)


MADE: dict[str, Callable[[], schuss.Network]] = {
    "adam.npz": lambda: fitted(lambda net: schuss.Adam(net.parameters, amsgrad=True)),
    "grouped.safetensors": lambda: fitted(grouped, "float64"),
    "muon.npz": lambda: fitted(lambda net: schuss.Muon(net.parameters, adamw={"lr": 0.01})),
    "never_fitted.npz": lambda: fitted(None),
    "plateau.safetensors": lambda: fitted(plateau),
    "prodigy.npz": lambda: fitted(lambda net: schuss.Prodigy(net.parameters)),
    "schedule_free.npz": lambda: fitted(lambda net: schuss.ScheduleFreeAdamW(net.parameters, lr=0.01)),
    "soap.npz": lambda: fitted(lambda net: schuss.SOAP(net.parameters, precondition_frequency=2)),
}


def numbers(net: schuss.Network) -> dict[str, Any]:
    """What a network and its optimizer are, for comparison."""
    optimizer = net.optimizer
    return {
        "epochs_done": net.epochs_done,
        "draws": net._core.draws,
        "parameters": hashed(net.parameters),
        "states": hashed(net.named_states().values()),
        "losses": net.history["loss"].tolist() if len(net.history) else [],
        "optimizer": None if optimizer is None else [type(optimizer).__name__, optimizer.steps],
        "optimizer_states": None if optimizer is None else hashed(numbers_of_states(optimizer)),
    }


def main() -> None:
    FOLDER.mkdir()
    expected = {}
    for name, make in MADE.items():
        net = make()
        net.metadata = {"name": name}
        net.save(FOLDER / name)
        net = schuss.load(FOLDER / name)
        expected[name] = {"loaded": numbers(net), "prediction": net.predict(inputs()).tolist()}
        x, y = data("labels")
        net.fit(x, y, epochs=2, **FIT)
        expected[name]["continued"] = numbers(net)
    (FOLDER / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
