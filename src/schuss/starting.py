"""Weights and biases that start from data: each unit of a dense layer begins with outputs of one scale around zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from . import _core, inputs
from .arguments import flag, integer

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .network import Network

# Rows that go through a part of the network at once: sums over them go in this order.
_ROWS = 4096
# Streams of random numbers that no layer's initial weights have.
_STREAM = 1 << 19


def start_from_data(network: Network, X: Any, *, weights: bool = True, rows: int | None = 5) -> None:
    """Let dense layers of a network that is not trained yet start from data.

    Layer by layer, from the first to the last: the weights of each unit are divided by the standard deviation of what
    it computes from X, so that this becomes 1; then its bias becomes minus a convex combination of that at some rows,
    drawn for each unit, so that it changes its sign somewhere among the data.

    Parameters
    ----------
    network : Network
        Its `Dense` layers are meant, wherever they lie, the last one too. `parameters` are changed in place.
    X : array of shape (rows, n_in)
        As for `Network.fit`: the training rows.
    weights : bool
        Whether weights are divided. A unit whose values are all the same keeps its weights.
    rows : int or None
        How many rows are combined for a bias; their shares are exponential variables over their sum. None: biases stay.

    Raises
    ------
    ValueError, TypeError
        If X does not fit the network or is not finite, or what it becomes in a layer is not. Nothing has changed.
    RuntimeError
        If the network is being fitted.

    Notes
    -----
    What is drawn follows from the network's seed. Everything is as in prediction: without dropout, with the running
    statistics of batch norms. The start of RealMLP, where weights are first drawn from a normal distribution
    (pytabkit's weight_init_mode "std" and bias_init_mode "he+5").

    References
    ----------
    D. Holzmueller, L. Grinsztajn, I. Steinwart, Better by Default: Strong Pre-Tuned MLPs and Boosted Trees on Tabular
    Data (2024). I. Steinwart, A Sober Look at Neural Network Initializations (2019), for the biases.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> X = np.random.default_rng(0).normal(size=(100, 4))
    >>> net = schuss.Network([schuss.Dense(4, 8, "selu"), schuss.Dense(8, 1)], seed=0)
    >>> schuss.start_from_data(net, X)
    """
    weights = flag("weights", weights)
    rows = None if rows is None else integer("rows", rows, 1)
    if network._fitting:
        raise RuntimeError("this network is being fitted")
    if network._shaped:
        raise ValueError("network must take and give plain columns: its layers have positions, such as times")
    if any(put.sparse for put in network.inputs):
        raise ValueError("network must take numbers and codes: it has an input of dtype 'sparse'")
    x = network._data(X, "X")
    assert not isinstance(x, _core.Sequences)
    inputs.check_finite(network.inputs, "X", x)
    network._core.check_inputs(x)
    started = [array.copy() for array in network.parameters]
    for node, found in enumerate(network._graph.nodes):
        if found[0] == "dense":
            _start(network, node, x if isinstance(x, tuple) else (x,), started, weights, rows)
    _core.copy_all(list(network.parameters), started)


def _start(
    network: Network,
    node: int,
    x: tuple[Any, ...],
    started: list[NDArray[Any]],
    weights: bool,
    rows: int | None,
) -> None:
    """One dense layer: its arrays among those that have started."""
    own = {name: array for (of, name), array in zip(network._core.names, started, strict=True) if of == node}
    weight, bias = own["weight"], own.get("bias")
    part = _Part(network, node, x, started)
    deviation = np.ones(weight.shape[1])
    if weights:
        deviation = part.deviation()
        if not np.isfinite(deviation).all():
            raise ValueError(f"X must give finite values in {network._graph.paths[node]}; they overflow there")
        deviation[deviation == 0.0] = 1.0
        weight /= deviation
    if bias is not None and rows is not None:
        total = x[0].shape[0]
        indices, shares = _combination(network.seed, network._graph.nodes[node][-1], rows, len(bias), total)
        combined = np.zeros(len(bias))
        for of_units, share in zip(indices, shares, strict=True):
            combined += share * np.diagonal(part.values(of_units))  # of each unit at its own row
        bias[...] = -combined / deviation


def _combination(
    seed: int, stream: int, rows: int, units: int, total: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each unit, which rows are combined, and the share of each."""
    from .schedules.elementwise import log

    drawn = np.empty((2 * rows, units))
    _core.initialise(drawn, "uniform", 1.0, seed, _STREAM + stream)
    unit = 0.5 * (drawn + 1.0)
    indices = np.minimum((unit[:rows] * total).astype(np.int64), total - 1)
    exponential = -log(np.maximum(1.0 - unit[rows:], 2.0**-60))
    return indices, exponential / np.maximum(exponential.sum(axis=0), 2.0**-60)


class _Part:
    """The part of a network that ends with what one dense layer computes, without bias and end."""

    def __init__(self, network: Network, node: int, x: tuple[NDArray[Any], ...], started: list[NDArray[Any]]) -> None:
        nodes = network._graph.nodes
        needed = {node}
        for k in range(node, -1, -1):
            if k in needed:
                residual = nodes[k][7] if k != node else -1
                needed |= {*nodes[k][1], *([residual] if residual >= 0 else [])}
        order = sorted(needed)
        place = {k: at for at, k in enumerate(order)}
        places = {**place, -1: -1}
        taken = []
        for k in order:
            kind, of, sizes, numbers, activation, alpha, dropout, residual, stream = nodes[k]
            of = tuple(place[i] for i in of)
            if k == node:
                activation, alpha, dropout, residual = "identity", 0.0, 0.0, -1
            taken.append((kind, of, sizes, numbers, activation, alpha, dropout, places[residual], stream))
        self._core = _core.Net(taken, network.dtype, network.seed)
        firsts: dict[int, int] = {}
        homes = [firsts.setdefault(found[2]["table"], k) if "table" in found[2] else k for k, found in enumerate(nodes)]
        theirs = dict(zip(network._core.names, started, strict=True))
        theirs.update(zip(network._core.state_names, network._core.states, strict=True))
        for (of_node, name), array in zip(
            (*self._core.names, *self._core.state_names), (*self._core.parameters, *self._core.states), strict=True
        ):
            array[...] = 0.0 if order[of_node] == node and name == "bias" else theirs[homes[order[of_node]], name]
        self._x = tuple(x[k] for k in order if nodes[k][0] == "input")

    def values(self, rows: NDArray[np.int64] | slice) -> NDArray[np.float64]:
        """What the layer computes from some rows."""
        x = tuple(array[rows] for array in self._x)
        given = x if self._core.n_in < 0 else np.ascontiguousarray(x[0])
        found: NDArray[np.float64] = self._core.predict(given, None).astype(np.float64)
        return found

    def deviation(self) -> NDArray[np.float64]:
        """The standard deviation of each column over all rows."""
        total = self._x[0].shape[0]
        first = self.values(slice(0, 1))[0]
        sums, squares = np.zeros_like(first), np.zeros_like(first)
        with np.errstate(over="ignore", invalid="ignore"):
            for start in range(0, total, _ROWS):
                # From the first row, so that little cancels.
                shifted = self.values(slice(start, start + _ROWS)) - first
                sums += shifted.sum(axis=0)
                squares += (shifted * shifted).sum(axis=0)
            mean = sums / total
            found: NDArray[np.float64] = np.sqrt(np.maximum(squares / total - mean * mean, 0.0))
        return found
