"""Comparisons of optimizers: loss over steps and over seconds, validation beside training, loss against rate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import ceil, floor, isfinite, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from .figures import matplotlib
from .themes import LIGHT, Stroke, Theme, strokes

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from ..comparison.data import Contender, Measured

    Curve = NDArray[np.float64]

# Of a curve of a panel of its own, and of one among many.
POINTS, FEW_POINTS = 100, 60
# Inches of a panel for all, and of one for a single optimizer.
WIDE, SMALL = (4.8, 3.3), (3.4, 2.4)
# Of legends: the most letters of labels of which so many have room beside each other, and inches of a line.
ROOM, LINE = {3: 15, 2: 26}, 0.23
LONGEST = 48  # of a label's letters
MARKS = 6  # on a line
FOLLOWED = 0.1  # of the least validation loss: training losses are not followed below
LARGEST, FARTHEST = 1e30, 1e12  # losses that have a place on an axis, and how far apart they may be
LOG_FROM = 5.0  # how far apart losses are where their axis is logarithmic
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def draw_comparison(found: Measured, path: str | os.PathLike[str] | None = None, *, theme: Theme = LIGHT) -> Any:
    """All drawings on one page: two panels with every optimizer, and two small ones for each.

    path: where to save the figure.
    """
    Figure, _ = matplotlib()
    there = _there(found)
    columns = 4
    rows = ceil(len(there) / columns)
    first = size_for_all(found)[1] + 0.8
    figure = Figure(figsize=(13.0, first + 4.4 * rows), layout="constrained", facecolor=theme.background)
    parts = figure.subfigures(3, 1, height_ratios=[first, 2.2 * rows, 2.2 * rows], squeeze=False)[:, 0]
    for part in parts:
        part.set_facecolor(theme.background)
    figure.get_layout_engine().set(h_pad=0.08)
    figure.suptitle(f"{plain(found.name)}: optimizers compared", color=theme.ink, fontsize=14, fontweight="bold")
    for draw, axes in zip((over_steps, over_seconds), parts[0].subplots(1, 2), strict=True):
        draw(found, axes, theme)
    titles = (f"{_capital(found.judged)} beside training" if _validates(found) else "Training", "Loss against rate")
    for part, title, draw_one in zip(parts[1:], titles, (beside_training, against_rate), strict=True):
        part.suptitle(title, x=0.01, ha="left", color=theme.ink, fontsize=12, fontweight="bold")
        panels = part.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for contender, axes in zip(there, panels, strict=False):
            draw_one(found, contender, axes, theme)
        for place, axes in enumerate(panels):
            axes.label_outer(remove_inner_ticks=False)
            axes.tick_params(labelbottom=len(there) - columns <= place < len(there))
            axes.set_axis_on() if place < len(there) else axes.set_axis_off()
        _key(part, panels[: len(there)], theme)
    if path is not None:
        figure.savefig(path, dpi=120, facecolor=theme.background)
    return figure


def size_for_all(found: Measured) -> tuple[float, float]:
    """Of a panel with every optimizer: wide enough for phones, and as high as its legend needs."""
    width, height = WIDE
    labels = [plain(one.label) for one in found.contenders]
    return width, height + LINE * ceil((len(labels) + 2) / _in_a_line(labels))


def panel(draw: Callable[[Any], None], size: tuple[float, float], theme: Theme = LIGHT) -> Any:
    """A figure of one panel that `draw` fills."""
    Figure, _ = matplotlib()
    figure = Figure(figsize=size, layout="constrained", facecolor=theme.background)
    draw(figure.subplots())
    return figure


# ---- for all optimizers -------------------------------------------------------------------------------------------


def over_steps(found: Measured, axes: Any, theme: Theme) -> None:
    """Training loss over steps: the median over seeds, and all of them as a band."""
    longest = max((len(run.losses) for one in found.contenders for run in one.runs), default=1)
    width = max(1, ceil(longest / POINTS))
    curves = []
    for one in _there(found):
        binned = [_means(run.losses, width) for run in one.runs]
        x = np.minimum(np.arange(1, max(map(len, binned), default=0) + 1) * width, longest).astype(float)
        curves.append((one, x, binned))
    _lines(found, axes, curves, theme)
    axes.set_xlabel("step")
    axes.set_ylabel(f"training loss ({_name(found.loss)})")
    _legend(axes, theme)
    of = "each batch" if width == 1 else f"mean of {width} batches"
    _titled(axes, "Loss over steps", f"{of}; line: median of {_seeds(found)}, band: all of them", theme)


def over_seconds(found: Measured, axes: Any, theme: Theme) -> None:
    """The judged loss over seconds, at the steps after which it was judged."""
    curves = []
    for one in _there(found):
        runs = [run for run in one.runs if run.judged]
        keep = _kept(max((len(run.judged) for run in runs), default=0), POINTS)
        judged = [_at(run.judged, keep) for run in runs]
        times = _stacked([_at(run.seconds, keep) for run in runs])
        curves.append((one, _medians(times), judged))
    _lines(found, axes, curves, theme, target=found.target)
    axes.set_xlabel("seconds of training")
    axes.set_ylabel(f"{found.judged} loss ({_name(found.loss)})")
    axes.set_xlim(left=0)
    if isfinite(found.seconds) and 0 < found.seconds < axes.get_xlim()[1]:
        axes.axvline(found.seconds, color=theme.quiet, linewidth=1, linestyle=":", label="budget of time", zorder=1)
    _legend(axes, theme)
    _titled(
        axes,
        "Loss over seconds",
        f"every {found.every:,} steps; line: median of {_seeds(found)}, band: all of them",
        theme,
    )


def _lines(
    found: Measured,
    axes: Any,
    curves: Iterable[tuple[Contender, Curve, Sequence[Curve]]],
    theme: Theme,
    target: float | None = None,
) -> None:
    """A line and a band for each contender; the recommended one is the thickest and above the others."""
    of_label = strokes(one.label for one in found.contenders)
    seen: list[Curve] = []
    for place, (one, x, values) in enumerate(curves):
        if not len(x):
            continue
        each = _stacked(values)
        stroke, first = of_label[one.label], one.label == found.recommended
        middle, (low, high) = _medians(each), _range(each)
        seen += [middle]
        colour = theme.series[stroke.place]
        axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0, zorder=2)
        axes.plot(
            x, middle, label=plain(one.label), color=colour, linestyle=stroke.dashes, zorder=20 - place,
            linewidth=2.4 if first else 1.5, **_marks(stroke, len(x), place),
        )  # fmt: skip
    if target is not None and isfinite(target):
        axes.axhline(target, color=theme.quiet, linewidth=1, linestyle="--", label="target", zorder=1)
    _scaled(axes, np.concatenate(seen) if seen else np.empty(0), found.start)
    _styled(axes, theme)


# ---- for one optimizer --------------------------------------------------------------------------------------------


def beside_training(found: Measured, one: Contender, axes: Any, theme: Theme) -> None:
    """Training and validation loss over steps: medians over seeds, and all of them as a band."""
    stroke = strokes(c.label for c in found.contenders)[one.label]
    colour = theme.series[stroke.place]
    keep = _kept(max((len(run.train) for run in one.runs), default=0), FEW_POINTS)
    parts: list[tuple[str, str, list[Curve]]] = [("training", "--", [_at(run.train, keep) for run in one.runs])]
    if _validates(found):
        parts.append(("validation", "-", [_at(run.validation or (), keep) for run in one.runs]))
    for name, dashes, curves in parts:
        each = _stacked(curves)
        if not each.size:
            continue
        x = (keep[: each.shape[1]] + 1.0) * found.every
        low, high = _range(each)
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        marker = {"marker": "o", "markersize": 4} if len(x) == 1 else {}
        axes.plot(x, _medians(each), color=colour, linestyle=dashes, linewidth=1.6, label=name, **marker)
    _scaled(axes, _beside(found), found.start)
    axes.set_xlim(0, found.steps * 1.02)
    axes.set_xlabel("step")
    axes.set_ylabel(_name(found.loss))
    _styled(axes, theme)
    _titled(axes, one.label, None, theme)
    _empty(one, axes, theme)


def against_rate(found: Measured, one: Contender, axes: Any, theme: Theme) -> None:
    """Loss that each rate of the search came to, the band of good rates, the one taken, and what diverged."""
    stroke = strokes(c.label for c in found.contenders)[one.label]
    colour = theme.series[stroke.place]
    tried = [t for t in one.tried if t.lr > 0]
    losses = np.array([t.loss for c in found.contenders for t in c.tried])
    all_rates = np.array([t.lr for c in found.contenders for t in c.tried if t.lr > 0] or [1e-3, 1.0])
    _scaled(axes, losses, found.start)
    axes.set_xscale("log")
    axes.set_xlim(all_rates.min() / 2, all_rates.max() * 2)
    if one.runs and 0 < one.band[0] <= one.band[1]:
        edge = 2**0.25 if one.band[0] == one.band[1] else 1.0
        axes.axvspan(one.band[0] / edge, one.band[1] * edge, color=colour, alpha=0.16, linewidth=0, label="good rates")
    rates = sorted({t.lr for t in tried})
    most = max((t.steps for t in tried), default=0)
    points = []
    for rate in rates:
        here = [t for t in tried if t.lr == rate]
        values = np.array([t.loss for t in here])
        if np.isfinite(values).sum() * 2 > len(values):
            ok = np.where(np.isfinite(values), values, np.inf)
            points.append((rate, float(np.median(ok)), max(t.steps for t in here) == most, ok))
    if points:
        x, y = [p[0] for p in points], [p[1] for p in points]
        axes.plot(x, y, color=colour, linewidth=1.3)
        for full, label in ((True, f"{most:,} steps"), (False, "fewer, given up")):
            some = [p for p in points if p[2] is full]
            if some:
                axes.plot(
                    [p[0] for p in some], [p[1] for p in some], linestyle="", color=colour, marker="o", markersize=4.5,
                    markerfacecolor=colour if full else theme.background, label=label,
                )  # fmt: skip
        for rate, _, _, values in points:
            finite = values[np.isfinite(values)]
            axes.vlines(rate, finite.min(), finite.max(), color=colour, linewidth=1)
    bad = [rate for rate in rates if rate not in {p[0] for p in points}]
    if bad:
        axes.plot(
            bad, [0.96] * len(bad), linestyle="", marker="x", markersize=5, color=theme.quiet, label="diverged",
            transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    if one.runs and one.lr > 0:
        axes.axvline(one.lr, color=theme.ink, linewidth=1, linestyle=":", label="rate taken")
    _styled(axes, theme, powers=True)
    axes.set_xlabel("learning rate")
    axes.set_ylabel(f"{found.judged} loss")
    _titled(axes, one.label, None, theme)


# ---- numbers ------------------------------------------------------------------------------------------------------


def _there(found: Measured) -> list[Contender]:
    """The contenders, the recommended one first."""
    return sorted(found.contenders, key=lambda one: one.label != found.recommended)


def _validates(found: Measured) -> bool:
    return any(run.validation for one in found.contenders for run in one.runs)


def _seeds(found: Measured) -> str:
    return f"{len(found.seeds)} seeds" if len(found.seeds) != 1 else "1 seed"


def plain(text: str) -> str:
    """Text that matplotlib shows as it is: in one line, without its marks for formulas and for what it leaves out."""
    shown = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    shown = (shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 3]}...").replace("$", r"\$")
    return f"\u2060{shown}" if shown.startswith("_") else shown


def _name(loss: str) -> str:
    return plain(loss).replace("_", " ")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _means(values: Sequence[float], width: int) -> Curve:
    """Of each `width` values in order; the last of what is left."""
    given = np.asarray(values, float)
    if width == 1 or not len(given):
        return given
    starts = np.arange(0, len(given), width)
    return np.asarray(np.add.reduceat(given, starts) / np.diff(np.append(starts, len(given))))


def _kept(count: int, points: int) -> NDArray[np.int64]:
    """Which of `count` values are drawn: all, or so many at even distances, the first and the last among them."""
    return np.unique(np.linspace(0, max(0, count - 1), min(count, points)).round().astype(np.int64))


def _at(values: Sequence[float], places: NDArray[np.int64]) -> Curve:
    given = np.asarray(values, float)
    return given[places[places < len(given)]]


def _stacked(curves: Sequence[Curve]) -> NDArray[np.float64]:
    """(seeds, points), NaN where a curve has ended."""
    out = np.full((len(curves), max(map(len, curves), default=0)), np.nan)
    for row, curve in zip(out, curves, strict=True):
        row[: len(curve)] = np.where(np.isfinite(curve), curve, np.nan)
    return out


def _medians(each: NDArray[np.float64]) -> Curve:
    """Over seeds, where more than half of them are there; NaN elsewhere."""
    enough = 2 * np.isfinite(each).sum(axis=0) > len(each)
    out = np.full(each.shape[1], np.nan)
    out[enough] = np.nanmedian(each[:, enough], axis=0)
    return out


def _range(each: NDArray[np.float64]) -> tuple[Curve, Curve]:
    """Least and greatest over the seeds that are there."""
    there = np.isfinite(each)
    low, high = np.where(there, each, np.inf).min(axis=0), np.where(there, each, -np.inf).max(axis=0)
    gone = ~there.any(axis=0)
    low[gone] = high[gone] = np.nan
    return low, high


def _beside(found: Measured) -> Curve:
    """Losses that axes of all panels of validation beside training are for.

    Those of training may go on falling for ever: where validation has long been left behind, they are not followed.
    """
    runs = [run for one in found.contenders for run in one.runs]
    train = np.asarray([loss for run in runs for loss in run.train], float)
    held = np.asarray([loss for run in runs for loss in run.validation or ()], float)
    held = held[np.isfinite(held)]
    if len(held) and held.min() > 0:
        train = np.maximum(train, held.min() * FOLLOWED)
    return np.concatenate([train, held])


# ---- axes ---------------------------------------------------------------------------------------------------------


def _scaled(axes: Any, values: Curve, start: float) -> None:
    """Limits of losses that show what was learned, little above where training started; logarithmic where it helps."""
    finite = values[np.abs(values) < LARGEST]
    if not len(finite):
        return
    low, high = float(finite.min()), float(finite.max())
    if isfinite(start) and low < start:
        high = min(high, start + 0.15 * (start - low))
    if low > 0 and high > LOG_FROM * low:
        low = max(low, high / FARTHEST)
        edge = (high / low) ** 0.05
        axes.set_ylim(low / edge, high * edge)
        axes.set_yscale("log")
    else:
        edge = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
        axes.set_ylim(low - edge, high + edge)


def _styled(axes: Any, theme: Theme, powers: bool = False) -> None:
    """Colours of everything that is no data, and short numbers on logarithmic axes."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

    axes.set_facecolor(theme.background)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(theme.quiet)
    axes.tick_params(which="both", colors=theme.quiet, labelsize=9)
    axes.xaxis.label.set_color(theme.ink)
    axes.yaxis.label.set_color(theme.ink)
    axes.grid(color=theme.grid, linewidth=0.7, zorder=0)
    axes.set_axisbelow(True)
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            low, high = sorted(axis.get_view_interval())
            decades = log10(high / low)
            few = (1.0,) if decades > 2.2 else (1.0, 2.0, 5.0) if decades > 0.5 else tuple(range(1, 10))
            axis.set_major_locator(LogLocator(subs=few, numticks=8))
            axis.set_major_formatter(FuncFormatter(_short))
            axis.set_minor_formatter(NullFormatter())
        elif axis is axes.xaxis:
            axis.set_major_locator(MaxNLocator(6))
    if powers:
        axes.grid(which="minor", visible=False)


def _short(value: float, place: int | None = None) -> str:
    """A number of an axis: 0.01, 5, 3×10⁵."""
    del place
    if value <= 0 or not isfinite(value):
        return ""
    exponent = floor(log10(value) + 1e-9)
    if -3 <= exponent <= 3:
        return f"{value:.6g}"
    factor = value / 10.0**exponent
    power = f"10{str(exponent).translate(SUPERSCRIPTS)}"
    return power if abs(factor - 1) < 1e-6 else f"{factor:.2g}×{power}"


def _marks(stroke: Stroke, points: int, place: int) -> dict[str, Any]:
    """A few markers on a line, not where other lines have theirs."""
    every = max(1, points // MARKS)
    return {"marker": stroke.marker, "markersize": 5, "markevery": (place * every // 8 if every > 7 else 0, every)}


def _titled(axes: Any, title: str, under: str | None, theme: Theme) -> None:
    """A title and, less bright, a line that says what is drawn."""
    axes.set_title(plain(title), loc="left", color=theme.ink, fontsize=12, fontweight="bold", pad=20 if under else 6)
    if under:
        axes.annotate(
            under, (0, 1), xycoords="axes fraction", xytext=(0, 6), textcoords="offset points", fontsize=9,
            color=theme.quiet,
        )  # fmt: skip


def _empty(one: Contender, axes: Any, theme: Theme) -> None:
    """Says why nothing is drawn."""
    if not one.runs:
        axes.text(
            0.5, 0.5, "every rate diverged", transform=axes.transAxes, ha="center", va="center", color=theme.quiet,
            fontsize=9,
        )  # fmt: skip


def _key(part: Any, panels: Iterable[Any], theme: Theme) -> None:
    """One legend for several panels, in no optimizer's colour."""
    from copy import copy

    named: dict[str, Any] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label not in named:
                named[label] = handle = copy(handle)
                handle.set_color(theme.quiet)
                if getattr(handle, "get_markerfacecolor", str)() not in ("", theme.background):
                    handle.set_markerfacecolor(theme.quiet)
    if named:
        part.legend(
            named.values(), named, loc="upper right", ncols=len(named), frameon=False, fontsize=9, labelcolor=theme.ink
        )


def _in_a_line(labels: Sequence[str]) -> int:
    """Entries of a legend that have room beside each other."""
    longest = max(map(len, labels), default=0)
    return next((count for count, letters in ROOM.items() if longest <= letters), 1)


def _legend(axes: Any, theme: Theme) -> None:
    """Below, where no line is."""
    labels = axes.get_legend_handles_labels()[1]
    if labels:
        axes.legend(
            frameon=False,
            fontsize=8.5,
            labelcolor=theme.ink,
            handlelength=2.4,
            columnspacing=1.4,
            ncols=_in_a_line(labels),
            loc="upper center",
            bbox_to_anchor=(0.5, 0.0),
            borderaxespad=4.6,  # of its letters' heights: below the axis and its name
        )
