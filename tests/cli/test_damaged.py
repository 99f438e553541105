"""Model files that are damaged end the command with one line, whatever they say."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("typer")
pytest.importorskip("sklearn")

from typer.testing import CliRunner

import schuss
from schuss import cli
from schuss.cli.predict import answered
from schuss.files.containers import container
from tests.network.file_cases import rewritten

VERSION1 = Path(__file__).parent / "version1"
MIXED = str(VERSION1 / "mixed.csv")


@pytest.fixture(scope="module", params=["iris", "mixed", "version 1"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def data(kind: str) -> str:
    return "iris" if kind == "iris" else MIXED


@pytest.fixture(scope="module")
def model(kind: str, data: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What schuss train writes, or has written once."""
    if kind == "version 1":
        return VERSION1 / "classes.npz"
    path = tmp_path_factory.mktemp("model") / "net.npz"
    options = ["--recipe", "mlp", "--epochs", "2", "--hidden", "4", "--ensemble", "1", "--no-plot", "--save", str(path)]
    made = CliRunner().invoke(cli.app, ["train", data, *options])
    assert made.exit_code == 0, made.output
    return path


def predicted(path: Path, data: str = "iris") -> Any:
    return CliRunner().invoke(cli.app, ["predict", str(path), data])


def assert_told(result: Any) -> None:
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), result.exception
    line = result.stderr.strip()
    assert line.startswith("schuss: ") and "\n" not in line


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything below a value of JSON."""
    keys: Any = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [found for key in keys for found in [(*path, key), *places(value[key], (*path, key))]]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "9" * 5000, "null", "", "{}"])
def test_headers(model: Path, data: str, tmp_path: Path, text: str) -> None:
    path = tmp_path / "net.npz"
    encode, decode = container(str(path))
    path.write_bytes(encode(decode("x", model.read_bytes())[0], text))
    assert_told(predicted(path, data))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"\x93NUMPY", b"\0" * 1000])
@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_other_files(tmp_path: Path, ending: str, damage: bytes) -> None:
    path = tmp_path / f"net{ending}"
    path.write_bytes(damage)
    assert_told(predicted(path))
    assert_told(CliRunner().invoke(cli.app, ["train", "iris", "--no-plot", "--save", str(path)]))
    assert path.read_bytes() == damage


def test_tables(model: Path, data: str, tmp_path: Path) -> None:
    """Everything that the model says of its table, wrong: told, or the predictions are made."""
    path = tmp_path / "net.npz"
    net = schuss.load(model)
    every = places(net.metadata)
    told = 0
    for place in every:
        for value in (None, -1, float("nan"), "x", []):
            metadata = copy.deepcopy(net.metadata)
            within: Any = metadata
            for key in place[:-1]:
                within = within[key]
            within[place[-1]] = value
            net.save(path, metadata=metadata)
            try:
                answered(path, data, False)
            except ValueError:
                told += 1
    assert told > 2 * len(every)
    rewritten(path, lambda header, content: header.update(metadata={"table": json.loads("[]")}))
    assert_told(predicted(path, data))


def test_a_table_of_another_network(kind: str, model: Path, data: str, tmp_path: Path) -> None:
    net = schuss.Network([schuss.Dense(3, 3)], seed=0)
    net.save(tmp_path / "net.npz", metadata=schuss.load(model).metadata)
    result = predicted(tmp_path / "net.npz", data)
    assert_told(result)
    assert ("does not fit its network" if kind == "version 1" else "its networks take") in result.stderr
