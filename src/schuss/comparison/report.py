"""A comparison as a page: one file of HTML that needs nothing else, for screens of any width, in light and dark."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any

from .._version import __version__
from ..plots import comparison as drawings
from ..plots.themes import DARK, LIGHT, Theme, strokes
from . import table
from .advice import beside_others, optimizer_call, python_line

if TYPE_CHECKING:
    from .data import Contender, Measured


def html(found: Measured) -> str:
    """The page.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    title = f"{found.name}: optimizers compared"
    body = "\n".join(filter(None, _sections(found)))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="schuss {escape(__version__)}">
<link rel="icon" href="data:,">
<title>{_text(title)}</title>
<style>
:root {{ {_colours(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_colours(DARK)} }} }}
{STYLE}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def _sections(found: Measured) -> Iterator[str]:
    yield _head(found)
    yield _contenders(found)
    yield _curves(found)
    yield _one_by_one(found)
    yield _others(found)
    yield _measured(found)


# ---- words and tables ---------------------------------------------------------------------------------------------


def _head(found: Measured) -> str:
    one = found[found.recommended]
    line = python_line(found)
    use = ""
    if line is not None:
        before, _, after = line.partition(f"optimizer={optimizer_call(one)}")
        made = f"optimizer={_text(optimizer_call(one))}".replace("(", "(<wbr>")
        use = f"<p>In Python:</p>\n<pre tabindex='0'><code>{_text(before)}<b>{made}</b>{_text(after)}</code></pre>"
    sure = ""
    if one.runs and found.lead == found.lead and len(found.seeds) > 1:
        kind, said = (
            ("close", "within the seeds' spread") if found.within_spread else ("clear", "beyond the seeds' spread")
        )
        sure = f' <span class="badge {kind}">{said}</span>'
    besides = beside_others(found)
    return f"""<header>
<p class="over">Optimizers compared on</p>
<h1>{_text(found.name)}</h1>
<p class="verdict">{_text(table.verdict(found))}{sure}</p>
{f"<p>{_text(besides)}</p>" if besides else ""}
{use}
</header>"""


def _contenders(found: Measured) -> str:
    of_label = strokes(one.label for one in found.contenders)

    def rows() -> Iterator[tuple[str, Sequence[str], bool]]:
        for one in found.contenders:
            cells = table.row(found, one)
            swatch = f'<span class="swatch" style="background: var(--s{of_label[one.label].place})"></span>'
            yield f"{swatch}{_text(cells[0])}", [_text(cell) for cell in cells[1:]], one.label == found.recommended

    caption = (
        f"Losses are of the {found.judged} rows ({_words(found.loss)}; less is better), medians over "
        f"{_count(len(found.seeds), 'seed')}. Good rates: how wide the band is in which it does nearly as well."
    )
    return _section("Each at its best rate", _table(table.header(found), rows(), caption))


def _others(found: Measured) -> str:
    if not found.others:
        return ""
    first = found[found.recommended]
    rows = [(_text(one.name), [_text(cell) for cell in table.other(one)[1:]], False) for one in found.others]
    if first.runs:
        last = max((run.seconds[-1] for run in first.runs if run.seconds), default=float("nan"))
        cells = (table.number(first.best), table.number(first.score), table.number(last))
        rows.insert(0, (f"network, {_text(first.label)}", list(cells), True))
    caption = (
        "Models of other kinds on the same rows. The network's loss is its best one, its score is after the last step; "
        "its time is that of one training, without the search for its rate."
    )
    return _section("Other models", _table(table.header_of_others(found), rows, caption))


def _table(header: Sequence[str], rows: Iterable[tuple[str, Sequence[str], bool]], caption: str) -> str:
    """A table whose first column stays where it is while the others are moved. Rows are HTML; the others text."""
    names = "".join(f'<th scope="col">{_header(name)}</th>' for name in header)
    lines = "\n".join(
        f'<tr{" class=first" if first else ""}><th scope="row">{name}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
        for name, cells, first in rows
    )
    return f"""<div class="wide" tabindex="0" role="region" aria-label="table, can be moved sideways">
<table>
<caption>{_text(caption)}</caption>
<thead><tr>{names}</tr></thead>
<tbody>
{lines}
</tbody>
</table>
</div>"""


def _header(name: str) -> str:
    """A column's name, broken between words but not within a quantity."""
    return _text(_words(name)).replace(" s", "&nbsp;s") if name.endswith(" s") else _text(_words(name))


def _measured(found: Measured) -> str:
    held = f", {found.validation_rows:,} held out to judge by" if found.validation_rows else "; nothing was held out"
    facts = {
        "data": f"{found.name}: {found.task}, {found.rows:,} rows that train{held}; {_count(found.features, 'column')}",
        "network": found.network,
        "each training": f"{found.steps:,} steps of {found.batch_size:,} rows, {found.epochs:.3g} epochs",
        "fair": "every optimizer starts from the same parameters and meets the same batches, seed by seed",
        "rates": "short trainings over a ladder of rates, the better ones longer; the best rate is trained in full",
        "caution": f"the {found.judged} rows chose rates and best points, too: other rows give somewhat higher losses, "
        "for every optimizer alike",
        "seeds": f"{', '.join(map(str, found.seeds))}: start and order of rows; numbers are medians over them",
        "judged by": f"{_words(found.loss)} on the {found.judged} rows, at the start {table.number(found.start)}; "
        f"target {table.number(found.target)}",
        "budget of time": f"{table.number(found.seconds)} s of training, without judging; on this machine only",
        "took": f"{table.number(found.took)} s in all, with schuss {__version__}",
    }
    terms = "\n".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts.items())
    notes = "\n".join(f"<li>{_text(note)}</li>" for note in found.notes)
    return _section("How it was measured", f"<dl>\n{terms}\n</dl>" + (f"\n<ul>\n{notes}\n</ul>" if notes else ""))


def _section(title: str, inner: str) -> str:
    return f"<section>\n<h2>{_text(title)}</h2>\n{inner}\n</section>"


# ---- pictures -----------------------------------------------------------------------------------------------------


def _curves(found: Measured) -> str:
    if not any(one.runs for one in found.contenders):
        return ""
    size = drawings.size_for_all(found)
    ends = "; ".join(f"{one.label} {table.number(one.final)}" for one in found.contenders if one.runs)
    figures = [
        _figure(
            partial(drawings.over_steps, found), size, "steps",
            f"Training loss over {found.steps} steps, a line for each optimizer.",
        ),
        _figure(
            partial(drawings.over_seconds, found), size, "seconds",
            f"{found.judged} loss over seconds of training, a line for each optimizer. Final losses: {ends}.",
        ),
    ]  # fmt: skip
    return _section("How loss falls", f'<div class="pair">{"".join(figures)}</div>')


def _one_by_one(found: Measured) -> str:
    validates = any(run.validation for one in found.contenders for run in one.runs)
    beside, rates = [], []
    for place, one in enumerate(found.contenders):
        if one.runs:
            text = f"{one.label}: training loss ends at {table.number(_last(one, 'train'))}"
            text += f", validation loss at {table.number(_last(one, 'validation'))}." if validates else "."
            beside.append(_of_one(drawings.beside_training, found, one, f"beside{place}", text))
        text = f"{one.label}: loss against learning rate. " + (
            f"Taken: {table.number(one.lr)}; good from {table.number(one.band[0])} to {table.number(one.band[1])}."
            if one.runs
            else "Every rate diverged."
        )
        rates.append(_of_one(drawings.against_rate, found, one, f"rate{place}", text))
    curves = "Dashed: loss on the training rows as it was before each step"
    curves += ", not followed far below the other; solid: loss on rows held out." if validates else "."
    said = (
        "Filled: trained for all steps of the search; hollow: given up before. Shaded: good rates. Dotted: the rate "
        "taken. Crosses at the top: diverged. A dot's line goes from the best seed to the worst."
    )
    return "\n".join(
        _section(title, f'<p>{words}</p>\n<div class="grid">{"".join(figures)}</div>')
        for title, words, figures in (
            ("Validation beside training" if validates else "Training", curves, beside),
            ("Loss against rate", said, rates),
        )
        if figures
    )


def _last(one: Contender, curve: str) -> float:
    ends = sorted(getattr(run, curve)[-1] for run in one.runs if getattr(run, curve))
    return ends[len(ends) // 2] if ends else float("nan")


def _of_one(draw: Callable[..., None], found: Measured, one: Contender, name: str, text: str) -> str:
    return _figure(lambda axes, theme: draw(found, one, axes, theme), drawings.SMALL, name, text)


def _figure(draw: Callable[[Any, Theme], None], size: tuple[float, float], name: str, text: str) -> str:
    figure = drawings.panel(lambda axes: draw(axes, LIGHT), size)
    return f"<figure>{inline_svg(figure, name, text)}</figure>"


def inline_svg(figure: Any, name: str, text: str) -> str:
    """A figure that was drawn in the light theme as an element whose colours follow the page's.

    name: of which no two elements of a page may have the same. text: what is seen, for those who do not see it.
    """
    from matplotlib import rc_context

    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # the page's own fonts have it
        figure.savefig(
            file, format="svg", facecolor="none", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
        )
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.DOTALL)
    opened, rest = svg.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', opened)
    assert box is not None
    rest = re.sub(r"<[^!?/][^>]*>", lambda tag: _tidied(tag[0], name, rest), rest)
    rest = re.sub(r"\s*\n\s*", "\n", re.sub(r"<!--.*?-->", "", rest, flags=re.DOTALL))
    return f'<svg {box[0]} role="img" aria-label="{_text(text)}">{rest}'


def _tidied(tag: str, name: str, whole: str) -> str:
    """A tag of an SVG: fewer digits, colours of the page's theme, and names that no other picture has."""

    def named(found: re.Match[str]) -> str:
        used = f"#{found[1]}" in whole
        return f' id="{name}-{found[1]}"' if used else ""

    tag = re.sub(r' id="([^"]*)"', named, tag)
    tag = re.sub(r'(xlink:href="#|url\(#)', rf"\g<1>{name}-", tag)
    for key, colour in _named(LIGHT).items():
        tag = tag.replace(colour, f"var({key})")
    return re.sub(r"(\d+\.\d\d)\d+", r"\1", tag)


# ---- looks --------------------------------------------------------------------------------------------------------


def _named(theme: Theme) -> dict[str, str]:
    """Colours by the names that the page has for them."""
    names = {"--background": theme.background, "--ink": theme.ink, "--quiet": theme.quiet, "--grid": theme.grid}
    return {**names, **{f"--s{place}": colour for place, colour in enumerate(theme.series)}}


def _colours(theme: Theme) -> str:
    return " ".join(f"{name}: {colour};" for name, colour in _named(theme).items())


def _text(text: str) -> str:
    """Text as HTML has it, quotes included; what cannot be printed is a space."""
    return escape("".join(c if c.isprintable() else " " for c in text))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


STYLE = """\
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--background); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
main { max-width: 1180px; margin: 0 auto; padding: 24px 20px 48px; }
h1 { font-size: 2rem; line-height: 1.15; margin: 0 0 12px; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 40px 0 8px; padding-top: 16px; border-top: 1px solid var(--grid); }
p { margin: 8px 0; max-width: 75ch; overflow-wrap: anywhere; }
.over { color: var(--quiet); margin: 0; }
.verdict { font-size: 1.2rem; }
.badge {
  font-size: 0.8rem; padding: 2px 10px; border-radius: 999px; border: 1px solid var(--quiet); white-space: nowrap;
}
.badge.clear { border-color: var(--s2); color: var(--s2); }
pre {
  margin: 8px 0; padding: 12px 14px; border: 1px solid var(--grid); border-radius: 8px; white-space: pre-wrap;
  overflow-wrap: anywhere; font: 0.9rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
.wide { overflow-x: auto; }
table { border-collapse: separate; border-spacing: 0; min-width: 100%; line-height: 24px; }
td { font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--quiet); padding-bottom: 8px; caption-side: top; max-width: 75ch; }
th, td { padding: 7px 12px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--grid); }
th { font-weight: 500; }
thead th { color: var(--quiet); font-weight: 600; font-size: 0.85rem; vertical-align: bottom; white-space: normal; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--background); padding-left: 0; }
tr.first th, tr.first td { font-weight: 700; }
.swatch { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 8px; }
.pair { display: grid; gap: 24px; grid-template-columns: repeat(auto-fit, minmax(min(100%, 440px), 1fr)); }
.grid { display: grid; gap: 16px; grid-template-columns: repeat(auto-fill, minmax(min(100%, 260px), 1fr)); }
figure { margin: 0; }
svg { display: block; width: 100%; height: auto; stroke-linejoin: round; stroke-linecap: butt; }
svg text { font-family: inherit !important; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 8px 0; }
dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 600px) {
  main { padding: 16px 14px 32px; }
  h1 { font-size: 1.6rem; }
  .verdict { font-size: 1.08rem; }
  th, td { padding: 7px 8px; font-size: 14px; }
  table { line-height: 22px; }
  caption { position: sticky; left: 0; max-width: calc(100vw - 28px); white-space: normal; font-size: 0.9rem; }
  dl { display: block; }
  dd { margin-bottom: 8px; }
}
@media print { section, figure, tr { break-inside: avoid; } }"""
