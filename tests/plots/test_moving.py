"""Paths that move: a GIF and a page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from schuss import plots

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")


def test_a_gif_opens_again(tmp_path: Path) -> None:
    from matplotlib.colors import to_hex

    path = tmp_path / "saddle.gif"
    figure = plots.paths("saddle", optimizers=["sgd", "adam"], lr=0.05, steps=100, path=path, frames=12, seconds=2.4)
    assert path.stat().st_size < 1_000_000
    with Image.open(path) as image:
        assert image.n_frames == 12 and image.info["loop"] == 0
        assert image.info["duration"] == 200
        pictures = []
        for k in range(image.n_frames):
            image.seek(k)
            pictures.append(np.asarray(image.convert("RGB"), int))
    # More and more of the lines' colours is there.
    colored = [(np.ptp(picture, axis=2) > 90).sum() for picture in pictures]
    assert colored[0] < colored[4] < colored[-1]
    assert (pictures[0] != pictures[-1]).any(axis=2).mean() < 0.2
    # Lines have their own colours to the last bit, and so has the ground.
    there = {to_hex(color / 255) for color in np.unique(pictures[-1].reshape(-1, 3), axis=0)}
    assert {to_hex(figure.axes[0].lines[k].get_color()) for k in (0, 2)} | {"#ffffff"} <= there
    # The figure is left as one that does not move.
    line = figure.axes[0].lines[0]
    assert len(line.get_xydata()) == 101 and line.get_visible()
    assert not figure.axes[0].texts
    figure.savefig(tmp_path / "after.png")


def test_no_more_frames_than_steps(tmp_path: Path) -> None:
    plots.paths("ravine", optimizers=["adam"], lr=0.1, steps=4, path=tmp_path / "a.GIF")
    with Image.open(tmp_path / "a.GIF") as image:
        assert image.n_frames == 5


class Page(HTMLParser):
    """Tags that are open, and everything that could ask for something from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "input"):
            self.open.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "data", "xlink:href", "poster", "style"):
                self.asked.append((name, value or ""))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)


def read(path: Path) -> tuple[str, Page, dict[str, Any]]:
    text = path.read_text("utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    (script,) = page.scripts
    found = re.search(r"const data = (.*);\n", script)
    assert found is not None
    return text, page, json.loads(found[1])


def test_a_page_needs_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "beale.html"
    figure = plots.paths("beale", optimizers=["sgd", ("sgd", {"lr": 1.0}), "adam"], lr=0.03, steps=50, path=path)
    text, page, data = read(path)
    assert path.stat().st_size < 2_000_000
    assert [(name, value[:22]) for name, value in page.asked] == [("href", "data:image/png;base64,")]
    script = page.scripts[0]
    for word in ("http:", "https:", "//", "import", "fetch", "XMLHttpRequest", "@"):
        assert word not in script, word
    assert not re.search(r"@import|url\((?!#frame\))", text)
    assert data["steps"] == list(range(51))
    assert [way["label"] for way in data["ways"]] == ["SGD, lr 0.03", "SGD, lr 1", "Adam, lr 0.03"]
    assert "leaves the frame at step" in data["ways"][1]["end"]
    found = plots.trace("beale", optimizers=["adam"], lr=0.03, steps=50)["Adam"]
    assert data["ways"][2]["f"] == [f"{loss:.3g}" for loss in found.losses]
    # Points lie within the frame, and the start is where its mark is.
    left, top, width, height = data["frame"]
    for way in data["ways"]:
        at = np.array(way["at"]).reshape(-1, 2)
        assert (at >= np.array([left, top]) - 1).all() and (at <= np.array([left + width, top + height]) + 1).all()
        x, y = (1.0 + 0.5) / 4.5, (1.0 + 1.0) / 2.6
        np.testing.assert_allclose(at[0], [left + x * width, top + (1 - y) * height], atol=0.2)
    assert figure.legends and all(line.get_visible() for line in figure.axes[0].lines)


def test_pages_of_long_paths_are_small(tmp_path: Path) -> None:
    path = tmp_path / "long.html"
    plots.paths("ravine", optimizers=["sgd", "adam"], lr=0.001, steps=5000, path=path)
    _, _, data = read(path)
    assert len(data["steps"]) == 1001 and data["steps"][-1] == 5000
    assert all(len(way["f"]) == 1001 == len(way["at"]) // 2 for way in data["ways"])
    assert path.stat().st_size < 1_000_000


def test_labels_are_text(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script>&\"'@DATA@"
    path = tmp_path / "a.html"
    plots.paths("ravine", optimizers={evil: ("adam", {"lr": 0.1})}, steps=5, title=evil, path=path)
    _, page, data = read(path)
    assert len(page.scripts) == 1
    assert data["ways"][0]["label"].startswith(evil)


def test_paths_that_are_never_seen(tmp_path: Path) -> None:
    for ending in ("gif", "html"):
        path = tmp_path / f"a.{ending}"
        plots.paths("ravine", optimizers=["adam"], lr=0.1, steps=5, limits=((3, 4), (3, 4)), path=path)
    _, _, data = read(tmp_path / "a.html")
    assert data["ways"][0]["at"] == [] and data["ways"][0]["end"] == "leaves the frame at step 0"
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames == 1


def test_a_ground_where_the_style_has_none(tmp_path: Path) -> None:
    import matplotlib.style

    clear = {"figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "auto"}
    with matplotlib.style.context(["dark_background", clear]):
        plots.paths("ravine", optimizers=["adam"], lr=0.1, steps=5, path=tmp_path / "a.gif")
        plots.paths("ravine", optimizers=["adam"], lr=0.1, steps=5, path=tmp_path / "a.html")
        plots.paths("ravine", optimizers=["adam"], lr=0.1, steps=5, path=tmp_path / "a.png")
    with Image.open(tmp_path / "a.gif") as image:
        assert np.asarray(image.convert("L"), float)[:5].mean() < 5
    assert "background: #000000" in (tmp_path / "a.html").read_text("utf-8")
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image)[0, 0, 3] == 0


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_script_is_one(tmp_path: Path) -> None:
    plots.paths("ravine", optimizers=["adam"], lr=0.1, steps=5, path=tmp_path / "a.html")
    _, page, _ = read(tmp_path / "a.html")
    (tmp_path / "a.js").write_text(page.scripts[0], "utf-8")
    subprocess.run(["node", "--check", str(tmp_path / "a.js")], check=True)
