"""The comparison of optimizers on recurrent networks: how rates are found, and that a run is what it says."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import sequence_optimizers as compared


class Valley:
    """Least losses at a rate; none beyond another."""

    def __init__(self, best: float, most: float = math.inf) -> None:
        self.best, self.most = best, most

    def run(self, name: str, lr: float, seed: int) -> dict[str, Any]:
        loss = math.inf if lr > self.most else abs(math.log(lr / self.best)) + 0.01 * seed
        return {"loss": [loss], "val_loss": [loss], "error": loss}


@pytest.mark.parametrize("name", compared.OPTIMIZERS)
@pytest.mark.parametrize("best", [1e-5, 1e-3, 3e-2, 10.0])
def test_the_search_finds_the_best_rate(name: str, best: float) -> None:
    lr, tried = compared.best_rate(Valley(best), name)  # type: ignore[arg-type]
    place = compared.LADDER.index(best)
    assert lr == best and {*compared.LADDER[max(0, place - 1) : place + 2]} <= {*tried}
    assert compared.best_rate(Valley(1.0, most=0.2), name)[0] == 0.1  # type: ignore[arg-type]


def test_runs_learn_and_are_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = compared.adding()
    X, y = whole.training
    assert X.shape == (4000, 60, 2) and (X[:, :, 1].sum(axis=1) == 2).all()
    np.testing.assert_allclose((X[:, :, 0] * X[:, :, 1]).sum(axis=1), y, rtol=1e-6)
    short = compared.Problem(
        *[(X[:256, :8], X[:256, :8, 0].mean(axis=1))] * 3, whole.layer, 8, 0.0, 1, "mse", 4, whole.error, whole.unit
    )
    found = short.run("Adam", 0.03, 0)
    assert len(found["val_loss"]) == 4 and found["error"] == pytest.approx(math.sqrt(found["val_loss"][-1]), rel=1e-4)
    assert found == short.run("Adam", 0.03, 0)
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(compared, "PROBLEMS", {"one": lambda: short, "two": lambda: short})
    monkeypatch.setattr(compared, "REPORTED", range(2))
    compared.main(str(tmp_path / "results.json"), str(tmp_path / "picture.png"))
    noted = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert (
        set(noted["two"]["optimizers"]) == set(compared.OPTIMIZERS) and (tmp_path / "picture.png").stat().st_size > 5000
    )
    monkeypatch.setattr(compared, "best_rate", None)  # what is there is not measured again
    compared.main(str(tmp_path / "results.json"))


def test_the_page_has_the_numbers_that_are_noted() -> None:
    docs = Path(__file__).parents[2] / "docs"
    noted = json.loads((docs / "sequence_optimizers.json").read_text(encoding="utf-8"))
    page = (docs / "sequences.md").read_text(encoding="utf-8")
    for of_problem in noted.values():
        for name, found in of_problem["optimizers"].items():
            errors = sorted(run["error"] for run in found["runs"])
            loss = float(np.median([run["loss"][-1] for run in found["runs"]]))
            row = f"| {name} | {found['lr']:g} | {errors[2]:.3f} | {errors[0]:.3f} to {errors[-1]:.3f} | {loss:.4f} |"
            assert row in page, row
