"""Contours of a loss above its minimum, on light and dark grounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import shown
from ..arrays import check_finite, real_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

# A blue that is as far from white as from black.
_TINT = (0.36, 0.49, 0.66)


def checked_limits(given: Any) -> Vector:
    """The frame ((low, high), (low, high)). ValueError, TypeError if it is none."""
    array = np.array(real_array("limits", given), np.float64)
    if array.shape != (2, 2):
        raise ValueError(f"limits must be ((low, high), (low, high)); got {shown(given)}")
    check_finite("limits", array)
    if not (array[:, 0] < array[:, 1]).all():
        raise ValueError(f"limits must go from low to high; got {shown(given)}")
    return array


def levels_above(values: Vector, lowest: float, count: int = 20) -> Vector:
    """Levels between which a surface is drawn: in equal ratios of what is above the lowest value.

    From what a two-hundredth of the surface is under to what a hundredth is over, so that neither one deep point nor
    one steep wall takes all of them. Fewer where the surface is flat but for rounding; none where it is constant.
    """
    above = values[np.isfinite(values)] - lowest
    above = above[above > 0]
    if not above.size:
        return np.empty(0)
    low, high = (float(one) for one in np.quantile(above, (0.005, 0.99)))
    low = max(low, 1e-12 * high, 4 * float(np.spacing(abs(lowest) + high)))
    if high <= low:
        low, high = float(above.min()), float(above.max())
    if high <= low:
        return np.array([lowest + low])
    return np.unique(lowest + np.geomspace(low, high, count))


def draw_surface(axes: Any, xs: Vector, ys: Vector, values: Vector, levels: Vector) -> None:
    """Lines where the surface has these levels, on a tint that grows with them: seen through, so that they fit any
    ground, light or dark."""
    from matplotlib.colors import to_rgba

    if not len(levels):
        return
    ink = to_rgba(axes.xaxis.label.get_color())[:3]
    # In parts of what the levels span, so that numbers of any size can be drawn.
    low, span = float(levels[0]), float(levels[-1] - levels[0]) or 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        parts = np.ma.masked_invalid(np.clip((values - low) / span, -1.0, 2.0))
    at = (levels - low) / span
    if len(at) > 1:
        tints = [(*_TINT, alpha) for alpha in np.linspace(0.03, 0.4, len(at))]
        axes.contourf(xs, ys, parts, levels=at, colors=tints, extend="max")
    axes.contour(xs, ys, parts, levels=at, colors=[(*ink, 0.28)], linewidths=0.6, linestyles="solid")


def on_ground(axes: Any, width: float) -> list[Any]:
    """A rim of the ground's colour around a line, by which it stands out from contours and other lines."""
    from matplotlib.colors import to_rgba
    from matplotlib.patheffects import Normal, Stroke

    ground = axes.get_facecolor()
    if to_rgba(ground)[3] < 1:  # what it will lie on is not known
        return []
    return [Stroke(linewidth=width, foreground=ground), Normal()]


def line_styles(count: int) -> list[dict[str, Any]]:
    """As many looks of lines as are asked for: the style's colours, dashed when they are used up, and so on."""
    from matplotlib import rcParams

    colors = rcParams["axes.prop_cycle"].by_key().get("color", ["C0"])
    dashes = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)))
    return [
        {"color": colors[k % len(colors)], "linestyle": dashes[k // len(colors) % len(dashes)]} for k in range(count)
    ]
