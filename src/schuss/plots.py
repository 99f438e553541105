"""Drawings, with matplotlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .arguments import shown

if TYPE_CHECKING:
    import os

    from .history import History
    from .schedules import Schedule


def _matplotlib() -> tuple[Any, Any]:
    """What both drawings need of it."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise ImportError("plot needs matplotlib: pip install matplotlib") from None
    return Figure, MaxNLocator


def draw_history(history: History, path: str | os.PathLike[str] | None) -> Any:
    """One panel a quantity, training and validation together. Leaves pyplot's state alone."""
    if len(history) == 0:
        raise ValueError("history must have at least one epoch to plot; got none")
    Figure, MaxNLocator = _matplotlib()
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


def draw_schedule(schedule: Schedule, steps: int, axes: Any) -> Any:
    """The learning rates of the first steps. Leaves pyplot's state alone."""
    if axes is not None and not hasattr(axes, "plot"):
        raise TypeError(f"ax must be matplotlib Axes; got {shown(axes)} ({type(axes).__name__})")
    Figure, MaxNLocator = _matplotlib()
    values = schedule.values(steps)
    if axes is None:
        axes = Figure(figsize=(5.5, 3.6), layout="constrained").subplots()
        axes.set_xlabel("step")
        axes.set_ylabel("learning rate")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
    marker = "o" if steps == 1 else None  # a line through one point shows nothing
    axes.plot(values, label=repr(schedule), marker=marker)
    return axes.figure
