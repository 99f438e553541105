"""Drawings, with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os

    from .history import History


def draw_history(history: History, path: str | os.PathLike[str] | None) -> Any:
    """One panel a quantity, training and validation together. Leaves pyplot's state alone."""
    if len(history) == 0:
        raise ValueError("history must have at least one epoch to plot; got none")
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise ImportError("plot needs matplotlib: pip install matplotlib") from None
    names = list(dict.fromkeys(name.removeprefix("val_") for name in history.names))
    figure = Figure(figsize=(1.0 + 4.5 * len(names), 3.6), layout="constrained")
    marker = "o" if len(history) == 1 else None  # a line through one point shows nothing
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for column, label in ((name, "training"), (f"val_{name}", "validation")):
            if column in history:
                axes.plot(history.epochs, history[column], label=label, marker=marker)
        best = history.best_epoch
        if best is not None and "val_loss" in history:
            axes.axvline(best, color="0.6", linewidth=1, linestyle=":", label=f"best epoch, {best}")
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure
