"""The programs in examples/ run, print what they should, and their gradients are those of their losses."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, *arguments: str) -> str:
    """What it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", str(EXAMPLES / name), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(pattern: str, text: str) -> list[float]:
    """What the groups of the pattern are where it is found."""
    found = re.search(pattern, text)
    assert found is not None, text
    return [float(part) for part in found.groups()]


def slopes(loss: Callable[[], float], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Central differences of the loss by each element of an array that it reads."""
    found = np.empty_like(at)
    for k in range(at.size):
        values = []
        for change in (1e-5, -1e-5):
            before = at.flat[k]
            at.flat[k] += change
            values.append(loss())
            at.flat[k] = before
        found.flat[k] = (values[0] - values[1]) / 2e-5
    return found


def names_of(name: str) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / name))


def test_logistic_regression() -> None:
    pytest.importorskip("sklearn")
    printed = run("logistic_regression.py")
    assert numbers(r"training: loss ([\d.]+)", printed)[0] < 0.08
    assert numbers(r"test: loss ([\d.]+), accuracy ([\d.]+)% of 169", printed)[1] >= 96
    f = names_of("logistic_regression.py")["loss_and_gradients"]
    rng = np.random.default_rng(1)
    model, X, y = {"w": rng.normal(size=4), "b": rng.normal(size=1)}, rng.normal(size=(9, 4)), rng.integers(0, 2, 9)
    for name, gradient in f(model, X, y)[1].items():
        np.testing.assert_allclose(gradient, slopes(lambda: float(f(model, X, y)[0]), model[name]), rtol=1e-6)


def test_gaussian_process(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    printed = run("gaussian_process.py", str(tmp_path / "process.png"))
    assert (tmp_path / "process.png").stat().st_size > 5000
    loss, slope = numbers(r"likelihood ([\d.]+), largest derivative (\S+)", printed)
    assert loss < 5.66 and slope < 1e-3
    assert 0.15 < numbers(r"noise ([\d.]+)", printed)[0] < 0.25
    assert numbers(r"error of the mean ([\d.]+)", printed)[0] < 0.1
    f = names_of("gaussian_process.py")["loss_and_gradient"]
    rng = np.random.default_rng(1)
    x, y, theta = rng.uniform(0, 10, 20), rng.normal(size=20), np.array([0.3, -0.2, -1.0])
    np.testing.assert_allclose(f(theta, x, y)[1], slopes(lambda: float(f(theta, x, y)[0]), theta), rtol=1e-6)


def test_simulator(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    printed = run("simulator.py", str(tmp_path / "simulator.png"))
    assert (tmp_path / "simulator.png").stat().st_size > 5000
    assert numbers(r"loss ([\d.]+): ([\d.]+) infections and ([\d.]+)", printed) == pytest.approx([1.005, 1.91, 0.49])
    f = names_of("simulator.py")["loss_and_gradient"]
    theta = np.log([1.4, 0.4, 2.0])
    np.testing.assert_allclose(f(theta)[1], slopes(lambda: float(f(theta)[0]), theta), rtol=1e-6)


def test_minimize_peaks() -> None:
    pytest.importorskip("scipy")
    printed = run("minimize_peaks.py", "20000")
    for name, worst in (("BFGS", 0.05), ("L-BFGS-B", 0.05), ("L-BFGS", 0.05), ("Adam", 0.05), ("batches of 256", 0.1)):
        loss, error = numbers(rf"{name} +([\d.]+) +([\d.]+) ", printed)
        assert loss < 0.046 and error < worst
    names = names_of("minimize_peaks.py")
    f, theta = names["loss_and_gradient"], names["TRUTH"] + 0.1
    t, y = np.linspace(0, 10, 30), np.sin(np.arange(30.0))
    np.testing.assert_allclose(f(theta, t, y)[1], slopes(lambda: float(f(theta, t, y)[0]), theta), rtol=1e-6, atol=1e-9)


def test_sklearn_pipeline() -> None:
    pytest.importorskip("sklearn")
    printed = run("sklearn_pipeline.py")
    theirs, ours = printed.split("schuss:")
    pattern = r"cross-validated ([\d.]+)\n  test accuracy ([\d.]+), last loss ([\d.]+)"
    assert numbers(pattern, ours) == pytest.approx(numbers(pattern, theirs), rel=1e-9)
    assert numbers(pattern, ours)[1] > 0.9


def test_sklearn_imbalanced() -> None:
    pytest.importorskip("sklearn")
    printed = run("sklearn_imbalanced.py")
    plain, weighted = printed.split("weighted, stopped")
    pattern = r"ROC AUC ([\d.]+), recall ([\d.]+)"
    assert all(np.array(numbers(pattern, weighted)) > np.array(numbers(pattern, plain)) + 0.03)


def test_sklearn_interval(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    printed = run("sklearn_interval.py", str(tmp_path / "interval.png"))
    assert (tmp_path / "interval.png").stat().st_size > 5000
    assert numbers(r"interval ([\d.]+)%, above ([\d.]+)%", printed) == pytest.approx([5, 5], abs=2.5)
    assert numbers(r"median ([\d.]+)%", printed) == pytest.approx([50], abs=5)


def test_images(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    printed = run("images.py", "--quick", str(tmp_path / "images.png"))
    assert (tmp_path / "images.png").stat().st_size > 5000
    assert numbers(r"(\d+) digits trained, (\d+) tested", printed) == [1438, 359]
    dense, lenet = (numbers(rf"{name} +(\d+) parameters: ([\d.]+)% wrong", printed) for name in ("dense", "LeNet"))
    assert lenet[1] < 5 and dense[1] < 6 and lenet[0] == 22602


def test_each_has_a_test() -> None:
    assert {f"test_{path.stem}" for path in EXAMPLES.glob("*.py")} <= set(globals())


def test_tables(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    printed = run("tables.py", str(tmp_path / "tables.png"))
    assert (tmp_path / "tables.png").stat().st_size > 20000
    assert "taken as missing: 'k.A.' in column 'Fläche'" in printed
    error, constant, least = numbers(
        r"mean error ([\d.]+) €; a constant's ([\d.]+) €, what noise leaves ([\d.]+) €", printed
    )
    assert least < error < 0.3 * constant
    assert re.findall(r"without (\w+)", printed)[:2] == ["Fläche", "Stadtteil"]


def test_sequences(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    printed = run("sequences.py", "--quick", str(tmp_path / "sequences.png"))
    assert (tmp_path / "sequences.png").stat().st_size > 20000
    assert numbers(r"(\d+) windows trained, (\d+) tested", printed) == [2089, 697]
    (last,), (seasonal,) = (numbers(rf"{name} +([\d.]+)", printed) for name in ("temperature", "hour yesterday"))
    assert numbers(r"GRU +([\d.]+)", printed)[0] < 0.7 * min(last, seasonal)
    assert 75 <= numbers(r"0.1 and 0.9: (\d+)%", printed)[0] <= 90
    # No hour that is trained on lies in the part that tests, and no forecast knows what it has to tell.
    names = names_of("sequences.py")
    task = names["Task"](*names["made_up"]())
    values, test = task.values[:, 0], 24 * 90
    assert task.last[task.train].max() + 24 < test <= task.last[task.test].min() + 1
    for k in (0, 100):
        last = task.last[k]
        np.testing.assert_array_equal(task.X[k, :, 0], values[last - 47 : last + 1].astype(np.float32))
        np.testing.assert_array_equal(task.y[k], values[last + 1 : last + 25])
    np.testing.assert_array_equal(names["yesterday"](task)[0], values[task.last[task.test[0]] - 23 :][:24])


def test_recommend(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    pytest.importorskip("matplotlib")
    printed = run("recommend.py", str(tmp_path / "recommend.png"))
    assert (tmp_path / "recommend.png").stat().st_size > 20000
    (popular,), (bpr,), (warp,) = (
        numbers(rf"{name} +precision\D+([\d.]+)", printed) for name in ("popular", "bpr", "warp")
    )
    assert 1.3 * popular < bpr < warp
    plain, known = numbers(r"AUC ([\d.]+) by their numbers, ([\d.]+) with their genres", printed)
    assert 0.4 < plain < 0.6 < known
    # Nothing that trains tests, and of new films nothing trains.
    names = names_of("recommend.py")
    views, _ = names["made_up"]()
    train, test, of_new = names["parts"](views, np.arange(50))
    assert train.multiply(test).nnz == 0 and train.nnz + test.nnz + of_new.nnz == views.nnz == names["VIEWS"]
    assert train[:, :50].nnz == test[:, :50].nnz == 0 and of_new[:, 50:].nnz == 0


def test_rare_features(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    pytest.importorskip("matplotlib")
    printed = run("rare_features.py", str(tmp_path / "rare.png"))
    assert (tmp_path / "rare.png").stat().st_size > 20000
    assert numbers(r"(\d+)% of the features", printed)[0] > 50
    least, constant = numbers(r"knows the weights: loss ([\d.]+); a constant: ([\d.]+)", printed)
    for name in ("SGD", "Adam", "AdaGrad"):
        assert least < numbers(rf"{name} +least loss of the rows held out ([\d.]+)", printed)[0] < constant - 0.03


def test_landscape(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    printed = run("landscape.py", str(tmp_path / "landscape.png"), str(tmp_path / "saddle.gif"))
    assert (tmp_path / "landscape.png").stat().st_size > 20000
    assert (tmp_path / "saddle.gif").read_bytes().startswith(b"GIF89a")
    ends = {name: numbers(rf"{name} +lr \S+ +from 24.2 to ([\d.]+)", printed)[0] for name in ("SGD", "0.9", "Adam")}
    assert ends["0.9"] < ends["Adam"] < ends["SGD"]
    near, far = (
        numbers(rf"{name} start: distance ([\d.]+), barrier ([\d.]+)", printed) for name in ("same", "another")
    )
    assert far[0] > 2 * near[0] and far[1] > 5 * near[1]
