"""Tables of the same columns, one below the other."""

from __future__ import annotations

import numpy as np

from .cells import Cells, Table, Text, Typed, text_cells, text_of


def joined(first: Table, second: Table) -> Table:
    """The rows of both, by the columns of the first; the second has them all."""
    columns = {name: _below(first.cells(name), second.cells(name)) for name in first.names}
    return Table(first.name, columns, first.n_rows + second.n_rows, first.notes, first.nameless, first.decimal_comma)


def _below(first: Cells, second: Cells) -> Cells:
    if isinstance(first, Typed) and isinstance(second, Typed):
        missing = np.concatenate([first.missing, second.missing])
        if first.kind == second.kind:
            return Typed(first.kind, np.concatenate([first.values, second.values]), missing)
        if {first.kind, second.kind} == {"number", "whole"}:
            values = [np.where(part.missing, np.nan, part.values.astype(np.float64)) for part in (first, second)]
            return Typed("number", np.concatenate(values), missing)
    declared = isinstance(first, Text) and first.declared
    return text_cells(_texts(first) + _texts(second), declared=declared)


def _texts(cells: Cells) -> list[str]:
    if isinstance(cells, Text):
        return cells.texts()
    values = cells.values.astype("datetime64[us]") if cells.kind == "time" else cells.values
    listed = map(str, values) if cells.kind == "time" else map(text_of, values.tolist())
    return ["" if gone else text for text, gone in zip(listed, cells.missing.tolist(), strict=True)]
