"""Small networks around each kind of layer, with data: every kind must have one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss
from schuss import (
    GRU,
    LSTM,
    RNN,
    Activation,
    AvgPool,
    BatchNorm,
    Bidirectional,
    Clamp,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    EmbeddingBag,
    EnsembleDense,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupedDense,
    Input,
    LayerNorm,
    MaxPool,
    MeanOfMembers,
    ParametricActivation,
    Periodic,
    PiecewiseLinear,
    PReLU,
    Residual,
    Scale,
)

Array = NDArray[Any]
Layers = list[schuss.layers.Layer]


def _bins(n: int) -> list[Array]:
    """Bins of n columns, of one to five a column."""
    return [np.linspace(-1 - 0.01 * c, 1.3, 2 + c % 5) for c in range(n)]


def _image(height: int, width: int, n: int) -> schuss.Input:
    return Input("x", (height, width, n))


# n is the width; smooth activations, as finite differences need.
CASES: dict[str, dict[str, Callable[[int], Layers]]] = {
    "activation": {
        "behind a join": lambda n: [Residual(Dense(n, n)), Activation("tanh", dropout=0.3), Dense(3)],
        "first and last": lambda n: [Concatenate([Input("x", n)]), Activation("gelu"), Scale(), Activation("sigmoid")],
    },
    "avg_pool": {
        "of an image": lambda n: [
            _image(5, 4, n),
            AvgPool(2),
            Activation("tanh"),
            AvgPool(2, 1, "same"),
            Flatten(),
            Dense(2),
        ],
        "of times": lambda n: [AvgPool(3, 2, 1, count_include_pad=True, input_shape=(9, n)), Flatten(), Dense(2)],
        "with gaps": lambda n: [AvgPool(2, 3, ((0, 1), (1, 0)), input_shape=(6, 7, n)), Flatten(), Dense(3, "tanh")],
    },
    "batch_norm": {
        "first": lambda n: [BatchNorm(n), Dense(3, "tanh")],
        "inside": lambda n: [Dense(n, n + 2), BatchNorm(eps=1e-3), Activation("silu"), Dense(3)],
        "last": lambda n: [Dense(n, n, "tanh"), BatchNorm(momentum=0.5)],
    },
    "clamp": {
        "last": lambda n: [Dense(n, n, "tanh"), Clamp(-0.2, 0.3)],
        "first": lambda n: [Clamp(np.linspace(-1, 0, n), 0.5), Dense(n, "gelu"), Dense(2)],
        "inside": lambda n: [Dense(n, 3), Clamp([-0.1, 0, 0.2], [0, 0.5, 0.2]), Activation("silu"), Dense(2)],
    },
    "concatenate": {
        "branches": lambda n: [Dense(n, n), Concatenate([[], Dense(3, "tanh"), [Scale(), LayerNorm()]]), Dense(2)],
        "of inputs": lambda n: [Concatenate([Input("x", n), Input("z", 2), [Input("x", n), Dense(2, "silu")]])],
        "nested": lambda n: [
            Dense(n, 3),
            Concatenate([[Concatenate([[], Dense(n)]), Scale()], [Concatenate([[Concatenate([[], []])]])]]),
        ],
    },
    "conv1d": {
        "causal": lambda n: [
            Conv1D(3, 2, "tanh", padding="causal", dilation=3, dropout=0.2, input_shape=(9, n)),
            Conv1D(n, 4, "gelu", stride=3, padding=((2, 5),), bias=False),
            Flatten(),
            Dense(2),
        ],
        "first of a residual": lambda n: [
            Residual([Conv1D(n, 3, "silu", padding="same", input_shape=(5, n)), Conv1D(n, 1)]),
            Conv1D(2, 5),
            Flatten(),
        ],
    },
    "conv2d": {
        "strides": lambda n: [
            Conv2D(4, (3, 2), "tanh", stride=(2, 1), padding="same", dropout=0.2, input_shape=(5, 4, n)),
            Conv2D(n, 3, "gelu", padding=((2, 0), (1, 1)), dilation=(1, 2)),
            Flatten(),
            Dense(3),
        ],
        "of parts": lambda n: [
            _image(3, 4, n),
            Conv2D(n, 1, "silu"),
            Concatenate([[], Conv2D(2, 2, "tanh", padding=((0, 1), (1, 0)), bias=False)]),
            Conv2D(n + 2, 3, stride=(1, 2), padding="same"),
            Residual([Conv2D(n + 2, 3, "gelu", padding=1)]),
            Flatten(),
            Dense(2),
        ],
        "last": lambda n: [_image(4, 4, n), Activation("tanh"), Conv2D(3, 2, "softplus", stride=3), Flatten()],
    },
    "dense": {
        "two": lambda n: [Dense(n, 4, "tanh", dropout=0.2), Dense(n, "gelu", bias=False)],
        "softmax": lambda n: [Dense(n, 4, "silu"), Dense(3, "softmax")],
        "ntp": lambda n: [
            Dense(n, 4, "mish", parametrization="ntp", dropout=0.2),
            Dense(n, "tanh", parametrization="ntp", bias=False),
            Dense(3, parametrization="ntp"),
        ],
        "ntp adds": lambda n: [
            Dense(n, n, "tanh", parametrization="ntp"),
            Concatenate([[], Dense(2, "gelu", parametrization="ntp")]),
            Residual([Dense(n + 3, "silu", parametrization="ntp"), Dense(n + 2, parametrization="ntp")]),
            Concatenate([Dense(2, parametrization="ntp"), Dense(1)]),
        ],
    },
    "embedding": {
        "alone": lambda n: [Input("codes", 3, dtype="int64"), Embedding(5, n)],
        "one table twice": lambda n: [
            Concatenate(
                [
                    [Input("codes", 2, dtype="int64"), Embedding(5, n), Activation("tanh", dropout=0.3)],
                    [Input("codes", 2, dtype="int64"), Embedding(6, 1), Dense(2, "gelu")],
                ]
            ),
            Dense(2),
        ],
    },
    "embedding_bag": {
        "sum": lambda n: [EmbeddingBag(7, n), Activation("tanh", dropout=0.3), Dense(2)],
        "mean": lambda n: [Input("words", 6, dtype="sparse"), EmbeddingBag(6, n, "mean")],
        "beside others": lambda n: [
            Concatenate(
                [
                    [Input("x", n), Dense(3, "tanh")],
                    [Input("words", 9, dtype="sparse"), EmbeddingBag(9, n, "mean"), LayerNorm(eps=0.1)],
                    [Input("words", 9, dtype="sparse"), Dense(n + 1, "silu", dropout=0.2)],
                    [Input("more", 5, dtype="sparse"), EmbeddingBag(5, 2), Scale()],
                ]
            ),
            Dense(3, "gelu"),
        ],
    },
    "flatten": {
        "first": lambda n: [Flatten(input_shape=(3, 2, n)), Dense(4, "tanh"), Dense(2)],
        "behind it": lambda n: [Flatten(input_shape=(3, n)), Scale()],
        "in a branch": lambda n: [
            _image(2, 3, n),
            Concatenate([Flatten(), [MaxPool(2, 1), Flatten(), Dense(3, "silu")], GlobalAvgPool()]),
            Dense(2),
        ],
    },
    "global_avg_pool": {
        "of an image": lambda n: [GlobalAvgPool(input_shape=(4, 5, n)), Dense(3, "tanh")],
        "behind it": lambda n: [_image(3, 3, n), Activation("tanh"), GlobalAvgPool(), Scale()],
    },
    "global_max_pool": {
        "of times": lambda n: [GlobalMaxPool(input_shape=(6, n)), Dense(3, "tanh")],
        "behind a pool": lambda n: [_image(6, 6, n), AvgPool(3, 1), Activation("silu"), GlobalMaxPool(), Dense(2)],
    },
    "grouped_dense": {
        "first": lambda n: [GroupedDense(3, n, 2, "tanh", dropout=0.2), Dense(2)],
        "one and many": lambda n: [
            Dense(n, 2 * n),
            GroupedDense(1, None, 3 * n, "gelu"),
            GroupedDense(n, 3, 1, bias=False),
        ],
        "last adds": lambda n: [Dense(n, 6), Residual([GroupedDense(3, 2, 2, "silu")]), Activation("tanh")],
        "of a join": lambda n: [
            Concatenate([[Input("x", n), Dense(7, "tanh")], Input("z", 2), [Input("x", n), Dense(5, "silu")]]),
            Residual([GroupedDense(2, 7, 7)]),
            GroupedDense(7, 2, n, "softplus"),
        ],
    },
    "gru": {
        "reset after": lambda n: [
            GRU(n, return_sequences=True, dropout=0.2, recurrent_dropout=0.3, input_shape=(5, 3)),
            Dense(4, "tanh"),
            GRU(n + 1, dialect="torch", reverse=True),
            Dense(2),
        ],
        "reset before": lambda n: [
            GRU(n, reset="before", return_sequences=True, recurrent_dropout=0.3, input_shape=(4, n)),
            Residual(GRU(n, reset="before", return_sequences=True, reverse=True)),
            RNN(3),
        ],
    },
    "ensemble_dense": {
        "of one input": lambda n: [
            EnsembleDense(4, "tanh", members=3, n_in=n, shares_input=True, start="normal", dropout=0.2),
            EnsembleDense(n, "gelu", members=3),
            EnsembleDense(2, members=3, bias=False),
        ],
        "behind a layer": lambda n: [
            Dense(n, n, "tanh"),
            EnsembleDense(n, "silu", members=2, shares_input=True, start="signs"),
            Residual(EnsembleDense(n, "tanh", members=2, dropout=0.3)),
            Dense(2),
        ],
        "of parts": lambda n: [
            Concatenate([[Dense(n, n, "tanh")], [Input("z", 2)], [Dense(n, n, "silu")], [Input("z", 2)]]),
            Concatenate([[EnsembleDense(3, members=2)], []]),
            EnsembleDense(3, "softplus", members=1),
        ],
    },
    "input": {
        "numbers and codes": lambda n: [
            Concatenate([Input("x", n), [Input("codes", 2, dtype="int64"), Embedding(5, 2)], Input("z", 1)]),
            Dense(3, "tanh"),
        ],
        "twice": lambda n: [Input("x", n), Dense(3, "tanh"), Concatenate([[], Input("x", n)]), Dense(2)],
    },
    "layer_norm": {
        "first": lambda n: [LayerNorm(n), Dense(3, "tanh")],
        "inside": lambda n: [Dense(n, n + 2), LayerNorm(eps=1e-3), Activation("silu"), Dense(3)],
        "last": lambda n: [Dense(n, n, "tanh"), LayerNorm()],
    },
    "lstm": {
        "last": lambda n: [
            LSTM(n, return_sequences=True, input_shape=(6, 2)),
            LSTM(n, dropout=0.2, recurrent_dropout=0.3, reverse=True),
        ],
        "both directions": lambda n: [
            Input("x", (4, n)),
            Concatenate([[], Bidirectional(LSTM(3, return_sequences=True, dialect="torch"))]),
            LayerNorm(),
            Residual(LSTM(n + 6, return_sequences=True)),
            Bidirectional(LSTM(n, dialect="torch")),
            Dense(2, "tanh"),
        ],
    },
    "max_pool": {
        "of an image": lambda n: [
            _image(6, 4, n),
            Activation("tanh"),
            MaxPool(2),
            Activation("silu", dropout=0.2),
            MaxPool((3, 2), 1, "same"),
            Flatten(),
            Dense(2),
        ],
        "of times": lambda n: [MaxPool(3, 2, 1, input_shape=(9, n)), Flatten(), Dense(2)],
        "with gaps": lambda n: [MaxPool(2, 3, ((0, 1), (1, 0)), input_shape=(6, 7, n)), Flatten(), Dense(3, "tanh")],
        "of parts": lambda n: [
            _image(4, 6, n),
            Dense(n, "tanh"),
            Residual([AvgPool(3, 1, 1)]),
            Concatenate([[], MaxPool(3, 1, "same"), AvgPool(3, 1, 1, count_include_pad=True)]),
            MaxPool(2),
            Concatenate([[], Activation("silu")]),
            Flatten(),
            Dense(2),
        ],
    },
    "mean_of_members": {
        "values": lambda n: [
            EnsembleDense(n, "tanh", members=3, n_in=n, shares_input=True, start="normal", dropout=0.2),
            EnsembleDense(2, members=3),
            MeanOfMembers(3),
        ],
        "probabilities": lambda n: [
            EnsembleDense(n, "tanh", members=2, n_in=n, shares_input=True, start="normal"),
            EnsembleDense(3, members=2),
            MeanOfMembers(2, "softmax"),
        ],
        "of a concatenation": lambda n: [
            Concatenate([[Input("x", n), Dense(3, "tanh")], [Input("z", 1), Dense(3)]]),
            MeanOfMembers(2, "sigmoid"),
        ],
    },
    "parametric": {
        "first": lambda n: [ParametricActivation("mish", n, share=0.7), Dense(3, "tanh")],
        "inside": lambda n: [Dense(n, n + 2), ParametricActivation("tanh", share=-0.4), Activation("silu"), Dense(3)],
        "last": lambda n: [Dense(n, n, "tanh"), ParametricActivation("softplus")],
    },
    "periodic": {
        "first": lambda n: [Periodic(3, 0.3, n=n), Dense(3, "tanh")],
        "cosines and sines": lambda n: [Periodic(n, 0.1, form="cos_sin", n=2), Activation("silu"), Dense(2)],
        "inside": lambda n: [Dense(n, n, "tanh"), Periodic(17, 0.2), GroupedDense(n, None, 2), Dense(3)],
        "beside its input": lambda n: [
            Dense(n, 3),
            Concatenate([[], [Periodic(2, 0.3, form="cos_sin"), GroupedDense(3, None, 2)]]),
            Residual([Activation("tanh")]),
        ],
    },
    "piecewise_linear": {
        "first": lambda n: [PiecewiseLinear(_bins(n)), Dense(3, "tanh")],
        "inside": lambda n: [Dense(n, n), PiecewiseLinear(_bins(n)), Activation("silu"), Dense(2)],
        "last": lambda n: [Dense(n, 2, "tanh"), PiecewiseLinear([[-0.3, 0.4], [-0.5, -0.1, 0.2, 0.6, 0.7]])],
    },
    "prelu": {
        "first": lambda n: [PReLU(n), Dense(3, "tanh")],
        "inside": lambda n: [Dense(n, n + 2), PReLU(slope=-0.3), Activation("silu"), Dense(3)],
        "last": lambda n: [Dense(n, n, "tanh"), PReLU()],
    },
    "residual": {
        "of the input": lambda n: [Residual([Dense(n, 4, "tanh"), Dense(n)]), Dense(2)],
        "around norms": lambda n: [
            Dense(n, n),
            Residual([LayerNorm(), Dense(4, "gelu", dropout=0.3), Dense(n, "tanh")]),
        ],
        "two on one": lambda n: [Scale(n), Residual(Residual([BatchNorm(), Dense(n, "silu", dropout=0.2)])), Dense(2)],
    },
    "rnn": {
        "two": lambda n: [
            RNN(n, return_sequences=True, recurrent_dropout=0.3, input_shape=(5, 2)),
            Scale(),
            RNN(n, dialect="torch", reverse=True, dropout=0.2),
        ],
        "one time": lambda n: [RNN(n, input_shape=(1, n)), Dense(2)],
    },
    "scale": {
        "first": lambda n: [Scale(n), Dense(3, "tanh")],
        "last": lambda n: [Dense(n, n, "tanh"), Scale()],
        "alone": lambda n: [Scale(n)],
    },
}
NAMES = [(kind, name) for kind, cases in CASES.items() for name in cases]


def network(kind: str, name: str, n: int, dtype: str = "float64", seed: int = 5) -> schuss.Network:
    """The case's network, with parameters and statistics that are not those of the start."""
    net = schuss.Network(CASES[kind][name](n), seed=seed, dtype=dtype)
    rng = np.random.default_rng(seed)
    for path, p in net.named_parameters().items():
        if p.ndim == 1 or path.endswith((".r", ".s")):
            p[...] = rng.uniform(0.5, 1.5, p.shape) if path.endswith(("weight", "scale")) else rng.normal(size=p.shape)
    for path, state in net.named_states().items():
        if path.endswith(("edges", "bins", "low", "high")):
            continue
        state[...] = rng.uniform(0.5, 2, state.shape) if path.endswith("var") else rng.normal(size=state.shape)
    return net


def bags(rng: np.random.Generator, rows: int, n: int, most: int = 6) -> schuss.Bags:
    """Of no to `most` codes each, some of them twice, with weights."""
    counts = rng.integers(0, most + 1, rows)
    codes = rng.integers(0, n, counts.sum())
    return schuss.Bags(codes, np.concatenate([[0], np.cumsum(counts)]), rng.normal(size=len(codes)))


def data(net: schuss.Network, rows: int, seed: int = 0) -> dict[str, Any]:
    """For each input by name; codes are below 5, which each case's tables have."""
    rng = np.random.default_rng(seed)
    return {
        put.name: bags(rng, rows, put.n)
        if put.sparse
        else rng.integers(0, 5, (rows, *put.row_shape))
        if put.codes
        else rng.normal(size=(rows, *put.row_shape)).astype(net.dtype)
        for put in net.inputs
    }
