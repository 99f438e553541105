"""Layers as the user meets them: sizes left out, misfits, groups, what BatchNorm keeps, files."""

from __future__ import annotations

import copy
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from numpy.testing import assert_array_equal, assert_equal
from numpy.typing import NDArray

import schuss
from schuss import (
    Activation,
    BatchNorm,
    Concatenate,
    Dense,
    Embedding,
    GroupedDense,
    Input,
    LayerNorm,
    Periodic,
    Residual,
    Scale,
)
from schuss.files.versions import VERSION, version_of
from tests.layers.cases import NAMES, network

Array = NDArray[Any]


def data(rows: int = 40) -> tuple[Array, Array]:
    rng = np.random.default_rng(0)
    return 2 * rng.normal(size=(rows, 4)).astype(np.float32) + 1, rng.integers(0, 3, rows)


def normed(**options: Any) -> schuss.Network:
    return schuss.Network([Dense(4, 6), BatchNorm(), Activation("relu"), Dense(3)], seed=1, **options)


# ---- descriptions ----------------------------------------------------------------------------------------------------


def test_sizes_left_out() -> None:
    layers = [
        Dense(4, 6),
        LayerNorm(),
        Residual([Scale(), BatchNorm(), Activation("tanh")]),
        Concatenate([[], Dense(2, "relu"), [Input("codes", 2, dtype="int64"), Embedding(7, 3)]]),
        Dense(5),
    ]
    net = schuss.Network(layers, seed=0)
    assert net.layers[1] == LayerNorm(6)
    assert net.layers[2].layers[:2] == (Scale(6), BatchNorm(6))
    assert net.layers[3].branches[1] == (Dense(6, 2, "relu"),)
    assert net.layers[3].shape.columns == 6 + 2 + 6
    assert net.layers[4] == Dense(14, 5)
    assert (net.n_in, net.n_out) == (4 + 2, 5)
    assert net.inputs == (Input("x", 4), Input("codes", 2, dtype="int64"))
    assert layers[1] == LayerNorm()  # what was given stays as it was
    again = schuss.Network(net.layers, seed=0)
    assert again.layers == net.layers
    for a, b in zip(again.parameters, net.parameters, strict=True):
        assert_array_equal(a, b)


def test_dense_of_one_size() -> None:
    assert Dense(100) == Dense(None, 100)
    assert Dense(100, "relu") == Dense(None, 100, "relu")
    assert Dense(3, 100) != Dense(100)
    with pytest.raises(ValueError, match="n_in follows"):
        Dense(100).n_parameters  # noqa: B018


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (LayerNorm(4), "LayerNorm(n=4, eps=1e-05)"),
        (BatchNorm(momentum=0.5), "BatchNorm(n=None, momentum=0.5, eps=1e-05)"),
        (Scale(3), "Scale(n=3)"),
        (Embedding(5, 2), "Embedding(n=5, dim=2, std=1.0, columns=None)"),
        (Input("a", 3), "Input(name='a', n=3, dtype=None)"),
        (Residual(Scale()), "Residual(layers=(Scale(n=None),))"),
        (Concatenate([[], Scale()]), "Concatenate(branches=((), (Scale(n=None),)), n=None)"),
    ],
)
def test_repr_and_equality(layer: schuss.layers.Layer, text: str) -> None:
    assert repr(layer) == text
    same = eval(text, vars(schuss))
    assert same == layer
    assert hash(same) == hash(layer)
    assert copy.deepcopy(layer) == layer
    with pytest.raises((AttributeError, TypeError)):
        layer.n = 7  # type: ignore[attr-defined]


MISFITS: list[tuple[Callable[[], Any], str]] = [
    (lambda: [Dense(4, 3), Dense(4, 2)], r"layers\[1\]\.n_in must be layers\[0\]\.n_out, 3; got 4"),
    (lambda: [Dense(4, 3), LayerNorm(4)], r"layers\[1\]\.n must be 3"),
    (lambda: [Dense(4, 3), BatchNorm(2)], r"layers\[1\]\.n must be 3"),
    (lambda: [Dense(4, 3), Residual([Scale(3), Scale(2)])], r"layers\[1\]\.layers\[1\]\.n must be 3"),
    (lambda: [Dense(4, 3), Concatenate([[], [Scale(), Scale(5)]])], r"layers\[1\]\.branches\[1\]\[1\]\.n must be 3"),
    (lambda: [Dense(4, 3), Residual([Dense(3, 2)])], r"layers\[1\]\.layers must give back 3 columns.*got 2"),
    (lambda: [Dense(3)], r"layers\[0\], Dense, must tell how many columns"),
    (lambda: [LayerNorm()], r"layers\[0\], LayerNorm, must tell how many columns"),
    (lambda: [Activation("relu"), Dense(3)], r"layers\[0\], Activation, must tell"),
    (lambda: [Embedding(4, 2)], r"layers\[0\], Embedding, must tell"),
    (lambda: [Residual([Dense(3)])], r"layers\[0\], Dense, must tell"),
    (lambda: [Dense(4, 3), Embedding(4, 2)], r"layers\[1\], Embedding, must come behind codes; got numbers"),
    (lambda: [Input("c", 2, dtype="int64"), Dense(3)], r"layers\[1\], Dense, must come behind numbers; got codes"),
    (
        lambda: [Input("c", 2, dtype="int64"), Residual(Embedding(4, 1))],
        r"layers\[1\], Residual, must come behind numbers",
    ),
    (lambda: [Input("c", 2, dtype="int64"), Embedding(4, 1, columns=3)], r"layers\[1\]\.columns must be 2"),
    (lambda: [Dense(4, 3), Activation("relu", n=4)], r"layers\[1\]\.n must be 3"),
    (lambda: [Dense(4, 3), Concatenate([[], Dense(2)], 6)], r"layers\[1\]\.n must be 5"),
    (lambda: [Concatenate([Input("c", 2, dtype="int64")])], r"branches\[0\] must give numbers; got codes"),
    (lambda: [Concatenate([Input("x", 2), []])], r"layers\[0\]\.branches\[1\] must begin with an Input"),
    (lambda: [Concatenate([Input("x", 2), Input("x", 3)]), Dense(1)], r"must be as the other input of this name"),
    (lambda: [Dense(4, 3), Concatenate([Input("y", 2)])], r"layers\[1\]\.branches must take what comes before"),
    (lambda: [Dense(4, 3), Input("y", 2)], r"layers\[1\] must not be an Input"),
    (lambda: [Residual([Input("y", 2), Dense(2)])], r"layers\[0\]\.layers\[0\] must not be an Input"),
    (lambda: [Input("x", 2)], "layers must hold a layer that computes"),
    (lambda: [Dense(4, 3, "softmax"), Scale()], r"layers\[0\]\.activation must not be softmax"),
    (lambda: [Dense(4, 3), Activation("softmax"), Dense(2)], r"activation must not be softmax"),
    (lambda: [Residual(Dense(3, 3, "softmax"))], r"activation must not be softmax"),
    (lambda: [Dense(4, 3), Concatenate([Dense(3, "softmax")])], r"activation must not be softmax"),
    (lambda: [Dense(4, 6), GroupedDense(4, None, 2)], r"layers\[1\]\.groups must divide 6.*got 4"),
    (lambda: [Dense(4, 6), GroupedDense(3, 3, 2)], r"layers\[1\]\.n_in must be 2.*got 3"),
    (lambda: [Dense(4, 6), Periodic(3, 0.1, n=5)], r"layers\[1\]\.n must be 6"),
    (lambda: [GroupedDense(3, None, 2)], r"layers\[0\], GroupedDense, must tell"),
    (lambda: [], "layers must hold at least one layer"),
]


@pytest.mark.parametrize(("layers", "match"), MISFITS)
def test_misfits_name_the_layer(layers: Callable[[], Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        schuss.Network(layers(), seed=0)


BAD_ARGUMENTS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: LayerNorm(0), ValueError, "n must be"),
    (lambda: LayerNorm(2.0), TypeError, "n must be"),  # type: ignore[arg-type]
    (lambda: LayerNorm(2, eps=0), ValueError, "eps must be"),
    (lambda: BatchNorm(momentum=1.5), ValueError, "momentum must be"),
    (lambda: BatchNorm(momentum=float("nan")), ValueError, "momentum must be"),
    (lambda: BatchNorm(eps=float("inf")), ValueError, "eps must be"),
    (lambda: Scale(-1), ValueError, "n must be"),
    (lambda: Embedding(0, 3), ValueError, "n must be"),
    (lambda: Embedding(3, 0), ValueError, "dim must be"),
    (lambda: Embedding(3, 3, std=-1), ValueError, "std must be"),
    (lambda: Activation("rely"), ValueError, "did you mean 'relu'"),
    (lambda: Activation("softmax", dropout=0.1), ValueError, "dropout must be 0"),
    (lambda: Activation("relu", dropout=1.0), ValueError, "dropout must be"),
    (lambda: Activation("tanh", alpha=0.1), ValueError, "alpha must be None"),
    (lambda: GroupedDense(0, 3, 3), ValueError, "groups must be"),
    (lambda: GroupedDense(2, 3, 0), ValueError, "n_out must be"),
    (lambda: GroupedDense(2, 3, 3, "softmax"), ValueError, "activation must not be 'softmax'"),
    (lambda: GroupedDense(2, 3, 3, init="orthogonal"), ValueError, "init 'orthogonal' is not known"),
    (lambda: Periodic(0, 1.0), ValueError, "n_frequencies must be"),
    (lambda: Periodic(3, 0.0), ValueError, "std must be"),
    (lambda: Periodic(3, 1.0, form="sin"), ValueError, "form 'sin' is not known"),
    (lambda: Input("", 3), TypeError, "name must be"),
    (lambda: Input(3, 3), TypeError, "name must be"),  # type: ignore[arg-type]
    (lambda: Input("a", 0), ValueError, "n must be"),
    (lambda: Input("a", 3, dtype="int32"), ValueError, "dtype"),
    (lambda: Residual([]), ValueError, "layers must hold"),
    (lambda: Residual([3]), TypeError, r"layers\[0\] must be a layer"),
    (lambda: Concatenate([]), ValueError, "branches must hold"),
    (lambda: Concatenate([[3]]), TypeError, r"branches\[0\]\[0\] must be a layer"),
    (lambda: Concatenate(3), TypeError, "branches must be"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("make", "error", "match"), BAD_ARGUMENTS)
def test_bad_arguments(make: Callable[[], Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_summary() -> None:
    branches = [[Input("x", 4), Scale()], [Input("codes", 2, dtype="int64"), Embedding(7, 3)]]
    net = schuss.Network([Concatenate(branches), Residual([LayerNorm(), Dense(10, "relu")]), Dense(2)], seed=0)
    lines = [line.split() for line in net.summary().splitlines()]
    assert ["Concatenate", "->", "10"] in lines
    assert ["branch", "1"] in lines
    assert ["Input", "'codes'", "2", "codes", "0"] in lines
    assert ["Embedding", "2", "codes", "of", "7", "->", "6", "normal", "1", "21"] in lines
    assert ["LayerNorm", "10", "20"] in lines
    assert lines[-1] == ["float32,", "seed", "0", str(4 + 21 + 20 + 110 + 22)]
    assert len({len(line) for line in net.summary().splitlines()}) == 1


def test_grouped_dense_starts_like_torchs_layers() -> None:
    net = schuss.Network([GroupedDense(3, 16, 50)], seed=0, dtype="float64")
    weight, bias = net.parameters
    for array in (weight, bias):
        assert 0.2 < np.abs(array).max() <= 0.25
        assert abs(array.mean()) < 0.05
    assert not np.isin(bias, weight).any()  # no draw twice
    assert net.summary().count("3 x (16 -> 50)") == 1
    zero = schuss.Network([GroupedDense(3, 16, 50, init="he_normal")], seed=0).parameters[1]
    assert not zero.any()


# ---- groups ----------------------------------------------------------------------------------------------------------


def step(net: schuss.Network, optimizer: schuss.Optimizer, steps: int = 5) -> None:
    x, y = data()
    for _ in range(steps):
        net.train_step(x, y, "cross_entropy", optimizer)
    net.fit(x, y, loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=16)


def test_groups() -> None:
    net = normed()
    groups = net.parameter_groups(
        {"*.bias": {"weight_decay": 0.0}, "layers.0.*": {"lr_factor": 0.1}, "layers.1.*": {"frozen": True}}
    )
    assert [(list(g["params"]), {k: v for k, v in g.items() if k != "params"}) for g in groups] == [
        (["layers.0.weight"], {"lr_factor": 0.1}),
        (["layers.0.bias"], {"weight_decay": 0.0, "lr_factor": 0.1}),
        (["layers.3.weight"], {}),
        (["layers.3.bias"], {"weight_decay": 0.0}),
    ]
    assert groups[0]["params"]["layers.0.weight"] is net.parameters[0]
    later = net.parameter_groups({"*": {"frozen": True}, "layers.3.*": {"frozen": False}})
    assert [name for g in later for name in g["params"]] == ["layers.3.weight", "layers.3.bias"]


@pytest.mark.parametrize(
    ("patterns", "error", "match"),
    [
        ({"layer.0.*": {"frozen": True}}, ValueError, "'layer.0.*' is not known"),
        ({"*": {"frozen": True}}, ValueError, "all of them frozen"),
        ({"*": {"frozen": 1}}, TypeError, "frozen must be True or False"),
        ({"*": 3}, TypeError, "must be a dict of hyperparameters"),
        ({"*": {"params": []}}, TypeError, "must be a dict of hyperparameters"),
        ({3: {}}, TypeError, "must have names"),
        ([], TypeError, "must be a dict of dicts"),
    ],
)
def test_groups_of_no_use(patterns: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        normed().parameter_groups(patterns)


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "Lion", "RMSProp", "LAMB"])
def test_lr_factor(kind: str) -> None:
    """The bits of a group with that rate."""
    net, other = normed(), normed()
    make = getattr(schuss, kind)
    step(net, make(net.parameter_groups({"layers.0.*": {"lr_factor": 0.25}}), lr=0.01))
    step(other, make(other.parameter_groups({"layers.0.*": {"lr": 0.0025}}), lr=0.01))
    for a, b in zip(net.parameters, other.parameters, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("how", ["train_step", "fit"])
@pytest.mark.parametrize("scheduled", [False, True])
def test_lr_factor_of_a_schedule(scheduled: bool, how: str) -> None:
    """As steps by hand with the rates set before each."""
    net, other = normed(), normed()
    rates = [0.1 * 0.8**k for k in range(8)] if scheduled else [0.1] * 8
    rate: Any = (lambda k: rates[k]) if scheduled else 0.1
    optimizer = schuss.SGD(net.parameter_groups({"*.bias": {"lr_factor": 0.5}}), lr=rate)
    by_hand = schuss.SGD(other.parameter_groups({"*.bias": {"dampening": 0.0}}), lr=0.1)
    assert [list(g["params"]) for g in other.parameter_groups({"*.bias": {"dampening": 0.0}})] == [
        ["layers.0.weight", "layers.1.weight", "layers.3.weight"],
        ["layers.0.bias", "layers.1.bias", "layers.3.bias"],
    ]
    x, y = data()
    for now in rates:
        if how == "train_step":
            net.train_step(x, y, "cross_entropy", optimizer)
        else:
            net.fit(x, y, loss="cross_entropy", optimizer=optimizer, epochs=1, batch_size=None)
        for group, factor in zip(by_hand.param_groups, (1.0, 0.5), strict=True):
            group["lr"] = now * factor
        other.train_step(x, y, "cross_entropy", by_hand)
    for a, b in zip(net.parameters, other.parameters, strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", "deepcopy"])
def test_frozen_goes_on(suffix: str, tmp_path: Path) -> None:
    """A network saved with an optimizer of some of its parameters goes on with these."""
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    patterns = {"layers.0.*": {"frozen": True}, "*.bias": {"lr_factor": 0.5}}
    x, y = data()
    nets = [normed() for _ in range(2)]
    for net in nets:
        net.fit(x, y, loss="cross_entropy", optimizer=schuss.Adam(net.parameter_groups(patterns), lr=0.01), epochs=2)
    if suffix == "deepcopy":
        again = copy.deepcopy(nets[0])
    else:
        nets[0].save(tmp_path / f"net{suffix}")
        again = schuss.load(tmp_path / f"net{suffix}")
    for net in (again, nets[1]):
        net.fit(x, y, loss="cross_entropy", epochs=2)
    fresh = normed()
    for a, b, start in zip(again.parameters, nets[1].parameters, fresh.parameters, strict=True):
        assert_array_equal(a, b)
        assert a.shape not in ((4, 6),) or (a == start).all()


# ---- what BatchNorm keeps --------------------------------------------------------------------------------------------


def states(net: schuss.Network) -> dict[str, Array]:
    return {name: a.copy() for name, a in net.named_states().items()}


def test_states_start_and_count() -> None:
    net = normed()
    assert_equal(states(net), {"layers.1.running_mean": np.zeros(6), "layers.1.running_var": np.ones(6)})
    x, _ = data()
    before = net.predict(x)
    net.named_states()["layers.1.running_mean"][...] = 5
    assert not np.array_equal(net.predict(x), before)
    assert not np.array_equal(net.forward(x, training=False), net.forward(x))
    assert len(net.parameters) == 6
    assert net.n_parameters == 4 * 6 + 6 + 12 + 6 * 3 + 3


def test_prediction_changes_nothing() -> None:
    net = normed()
    x, y = data()
    net.fit(x, y, loss="cross_entropy", epochs=1)
    before = states(net)
    net.predict(x)
    net(x)
    net.evaluate(x, y, "cross_entropy", "accuracy")
    net.forward(x, training=False)
    assert_equal(states(net), before)


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("use", ["train_step", "loss_and_gradients", "gradient"])
def test_states_after_a_step_that_raises(use: str, own: bool) -> None:
    net = normed()
    x, y = data()
    targets = np.eye(3, dtype=np.float32)[y]
    optimizer = schuss.Adam(net.parameters)
    net.train_step(x, targets, "mse", optimizer)
    before = states(net), net._core.draws, copy.deepcopy(optimizer.state_dict()), [p.copy() for p in net.parameters]

    def overflows(prediction: Array, target: Array) -> tuple[float, Array]:
        big = np.float32(np.inf) if use == "gradient" else np.float32(0)
        return (1.0 if use == "gradient" else float("nan")), prediction + big

    huge = np.full_like(targets, 3e38)
    loss: Any = overflows if own else "mse"
    call = net.loss_and_gradients if use == "loss_and_gradients" else net.train_step
    arguments = (x, huge, loss) if use == "loss_and_gradients" else (x, huge, loss, optimizer)
    with pytest.raises((schuss.DivergenceError, FloatingPointError)):
        call(*arguments)
    assert_equal((states(net), net._core.draws, optimizer.state_dict(), list(net.parameters)), before)


def test_states_after_a_loss_function_that_raises() -> None:
    net = normed()
    x, y = data()

    def fails(prediction: Array, target: Array) -> Any:
        raise RuntimeError("of its own")

    before = states(net)
    for use in (
        lambda: net.train_step(x, np.eye(3)[y], fails, schuss.Adam(net.parameters)),
        lambda: net.loss_and_gradients(x, np.eye(3)[y], fails),
    ):
        with pytest.raises(RuntimeError, match="of its own"):
            use()
        assert_equal(states(net), before)


@pytest.mark.parametrize("diverges_in", [1, 2, 4])
def test_divergence_restores_states(diverges_in: int) -> None:
    """To the start of the epoch that failed, as the parameters."""
    x, y = data()
    targets = np.eye(3, dtype=np.float32)[y]
    wanted = normed()
    if diverges_in > 1:
        wanted.fit(x, targets, loss="mse", optimizer=schuss.SGD(wanted.parameters, lr=0.01), epochs=diverges_in - 1)
    net = normed()
    steps = (diverges_in - 1) * 2 + 1
    rates = [0.01] * steps + [1e30] * 50
    with pytest.raises(schuss.DivergenceError):
        net.fit(
            x, targets, loss="mse", optimizer=schuss.SGD(net.parameters, lr=lambda k: rates[k]), epochs=diverges_in + 2
        )
    kept = [normed()]
    for epochs in range(1, diverges_in):
        kept.append(normed())
        kept[-1].fit(x, targets, loss="mse", optimizer=schuss.SGD(kept[-1].parameters, lr=0.01), epochs=epochs)
    found = kept[net.epochs_done]  # that epoch's start, or one before where epochs are so short
    assert_equal(states(net), states(found))
    for a, b in zip(net.parameters, found.parameters, strict=True):
        assert_array_equal(a, b)


def test_early_stopping_restores_states() -> None:
    x, y = data()
    seen: list[dict[str, Array]] = []
    net = normed()

    def look(record: schuss.training.EpochRecord) -> None:
        seen.append({**states(net), **copy.deepcopy(net.named_parameters())})

    validation = x[30:], y[30:]
    options: dict[str, Any] = {"lr": 0.1, "epochs": 60, "batch_size": 7, "early_stopping": 3, "callbacks": [look]}
    history = net.fit(x[:30], y[:30], loss="cross_entropy", validation_data=validation, **options)
    best = int(np.argmin(history["val_loss"]))
    assert best < len(seen) - 1
    assert_equal({**states(net), **net.named_parameters()}, seen[best])
    assert net.evaluate(x[30:], y[30:], "cross_entropy")["loss"] == history["val_loss"][best]


# ---- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_states_in_files(suffix: str, tmp_path: Path) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors")
    net = normed()
    x, y = data()
    net.fit(x, y, loss="cross_entropy", epochs=2)
    net.save(tmp_path / f"net{suffix}")
    again = schuss.load(tmp_path / f"net{suffix}")
    assert_equal(states(again), states(net))
    assert_array_equal(again.predict(x), net.predict(x))
    assert again.layers == net.layers


def every_kind() -> schuss.Network:
    branches = [
        [Input("x", 4), Scale(), BatchNorm(momentum=0.2, eps=0.1)],
        [Input("codes", 2, dtype="int64"), Embedding(7, 3, std=0.5)],
        [],
    ]
    layers = [
        Input("y", 5),
        Concatenate(branches),
        Residual([LayerNorm(eps=0.2), Dense(15, "elu", alpha=0.7, dropout=0.1, bias=False, init="he_normal")]),
        Activation("leaky_relu", alpha=0.3, dropout=0.2),
        Dense(2),
    ]
    return schuss.Network(layers, seed=4)


def header_of(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        found: dict[str, Any] = json.loads(file["schuss"].tobytes())
    return found


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any], text: str | None = None) -> Path:
    """The file with another header, whose checksum fits."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    header = json.loads(content["schuss"].tobytes())
    change(header)
    content["schuss"] = np.frombuffer((text or json.dumps(header)).encode(), np.uint8)
    content["schuss_crc32"] = np.int64(crc32(content["schuss"].tobytes()))
    out = path.with_name("changed.npz")
    buffer = io.BytesIO()
    np.savez(buffer, **content)
    out.write_bytes(buffer.getvalue())
    assert zipfile.is_zipfile(out)
    return out


@pytest.mark.parametrize(("kind", "name"), NAMES)
def test_files_name_kinds(kind: str, name: str, tmp_path: Path) -> None:
    net = network(kind, name, 4)
    path = tmp_path / "net.npz"
    net.save(path)
    header = header_of(path)
    assert header["version"] == version_of(header)
    kinds = []

    def walk(layers: list[dict[str, Any]]) -> None:
        for layer in layers:
            kinds.append(layer["kind"])
            walk(layer.get("layers", []))
            for branch in layer.get("branches", []):
                walk(branch)

    walk(header["layers"])
    assert kind in kinds
    again = schuss.load(path)
    assert again.layers == net.layers
    assert again.inputs == net.inputs
    assert repr(again) == repr(net)
    assert list(again.named_parameters()) == list(net.named_parameters())


def nest(depth: int) -> Any:
    layer: Any = {"kind": "scale", "n": 4}
    for _ in range(depth):
        layer = {"kind": "residual", "layers": [layer]}
    return layer


HOSTILE: dict[str, Any] = {
    "no list": 3,
    "none": None,
    "empty": [],
    "a number": [3],
    "text": ["dense"],
    "unknown kind": [{"kind": "conv", "n": 4}],
    "kind of no name": [{"kind": ["dense"], "n_in": 4, "n_out": 3}],
    "dunder": [{"kind": "__class__"}],
    "unknown argument": [{"kind": "scale", "n": 4, "shape": 5}],
    "missing argument": [{"kind": "embedding", "n": 4}],
    "wrong type": [{"kind": "layer_norm", "n": "4", "eps": 1e-5}],
    "out of range": [{"kind": "layer_norm", "n": 4, "eps": -1}],
    "NaN": [{"kind": "batch_norm", "n": 4, "eps": 1e-5, "momentum": float("nan")}],
    "huge": [{"kind": "scale", "n": 10**30}],
    "large": [{"kind": "dense", "n_in": 2**40, "n_out": 2**40}],
    "overflow": [
        {"kind": "input", "name": "c", "n": 2**40, "dtype": "int64"},
        {"kind": "embedding", "n": 1, "dim": 2**40},
    ],
    "layers of no layers": [{"kind": "residual", "layers": 3}],
    "layers in a scale": [{"kind": "scale", "layers": []}],
    "no layer in a residual": [{"kind": "residual", "layers": []}],
    "branches of numbers": [{"kind": "concatenate", "branches": [3]}],
    "branches of text": [{"kind": "concatenate", "branches": "abc"}],
    "misfit": [{"kind": "dense", "n_in": 4, "n_out": 6}, {"kind": "scale", "n": 5}],
    "input alone": [{"kind": "input", "name": "x", "n": 4, "dtype": None}],
    "input of no name": [{"kind": "input", "name": None, "n": 4, "dtype": None}, {"kind": "scale", "n": 4}],
    "input of another dtype": [{"kind": "input", "name": "x", "n": 4, "dtype": "O"}, {"kind": "scale", "n": 4}],
    "many inputs": [
        {
            "kind": "concatenate",
            "branches": [[{"kind": "input", "name": f"x{k}", "n": 1, "dtype": None}] for k in range(65)],
        }
    ],
    "another network": [{"kind": "dense", "n_in": 4, "n_out": 6}, {"kind": "layer_norm", "n": 6, "eps": 1e-5}],
    "no states": [{"kind": "dense", "n_in": 4, "n_out": 6}, {"kind": "dense", "n_in": 6, "n_out": 3}],
    "deep": [nest(300)],
}


@pytest.mark.parametrize("what", list(HOSTILE))
def test_hostile_descriptions(what: str, tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    normed().save(path)
    changed = rewritten(path, lambda header: header.update(layers=HOSTILE[what]))
    with pytest.raises(ValueError, match="damaged"):
        schuss.load(changed)


def test_nested_beyond_all_use(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    normed().save(path)
    depth = 100_000
    layer = '{"kind": "residual", "layers": [' * depth + '{"kind": "scale", "n": 4}' + "]}" * depth
    text = json.dumps(header_of(path)).replace('"layers": [', f'"layers": [{layer}, ', 1)
    with pytest.raises(ValueError, match="damaged"):
        schuss.load(rewritten(path, lambda header: None, text))


def test_newer_files(tmp_path: Path) -> None:
    path = tmp_path / "net.npz"
    normed().save(path)
    with pytest.raises(ValueError, match=f"format version {VERSION + 1}, newer than {VERSION}"):
        schuss.load(rewritten(path, lambda header: header.update(version=VERSION + 1)))
