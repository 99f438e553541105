"""schuss training a case, in its two ways."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss

from .cases import BETAS, EPS, LEARNING_RATE, Case, Float, Problem
from .steps import Steps


def started(layers: Iterable[Any], weights: Iterable[Float]) -> schuss.Network:
    """A network with start weights, in the order of its parameters."""
    net = schuss.Network(list(layers), seed=0)
    for mine, array in zip(net.parameters, weights, strict=True):
        mine[...] = array.reshape(mine.shape)
    return net


def network(case: Case, output: str = "identity") -> schuss.Network:
    """With the case's start weights."""
    activations = ["relu"] * (len(case.sizes) - 2) + [output]
    layers = [schuss.Dense(*pair) for pair in zip(case.sizes[:-1], case.sizes[1:], activations, strict=True)]
    return started(layers, (array for layer in case.weights for array in layer))


def _adam(net: schuss.Network) -> schuss.Adam:
    return schuss.Adam(net.parameters, lr=LEARNING_RATE, betas=BETAS, eps=EPS)


class Fit:
    """Whole epochs in one call of `fit`, with its checks, shuffling and records."""

    name = "ours: fit"

    def __init__(self, case: Problem, net: schuss.Network) -> None:
        self.unit = case.epoch_steps
        self._batch = case.batch
        self._net = net
        self._adam = _adam(self._net)
        self._x, self._y = case.data

    def losses(self, steps: int) -> NDArray[np.float64]:
        return self._fit(steps, epochs=1, shuffle=False)

    def run(self, calls: int) -> None:
        self._fit(self.unit, epochs=calls, shuffle=True)

    def _fit(self, steps: int, *, epochs: int, shuffle: bool) -> NDArray[np.float64]:
        rows = steps * self._batch
        history = self._net.fit(
            self._x[:rows],
            self._y[:rows],
            loss="cross_entropy",
            optimizer=self._adam,
            epochs=epochs,
            batch_size=self._batch,
            shuffle=shuffle,
        )
        return np.asarray(history["loss"])


def step_by_step(case: Problem, net: schuss.Network) -> Steps:
    """A batch a call, from Python."""
    adam = _adam(net)
    batches = case.batches

    def step(k: int) -> float:
        x, y = batches[k]
        return net.train_step(x, y, loss="cross_entropy", optimizer=adam)

    return Steps("ours: train_step", len(batches), step)


def fit(case: Case) -> Fit:
    return Fit(case, network(case))


def train_step(case: Case) -> Steps:
    return step_by_step(case, network(case))
