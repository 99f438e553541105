"""Pictures of the optimizer steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import drawing
from .tables import Result, Row

# Lines that can be told apart; the first of these that were measured.
_LINES = ("SGD", "AdaGrad", "Adam", "Lion", "AdEMAMix", "LAMB")
_OTHERS = (
    ("torch fused", "#1f4e9c", "s"),
    ("torch foreach", "#7fa6dd", "s"),
    ("DeepSpeed", "#8a4fa3", "P"),
    ("optax", "#2a7f4f", "D"),
    ("NumPy", "#6b6b6b", "v"),
)
_OURS = "#c1121f"
_SPEEDUP = "10 000 000"


def sizes(result: Result, folder: Path) -> Path:
    """The part of the bare loop's bandwidth that is reached, by size: a panel a number of threads."""
    plt = drawing.pyplot()
    numbers = list(dict.fromkeys(row.threads for row in result.rows))
    figure, panels = plt.subplots(
        1, len(numbers), sharey=True, squeeze=False, layout="constrained", figsize=(1 + 4.5 * len(numbers), 4)
    )
    measured = {row.label["optimizer"] for row in result.rows}
    names = [name for name in _LINES if name in measured]
    for panel, number in zip(panels[0], numbers, strict=True):
        for place, name in enumerate(names):
            rows = [r for r in result.rows if r.bare and r.threads == number and r.label["optimizer"] == name]
            panel.plot(
                list(map(_size, rows)), list(map(_reached, rows)), "o-", ms=4, lw=1.2, color=f"C{place}", label=name
            )
        panel.axhline(1, color="black", linewidth=0.8)
        panel.axhline(0.95, color="black", linewidth=0.8, linestyle=":")
        panel.set(xscale="log", xlabel="parameters", title=f"{number} {'thread' if number == 1 else 'threads'}")
        panel.grid(axis="y", color="#e4e4e4")
    panels[0, 0].set(ylabel="time of the bare loop / ours", ylim=(0, 1.15))
    panels[0, 0].legend(fontsize="small", loc="lower right")
    path = folder / "step-sizes.svg"
    drawing.save(figure, path)
    return path


def speedups(result: Result, folder: Path) -> Path:
    """How many times longer the others take at 10M: a bar for torch's default form, marks for the others."""
    plt = drawing.pyplot()
    largest = max((row.label["parameters"] for row in result.rows), key=_number)
    shown = _SPEEDUP if any(row.label["parameters"] == _SPEEDUP for row in result.rows) else largest
    rows = [row for row in result.rows if row.label["parameters"] == shown]
    numbers = list(dict.fromkeys(row.threads for row in rows))
    names = [row.label["optimizer"] for row in rows if row.threads == numbers[0]]
    figure, panels = plt.subplots(
        1,
        len(numbers),
        sharey=True,
        squeeze=False,
        layout="constrained",
        figsize=(1 + 4.5 * len(numbers), 1.5 + 0.24 * len(names)),
    )
    marks: dict[str, Any] = {}
    for panel, number in zip(panels[0], numbers, strict=True):
        for row in (row for row in rows if row.threads == number):
            marks |= _bar(panel, names.index(row.label["optimizer"]), row)
        panel.axvline(1, color=_OURS, linewidth=1)
        panel.set(xscale="log", xlabel="time over ours", title=f"{number} {'thread' if number == 1 else 'threads'}")
        panel.set_xticks(
            [tick for tick in (0.5, 1, 2, 4, 10, 20, 50) if panel.get_xlim()[0] <= tick <= panel.get_xlim()[1]]
        )
        panel.xaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
        panel.grid(axis="x", color="#e4e4e4")
        panel.tick_params(axis="y", length=0)
    panels[0, 0].set_yticks(range(len(names)), names)
    panels[0, 0].set_ylim(len(names) - 0.5, -0.5)
    figure.suptitle(f"{shown} parameters", fontsize="medium")
    figure.legend(marks.values(), marks.keys(), loc="outside lower center", ncols=len(marks), handletextpad=0.3)
    path = folder / "step-speedup.svg"
    drawing.save(figure, path)
    return path


def _bar(panel: Any, height: int, row: Row) -> dict[str, Any]:
    """The marks of one optimizer, by name."""
    times, ours = row.times, row.times[row.ours[0]]
    marks = {}
    if "torch default" in times:
        ratio = times["torch default"].ratio(ours)
        marks["torch default"] = panel.barh(height, ratio - 1, left=1, height=0.7, color="#c9d6ec", zorder=1)
    for name, colour, mark in _OTHERS:
        if name in times:
            (marks[name],) = panel.plot(times[name].ratio(ours), height, mark, color=colour, ms=5, ls="none", zorder=3)
    return marks


def _size(row: Row) -> int:
    return _number(row.label["parameters"])


def _number(label: str) -> int:
    return int(label.replace(" ", ""))


def _reached(row: Row) -> float:
    return row.times["bare"].ratio(row.times[row.ours[0]])
