"""Networks that Hypothesis draws: trees of layers of all kinds, with data for their inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

import schuss
from tests.layers.cases import bags

Array = NDArray[Any]
Layer = schuss.layers.Layer

INPUTS = {
    "x": schuss.Input("x", 4),
    "wide": schuss.Input("wide", 19),
    "one": schuss.Input("one", 1),
    "codes": schuss.Input("codes", 3, dtype="int64"),
    "code": schuss.Input("code", 1, dtype="int64"),
    "bags": schuss.Input("bags", 9, dtype="sparse"),
}
SHORTEST = 6
"""Rows of the shortest table: codes are below."""
ACTIVATIONS = ("identity", "relu", "tanh", "gelu", "leaky_relu", "silu")
DEPTH = 6

widths = st.one_of(st.integers(1, 9), st.sampled_from([16, 17, 33, 40]))
dropouts = st.sampled_from([0.0, 0.0, 0.25])
# Columns without variance are divided by the root of eps: a small one makes all errors behind it larger.
epsilons = st.sampled_from([0.1, 0.1, 1e-3])


@dataclass(frozen=True)
class Tree:
    """Layers, rows of data and a seed for all numbers."""

    layers: list[Layer]
    rows: int
    seed: int

    def network(self, dtype: str = "float64") -> schuss.Network:
        """With parameters and statistics that keep the size of what passes."""
        net = schuss.Network(self.layers, seed=self.seed, dtype=dtype)
        rng = np.random.default_rng(self.seed)
        for name, p in net.named_parameters().items():
            if p.ndim >= 2:
                p[...] = rng.normal(size=p.shape) / (1 if "embedding" in name else np.sqrt(p.shape[-2]))
            else:
                p[...] = (
                    rng.uniform(0.5, 1.5, p.shape) if name.endswith(("weight", "scale")) else rng.normal(size=p.shape)
                )
        for name, state in net.named_states().items():
            if not name.endswith(("mean", "var")):
                continue
            state[...] = rng.uniform(0.5, 2, state.shape) if name.endswith("var") else rng.normal(size=state.shape)
        return net

    def data(self, net: schuss.Network, rows: int | None = None) -> Any:
        """What goes into the network: an array, or a dict of them."""
        rng = np.random.default_rng([self.seed, 1])
        rows = self.rows if rows is None else rows
        arrays = {
            put.name: bags(rng, rows, put.n)
            if put.sparse
            else rng.integers(0, SHORTEST, (rows, put.n))
            if put.codes
            else rng.normal(size=(rows, put.n)).astype(net.dtype)
            for put in net.inputs
        }
        return arrays if len(arrays) > 1 else next(iter(arrays.values()))


@st.composite
def leaves(draw: st.DrawFn, columns: int) -> tuple[Layer, int]:
    """A layer without layers in it, and how many columns it gives."""
    kind = draw(
        st.sampled_from(
            [
                "dense",
                "dense",
                "activation",
                "scale",
                "layer_norm",
                "batch_norm",
                "grouped",
                "periodic",
                "clamp",
                "bins",
                "ensemble",
            ]
        )
    )
    if kind == "dense":
        n = draw(widths)
        end = {"bias": draw(st.booleans()), "dropout": draw(dropouts)}
        parametrization = draw(st.sampled_from(["standard", "standard", "ntp"]))
        return schuss.Dense(n, draw(st.sampled_from(ACTIVATIONS)), parametrization=parametrization, **end), n
    if kind == "periodic":
        frequencies, form = draw(st.integers(1, 3)), draw(st.sampled_from(["cos", "cos_sin"]))
        waves = schuss.Periodic(frequencies, 0.3, form=form)
        return waves, columns * frequencies * (1 if form == "cos" else 2)
    if kind == "clamp":
        return schuss.Clamp(-0.5, draw(st.sampled_from([-0.5, 0.25, 2.0]))), columns
    if kind == "bins":
        counts = [draw(st.integers(1, 3)) for _ in range(columns)]
        bins = [np.linspace(-0.9, 0.8 + 0.01 * k, 1 + n) for k, n in enumerate(counts)]
        return schuss.PiecewiseLinear(bins), sum(counts)
    if kind == "grouped":
        groups = draw(st.sampled_from([g for g in range(1, columns + 1) if columns % g == 0]))
        n = draw(st.integers(1, 5))
        activation, bias, dropout = draw(st.sampled_from(ACTIVATIONS)), draw(st.booleans()), draw(dropouts)
        return schuss.GroupedDense(groups, None, n, activation, bias=bias, dropout=dropout), groups * n
    if kind == "ensemble":
        members = draw(st.sampled_from([1, 2, 3, 8]))
        n = draw(st.sampled_from([1, 3, 17]))
        shares = columns % members != 0 or draw(st.booleans())
        layer = schuss.EnsembleDense(
            n,
            draw(st.sampled_from(ACTIVATIONS)),
            members=members,
            shares_input=shares,
            start=draw(st.sampled_from(["ones", "signs", "normal"])),
            bias=draw(st.booleans()),
            dropout=draw(dropouts),
        )
        return layer, members * n
    if kind == "activation":
        return schuss.Activation(draw(st.sampled_from(ACTIVATIONS)), dropout=draw(dropouts)), columns
    if kind == "scale":
        return schuss.Scale(), columns
    if kind == "layer_norm":
        return schuss.LayerNorm(eps=draw(epsilons)), columns
    return schuss.BatchNorm(eps=draw(epsilons), momentum=draw(st.sampled_from([0.1, 0.0, 0.7, 1.0]))), columns


@st.composite
def starts(draw: st.DrawFn) -> tuple[list[Layer], int]:
    """An input, and what makes numbers of it where it has none."""
    put = INPUTS[draw(st.sampled_from(list(INPUTS)))]
    if put.sparse:
        dim = draw(widths)
        kind = draw(st.sampled_from(["sum", "mean", *ACTIVATIONS]))
        layer: Layer = schuss.EmbeddingBag(put.n, dim, kind) if kind in ("sum", "mean") else schuss.Dense(dim, kind)
        return [put, layer], dim
    if not put.codes:
        return [put], put.n
    dim = draw(st.sampled_from([1, 2, 5, 17]))
    return [put, schuss.Embedding(SHORTEST + draw(st.integers(0, 3)), dim)], put.n * dim


@st.composite
def chains(draw: st.DrawFn, columns: int, depth: int, least: int = 0) -> tuple[list[Layer], int]:
    """Layers one after the other; joins in them are up to so many deep."""
    layers: list[Layer] = []
    for _ in range(draw(st.integers(least, 3))):
        kind = draw(st.sampled_from(["leaf", "leaf", "residual", "concatenate"] if depth else ["leaf"]))
        if kind == "leaf":
            layer, columns = draw(leaves(columns))
        elif kind == "residual":
            inner, n = draw(chains(columns, depth - 1, 1))
            if n != columns:
                inner.append(schuss.Dense(columns, draw(st.sampled_from(ACTIVATIONS)), dropout=draw(dropouts)))
            layer = schuss.Residual(inner)
        else:
            branches, columns = draw(branched(columns, depth - 1))
            layer = schuss.Concatenate(branches)
        layers.append(layer)
    return layers, columns


@st.composite
def branched(draw: st.DrawFn, columns: int | None, depth: int) -> tuple[list[list[Layer]], int]:
    """Branches. All but the first may begin with inputs of their own; all must where nothing comes in."""
    branches, total = [], 0
    for k in range(draw(st.integers(1, 3))):
        first: list[Layer] = []
        n = columns
        if n is None or (k and draw(st.booleans())):
            first, n = draw(starts())
        rest, n = draw(chains(n, depth))
        branches.append(first + rest)
        total += n
    return branches, total


@st.composite
def trees(draw: st.DrawFn, softmax: bool = True) -> Tree:
    """Networks that begin with an input, with branches, or with a layer that tells its size."""
    begins = draw(st.sampled_from(["input", "branches", "size"]))
    if begins == "input":
        layers, columns = draw(starts())
    elif begins == "branches":
        branches, columns = draw(branched(None, DEPTH - 1))
        layers = [schuss.Concatenate(branches)]
    else:
        columns = draw(widths)
        layers = [schuss.Dense(INPUTS["x"].n, columns, draw(st.sampled_from(ACTIVATIONS)))]
    rest, columns = draw(chains(columns, DEPTH))
    layers += rest
    ends = draw(st.sampled_from(["as it is", "dense", *(["softmax"] if softmax else [])]))
    if ends != "as it is" or (len(layers) == 1 and isinstance(layers[0], schuss.Input)):
        layers.append(schuss.Dense(draw(st.integers(1, 5)), "softmax" if ends == "softmax" else "identity"))
    rows = draw(st.one_of(st.integers(1, 9), st.sampled_from([33, 70])))
    return Tree(layers, rows, draw(st.integers(0, 2**32 - 1)))
