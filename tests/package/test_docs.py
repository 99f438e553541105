"""The page of the optimizers says what the classes say."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schuss.optim import BY_NAME

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "optimizers.md").read_text(encoding="utf-8")


def program(*arguments: str, at: Path = DOCS) -> subprocess.CompletedProcess[str]:
    """optimizers.py in a folder, which may lack benchmarks/ beside it."""
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(DOCS.parent)])
    return subprocess.run(
        [sys.executable, str(at / "optimizers.py"), *arguments],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_page_is_up_to_date() -> None:
    done = program("--check")
    assert done.returncode == 0, done.stderr


def test_an_older_page_is_noticed_and_rewritten(tmp_path: Path) -> None:
    for name in ("optimizers.py", "comparison.json"):
        shutil.copy(DOCS / name, tmp_path)
    page = tmp_path / "optimizers.md"
    page.write_text(PAGE.replace("corrected for their start", "corrected"), encoding="utf-8")
    done = program("--check", at=tmp_path)
    assert done.returncode == 1 and "run python docs/optimizers.py" in done.stderr
    assert program(at=tmp_path).returncode == 0
    assert page.read_text(encoding="utf-8") == PAGE


def test_every_optimizer_has_its_part() -> None:
    for kind in BY_NAME.values():
        part = re.search(rf"^### {kind.__name__}\n(.*?)(?=^###? |\Z)", PAGE, re.M | re.S)
        assert part is not None, kind
        for wanted in (f"schuss.{kind.__name__}(params, lr=", "*Cost*", "*Source*"):
            assert wanted in part[1], (kind, wanted)


def test_links_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        anchors = {
            re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", text, re.M)
        }
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if target.startswith("#"):
                assert target[1:] in anchors, (page.name, target)
            else:
                assert (DOCS / target).exists(), (page.name, target)


def test_lines_do_not_become_lists() -> None:
    wrapped = runpy.run_path(str(DOCS / "optimizers.py"))["wrapped"]
    for line in wrapped("``a`` - b " * 60 + "1. * # = > + ``c - d + e``, " * 40).split("\n"):
        assert not re.match(r"[-+*=>#|]|\d+[.)]\s", line)


def test_the_comparison_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One optimizer on one problem comes out as it is written down, and the picture is drawn."""
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(DOCS)
    names = runpy.run_path(str(DOCS / "comparison.py"))
    entrant = next(entrant for entrant in names["entrants"]() if entrant.name == "AdaGrad")
    noted = json.loads((DOCS / "comparison.json").read_text(encoding="utf-8"))["results"]
    assert set(noted) <= {entrant.name for entrant in names["entrants"]()}
    found = names["compared"](names["PROBLEMS"]["words"], entrant)
    assert found["median"] == pytest.approx(noted["AdaGrad"]["words"]["median"], rel=0.02)
    assert found["lr"] == noted["AdaGrad"]["words"]["lr"]
    names["draw"](names["ranking"](), tmp_path / "picture.png")
    assert 5_000 < (tmp_path / "picture.png").stat().st_size < 100_000
