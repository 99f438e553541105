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
from schuss.datasets import open_table
from schuss.files.containers import container
from tests.network.file_cases import rewritten


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What schuss train writes."""
    path = tmp_path_factory.mktemp("model") / "iris.npz"
    made = CliRunner().invoke(
        cli.app, ["train", "iris", "--epochs", "2", "--hidden", "4", "--no-plot", "--save", str(path)]
    )
    assert made.exit_code == 0, made.output
    return path


def predicted(path: Path) -> Any:
    return CliRunner().invoke(cli.app, ["predict", str(path), "iris"])


def assert_told(result: Any) -> None:
    assert result.exit_code == 2 and isinstance(result.exception, SystemExit), result.exception
    line = result.stderr.strip()
    assert line.startswith("schuss: ") and "\n" not in line


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to everything below a value of JSON."""
    keys: Any = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [found for key in keys for found in [(*path, key), *places(value[key], (*path, key))]]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "9" * 5000, "null", "", "{}"])
def test_headers(model: Path, tmp_path: Path, text: str) -> None:
    path = tmp_path / "net.npz"
    encode, decode = container(str(path))
    path.write_bytes(encode(decode("x", model.read_bytes())[0], text))
    assert_told(predicted(path))


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", b"\x93NUMPY", b"\0" * 1000])
@pytest.mark.parametrize("ending", [".npz", ".safetensors"])
def test_other_files(tmp_path: Path, ending: str, damage: bytes) -> None:
    path = tmp_path / f"net{ending}"
    path.write_bytes(damage)
    assert_told(predicted(path))
    assert_told(CliRunner().invoke(cli.app, ["train", "iris", "--no-plot", "--save", str(path)]))
    assert path.read_bytes() == damage


def test_tables(model: Path, tmp_path: Path) -> None:
    """Everything that the model says of its table, wrong: told, or the predictions are made."""
    table, path = open_table("iris"), tmp_path / "net.npz"
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
                found, preprocessing = cli.load_model(path)
                found.predict(preprocessing.transform(table))
            except ValueError:
                told += 1
    assert told > 2 * len(every)
    rewritten(path, lambda header, content: header.update(metadata={"table": json.loads("[]")}))
    assert_told(predicted(path))


def test_a_table_of_another_network(model: Path, tmp_path: Path) -> None:
    net = schuss.Network([schuss.Dense(3, 3)], seed=0)
    net.save(tmp_path / "net.npz", metadata=schuss.load(model).metadata)
    result = predicted(tmp_path / "net.npz")
    assert_told(result)
    assert "does not fit its network" in result.stderr
