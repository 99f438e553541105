"""How much a model owes to each column: what becomes of its predictions when the column's values change places."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .columns import Boolean, Category, Date, Dropped, Number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from .model import TableModel
    from .schema import Columns

# Bytes of the outputs that are looked at together.
_AT_ONCE = 1 << 28


def permuted(
    model: TableModel, columns: Columns, repeats: int, seed: int
) -> Iterator[tuple[str, list[list[NDArray[Any]]]]]:
    """For each column of the table that is used: its name, and the networks' outputs in each repeat.

    In each the column's values are those of other rows, in an order that follows from the seed and is the same for all
    columns; all that was made of one column, such as the parts of a date, is taken from the same row.

    Parameters
    ----------
    model : TableModel
    columns : Columns
        Rows that `model.schema` has read.
    repeats : int
    seed : int

    Yields
    ------
    name : str
    outputs : list of lists of arrays
        For each repeat what `TableModel.outputs` gives.
    """
    rows = len(columns.numbers)
    draw = np.random.Generator(np.random.PCG64(seed))
    orders = np.stack([draw.permutation(rows) for _ in range(repeats)])
    inputs = model.encoding.transform(columns)
    widest = max(network.n_out * network.dtype.itemsize for network in model.networks)
    together = max(1, _AT_ONCE // (rows * widest * len(model.networks)))
    for name, numbers, codes in _parts(model):
        places = model.encoding.places(numbers, codes)
        found: list[list[NDArray[Any]]] = []
        for start in range(0, repeats, together):
            part = np.ascontiguousarray(orders[start : start + together])
            of_networks = []
            for network in model.networks:
                names = [put.name for put in network.inputs] if len(network.inputs) > 1 else list(inputs)
                data = network._data({put.name: inputs[key] for put, key in zip(network.inputs, names, strict=True)})
                out = np.empty((len(part), rows, network.n_out), network.dtype)
                chosen = [places.get(key, []) for key in names]
                _core.predict_permuted(network._core, data, chosen, part, out)
                of_networks.append(out)
            found += [[out[k] for out in of_networks] for k in range(len(part))]
        yield name, found


def _parts(model: TableModel) -> Iterator[tuple[str, list[int], list[int]]]:
    """Of each column of the table that is used, which columns of numbers and of codes it has become."""
    numbers = codes = 0
    for column in model.schema.columns:
        if isinstance(column, Dropped):
            continue
        if isinstance(column, (Number, Date)):
            width = len(column.names)
            yield column.name, list(range(numbers, numbers + width)), []
            numbers += width
        elif isinstance(column, (Boolean, Category)):
            yield column.name, [], [codes]
            codes += 1
