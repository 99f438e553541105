"""The loss along a line and on a plane, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .contours import draw_surface, levels_above, line_styles, on_ground
from .figures import check_axes, matplotlib

if TYPE_CHECKING:
    import os

    from .loss_lines import LossLine
    from .loss_planes import LossPlane

_SAID = {"recompute": "BatchNorm's statistics anew at each point", "interpolate": "BatchNorm's statistics interpolated"}


def _titled(title: str, statistics: str | None) -> str:
    return title if statistics is None else f"{title}\n{_SAID[statistics]}"


def draw_line(line: LossLine, path: str | os.PathLike[str] | None, axes: Any) -> Any:
    """Curves of training and validation, and where start and end are."""
    check_axes("ax", axes)
    Figure, _ = matplotlib()
    if axes is None:
        axes = Figure(figsize=(6.4, 4.0), layout="constrained").subplots()
    axes.plot(line.at, line.training, label="training")
    if line.validation is not None:
        axes.plot(line.at, line.validation, label="validation")
    ink = axes.xaxis.label.get_color()
    for place, label, mark in zip((0.0, 1.0), line.labels, ("s", "o"), strict=True):
        axes.axvline(place, color=ink, alpha=0.35, linewidth=1, linestyle=":")
        loss = line.training[line.at == place]
        axes.plot(place, loss, mark, color=ink, markerfacecolor="none", linestyle="none", label=label)
    finite = line.training[np.isfinite(line.training)]
    # Where it rises a thousandfold a straight scale would show nothing else.
    if len(finite) and finite.min() > 0 and finite.max() > 100 * finite.min():
        axes.set_yscale("log")
    axes.set_xlabel(f"way from {line.labels[0]} (0) to {line.labels[1]} (1)")
    axes.set_ylabel(line.loss)
    axes.set_title(_titled(f"Loss along the line, barrier {line.barrier:.3g}", line.statistics))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    if path is not None:
        axes.figure.savefig(path, dpi=150)
    return axes.figure


def draw_plane(plane: LossPlane, path: str | os.PathLike[str] | None, axes: Any) -> Any:
    """Contours, the networks with their losses, and paths."""
    check_axes("ax", axes)
    Figure, _ = matplotlib()
    own = axes is None
    if own:
        axes = Figure(figsize=(8.4, 4.8), layout="constrained").subplots()
    values = plane.losses
    lowest = min([float(values[np.isfinite(values)].min(initial=np.inf)), *(p.loss for p in plane.points.values())])
    draw_surface(axes, plane.xs, plane.ys, values, levels_above(values, lowest, 16))
    ink, ground = axes.xaxis.label.get_color(), axes.get_facecolor()
    labels = list(dict.fromkeys([*plane.points, *plane.paths]))
    for label, look in zip(labels, line_styles(len(labels)), strict=True):
        place, way = plane.points.get(label), plane.paths.get(label)
        said = label if place is None else f"{label}: {place.loss:.3g}"
        if place is not None and place.off > 0:
            said += f"\n{place.off:.2g} off the plane"
        if way is not None:
            said += f"\nits path is up to {way[:, 2].max():.2g} off"
            axes.plot(way[:, 0], way[:, 1], linewidth=1.6, zorder=3, path_effects=on_ground(axes, 2.8), **look)
            axes.plot(way[:1, 0], way[:1, 1], "s", color=look["color"], markersize=6, markeredgecolor=ground, zorder=4)
        if place is not None:
            x, y, mark = place.x, place.y, "o"
        else:
            assert way is not None
            x, y, mark = way[-1, 0], way[-1, 1], "X"
        color = look["color"]
        axes.plot(x, y, mark, color=color, markersize=9, markeredgecolor=ground, linestyle="none", label=said, zorder=5)
    if plane.paths:
        axes.plot([], [], "s", color=ink, markerfacecolor="none", linestyle="none", label="where paths begin")
    axes.set_xlim(plane.xs[0], plane.xs[-1])
    axes.set_ylim(plane.ys[0], plane.ys[-1])
    names = list(plane.points)[:2]
    axes.set_xlabel(f"distance from {names[0]} towards {names[1]}" if names else "first principal component")
    axes.set_ylabel("distance across" if names else "second principal component")
    finite = values[np.isfinite(values)]
    spread = f", from {finite.min():.3g} to {finite.max():.3g}" if len(finite) else ""
    axes.set_title(_titled(f"{plane.loss} on the plane{spread}", plane.statistics))
    if own:
        axes.figure.legend(loc="outside right upper", frameon=False, fontsize=9, labelspacing=0.8)
    else:
        axes.legend(fontsize=8)
    if path is not None:
        axes.figure.savefig(path, dpi=150)
    return axes.figure
