"""The study of precisions: that a run is what it says, and that the page has what is noted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import schuss
from benchmarks import precision as study

DOCS = Path(__file__).parents[2] / "docs"


def small(steps: int = 200) -> study.Problem:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(600, 64)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] > 0).astype(np.int64) + 2 * (x[:, 2] > 0)
    parts = [(x[k : k + 200], y[k : k + 200]) for k in (0, 200, 400)]
    layers = [schuss.Dense(64, 80, "relu"), schuss.Dense(4)]
    return study.Problem(parts[0], parts[1], parts[2], lambda: layers, schuss.AdamW, (1e-3, 3e-3), steps)


def test_the_reference_is_an_ordinary_training() -> None:
    problem = small()
    found = problem.run(study.MODES[study.REFERENCE], 1e-3, 3)
    network = schuss.Network(problem.layers(), seed=3)
    optimizer = schuss.AdamW(network.parameters, lr=schuss.schedules.Cosine(1e-3, 200))
    rng = np.random.default_rng(3)
    for _ in range(200):
        rows = rng.integers(0, 200, study.BATCH)
        network.train_step(problem.training[0][rows], problem.training[1][rows], "cross_entropy", optimizer)
    assert found["loss"] == network.evaluate(*problem.test, loss="cross_entropy")["loss"]


@pytest.mark.parametrize("name", study.MODES)
def test_every_mode_learns_with_what_it_keeps(name: str) -> None:
    problem, mode = small(), study.MODES[name]
    found = problem.run(mode, 1e-3, 0)
    assert found == problem.run(mode, 1e-3, 0)
    assert len(found["curve"]) == 2 and found["training"] < 0.75 * found["curve"][0]
    network = schuss.Network(problem.layers(), seed=0)
    kept = study.Kept(network, schuss.AdamW, mode, 0)
    kept.step(problem.training[0], problem.training[1])
    lost = {"float32": 0, "bfloat16": 16, "float16": 13}[mode.parameters]
    for parameters in network.parameters:
        bits = parameters.view(np.uint32)
        # Small numbers of float16 are multiples of its smallest one, with fewer bits still.
        assert not (bits & np.uint32(2**lost - 1)).any()
    # Nothing is lost on the way there and back.
    again = study.Kept(network, schuss.AdamW, mode, 0)
    assert all((a == b).all() for a, b in zip(again.arrays, kept.arrays, strict=True))


def test_gradients_are_those_of_the_format() -> None:
    network = schuss.Network([schuss.Dense(8, 3)], seed=0)
    x, y = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32), np.arange(16) % 3
    kept = study.Kept(network, lambda arrays: schuss.SGD(arrays, lr=0.0), study.MODES["float16, master float32"], 0)
    kept.step(x, y)
    network.loss_and_gradients(x, y, "cross_entropy")
    for rounded, gradient in zip(kept.rounded, network.gradients, strict=True):
        np.testing.assert_array_equal(rounded, (gradient * np.float32(1024)).astype(np.float16))


def test_windows_of_the_parts_share_nothing() -> None:
    training, validation, test = study.characters()
    assert training[0].shape[1] == 8 and len(training[0]) > 16 * len(test[0]) > 0
    assert len(validation[0]) == len(test[0])
    seen = {bytes(np.append(row, label)) for row, label in zip(*validation, strict=True)}
    assert len(seen) > 0.5 * len(validation[0])


def test_what_diverges_is_told() -> None:
    found = replace(small(), optimizer=schuss.SGD).run(study.MODES[study.REFERENCE], 1e30, 0)
    assert set(found) == {"diverged"}
    well = [{"curve": [1.0], "loss": 1.0 + k, "wrong": 5.0 + k, "training": 0.1 * k} for k in range(3)]
    table = study.table({"modes": {"float32": well, "worse": [*well[:2], found]}})
    assert "| float32 | 2.0 ± 1.0 |  | 6.0 ± 1.0 |" in table and "| worse | 1 of 3 diverge |" in table


def test_all_of_it_is_measured_noted_and_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(study, "PROBLEMS", {"one": small, "two": lambda: small(100)})
    monkeypatch.setattr(study, "REPORTED", range(2))
    results, picture = tmp_path / "results.json", tmp_path / "picture.png"
    study.main(str(results), str(picture))
    found = json.loads(results.read_text(encoding="utf-8"))
    assert set(found["two"]["modes"]) == set(study.MODES) and picture.stat().st_size > 5000
    monkeypatch.setattr(study.Problem, "run", None)  # what is there is not measured again
    study.main(str(results))


def test_the_page_has_the_numbers_that_are_noted() -> None:
    found = json.loads((DOCS / "precision.json").read_text(encoding="utf-8"))
    assert set(found) == set(study.PROBLEMS)
    page = (DOCS / "precision.md").read_text(encoding="utf-8")
    for of_problem in found.values():
        assert study.table(of_problem) in page
