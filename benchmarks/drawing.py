"""Pictures of the results. matplotlib is imported here, and only when a picture is wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .tables import Result, Row

# One colour and mark for each column, the same in all pictures; ours stand out.
_STYLES = {
    "ours: fit": ("#c1121f", "o"),
    "ours: train_step": ("#f08a8a", "o"),
    "torch": ("#1f4e9c", "s"),
    "torch last": ("#1f4e9c", "d"),
    "torch.compile": ("#7fa6dd", "s"),
    "jax jit": ("#2a7f4f", "D"),
    "jax scan": ("#93cba8", "D"),
    "Keras fit": ("#8a4fa3", "P"),
    "sklearn": ("#c9861a", "^"),
    "NumPy": ("#6b6b6b", "v"),
}
_OTHERS = ("#b08968", "X")
# What is less than so many times our time lies outside.
_LEFT = 0.2


def pyplot() -> Any:
    """matplotlib's, for files only."""
    import matplotlib

    matplotlib.use("Agg")
    # Text stays text; the same results give the same file.
    matplotlib.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "schuss",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "legend.frameon": False,
        }
    )
    from matplotlib import pyplot as plt

    return plt


def save(figure: Any, path: Path) -> None:
    """Write a figure and let go of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, bbox_inches="tight", facecolor="white", metadata={"Date": None})
    pyplot().close(figure)


def compared(result: Result, path: Path) -> Path:
    """Everybody's time at each size over ours, and the limit's: one panel a number of threads, a line a size."""
    plt = pyplot()
    numbers = list(dict.fromkeys(row.threads for row in result.rows))
    sizes = list(dict.fromkeys(_size(row) for row in result.rows))
    figure, panels = plt.subplots(
        len(numbers), 1, sharex=True, squeeze=False, layout="constrained", figsize=(9.5, 1 + 4.5 * len(numbers))
    )
    marks: dict[str, Any] = {}
    for panel, number in zip(panels[:, 0], numbers, strict=True):
        panel.set_xscale("log")
        panel.axvline(1, color=_STYLES["ours: fit"][0], linewidth=0.8, zorder=2)
        for row in result.rows:
            if row.threads == number:
                marks |= _lane(panel, sizes.index(_size(row)), row)
        ticks = [digit * 10.0**power for power in range(-1, 7) for digit in (1, 2, 5)]
        left, right = _LEFT, 1.2 * panel.get_xlim()[1]
        panel.set_xticks([tick for tick in ticks if left <= tick <= right], minor=False)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.minorticks_off()
        panel.set_xlim(left, right)
        panel.set_title(f"{number} {'thread' if number == 1 else 'threads'}", loc="left", fontweight="bold")
        panel.grid(axis="x", color="#e4e4e4")
        panel.tick_params(axis="y", length=0)
        panel.set_yticks(range(len(sizes)), sizes)
        panel.set_ylim(len(sizes) - 0.5, -0.5)
    panel.set_xlabel(
        f"time over that of {result.rows[0].ours[0]}, which is at the right; < : the limit is further left"
    )
    figure.legend(marks.values(), marks.keys(), loc="outside lower center", ncols=5, handletextpad=0.2)
    save(figure, path)
    return path


def _lane(panel: Any, height: int, row: Row) -> dict[str, Any]:
    """The marks of one row, by name, each a little below the one before; at the right end the time that is 1."""
    times = {name: found.median for name, found in row.times.items()}
    unit = times[row.ours[0]]
    if height % 2:
        panel.axhspan(height - 0.5, height + 0.5, color="#f6f6f6", zorder=0)
    marks = {}
    for name, lower in zip(times, np.linspace(-0.32, 0.32, len(times)), strict=True):
        colour, mark = _STYLES.get(name, _OTHERS)
        (marks[name],) = panel.plot(times[name] / unit, height + lower, mark, color=colour, ms=5, ls="none", zorder=3)
    if row.limit:
        where = row.limit / unit
        line = panel.vlines(max(where, _LEFT), height - 0.45, height + 0.45, color="black", linewidth=1.8)
        marks["limit"] = line
        if where < _LEFT:
            panel.plot(_LEFT * 1.06, height, "<", color="black", ms=6)
    panel.annotate(
        f"{unit:.3g} µs" if unit < 1000 else f"{unit / 1000:.3g} ms",
        (1, height),
        xycoords=("axes fraction", "data"),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        color=_STYLES["ours: fit"][0],
    )
    return marks


def _size(row: Row) -> str:
    return ", ".join(row.label.values())
