"""The network behind an estimator: made from its arguments, filled from its random numbers, and its prediction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array

from ..layers import Dense
from ..network import Network
from .objective import ACTIVATION_NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Bytes of sparse rows that are made dense at a time.
SLAB = 1 << 24
# The share of elements that are not zero from which dense products are faster.
DENSE_FROM = 0.1


def layers(units: Sequence[int], activations: Sequence[str], dropout: Sequence[float]) -> tuple[Dense, ...]:
    """Those of a network with so many units in each layer, the inputs first."""
    return tuple(
        Dense(n_in, n_out, ACTIVATION_NAMES.get(activation, activation), dropout=rate)
        for n_in, n_out, activation, rate in zip(units[:-1], units[1:], activations, dropout, strict=True)
    )


def of_layers(layers: Sequence[Dense], dtype: Any) -> Network:
    """A network of zeros."""
    network = Network.__new__(Network)
    network._build(layers, 0, dtype)
    return network


def build(units: Sequence[int], activations: Sequence[str], dropout: Sequence[float], dtype: Any) -> Network:
    """A network of zeros with so many units in each layer, the inputs first."""
    return of_layers(layers(units, activations, dropout), dtype)


def own_network(network: Network, random_state: Any) -> Network:
    """A network of the same shape in schuss's own order: initial weights, shuffles and split follow from one seed."""
    words = random_state.randint(0, 1 << 32, size=2, dtype=np.uint64)
    return Network(network.layers, seed=int(words[0] << np.uint64(32) | words[1]), dtype=network.dtype)


def hand_over(before: Network, network: Network) -> None:
    """Let a network take another's place in training, if its weights are of the same shapes."""
    network._core.seed, network._core.draws = before.seed, before._core.draws
    network.epochs_done = before.epochs_done
    old = before.optimizer
    if old is None or [p.shape for p in before.parameters] != [p.shape for p in network.parameters]:
        return
    state = old.__getstate__()
    indices = before._indices_of(old)
    groups = [
        {**group, "params": [network.parameters[k] for k in own]}
        for group, own in zip(state["groups"], indices, strict=True)
    ]
    optimizer = type(old).__new__(type(old))
    optimizer.__setstate__({**state, "groups": groups})
    network.optimizer = optimizer


def initialise(network: Network, activations: Sequence[str], random_state: Any, dtype: Any) -> None:
    """Draw weights and biases as scikit-learn does: within Glorot's bounds, layer by layer, rounded to dtype."""
    weights, biases = network.parameters[::2], network.parameters[1::2]
    for weight, bias, activation in zip(weights, biases, activations, strict=True):
        factor = 2.0 if activation in ("logistic", "sigmoid") else 6.0
        bound = np.sqrt(factor / sum(weight.shape))
        for array in (weight, bias):
            array[...] = random_state.uniform(-bound, bound, array.shape).astype(dtype, copy=False)


def compressed(X: Any, dtype: np.dtype[Any]) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    """A sparse matrix as the core takes compressed rows: starts, columns, values."""
    X = X.tocsr()
    if not X.has_canonical_format:
        X = X.copy()
        X.sum_duplicates()
    indices = X.indices if X.indices.dtype in (np.int32, np.int64) else X.indices.astype(np.int64)
    return (
        np.ascontiguousarray(X.indptr, dtype=np.int64),
        np.ascontiguousarray(indices),
        np.ascontiguousarray(X.data, dtype=dtype),
    )


def rows_of(X: Any, dtype: np.dtype[Any]) -> Any:
    """Rows as the core trains on them: compressed where few are not zero, else dense; with the same results."""
    dense = isinstance(X, np.ndarray)
    filled = np.count_nonzero(X) if dense else X.nnz
    if filled < DENSE_FROM * X.shape[0] * X.shape[1]:
        return compressed(csr_array(X) if dense else X, dtype)
    return np.ascontiguousarray(X if dense else X.toarray(), dtype=dtype)


def slabs(X: Any, dtype: np.dtype[Any]) -> Iterable[tuple[slice, NDArray[Any]]]:
    """Dense pieces of the rows of X, one after the other; all of them at once where X is dense."""
    if isinstance(X, np.ndarray):
        return [(slice(0, len(X)), np.ascontiguousarray(X, dtype=dtype))]
    return _Slabs(X.tocsr(), dtype)


class _Slabs:
    """Iterates over what would not fit at once."""

    def __init__(self, X: Any, dtype: np.dtype[Any]) -> None:
        self._X, self._dtype = X, dtype

    def __iter__(self) -> Iterator[tuple[slice, NDArray[Any]]]:
        rows, columns = self._X.shape
        each = max(1, SLAB // (columns * self._dtype.itemsize))
        for start in range(0, rows, each):
            part = slice(start, min(rows, start + each))
            yield part, self._X[part].toarray().astype(self._dtype, copy=False)


def output(network: Network, X: Any) -> NDArray[Any]:
    """The network's output for rows of X, dense or sparse, which have been checked."""
    rows = X.shape[0]
    out = np.empty((rows, network.n_out), network.dtype)
    for part, x in slabs(X, network.dtype):
        network._core.predict(x, out[part])
    return out
