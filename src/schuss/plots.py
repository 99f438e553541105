"""Drawings of arrays, with matplotlib. pyplot's state is left alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .arguments import shown

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray


def draw_curves(
    epochs: NDArray[Any], curves: Mapping[str, NDArray[Any]], best: int | None, path: str | os.PathLike[str] | None
) -> Any:
    """One panel a quantity over at least one epoch, of training and ("val_...") validation together.

    best: the number of the epoch to mark. path: where to save the figure.
    """
    Figure, MaxNLocator = _matplotlib()
    names = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    figure = Figure(figsize=(1.0 + 4.5 * len(names), 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for column, label in ((name, "training"), (f"val_{name}", "validation")):
            if column in curves:
                axes.plot(epochs, curves[column], label=label, marker=_marker(len(epochs)))
        if best is not None:
            axes.axvline(best, color="0.6", linewidth=1, linestyle=":", label=f"best epoch, {best}")
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def draw_rates(rates: NDArray[Any], label: str, axes: Any) -> Any:
    """Learning rates step by step, from 0; into these axes, or None: into a figure of their own."""
    Figure, MaxNLocator = _matplotlib()
    if axes is None:
        axes = Figure(figsize=(5.5, 3.6), layout="constrained").subplots()
        axes.set_xlabel("step")
        axes.set_ylabel("learning rate")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
    axes.plot(rates, label=label, marker=_marker(len(rates)))
    return axes.figure


def check_axes(name: str, given: Any) -> None:
    """TypeError if it is neither None nor matplotlib's Axes."""
    if given is not None and not hasattr(given, "plot"):
        raise TypeError(f"{name} must be matplotlib Axes; got {shown(given)} ({type(given).__name__})")


def _matplotlib() -> tuple[Any, Any]:
    """What both drawings need of it."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError:
        raise ImportError("plot needs matplotlib: pip install matplotlib") from None
    return Figure, MaxNLocator


def _marker(points: int) -> str | None:
    """A line through one point shows nothing."""
    return "o" if points == 1 else None
