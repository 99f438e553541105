"""Forward and backward pass of a stack of dense layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from . import activations, losses

Array = NDArray[Any]
Layer = tuple[int, int, str, float, bool, float]
"""n_in, n_out, activation, alpha, bias, dropout."""


def nodes_of(layers: list[Layer]) -> list[tuple[Any, ...]]:
    """A chain of dense layers as schuss._core.Net takes it."""
    nodes: list[tuple[Any, ...]] = [
        ("input", (), {"n": layers[0][0] if layers else 1, "positions": 1}, {"codes": 0.0}, "identity", 0.0, 0.0, -1, 0)
    ]
    for k, (n_in, n_out, activation, alpha, bias, dropout) in enumerate(layers):
        sizes = {"n_in": n_in, "n_out": n_out}
        nodes.append(("dense", (k,), sizes, {"bias": float(bias), "scale": 1.0}, activation, alpha, dropout, -1, k))
    return nodes


def split(layers: Sequence[Layer], parameters: Sequence[Array]) -> list[tuple[Array, Array | None]]:
    """(weight, bias or None) of each layer, from the flat list W1, b1, W2, ..."""
    pairs: list[tuple[Array, Array | None]] = []
    i = 0
    for layer in layers:
        pairs.append((parameters[i], parameters[i + 1] if layer[4] else None))
        i += 2 if layer[4] else 1
    return pairs


def forward(
    layers: Sequence[Layer],
    parameters: Sequence[Array],
    x: Array,
    *,
    masks: Sequence[Array | None] | None = None,
    logits: bool = False,
) -> tuple[list[Array], list[Array]]:
    """Values before each activation, and the input of each layer followed by the output of the last.

    masks: what each layer's output is multiplied by (dropout). logits: the last activation is left out.
    """
    before: list[Array] = []
    inputs = [x]
    for i, (layer, (w, b)) in enumerate(zip(layers, split(layers, parameters), strict=True)):
        z = inputs[-1] @ w
        if b is not None:
            z = z + b
        before.append(z)
        y = z if logits and i == len(layers) - 1 else activations.forward(layer[2], z, layer[3])
        mask = masks[i] if masks is not None else None
        inputs.append(y if mask is None else y * mask)
    return before, inputs


def backward(
    layers: Sequence[Layer],
    parameters: Sequence[Array],
    before: Sequence[Array],
    inputs: Sequence[Array],
    dout: Array,
    *,
    masks: Sequence[Array | None] | None = None,
    logits: bool = False,
) -> tuple[list[Array], Array]:
    """Gradients in the order of the parameters, and the gradient of the input."""
    pairs = split(layers, parameters)
    gradients: list[Array] = []
    d = dout
    for i in reversed(range(len(layers))):
        mask = masks[i] if masks is not None else None
        if mask is not None:
            d = d * mask
        if not (logits and i == len(layers) - 1):
            d = activations.backward(layers[i][2], before[i], d, layers[i][3])
        if pairs[i][1] is not None:
            gradients.append(d.sum(axis=0))
        gradients.append(inputs[i].T @ d)
        d = d @ pairs[i][0].T
    return gradients[::-1], d


def loss_and_gradients(
    layers: Sequence[Layer],
    parameters: Sequence[Array],
    x: Array,
    y: Array,
    loss: tuple[str, float],
    weights: Array | None = None,
    *,
    masks: Sequence[Array | None] | None = None,
) -> tuple[float, list[Array]]:
    """The weighted mean loss of a batch and the gradients of all parameters."""
    logits = losses.FUSED.get(loss[0]) == layers[-1][2]
    before, inputs = forward(layers, parameters, x, masks=masks, logits=logits)
    value, dout = losses.value_and_gradient(*loss, inputs[-1], y, weights)
    return value, backward(layers, parameters, before, inputs, dout, masks=masks, logits=logits)[0]
