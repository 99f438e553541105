"""The page: whole in itself, small, well-formed, with words for its pictures, and nothing of the user's as markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from math import nan

import pytest

pytest.importorskip("matplotlib")

import schuss
from schuss.comparison import Comparison
from schuss.comparison.advice import beside_others, optimizer_call, python_line
from schuss.comparison.report import html
from schuss.plots.themes import DARK, LIGHT
from tests.comparison.example import example

VOID = {"wbr", "meta", "link", "br", "hr", "img", "input"}
EVIL = "<script>alert('x')</script> & \"$x$ _y\" \x1b[31m\x00 \u4e2d\n名"


class Page(HTMLParser):
    """Elements in order, and complaints about how they are nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)
        self.close()
        self.wrong += self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if len(dict(attrs)) < len(attrs):
            self.wrong.append(f"{tag} has an attribute twice")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


@pytest.fixture(scope="module")
def text() -> str:
    return html(example())


@pytest.mark.parametrize(
    "found",
    [
        example(),
        example(validation=False, others=False),
        replace(example(), contenders=example().contenders[-1:], recommended="Lion", lead=nan, others=()),
        replace(example(), contenders=example().contenders[:1], lead=nan, notes=()),
    ],
    ids=["all", "no validation", "nothing finished", "one"],
)
def test_well_formed(found: Comparison) -> None:
    page = Page(html(found))
    assert not page.wrong
    names = [attrs["id"] for _, attrs in page.found if "id" in attrs]
    assert len(names) == len(set(names))
    assert [tag for tag, _ in page.found].count("h1") == 1


def test_what_pictures_refer_to_is_there(text: str) -> None:
    page = Page(text)
    names = {attrs["id"] for _, attrs in page.found if "id" in attrs}
    asked = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert asked and asked == names


def test_whole_in_itself_and_small(text: str) -> None:
    page = Page(text)
    assert len(text.encode()) < 1_000_000
    assert not {tag for tag, _ in page.found} & {"script", "iframe", "object", "embed", "img", "base", "form"}
    assert len(page.of("style")) == 1
    assert [attrs["href"] for attrs in page.of("link")] == ["data:,"]
    for tag, attrs in page.found:
        for key, value in attrs.items():
            assert not key.startswith("on")
            if key in ("src", "href", "xlink:href", "action", "data", "srcset"):
                assert value is not None and value.startswith(("#", "data:")), (tag, key, value)
    assert not re.search(r"https?:|//[a-z]|@import|@font-face", text)
    assert all(place.startswith("#") for place in re.findall(r"url\(([^)]*)\)", text))
    policy = next(attrs["content"] for attrs in page.of("meta") if attrs.get("http-equiv"))
    assert policy is not None and policy.startswith("default-src 'none'")


def test_real_curves_stay_small() -> None:
    found = example()
    long = tuple(2.0 / (1 + k / 1000) for k in range(50_000))
    run = replace(
        found.contenders[0].runs[0], losses=long, train=long[:2000], validation=long[:2000], seconds=long[:2000][::-1]
    )
    contenders = tuple(replace(one, runs=(run,) * 3 if one.runs else ()) for one in found.contenders)
    assert len(html(replace(found, contenders=contenders, steps=50_000, every=25))) < 700_000


def test_text_of_the_user_is_text() -> None:
    found = example()
    first = replace(found.contenders[0], label=EVIL, arguments={"note": "<b>"})
    page = html(
        replace(
            found,
            name=EVIL,
            network=EVIL,
            loss=EVIL,
            metric=EVIL,
            notes=(EVIL,),
            recommended=EVIL,
            contenders=(first, *found.contenders[1:]),
            others=(replace(found.others[0], name=EVIL),),
        )
    )
    read = Page(page)
    assert not read.wrong and not read.of("script") and not read.of("b")[1:]
    assert "&lt;script&gt;" in page and "<script" not in page
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", page)
    assert "名" in page
    with_formula = [part for part in read.text if "$x$" in part]
    assert len(with_formula) > 5  # in pictures too, as they are


def test_tables_and_pictures_can_be_heard(text: str) -> None:
    page = Page(text)
    tables = page.of("table")
    assert len(tables) == 2 and len(page.of("caption")) == 2
    scopes = [attrs.get("scope") for attrs in page.of("th")]
    assert set(scopes) == {"col", "row"} and scopes.count("row") == 6 + 4
    pictures = page.of("svg")
    assert len(pictures) == 2 + 5 + 6
    for attrs in pictures:
        label = attrs["aria-label"]
        assert attrs["role"] == "img" and label is not None and len(label) > 20 and attrs.get("viewbox")
    assert page.of("html") == [{"lang": "en"}]
    for region in (attrs for attrs in page.of("div") if attrs.get("role") == "region"):
        assert region["tabindex"] == "0" and region["aria-label"]


def test_all_that_the_table_holds_is_on_the_page(text: str) -> None:
    found = example()
    shown = " ".join(" ".join(Page(text).text).split())
    for one in found.contenders:
        assert one.label in shown
    for other in found.others:
        assert other.name in shown
    assert found.verdict in shown and "within the seeds' spread" in shown and "every rate diverged" not in shown
    assert "64-100-10, relu, 7510 parameters" in shown and found.notes[0] in shown
    clear = html(replace(found, within_spread=False, lead=0.3))
    assert "beyond the seeds' spread" in clear and "within the seeds' spread" not in clear


def test_every_colour_follows_the_theme(text: str) -> None:
    head, body = text.split("</head>")
    assert not re.search(r"#[0-9a-f]{6}\b", body)
    names = set(re.findall(r"var\((--[a-z0-9]+)\)", text))
    light, dark = re.findall(r":root \{([^}]*)\}", head)
    for theme, said in ((LIGHT, light), (DARK, dark)):
        assert names <= set(re.findall(r"(--[a-z0-9]+):", said))
        assert f"--background: {theme.background};" in said
    assert "prefers-color-scheme: dark" in head and 'name="viewport"' in head


def test_same_page_twice(text: str) -> None:
    assert html(example()) == text


def test_written_whole(tmp_path) -> None:
    example().report(tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text("utf-8") == html(example())
    assert [path.name for path in tmp_path.iterdir()] == ["r.html"]
    with pytest.raises(OSError, match="missing"):
        example().report(tmp_path / "missing" / "r.html")


# ---- advice -------------------------------------------------------------------------------------------------------


def test_the_line_of_python_runs() -> None:
    import numpy as np

    for found in (example(), replace(example(), recommended="SGD + momentum")):
        line = python_line(found)
        assert line is not None
        X = np.random.default_rng(0).normal(size=(40, 64)).astype(np.float32)
        network = schuss.Network([schuss.Dense(64, 8, "relu"), schuss.Dense(8, 10)], seed=0)
        exec(line, {"network": network, "X": X, "y": np.arange(40) % 10, "schuss": schuss})
        assert type(network.optimizer).__name__ in line
    assert optimizer_call(found["SGD + momentum"]) == "schuss.SGD(network.parameters, lr=0.05, momentum=0.9)"


def test_early_stopping_is_advised_where_the_loss_rises_again() -> None:
    found = example()
    flat = replace(found.contenders[0], final=found.contenders[0].best)
    risen = replace(flat, final=found.contenders[0].best + 1.0)
    said = [python_line(replace(found, contenders=(one,))) or "" for one in (flat, risen)]
    assert "early_stopping" not in said[0] and "early_stopping=True" in said[1]
    assert "early_stopping" not in (python_line(replace(found, contenders=(risen,), judged="training")) or "")


@pytest.mark.parametrize(
    ("metric", "score", "said"),
    [
        ("accuracy", 0.95, "The best of the other models is gradient boosting (accuracy 0.9, the network's 0.95"),
        ("accuracy", 0.85, "Another model does better: gradient boosting (accuracy 0.9"),
        ("accuracy", 0.90, "Another model does as well: gradient boosting"),
        ("rmse", 0.95, "Another model does better: majority (rmse 0.11"),
        ("rmse", 0.05, "The best of the other models is majority"),
        ("accuracy", nan, None),
    ],
)
def test_other_models_are_not_kept_silent(metric: str, score: float, said: str | None) -> None:
    found = replace(example(), metric=metric)
    others = tuple(replace(one, loss=nan) for one in found.others)
    contenders = (replace(found.contenders[0], score=score), *found.contenders[1:])
    told = beside_others(replace(found, contenders=contenders, others=others))
    assert told is None if said is None else told is not None and told.startswith(said)
    assert beside_others(replace(found, others=())) is None


@pytest.mark.parametrize(
    ("best", "said"),
    [
        (
            0.30,
            "Another model does better: gradient boosting (cross_entropy 0.22, the network's 0.3, fitted in 0.41 s).",
        ),
        (0.22, "Another model does as well: gradient boosting (cross_entropy 0.22"),
        (0.129, "The best of the other models is gradient boosting (cross_entropy 0.22, the network's 0.129"),
    ],
)
def test_other_models_count_by_the_loss_that_is_judged(best: float, said: str) -> None:
    found = example()
    contenders = (replace(found.contenders[0], best=best, score=0.1), *found.contenders[1:])
    assert (beside_others(replace(found, contenders=contenders)) or "").startswith(said)
    assert beside_others(replace(found, recommended="Lion", others=found.others[:0])) is None
