"""``schuss compare``: the same table twice, tables as wide as the terminal, what it writes and what it refuses."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

import schuss
from schuss import comparison
from schuss.cli import compare as command
from tests.cli.test_cli import Run, refused, run, write_csv, write_mixed
from tests.comparison.example import example

__all__ = ["run"]

SHORT = ["--optimizers", "sgd,adam", "--steps", 40, "--seeds", 2]
SILENT = ["--no-html", "--no-others"]


def write_line(path: str, n: int = 120) -> None:
    rows = np.random.default_rng(0).normal(size=(n, 2))
    write_csv(path, ["a", "b", "y"], [[f"{a:.5f}", f"{b:.5f}", f"{3 * a - b + 100:.5f}"] for a, b in rows])


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_fit_the_terminal(run: Run, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.out, "_width", width)
    write_mixed("t.csv")
    result = run("compare", "t.csv", *SHORT, "--no-html")
    assert result.exit_code == 0, result.output
    lines = [line.rstrip() for line in result.stdout.splitlines()]
    assert max(map(len, lines)) <= width and "..." not in result.stdout and "…" not in result.stdout
    assert sum(line.startswith("Adam ") for line in lines) == (2 if width < 100 else 1)
    header = " ".join(line for line in lines if line.startswith("optimizer "))
    for name in ("rate", "best", "final", "spread", "accuracy", "to "):
        assert name in header


def columns_of(text: str) -> dict[str, dict[str, str]]:
    """The cells of contenders before the seconds, by label and column."""
    found: dict[str, dict[str, str]] = {}
    names: list[str] = []
    for line in text.splitlines():
        cells = re.split(r"\s{2,}", line.strip())
        if cells[0] == "optimizer":
            names = cells
        elif not line.strip() or cells[0] == "other models":
            names = []
        elif names:
            found[cells[0]] = dict(zip(names[1:-2], cells[1:-2], strict=True))
    return found


@pytest.mark.parametrize("name", ["wine", "diabetes", "t.csv"])
def test_the_same_command_prints_the_same_table(run: Run, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr(command.out, "_width", 120)
    write_mixed("t.csv")
    found = []
    for threads in (1, 2):
        result = run("compare", name, *SHORT, "--no-html", "--json", f"{threads}.json", "--threads", threads)
        assert result.exit_code == 0, result.output
        found.append((columns_of(result.stdout), comparison.load(f"{threads}.json")))
    schuss.set_num_threads(None)
    (shown, numbers), (shown_again, numbers_again) = found
    assert set(shown) == {"SGD", "Adam"}
    assert shown == shown_again and all(len(row) == 7 for row in shown.values())
    assert numbers.to_dict(times=False) == numbers_again.to_dict(times=False)


def test_what_is_told_and_written(run: Run) -> None:
    pytest.importorskip("sklearn")
    write_mixed("t.csv")
    result = run("compare", "t.csv", *SHORT, "--json", "n.json", "--plot", "p.svg")
    assert result.exit_code == 0, result.output
    assert "t: classification, 160 rows, 40 held out" in result.stdout
    assert "'constant'" in result.stdout and "the same value in every training row" in result.stdout
    assert "gradient boosting" in result.stdout and "majority" in result.stdout and "linear" in result.stdout
    assert "Recommended: " in result.stdout and "other model" in result.stdout
    line = re.search(r"^  network\.fit\(.*?\)$", result.stdout, re.MULTILINE | re.DOTALL)
    assert line and 'loss="cross_entropy"' in line[0] and "optimizer=schuss." in line[0]
    compile(line[0].strip(), "line", "eval")
    for path in ("t-compared.html", "n.json", "p.svg"):
        assert f"wrote {path}" in result.stdout
    assert sorted(path.name for path in Path().iterdir()) == ["n.json", "p.svg", "t-compared.html", "t.csv"]
    page = Path("t-compared.html").read_text("utf-8")
    found = comparison.load("n.json")
    assert found.name == "t" and found.verdict.split(":")[0] in page and b"<svg" in Path("p.svg").read_bytes()
    assert found.seeds == (0, 1) and found.steps == 40
    assert [one.name for one in found.others] == ["majority", "linear", "gradient boosting"]
    # Our own files are replaced.
    assert run("compare", "t.csv", *SHORT, "--no-others", "--json", "n.json", "--plot", "p.svg").exit_code == 0


def test_options_reach_the_comparison(run: Run) -> None:
    write_line("t.csv")
    options = ["--optimizers", "momentum, Adam:betas=(0.8,0.99) ,sgd:momentum=0.5:nesterov=true", "--hidden", "7,5"]
    options += ["--loss", "huber=2", "--epochs", 6, "--batch-size", 20, "--seeds", 2, "--seed", 5, "--validation", 0.25]
    result = run("compare", "t.csv", *options, "--time", 0.5, "--target", "y", *SILENT, "--json", "n.json")
    assert result.exit_code == 0, result.output
    found = comparison.load("n.json")
    assert {one.label for one in found.contenders} == {
        "SGD + momentum", "Adam(betas=(0.8, 0.99))", "SGD(momentum=0.5, nesterov=True)",
    }  # fmt: skip
    assert (found.seeds, found.epochs, found.batch_size, found.seconds) == ((5, 6), 6.0, 20, 0.5)
    assert (found.rows, found.validation_rows, found.loss, found.task) == (90, 30, "huber", "regression")
    assert found.network.startswith("2-7-5-1") and not found.others


def test_progress_where_there_is_no_terminal(run: Run) -> None:
    write_line("t.csv")
    result = run("compare", "t.csv", *SHORT, *SILENT)
    shares = [int(share) for share in re.findall(r"^ *(\d+)%  ", result.stdout, re.MULTILINE)]
    assert 1 <= len(shares) <= 3 and shares == sorted(set(shares)) and shares[-1] < 100


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--optimizers", "sgdd"], ["'sgdd' is not known", "did you mean 'sgd'"]),
        (["--optimizers", "sgd,,adam"], ["--optimizers must be names with commas between them", "'sgd,,adam'"]),
        (["--optimizers", "sgd:momentum"], ["--optimizers takes arguments as sgd:momentum=0.9", "'sgd:momentum'"]),
        (["--optimizers", "sgd:momentum=-1"], ["momentum must be a number in [0, inf); got -1"]),
        (["--optimizers", "adam,sgd,adam"], ["--optimizers has 'adam' twice"]),
        (["--epochs", "3", "--steps", "4"], ["--epochs and --steps cannot be together"]),
        (["--epochs", "0"], ["--epochs must be an integer >= 1; got 0"]),
        (["--steps", "0"], ["--steps must be an integer >= 1; got 0"]),
        (["--batch-size", "0"], ["--batch-size must be an integer >= 1; got 0"]),
        (["--threads", "0"], ["--threads must be an integer >= 1; got 0"]),
        (["--time", "0"], ["--time must be a number in (0, inf); got 0"]),
        (["--time", "nan"], ["--time must be a number in (0, inf)"]),
        (["--seeds", "0"], ["--seeds must be an integer from 1 to 1000; got 0"]),
        (["--seed", "-1"], ["--seed must be an integer from 0"]),
        (["--validation", "1"], ["--validation must be a number in [0, 1); got 1"]),
        (["--hidden", "a"], ["--hidden must be units such as 100,50"]),
        (["--task", "x"], ["--task 'x' is not known; known: classification, regression"]),
        (["--task", "regression"], ["target 'buy' is not numeric"]),
        (["--loss", "nope"], ["--loss 'nope' is not known; known: cross_entropy, mse, mae, huber"]),
        (["--loss", "mse=2"], ["--loss mse has no number"]),
        (["--loss", "mse", "--task", "classification"], ["--loss mse is for --task regression"]),
        (["--target", "zz"], ["target 'zz' is not known; known: id, size"]),
        (["--html", "a.txt"], ["--html a.txt: must end in .html or .htm"]),
        (["--html", "no/a.html"], ["--html no/a.html: there is no folder no"]),
        (["--html", "folder.html"], ["--html folder.html: is a folder"]),
        (["--html", "a.html", "--no-html"], ["--html a.html: cannot be together with --no-html"]),
        (["--html", "mine.html"], ["mine.html is there already and was not written by schuss", "--html"]),
        (["--json", "mine.json"], ["mine.json is there already and was not written by schuss", "--json"]),
        (["--json", "t.csv"], ["--json t.csv: must end in .json"]),
        (["--plot", "x.gif"], ["--plot x.gif: must end in .png or .pdf or .svg"]),
    ],
)
def test_bad_options(run: Run, options: list[str], parts: list[str]) -> None:
    write_mixed("t.csv", 60)
    Path("folder.html").mkdir()
    Path("mine.html").write_text("<p>schuss comparison, by hand")
    Path("mine.json").write_text("{}")
    before = {path.name: path.stat().st_mtime_ns for path in Path().iterdir()}
    refused(run("compare", "t.csv", *options), *parts)
    assert {path.name: path.stat().st_mtime_ns for path in Path().iterdir()} == before
    schuss.set_num_threads(None)


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["t.csv: is empty"]),
        ("a,y\n" + "1,x\n2,x\n" * 5, ["target 'y' is 'x' in all 10 rows"]),
        ("a,b,y\n" + "1,2,x\n1,2,z\n" * 5, ["no column to learn from"]),
        ("a,y\n" + "1,0\ninf,1\n" * 5, ["column 'a' is infinite in row 2"]),
    ],
)
def test_bad_files(run: Run, content: str, parts: list[str]) -> None:
    Path("t.csv").write_text(content)
    refused(run("compare", "t.csv", *SHORT), *parts)
    refused(run("compare", "missing.csv", *SHORT), "missing.csv: no such file")


def test_names_that_a_page_or_a_terminal_could_take_for_more(run: Run) -> None:
    write_line("x[b]$1$<i>.csv")
    result = run("compare", "x[b]$1$<i>.csv", *SHORT, "--no-others")
    assert result.exit_code == 0, result.output
    assert "x[b]$1$<i>: regression" in result.stdout
    page = Path("x[b]$1$<i>-compared.html").read_text("utf-8")
    assert "<i>" not in page and "x[b]$1$&lt;i&gt;" in page


# ---- parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.9", 0.9),
        ("3", 3),
        ("true", True),
        ("False", False),
        ("(0.9,0.99)", (0.9, 0.99)),
        ("torch", "torch"),
        ("1e-3", 1e-3),
    ],
)
def test_values_of_arguments(text: str, value: object) -> None:
    found = command.value_of(text)
    assert found == value and type(found) is type(value)


def test_blocks_hold_every_column_once() -> None:
    rows = [["name", "a", "long\nheader", "c"], ["x", "1", "2", "33"]]
    assert list(command.blocks(rows, 80)) == [rows]
    parts = list(command.blocks(rows, 14))
    assert [part[0] for part in parts] == [["name", "a"], ["name", "long\nheader"], ["name", "c"]]
    assert [part[1] for part in parts] == [["x", "1"], ["x", "2"], ["x", "33"]]
    assert len(list(command.blocks(rows, 1))) == 3  # narrower than anything: a column each


def test_headers_of_two_lines() -> None:
    header = comparison.table.header(example())
    assert command.headed(header)[:3] == ["\noptimizer", "\nrate", "good\nrates"]
    assert command.headed(header)[-3:] == ["steps\nto 0.35", "seconds\nto 0.35", "best in\n0.012 s"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals to a process")
def test_ctrl_c_ends_it_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_line("t.csv", 4000)
    arguments = ["compare", "t.csv", "--epochs", "200", "--hidden", "300,300"]
    process = subprocess.Popen(
        [sys.executable, "-m", "schuss", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()  # of its progress
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors.strip() == "schuss: interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_json_is_plain(run: Run) -> None:
    write_line("t.csv")
    assert run("compare", "t.csv", *SHORT, *SILENT, "--json", "n.json").exit_code == 0
    found = json.loads(Path("n.json").read_text(), parse_constant=lambda name: pytest.fail(name))
    assert found["recommended"] in {one["label"] for one in found["contenders"]}
    runs = found["contenders"][0]["runs"]
    assert len(runs) == 2 and len(runs[0]["losses"]) == found["steps"] >= 40
