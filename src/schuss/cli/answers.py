"""What a model says of a whole table, and what the table says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..losses import Gaussian, Loss
from ..tables import DataError, Table, TableModel
from .scores import Predicted, Scores, of_classes, of_numbers


@dataclass(frozen=True, eq=False)
class Answers:
    """Predictions of every row of a table, in order.

    Attributes
    ----------
    name : str
        Of the table.
    target_name : str
    values : (rows,) classes or quantities, or (rows, quantiles)
    classes : sequence
        Empty for a quantity.
    probabilities : (rows, classes) or None
    deviations : (rows,) or None
    quantiles : sequence of float
        Where there are several of them.
    truth : (rows,) object or None
        What the table holds in place of the predictions; None where it has no value.
    known : Predicted or None
        The rows that have one, to be scored.
    not_scored : str or None
        Why not, though the table has the column.
    loss : Loss or None
        That the model was fitted by.
    notes : tuple of str
        On reading the table.
    """

    name: str
    target_name: str
    values: NDArray[Any]
    classes: Sequence[Any] = ()
    probabilities: NDArray[np.float64] | None = None
    deviations: NDArray[np.float64] | None = None
    quantiles: Sequence[float] = ()
    truth: NDArray[Any] | None = None
    known: Predicted | None = None
    not_scored: str | None = None
    loss: Loss | None = None
    notes: tuple[str, ...] = ()

    def scores(self) -> Scores:
        """Of the rows that have a value."""
        assert self.known is not None
        return of_classes(self.known) if self.classes else of_numbers(self.known, self.loss)


def answers_of(model: TableModel, table: Table) -> Answers:
    """What a model says of a table.

    Raises
    ------
    DataError
        If a column is missing, or holds what it cannot.
    """
    columns, head, target = model.schema.read(table), model.head, model.target
    outputs = model.outputs(columns)
    probabilities = deviations = None
    if model.is_classifier:
        probabilities = head.probabilities(outputs, model.temperature)
        values = target.decode(probabilities.argmax(axis=1))
    else:
        values = head.quantities(outputs)
        deviations = head.deviations(outputs) if isinstance(head.loss, Gaussian) else None
    truth = known = not_scored = None
    if target.name in table:
        try:
            y = target.read(table)
        except DataError as error:
            not_scored = str(error)
        else:
            there = y >= 0 if model.is_classifier else ~np.isnan(y)
            truth = np.full(len(y), None, object)
            truth[there] = (target.decode(y[there]) if model.is_classifier else y[there]).tolist()
            found: NDArray[np.float64] = values if probabilities is None else probabilities
            known = Predicted(y[there], found[there], None if deviations is None else deviations[there])
    return Answers(
        table.name, target.name, values, model.classes, probabilities, deviations, head.quantiles, truth, known,
        not_scored, head.loss, (*table.notes, *columns.notes),
    )  # fmt: skip
