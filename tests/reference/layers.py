"""A walk over a tree of layers by plain formulas, forward and back, in the precision of its arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss

from . import activations, philox, recurrent
from .pools import pool as pooled

Array = NDArray[Any]


class Value:
    """What a layer gives, and the gradient by it: the sum over all places where it goes."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.d = np.zeros(array.shape)


class Pass:
    """One pass through a network: `value`; after `back`, `gradients` by parameters' names, `by_input` by inputs'.

    Parameters
    ----------
    layers : sequence of layers
        With all their sizes, as a network's `layers`.
    parameters, states : dict of arrays
        As `named_parameters` and `named_states` give them.
    inputs : dict of arrays
        By their names; "x" where the network has no `Input`.
    training : bool
        Whether dropout applies and statistics are the batch's.
    logits : bool
        Whether the activation of the last layer is left out.

    Attributes
    ----------
    states : dict of arrays
        As the pass left them.
    gap : float
        The least distance of a value from a kink of its activation. Values that are on one by construction, such as
        zeros, do not count.
    """

    def __init__(
        self,
        layers: Sequence[schuss.layers.Layer],
        parameters: Mapping[str, Array],
        states: Mapping[str, Array],
        inputs: Mapping[str, Array],
        *,
        training: bool = False,
        seed: int = 0,
        draw: int = 0,
        logits: bool = False,
        lengths: Array | None = None,
        state: Array | None = None,
    ) -> None:
        self.parameters = parameters
        self.states = {name: array.copy() for name, array in states.items()}
        self.inputs = inputs
        self.training, self.seed, self.draw = training, seed, draw
        self.lengths, self.carried, self._carried = lengths, state, 0
        self.carries: list[Array] = []
        self.gradients = {name: np.zeros_like(array) for name, array in parameters.items()}
        self.gap = np.inf
        self._layers_met = self.ends = 0
        self._tape: list[Callable[[], None]] = []
        self._inputs = {name: Value(array) for name, array in inputs.items()}
        self._without_end = f"layers.{len(layers) - 1}" if logits else None
        self._last = self.chain(layers, self._inputs.get("x"), "layers")
        self.value = self._last.array

    def back(self, d: Array) -> None:
        """From the gradient by the value to all others."""
        self._last.d = d
        for backward in reversed(self._tape):
            backward()
        self.by_input = {name: value.d for name, value in self._inputs.items() if value.array.dtype.kind == "f"}

    # -- the tree ----------------------------------------------------------------------------------------------------

    def chain(self, layers: Sequence[schuss.layers.Layer], value: Value | None, path: str) -> Value:
        """One layer after the other."""
        for k, layer in enumerate(layers):
            if isinstance(layer, schuss.Input):
                value = self._inputs[layer.name]
            elif isinstance(layer, schuss.Concatenate):
                value = self.concatenate(layer, value, f"{path}.{k}")
            else:
                assert value is not None
                self.ends = ends_behind(layers, k)
                value = self.layer(layer, value, f"{path}.{k}")
        assert value is not None
        return value

    def concatenate(self, layer: schuss.Concatenate, value: Value | None, path: str) -> Value:
        parts = [self.chain(branch, value, f"{path}.branches.{k}") for k, branch in enumerate(layer.branches)]
        made = Value(np.concatenate([part.array for part in parts], axis=-1))
        ends = np.cumsum([part.array.shape[-1] for part in parts])[:-1]

        def backward() -> None:
            for part, d in zip(parts, np.split(made.d, ends, axis=-1), strict=True):
                part.d = part.d + d

        self._tape.append(backward)
        return made

    def residual(self, layer: schuss.Residual, value: Value, path: str) -> Value:
        inner = self.chain(layer.layers, value, f"{path}.layers")
        made = Value(value.array + inner.array)

        def backward() -> None:
            inner.d = inner.d + made.d
            value.d = value.d + made.d

        self._tape.append(backward)
        return made

    def layer(self, layer: schuss.layers.Layer, value: Value, path: str) -> Value:
        if isinstance(layer, schuss.Residual):
            return self.residual(layer, value, path)
        stream, self._layers_met = self._layers_met, self._layers_met + 1
        arrays = {name.rpartition(".")[2]: a for name, a in self.parameters.items() if name.rpartition(".")[0] == path}
        x, dims = value.array, value.array.shape[1:-1]
        if dims and not layer._spatial:  # each position is a row of its own
            x = x.reshape(-1, x.shape[-1])
        y, slope = FORMULAS[layer.kind](self, layer, arrays, x, path)
        of_rows = y.shape
        y = y.reshape(-1, y.shape[-1])
        end = None
        if layer._has_end and layer.kind != "mean_of_members":
            y, end = self.end(layer, y, stream, path)
        made = Value(y.reshape(len(value.array), *dims, -1) if x is not value.array else y.reshape(of_rows))

        def backward() -> None:
            d = made.d.reshape(y.shape)
            dx, gradients = slope((d if end is None else end(d)).reshape(of_rows))
            for name, gradient in gradients.items():
                self.gradients[f"{path}.{name}"] = gradient
            if dx is not None:
                value.d = value.d + dx.reshape(value.array.shape)

        self._tape.append(backward)
        return made

    def end(self, layer: Any, z: Array, stream: int, path: str) -> tuple[Array, Callable[[Array], Array]]:
        """Activation, then dropout."""
        if path == self._without_end:
            return z, lambda d: d
        activation, alpha, dropout = layer.end
        for kink in activations.KINKS.get(activation, ()):
            self.gap = min(self.gap, float(np.min(np.abs(z - kink), where=z != kink, initial=np.inf)))
        y = activations.forward(activation, z, alpha)
        mask = np.ones_like(z)
        if self.training and dropout:
            mask = philox.dropout_mask(z.shape, dropout, self.seed, stream, self.draw)  # type: ignore[arg-type]
        return y * mask, lambda d: activations.backward(activation, z, d * mask, alpha)


def ends_behind(layers: Sequence[schuss.layers.Layer], k: int) -> int:
    """How many activations that stand alone are the end of layer k: its draws are then from the last one's stream."""
    count, end = 0, layers[k]
    while end._has_end and end.end[0] == "identity" and not end.end[2] and k + count + 1 < len(layers):  # type: ignore[attr-defined]
        end = layers[k + count + 1]
        if not isinstance(end, schuss.Activation):
            break
        count += 1
    return count


# ---- what each kind computes -----------------------------------------------------------------------------------------

Arrays = dict[str, Array]
Slope = Callable[[Array], tuple[Array | None, Arrays]]
"""From the gradient by the result to that by what came in, and those by the layer's arrays."""


def dense(walk: Pass, layer: schuss.Dense, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    scale = 1 / np.sqrt(layer.n_in) if layer.parametrization == "ntp" else 1.0
    y = x @ a["weight"] * scale
    if layer.bias:
        y = y + a["bias"]

    def slope(d: Array) -> tuple[Array, Arrays]:
        found = {"weight": x.T @ d * scale}
        return d @ a["weight"].T * scale, {**found, "bias": d.sum(axis=0)} if layer.bias else found

    return y, slope


def grouped_dense(walk: Pass, layer: schuss.GroupedDense, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    parts = x.reshape(len(x), layer.groups, -1)
    y = np.einsum("rgi,gio->rgo", parts, a["weight"])
    if layer.bias:
        y = y + a["bias"]

    def slope(d: Array) -> tuple[Array, Arrays]:
        d = d.reshape(y.shape)
        found = {"weight": np.einsum("rgi,rgo->gio", parts, d)}
        dx = np.einsum("rgo,gio->rgi", d, a["weight"]).reshape(x.shape)
        return dx, {**found, "bias": d.sum(axis=0)} if layer.bias else found

    return y.reshape(len(x), -1), slope


def periodic(walk: Pass, layer: schuss.Periodic, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    phase = 2 * np.pi * x[:, :, None] * a["weight"]
    if layer.form == "cos":
        phase = phase + a["bias"]
        y, slopes = np.cos(phase), -np.sin(phase)
    else:
        y = np.concatenate([np.cos(phase), np.sin(phase)], axis=2)
        slopes = np.concatenate([-np.sin(phase), np.cos(phase)], axis=2)

    def slope(d: Array) -> tuple[Array, Arrays]:
        by_phase = d.reshape(y.shape) * slopes
        if layer.form == "cos_sin":
            by_phase = by_phase[:, :, : layer.n_frequencies] + by_phase[:, :, layer.n_frequencies :]
        found = {"weight": 2 * np.pi * (by_phase * x[:, :, None]).sum(axis=0)}
        dx = 2 * np.pi * (by_phase * a["weight"]).sum(axis=2)
        return dx, {**found, "bias": by_phase.sum(axis=0)} if layer.form == "cos" else found

    return y.reshape(len(x), -1), slope


def piecewise_linear(walk: Pass, layer: schuss.PiecewiseLinear, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    edges, counts = walk.states[f"{path}.edges"], walk.states[f"{path}.bins"]
    encoded, slopes = [], []
    for c, count in enumerate(counts.astype(int)):
        left, right = edges[c, :count], edges[c, 1 : count + 1]
        at = (x[:, [c]] - left) / (right - left)
        walk.gap = min(walk.gap, float(np.min(np.abs(x[:, [c]] - edges[c, 1:count]), initial=np.inf)))
        low, high = np.zeros(count), np.ones(count)
        low[0], high[-1] = -np.inf, np.inf
        encoded.append(np.clip(at, low, high))
        slopes.append(np.where((at >= low) & (at <= high), 1 / (right - left), 0))
    ends = np.cumsum(counts.astype(int))[:-1]

    def slope(d: Array) -> tuple[Array, Arrays]:
        parts = np.split(d * np.concatenate(slopes, axis=1), ends, axis=1)
        return np.stack([part.sum(axis=1) for part in parts], axis=1), {}

    return np.concatenate(encoded, axis=1), slope


def clamp(walk: Pass, layer: schuss.Clamp, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    if walk.training:
        return x, lambda d: (d, {})
    return np.clip(x, walk.states[f"{path}.low"], walk.states[f"{path}.high"]), lambda d: (d, {})


def activation(walk: Pass, layer: schuss.Activation, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    return x, lambda d: (d, {})


def scale(walk: Pass, layer: schuss.Scale, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    return x * a["scale"], lambda d: (d * a["scale"], {"scale": (x * d).sum(axis=0)})


def layer_norm(walk: Pass, layer: schuss.LayerNorm, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    deviation = np.sqrt(x.var(axis=1, keepdims=True) + layer.eps)
    z = (x - x.mean(axis=1, keepdims=True)) / deviation

    def slope(d: Array) -> tuple[Array, Arrays]:
        g = d * a["weight"]
        dx = (g - g.mean(axis=1, keepdims=True) - z * (g * z).mean(axis=1, keepdims=True)) / deviation
        return dx, {"weight": (d * z).sum(axis=0), "bias": d.sum(axis=0)}

    return z * a["weight"] + a["bias"], slope


def batch_norm(walk: Pass, layer: schuss.BatchNorm, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    mean, variance = walk.states[f"{path}.running_mean"], walk.states[f"{path}.running_var"]
    if not walk.training:
        deviation = np.sqrt(variance + layer.eps)
        z = (x - mean) / deviation
        return z * a["weight"] + a["bias"], lambda d: (d * a["weight"] / deviation, {})
    deviation = np.sqrt(x.var(axis=0) + layer.eps)
    z = (x - x.mean(axis=0)) / deviation
    if len(x) > 1:
        mean += layer.momentum * (x.mean(axis=0) - mean)
        variance += layer.momentum * (x.var(axis=0, ddof=1) - variance)

    def slope(d: Array) -> tuple[Array, Arrays]:
        dx = (d - d.mean(axis=0) - z * (d * z).mean(axis=0)) * a["weight"] / deviation
        return dx, {"weight": (d * z).sum(axis=0), "bias": d.sum(axis=0)}

    return z * a["weight"] + a["bias"], slope


def embedding(walk: Pass, layer: schuss.Embedding, a: Arrays, codes: Array, path: str) -> tuple[Array, Slope]:
    def slope(d: Array) -> tuple[None, Arrays]:
        gradient = np.zeros_like(a["weight"])
        np.add.at(gradient, codes, d.reshape(*codes.shape, layer.dim))
        return None, {"weight": gradient}

    return a["weight"][codes].reshape(len(codes), -1), slope


class Entries(np.ndarray):  # type: ignore[type-arg]
    """Compressed rows as a matrix, and how many entries each has."""

    counts: Array


def entries_of(rows: Any, columns: int) -> Entries:
    start, found, values = rows.arrays()
    matrix = np.zeros((len(rows), columns)).view(Entries)
    np.add.at(matrix, (np.repeat(np.arange(len(rows)), np.diff(start)), found), values.astype(float))
    matrix.counts = np.diff(start)
    return matrix


def embedding_bag(walk: Pass, layer: schuss.EmbeddingBag, a: Arrays, x: Entries, path: str) -> tuple[Array, Slope]:
    shares = np.maximum(x.counts, 1)[:, None] if layer.mode == "mean" else np.ones((len(x), 1))
    matrix = np.asarray(x) / shares

    def slope(d: Array) -> tuple[Array, Arrays]:
        return d @ a["weight"].T / shares, {"weight": matrix.T @ d}

    return matrix @ a["weight"], slope


def parametric(walk: Pass, layer: schuss.ParametricActivation, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    share, alpha = a["share"], layer.alpha or 0.0
    change = activations.forward(layer.name, x, alpha) - x

    def slope(d: Array) -> tuple[Array, Arrays]:
        dx = (1 - share) * d + activations.backward(layer.name, x, share * d, alpha)
        return dx, {"share": (change * d).sum(axis=0)}

    return x + share * change, slope


def prelu(walk: Pass, layer: schuss.PReLU, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    walk.gap = min(walk.gap, float(np.min(np.abs(x), where=x != 0, initial=np.inf)))

    def slope(d: Array) -> tuple[Array, Arrays]:
        return np.where(x > 0, d, a["slope"] * d), {"slope": (np.minimum(x, 0) * d).sum(axis=0)}

    return np.where(x > 0, x, a["slope"] * x), slope


def ensemble_dense(walk: Pass, layer: schuss.EnsembleDense, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    k, rows = layer.members, len(x)
    r, s, w = a["r"], a["s"], a["weight"]
    members = np.repeat(x[:, None], k, axis=1) if layer.shares_input else x.reshape(rows, k, -1)
    u = (members * r) @ w
    y = u * s
    if layer.bias:
        y = y + a["bias"]

    def slope(d: Array) -> tuple[Array, Arrays]:
        g = d.reshape(rows, k, -1)
        by_u = (g * s) @ w.T
        dx = by_u * r
        found = {
            "weight": np.einsum("bki,bkj->ij", members * r, g * s),
            "r": (by_u * members).sum(axis=0),
            "s": (g * u).sum(axis=0),
        }
        if layer.bias:
            found["bias"] = g.sum(axis=0)
        return dx.sum(axis=1) if layer.shares_input else dx.reshape(rows, -1), found

    return y.reshape(rows, -1), slope


def mean_of_members(walk: Pass, layer: schuss.MeanOfMembers, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    z = x.reshape(len(x) * layer.members, -1)
    plain = path == walk._without_end
    y = z if plain else activations.forward(layer.activation, z, 0.0)

    def slope(d: Array) -> tuple[Array, Arrays]:
        g = d.reshape(z.shape)
        return (g if plain else activations.backward(layer.activation, z, g, 0.0)).reshape(x.shape), {}

    if walk.training:
        return y.reshape(x.shape), slope
    return y.reshape(len(x), layer.members, -1).mean(axis=1), slope


def recurrent_layer(walk: Pass, layer: Any, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    cell = recurrent.Cell(layer.kind, getattr(layer, "reset", getattr(layer, "activation", "")), a)
    size = cell.n * (2 if layer.kind == "lstm" else 1)
    state = np.zeros((len(x), size))
    if walk.carried is not None:
        state = walk.carried[:, walk._carried : walk._carried + size]
    walk._carried += size
    lengths = np.full(len(x), x.shape[1]) if walk.lengths is None else walk.lengths
    mask = np.ones((len(x), cell.n))
    if walk.training and layer.recurrent_dropout:
        stream = walk._layers_met - 1 + walk.ends
        mask = recurrent.state_mask(mask.shape, layer.recurrent_dropout, walk.seed, stream, walk.draw)
    run = recurrent.forward(cell, x, lengths, state, mask, layer.reverse)
    walk.carries.append(run.state)
    if layer.kind == "rnn" and layer.activation == "relu":
        walk.gap = min(walk.gap, *(float(np.min(np.abs(kept[3]), initial=np.inf)) for kept in run.tape))
    y = run.outputs if layer.return_sequences else run.state[:, : cell.n]
    return y, lambda d: recurrent.backward(cell, run, d, mask, layer.reverse, x.shape)


def convolution(walk: Pass, layer: Any, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    """Each element of the kernel is a product of its own, of what it sees with its matrix."""
    s = layer.sizes()
    kernel = (s["kernel_height"], s["kernel_width"])
    stride, dilation = (s["stride_height"], s["stride_width"]), (s["dilation_height"], s["dilation_width"])
    padded = np.pad(
        x.reshape(len(x), s["height"], s["width"], s["n_in"]),
        ((0, 0), (s["top"], s["bottom"]), (s["left"], s["right"]), (0, 0)),
    )
    out = [
        (size - (k - 1) * gap - 1) // step + 1
        for size, k, step, gap in zip(padded.shape[1:3], kernel, stride, dilation, strict=True)
    ]
    weight = a["weight"].reshape(*kernel, s["n_in"], s["n_out"])

    def seen(array: Array, ky: int, kx: int) -> Array:
        """The part of an array, which may be written, that element (ky, kx) sees from all positions."""
        top, left = ky * dilation[0], kx * dilation[1]
        return array[:, top : top + out[0] * stride[0] : stride[0], left : left + out[1] * stride[1] : stride[1]]

    y = np.zeros((len(x), *out, s["n_out"]))
    for ky, kx in np.ndindex(*kernel):
        y = y + seen(padded, ky, kx) @ weight[ky, kx]
    if layer.bias:
        y = y + a["bias"]

    def slope(d: Array) -> tuple[Array, Arrays]:
        d = d.reshape(y.shape)
        by_padded, by_weight = np.zeros_like(padded), np.zeros_like(weight)
        for ky, kx in np.ndindex(*kernel):
            by_weight[ky, kx] = np.einsum("rhwi,rhwo->io", seen(padded, ky, kx), d)
            part = seen(by_padded, ky, kx)
            part += d @ weight[ky, kx].T
        down, right = padded.shape[1] - s["bottom"], padded.shape[2] - s["right"]
        dx = by_padded[:, s["top"] : down, s["left"] : right].reshape(x.shape)
        found = {"weight": by_weight.reshape(a["weight"].shape)}
        return dx, {**found, "bias": d.sum(axis=(0, 1, 2))} if layer.bias else found

    return y.reshape(len(x), *layer.shape.of_row), slope


def pool(walk: Pass, layer: Any, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    image = x if x.ndim == 4 else x[:, None]
    sizes = layer.sizes()
    kernel, stride = ((sizes[f"{what}_height"], sizes[f"{what}_width"]) for what in ("kernel", "stride"))
    padding = [(sizes["top"], sizes["bottom"]), (sizes["left"], sizes["right"])]
    numbers = layer.numbers()
    how = "max" if not numbers["average"] else "padded mean" if numbers["count_include_pad"] else "mean"
    y, slope, gap = pooled(image, kernel, stride, padding, how)
    walk.gap = min(walk.gap, gap)
    shape = (len(x), *layer.shape.dims, x.shape[-1])
    return y.reshape(shape), lambda d: (slope(d.reshape(y.shape)).reshape(x.shape), {})


def flatten(walk: Pass, layer: schuss.Flatten, a: Arrays, x: Array, path: str) -> tuple[Array, Slope]:
    return x.reshape(len(x), -1), lambda d: (d.reshape(x.shape), {})


FORMULAS: dict[str, Callable[..., tuple[Array, Slope]]] = {
    "dense": dense,
    "grouped_dense": grouped_dense,
    "periodic": periodic,
    "piecewise_linear": piecewise_linear,
    "clamp": clamp,
    "activation": activation,
    "scale": scale,
    "layer_norm": layer_norm,
    "batch_norm": batch_norm,
    "embedding": embedding,
    "embedding_bag": embedding_bag,
    "parametric": parametric,
    "prelu": prelu,
    "ensemble_dense": ensemble_dense,
    "mean_of_members": mean_of_members,
    "rnn": recurrent_layer,
    "gru": recurrent_layer,
    "lstm": recurrent_layer,
    "conv1d": convolution,
    "conv2d": convolution,
    "max_pool": pool,
    "avg_pool": pool,
    "global_max_pool": pool,
    "global_avg_pool": pool,
    "flatten": flatten,
}


# ---- of a network ----------------------------------------------------------------------------------------------------


def inputs_of(net: schuss.Network, x: Any) -> dict[str, Array]:
    """What comes in by name, numbers in double."""
    if not isinstance(x, Mapping):
        x = {net.inputs[0].name: x} if len(net.inputs) == 1 else dict(zip((i.name for i in net.inputs), x, strict=True))
    return {
        i.name: entries_of(x[i.name], i.n)
        if i.sparse
        else np.asarray(x[i.name])
        if i.codes
        else np.asarray(x[i.name], dtype=float)
        for i in net.inputs
    }


def run(net: schuss.Network, x: Any, *, training: bool = False, logits: bool = False, **more: Any) -> Pass:
    """The pass in double that the network would make next: its parameters, states, and its next dropout."""
    wide = [
        {name: a.astype(float) for name, a in named.items()} for named in (net.named_parameters(), net.named_states())
    ]
    draw = net._core.draws
    return Pass(
        net.layers, *wide, inputs_of(net, x), training=training, seed=net.seed, draw=draw, logits=logits, **more
    )
