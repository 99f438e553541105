"""Contours, paths and marks in one picture, and what of them is seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .contours import draw_surface, levels_above, line_styles, on_ground
from .figures import matplotlib

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .traces import Problem, Trace

    Vector = NDArray[np.float64]
    Frame = tuple[tuple[float, float], tuple[float, float]]


# -- the frame ---------------------------------------------------------------------------------------------------------


def pairs(array: Vector) -> Frame:
    (a, b), (c, d) = array.tolist()
    return (a, b), (c, d)


def within(points: Any, frame: Frame) -> Any:
    """Which of them are within the frame."""
    low, high = np.array(frame).T
    return ((points >= low) & (points <= high)).all(axis=-1)


def frame_of(traces: list[Trace], start: Vector, minima: tuple[tuple[float, float], ...]) -> Frame:
    """What is worth seeing of paths, where nothing else is known.

    All that is certainly worth it, and as much of each path as is no farther from that than it is wide. The lowest
    point of a path is worth it unless the path has run away.
    """
    reach = 1e3 * max(1.0, float(np.abs(np.vstack([start, *minima])).max()))
    core = [start, *np.array(minima).reshape(-1, 2)]
    for trace in traces:
        near = (np.abs(trace.points - start) < reach).all(axis=1)
        if near.all() and not trace.diverged:
            core.append(trace.points[int(np.argmin(trace.losses))])
    if len(core) == 1:
        core += [point for trace in traces for point in trace.points[:4] if (np.abs(point - start) < reach).all()]
    low, high = np.min(core, axis=0), np.max(core, axis=0)
    size = max(float((high - low).max()), 1e-9 * max(1.0, float(np.abs(core).max())))
    wide = pairs(np.stack((low - size, high + size), axis=1))
    seen = [low, high]
    for trace in traces:
        inside = trace.points[within(trace.points, wide)]
        if len(inside):
            seen += [inside.min(axis=0), inside.max(axis=0)]
    low, high = np.min(seen, axis=0), np.max(seen, axis=0)
    size = float((high - low).max())
    if size <= 1e-6 * max(1.0, float(np.abs(low).max())):
        size = 2.0
    middle, half = (low + high) / 2, np.maximum((high - low) / 2 + 0.08 * size, 0.25 * size)
    return pairs(np.stack((middle - half, middle + half), axis=1))


# -- what is drawn -----------------------------------------------------------------------------------------------------


@dataclass
class Way:
    """A path in the picture.

    Attributes
    ----------
    trace : Trace
    points : array of shape (k, 2)
        What of it is drawn.
    left : int or None
        The step after which it is never seen again.
    line, end
        matplotlib's lines: of the path, and of the mark at its end.
    """

    trace: Trace
    points: Vector
    left: int | None
    line: Any = None
    end: Any = None

    @property
    def label(self) -> str:
        """What the legend says."""
        trace = self.trace
        name = trace.label if trace.lr is None or "lr " in trace.label else f"{trace.label}, lr {trace.lr:g}"
        ends = [] if self.left is None else [f"leaves the frame at step {self.left}"]
        if trace.diverged:
            ends.append(f"diverges after {_steps(trace.steps)}")
        return f"{name}\n" + ("\n".join(ends) or f"ends at {trace.losses[-1]:.3g}")


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"


def cut(trace: Trace, frame: Frame) -> Way:
    """A path up to where it leaves the frame for good, at the frame itself; what swings out and comes back stays."""
    inside = np.flatnonzero(within(trace.points, frame))
    low, high = np.array(frame).T
    if not len(inside):
        return Way(trace, trace.points[:0], 0)
    last = int(inside[-1])
    # What lies far outside is brought nearer: drawing does not take numbers of any size.
    far = 20 * (high - low)
    points = np.clip(trace.points[: last + 1], low - far, high + far)
    if last == trace.steps:
        return Way(trace, points, None)
    inner = trace.points[last]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        way = trace.points[last + 1] - inner
        shares = np.where(way > 0, (high - inner) / way, np.where(way < 0, (low - inner) / way, np.inf))
    edge = inner + min(1.0, float(np.nanmin(shares))) * np.clip(way, -1e300, 1e300)
    return Way(trace, np.vstack((points, np.clip(edge, low, high))), last + 1)


class Picture:
    """Contours, paths and marks.

    Attributes
    ----------
    figure, axes
        matplotlib's.
    ways : list of Way
        In the order of the optimizers.
    minima : tuple of (float, float)
        Those that are marked.
    """

    def __init__(
        self,
        problem: Problem,
        traces: list[Trace],
        frame: Frame,
        minima: tuple[tuple[float, float], ...],
        resolution: int,
        levels: int | Vector,
        axes: Any,
    ) -> None:
        own = axes is None
        if own:
            axes = matplotlib()[0](figsize=(8.4, 4.8), layout="constrained").subplots()
        self.axes, self.figure, self.minima = axes, axes.figure, minima
        (left, right), (bottom, top) = frame
        xs, ys = np.linspace(left, right, resolution), np.linspace(bottom, top, resolution)
        values = problem.on(xs, ys)
        if isinstance(levels, int):
            levels = levels_above(values, _lowest(problem, values, traces, frame, minima), levels)
        draw_surface(axes, xs, ys, values, levels)
        axes.set_xlim(left, right)
        axes.set_ylim(bottom, top)
        axes.set_xlabel("x[0]")
        axes.set_ylabel("x[1]")
        ink = axes.xaxis.label.get_color()
        self.ways = [cut(trace, frame) for trace in traces]
        for way, look in zip(self.ways, line_styles(len(traces)), strict=True):
            (way.line,) = axes.plot(
                *way.points.T, label=way.label, linewidth=1.6, zorder=3, path_effects=on_ground(axes, 2.8), **look
            )
            (way.end,) = axes.plot(
                *way.points[-1:].T, "X" if way.left is not None or way.trace.diverged else "o", color=look["color"],
                markersize=7, markeredgecolor=axes.get_facecolor(), zorder=4,
            )  # fmt: skip
        axes.plot(
            *problem.start, "s", color=ink, markersize=7, markerfacecolor="none", markeredgewidth=1.5, label="start",
            linestyle="none", zorder=5,
        )  # fmt: skip
        if minima:
            axes.plot(
                *np.array(minima).T, "*", color=ink, markersize=12, markeredgecolor=axes.get_facecolor(),
                linestyle="none", label="minimum" if len(minima) == 1 else "minima", zorder=2.5,
            )  # fmt: skip
        if own:
            self.figure.legend(loc="outside right upper", frameon=False, fontsize=9, labelspacing=0.8)
        else:
            axes.legend(fontsize=8)


def _lowest(
    problem: Problem, values: Vector, traces: list[Trace], frame: Frame, minima: tuple[tuple[float, float], ...]
) -> float:
    """The lowest value that is known within the frame."""
    found = [values[np.isfinite(values)].min(initial=np.inf)]
    found += [problem(point) for point in minima if within(np.array(point), frame)]
    for trace in traces:
        found.append(trace.losses[within(trace.points, frame)].min(initial=np.inf))
    return float(np.nanmin(found))
