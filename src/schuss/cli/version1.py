"""Models that ``schuss train`` wrote before there were recipes: one network, one-hot and standardised columns.

They are read as they were written for, columns of their tables too: a model says the same as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import schuss

from ..tables import DataError
from .answers import Answers
from .scores import Predicted
from .version1_columns import Preprocessing, known_rows
from .version1_files import open_table

METADATA_KEY = "table"  # where the network's metadata hold what prediction needs


@dataclass(frozen=True, eq=False)
class OldModel:
    """A network and its table's preprocessing."""

    network: schuss.Network
    preprocessing: Preprocessing

    @property
    def classes(self) -> tuple[Any, ...]:
        return self.preprocessing.target.classes

    @property
    def target_name(self) -> str:
        return self.preprocessing.target.name

    def answers(self, data: str) -> Answers:
        """What it says of a file or a named data set. DataError: that cannot be read, or lacks columns."""
        preprocessing, target = self.preprocessing, self.preprocessing.target
        table = open_table(data, text=preprocessing.text_columns)
        output = self.network.predict(preprocessing.transform(table))
        truth = known = not_scored = None
        if target.name in table.columns:
            column = table.columns[target.name]
            truth = np.array([None if value != value else value for value in column.tolist()], object)
            try:
                rows = known_rows(table, target.name)
                y = target.encode(rows)
                of_known = self.network.predict(preprocessing.transform(rows)).astype(np.float64)
                if target.classes:
                    known = Predicted(y, of_known)
                else:
                    known = Predicted(y[:, 0] * target.scale + target.mean, target.decode(of_known))
            except DataError as error:
                not_scored = str(error)
        return Answers(
            table.name,
            target.name,
            target.decode(output),
            target.classes,
            output if target.classes else None,
            truth=truth,
            known=known,
            not_scored=not_scored,
            notes=table.notes,
        )


def load(path: Path) -> OldModel | None:
    """The model in a file, or None if it holds something else.

    Raises
    ------
    DataError
        If it is a network that belongs to no table, or what it says of its table is damaged.
    """
    try:
        network = schuss.load(path)
    except ValueError:
        return None
    told = network.metadata.get(METADATA_KEY)
    if told is None:
        raise DataError(f"{path}: was not written by schuss train: it does not say how to read a table")
    if isinstance(told, dict) and told.get("format") != 1:
        return None
    preprocessing = Preprocessing.from_dict(told)
    if (network.n_in, network.n_out) != (preprocessing.n_inputs, preprocessing.target.n_outputs):
        raise DataError(f"{path}: is damaged: its table does not fit its network of {network.n_in} inputs")
    return OldModel(network, preprocessing)
