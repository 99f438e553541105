"""Curves of a training run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .figures import marker, matplotlib

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray


def draw_curves(
    epochs: NDArray[Any], curves: Mapping[str, NDArray[Any]], best: int | None, path: str | os.PathLike[str] | None
) -> Any:
    """One panel a quantity over at least one epoch, of training and ("val_...") validation together.

    best: the number of the epoch to mark. path: where to save the figure.
    """
    Figure, MaxNLocator = matplotlib()
    names = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    figure = Figure(figsize=(1.0 + 4.5 * len(names), 3.6), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for column, label in ((name, "training"), (f"val_{name}", "validation")):
            if column in curves:
                axes.plot(epochs, curves[column], label=label, marker=marker(len(epochs)))
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
