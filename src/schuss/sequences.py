"""Rows that are sequences: of different lengths, and going on from where they stopped."""

from __future__ import annotations

from typing import Any

from .arguments import shown


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
        layers that go through times, but have to be finite. Default: all.
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
            from .arrays import padded

            x, lengths = padded("x", x)
        self.x, self.lengths, self.state = x, lengths, state


def joined(x: Any, lengths: Any, state: Any = None) -> Any:
    """X with lengths and state, where there are any."""
    if lengths is None and state is None:
        return x
    if isinstance(x, Sequences):
        raise TypeError("lengths and state must be None with Sequences, which have their own")
    return Sequences(x, lengths, state)
