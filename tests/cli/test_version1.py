"""Models that an older ``schuss train`` has written predict what they always did, to the last bit."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("pandas")

from typer.testing import CliRunner

import schuss
from schuss import cli

FOLDER = Path(__file__).parent / "version1"


@pytest.fixture
def runner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner()


@pytest.mark.parametrize(
    ("model", "options", "lines"),
    [
        ("classes.npz", ["--probabilities"], ["log loss           0.5657", "accuracy           74.17%"]),
        ("quantity.safetensors", [], ["R2    0.5391", "RMSE   71.77"]),
    ],
)
def test_the_same_predictions(runner: CliRunner, model: str, options: list[str], lines: list[str]) -> None:
    if model.endswith(".safetensors"):
        pytest.importorskip("safetensors")
    data = str(FOLDER / "mixed.csv")
    result = runner.invoke(cli.app, ["predict", str(FOLDER / model), data, "--out", "p.csv", *options])
    assert result.exit_code == 0, result.output
    expected = (FOLDER / model).with_suffix(".csv")
    assert Path("p.csv").read_text(encoding="utf-8") == expected.read_text(encoding="utf-8")
    for line in lines:
        assert line in result.stdout


def test_what_it_cannot(runner: CliRunner) -> None:
    pytest.importorskip("safetensors")
    data = str(FOLDER / "mixed.csv")
    refused = runner.invoke(cli.app, ["predict", str(FOLDER / "quantity.safetensors"), data, "--probabilities"])
    assert refused.exit_code == 2 and "predicts a quantity, 'price'" in refused.stderr
    Path("t.csv").write_text("size,gap,colour,code,flag,price\n1,2,red,01,True,5\n", encoding="utf-8")
    result = runner.invoke(cli.app, ["predict", str(FOLDER / "classes.npz"), "t.csv"])
    assert result.exit_code == 0 and "against" not in result.stdout
    with pytest.raises(ValueError, match=r"no table's model: schuss.load reads it"):
        schuss.load_table(FOLDER / "classes.npz")


def test_a_model_of_before_may_be_replaced(runner: CliRunner) -> None:
    old = (FOLDER / "classes.npz").read_bytes()
    Path("m.npz").write_bytes(old)
    options = ["--recipe", "mlp", "--epochs", "2", "--hidden", "4", "--no-plot", "--save", "m.npz"]
    result = runner.invoke(cli.app, ["train", str(FOLDER / "mixed.csv"), *options])
    assert result.exit_code == 0, result.output
    assert Path("m.npz").read_bytes() != old
