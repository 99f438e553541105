"""Training a model of Keras's on jax: whole epochs by its `fit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cases import BETAS, EPS, LEARNING_RATE, Float, Problem
from .peers import module

NAME = "Keras fit"
# Keras adds it to the root before that is corrected for its start: over the first steps this is as small there as EPS.
KERAS_EPS = EPS / 100


def keras() -> Any:
    """Keras, if it is installed and computes with jax. `machine.keep_to` chooses that before anything is imported."""
    found = module("keras")
    if found is not None and found.backend.backend() != "jax":
        raise RuntimeError(f"Keras's backend must be jax; it is {found.backend.backend()}")
    return found


class Fit:
    """A sequential model and its start weights, trained by `fit` as it is: jitted steps, rows in order.

    Parameters
    ----------
    case : Problem
    library : module
        Keras.
    layers : sequence
        Its layers.
    weights : sequence of arrays
        Start values of all layers, in the order of ``model.get_weights()``.
    """

    name = NAME

    def __init__(self, case: Problem, library: Any, layers: Sequence[Any], weights: Sequence[Float]) -> None:
        self.unit = case.epoch_steps
        self._batch = case.batch
        self._model = library.Sequential([library.Input(case.row_shape), *layers])
        self._model.set_weights(weights)
        self._model.compile(
            optimizer=library.optimizers.Adam(LEARNING_RATE, *BETAS, epsilon=KERAS_EPS),
            loss=library.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        self._batches = case.batches
        rows = self.unit * self._batch
        x, y = case.data
        self._x, self._y = x[:rows], y[:rows]

    def losses(self, steps: int) -> NDArray[np.float64]:
        found = []
        for x, y in self._batches[:steps]:
            # What is returned is a mean over all steps since the metrics were reset.
            self._model.reset_metrics()
            found.append(self._model.train_on_batch(x, y))
        return np.array(found, np.float64)

    def run(self, calls: int) -> None:
        self._model.fit(self._x, self._y, batch_size=self._batch, epochs=calls, shuffle=False, verbose=0)
