"""Curves of a training run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .figures import marker, matplotlib

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

# Of quantities by their names, what one unit of them is.
UNITS = {
    "accuracy": "share of rows",
    "error": "share of rows",
    "balanced_accuracy": "mean share over classes",
    "log_loss": "nats",
    "auc": "area",
    "mse": "squared units of the target",
    "rmse": "units of the target",
    "mae": "units of the target",
    "r2": "share of the variance",
}
# Colors that can be seen on light and on dark ground.
_GREY, _RED, _VIOLET = "0.55", "#e0403f", "#a35bd6"


@dataclass(frozen=True)
class Marks:
    """What is marked beside the curves.

    Attributes
    ----------
    best : (int, str) or None
        The best epoch's number, and the recorded name by which it is.
    recoveries : sequence of float
        Epochs in which training went back to what was well before; a fraction is a place within one.
    end : str or None
        Why training ended, as `History.stopped` says it.
    loss : str or None
        The name of the loss, where it is known.
    """

    best: tuple[int, str] | None = None
    recoveries: Sequence[float] = ()
    end: str | None = None
    loss: str | None = None


def draw_curves(
    epochs: NDArray[Any], curves: Mapping[str, NDArray[Any]], marks: Marks, path: str | os.PathLike[str] | None
) -> Any:
    """One panel a quantity over at least one epoch, of training and ("val_...") validation together.

    path: where to save the figure.
    """
    Figure, MaxNLocator = matplotlib()
    names = list(dict.fromkeys(name.removeprefix("val_") for name in curves))
    figure = Figure(figsize=(1.0 + 4.5 * len(names), 4.0), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        for k, (column, label) in enumerate(((name, "training"), (f"val_{name}", "validation"))):
            if column in curves:
                axes.plot(epochs, curves[column], label=label, color=f"C{k}", marker=marker(len(epochs)))
        _mark(axes, epochs, curves, name, marks)
        axes.set_xlabel("epoch")
        unit = marks.loss if name == "loss" else UNITS.get(name)
        axes.set_ylabel(name if unit is None else f"{name} ({unit})")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    figure.suptitle(_title(epochs, curves, marks))
    if path is not None:
        figure.savefig(path, dpi=150)
    return figure


def _mark(axes: Any, epochs: NDArray[Any], curves: Mapping[str, NDArray[Any]], name: str, marks: Marks) -> None:
    """The best epoch, with a point where it is on the curve by which it is; recoveries; where training diverged."""
    if marks.best is not None:
        best, column = marks.best
        axes.axvline(best, color=_GREY, linewidth=1, linestyle=":", label=f"best epoch, {best}")
        if column.removeprefix("val_") == name and column in curves:
            value = curves[column][np.flatnonzero(epochs == best)[0]]
            axes.plot([best], [value], "o", markersize=7, fillstyle="none", color=_GREY, label="_best")
    for k, epoch in enumerate(marks.recoveries):
        many = f", {len(marks.recoveries)} times" if len(marks.recoveries) > 1 else ""
        label = f"recovered{many}" if k == 0 else "_recovered"
        axes.axvline(epoch, color=_VIOLET, linewidth=1, linestyle="--", label=label)
    if marks.end == "diverged":
        axes.axvline(epochs[-1] + 1, color=_RED, linewidth=1.5, linestyle="--", label=f"diverged, {epochs[-1] + 1}")


def _title(epochs: NDArray[Any], curves: Mapping[str, NDArray[Any]], marks: Marks) -> str:
    several = f"{len(epochs)} epochs" if len(epochs) > 1 else "1 epoch"
    title = f"Training, {several}"
    if marks.best is not None:
        best, column = marks.best
        value = curves[column][np.flatnonzero(epochs == best)[0]]
        title += f": best {column} {value:.4g} in epoch {best}"
    ends = {"early_stopping": "stopped early", "interrupted": "interrupted", "diverged": "diverged", "failed": "failed",
            "callback": "stopped by a callback"}  # fmt: skip
    return f"{title} ({ends[marks.end]})" if marks.end in ends else title
