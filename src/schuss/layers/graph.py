"""From a tree of layers to the core's list of nodes.

A node makes one value from those of nodes before it; behind what it computes come an activation, dropout, and the
value of another node that is added. So an activation that stands alone, and the sum of a residual, become the end of
the node before, where that has none yet.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..arguments import shown
from .activation import Activation
from .base import MAKE_NUMBERS, Layer, Shape
from .dense import Dense
from .embedding import Embedding
from .inputs import Input
from .joins import Concatenate, Residual

# A row of float64 has an address for each of its bytes.
_MOST_COLUMNS = sys.maxsize // 8
# The kind of layer that hands more to a loss than it gives.
_LAST = "mean_of_members"


class _Node:
    """A node before it has a number."""

    def __init__(self, kind: str, path: str, shape: Shape, layer: Layer | None, inputs: list[_Node]) -> None:
        self.kind, self.path, self.shape, self.layer, self.inputs = kind, path, shape, layer, inputs
        self.activation = "identity"
        self.alpha = self.dropout = 0.0
        self.residual: _Node | None = None
        self.stream = 0
        # Whether it lies in a concatenation.
        self.placed = False

    @property
    def computes(self) -> bool:
        return self.kind not in ("input", "concatenate")

    @property
    def bare(self) -> bool:
        """Whether its end is free."""
        return self.computes and self.activation == "identity" and not self.dropout and self.residual is None


class Graph(NamedTuple):
    """A network as the core takes it.

    Attributes
    ----------
    layers : tuple of Layer
        The tree, with all sizes.
    inputs : tuple of Input
        In the order in which the core takes them.
    nodes : list of tuple
        See ``_core.Net``.
    paths : list of str
        For each node, the name of its layer, as "layers.2".
    makers : list of Layer or None
        For each node, its layer.
    activation : str
        Of the network's output.
    shape : Shape
        Of the network's output.
    """

    layers: tuple[Layer, ...]
    inputs: tuple[Input, ...]
    nodes: list[tuple[Any, ...]]
    paths: list[str]
    makers: list[Layer | None]
    activation: str
    shape: Shape


class _Builder:
    def __init__(self) -> None:
        self.nodes: list[_Node] = []
        self.inputs: dict[str, _Node] = {}
        self.streams = 0
        # Of each table with a name, the first layer that uses it and what messages call that, in their order.
        self.tables: dict[str, tuple[Layer, str]] = {}

    def node(self, kind: str, path: str, shape: Shape, layer: Layer | None, inputs: list[_Node]) -> _Node:
        made = _Node(kind, path, shape, layer, inputs)
        self.nodes.append(made)
        return made

    def input(self, layer: Input, path: str) -> _Node:
        known = self.inputs.get(layer.name)
        if known is None:
            known = self.inputs[layer.name] = _Node("input", path, layer.shape, layer, [])
        elif known.layer != layer:
            raise ValueError(f"{path} must be as the other input of this name, {known.layer}; got {layer}")
        return known

    def copy(self, value: _Node, path: str) -> _Node:
        """A node whose value is the same."""
        return self.node("activation", path, value.shape, None, [value])

    def chain(self, layers: Sequence[Layer], value: _Node | None, path: str) -> tuple[tuple[Layer, ...], _Node | None]:
        """Layers one after the other."""
        start = value
        resolved = []
        for k, layer in enumerate(layers):
            name = f"{path}[{k}]"
            if isinstance(layer, Input) and k == 0:
                found: Layer = layer
                value = self.input(layer, name)
            else:
                found, value = self.layer(layer, value, name, start)
            resolved.append(found)
        return tuple(resolved), value

    def layer(self, layer: Layer, value: _Node | None, name: str, start: _Node | None) -> tuple[Layer, _Node]:
        """One layer behind a value."""
        if isinstance(layer, Concatenate):
            return self.concatenate(layer, value, name)
        if value is None:
            value = self.first(layer, name)
        if isinstance(layer, Residual):
            return self.residual(layer, value, name)
        if isinstance(layer, Dense) and layer.n_in is not None and layer.n_in != value.shape.columns:
            before = _before(name)
            raise ValueError(f"{name}.n_in must be {before}.n_out, {value.shape.columns}; got {layer.n_in}")
        layer = layer.after(value.shape, name)
        self.check_table(layer, name)
        if value.kind == _LAST:
            raise ValueError(f"{value.path}, MeanOfMembers, must be the last layer; behind it comes {name}")
        if value.activation == "softmax":
            raise ValueError(f"{value.path}.activation must not be softmax, which only the last layer may have")
        stream, self.streams = self.streams, self.streams + 1
        if isinstance(layer, Activation) and value is not start and value.bare:
            made = value
        else:
            shape = layer.shape if layer._spatial else layer.shape._replace(dims=value.shape.dims)
            made = self.node(layer._core_kind or layer.kind, name, shape, layer, [value])
        if layer._has_end:
            made.activation, made.alpha, made.dropout = layer.end
        made.stream = stream
        return layer, made

    def check_table(self, layer: Layer, name: str) -> None:
        """Whether a layer's table is that of the other layers that use one of this name."""
        table = _table_of(layer)
        if table is None:
            return
        other, place = self.tables.setdefault(table, (layer, name))
        if {**other.sizes(), **other.starts()} != {**layer.sizes(), **layer.starts()}:
            raise ValueError(
                f"{name} must have the n, dim and std of {place}, whose table {table!r} it uses, {other}; got {layer}"
            )

    def first(self, layer: Layer, name: str) -> _Node:
        """The input of a network that begins with this layer."""
        columns = layer
        while isinstance(columns, Residual):
            columns = columns.layers[0]
        shape = columns.shape_in
        if shape is None:
            how = "by input_shape=" if columns._spatial else "as Dense(n_in, n_out)"
            raise ValueError(
                f"{name}, {type(columns).__name__}, must tell how many columns come in, {how}, or stand behind an "
                f"Input(name, n)"
            )
        of_row = shape.of_row if shape.dims else shape.columns
        return self.input(Input("x", of_row, dtype="sparse" if shape.sparse else None), name)

    def residual(self, layer: Residual, value: _Node, name: str) -> tuple[Layer, _Node]:
        if value.shape.holds != "numbers":
            raise ValueError(f"{name}, Residual, must come behind numbers; got {value.shape.holds}")
        if isinstance(layer.layers[0], Input):
            raise ValueError(f"{name}.layers[0] must not be an Input: a residual adds what came in before")
        resolved, made = self.chain(layer.layers, value, f"{name}.layers")
        assert made is not None
        if made.shape != value.shape:
            given, found = (
                (value.shape.of_row, made.shape.of_row)
                if value.shape.dims != made.shape.dims
                else (value.shape.columns, made.shape.columns)
            )
            raise ValueError(f"{name}.layers must give back {given} columns, as many as come in; got {found}")
        if made.activation == "softmax":
            raise ValueError(f"{made.path}.activation must not be softmax, which only the last layer may have")
        if made is value or not made.computes or made.residual is not None or made.placed:
            made = self.copy(made, name)
        made.residual = value
        return Residual(resolved), made

    def concatenate(self, layer: Concatenate, value: _Node | None, name: str) -> tuple[Layer, _Node]:
        if value is not None and all(branch and isinstance(branch[0], Input) for branch in layer.branches):
            raise ValueError(f"{name}.branches must take what comes before in at least one; each begins with an Input")
        branches, ends = [], []
        for k, branch in enumerate(layer.branches):
            path = f"{name}.branches[{k}]"
            resolved, end = self.chain(branch, value, path)
            if end is None:
                raise ValueError(f"{path} must begin with an Input: nothing comes in")
            if end.shape.holds != "numbers":
                holds = end.shape.holds
                raise ValueError(f"{path} must give numbers; got {holds}: {MAKE_NUMBERS[holds]}")
            if end.activation == "softmax":
                raise ValueError(f"{end.path}.activation must not be softmax, which only the last layer may have")
            if end is value or end.placed or end.kind == "input":
                end = self.copy(end, path)
            end.placed = True
            branches.append(resolved)
            ends.append(end)
            if end.shape.dims != ends[0].shape.dims:
                raise ValueError(
                    f"{path} must give positions as the first branch, {ends[0].shape.dims}; got {end.shape.dims}"
                )
        columns = sum(end.shape.columns for end in ends)
        if layer.n not in (None, columns):
            raise ValueError(f"{name}.n must be {columns}, what its branches give together; got {layer.n}")
        resolved_layer = Concatenate(tuple(branches), columns)
        return resolved_layer, self.node(
            "concatenate", name, Shape(columns, dims=ends[0].shape.dims), resolved_layer, ends
        )


def _table_of(layer: Layer | None) -> str | None:
    """The name of the table that it shares with other layers; None: it shares none."""
    return getattr(layer, "table", None)


def _before(name: str) -> str:
    """The name of the layer before the one of this name."""
    stem, _, last = name.rpartition("[")
    k = int(last[:-1])
    return f"{stem}[{k - 1}]" if k else "the input"


def checked(layers: Any) -> tuple[Layer, ...]:
    """Layers from a list of them."""
    if isinstance(layers, (Layer, str, bytes)) or not hasattr(layers, "__iter__"):
        raise TypeError(f"layers must be a list of layers, such as Dense; got {shown(layers)}")
    found = tuple(layers)
    if not found:
        raise ValueError("layers must hold at least one layer; got none")
    for k, layer in enumerate(found):
        if not isinstance(layer, Layer):
            from ..hints import of_no_layer

            raise TypeError(
                f"layers[{k}] must be a layer, such as Dense; got {shown(layer)} ({type(layer).__name__})"
                f"{of_no_layer(layer)}"
            )
    return found


def _check_table(node: _Node) -> None:
    """Whether an embedding's table has a row for each code that its input may make."""
    before = node.inputs[0].layer if node.inputs else None
    if isinstance(node.layer, Embedding) and isinstance(before, Input) and before.makes_codes:
        n = before.dtype.n
        if node.layer.n < n:
            raise ValueError(
                f"{node.path}.n must be at least {n}, as many codes as {before.dtype} has; got {node.layer.n}"
            )


def built(layers: Sequence[Layer]) -> Graph:
    """The graph of a network.

    Raises
    ------
    ValueError, TypeError
        If layers do not fit together; the message names the one.
    OverflowError
        If a layer is larger than the address space.
    """
    builder = _Builder()
    resolved, last = builder.chain(checked(layers), None, "layers")
    assert last is not None
    if last.kind == "input":
        raise ValueError("layers must hold a layer that computes something; got an Input alone")
    for node in builder.nodes:
        if node.kind == _LAST and (node is not last or node.residual is not None or node.placed):
            raise ValueError(f"{node.path}, MeanOfMembers, must be the last layer, and in no other")
    if last is not builder.nodes[-1]:
        last = builder.copy(last, last.path)
    for node in builder.nodes:
        _check_table(node)
    nodes = [*builder.inputs.values(), *builder.nodes]
    numbers = {id(node): k for k, node in enumerate(nodes)}
    tables = {table: {"table": k} for k, table in enumerate(builder.tables, 1)}
    for node in nodes:
        sizes = node.layer.sizes() if node.layer is not None else {}
        if max(sizes.values(), default=0) > sys.maxsize or node.shape.columns * node.shape.positions > _MOST_COLUMNS:
            raise OverflowError(f"{node.path} of {' x '.join(map(str, sizes.values()))} exceeds the address space")
    return Graph(
        layers=resolved,
        inputs=tuple(node.layer for node in builder.inputs.values() if isinstance(node.layer, Input)),
        nodes=[
            (
                node.kind,
                tuple(numbers[id(value)] for value in node.inputs),
                {**node.layer.sizes(), **tables.get(_table_of(node.layer) or "", {})} if node.layer is not None else {},
                node.layer.numbers() if node.layer is not None else {},
                node.activation,
                node.alpha,
                node.dropout,
                -1 if node.residual is None else numbers[id(node.residual)],
                node.stream,
            )
            for node in nodes
        ],
        paths=[node.path.replace("[", ".").replace("]", "") for node in nodes],
        makers=[node.layer for node in nodes],
        activation="identity" if last.residual is not None or not last.computes else last.activation,
        shape=last.shape,
    )
