"""The loss along the line between two sets of a network's parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import integer, number, shown
from .figures import check_axes, matplotlib
from .positions import network_of, position_of
from .surfaces import Surface, titled

if TYPE_CHECKING:
    import os

    from numpy.typing import NDArray

    from ..network import Network
    from ..passes import AnyLoss


@dataclass(frozen=True)
class LossLine:
    """The loss along the line from one network's parameters to another's.

    Attributes
    ----------
    at : array of shape (k,)
        Where on the line: 0 at the start, 1 at the end.
    training : array of shape (k,)
        The loss of X and y there.
    validation : array of shape (k,) or None
        The loss of the validation data.
    labels : (str, str)
        What start and end are called.
    distance : float
        From start to end, in the space of parameters.
    barrier : float
        How far the training loss rises, between start and end, above the straight line from the loss of one to the loss
        of the other, at most; 0 if it does not.
    loss : str
        Which loss.
    statistics : str or None
        What was done about the statistics of BatchNorm: "recompute" or "interpolate"; None in a network without.
    """

    at: NDArray[np.float64] = field(repr=False)
    training: NDArray[np.float64] = field(repr=False)
    validation: NDArray[np.float64] | None = field(repr=False)
    labels: tuple[str, str]
    distance: float
    barrier: float
    loss: str
    statistics: str | None

    def plot(self, path: str | os.PathLike[str] | None = None, *, ax: Any = None) -> Any:
        """Draw it with matplotlib.

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


def loss_line(
    start: Any,
    end: Any,
    X: Any,
    y: Any,
    *,
    loss: AnyLoss,
    network: Network | None = None,
    validation_data: Sequence[Any] | None = None,
    sample_weight: Any = None,
    lengths: Any = None,
    points: int = 51,
    beyond: float = 0.25,
    statistics: str = "recompute",
    labels: Sequence[str] = ("start", "end"),
) -> LossLine:
    """The loss along the straight line from one set of parameters to another (Goodfellow et al. 2015).

    Whether there is a barrier between two networks, as it is called if it is high (Frankle et al. 2020), or between a
    network before and after training, shows whether an optimizer has walked down or around something.

    Parameters
    ----------
    start, end : Network or arrays
        Networks of the same layers; or parameters: a vector of all, or arrays as ``net.parameters`` is.
    X, y, loss, sample_weight, lengths
        As for `Network.evaluate`.
    network : Network, optional
        Whose layers they are, where neither `start` nor `end` is a Network.
    validation_data : (X, y) or (X, y, sample_weight), optional
        For a second curve.
    points : int
        How many, start and end among them where they divide the line evenly; both are always evaluated.
    beyond : float
        By what part of the distance the line goes on at both ends.
    statistics : {"recompute", "interpolate"}
        Of BatchNorm: of all rows of X anew at each point, as batches of training would bring them there (as Garipov et
        al. 2018), the validation data being seen through these; or the networks' running ones, on a straight line as
        the parameters. In a network without BatchNorm it does not matter.
    labels : (str, str)
        What start and end are called.

    Returns
    -------
    LossLine
        Its method `plot` draws it.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, or the layers are not the same.

    Notes
    -----
    All is computed by `evaluate` of a copy, without dropout and penalties: nothing of what is given changes.

    References
    ----------
    I. Goodfellow, O. Vinyals, A. Saxe, "Qualitatively characterizing neural network optimization problems", ICLR 2015.
    T. Garipov et al., "Loss surfaces, mode connectivity, and fast ensembling of DNNs", NeurIPS 2018.
    J. Frankle et al., "Linear mode connectivity and the lottery ticket hypothesis", ICML 2020.

    Examples
    --------
    >>> import copy, numpy as np, schuss
    >>> X = np.random.default_rng(0).normal(size=(100, 3))
    >>> net = schuss.Network([schuss.Dense(3, 1)], seed=0)
    >>> before = copy.deepcopy(net)
    >>> history = net.fit(X, X.sum(axis=1), loss="mse", lr=0.05)
    >>> line = schuss.plots.loss_line(before, net, X, X.sum(axis=1), loss="mse", points=5, beyond=0)
    >>> line.at.tolist(), line.barrier
    ([0.0, 0.25, 0.5, 0.75, 1.0], 0.0)
    >>> bool((np.diff(line.training) < 0).all())
    True
    """
    points = integer("points", points, 2)
    beyond = number("beyond", beyond, "[0, inf)")
    first, last = _labels(labels)
    own = network_of(network, start, end)
    a, b = position_of("start", start, own), position_of("end", end, own)
    surface = Surface(own, X, y, loss, sample_weight, lengths, validation_data, statistics)
    at = np.unique(np.concatenate((np.linspace(-beyond, 1 + beyond, points), [0.0, 1.0])))
    found = np.array([surface([(1 - t, a), (t, b)]) for t in at])
    curve = found[:, 0]
    between = (at >= 0) & (at <= 1)
    chord = np.interp(at[between], (0.0, 1.0), (curve[at == 0][0], curve[at == 1][0]))
    with np.errstate(invalid="ignore"):
        barrier = float((curve[between] - chord).max())
    return LossLine(
        at,
        curve,
        found[:, 1] if validation_data is not None else None,
        (first, last),
        float(np.linalg.norm(b.parameters - a.parameters)),
        max(0.0, barrier) if not math.isnan(barrier) else barrier,
        surface.name,
        surface.statistics,
    )


def _labels(given: Any) -> tuple[str, str]:
    found = [given] if isinstance(given, str) else list(given)
    if len(found) != 2:
        raise ValueError(f"labels must be two, of start and end; got {shown(given)}")
    return str(found[0]), str(found[1])


def _draw(line: LossLine, path: str | os.PathLike[str] | None, axes: Any) -> Any:
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
    axes.set_title(titled(f"Loss along the line, barrier {line.barrier:.3g}", line.statistics))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    if path is not None:
        axes.figure.savefig(path, dpi=150)
    return axes.figure
