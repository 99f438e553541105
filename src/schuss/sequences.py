"""Rows that are sequences: of different lengths, going on from where they stopped, cut out of long series."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .arguments import integer, items, shown
from .arrays import padded, real_array

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Sequences:
    """Inputs of a network that goes through times, with the length of each row and the state that it begins in.

    It stands for X wherever a network takes one: ``net.fit(schuss.Sequences(X, lengths), y, ...)`` is
    ``net.fit(X, y, lengths=lengths, ...)``; in ``validation_data=(schuss.Sequences(Xv, lengths), yv)`` it is the only
    way to say the lengths.

    Parameters
    ----------
    x : array of shape (rows, times, features), or list of arrays (length, features)
        A list is brought into one array, and tells the lengths. With several inputs a dict or tuple of arrays.
    lengths : array of integers (rows,), optional
        How many times of each row are there, from its first one on: 0 to times. The others are never looked at by
        layers that go through times, but have to be finite. Rows of x may have fewer times than the network, if it
        has one input. With several, those that have times must have equally many. None for a network in which a layer
        goes through another number of times than its input has. Default: all.
    state : array of shape (rows, net.state_size), optional
        What layers that go through times begin with, such as ``net.initial_state(rows)``; it is overwritten with what
        they end with. In the network's dtype, C-contiguous. Default: zeros, and the end is not told.

    Raises
    ------
    TypeError
        If lengths come with a list, which has its own.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> both = schuss.Sequences([np.zeros((3, 2)), np.ones((5, 2))])
    >>> both.lengths
    array([3, 5])
    """

    def __init__(self, x: Any, lengths: Any = None, state: Any = None) -> None:
        if isinstance(x, list) and any(getattr(row, "ndim", 0) for row in x):
            if lengths is not None:
                raise TypeError(f"lengths must be None with a list of arrays, which has its own; got {shown(lengths)}")
            x, lengths = padded("x", x)
        self.x, self.lengths, self.state = x, lengths, state


def joined(x: Any, lengths: Any, state: Any = None) -> Any:
    """X with lengths and state, where there are any."""
    if lengths is None and state is None:
        return x
    if isinstance(x, Sequences):
        raise TypeError("lengths and state must be None with Sequences, which have their own")
    return Sequences(x, lengths, state)


def windows(
    series: Any, past: int = 24, ahead: int = 6, *, targets: Any = None, step: int = 1, gap: int = 0
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Windows of a series, and what comes after each: views, however many there are.

    Row k of X is ``series[k * step :][:past]``, row k of y ``series[k * step + past + gap :][:ahead]``.

    Parameters
    ----------
    series : array of shape (times,) or (times, features)
        Real numbers, read-only and memory-mapped ones included. Copied, once, if it is not C-contiguous.
    past : int
        Times of a window.
    ahead : int
        Times to be told from it. 0: none, so that the last window ends with the series; a forecast begins with it.
    targets : int or sequence of int, optional
        Which columns are to be told. Default: all. Columns that are not equally far apart are copied, once each.
    step : int
        Times from one window to the next.
    gap : int
        Times between a window and what is to be told.

    Returns
    -------
    X : array of shape (windows, past, features)
        1 feature for a series (times,). Not writable. `Network.fit`, `predict` and `evaluate` take it as it is, a batch
        at a time; in another dtype than the network's, they convert the series once.
    y : array of shape (windows, ahead), or (windows, ahead, columns)
        The latter for a series of several features, unless `targets` is one number. A network that ends in
        ``Dense(ahead)`` takes the former; ``Dense(ahead * columns)`` takes ``y.reshape(len(y), -1)``. What takes them
        copies targets.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, or the series is too short for one window.

    Notes
    -----
    Neighbouring windows share most of their times: validation on windows drawn at random, as by
    ``validation_fraction``, says little of the future. Cut the series first, and give the later part as
    ``validation_data``.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> X, y = schuss.windows(np.arange(10.0), past=4, ahead=2)
    >>> X.shape, y[0], y[-1]
    ((5, 4, 1), array([4., 5.]), array([8., 9.]))
    >>> weather = np.random.default_rng(0).normal(size=(8760, 5))
    >>> X, y = schuss.windows(weather, past=24, ahead=6, targets=0)
    >>> X.shape, y.shape
    ((8731, 24, 5), (8731, 6))
    """
    array = _checked_series(series)
    past, ahead = integer("past", past, 1), integer("ahead", ahead, 0)
    step, gap = integer("step", step, 1), integer("gap", gap, 0)
    wanted = _columns(array, targets)
    if len(array) < past + gap + ahead:
        raise ValueError(f"series must have at least {past + gap + ahead} times, past + gap + ahead; got {len(array)}")
    count = (len(array) - past - gap - ahead) // step + 1
    first = past + gap
    X = _rows_of(array if array.ndim == 2 else array[:, None], 0, past, step, count)
    return X, _rows_of(wanted, first, ahead, step, count)


def streams(series: Any, rows: int, times: int) -> NDArray[Any]:
    """A long series as rows of which each batch goes on where the one before ended, for ``fit(..., carry_state=True)``.

    The series is cut into so many streams of equal length, one after the other, and these into pieces of so many times:
    row ``k * rows + i`` is piece k of stream i. What is left at the end of the series, fewer than rows * times, is left
    out.

    Parameters
    ----------
    series : array of shape (times_in_all,) or (times_in_all, features)
        Real numbers.
    rows : int
        Streams: the batch size of the fit.
    times : int
        Of a piece: how far gradients go back.

    Returns
    -------
    array of shape (pieces * rows, times) or (pieces * rows, times, features)
        A copy, in the dtype of the series.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described, or the series is too short for one batch.

    Notes
    -----
    Targets are cut in the same way, as below. Of what comes out, ``found.reshape(-1, rows, times).swapaxes(0, 1)`` is
    each stream's pieces in order.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> schuss.streams(np.arange(14), rows=2, times=3)
    array([[ 0,  1,  2],
           [ 6,  7,  8],
           [ 3,  4,  5],
           [ 9, 10, 11]])
    >>> series = np.sin(np.arange(2000) / 9)
    >>> X, y = (schuss.streams(part, rows=16, times=25) for part in (series[:-1], series[1:]))
    >>> layers = [schuss.Input("x", (25, 1)), schuss.GRU(16, return_sequences=True), schuss.Dense(1)]
    >>> net = schuss.Network(layers, seed=0)
    >>> history = net.fit(X, y, loss="mse", batch_size=16, carry_state=True, epochs=3)
    """
    array = _checked_series(series)
    rows, times = integer("rows", rows, 1), integer("times", times, 1)
    pieces = len(array) // (rows * times)
    if not pieces:
        raise ValueError(f"series must have at least {rows * times} times, rows * times; got {len(array)}")
    rest = array.shape[1:]
    cut = array[: rows * pieces * times].reshape(rows, pieces, times, *rest)
    return np.ascontiguousarray(cut.swapaxes(0, 1)).reshape(pieces * rows, times, *rest)


def _checked_series(series: Any) -> NDArray[Any]:
    array = real_array("series", series)
    if array.ndim not in (1, 2) or (array.ndim == 2 and not array.shape[1]):
        raise ValueError(f"series must have shape (times,) or (times, features); got {array.shape}")
    return np.ascontiguousarray(array)


def _columns(array: NDArray[Any], targets: Any) -> NDArray[Any]:
    """Those columns of a series that are to be told; a view, if they are equally far apart."""
    if targets is None:
        return array
    if array.ndim == 1:
        raise ValueError(f"targets must be None for a series of shape (times,); got {shown(targets)}")
    most = array.shape[1] - 1
    if not hasattr(targets, "__iter__"):
        return array[:, integer("targets", targets, 0, most)]
    found = [integer(f"targets[{k}]", one, 0, most) for k, one in enumerate(items("targets", targets, "columns"))]
    if not found:
        raise ValueError("targets must hold at least one column; got none")
    apart = found[1] - found[0] if len(found) > 1 else 1
    if apart > 0 and found == list(range(found[0], found[-1] + 1, apart)):
        return array[:, found[0] : found[-1] + 1 : apart]
    return array[:, found]


def _rows_of(array: NDArray[Any], first: int, length: int, step: int, count: int) -> NDArray[Any]:
    """So many rows of this length, each `step` behind the one before: (count, length, ...), a view."""
    if length == 0:
        return np.empty((count, 0, *array.shape[1:]), array.dtype)
    found = sliding_window_view(array[first:], length, axis=0)[: (count - 1) * step + 1 : step]
    return found if array.ndim == 1 else found.transpose(0, 2, 1)
