"""Keras's convolutions, channels last."""

from __future__ import annotations

from typing import Any

from .. import keras_steps
from ..steps import Training
from .cases import Case, Conv


def layers(case: Case, keras: Any) -> list[Any]:
    """Not built yet."""
    own = keras.layers
    found: list[Any] = []
    for one in case.layers:
        if isinstance(one, Conv):
            padding = "same" if one.same else "valid"
            found.append(own.Conv2D(one.filters, one.kernel, padding=padding, activation="relu"))
        else:
            found.append(own.MaxPooling2D(2))
    return [*found, own.Flatten(), own.Dense(case.hidden, "relu"), own.Dense(case.classes)]


def fit(case: Case) -> Training | None:
    keras = keras_steps.keras()
    return keras and keras_steps.Fit(case, keras, layers(case, keras), list(case.weights.values()))
