"""The loss on a plane through three sets of a network's parameters, or along the paths of its training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import integer, number, shown
from ..network import Network
from .contours import checked_limits, draw_surface, levels_above, line_styles, on_ground
from .figures import check_axes, matplotlib
from .positions import Position, network_of, position_of
from .surfaces import Surface, titled

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from ..passes import AnyLoss

    Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """A network on the plane, or beside it.

    Attributes
    ----------
    x, y : float
        Where it is, or what of the plane is next to it.
    off : float
        Its distance from the plane.
    loss : float
        Its own loss, wherever it is.
    """

    x: float
    y: float
    off: float
    loss: float


@dataclass(frozen=True)
class LossPlane:
    """The loss on a plane through the space of parameters.

    Attributes
    ----------
    xs, ys : arrays of shape (k,)
        Coordinates, in the unit of distance between parameters; the origin is the first network.
    losses : array of shape (len(ys), len(xs))
    points : dict of str to Place
        The networks, by their labels.
    paths : dict of str to array of shape (k, 3)
        Of each path where its points are next to the plane, and how far off.
    origin, directions : array of shape (n,), array of shape (2, n)
        The plane: parameters at (x, y) are ``origin + x directions[0] + y directions[1]``.
    loss : str
        Which loss.
    statistics : str or None
        What was done about the statistics of BatchNorm; None in a network without.
    """

    xs: NDArray[np.float64] = field(repr=False)
    ys: NDArray[np.float64] = field(repr=False)
    losses: NDArray[np.float64] = field(repr=False)
    points: dict[str, Place]
    paths: dict[str, NDArray[np.float64]] = field(repr=False)
    origin: NDArray[np.float64] = field(repr=False)
    directions: NDArray[np.float64] = field(repr=False)
    loss: str
    statistics: str | None

    def plot(self, path: str | os.PathLike[str] | None = None, *, ax: Any = None) -> Any:
        """Draw it with matplotlib: contours in equal ratios above the lowest loss, networks and paths.

        Parameters
        ----------
        path : str or path, optional
            Where to save the picture; the ending says the format.
        ax : matplotlib.axes.Axes, optional
            Where to draw. Default: a figure of its own.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        return _draw(self, path, ax)


def loss_plane(
    points: Any,
    X: Any,
    y: Any,
    *,
    loss: AnyLoss,
    network: Network | None = None,
    paths: Mapping[str, Any] | None = None,
    sample_weight: Any = None,
    lengths: Any = None,
    resolution: int = 31,
    margin: float = 0.25,
    limits: Any = None,
    statistics: str = "recompute",
) -> LossPlane:
    """The loss on the plane through three sets of parameters, such as three optimizers find (Garipov et al. 2018).

    Parameters
    ----------
    points : mapping or sequence, or None
        At least three Networks of the same layers, or their parameters (vectors, or arrays as ``net.parameters`` is);
        a mapping has their labels as its keys. The first three span the plane; what of it is next to the others is
        marked. None: the plane on which `paths` are widest, by their principal components around the end of the first
        (Li et al. 2018).
    X, y, loss, sample_weight, lengths
        As for `Network.evaluate`.
    network : Network, optional
        Whose layers they are, where `points` has no Network.
    paths : mapping, optional
        By labels, what parameters were over the epochs: a sequence of such sets. They are drawn where the plane is next
        to them.
    resolution : int
        Points along each side of the grid.
    margin : float
        How far the grid goes beyond networks and paths, as a part of their width.
    limits : ((low, high), (low, high)), optional
        What is shown instead, in the coordinates of the plane.
    statistics : {"recompute", "interpolate"}
        Of BatchNorm, as for `loss_line`. On a plane of `paths` "interpolate" is not possible: nothing says what they
        were there.

    Returns
    -------
    LossPlane
        Its method `plot` draws it.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, the layers are not the same, or the three lie on a line.

    Notes
    -----
    All is computed by `evaluate` of a copy, without dropout and penalties, resolution squared times: nothing of what is
    given changes. A plane shows little of a space of thousands of dimensions: what looks like a wall may have a way
    around it.

    References
    ----------
    T. Garipov et al., "Loss surfaces, mode connectivity, and fast ensembling of DNNs", NeurIPS 2018.
    H. Li et al., "Visualizing the loss landscape of neural nets", NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> nets = {name: schuss.Network([schuss.Dense(3, 1)], seed=k) for k, name in enumerate("abc")}
    >>> plane = schuss.plots.loss_plane(nets, X, X.sum(axis=1), loss="mse", resolution=5)
    >>> plane.losses.shape, [place.off for place in plane.points.values()]
    ((5, 5), [0.0, 0.0, 0.0])
    """
    resolution = integer("resolution", resolution, 2)
    margin = number("margin", margin, "[0, inf)")
    frame = None if limits is None else checked_limits(limits)
    named = _named(points)
    own = network_of(network, *named.values())
    found = {label: position_of(f"points[{label!r}]", one, own) for label, one in named.items()}
    ways = _ways(paths, own)
    if not found and statistics == "interpolate" and own._core.states:
        raise ValueError("statistics must be 'recompute' on a plane of paths in a network with BatchNorm")
    surface = Surface(own, X, y, loss, sample_weight, lengths, None, statistics)
    corners = list(found.values())[:3]
    origin, directions = _through(corners) if corners else _widest(list(ways.values()))
    flat = {label: _projected(one.parameters[None], origin, directions)[0] for label, one in found.items()}
    for label in list(flat)[:3]:  # they are on it but for rounding
        flat[label][2] = 0.0
    tracks = {label: _projected(way, origin, directions) for label, way in ways.items()}
    if frame is None:
        seen = np.vstack([*(one[None] for one in flat.values()), *tracks.values()])[:, :2]
        low, high = seen.min(axis=0), seen.max(axis=0)
        size = np.maximum(high - low, 0.3 * float((high - low).max()))
        low, high = (low + high - size) / 2 - margin * size, (low + high + size) / 2 + margin * size
        frame = np.stack((low, high), axis=1)
    xs, ys = (np.linspace(low, high, resolution) for low, high in frame)
    weigh = _Weights(corners, origin, directions) if corners and surface.statistics else None
    grid = np.empty((resolution, resolution))
    for i, b in enumerate(ys):
        for k, a in enumerate(xs):
            states = None if weigh is None else weigh((a, b))
            grid[i, k] = surface.at(origin + a * directions[0] + b * directions[1], states)
    places = {
        label: Place(float(x), float(y), float(off), surface([(1.0, found[label])])[0])
        for label, (x, y, off) in flat.items()
    }
    return LossPlane(xs, ys, grid, places, tracks, origin, directions, surface.name, surface.statistics)


# -- what is given ----------------------------------------------------------------------------------------------------


def _named(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if isinstance(given, Mapping):
        found = {str(label): one for label, one in given.items()}
    elif isinstance(given, (str, bytes, Network)) or not isinstance(given, Iterable):
        raise TypeError(f"points must be a mapping or a sequence of at least three networks; got {shown(given)}")
    else:
        found = {str(k): one for k, one in enumerate(given)}
    if len(found) < 3:
        raise ValueError(f"points must have at least three sets of parameters; got {len(found)}")
    return found


def _ways(given: Any, own: Network) -> dict[str, Vector]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise TypeError(f"paths must be a mapping of labels to sequences of parameters; got {shown(given)}")
    found = {}
    for label, way in given.items():
        name = f"paths[{label!r}]"
        steps = [position_of(f"{name}[{k}]", one, own).parameters for k, one in enumerate(way)]
        if not steps:
            raise ValueError(f"{name} must have at least one set of parameters; got none")
        found[str(label)] = np.array(steps)
    return found


# -- geometry ---------------------------------------------------------------------------------------------------------


def _through(corners: list[Position]) -> tuple[Vector, Vector]:
    """Origin and orthonormal directions of the plane through three points: the first axis goes to the second."""
    a, b, c = (one.parameters for one in corners)
    along, other = b - a, c - a
    length = float(np.linalg.norm(along))
    if length == 0:
        raise ValueError("points must lie on a plane, not on a line; the first two are the same")
    along = along / length
    across = other - (other @ along) * along
    across = across - (across @ along) * along  # once more: the first time leaves rounding
    width = float(np.linalg.norm(across))
    if width <= 1e-7 * max(length, float(np.linalg.norm(other))):
        raise ValueError("points must lie on a plane, not on a line; the first three do")
    return a, np.stack((along, across / width))


def _widest(ways: list[Vector]) -> tuple[Vector, Vector]:
    """Origin and directions of the plane on which paths are widest."""
    if not ways:
        raise ValueError("paths must be given where points is None; got None")
    origin = ways[0][-1]
    rest = np.vstack(ways) - origin
    if len(rest) < 3:
        raise ValueError(f"paths must have at least three sets of parameters for a plane; got {len(rest)}")
    _, sizes, directions = np.linalg.svd(rest, full_matrices=False)
    if len(sizes) < 2 or sizes[1] <= 1e-7 * sizes[0]:
        raise ValueError("paths must not lie on a line; they do")
    # The sign of a principal component means nothing: the paths come from the left, and from above.
    signs = np.where((rest @ directions[:2].T).mean(axis=0) > 0, np.array([-1.0, 1.0]), np.array([1.0, -1.0]))
    return origin, directions[:2] * signs[:, None]


def _projected(points: Vector, origin: Vector, directions: Vector) -> Vector:
    """Coordinates on the plane, and distances from it: (k, 3)."""
    rest = points - origin
    flat = rest @ directions.T
    off = np.linalg.norm(rest - flat @ directions, axis=1)
    return np.column_stack((flat, off))


class _Weights:
    """Of three corners, for points of their plane: they sum to 1."""

    def __init__(self, corners: list[Position], origin: Vector, directions: Vector) -> None:
        flat = _projected(np.array([one.parameters for one in corners]), origin, directions)[:, :2]
        self._solve = np.linalg.inv(np.vstack((flat.T, np.ones(3))))
        self._states = np.array([one.states for one in corners])

    def __call__(self, at: tuple[float, float]) -> Vector:
        return (self._solve @ np.array([*at, 1.0])) @ self._states  # type: ignore[no-any-return]


# -- the picture -------------------------------------------------------------------------------------------------------


def _draw(plane: LossPlane, path: str | os.PathLike[str] | None, axes: Any) -> Any:
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
    axes.set_title(titled(f"{plane.loss} on the plane{spread}", plane.statistics))
    if own:
        axes.figure.legend(loc="outside right upper", frameon=False, fontsize=9, labelspacing=0.8)
    else:
        axes.legend(fontsize=8)
    if path is not None:
        axes.figure.savefig(path, dpi=150)
    return axes.figure
