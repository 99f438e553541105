"""Keras's recurrent layers."""

from __future__ import annotations

import numpy as np

from .. import keras_steps
from ..cases import Float
from ..steps import Training
from .cases import Case


def fit(case: Case) -> Training | None:
    keras = keras_steps.keras()
    if keras is None:
        return None
    kind = keras.layers.SimpleRNN if case.kind == "RNN" else getattr(keras.layers, case.kind)
    layers = [kind(case.units), keras.layers.Dense(case.classes)]
    own = case.weights
    biases = own["bias"]
    if case.kind == "GRU":
        biases = np.stack([own["bias"], own["recurrent_bias"]])
    first = [_ordered(case, array) for array in (own["weight"], own["recurrent"], biases)]
    return keras_steps.Fit(case, keras, layers, [*first, own["dense"], own["dense_bias"]])


def _ordered(case: Case, array: Float) -> Float:
    """Keras's GRU has the update gate before the reset gate."""
    if case.kind != "GRU":
        return array
    reset, update, new = np.split(array, 3, axis=-1)
    return np.concatenate([update, reset, new], axis=-1)
