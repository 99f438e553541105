"""Descriptions of layers. Each kind is a class here, and a file of its name in the compiled core."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..habits import teller
from .activation import Activation
from .base import Layer, Shape
from .clamp import Clamp
from .convolution import Conv1D, Conv2D
from .dense import Dense
from .embedding import Embedding
from .embedding_bag import EmbeddingBag
from .ensemble_dense import EnsembleDense
from .grouped_dense import GroupedDense
from .inputs import Input
from .joins import Concatenate, Residual
from .mean_of_members import MeanOfMembers
from .norms import BatchNorm, LayerNorm
from .parametric import ParametricActivation
from .periodic import Periodic
from .piecewise_linear import PiecewiseLinear
from .pools import AvgPool, Flatten, GlobalAvgPool, GlobalMaxPool, MaxPool
from .prelu import PReLU
from .recurrent import GRU, LSTM, RNN, Bidirectional
from .scale import Scale

KINDS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        Activation,
        AvgPool,
        BatchNorm,
        Clamp,
        Concatenate,
        Conv1D,
        Conv2D,
        Dense,
        Embedding,
        EmbeddingBag,
        EnsembleDense,
        GRU,
        Flatten,
        GlobalAvgPool,
        GlobalMaxPool,
        GroupedDense,
        Input,
        LSTM,
        LayerNorm,
        MaxPool,
        MeanOfMembers,
        ParametricActivation,
        Periodic,
        PiecewiseLinear,
        PReLU,
        RNN,
        Residual,
        Scale,
    )
}

__all__ = [
    "GRU",
    "KINDS",
    "LSTM",
    "RNN",
    "Activation",
    "AvgPool",
    "BatchNorm",
    "Bidirectional",
    "Clamp",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "Dense",
    "Embedding",
    "EmbeddingBag",
    "EnsembleDense",
    "Flatten",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupedDense",
    "Input",
    "Layer",
    "LayerNorm",
    "MaxPool",
    "MeanOfMembers",
    "PReLU",
    "ParametricActivation",
    "Periodic",
    "PiecewiseLinear",
    "Residual",
    "Scale",
    "Shape",
    "of_description",
]


def of_description(described: Mapping[str, Any]) -> Layer:
    """The layer that a file describes as `Layer.described` does. Without a kind, as in files of version 1: dense."""
    arguments = dict(described)
    kind = arguments.pop("kind", "dense")
    if kind not in KINDS:
        raise ValueError(f"its layer of kind {kind!r} is none of {', '.join(KINDS)}")
    if "layers" in arguments:
        arguments["layers"] = [of_description(layer) for layer in arguments["layers"]]
    if "branches" in arguments:
        arguments["branches"] = [[of_description(layer) for layer in branch] for branch in arguments["branches"]]
    return KINDS[kind](**arguments)


if not TYPE_CHECKING:
    __getattr__ = teller(__name__)
