"""Recurrent layers by hand in NumPy: one product for the inputs of all times, a loop over the states, arrays that stay.

All arrays have the time in front: (times, batch, ...), and the states one time more, zeros before the first. Sigmoids
are tanh of the half, so that one call makes all gates: ``gates = scale * tanh(scale * z) + shift``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import numpy_steps
from ..cases import Float
from ..steps import Steps, Training
from .cases import GATES, Case

HALF = np.float32(0.5)


class _Arrays:
    """Parameters and their gradients by name, and what all kinds need: outputs, gates and the gradients of both."""

    def __init__(self, case: Case) -> None:
        values, slopes, self.update = numpy_steps.flat(case.weights.values())
        self.values = dict(zip(case.weights, values, strict=True))
        self.slopes = dict(zip(case.weights, slopes, strict=True))
        self.case = case
        self.times = range(case.times)
        self.gates = self.over_times(case.width)
        self.d_gates = np.empty_like(self.gates)
        self.product = np.empty((case.batch, case.width), np.float32)
        self.h = self.over_times(case.units, 1)
        self.dh, self.back = (np.empty((case.batch, case.units), np.float32) for _ in range(2))
        self.x = self.over_times(case.inputs)

    def over_times(self, columns: int, more: int = 0) -> Float:
        return np.zeros((self.case.times + more, self.case.batch, columns), np.float32)

    def blocks(self, gates: Float) -> list[Float]:
        """Views of the gates, one each."""
        return np.split(gates, GATES[self.case.kind], axis=-1)

    def inputs(self, rows: Float) -> None:
        """What the inputs give, for all times."""
        np.copyto(self.x, rows.swapaxes(0, 1))
        np.matmul(_flat(self.x), self.values["weight"], out=_flat(self.gates))
        np.add(self.gates, self.values["bias"], out=self.gates)

    def add_states(self, t: int) -> Float:
        """Gates of a time before their functions: what the states give is added."""
        gates: Float = self.gates[t]
        np.matmul(self.h[t], self.values["recurrent"], out=self.product)
        np.add(gates, self.product, out=gates)
        return gates

    def slopes_of(self, by_states: Float) -> None:
        """Gradients of the recurrent layer's parameters. by_states: that of the states' product, all times."""
        np.matmul(_flat(self.x).T, _flat(self.d_gates), out=self.slopes["weight"])
        np.matmul(_flat(self.h[:-1]).T, _flat(by_states), out=self.slopes["recurrent"])
        np.sum(_flat(self.d_gates), axis=0, out=self.slopes["bias"])
        if "recurrent_bias" in self.slopes:
            np.sum(_flat(by_states), axis=0, out=self.slopes["recurrent_bias"])


class RNN(_Arrays):
    def forward(self) -> None:
        for t in self.times:
            np.tanh(self.add_states(t), out=self.h[t + 1])

    def backward(self) -> None:
        slopes = np.multiply(self.h[1:], self.h[1:], out=self.gates)
        np.subtract(1, slopes, out=slopes)
        transposed = self.values["recurrent"].T
        for t in reversed(self.times):
            np.multiply(self.dh, slopes[t], out=self.d_gates[t])
            if t:
                np.matmul(self.d_gates[t], transposed, out=self.dh)
        self.slopes_of(self.d_gates)


class GRU(_Arrays):
    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.both = self.gates[..., : 2 * case.units]
        # What the states give to the new value, before the reset gate; and the gradient of the states' product.
        self.new = self.over_times(case.units)
        self.by_states = np.empty_like(self.gates)

    def forward(self) -> None:
        n = self.case.units
        recurrent_bias = self.values["recurrent_bias"]
        for t in self.times:
            np.matmul(self.h[t], self.values["recurrent"], out=self.product)
            np.add(self.product, recurrent_bias, out=self.product)
            both = np.add(self.both[t], self.product[:, : 2 * n], out=self.both[t])
            np.multiply(both, HALF, out=both)
            np.tanh(both, out=both)
            np.multiply(both, HALF, out=both)
            np.add(both, HALF, out=both)
            reset, update, value = self.blocks(self.gates[t])
            np.copyto(self.new[t], self.product[:, 2 * n :])
            np.multiply(reset, self.new[t], out=self.back)
            np.add(value, self.back, out=value)
            np.tanh(value, out=value)
            # update * (h - value) + value.
            h = np.subtract(self.h[t], value, out=self.h[t + 1])
            np.multiply(h, update, out=h)
            np.add(h, value, out=h)

    def backward(self) -> None:
        n = self.case.units
        transposed = self.values["recurrent"].T
        own = self.blocks(self.d_gates)
        gates = self.blocks(self.gates)
        both = self.both - self.both * self.both
        of_reset, of_update = both[..., :n], both[..., n:]
        of_value = 1 - gates[2] * gates[2]
        apart = self.h[:-1] - gates[2]
        for t in reversed(self.times):
            reset, update, value = (part[t] for part in own)
            np.multiply(self.dh, apart[t], out=update)
            np.multiply(update, of_update[t], out=update)
            np.multiply(self.dh, gates[1][t], out=self.back)
            np.subtract(self.dh, self.back, out=value)
            np.multiply(value, of_value[t], out=value)
            np.multiply(value, self.new[t], out=reset)
            np.multiply(reset, of_reset[t], out=reset)
            by_states = self.by_states[t]
            by_states[:, : 2 * n] = self.d_gates[t][:, : 2 * n]
            np.multiply(value, gates[0][t], out=by_states[:, 2 * n :])
            if t:
                np.matmul(by_states, transposed, out=self.dh)
                np.add(self.dh, self.back, out=self.dh)
        self.slopes_of(self.by_states)


class LSTM(_Arrays):
    def __init__(self, case: Case) -> None:
        super().__init__(case)
        self.c = self.over_times(case.units, 1)
        self.tanh_c = self.over_times(case.units)
        self.dc = np.empty_like(self.dh)
        of_cell = np.arange(case.width) // case.units == 2
        self.scale = np.where(of_cell, np.float32(1), HALF)
        self.shift = np.where(of_cell, np.float32(0), HALF)

    def forward(self) -> None:
        for t in self.times:
            gates = self.add_states(t)
            np.multiply(gates, self.scale, out=gates)
            np.tanh(gates, out=gates)
            np.multiply(gates, self.scale, out=gates)
            np.add(gates, self.shift, out=gates)
            into, kept, value, out = self.blocks(gates)
            np.multiply(kept, self.c[t], out=self.c[t + 1])
            np.multiply(into, value, out=self.back)
            np.add(self.c[t + 1], self.back, out=self.c[t + 1])
            np.tanh(self.c[t + 1], out=self.tanh_c[t])
            np.multiply(out, self.tanh_c[t], out=self.h[t + 1])

    def backward(self) -> None:
        transposed = self.values["recurrent"].T
        self.dc[...] = 0
        gates = self.blocks(self.gates)
        # Gradients of the gates' sums over those of their values, and what each value is multiplied by, for all times.
        slopes = np.multiply(self.gates, self.gates, out=self.d_gates)
        np.subtract(self.gates, slopes, out=slopes)
        own = self.blocks(slopes)
        np.subtract(1, np.square(gates[2], out=own[2]), out=own[2])
        own[0] *= gates[2]
        own[1] *= self.c[:-1]
        own[2] *= gates[0]
        own[3] *= self.tanh_c
        through = gates[3] * (1 - self.tanh_c * self.tanh_c)
        for t in reversed(self.times):
            into, kept, value, out = (part[t] for part in own)
            np.multiply(out, self.dh, out=out)
            np.multiply(self.dh, through[t], out=self.back)
            np.add(self.dc, self.back, out=self.dc)
            for part in (into, kept, value):
                np.multiply(part, self.dc, out=part)
            if t:
                np.multiply(self.dc, gates[1][t], out=self.dc)
                np.matmul(self.d_gates[t], transposed, out=self.dh)
        self.slopes_of(self.d_gates)


_KINDS: dict[str, type[RNN | GRU | LSTM]] = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}


def _flat(array: Float) -> Float:
    """Times and rows as one axis; a view."""
    return array.reshape(-1, array.shape[-1])


def loop(case: Case) -> Training:
    layer = _KINDS[case.kind](case)
    dense, dense_bias = layer.values["dense"], layer.values["dense_bias"]
    logits, delta = (np.empty((case.batch, case.classes), np.float32) for _ in range(2))

    def step(k: int) -> Any:
        x, y = case.batches[k]
        layer.inputs(x)
        layer.forward()
        np.matmul(layer.h[-1], dense, out=logits)
        np.add(logits, dense_bias, out=logits)
        loss = numpy_steps.cross_entropy(logits, y, delta)
        np.matmul(layer.h[-1].T, delta, out=layer.slopes["dense"])
        np.sum(delta, axis=0, out=layer.slopes["dense_bias"])
        np.matmul(delta, dense.T, out=layer.dh)
        layer.backward()
        layer.update()
        return loss

    return Steps("NumPy", len(case.batches), step)
