"""What the lengths of rows count in a network, and why one takes none."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from .layers.graph import Graph


class Lengths(NamedTuple):
    """Of a network.

    Attributes
    ----------
    times : int
        What a length may be at most: the times of all inputs that have any.
    refusal : str
        For which networks lengths must be None, if this is one of them; else empty.
    """

    times: int
    refusal: str = ""


NONE = Lengths(0, "for a network whose input has no times")


def of_graph(graph: Graph) -> Lengths:
    """A length counts times of the inputs, so all that looks at lengths must have as many."""
    by_name = {put.name: put.dims[0] for put in graph.inputs if len(put.dims) == 1}
    if not by_name:
        return NONE
    times = next(iter(by_name.values()))
    if len(set(by_name.values())) > 1:
        told = ", ".join(f"{n} of {name!r}" for name, n in by_name.items())
        return Lengths(times, f"for a network whose inputs have different times, {told}")
    looked_at = graph.shape.dims == (times,)
    for node, maker, path in zip(graph.nodes, graph.makers, graph.paths, strict=True):
        own = node[2].get("times")
        if own is None or maker is None:
            continue
        if own != times:
            return Lengths(
                times,
                f"for a network in which the input has {times} times, and {path}, {type(maker).__name__}, goes through "
                f"{own}: which of these are there, a length does not tell",
            )
        looked_at = True
    if not looked_at:
        return Lengths(
            times,
            "for a network without a layer that goes through times, such as GRU, or outputs at each: nothing would "
            "look at them",
        )
    return Lengths(times)
