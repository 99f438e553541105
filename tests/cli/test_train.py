"""What ``schuss train`` learns from, tells and writes, beyond the old command's."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

pytest.importorskip("typer")
pytest.importorskip("rich")
pytest.importorskip("pandas")

import schuss
from schuss.tables import fitting
from schuss.tables.recipes import BY_NAME
from schuss.tables.recipes import MLP as MLPRecipe
from tests.cli.test_cli import FAST, MLP, Run, refused, run, score, write_csv, write_mixed

__all__ = ["run"]


def write_line(path: str, n: int = 200, seed: int = 0) -> list[list[object]]:
    rng = np.random.default_rng(seed)
    rows: list[list[object]] = [[f"{a:.6f}", f"{b:.6f}", f"{3 * a - b + 10:.6f}"] for a, b in rng.normal(size=(n, 2))]
    write_csv(path, ["a", "b", "y"], rows)
    return rows


def parameters(path: str) -> np.ndarray:
    networks = schuss.load_table(path).networks
    return np.concatenate([p.ravel() for network in networks for p in network.parameters])


def test_test_rows_are_used_for_nothing_but_their_score(run: Run) -> None:
    rows = write_line("t.csv")
    assert run("train", "t.csv", *FAST, "--save", "m.npz").exit_code == 0
    before = parameters("m.npz")
    changed = 0
    for place in range(0, 200, 7):  # a fifth of the rows test: most of these train or validate
        other = [list(row) for row in rows]
        other[place] = ["100.5", "0.25", "7.5"]
        write_csv("t.csv", ["a", "b", "y"], other)
        assert run("train", "t.csv", *FAST, "--save", "n.npz").exit_code == 0
        changed += not np.array_equal(parameters("n.npz"), before)
    # Those of a test row change nothing at all; those of a training row everything.
    assert 10 <= changed <= 27


@pytest.mark.parametrize("recipe", ["realmlp", "realmlp-s", "tabm", "mlp"])
def test_recipes(run: Run, recipe: str) -> None:
    write_mixed("t.csv")
    result = run("train", "t.csv", "--recipe", recipe, "--epochs", 8, "--no-plot", "--save", "m.npz")
    assert result.exit_code == 0, result.output
    networks = 1 if recipe == "tabm" else 5
    each = "" if networks == 1 else "5 networks, each with "
    assert f"recipe {recipe}: {each}128 rows that train, 32 validate, 40 test; seed 0" in result.stdout
    assert score(result, "accuracy") > score(result, "accuracy", "baseline")
    predicted = run("predict", "m.npz", "t.csv", "--out", "p.csv")
    assert predicted.exit_code == 0 and len(Path("p.csv").read_text().splitlines()) == 201
    again = schuss.load_table("m.npz")
    assert again.recipe["recipe"] == recipe and len(again.networks) == networks
    import pandas as pd

    found = again.predict(pd.read_csv("t.csv", dtype={"code": str}))
    assert found.tolist() == Path("p.csv").read_text().splitlines()[1:]


@pytest.mark.parametrize(("rows", "networks"), [(8000, 5), (8001, 4), (20_000, 2), (20_001, 1)])
def test_as_many_networks_as_the_estimators_train(run: Run, rows: int, networks: int) -> None:
    pytest.importorskip("sklearn")
    from schuss.sklearn import TabularRegressor

    x = np.random.default_rng(0).normal(size=(rows, 1))
    write_csv("t.csv", ["x", "y"], [[f"{a:.5f}", f"{2 * a:.5f}"] for a in x[:, 0]])
    options = [*MLP, "--batch-size", 1000, "--hidden", 2, "--epochs", 1, "--test", 0, "--no-plot", "--save", "m.npz"]
    assert run("train", "t.csv", *options).exit_code == 0
    assert len(schuss.load_table("m.npz").networks) == networks
    recipe = MLPRecipe(batch_size=1000, hidden=(2,), epochs=1)
    assert len(TabularRegressor(recipe).fit(x, 2 * x[:, 0]).model_.networks) == networks


def test_the_story_of_a_table(run: Run) -> None:
    rng = np.random.default_rng(0)
    rows = [
        [f"1.{i % 10:03},{rng.integers(0, 99):02}", ["TRUE", "FALSE", ""][rng.integers(0, 3)], f"2026-0{i % 9 + 1}-11",
         ["?", "3", "4", "5"][rng.integers(0, 4)], "x", "NA" if i % 3 else "None"]
        for i in range(120)
    ]  # fmt: skip
    write_csv("t.csv", ["price", "flag", "when", "asked", "same", "label"], rows)
    result = run("train", "t.csv", *FAST, "--no-save")
    assert result.exit_code == 0, result.output
    for line in (
        "2 classes: 'NA', 'None'",
        "numbers: price, asked",
        "truth values: flag",
        "dates: when (day, month",
        "'same'",
    ):
        assert line in result.stdout
    assert "true \\ predicted  NA  None" in result.stdout


def test_scores_are_those_of_the_saved_model(run: Run) -> None:
    write_mixed("t.csv")
    result = run("train", "t.csv", *FAST, "--test", "0", "--validation", "0", "--save", "m.npz")
    again = run("predict", "m.npz", "t.csv")
    lines = again.stdout.splitlines()
    for name in ("log loss", "accuracy", "balanced accuracy", "AUC"):
        line = next(line for line in lines if line.startswith(name + " "))
        assert float(line.split()[-1].rstrip("%")) == score(result, name, "training")


def test_a_quantity_is_told_in_its_own_units(run: Run) -> None:
    rows = write_line("t.csv")
    write_csv("t.csv", ["a", "b", "y"], [[a, b, 1000 * float(str(y))] for a, b, y in rows])
    result = run("train", "t.csv", *FAST, "--epochs", 40, "--lr", 0.02, "--save", "m.npz")
    assert result.exit_code == 0, result.output
    assert 2000 < score(result, "RMSE", "baseline") < 4500 and score(result, "RMSE") < score(result, "RMSE", "baseline")
    assert score(result, "R2", "baseline") == pytest.approx(0, abs=0.1)
    shown = [line for line in result.stdout.splitlines() if line.startswith("epoch ")]
    assert len(shown) >= 5 and all("loss" not in line for line in shown)
    first, last = (float(line.split("val_rmse ")[1].split()[0]) for line in (shown[0], shown[-1]))
    assert last < first and 500 < first < 9000  # not in standard units
    assert re.search(r"baseline: the mean of training, (9|10),\d{3}; for MAE the median, (9|10),\d{3}\n", result.stdout)


def test_counts_are_recognised_and_poisson_is_proposed_only(run: Run) -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, 300)
    write_csv("t.csv", ["x", "n"], [[f"{a:.5f}", rng.poisson(math.exp(1.5 + a))] for a in x])
    result = run("train", "t.csv", *FAST, "--no-save", "--task", "regression")
    assert "'n' holds counts: --loss poisson may fit better" in result.stdout and "deviance" not in result.stdout
    options = [*FAST, "--epochs", 30, "--lr", 0.02, "--task", "regression", "--loss", "poisson"]
    result = run("train", "t.csv", *options, "--save", "m.npz")
    assert result.exit_code == 0, result.output
    assert "may fit better" not in result.stdout
    assert score(result, "Poisson deviance") < score(result, "Poisson deviance", "baseline")
    assert run("predict", "m.npz", "t.csv", "--out", "p.csv").exit_code == 0
    assert np.loadtxt("p.csv", skiprows=1).min() > 0


def test_quantiles_and_deviations(run: Run) -> None:
    write_line("t.csv")
    result = run("train", "t.csv", *FAST, "--loss", "quantile=0.1,0.9", "--save", "m.npz")
    assert result.exit_code == 0, result.output
    assert "pinball loss of 0.1" in result.stdout and "share of rows below 0.9" in result.stdout
    assert run("predict", "m.npz", "t.csv", "--out", "p.csv").exit_code == 0
    assert Path("p.csv").read_text().startswith("prediction_0.1,prediction_0.9\n")
    result = run("train", "t.csv", *FAST, "--loss", "gaussian", "--save", "m.npz")
    assert result.exit_code == 0 and "negative log-likelihood" in result.stdout
    assert run("predict", "m.npz", "t.csv", "--out", "p.csv").exit_code == 0
    with open("p.csv", encoding="utf-8") as file:
        assert all(float(row["deviation"]) > 0 for row in csv.DictReader(file))


def test_ensemble_refit_and_time(run: Run) -> None:
    write_mixed("t.csv", 400)
    result = run("train", "t.csv", *FAST, "--ensemble", 3, "--refit", "--save", "m.npz")
    assert result.exit_code == 0, result.output
    assert "3 networks, each with" in result.stdout and "refitted on all 320 rows" in result.stdout
    assert "best epochs" in result.stdout
    assert len(schuss.load_table("m.npz").networks) == 3
    options = ["--recipe", "realmlp-s", "--time", "0.2", "--epochs", "5000", "--no-plot", "--no-save"]
    result = run("train", "t.csv", *options)
    assert result.exit_code == 0 and "epochs fit the time limit" in result.stdout
    assert float(result.stdout.split(" kept; ")[1].split()[0]) < 10


def test_balanced_classes(run: Run) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    labels = ["rare" if a + rng.normal() > 2.4 else "usual" for a in x]
    write_csv("t.csv", ["x", "label"], [[f"{a:.4f}", label] for a, label in zip(x, labels, strict=True)])
    plain = run("train", "t.csv", *FAST, "--epochs", 40, "--no-save", "--test", "0.4")
    even = run("train", "t.csv", *FAST, "--epochs", 40, "--no-save", "--test", "0.4", "--class-weight", "balanced")
    assert plain.exit_code == even.exit_code == 0, even.output
    assert score(even, "balanced accuracy") > score(plain, "balanced accuracy")
    write_line("line.csv")
    refused(run("train", "line.csv", "--class-weight", "balanced"), "--class-weight balanced is for classes")


def test_weights_of_classes_by_name(run: Run) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=600)
    labels = [("a, b=c" if a + rng.normal() > 2.4 else "usual") for a in x]
    write_csv("t.csv", ["x", "label"], [[f"{a:.4f}", label] for a, label in zip(x, labels, strict=True)])
    options = [*FAST, "--epochs", 40, "--test", "0.4", "--class-weight"]
    counts = [labels.count("a, b=c"), labels.count("usual")]
    even = run("train", "t.csv", *FAST, "--epochs", 40, "--no-save", "--test", "0.4")
    rare = run("train", "t.csv", *options, f"usual=1, a, b=c={counts[1] / counts[0]}", "--save", "m.npz")
    assert rare.exit_code == even.exit_code == 0, rare.output
    assert score(rare, "balanced accuracy") > score(even, "balanced accuracy")
    # Every class 1 is as none; a class that is not named weighs 1.
    run("train", "t.csv", *options, "usual=1", "--save", "n.npz")
    run("train", "t.csv", *options[:-1], "--save", "o.npz")
    np.testing.assert_array_equal(parameters("n.npz"), parameters("o.npz"))
    # What was said is kept, and counts when training goes on.
    result = run("train", "t.csv", "--resume", "--save", "m.npz", "--no-plot", "--epochs", 1)
    assert result.exit_code == 0, result.output
    assert schuss.load_table("m.npz").recipe["command"]["class_weight"].startswith("usual=1, a, b=c=")
    refused(run("train", "t.csv", *options, "usual=1,rar=2", "--no-save"), "--class-weight of 'rar'", "known: a, b=c")
    refused(run("train", "t.csv", *options, "Usual=2", "--no-save"), "did you mean 'usual'")
    write_line("line.csv")
    refused(run("train", "line.csv", "--class-weight", "a=2"), "--class-weight a=2 is for classes")


def test_few_rows_that_validate_are_warned_of(run: Run) -> None:
    write_mixed("t.csv", 150)
    result = run("train", "t.csv", *FAST, "--no-save")
    assert "only 24 rows validate:" in result.stdout and "--ensemble 5 --refit" in result.stdout
    result = run("train", "t.csv", *FAST, "--ensemble", 5, "--no-save")
    assert "only 24 rows validate each network:" in result.stdout and "or --refit" in result.stdout
    assert "--ensemble" not in result.stdout
    assert "or --refit" not in run("train", "t.csv", *FAST, "--ensemble", 5, "--refit", "--no-save").stdout
    write_csv("u.csv", ["x", "y"], [[i, "rare" if i % 60 == 0 else "usual"] for i in range(600)])
    assert "of the rows that validate are 'rare'" in run("train", "u.csv", *FAST, "--no-save").stdout
    write_mixed("t.csv", 600)
    assert "only" not in run("train", "t.csv", *FAST, "--no-save").stdout


@pytest.mark.parametrize(("classes", "shown"), [(2, True), (10, True), (11, False)])
def test_confusion_of_few_classes(run: Run, classes: int, shown: bool) -> None:
    write_csv("t.csv", ["x", "y"], [[i % classes + i / 1000, f"class {i % classes}"] for i in range(20 * classes)])
    result = run("train", "t.csv", *FAST, "--no-save")
    assert result.exit_code == 0 and ("true \\ predicted" in result.stdout) == shown
    assert max(map(len, result.stdout.splitlines())) <= 120


@pytest.mark.parametrize("trained", [[], [3], [1, 3], [0, 1, 2, 3, 4]])
def test_an_interrupt_keeps_the_networks_that_have_had_an_epoch(
    run: Run, monkeypatch: pytest.MonkeyPatch, trained: list[int]
) -> None:
    write_mixed("t.csv")
    done = list(trained)

    def interrupted(trainings: Any, fits: Any) -> Any:
        for k in done:
            arguments = dict(fits[k])
            arguments.pop("network").fit(**arguments)
        raise KeyboardInterrupt

    options = [*FAST, "--ensemble", 5, "--save"]
    assert run("train", "t.csv", *options, "whole.npz").exit_code == 0
    with monkeypatch.context() as patched:
        patched.setattr(fitting, "fitted", interrupted)
        result = run("train", "t.csv", *options, "m.npz")
    assert result.exit_code == 130, result.output
    if not trained:
        assert "interrupted" in result.stderr and not Path("m.npz").exists()
        return
    assert "stopped by Ctrl-C" in result.stdout and "wrote m.npz" in result.stdout
    left = 5 - len(trained)
    assert (f"{left} of 5 networks had no epoch yet, and are left out" in result.stdout) == (left > 0)
    whole, networks = schuss.load_table("whole.npz").networks, schuss.load_table("m.npz").networks
    assert len(networks) == len(trained)
    for k, network in zip(trained, networks, strict=True):
        for mine, wanted in zip(network.parameters, whole[k].parameters, strict=True):
            np.testing.assert_array_equal(mine, wanted)
    # The score is of each row by the networks that have not trained on it.
    assert 0 <= score(result, "accuracy", "validation") <= 100
    before = Path("m.npz").read_bytes()
    with monkeypatch.context() as patched:
        patched.setattr(fitting, "fitted", interrupted)
        done.pop()
        result = run("train", "t.csv", "--resume", "--save", "m.npz", "--no-plot", "--epochs", 2)
    assert result.exit_code == 130 and Path("m.npz").read_bytes() == before


def test_going_on(run: Run) -> None:
    write_line("t.csv", 300)
    assert run("train", "t.csv", *FAST, "--epochs", 40, "--save", "m.npz", "--seed", 5).exit_code == 0
    first = schuss.load_table("m.npz")
    result = run("train", "t.csv", "--save", "m.npz", "--resume", "--no-plot", "--epochs", 40)
    assert result.exit_code == 0, result.output
    assert "goes on from m.npz" in result.stdout and "seed 5" in result.stdout
    assert "recipe mlp: 192 rows that train" in result.stdout
    again = schuss.load_table("m.npz")
    assert again.schema == first.schema and again.recipe["hidden"] == first.recipe["hidden"] == [8]
    shown = [line for line in result.stdout.splitlines() if line.startswith("epoch ")]
    fresh = run("train", "t.csv", *FAST, "--epochs", 40, "--no-save", "--seed", 5)
    begun = next(line for line in fresh.stdout.splitlines() if line.startswith("epoch "))
    assert float(shown[0].split("val_rmse ")[1]) < 0.9 * float(begun.split("val_rmse ")[1])  # not from the start
    write_line("t.csv", 301)
    result = run("train", "t.csv", "--save", "m.npz", "--resume", "--no-plot", "--epochs", 1)
    assert "the table has 301 rows, it had 300" in result.stdout


def test_going_on_is_refused(run: Run) -> None:
    write_line("t.csv", 300)
    refused(run("train", "t.csv", "--resume"), "--resume: there is no model t.safetensors", "--save")
    refused(run("train", "t.csv", "--resume", "--no-save"), "--resume")
    assert run("train", "t.csv", *FAST, "--refit", "--save", "m.npz").exit_code == 0
    refused(run("train", "t.csv", "--resume", "--save", "m.npz"), "was refitted")
    assert run("train", "t.csv", *FAST, "--save", "m.npz").exit_code == 0
    refused(run("train", "t.csv", "--resume", "--save", "m.npz", "--seed", 1), "--seed", "--resume")
    refused(run("train", "t.csv", "--resume", "--save", "m.npz", "--hidden", "9"), "other layers")
    refused(run("train", "t.csv", "--resume", "--save", "m.npz", "--recipe", "tabm"), "--recipe tabm", "recipe mlp")
    refused(run("predict", ".", "t.csv"), "is a folder")
    write_mixed("u.csv")
    refused(run("train", "u.csv", "--resume", "--save", "m.npz"), "'y'")


def test_metrics(run: Run) -> None:
    write_mixed("t.csv")
    for metric in ("accuracy", "balanced-accuracy", "log-loss", "auc"):
        result = run("train", "t.csv", *FAST, "--metric", metric, "--save", "m.npz")
        assert result.exit_code == 0, result.output
        (network,) = schuss.load_table("m.npz").networks
        values = network.history[f"val_{metric.replace('-', '_')}"]
        best = values.argmin() if metric == "log-loss" else values.argmax()
        assert f"best epoch {best + 1} of 5" in result.stdout
    refused(run("train", "t.csv", *FAST, "--loss", "focal", "--metric", "auc", "--no-save"), "focal")


def test_names_of_any_kind(run: Run) -> None:
    long = "a class with quite a long name, number "
    names = ["two\nlines", "[bold]x[/bold]", "größe €"]
    write_csv("t.csv", names, [[f"{long}{i % 3}", i % 7 + i / 100, i % 5] for i in range(90)])
    result = run("train", "t.csv", *FAST, "--save", "m.npz", "--target", "two lines")
    assert result.exit_code == 0, result.output
    assert "[bold]x[/bold], größe €" in result.stdout
    header = next(line for line in result.stdout.splitlines() if line.startswith("true"))
    assert header.split()[-3:] == ["(1)", "(2)", "(3)"]  # cut, they would be the same
    assert max(map(len, result.stdout.splitlines())) <= 120
    assert run("predict", "m.npz", "t.csv").exit_code == 0


def test_numbers_beyond_what_can_be_squared(run: Run) -> None:
    rng = np.random.default_rng(0)
    write_csv("t.csv", ["x", "y"], [[a * 1e200, b * 1e300 - 1e299] for a, b in rng.random((90, 2)).tolist()])
    result = run("train", "t.csv", *FAST, "--save", "m.npz")
    assert result.exit_code == 0 and result.stderr == "", result.output
    assert "unknown" in result.stdout and "nan" not in result.stdout
    assert run("predict", "m.npz", "t.csv").exit_code == 0


@dataclass(frozen=True)
class Steady(MLPRecipe):
    """A recipe with a constant rate."""

    name: ClassVar[str] = "steady"
    batch_size: int = 16
    hidden: tuple[int, ...] = (8,)

    def optimizer(self, network: Any, task: Any, steps: int) -> Any:
        return schuss.Adam(network.parameters, lr=0.01)


@pytest.mark.parametrize("ensemble", [1, 2])
def test_going_on_is_exact_where_it_can_be(run: Run, monkeypatch: pytest.MonkeyPatch, ensemble: int) -> None:
    monkeypatch.setitem(BY_NAME, "steady", Steady)
    write_line("t.csv", 300)
    options = ["--no-plot", "--save", "m.npz"]
    fresh = [*options, "--recipe", "steady", "--validation", 0, "--ensemble", ensemble]
    assert run("train", "t.csv", *fresh, "--epochs", 7).exit_code == 0
    expected = parameters("m.npz")
    assert run("train", "t.csv", *fresh, "--epochs", 3).exit_code == 0
    result = run("train", "t.csv", *options, "--resume", "--epochs", 4)
    assert result.exit_code == 0, result.output
    assert "one longer training, to the last bit" in result.stdout
    np.testing.assert_array_equal(parameters("m.npz"), expected)
    again = run("train", "t.csv", *options, "--resume", "--epochs", 2, "--lr", 0.001)
    assert again.exit_code == 0 and "begin anew" in again.stdout
    assert run("train", "t.csv", *fresh, "--validation", 0.2, "--epochs", 3).exit_code == 0
    assert "begin anew" in run("train", "t.csv", *options, "--resume", "--epochs", 1).stdout


def test_a_rate_far_too_large_is_survived(run: Run) -> None:
    """Of a thousand times the rate it says that it went back, and is about as good."""
    command = ["train", "digits", *MLP, "--epochs", "10", "--hidden", "32", "--ensemble", "1", "--no-save", "--no-plot"]
    tuned, large = run(*command, "--lr", "0.005"), run(*command, "--lr", "5")
    assert tuned.exit_code == large.exit_code == 0, large.output
    assert "it went back" in large.output and "it went back" not in tuned.output
    assert score(large, "log loss") < 1.5 * score(tuned, "log loss")
