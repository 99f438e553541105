"""Made the saved networks in version1/ and what is expected of them: run with schuss 0.1.0 at commit 773cdb2.

Files of format version 1 must go on loading, and training must go on from them with the same bits, so the files and
version1/expected.json are never made again: this stays to show what is in them. tests/network/test_save_version1.py
takes the data from here. Seconds of epochs are replaced by numbers that do not change from run to run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss
from schuss import Dense, schedules

Array = NDArray[Any]
FOLDER = Path(__file__).parent / "version1"
ROWS, COLUMNS, OUTPUTS = 30, 5, 3
CONTINUED = 2
"""Epochs after loading."""
RATES = 40
"""Values of a schedule that are compared, from the next step on."""


def grid(rows: int, columns: int, key: int) -> Array:
    """Numbers in [0, 1) that look random, by whole numbers and one division: the same everywhere."""
    k = np.arange(1, rows * columns + 1, dtype=np.int64).reshape(rows, columns) + 131 * key
    return (k * k % 1013 * 7919 + k * 5003) % 1009 / 1009


def data(target: str) -> tuple[Array, Array]:
    """Inputs, and labels, values, or zeros and ones for them."""
    x = 4 * grid(ROWS, COLUMNS, 1) - 2
    y = {
        "labels": (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0.5),
        "values": x[:, :OUTPUTS] * x[:, 1 : OUTPUTS + 1] + grid(ROWS, OUTPUTS, 2),
        "binary": (x[:, :OUTPUTS] > x[:, 1 : OUTPUTS + 1]).astype(np.float64),
    }[target]
    return x, y


def inputs() -> Array:
    """What predictions are compared for."""
    return 6 * grid(4, COLUMNS, 3) - 3


def hashed(arrays: Iterable[Array]) -> str:
    """The arrays' bytes, in little-endian order."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
    return found.hexdigest()


def numbers_of_states(optimizer: schuss.Optimizer) -> list[Array]:
    """All states of an optimizer, parameter by parameter, by name."""
    states = optimizer.state_dict()["state"]
    found = [states[k][name] for k in sorted(states) for name in sorted(states[k])]
    return [value if isinstance(value, np.ndarray) else np.array(value, np.float64) for value in found]


def plain(value: Any) -> Any:
    """As JSON gives it back: lists for tuples."""
    return json.loads(json.dumps(value))


def described(net: schuss.Network) -> dict[str, Any]:
    """What a network and its optimizer are, for comparison."""
    history, optimizer = net.history, net.optimizer
    found: dict[str, Any] = {
        "dtype": net.dtype.name,
        "seed": net.seed,
        "epochs_done": net.epochs_done,
        "layers": [{name: getattr(layer, name) for name in Dense.__dataclass_fields__} for layer in net.layers],
        "metadata": net.metadata,
        "parameters": hashed(net.parameters),
        "history": {name: history[name].tolist() for name in history.names},
        "epochs": history.epochs.tolist(),
        "times": history.times.tolist(),
        "rates": history.lr.tolist(),
        "stopped": history.stopped,
        "best_epoch": history.best_epoch,
        "optimizer": None,
    }
    if optimizer is not None:
        schedule = optimizer.param_groups[0]["schedule"]
        found["optimizer"] = {
            "kind": type(optimizer).__name__,
            "steps": optimizer.steps,
            "groups": plain(optimizer.state_dict()["param_groups"]),
            "shapes": [[list(p.shape) for p in group["params"]] for group in optimizer.param_groups],
            "states": hashed(numbers_of_states(optimizer)),
            "schedule": None if schedule is None else repr(schedule),
            "next_rates": None if schedule is None else schedule.values(RATES, optimizer.steps).tolist(),
        }
    return plain(found)


# ---- what is made ------------------------------------------------------------------------------------------------

LABELS = {"target": "labels", "loss": "cross_entropy", "batch_size": 8}
VALUES = {"target": "values", "loss": "mse", "batch_size": 8}
BINARY = {"target": "binary", "loss": "binary_cross_entropy", "batch_size": 7}
HELD = {**LABELS, "validation_fraction": 0.3}
Made = tuple[schuss.Network, dict[str, Any]]


def fitted(
    make: Callable[[schuss.Network], schuss.Optimizer],
    fit: dict[str, Any] = LABELS,
    layers: list[Dense] | None = None,
    *,
    epochs: int = 3,
    dtype: str = "float32",
    seed: int = 11,
    more: dict[str, Any] | None = None,
) -> Made:
    """A network after some epochs; and how to go on, which is without `more`."""
    net = schuss.Network(layers or [Dense(5, 7, "relu"), Dense(7, 3)], seed=seed, dtype=dtype)
    arguments = {name: value for name, value in fit.items() if name != "target"}
    net.fit(*data(fit["target"]), optimizer=make(net), epochs=epochs, **arguments, **(more or {}))
    return net, fit


def adamw_schedule() -> Made:
    """In the middle of the cosine, after the warm-up."""
    lr = schedules.Cosine(0.02, 40, 1e-4, warmup_steps=6)
    return fitted(lambda net: schuss.AdamW(net.parameters, lr=lr, weight_decay=0.05), {**LABELS, "clip_norm": 1.0})


def composed_schedule() -> Made:
    """A plateau, which has a state, in two places of a composed schedule."""
    plateau = schedules.ReduceOnPlateau(0.05, factor=0.5, patience=0, threshold=0.2)
    lr = schedules.Sequence([schedules.WarmUp(5, plateau), schedules.Exponential(1.0, 0.99) * plateau], [9])
    return fitted(lambda net: schuss.Adam(net.parameters, lr=lr), HELD, epochs=4)


def groups() -> Made:
    """Groups of several parameters each, not in the network's order."""

    def make(net: schuss.Network) -> schuss.Optimizer:
        w, b, v, c = net.parameters
        some, others = {"params": [c, w], "lr": 0.03, "weight_decay": 0.0}, {"params": [v, b], "eps": 1e-6}
        return schuss.AdamW([some, others], lr=0.01)

    return fitted(make)


def some_parameters() -> Made:
    """The first layer stays as it is."""
    return fitted(lambda net: schuss.SGD(net.parameters[2:], lr=0.1, momentum=0.8))


def single_steps() -> Made:
    """Steps by hand, with an optimizer that no fit has seen; no history."""
    net = schuss.Network([Dense(5, 6, "relu", dropout=0.2), Dense(6, 3)], seed=5)
    optimizer = schuss.NAdam(net.parameters, lr=0.02)
    x, y = data("labels")
    for k in range(3):
        net.train_step(x[10 * k : 10 * k + 10], y[10 * k : 10 * k + 10], "cross_entropy", optimizer)
    net.optimizer = optimizer
    return net, LABELS


def never_fitted() -> Made:
    """Without optimizer and history."""
    net = schuss.Network([Dense(5, 4, "tanh", init="lecun_uniform"), Dense(4, 3)], seed=2**63 + 11)
    net.metadata = {"note": "für später"}
    return net, LABELS


def activations_float64() -> Made:
    layers = [
        Dense(5, 6, "gelu", dropout=0.25),
        Dense(6, 5, "elu", alpha=0.5, dropout=0.5),
        Dense(5, 4, "leaky_relu", alpha=0.2),
        Dense(4, 3),
    ]
    return fitted(lambda net: schuss.Adam(net.parameters, lr=0.01), VALUES, layers, dtype="float64")


def activations_float32() -> Made:
    layers = [Dense(5, 5, "silu"), Dense(5, 4, "softplus", dropout=0.1), Dense(4, 4, "tanh"), Dense(4, 3, "sigmoid")]
    return fitted(lambda net: schuss.RMSProp(net.parameters, lr=0.01), BINARY, layers)


def no_bias() -> Made:
    layers = [Dense(5, 7, "relu", bias=False), Dense(7, 3, bias=False)]
    return fitted(lambda net: schuss.SGD(net.parameters, lr=0.05, weight_decay=0.01), VALUES, layers)


def softmax() -> Made:
    layers = [Dense(5, 7, "tanh"), Dense(7, 3, "softmax")]
    return fitted(lambda net: schuss.Adam(net.parameters, lr=0.02), {**LABELS, "shuffle": False}, layers)


def early_stopping() -> Made:
    """Stopped by a metric of the validation rows, at the best epoch's parameters."""
    stopping = schuss.EarlyStopping(2, min_delta=0.3, monitor="val_accuracy")
    fit = {**HELD, "metrics": ["accuracy"]}
    more = {"early_stopping": stopping}
    made = fitted(lambda net: schuss.Adam(net.parameters, lr=0.05), fit, epochs=20, more=more)
    assert made[0].history.stopped == "early_stopping"
    return made


def metadata() -> Made:
    """And a history of two fits, of which the second recorded more and was stopped by a callback."""
    net, fit = fitted(lambda net: schuss.Adagrad(net.parameters, lr=0.05), epochs=2)
    x, y = data("labels")
    net.fit(x, y, loss="cross_entropy", metrics="accuracy", batch_size=8, epochs=5, callbacks=[lambda record: True])
    net.metadata = {"classes": ["größer", "是", ""], "scale": [1.5, None, -1e300, 0.1], "nested": {"on": True, "n": 7}}
    return net, fit


KINDS: dict[str, dict[str, Any]] = {
    "sgd": {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "adagrad": {"lr": 0.05, "lr_decay": 0.01},
    "rmsprop": {"lr": 0.01, "momentum": 0.5, "centered": True},
    "adam": {"lr": 0.02, "amsgrad": True, "betas": (0.8, 0.95)},
    "adamw": {"lr": 0.02, "no_decay": True},
    "sparseadam": {"lr": 0.02},
    "adadelta": {"lr": 1.0},
    "adafactor": {"lr": 0.05, "d": 2.0},
    "muon": {"lr": 0.02, "adamw": {"lr": 0.01}, "ns_steps": 3, "adjust_lr_fn": "match_rms_adamw"},
    "soap": {"lr": 0.02, "precondition_frequency": 3, "shampoo_beta": None},
    "adamax": {"lr": 0.02},
    "nadam": {"lr": 0.02},
    "radam": {"lr": 0.02},
    "adabelief": {"lr": 0.02},
    "lion": {"lr": 0.01},
    "signum": {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True},
    "rprop": {"lr": 0.01, "etas": (0.3, 1.5)},
    "asgd": {"lr": 0.05, "t0": 3.0},
    "yogi": {"lr": 0.02},
    "adopt": {"lr": 0.02},
    "ademamix": {"lr": 0.02},
    "adan": {"lr": 0.02},
    "ftrl": {"lr": 0.05},
    "schedule_free_sgd": {"lr": 0.1, "warmup_steps": 5},
    "schedule_free_adamw": {"lr": 0.02, "weight_decay": 0.1, "r": 0.5},
    "lars": {"lr": 1.0},
    "lamb": {"lr": 0.02},
    "novograd": {"lr": 0.02},
    "prodigy": {"beta3": 0.9, "d0": 1e-3, "growth_rate": 1.5},
}
"""What each kind of optimizer is given, for a file of its own."""


def of_kind(kind: str, options: dict[str, Any]) -> Made:
    layers = [Dense(5, 4, "relu"), Dense(4, 3)]
    return fitted(lambda net: schuss.optim.by_name(kind)(net.parameters, **options), layers=layers, seed=7)


OTHERS: dict[str, Callable[[], Made]] = {
    function.__name__: function
    for function in (
        adamw_schedule,
        composed_schedule,
        groups,
        some_parameters,
        single_steps,
        never_fitted,
        activations_float64,
        activations_float32,
        no_bias,
        softmax,
        early_stopping,
        metadata,
    )
}


def main() -> None:
    assert schuss.__version__ == "0.1.0"
    assert schuss.config.show_config("dicts")["isa"] != "baseline"
    made = {f"kind_{kind}": of_kind(kind, options) for kind, options in KINDS.items()}
    made.update({name: make() for name, make in OTHERS.items()})
    expected = {}
    for number, (name, (net, fit)) in enumerate(made.items()):
        net.history._times = [0.25 * (k + 1) for k in range(len(net.history))]
        path = FOLDER / f"{name}{'.safetensors' if number % 3 == 1 else '.npz'}"
        net.save(path)
        net = schuss.load(path)
        entry = {"fit": fit, **described(net), "prediction": net.predict(inputs()).tolist()}
        arguments = {key: value for key, value in fit.items() if key != "target"}
        net.fit(*data(fit["target"]), epochs=CONTINUED, **arguments)
        after = described(net)
        entry["continued"] = {key: after[key] for key in ("parameters", "epochs_done", "rates")}
        entry["continued"]["losses"] = net.history["loss"][-CONTINUED:].tolist()
        optimizer = after["optimizer"]
        entry["continued"]["optimizer"] = {key: optimizer[key] for key in ("kind", "steps", "groups", "states")}
        expected[path.name] = entry
    lines = [f"{json.dumps(name)}: {json.dumps(entry, sort_keys=True)}" for name, entry in expected.items()]
    (FOLDER / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
