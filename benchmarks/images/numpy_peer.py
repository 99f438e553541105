"""Convolutions by hand in NumPy: patches copied into a matrix, one product; arrays that stay."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .. import numpy_steps
from ..cases import Float
from ..steps import Steps, Training
from .cases import Case, Conv, Placed


class _Layer(Protocol):
    def forward(self, x: Float) -> Float: ...

    def backward(self, dy: Float) -> Float: ...


class _Convolution:
    """With ReLU. w, b, dw, db: parameters and their gradients; first: nobody asks for the input's gradient."""

    def __init__(self, one: Placed, layer: Conv, batch: int, arrays: list[Float], first: bool) -> None:
        self.w, self.b, self.dw, self.db = arrays
        height, width, channels = one.shape
        self.margin, self.kernel, self.first = layer.margin, layer.kernel, first
        self.padded = np.zeros((batch, height + 2 * self.margin, width + 2 * self.margin, channels), np.float32)
        windows = sliding_window_view(self.padded, (self.kernel, self.kernel), axis=(1, 2))
        self.windows = windows.transpose(0, 1, 2, 4, 5, 3)
        self.patches = np.empty(self.windows.shape, np.float32)
        self.rows = self.patches.reshape(-1, self.kernel * self.kernel * channels)
        self.out = np.empty((batch, *one.out), np.float32)
        self.inner = self.padded[:, self.margin : self.margin + height, self.margin : self.margin + width]

    def forward(self, x: Float) -> Float:
        np.copyto(self.inner, x)
        np.copyto(self.patches, self.windows)
        y = self.out.reshape(-1, self.out.shape[-1])
        np.matmul(self.rows, self.w.reshape(-1, y.shape[-1]), out=y)
        np.add(y, self.b, out=y)
        np.maximum(y, 0, out=y)
        return self.out

    def backward(self, dy: Float) -> Float:
        np.multiply(dy, self.out > 0, out=dy)
        flat = dy.reshape(-1, dy.shape[-1])
        np.matmul(self.rows.T, flat, out=self.dw.reshape(-1, dy.shape[-1]))
        np.sum(flat, axis=0, out=self.db)
        if self.first:
            return dy
        # The matrix of patches is not needed any more: it takes their gradients, which are added where they came from.
        np.matmul(flat, self.w.reshape(-1, dy.shape[-1]).T, out=self.rows)
        height, width = dy.shape[1:3]
        total = np.zeros_like(self.padded)
        for i in range(self.kernel):
            for j in range(self.kernel):
                total[:, i : i + height, j : j + width] += self.patches[:, :, :, i, j]
        return total[:, self.margin : total.shape[1] - self.margin, self.margin : total.shape[2] - self.margin]


class _Pooling:
    """The largest of each 2 x 2; a tie's gradient goes to the first."""

    def __init__(self, one: Placed, batch: int) -> None:
        self.out = np.empty((batch, *one.out), np.float32)
        self.dx = np.empty((batch, *one.shape), np.float32)
        self.free = np.empty(self.out.shape, bool)

    def forward(self, x: Float) -> Float:
        self.quarters = _quarters(x)
        first, second, third, fourth = self.quarters
        np.maximum(first, second, out=self.out)
        np.maximum(self.out, third, out=self.out)
        np.maximum(self.out, fourth, out=self.out)
        return self.out

    def backward(self, dy: Float) -> Float:
        self.free[...] = True
        for quarter, into in zip(self.quarters, _quarters(self.dx), strict=True):
            chosen = quarter == self.out
            chosen &= self.free
            self.free ^= chosen
            np.multiply(dy, chosen, out=into)
        return self.dx


def _quarters(x: Float) -> list[Float]:
    return [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]


class _Dense:
    def __init__(self, batch: int, arrays: list[Float], relu: bool) -> None:
        self.w, self.b, self.dw, self.db = arrays
        self.relu = relu
        self.out = np.empty((batch, len(self.b)), np.float32)

    def forward(self, x: Float) -> Float:
        self.shape = x.shape
        self.x = x.reshape(len(x), -1)
        np.matmul(self.x, self.w, out=self.out)
        np.add(self.out, self.b, out=self.out)
        if self.relu:
            np.maximum(self.out, 0, out=self.out)
        return self.out

    def backward(self, dy: Float) -> Float:
        if self.relu:
            np.multiply(dy, self.out > 0, out=dy)
        np.matmul(self.x.T, dy, out=self.dw)
        np.sum(dy, axis=0, out=self.db)
        dx: Float = np.matmul(dy, self.w.T)
        return dx.reshape(self.shape)


def loop(case: Case) -> Training:
    values, slopes, update = numpy_steps.flat(case.weights.values())
    arrays = [[*values[k : k + 2], *slopes[k : k + 2]] for k in range(0, len(values), 2)]
    layers: list[_Layer] = []
    for one in case.placed:
        if isinstance(one.layer, Conv):
            layers.append(_Convolution(one, one.layer, case.batch, arrays.pop(0), first=not layers))
        else:
            layers.append(_Pooling(one, case.batch))
    layers += [_Dense(case.batch, own, relu) for own, relu in zip(arrays, (True, False), strict=True)]
    delta = np.empty((case.batch, case.classes), np.float32)

    def step(k: int) -> Any:
        x, y = case.batches[k]
        for layer in layers:
            x = layer.forward(x)
        loss = numpy_steps.cross_entropy(x, y, delta)
        dy = delta
        for layer in reversed(layers):
            dy = layer.backward(dy)
        update()
        return loss

    return Steps("NumPy", len(case.batches), step)
