"""Network.save and schuss.load: the same content in both formats, whole or not at all."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import schuss
from schuss.files.containers import checksum, container
from schuss.files.versions import VERSION

try:
    import safetensors  # noqa: F401

    ENDINGS = [".npz", ".safetensors"]
except ImportError:
    ENDINGS = [".npz"]

OPTIMIZERS = [
    (schuss.SGD, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    (schuss.SGD, {"lr": 0.01}),
    (schuss.AdaGrad, {"initial_accumulator_value": 0.5}),
    (schuss.RowAdaGrad, {"initial_accumulator_value": 0.5}),
    (schuss.AdaGrad, {"rows": "exact"}),
    (schuss.RMSProp, {"momentum": 0.5}),
    (schuss.RMSProp, {"centered": True}),
    (schuss.Adam, {"amsgrad": True, "betas": (0.8, 0.95)}),
    (schuss.AdamW, {}),
    (schuss.AdamW, {"no_decay": True}),
    (schuss.Lion, {"betas": (0.8, 0.95)}),
    (schuss.ASGD, {"t0": 3.0}),
    (schuss.ScheduleFreeSGD, {"lr": 0.1, "warmup_steps": 30}),
    (schuss.ScheduleFreeAdamW, {"weight_decay": 0.1, "r": 0.5}),
    (schuss.Rprop, {"etas": (0.3, 1.5)}),
    (schuss.Signum, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    (schuss.LARS, {"lr": 5.0}),
    (schuss.LAMB, {}),
    (schuss.NovoGrad, {}),
    (schuss.Prodigy, {"beta3": 0.9}),
    (schuss.Adafactor, {"d": 2.0}),
    (schuss.Muon, {"adamw": {"lr": 0.01}, "ns_steps": 3, "adjust_lr_fn": "match_rms_adamw"}),
    (schuss.SOAP, {"shampoo_beta": None, "precondition_frequency": 3, "precondition_1d": True}),
]


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(100, 5)), rng.integers(0, 3, 100)


def network(dtype: str = "float32") -> schuss.Network:
    layers = [schuss.Dense(5, 7, "elu", dropout=0.3, alpha=0.5), schuss.Dense(7, 3, "softmax", bias=False)]
    return schuss.Network(layers, seed=2**63 + 11, dtype=dtype)


def assert_same(a: schuss.Network, b: schuss.Network) -> None:
    assert a.layers == b.layers
    assert (a.seed, a.dtype, a.epochs_done, a._core.draws) == (b.seed, b.dtype, b.epochs_done, b._core.draws)
    for p, q in zip(a.parameters, b.parameters, strict=True):
        np.testing.assert_array_equal(p, q)
    assert a.metadata == b.metadata
    assert a.history.names == b.history.names
    assert a.history.stopped == b.history.stopped
    assert a.history.best_epoch == b.history.best_epoch
    for name in a.history.names:
        np.testing.assert_array_equal(a.history[name], b.history[name])
    assert type(a.optimizer) is type(b.optimizer)
    if a.optimizer is not None:
        assert b.optimizer is not None
        np.testing.assert_equal(a.optimizer.state_dict(), b.optimizer.state_dict())


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "options"), OPTIMIZERS)
def test_n_and_n_epochs_through_a_file(
    tmp_path: Path, ending: str, dtype: str, kind: type[schuss.Optimizer], options: dict[str, Any]
) -> None:
    X, y = data()
    whole, first = network(dtype), network(dtype)
    arguments: dict[str, Any] = {"loss": "cross_entropy", "batch_size": 8, "validation_fraction": 0.2}
    whole.fit(X, y, optimizer=kind(whole.parameters, **options), epochs=4, **arguments)
    first.fit(X, y, optimizer=kind(first.parameters, **options), epochs=2, **arguments)
    first.metadata = {"classes": ["a", "b", "c"], "scale": [1.5, None]}
    path = tmp_path / f"net{ending}"
    first.save(path)
    second = schuss.load(path)
    assert_same(first, second)
    second.fit(X, y, epochs=2, **arguments)
    second.metadata = {}
    np.testing.assert_array_equal(whole.history["loss"], second.history["loss"])
    assert_same(whole, second)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_network_never_fitted(tmp_path: Path, ending: str) -> None:
    net = network()
    net.save(tmp_path / f"net{ending}", metadata={"note": "für später", "nested": {"x": [1, 2.5, True]}})
    other = schuss.load(str(tmp_path / f"net{ending}"))
    assert other.optimizer is None
    assert other.metadata == {"note": "für später", "nested": {"x": [1, 2.5, True]}}
    assert net.metadata == {}
    other.metadata = {}
    assert_same(net, other)


@pytest.mark.parametrize("ending", ENDINGS)
def test_groups_and_an_optimizer_of_ones_own(tmp_path: Path, ending: str) -> None:
    X, y = data()
    net = network()
    groups = [{"params": net.parameters[:1], "lr": 0.5}, {"params": net.parameters[:0:-1], "weight_decay": 0.1}]
    optimizer = schuss.Adam(groups, lr=lambda step: 0.25 / (1 + step))
    net.train_step(X, y, "cross_entropy", optimizer)
    net.train_step(X, y, "cross_entropy", optimizer)
    net.save(tmp_path / f"net{ending}", optimizer)
    other = schuss.load(tmp_path / f"net{ending}")
    assert other.optimizer is not None
    np.testing.assert_equal(other.optimizer.state_dict(), optimizer.state_dict())
    assert other.optimizer.param_groups[1]["params"][0] is other.parameters[2]
    assert other.optimizer.param_groups[1]["lr"] == 0.125  # the schedule's value at the last step
    assert other.optimizer.param_groups[1]["schedule"] is None


def test_both_endings_hold_the_same(tmp_path: Path) -> None:
    if len(ENDINGS) < 2:
        pytest.skip("safetensors is not installed")
    X, y = data()
    net = network()
    net.fit(X, y, loss="cross_entropy", epochs=2)
    for ending in ENDINGS:
        net.save(tmp_path / f"net{ending}")
    assert_same(*(schuss.load(tmp_path / f"net{ending}") for ending in ENDINGS))


@pytest.mark.parametrize("ending", ENDINGS)
def test_truncated_and_damaged(tmp_path: Path, ending: str) -> None:
    X, y = data()
    net = network()
    net.fit(X, y, loss="cross_entropy", epochs=1)
    path = tmp_path / f"net{ending}"
    net.save(path)
    whole = path.read_bytes()
    for length in [*range(0, len(whole), 397), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"net\..*(damaged|truncated|not a file)"):
            schuss.load(path)
    harmless = 0
    for at in range(0, len(whole), 61):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        try:
            loaded = schuss.load(path)
        except ValueError:
            continue
        # A byte that means nothing, such as a date in a zip entry: what was loaded is right.
        harmless += 1
        assert_same(loaded, net)
    if ending == ".safetensors":
        assert harmless == 0


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("content", [b"", b"PK", b"hello world" * 10, b"\x00" * 300, b"\x93NUMPY\x01\x00v\x00"])
def test_other_content(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"other{ending}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other.*(damaged|truncated)") as caught:
        schuss.load(path)
    assert "allow_pickle" not in str(caught.value)  # NumPy's advice to trust the file


def test_files_of_others(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(ValueError, match="not a file of a schuss network"):
        schuss.load(tmp_path / "x.npz")
    with (tmp_path / "array.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=r"array\.npz"):
        schuss.load(tmp_path / "array.npz")
    np.savez(tmp_path / "pickle.npz", schuss=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"pickle\.npz"):
        schuss.load(tmp_path / "pickle.npz")
    if ".safetensors" in ENDINGS:
        from safetensors.numpy import save_file

        save_file({"a": np.zeros(3)}, tmp_path / "x.safetensors")
        with pytest.raises(ValueError, match="not a file of a schuss network"):
            schuss.load(tmp_path / "x.safetensors")


def rewritten(path: Path, change: Any) -> None:
    """Change the header and content of a file, with checksums that fit."""
    encode, decode = container(str(path))
    content, text, _ = decode(str(path), path.read_bytes())
    header = json.loads(text)
    change(header, content)
    header["checksums"] = {name: checksum(array) for name, array in content.items()}
    path.write_bytes(encode(content, json.dumps(header)))


def set_key(*keys: Any, value: Any) -> Any:
    def change(header: Any, content: Any) -> None:
        for key in keys[:-1]:
            header = header[key]
        header[keys[-1]] = value

    return change


def replace(name: str, array: Any) -> Any:
    def change(header: Any, content: Any) -> None:
        content[name] = array

    return change


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            set_key("version", value=VERSION + 1),
            rf"version {VERSION + 1}, newer than {VERSION}",
        ),
        (set_key("version", value="a"), "damaged"),
        (set_key("format", value="another"), "not that of a network"),
        (set_key("layers", value=[]), "damaged.*layers"),
        (set_key("layers", 0, "n_in", value=2**40), r"damaged.*parameters\.0"),
        (set_key("layers", 0, "activation", value="what"), "damaged.*what"),
        (set_key("layers", 0, "extra", value=1), "damaged.*extra"),
        (set_key("dtype", value="float64"), "damaged"),
        (set_key("dtype", value="O"), "damaged"),
        (set_key("seed", value=-1), "damaged"),
        (set_key("draws", value=None), "damaged"),
        (set_key("optimizer", "kind", value="nonesuch"), "damaged.*nonesuch"),
        (set_key("optimizer", "steps", value=-1), "damaged.*steps"),
        (set_key("optimizer", "groups", 0, "lr", value=-1.0), "damaged.*lr"),
        (set_key("optimizer", "groups", 0, "params", value=[0, 1, 17]), "damaged"),
        (set_key("history", "names", value=["a", "b", "c"]), "damaged"),
        (replace("parameters.0", np.zeros((7, 5), np.float32)), r"damaged.*parameters\.0.*\(7, 5\)"),
        (replace("parameters.0", np.zeros((5, 7), np.float64)), "damaged.*float64"),
        (replace("optimizer.0.exp_avg", np.zeros(3, np.float32)), r"damaged.*optimizer\.0\.exp_avg"),
        (replace("history.lr", np.zeros(9)), r"damaged.*history\.lr"),
        (lambda header, content: content.pop("parameters.1"), r"damaged.*parameters\.1"),
        (lambda header, content: header.pop("layers"), "damaged.*layers"),
    ],
)
def test_wrong_content(tmp_path: Path, ending: str, change: Any, match: str) -> None:
    X, y = data()
    net = network()
    net.fit(X, y, loss="cross_entropy", epochs=1)
    path = tmp_path / f"net{ending}"
    net.save(path)
    rewritten(path, change)
    with pytest.raises(ValueError, match=match):
        schuss.load(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_checksums(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"net{ending}"
    network().save(path)
    encode, decode = container(str(path))
    content, text, _ = decode(str(path), path.read_bytes())
    content["parameters.0"] = content["parameters.0"] + 1
    path.write_bytes(encode(content, text))
    with pytest.raises(ValueError, match=r"parameters\.0.*checksum"):
        schuss.load(path)


def test_saving_fails_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    path = tmp_path / "net.npz"
    net.save(path)
    before = path.read_bytes()
    net.parameters[0][...] = 0

    def fail(*arguments: Any) -> None:
        raise OSError("disk full")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, fail)
            with pytest.raises(OSError, match="disk full"):
                net.save(path)
        assert path.read_bytes() == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["net.npz"]
    net.save(path)
    assert path.read_bytes() != before


def test_paths(tmp_path: Path) -> None:
    net = network()
    for name in ("net", "net.pt", "net.npz.bak", ".npz"):
        with pytest.raises(ValueError, match=r"\.npz or \.safetensors"):
            net.save(tmp_path / name)
        with pytest.raises(ValueError, match=r"\.npz or \.safetensors"):
            schuss.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        schuss.load(tmp_path / "none.npz")
    missing = tmp_path / "no folder" / "net.npz"
    with pytest.raises(FileNotFoundError) as caught:
        net.save(missing)
    assert caught.value.filename == str(missing.resolve())
    for nothing in (3, None, b"net.npz"):
        with pytest.raises(TypeError, match="path must be"):
            net.save(nothing)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="path must be"):
            schuss.load(nothing)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder.npz").mkdir()
    with pytest.raises(OSError, match=r"folder\.npz'$"):
        net.save(tmp_path / "folder.npz")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.npz"]
    net.save(tmp_path / "NET.NPZ")
    schuss.load(tmp_path / "NET.NPZ")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions and links")
def test_permissions_and_links(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        network().save(tmp_path / "net.npz")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "net.npz").stat().st_mode) == 0o640
    (tmp_path / "link.npz").symlink_to(tmp_path / "net.npz")
    network().save(tmp_path / "link.npz")
    assert (tmp_path / "link.npz").is_symlink()


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    net = network()
    with pytest.raises(TypeError, match="metadata"):
        net.save(tmp_path / "net.npz", metadata={"a": object()})
    with pytest.raises(TypeError, match="metadata"):
        net.save(tmp_path / "net.npz", metadata=[1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="optimizer"):
        net.save(tmp_path / "net.npz", schuss.Adam(np.zeros(3, np.float32)))
    with pytest.raises(TypeError, match="optimizer"):
        net.save(tmp_path / "net.npz", "adam")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_safetensors_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match="pip install"):
        network().save(tmp_path / "net.safetensors")
