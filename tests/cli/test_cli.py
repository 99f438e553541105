"""The command line, run in this process and, for what only a process shows, as one."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from typer.testing import CliRunner, Result

import schuss
from schuss import cli

Run = Callable[..., Result]
MLP = ["--recipe", "mlp", "--batch-size", "32"]
FAST = [*MLP, "--epochs", "5", "--hidden", "8", "--ensemble", "1", "--no-plot"]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    return lambda *arguments: runner.invoke(cli.app, [str(argument) for argument in arguments])


def refused(result: Result, *parts: str) -> None:
    """One line on stderr that has the parts, exit code 2, no traceback."""
    assert result.exit_code == 2, result.output
    line = result.stderr.strip()
    assert line.startswith("schuss: ") and "\n" not in line, result.stderr
    for part in parts:
        assert part in line


def score(result: Result, name: str, part: str = "test") -> float:
    """A number of the table of scores, as it is shown."""
    lines = result.stdout.splitlines()
    header = next(line.split() for line in lines if line.split()[-1:] == ["baseline"])
    line = next(line for line in lines if line.startswith(name + " "))
    cell = line.removeprefix(name).split()[header.index(part)]
    return float(cell.rstrip("%").replace(",", ""))


def write_csv(path: Path | str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def write_mixed(path: Path | str, n: int = 200) -> None:
    """A classification with numbers, gaps, codes and text, of which size and colour tell the answer."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(n):
        size, colour = rng.normal(), str(rng.choice(["red", "green", "blue"]))
        label = "yes" if size + (colour == "red") > 0.3 else "no"
        rows.append([i, f"{size:.4f}", "" if i % 10 == 0 else i % 7, colour, f"0{i % 3}", 1, label])
    write_csv(path, ["id", "size", "gap", "colour", "code", "constant", "buy"], rows)


# ---- train --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [[], ["--ensemble", 1], ["--ensemble", 1, "--seed", 1], ["--ensemble", 1, "--seed", 17]]
)
def test_digits_by_default_and_with_one_network_reach_96_percent(run: Run, options: list[object]) -> None:
    pytest.importorskip("sklearn")
    result = run("train", "digits", *options, "--no-plot", "--save", "m.npz")
    assert result.exit_code == 0, result.output
    assert score(result, "accuracy") >= 96 and score(result, "accuracy", "validation") >= 96
    assert score(result, "accuracy", "baseline") < 15 and score(result, "log loss") < 0.2
    assert "10 classes" in result.stdout and "steps a second" in result.stdout and "parameters" in result.stdout


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_named_data_sets(run: Run, name: str) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("safetensors")
    result = run("train", name)
    assert result.exit_code == 0, result.output
    assert Path(f"{name}.safetensors").exists()
    assert Path(f"{name}.png").read_bytes().startswith(b"\x89PNG")
    if name == "diabetes":
        assert score(result, "R2") >= 0.3 and 40 < score(result, "RMSE") < 65 < score(result, "RMSE", "baseline")
    else:
        assert score(result, "accuracy") >= 90
    assert " mse" not in result.stdout
    again = run("predict", f"{name}.safetensors", name)
    assert again.exit_code == 0, again.output
    assert "against 'target'" in again.stdout


@pytest.mark.parametrize("ensemble", [1, 5])
def test_same_seed_same_model_for_any_number_of_threads(run: Run, ensemble: int) -> None:
    write_mixed("t.csv")
    parameters = []
    for options in (["--threads", 1], ["--threads", 2], ["--seed", 1]):
        assert run("train", "t.csv", *FAST, "--ensemble", ensemble, "--save", "m.npz", *options).exit_code == 0
        networks = schuss.load_table("m.npz").networks
        assert len(networks) == ensemble
        parameters.append(np.concatenate([p.ravel() for network in networks for p in network.parameters]))
    schuss.set_num_threads(None)
    np.testing.assert_array_equal(parameters[0], parameters[1])
    assert not np.array_equal(parameters[0], parameters[2])


def test_mixed_columns_there_and_back(run: Run) -> None:
    write_mixed("t.csv")
    result = run("train", "t.csv", *MLP, "--epochs", 30, "--save", "m.npz", "--plot", "curves.svg")
    assert result.exit_code == 0, result.output
    assert "t: 200 rows; target 'buy': classification, 2 classes: 'no', 'yes'" in result.stdout
    assert "'constant'" in result.stdout and "the same value in every training row" in result.stdout
    assert b"<svg" in Path("curves.svg").read_bytes()

    # Other columns, another order, unseen and missing values, codes alone in their column, no target.
    write_csv(
        "new.csv",
        ["extra", "code", "colour", "gap", "size", "id"],
        [["?", "01", "red", "", 2.5, 7], ["?", "02", "purple", 3, -2.5, 8], ["?", "01", "", 3, "", ""]],
    )
    result = run("predict", "m.npz", "new.csv", "--out", "p.csv", "--probabilities")
    assert result.exit_code == 0, result.output
    with open("p.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["prediction"] for row in rows[:2]] == ["yes", "no"]
    for row in rows:
        no, yes = float(row["probability_no"]), float(row["probability_yes"])
        assert no + yes == pytest.approx(1, abs=1e-6)
        assert row["prediction"] == ("yes" if yes > no else "no")


def test_regression_in_the_targets_own_units(run: Run) -> None:
    x = np.linspace(-1, 1, 300)
    write_csv("line.csv", ["x", "height"], [[f"{a:.5f}", f"{5000 + 300 * a:.3f}"] for a in x])
    result = run("train", "line.csv", *MLP, "--epochs", 100, "--dropout", 0, "--save", "m.npz", "--no-plot")
    assert result.exit_code == 0, result.output
    assert "regression, a quantity" in result.stdout
    assert run("predict", "m.npz", "line.csv", "--out", "p.csv").exit_code == 0
    predicted = np.loadtxt("p.csv", skiprows=1)
    assert np.abs(predicted - (5000 + 300 * x)).max() < 30


def test_task_and_target_by_hand(run: Run) -> None:
    write_csv("t.csv", ["target", "a", "b"], [[i % 3, i, (i * 7) % 11 + 0.5] for i in range(60)])
    assert "'target': classification" in run("train", "t.csv", *FAST, "--no-save").stdout
    assert "'target': regression" in run("train", "t.csv", *FAST, "--no-save", "--task", "regression").stdout
    assert "'b': regression" in run("train", "t.csv", *FAST, "--no-save", "--target", "b").stdout
    assert not list(Path().glob("*.safetensors"))


@pytest.mark.parametrize(
    "options",
    [
        ["--hidden", "0", "--optimizer", "sgd"],
        ["--hidden", "5,4,3", "--activation", "tanh", "--optimizer", "adamw", "--weight-decay", "0.1"],
        ["--validation", "0", "--optimizer", "rmsprop", "--lr", "0.01"],
        ["--batch-size", "1000", "--optimizer", "adagrad", "--dropout", "0"],
        ["--optimizer", "adam", "--lr", "0.01", "--test", "0"],
        ["--ensemble", "2", "--class-weight", "balanced"],
        ["--loss", "focal=1", "--metric", "loss"],
        ["--metric", "log-loss", "--time", "100"],
    ],
)
def test_options(run: Run, options: list[str]) -> None:
    write_mixed("t.csv")
    arguments = [*MLP, "--epochs", "3", "--hidden", "8", "--no-plot", "--save", "m.npz", *options]
    result = run("train", "t.csv", *arguments)
    assert result.exit_code == 0, result.output
    networks = schuss.load_table("m.npz").networks
    assert [len(network.history) for network in networks] == [3] * (2 if "--ensemble" in options else 5)


def test_early_stopping_says_so(run: Run) -> None:
    write_mixed("t.csv")
    result = run("train", "t.csv", *MLP, "--lr", 0.1, "--patience", 2, "--no-plot", "--save", "m.npz")
    histories = [network.history for network in schuss.load_table("m.npz").networks]
    assert len(histories) == 5
    for history in histories:
        assert history.stopped == "early_stopping"
        assert f"stopped after epoch {len(history)}: no better one for 2 epochs" in result.stdout
    best = ", ".join(str(history.best_epoch) for history in histories)
    done = ", ".join(dict.fromkeys(str(len(history)) for history in histories))
    assert f"best epochs {best} of {done}, kept" in result.stdout
    result = run("train", "t.csv", *MLP, "--lr", 0.1, "--patience", 2, "--ensemble", 1, "--no-plot", "--save", "m.npz")
    (network,) = schuss.load_table("m.npz").networks
    assert network.history.stopped == "early_stopping"
    assert f"best epoch {network.history.best_epoch} of {len(network.history)}, kept" in result.stdout


def test_files_of_others_are_not_overwritten(run: Run) -> None:
    write_mixed("t.csv")
    Path("m.npz").write_bytes(b"precious")
    Path("t.png").write_bytes(b"\x89PNG precious")
    refused(run("train", "t.csv", "--save", "m.npz", "--no-plot"), "m.npz", "--save")
    refused(run("train", "t.csv", "--no-save"), "t.png", "--plot")
    assert run("train", "t.csv", *FAST, "--save", "n.npz").exit_code == 0
    refused(run("predict", "n.npz", "t.csv", "--out", "t.csv"), "t.csv", "--out")
    assert Path("m.npz").read_bytes() == b"precious"
    assert Path("t.png").read_bytes() == b"\x89PNG precious"
    for _ in range(2):  # our own are
        assert run("train", "t.csv", *MLP, "--epochs", 2, "--save", "n.npz", "--plot", "n.png").exit_code == 0
        assert run("predict", "n.npz", "t.csv", "--out", "p.csv").exit_code == 0


# ---- what is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--target", "price"], ["target 'price' is not known", "colour"]),
        (["--target", "BUY"], ["target 'BUY' is not known", "did you mean 'buy'"]),
        (["--task", "regression"], ["target 'buy' is not numeric", "such as 'no'"]),
        (["--task", "classify"], ["--task 'classify'", "'classification'"]),
        (["--target", "constant"], ["target 'constant' is 1 in all 200 rows"]),
        (["--hidden", "ten"], ["--hidden", "'ten'"]),
        (["--hidden", "10,-1"], ["--hidden"]),
        (["--hidden", "10"], ["--hidden is for --recipe mlp", "realmlp"]),
        (["--weight-decay", "1", "--recipe", "realmlp-s"], ["--weight-decay is for --recipe mlp", "realmlp-s"]),
        (["--recipe", "mlp", "--activation", "rely"], ["'rely'", "'relu'"]),
        (["--recipe", "mlp", "--optimizer", "adm"], ["'adm'", "'adam'"]),
        (["--recipe", "realmpl"], ["--recipe 'realmpl'", "'realmlp'"]),
        (["--loss", "mse"], ["--loss 'mse'", "cross_entropy"]),
        (["--loss", "focal=x"], ["--loss focal", "'focal=x'"]),
        (["--metric", "rmse"], ["--metric 'rmse'", "auc"]),
        (["--class-weight", "even"], ["--class-weight 'even'", "balanced"]),
        (["--class-weight", "yes"], ["--class-weight 'yes'", "yes=3,no=1"]),
        (["--class-weight", "yes=two"], ["--class-weight 'yes=two'"]),
        (["--class-weight", "yes=1,no"], ["--class-weight 'yes=1,no'"]),
        (["--class-weight", "=2"], ["--class-weight '=2'"]),
        (["--class-weight", ""], ["--class-weight ''"]),
        (["--class-weight", "yes=0"], ["--class-weight of 'yes'", "(0, inf)"]),
        (["--class-weight", "yes=nan"], ["--class-weight of 'yes'", "(0, inf)"]),
        (["--class-weight", "yes=1,yes=2"], ["'yes' twice"]),
        (["--class-weight", "yes=1,maybe=2"], ["--class-weight of 'maybe' is not known", "no, yes"]),
        (["--time", "0"], ["--time", "0"]),
        (["--ensemble", "0"], ["--ensemble", "0"]),
        (["--test", "1"], ["--test", "[0, 1)"]),
        (["--test", "0.6", "--validation", "0.4"], ["--test 0.6 and --validation 0.4 leave no rows"]),
        (["--test", "0.001"], ["too few", "--test"]),
        (["--epochs", "0"], ["--epochs", "0"]),
        (["--batch-size", "0"], ["--batch-size"]),
        (["--recipe", "mlp", "--patience", "0"], ["--patience"]),
        (["--validation", "1"], ["--validation", "[0, 1)"]),
        (["--validation", "0.001"], ["too few"]),
        (["--lr", "-1"], ["lr", "-1"]),
        (["--recipe", "mlp", "--dropout", "1"], ["dropout"]),
        (["--recipe", "mlp", "--weight-decay", "-1"], ["weight_decay"]),
        (["--threads", "0"], ["--threads", "0"]),
        (["--seed", "-1"], ["--seed"]),
        (["--save", "absent/m.npz"], ["--save", "no folder absent"]),
        (["--save", "m.txt"], ["--save m.txt", ".npz"]),
        (["--save", "folder.npz"], ["folder.npz", "is a folder"]),
        (["--plot", "p.xyz"], ["--plot p.xyz", ".png"]),
        (["--plot", "p.png", "--no-plot"], ["--plot p.png", "--no-plot"]),
        (["--save", "m.npz", "--no-save"], ["--save m.npz", "--no-save"]),
    ],
)
def test_bad_options(run: Run, options: list[str], parts: list[str]) -> None:
    write_mixed("t.csv")
    Path("folder.npz").mkdir()
    refused(run("train", "t.csv", *options), *parts)
    assert sorted(path.name for path in Path().iterdir()) == ["folder.npz", "t.csv"]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("", ["t.csv: is empty"]),
        ("a,b\n", ["t.csv: has no rows"]),
        ("a,b\n1,2\n1,2,3\n", ["t.csv", "rows have more values than the header has names"]),
        ("a\n1\n2\n", ["only the column 'a'"]),
        ("a,y\n" + "1,x\n2,x\n" * 5, ["target 'y' is 'x' in all 10 rows"]),
        ("a,b,y\n" + "1,2,x\n1,2,z\n" * 5, ["no column to learn from", "'a', 'b'"]),
        ("a,y\n" + "1,0\ninf,1\n" * 5, ["column 'a' is infinite in row 2"]),
        ("a,y\n1,\n2,\n", ["target 'y' has no values"]),
        ("a,y\n1,0.5\n2,0.7\n", ["too few"]),
    ],
)
def test_bad_files(run: Run, content: str, parts: list[str]) -> None:
    Path("t.csv").write_text(content, encoding="utf-8")
    refused(run("train", "t.csv"), *parts)


def test_bad_names(run: Run) -> None:
    refused(run("train", "digts"), "did you mean 'digits'")
    refused(run("train", "absent.csv"), "absent.csv: no such file")
    refused(run("predict", "absent.npz", "iris"), "absent.npz: no such file")
    refused(run("train", "."), "is a folder")


def test_bad_predictions(run: Run) -> None:
    write_mixed("t.csv")
    assert run("train", "t.csv", *FAST, "--save", "m.npz").exit_code == 0
    write_csv("few.csv", ["id", "size", "buy"], [[1, 2, "yes"]])
    refused(run("predict", "m.npz", "few.csv"), "few: lacks columns", "'gap'", "'colour'", "'code'")
    write_csv("text.csv", ["id", "size", "gap", "colour", "code"], [[1, "big", 1, "red", "01"]])
    refused(run("predict", "m.npz", "text.csv"), "column 'size' must be numbers", "'big'")
    refused(run("predict", "m.npz", "t.csv", "--out", "absent/p.csv"), "no folder absent")
    refused(run("predict", "t.csv", "t.csv"), "t.csv")
    Path("bad.npz").write_bytes(Path("m.npz").read_bytes()[:500])
    refused(run("predict", "bad.npz", "t.csv"), "bad.npz")
    schuss.Network([schuss.Dense(2, 1)], seed=0).save("plain.npz")
    refused(run("predict", "plain.npz", "t.csv"), "plain.npz: was not written by schuss train")

    write_csv("line.csv", ["x", "y"], [[i, i * 0.5] for i in range(50)])
    assert run("train", "line.csv", *FAST, "--save", "line.npz").exit_code == 0
    refused(run("predict", "line.npz", "line.csv", "--probabilities"), "predicts a quantity")


def test_scores_only_rows_that_have_a_known_class(run: Run) -> None:
    write_mixed("t.csv")
    assert run("train", "t.csv", *FAST, "--save", "m.npz").exit_code == 0
    header = ["id", "size", "gap", "colour", "code", "buy"]
    write_csv("part.csv", header, [[1, 2, 3, "red", "01", "yes"], [1, 2, 3, "red", "01", ""]])
    assert "against 'buy' in 1 row:" in run("predict", "m.npz", "part.csv").stdout
    write_csv("other.csv", header, [[1, 2, 3, "red", "01", "maybe"]])
    result = run("predict", "m.npz", "other.csv")
    assert result.exit_code == 0 and "not scored" in result.stdout and "maybe" in result.stdout


def test_divergence_is_told(run: Run) -> None:
    x = np.linspace(-1, 1, 100)
    write_csv("line.csv", ["x", "y"], [[a, a * 2] for a in x])
    result = run("train", "line.csv", *MLP, "--optimizer", "sgd", "--lr", 1e30, "--no-save", "--no-plot")
    assert result.exit_code == 1
    assert result.stderr.startswith("schuss: ") and result.stderr.count("\n") == 1 and "lr" in result.stderr


# ---- as a process -------------------------------------------------------------------------------------------------


def process(*arguments: str, folder: Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "schuss", *arguments], cwd=folder, capture_output=True, text=True, timeout=timeout
    )


def test_version_and_info(tmp_path: Path) -> None:
    assert process("--version", folder=tmp_path).stdout == f"schuss {schuss.__version__}\n"
    result = process("info", folder=tmp_path)
    assert result.returncode == 0 and "isa" in result.stdout and "threads" in result.stdout


def test_an_error_of_a_process_has_no_traceback(tmp_path: Path) -> None:
    result = process("train", "absent.csv", folder=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", "schuss: absent.csv: no such file\n")


def test_predictions_to_stdout_are_only_that(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    result = process("train", "iris", *FAST, "--save", "m.npz", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    lines = process("predict", "m.npz", "iris", "--out", "-", folder=tmp_path).stdout.splitlines()
    assert lines[0] == "prediction" and len(lines) == 151
    assert set(lines[1:]) <= {"setosa", "versicolor", "virginica"}


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_reader_who_has_enough(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    assert process("train", "digits", *FAST, "--save", "m.npz", folder=tmp_path).returncode == 0
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "schuss", "predict", "m.npz", "digits", "--out", "-", "--probabilities"]
    try:
        result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=tmp_path, timeout=60)
    finally:
        os.close(writer)
    assert result.stderr == b""


def test_starting_up_opens_no_heavy_package(tmp_path: Path) -> None:
    code = (
        "import sys, schuss.cli; print(*[m for m in ('pandas', 'sklearn', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "", result.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_ctrl_c_keeps_what_there_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    write_csv(tmp_path / "t.csv", ["a", "b", "y"], rng.normal(size=(5000, 3)).tolist())
    arguments = ["train", "t.csv", "--recipe", "mlp", "--epochs", "1000000", "--save", "m.npz", "--no-plot"]
    running = subprocess.Popen(
        [sys.executable, "-u", "-m", "schuss", *arguments],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # a background job of a shell starts with the signal ignored, and would pass that on
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert running.stdout
    seen = ""
    while "epoch" not in seen:  # the line of the first epoch
        seen = running.stdout.readline()
        assert seen, running.communicate()[1]
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=30)
    assert running.returncode == 130, stderr
    assert stderr == ""
    assert "stopped by Ctrl-C in epoch" in stdout and "wrote m.npz" in stdout
    result = process("predict", "m.npz", "t.csv", folder=tmp_path)
    assert result.returncode == 0 and "R2" in result.stdout


def test_without_its_extras_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['typer'] = None; import schuss.cli"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr == "schuss: the command line needs typer: pip install 'schuss[cli]'\n"
