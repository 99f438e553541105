"""``schuss train --lr auto``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")

pytest.importorskip("rich")
pytest.importorskip("pandas")

import schuss
from schuss.cli.options import rate_of
from tests.cli.test_cli import Run, refused, run

__all__ = ["run"]


@pytest.fixture(autouse=True)
def a_table(run: Run) -> None:
    rng = np.random.Generator(np.random.PCG64(0))
    rows = rng.normal(size=(120, 3))
    lines = ["a,b,c,y", *(",".join(f"{v:.4f}" for v in row) + f",{'pn'[int(row[0] > 0)]}" for row in rows)]
    Path("t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("recipe", ["mlp", "realmlp-s", "tabm"])
def test_it_is_found_used_and_said(run: Run, recipe: str) -> None:
    options = ["train", "t.csv", "--recipe", recipe, "--ensemble", 1, "--epochs", 2, "--no-plot", "--save", "m.npz"]
    first = run(*options, "--lr", "auto")
    assert first.exit_code == 0, first.output
    (said,) = re.findall(r"learning rate ([0-9.e-]+), found by \d+ steps", first.output)
    kept = schuss.load_table("m.npz").recipe["lr"]
    assert kept == pytest.approx(float(said), rel=0.01) and 1e-6 < kept < 10
    again = run(*options, "--lr", "auto")
    assert f"learning rate {said}" in again.output


def test_not_with_resume(run: Run) -> None:
    run("train", "t.csv", "--recipe", "mlp", "--ensemble", 1, "--epochs", 1, "--no-plot", "--save", "m.npz")
    result = run("train", "t.csv", "--resume", "--save", "m.npz", "--no-plot", "--lr", "auto")
    refused(result, "--lr auto cannot be together with --resume")


def test_what_it_may_be() -> None:
    assert rate_of(None) is None and rate_of("auto") is None and rate_of("0.01") == 0.01
    for text in ("-1", "0", "nan", "inf", "much"):
        with pytest.raises(ValueError, match=f"--lr must be a number above 0, or auto; got '{text}'"):
            rate_of(text)
