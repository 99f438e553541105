"""Recurrent layers by plain formulas, step by step, forward and back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import philox

Array = NDArray[Any]
Arrays = dict[str, Array]


def state_mask(shape: tuple[int, int], probability: float, seed: int, layer: int, draw: int) -> Array:
    """What recurrent dropout leaves: numbers from 2**33 on of the layer's stream."""
    size = shape[0] * shape[1]
    words = philox.philox(
        (draw & 0xFFFFFFFF, draw >> 32, np.arange(-(-size // 4)) + 2**31, philox.DROPOUT_STREAM + layer),
        (seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF),
    )
    flat = np.stack(words, axis=1).ravel()[:size]
    return np.where(flat < int(probability * 2**32), 0.0, 1 / (1 - probability)).reshape(shape)


def _sigmoid(z: Array) -> Array:
    return 1 / (1 + np.exp(-z))


class Run(NamedTuple):
    """What a run through all times leaves. `state` is (rows, n_hidden), of an LSTM with the cell behind."""

    outputs: Array
    state: Array
    tape: list[Any]
    lengths: Array


class Cell:
    """The formulas of a kind: `kind` is rnn, gru or lstm, `variant` relu for an RNN and "before" for a GRU."""

    def __init__(self, kind: str, variant: str, a: Arrays) -> None:
        self.kind, self.variant, self.a = kind, variant, a
        self.n = len(a["recurrent"])
        none = np.zeros(a["weight"].shape[1])
        self.bias, self.state_bias = a.get("bias", none), a.get("recurrent_bias", none)

    def step(self, x: Array, h: Array, c: Array, mask: Array) -> tuple[Array, Array, Any]:
        """From x, the state and the cell before: both after, and what the way back needs."""
        n, w, u = self.n, self.a["weight"], self.a["recurrent"]
        seen = h * mask
        if self.kind == "gru":
            from_x = x @ w + self.bias
            both = from_x[:, : 2 * n] + seen @ u[:, : 2 * n] + self.state_bias[: 2 * n]
            r, z = _sigmoid(both[:, :n]), _sigmoid(both[:, n:])
            if self.variant == "before":
                q = (r * seen) @ u[:, 2 * n :] + self.state_bias[2 * n :]
                new = np.tanh(from_x[:, 2 * n :] + q)
            else:
                q = seen @ u[:, 2 * n :] + self.state_bias[2 * n :]
                new = np.tanh(from_x[:, 2 * n :] + r * q)
            return (1 - z) * new + z * h, c, (x, h, seen, r, z, new, q)
        s = x @ w + seen @ u + self.bias + self.state_bias
        if self.kind == "rnn":
            after = np.maximum(s, 0) if self.variant == "relu" else np.tanh(s)
            return after, c, (x, seen, after, s)
        i, f, g, o = (
            _sigmoid(s[:, :n]),
            _sigmoid(s[:, n : 2 * n]),
            np.tanh(s[:, 2 * n : 3 * n]),
            _sigmoid(s[:, 3 * n :]),
        )
        cell = f * c + i * g
        return o * np.tanh(cell), cell, (x, seen, c, i, f, g, o, cell)

    def back(self, d: Array, e: Array, mask: Array, kept: Any) -> tuple[Array, Array, Array, Arrays]:
        """From the gradients by state and cell after: by x, by state and cell before, and by the arrays."""
        n, w, u = self.n, self.a["weight"], self.a["recurrent"]
        if self.kind == "gru":
            x, h, seen, r, z, new, q = kept
            dz, dn = d * (h - new) * z * (1 - z), d * (1 - z) * (1 - new**2)
            if self.variant == "before":
                by_product = dn @ u[:, 2 * n :].T
                dr, dq, factor, more = by_product * seen * r * (1 - r), dn, r * seen, by_product * r
            else:
                dr, dq, factor = dn * q * r * (1 - r), dn * r, seen
                more = dq @ u[:, 2 * n :].T
            gates, states = np.hstack([dr, dz, dn]), np.hstack([dr, dz, dq])
            before = d * z + mask * (more + states[:, : 2 * n] @ u[:, : 2 * n].T)
            by_u = np.hstack([seen.T @ states[:, : 2 * n], factor.T @ dq])
        else:
            if self.kind == "rnn":
                x, seen, after, _ = kept
                gates = d * ((after > 0) if self.variant == "relu" else 1 - after**2)
            else:
                x, seen, c, i, f, g, o, cell = kept
                t = np.tanh(cell)
                e = e + d * o * (1 - t**2)
                gates = np.hstack([e * g * i * (1 - i), e * c * f * (1 - f), e * i * (1 - g**2), d * t * o * (1 - o)])
                e = e * f
            states, by_u, before = gates, seen.T @ gates, mask * (gates @ u.T)
        found = {
            "weight": x.T @ gates,
            "recurrent": by_u,
            "bias": gates.sum(axis=0),
            "recurrent_bias": states.sum(axis=0),
        }
        return gates @ w.T, before, e, found


def _positions(lengths: Array, step: int, reverse: bool) -> tuple[Array, Array]:
    """The rows that make a step, and where each of them then is."""
    rows = np.flatnonzero(lengths > step)
    return rows, lengths[rows] - 1 - step if reverse else np.full(len(rows), step)


def forward(cell: Cell, x: Array, lengths: Array, state: Array, mask: Array, reverse: bool) -> Run:
    """Through all times of x (rows, times, n_in)."""
    h, c = state[:, : cell.n].copy(), state[:, cell.n :].copy()
    outputs, tape = np.zeros((*x.shape[:2], cell.n)), []
    for step in range(x.shape[1]):
        rows, at = _positions(lengths, step, reverse)
        h[rows], c[rows], kept = cell.step(x[rows, at], h[rows], c[rows], mask[rows])
        outputs[rows, at] = h[rows]
        tape.append(kept)
    return Run(outputs, np.hstack([h, c]), tape, lengths)


def backward(
    cell: Cell, run: Run, d: Array, mask: Array, reverse: bool, shape: tuple[int, ...]
) -> tuple[Array, Arrays]:
    """From the gradient by all outputs, or by the last state: by x, which has this shape, and by the arrays."""
    dx = np.zeros(shape)
    h, c = np.zeros((shape[0], cell.n)), np.zeros((shape[0], cell.n if cell.kind == "lstm" else 0))
    found: Arrays = {}
    for step in reversed(range(shape[1])):
        rows, at = _positions(run.lengths, step, reverse)
        if d.ndim == 3:
            h[rows] += d[rows, at]
        else:
            h[run.lengths == step + 1] += d[run.lengths == step + 1]
        dx[rows, at], h[rows], c[rows], by = cell.back(h[rows], c[rows], mask[rows], run.tape[step])
        found = {name: found.get(name, 0) + gradient for name, gradient in by.items()}
    return dx, {name: gradient for name, gradient in found.items() if name in cell.a}
