"""A table's model: what its columns are, how they become a network's inputs, the networks, and what outputs mean."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arguments import shown
from ..losses import BY_NAME, Loss
from ..network import Network
from ..trained import Trained
from .encoding import Encoding, Standardise
from .errors import DataError
from .heads import Head, resolved
from .schema import Columns, Schema
from .target import Target

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Inputs = dict[str, NDArray[Any]]

#: Where a network's metadata hold what stands around it.
METADATA_KEY = "table"
FORMAT = 2  # 1 was that of `schuss train` before there were recipes
KIND = "schuss table"
# Bytes of a table's inputs that are predicted at a time.
SLAB = 1 << 26


@dataclass(frozen=True, eq=False)
class TableModel:
    """A model that takes tables as they are.

    Attributes
    ----------
    schema : Schema
        What each column is, decided in training.
    target : Target
        What is predicted.
    encoding : Encoding
        From columns to the networks' inputs.
    head : Head
        From the networks' outputs to what is predicted.
    networks : tuple of Network
        One, or the members of an ensemble: what they predict is averaged.
    temperature : float
        By which logits are divided.
    recipe : dict
        What the model was trained by, for people: its name and numbers.

    Examples
    --------
    >>> import schuss
    >>> model = schuss.load_table("model.safetensors")  # doctest: +SKIP
    >>> model.predict(frame)  # doctest: +SKIP
    """

    schema: Schema
    target: Target
    encoding: Encoding
    head: Head
    networks: tuple[Trained, ...]
    temperature: float = 1.0
    recipe: Mapping[str, Any] = field(default_factory=dict)

    # -- prediction --------------------------------------------------------------------------------------------------

    @property
    def is_classifier(self) -> bool:
        """Whether classes are predicted."""
        return self.head.classes > 0

    @property
    def classes(self) -> tuple[Any, ...]:
        """What columns of `predict_proba` stand for. Empty where a quantity is predicted."""
        return self.target.classes

    def predict(self, frame: Any) -> NDArray[Any]:
        """The class or the quantity of each row.

        Parameters
        ----------
        frame : DataFrame of pandas or polars, dict of columns, matrix, or what `schuss.tables.read` gives
            With the columns that the model was trained on, in any order; others are ignored.

        Returns
        -------
        array of shape (rows,), or with several quantiles (rows, quantiles)
            A row for each row, in order.

        Raises
        ------
        DataError
            If a column is missing, or holds what it cannot. It is a ValueError.
        """
        return self.predict_columns(self.schema.read(frame))

    def predict_proba(self, frame: Any) -> NDArray[np.float64]:
        """The probability of each class, in the order of `classes`.

        Parameters
        ----------
        frame
            As for `predict`.

        Returns
        -------
        array of shape (rows, classes)

        Raises
        ------
        ValueError
            If a quantity is predicted.
        """
        self._check_classifier("predict_proba")
        return self.probabilities_of(self.schema.read(frame))

    def score(self, frame: Any, y: Any = None, sample_weight: Any = None) -> float:
        """The share of rows that are predicted right, or R^2 of a quantity.

        Parameters
        ----------
        frame
            As for `predict`; with the target's column, unless y is given.
        y : array of shape (rows,), optional
            What is right. Rows without a value (NaN, None) do not count.
        sample_weight : array of shape (rows,), optional

        Returns
        -------
        float
        """
        name = self.target.name
        truth = self.target.read(frame if y is None else {name: np.asarray(y)})
        known = truth >= 0 if self.is_classifier else ~np.isnan(truth)
        if not known.any():
            raise DataError(f"score needs rows that have a {name!r}; none has")
        columns = self.schema.read(frame)
        weights = np.ones(len(truth)) if sample_weight is None else np.asarray(sample_weight, np.float64)
        weights = np.where(known, weights, 0.0)
        if self.is_classifier:
            right = self.probabilities_of(columns).argmax(axis=1) == truth
            return float(np.average(right, weights=weights))
        found = self.predict_columns(columns)
        if found.ndim == 2:
            raise ValueError("score is of a single prediction a row; this model gives several quantiles")
        truth = np.where(known, truth, 0.0)
        rest = np.average((truth - found) ** 2, weights=weights)
        spread = np.average((truth - np.average(truth, weights=weights)) ** 2, weights=weights)
        return float(1.0 - rest / spread) if spread > 0 else float(rest == 0)

    # -- of columns that were read -----------------------------------------------------------------------------------

    def predict_columns(self, columns: Columns) -> NDArray[Any]:
        """`predict` of rows that `schema` has read."""
        if self.is_classifier:
            return self.target.decode(self.probabilities_of(columns).argmax(axis=1))
        return self.head.quantities(self.outputs(columns))

    def probabilities_of(self, columns: Columns) -> NDArray[np.float64]:
        """`predict_proba` of rows that `schema` has read."""
        return self.head.probabilities(self.outputs(columns), self.temperature)

    def deviations_of(self, columns: Columns) -> NDArray[np.float64]:
        """Of the normal distributions that a gaussian loss predicts."""
        return self.head.deviations(self.outputs(columns))

    def outputs(self, columns: Columns) -> list[NDArray[Any]]:
        """What each network gives, (rows, outputs). Large tables are encoded a piece at a time."""
        rows = len(columns.numbers)
        each = max(1, SLAB // (8 * max(1, sum(self.encoding.widths.values()))))
        if rows <= each:
            return self.outputs_of(self.encoding.transform(columns))
        found = [np.empty((rows, network.n_out), network.dtype) for network in self.networks]
        for start in range(0, rows, each):
            part = slice(start, start + each)
            piece = Columns(columns.numbers[part], columns.codes[part])
            for whole, output in zip(found, self.outputs_of(self.encoding.transform(piece)), strict=True):
                whole[part] = output
        return found

    def outputs_of(self, inputs: Inputs) -> list[NDArray[Any]]:
        """What each network gives for inputs that `encoding` has made."""
        return [network.predict(given(network, inputs)) for network in self.networks]

    def _check_classifier(self, what: str) -> None:
        if not self.is_classifier:
            raise ValueError(f"{what} is for classes; this model predicts a quantity, {self.target.name!r}")

    # -- files -------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file, atomically. `schuss.load_table` reads it.

        Parameters
        ----------
        path : str or path
            Ending in .npz, or in .safetensors where the safetensors package is installed.

        Raises
        ------
        ValueError
            If the ending is another.
        OSError
            If the file cannot be written; an old one is still there.
        """
        from ..files.networks import write

        first, *others = (network._parts_with(network.optimizer) for network in self.networks)
        first["metadata"] = {METADATA_KEY: self.to_dict()}
        write(path, first, others)

    def to_dict(self) -> dict[str, Any]:
        """All but the networks, as plain data."""
        head = self.head
        return {
            "kind": KIND,
            "format": FORMAT,
            "schema": self.schema.to_dict(),
            "target": self.target.to_dict(),
            "encoding": self.encoding.to_dict(),
            "head": {
                "loss": head.loss.name,
                "number": list(head.loss.spec[1]) if isinstance(head.loss.spec[1], tuple) else head.loss.spec[1],
                "classes": head.classes,
                "standard": None if head.standard is None else head.standard.to_dict(),
                "activation": head.activation,
            },
            "temperature": self.temperature,
            "recipe": dict(self.recipe),
        }

    @classmethod
    def of_dict(cls, data: Any, networks: tuple[Trained, ...]) -> TableModel:
        """From what `to_dict` has made, and the networks.

        Raises
        ------
        ValueError, TypeError
            If the data are of a newer format, or damaged, or do not fit the networks.
        """
        from ..arguments import number
        from ..files.header import mapping, one_of, optional, record, text, whole

        def positive(name: str, value: Any) -> float:
            return number(name, value, "(0, inf)")

        if isinstance(data, dict) and type(data.get("format")) is int and data["format"] > FORMAT:
            raise DataError(f"its table is of format {data['format']}, newer than {FORMAT}; update schuss")
        of_head = record(
            {
                "loss": text,
                "number": lambda name, value: value,
                "classes": whole(0, 2**31),
                "standard": optional(mapping),
                "activation": one_of("identity", "softmax", "exp"),
            }
        )
        given = record(
            {
                "kind": one_of(KIND),
                "format": whole(FORMAT, FORMAT),
                "schema": mapping,
                "target": mapping,
                "encoding": mapping,
                "head": of_head,
                "temperature": positive,
                "recipe": mapping,
            }
        )("its table", data)
        model = cls(
            Schema.from_dict(given["schema"]),
            Target.from_dict(given["target"]),
            Encoding.from_dict(given["encoding"]),
            _head(given["head"]),
            networks,
            given["temperature"],
            given["recipe"],
        )
        model._check_that_it_fits()
        return model

    def _check_that_it_fits(self) -> None:
        """ValueError if its parts are those of different models."""
        head, encoding = self.head, self.encoding
        if len(self.target.classes) != head.classes or (head.standard is None) != (head.classes > 0):
            raise ValueError(f"its table has {len(self.target.classes)} classes, its head {head.classes}")
        if head.standard is not None and (len(head.standard.means) != 1 or not (head.standard.deviations > 0).all()):
            raise ValueError("its table.head.standard must be of one target, with a deviation above 0")
        if len(self.schema.number_names) != encoding.n_numbers:
            raise ValueError(
                f"its table has {len(self.schema.number_names)} columns of numbers, its encoding {encoding.n_numbers}"
            )
        if tuple(self.schema.cardinalities) != tuple(encoding.cardinalities.tolist()):
            raise ValueError("its table's categories are not those of its encoding")
        for network in self.networks:
            widths = {part.name: part.n for part in network.inputs}
            if list(widths.values()) != list(encoding.widths.values()):
                raise ValueError(f"its networks take {widths}, its encoding gives {encoding.widths}")
            if network.n_out != head.outputs:
                raise ValueError(f"its networks have {network.n_out} outputs, its head takes {head.outputs}")
        # What else does not fit shows in a table of no rows.
        nothing = Columns(np.empty((0, encoding.n_numbers)), np.empty((0, len(encoding.cardinalities)), np.int64))
        encoding.transform(nothing)


def given(network: Trained, inputs: Inputs) -> Any:
    """A table's inputs as a network takes them: an array where there is only one."""
    return inputs if len(network.inputs) > 1 else next(iter(inputs.values()))


def _head(data: Mapping[str, Any]) -> Head:
    kind = BY_NAME.get(data["loss"])
    if kind is None:
        raise ValueError(f"its table.head.loss must be one of {', '.join(BY_NAME)}; got {shown(data['loss'])}")
    number = tuple(data["number"]) if isinstance(data["number"], list) else data["number"]
    make: Callable[..., Loss] = type(kind)
    loss = make(number) if kind._number else make()
    resolved(loss, data["classes"] > 0)
    standard = None if data["standard"] is None else Standardise.from_dict(data["standard"])
    return Head(loss, data["classes"], standard, data["activation"])


def load_table(path: str | os.PathLike[str]) -> TableModel:
    """Read a table's model from a file that `TableModel.save`, an estimator's `save` or ``schuss train`` has written.

    Parameters
    ----------
    path : str or path
        Ending in .npz or .safetensors.

    Returns
    -------
    TableModel

    Raises
    ------
    ValueError
        If the file is damaged, truncated, of a newer version, or not of this kind.
    OSError
        If it cannot be read.
    ImportError
        If it is a .safetensors file and that package is not installed.

    Notes
    -----
    As with `schuss.load` files of strangers may be read: nothing in one is run.
    """
    from ..files.networks import as_damage, read

    name, parts = read(path)
    data = parts[0]["metadata"].get(METADATA_KEY)
    if not isinstance(data, dict) or data.get("kind") != KIND:
        raise ValueError(f"{name} holds a network and no table's model: schuss.load reads it")
    with as_damage(name):
        return TableModel.of_dict(data, tuple(map(Network._of_parts, parts)))
