"""What training by hand in NumPy needs whatever the network: flat parameters, the loss."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from . import numpy_rules
from .cases import Float


def flat(arrays: Iterable[Float]) -> tuple[list[Float], list[Float], numpy_rules.Step]:
    """Copies of start values and arrays for their gradients, all views of two vectors, and Adam's step over these."""
    given = list(arrays)
    size = sum(array.size for array in given)
    parameters, gradients = np.zeros(size, np.float32), np.zeros(size, np.float32)
    values: list[Float] = []
    slopes: list[Float] = []
    start = 0
    for array in given:
        end = start + array.size
        for whole, views in ((parameters, values), (gradients, slopes)):
            views.append(whole[start:end].reshape(array.shape))
        values[-1][...] = array
        start = end
    return values, slopes, numpy_rules.step_of("Adam", parameters, gradients)


def cross_entropy(logits: Float, labels: NDArray[np.int64], delta: Float) -> np.floating:
    """Mean loss; its gradient goes to delta. The logits are overwritten."""
    rows = np.arange(len(logits))
    np.subtract(logits, logits.max(axis=1, keepdims=True), out=logits)
    picked = logits[rows, labels]
    np.exp(logits, out=delta)
    total = delta.sum(axis=1, keepdims=True)
    np.divide(delta, total, out=delta)
    delta[rows, labels] -= 1
    np.divide(delta, np.float32(len(logits)), out=delta)
    loss: np.floating = (np.log(total[:, 0]) - picked).mean()
    return loss
