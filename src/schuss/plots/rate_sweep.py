"""A search for a learning rate: sweeps, what was tried, what is suggested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .figures import marker, matplotlib

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray


class Found(Protocol):
    """What is drawn: a `RateSweep`, whose attributes these are."""

    @property
    def suggestion(self) -> float: ...
    @property
    def valley(self) -> float: ...
    @property
    def steepest(self) -> float: ...
    @property
    def safe(self) -> float: ...
    @property
    def diverges(self) -> float | None: ...
    @property
    def start(self) -> float: ...
    @property
    def rates(self) -> NDArray[np.float64]: ...
    @property
    def losses(self) -> Sequence[NDArray[np.float64]]: ...
    @property
    def curve(self) -> NDArray[np.float64]: ...
    @property
    def trial_rates(self) -> NDArray[np.float64]: ...
    @property
    def trial_losses(self) -> NDArray[np.float64]: ...


# Seen on white and on black alike.
INK, SWEEP, TRIED, USE, BAD = "#7f7f7f", "#4a90d9", "#e08a1e", "#2ca05a", "#d64545"


def draw_rate_sweep(found: Found, path: str | os.PathLike[str] | None) -> Any:
    """Loss against rate, with all that `find_lr` says of it. The ground is clear: it lies on light and dark alike."""
    Figure, _ = matplotlib()
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    figure.patch.set_alpha(0.0)
    axes = figure.subplots()
    axes.patch.set_alpha(0.0)
    for k, losses in enumerate(found.losses):
        label = "sweeps, batch by batch" if k == 0 else None
        axes.plot(found.rates[: len(losses)], losses, color=SWEEP, alpha=0.35, linewidth=0.8, label=label)
    shown = np.where(np.isfinite(found.curve), found.curve, np.nan)
    points = marker(int(np.isfinite(shown).sum()))
    axes.plot(found.rates, shown, color=SWEEP, linewidth=2.0, label="their median", marker=points)
    if len(found.trial_rates):
        label = "short trainings end at"
        axes.plot(
            found.trial_rates, found.trial_losses, color=TRIED, linewidth=1.2, marker="o", markersize=4, label=label
        )
    for rate, text, style in (
        (found.valley, "valley", ":"), (found.steepest, "steepest", "--"), (found.safe, "safe", "-."),
    ):  # fmt: skip
        axes.axvline(rate, color=INK, linewidth=1.1, linestyle=style, label=f"{text} {rate:.3g}")
    if found.diverges is not None:
        axes.axvspan(found.diverges, max(found.rates[-1], found.diverges), color=BAD, alpha=0.15, linewidth=0)
        axes.axvline(found.diverges, color=BAD, linewidth=1.1, label=f"diverges {found.diverges:.3g}")
    axes.axvline(found.suggestion, color=USE, linewidth=2.2, label=f"use {found.suggestion:.3g}")
    axes.set_xscale("log")
    _limit(axes, found)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("loss of a batch")
    axes.set_title(f"learning rate {found.suggestion:.3g}", color=INK)
    axes.grid(alpha=0.25)
    axes.tick_params(colors=INK, which="both")
    for part in (axes.xaxis.label, axes.yaxis.label):
        part.set_color(INK)
    for spine in axes.spines.values():
        spine.set_color(INK)
    figure.legend(loc="outside right upper", frameon=False, labelcolor=INK, fontsize="small")
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _limit(axes: Any, found: Found) -> None:
    """What has diverged is not to squeeze the rest: the start is in the upper part of the axis."""
    parts = [found.start, *found.trial_losses, *found.curve]
    finite = np.array([value for value in parts if np.isfinite(value)])
    if not len(finite):
        return
    low = float(finite.min())
    fall = max(found.start - low, 1e-12 * abs(low), 1e-300)
    axes.set_ylim(low - 0.08 * fall, max(found.start, low) + 0.6 * fall)
