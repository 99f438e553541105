"""A network of sequences as a network for one time of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .._core import Node
    from .graph import Graph


def nodes_of(graph: Graph) -> list[Node]:
    """The same nodes for one time.

    Raises
    ------
    ValueError
        If a layer needs more than one time, or none goes through times.
    """
    nodes = []
    goes = False
    for node, maker, path in zip(graph.nodes, graph.makers, graph.paths, strict=True):
        kind, inputs, sizes, numbers, *rest = node
        if kind == "input" or "times" in sizes:
            places = sizes["positions"] if kind == "input" else sizes["times"]
            dims = maker.shape.dims if kind == "input" and maker is not None else (places,)
            if len(dims) == 2:
                raise ValueError(f"step must be for a network of sequences; {path} has places of an image")
            if numbers.get("reverse"):
                raise ValueError(f"step must be for layers that go forward; {path} begins with the last time")
            goes |= kind != "input"
            sizes = {**sizes, "positions" if kind == "input" else "times": 1}
        elif maker is not None and maker._spatial:
            raise ValueError(
                f"step must be for layers that go from time to time; {path}, {type(maker).__name__}, looks at several"
            )
        nodes.append((kind, inputs, sizes, numbers, *rest))
    if not goes:
        raise ValueError(
            "step must be for a network with a layer that goes through times, such as GRU; got one without"
        )
    return nodes
