"""Draws docs/plots/schedules.png, the curves of docs/schedules.md: ``python docs/plots/schedules.py``."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from PIL import Image

from schuss import schedules as s

STEPS = 1000
CURVES: dict[str, list[s.Schedule]] = {
    "Constant, PiecewiseConstant": [s.Constant(1.0), s.PiecewiseConstant([300, 700], [0.7, 0.4, 0.15])],
    "Linear, PiecewiseLinear (triangle)": [
        s.Linear(1.0, 800),
        s.Linear(0.2, 800, 0.7),
        s.PiecewiseLinear([0, 100, 1000], [1 / 32, 1, 1 / 32]),
    ],
    "Polynomial, power 0.5, 1, 2": [s.Polynomial(1.0, 900, power, 0.1) for power in (0.5, 1, 2)],
    "Exponential, smooth and staircase": [
        s.Exponential(1.0, 0.5, 200),
        s.Exponential(1.0, 0.5, 200, staircase=True),
    ],
    "Step, MultiStep": [s.Step(1.0, 250, 0.4), s.MultiStep(0.8, [400, 600, 900], 0.5)],
    "InverseTime (two), InverseSqrt": [
        s.InverseTime(1.0, 0.01),
        s.InverseTime(1.0, 0.01, power=0.5),
        s.InverseSqrt(0.9, 300),
    ],
    "Cosine, with warm-up, periodic": [
        s.Cosine(1.0, 900, 0.1),
        s.Cosine(0.8, 900, 0.1, warmup_steps=150),
        s.Cosine(0.4, 300, 0.0, periodic=True),
    ],
    "CosineRestarts, t_mult 1 and 2": [s.CosineRestarts(1.0, 250, lr_mult=0.8), s.CosineRestarts(0.6, 143, 2)],
    "CosLog, FlatCos": [s.CosLog(0.9, 1000), s.FlatCos(1.0, 1000)],
    "OneCycle, two and three phases": [
        s.OneCycle(1.0, 1000),
        s.OneCycle(0.9, 1000, 0.4, "linear", three_phase=True),
    ],
    "Cyclic, three modes": [
        s.Cyclic(0.1, 1.0, 100),
        s.Cyclic(0.1, 1.0, 100, mode="triangular2"),
        s.Cyclic(0.1, 1.0, 100, mode="exp_range", gamma=0.998),
    ],
    "WarmUp, Exponential or Linear": [s.WarmUp(100, s.Exponential(1.0, 0.997)), s.WarmUp(300, s.Linear(0.7, 700), 0.3)],
    "Sequence (warm-up, stable, decay)": [s.WarmUp(100, s.Sequence([1.0, s.Linear(1.0, 200)], [600]))],
    "Product of Cosine and Step": [s.Cosine(1.0, 1000), s.Cosine(1.0, 1000) * s.Step(1, 300, 0.6)],
    "Lambda, Multiplicative, PerEpoch": [
        s.Lambda(lambda step: 0.6 + 0.3 * math.sin(step / 60)),
        s.Multiplicative(1.0, lambda step: 0.998 if step < 400 else 1.0),
        s.PerEpoch(100, s.Linear(0.9, 9)),
    ],
}


def plateau(axes: Any) -> None:
    """A loss that falls ever more slowly, and the rate that follows it."""
    schedule = s.ReduceOnPlateau(1.0, 0.5, patience=60, threshold=0.02)
    rates, losses = [], []
    for epoch in range(STEPS):
        losses.append(0.15 + 0.8 / (1 + 0.02 * epoch))
        rates.append(schedule(epoch))
        schedule.report(losses[-1])
    axes.plot(rates, linewidth=1.2)
    axes.plot(losses, linewidth=1.2, color="0.6", linestyle=":")
    axes.set_title("ReduceOnPlateau (dotted: the loss)", fontsize=8)


def main() -> None:
    """Write the picture."""
    figure = Figure(figsize=(10, 7.6), layout="constrained")
    *panels, last = figure.subplots(4, 4, sharex=True, sharey=True).flat
    for axes, (title, schedules) in zip(panels, CURVES.items(), strict=True):
        for schedule in schedules:
            schedule.plot(STEPS, ax=axes)
            axes.lines[-1].set_linewidth(1.2)
        axes.set_title(title, fontsize=8)
    plateau(last)
    for axes in figure.axes:
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=7)
        axes.set_ylim(-0.03, 1.08)
    figure.supxlabel("step", fontsize=8)
    figure.supylabel("learning rate", fontsize=8)
    path = Path(__file__).with_suffix(".png")
    drawn = BytesIO()
    figure.savefig(drawn, dpi=80)
    Image.open(drawn).convert("RGB").quantize(48).save(path, optimize=True)
    print(path, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
