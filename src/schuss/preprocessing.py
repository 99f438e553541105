"""From a table to the matrix a network learns from, and back from its outputs to the target's own terms.

What was learned from the training rows (medians, means, categories, classes) is plain data that goes into the model's
file, so that the raw columns are all that prediction needs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .arguments import number
from .datasets import DataError, Table

__all__ = ["Prepared", "Preprocessing", "Target", "find_target", "known_rows", "prepare", "split"]

Task = Literal["classification", "regression"]

TARGET_NAMES = ("target", "label", "class", "y")
MAX_INTEGER_CLASSES = 20  # a target of whole numbers with more distinct values than this is a quantity
MAX_CATEGORIES = 100  # of one column; rarer ones share "none of these"
# In standard deviations. A column that is almost always the same has a tiny deviation; without a limit its few other
# values would drown all other columns.
LIMIT = 5.0
FORMAT = 1


def find_target(table: Table, wanted: str | None = None) -> str:
    """The column to predict: the wanted one, else one called target, label, class or y, else the last.

    Raises
    ------
    DataError
        If there is no such column, or only one column in all.
    """
    names = list(table.columns)
    if wanted is not None and wanted not in names:
        raise DataError(f"{table.name}: no column {wanted!r} to predict; its columns are {some(names)}")
    if len(names) < 2:
        raise DataError(f"{table.name}: has only the column {names[0]!r}; nothing to predict it from")
    if wanted is not None:
        return wanted
    by_lower_case = {name.lower(): name for name in names}
    return next((by_lower_case[name] for name in TARGET_NAMES if name in by_lower_case), names[-1])


def split(
    n_rows: int, fraction: float, seed: int, labels: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row numbers for training and for validation, each in random order, decided by the seed alone.

    Parameters
    ----------
    n_rows : int
    fraction : float
        Of the rows that validate, in [0, 1); 0: none.
    seed : int
    labels : (n_rows,) int64, optional
        Classes: each is split in the same proportion, to within a row, and none is left without a training row.
    """
    draw = np.random.Generator(np.random.PCG64(seed))
    order = draw.permutation(n_rows)
    if labels is not None:
        order = order[np.argsort(labels[order], kind="stable")]
    # Every 1/fraction-th row of an order sorted by class takes the right share of every class.
    step = np.floor(np.arange(n_rows + 1) * fraction + 1e-9)
    chosen = step[1:] > step[:-1]
    if labels is not None:
        for label in np.setdiff1d(labels, labels[order[~chosen]]):
            chosen[np.argmax(labels[order] == label)] = False
    return draw.permutation(order[~chosen]), draw.permutation(order[chosen])


# ---- the target ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """What is predicted.

    Attributes
    ----------
    name : str
        Its column.
    task : "classification" or "regression"
    classes : tuple of str, int, float or bool
        Sorted; the network's output k is the probability of classes[k]. Empty for regression.
    mean, scale : float
        Regression: the network predicts (y - mean) / scale.
    """

    name: str
    task: Task
    classes: tuple[Any, ...] = ()
    mean: float = 0.0
    scale: float = 1.0

    @classmethod
    def find(cls, table: Table, name: str, task: Task | None = None) -> Target:
        """Find out what the column asks for. Its rows must all have a value (see `known_rows`).

        Text and truth values are classes. So are whole numbers with at most 20 distinct values, each seen at least
        twice; other numbers are quantities. `task` overrides that. Mean and scale are left to `standardised`.

        Raises
        ------
        DataError
            If there is only one class or one value, or the column cannot be what `task` says.
        """
        column = table.columns[name]
        where = f"{table.name}: target {name!r}"
        if task == "regression" and column.dtype == object:
            row = next((i for i, value in enumerate(column) if not _is_number(value)), 0)
            raise DataError(f"{where} is not numeric (row {row + 1}: {column[row]!r}); regression needs numbers")
        values, counts = np.unique(column, return_counts=True)
        whole = column.dtype == np.float64 and bool(np.all(values == np.round(values)))
        if task is None:
            few = whole and len(values) <= MAX_INTEGER_CLASSES and counts.min() >= 2
            task = "classification" if column.dtype != np.float64 or few or len(values) == 1 else "regression"
        if len(values) < 2:
            raise DataError(f"{where} is {some(values.tolist())} in all {len(column)} rows; nothing to learn")
        if task == "regression":
            return cls(name, task)
        if len(values) > len(column) // 2 and len(values) > 2:
            raise DataError(
                f"{where} has {len(values)} distinct values in {len(column)} rows, too many for classes; "
                "choose another column with --target" + ("" if column.dtype == object else " or --task regression")
            )
        return cls(name, task, tuple(int(v) if whole else v.item() if hasattr(v, "item") else v for v in values))

    def standardised(self, table: Table, rows: NDArray[np.int64]) -> Target:
        """For regression, a copy with mean and scale of these rows."""
        if self.task == "classification":
            return self
        values = table.columns[self.name][rows].astype(np.float64)
        mean, scale = _mean_and_scale(values, f"{table.name}: target {self.name!r}")
        if scale == 0:
            raise DataError(f"{table.name}: target {self.name!r} is {mean:g} in all training rows; nothing to learn")
        return Target(self.name, self.task, (), mean, scale)

    def encode(self, table: Table) -> NDArray[Any]:
        """The column for `fit` and `evaluate`: class numbers (rows,) int64, or standardised (rows, 1) float64.

        Raises
        ------
        DataError
            If a value is missing, not a number, or a class that training did not see.
        """
        column = table.columns[self.name]
        where = f"{table.name}: target {self.name!r}"
        if self.task == "regression":
            values = _numbers(column, where)
            _check_known(np.isnan(values), where)
            with np.errstate(over="ignore"):  # the network refuses what is not finite
                return ((values - self.mean) / self.scale)[:, None]
        number_of = {_key(value): number for number, value in enumerate(self.classes)}
        of_text = isinstance(self.classes[0], str)
        keys = _texts(column) if of_text else [_key(value) for value in column.tolist()]
        for row, key in enumerate(keys):
            if key not in number_of:
                raise DataError(f"{where} is {column[row]!s} in row {row + 1}; known classes: {some(self.classes)}")
        return np.fromiter((number_of[key] for key in keys), np.int64, len(keys))

    def decode(self, output: NDArray[Any]) -> NDArray[Any]:
        """(rows, outputs) of the network to classes (object array) or to quantities (float64), (rows,)."""
        if self.task == "regression":
            with np.errstate(over="ignore"):
                return output[:, 0].astype(np.float64) * self.scale + self.mean
        classes = np.empty(len(self.classes), object)
        classes[:] = self.classes
        decoded: NDArray[Any] = classes[output.argmax(axis=1)]
        return decoded

    @property
    def n_outputs(self) -> int:
        return len(self.classes) or 1

    @property
    def loss(self) -> str:
        """What `fit` is to make small."""
        return "cross_entropy" if self.classes else "mse"

    @property
    def metric(self) -> str:
        """What tells people how good it is."""
        return "accuracy" if self.classes else "r2"


def known_rows(table: Table, name: str) -> Table:
    """The table without the rows in which this column has no value, and a note if there are any.

    Raises
    ------
    DataError
        If no row is left, or a value is infinite.
    """
    column = table.columns[name]
    missing = _missing(column)
    if missing.all():
        raise DataError(f"{table.name}: target {name!r} has no values")
    if column.dtype == np.float64:
        _numbers(column, f"{table.name}: target {name!r}")
    if not missing.any():
        return table
    note = f"left out {missing.sum()} of {table.n_rows} rows that have no {name!r}"
    return Table(table.name, {key: values[~missing] for key, values in table.columns.items()}, (*table.notes, note))


# ---- the inputs ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NumberColumn:
    """(x - mean) / scale, limited to [-limit, limit]; the median stands for a missing x.

    With `indicator`, a second column is 1.0 where x was missing, else 0.0.
    """

    name: str
    median: float
    mean: float
    scale: float
    limit: float
    indicator: bool

    @property
    def width(self) -> int:
        return 1 + self.indicator

    def encode(self, column: NDArray[Any], where: str, out: NDArray[Any]) -> None:
        values = _numbers(column, where)
        missing = np.isnan(values)
        with np.errstate(over="ignore"):
            standard = (np.where(missing, self.median, values) - self.mean) / self.scale
        out[:, 0] = np.clip(standard, -self.limit, self.limit)
        if self.indicator:
            out[:, 1] = missing


@dataclass(frozen=True)
class TextColumn:
    """One column of 0.0 and 1.0 for each category; None stands for a missing value. All 0.0: none of these."""

    name: str
    categories: tuple[str | None, ...]

    @property
    def width(self) -> int:
        return len(self.categories)

    def encode(self, column: NDArray[Any], where: str, out: NDArray[Any]) -> None:
        place_of = {category: place for place, category in enumerate(self.categories)}
        places = np.array([place_of.get(value, -1) for value in _texts(column)], np.int64)
        rows = np.flatnonzero(places >= 0)
        out[:] = 0.0
        out[rows, places[rows]] = 1.0


@dataclass(frozen=True)
class Preprocessing:
    """How the columns of a table become a matrix, and what is predicted."""

    columns: tuple[NumberColumn | TextColumn, ...]
    target: Target

    @classmethod
    def fit(cls, table: Table, target: Target, rows: NDArray[np.int64]) -> tuple[Preprocessing, list[str]]:
        """Learn from these rows of the table, and say what is left out or done otherwise, and why.

        Every number column gets its own mean and scale, but one scale for all if they look like parts of one thing.

        Raises
        ------
        DataError
            If no column but the target varies, or a value is infinite.
        """
        columns: list[NumberColumn | TextColumn] = []
        constant: list[str] = []
        empty: list[str] = []
        notes: list[str] = []
        ranges: dict[str, tuple[float, float]] = {}
        for name, whole in table.columns.items():
            if name == target.name:
                continue
            where = f"{table.name}: column {name!r}"
            if whole.dtype != object:
                _numbers(whole, where)  # a bad value in a validation row is told before training, too
            column = whole[rows]
            missing = _missing(column)
            if missing.all():
                empty.append(name)
            elif column.dtype == object:
                encoder, note = _fit_text(name, column, missing)
                notes += note
                if encoder is not None:
                    columns.append(encoder)
                elif not note:
                    constant.append(name)
            else:
                number = _fit_number(name, column.astype(np.float64), missing, where)
                if number.scale == 0 and not number.indicator:
                    constant.append(name)
                else:
                    columns.append(number)
                    known = column[~missing]
                    ranges[name] = float(known.min()), float(known.max())
        if _one_unit(ranges):
            columns = _sharing_a_scale(columns)
            notes.append(f"{len(ranges)} columns share one range; they are scaled together")
        if constant:
            notes.append(f"left out {_columns(constant)}: the same value in every training row")
        if empty:
            notes.append(f"left out {_columns(empty)}: no values")
        if not columns:
            raise DataError(f"{table.name}: no column to learn from: {'; '.join(notes)}")
        return cls(tuple(columns), target.standardised(table, rows)), notes

    @property
    def n_inputs(self) -> int:
        return sum(column.width for column in self.columns)

    @property
    def text_columns(self) -> list[str]:
        """The columns that are to be read as text, so that categories such as 01 stay as they are written."""
        names = [column.name for column in self.columns if isinstance(column, TextColumn)]
        if any(isinstance(value, str) for value in self.target.classes):
            names.append(self.target.name)
        return names

    def transform(self, table: Table) -> NDArray[np.float32]:
        """The matrix (rows, n_inputs). Columns that training did not use are ignored.

        Raises
        ------
        DataError
            If a column is missing, or holds text or an infinity where training saw numbers.
        """
        absent = [column.name for column in self.columns if column.name not in table.columns]
        if absent:
            raise DataError(f"{table.name}: lacks {_columns(absent)} that the model was trained on")
        matrix = np.empty((table.n_rows, self.n_inputs), np.float32)
        first = 0
        for column in self.columns:
            part = matrix[:, first : first + column.width]
            column.encode(table.columns[column.name], f"{table.name}: column {column.name!r}", part)
            first += column.width
        return matrix

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` reads it back to an equal object."""
        return {"format": FORMAT, "target": asdict(self.target), "columns": [asdict(column) for column in self.columns]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Preprocessing:
        """Inverse of `to_dict`.

        Raises
        ------
        DataError
            If the data are of a newer format, or damaged.
        """
        if isinstance(data, dict) and type(data.get("format")) is int and data["format"] > FORMAT:
            raise DataError(f"the preprocessing is of format {data['format']}, newer than {FORMAT}; update schuss")
        try:
            given = _checked(data)
        except (TypeError, ValueError) as error:
            raise DataError(f"the preprocessing in the file is damaged: {error}") from None
        columns = [
            TextColumn(column["name"], tuple(column["categories"]))
            if "categories" in column
            else NumberColumn(**column)
            for column in given["columns"]
        ]
        target = {**given["target"], "classes": tuple(given["target"]["classes"])}
        return cls(tuple(columns), Target(**target))


def _checked(data: Any) -> dict[str, Any]:
    """What `Preprocessing.to_dict` has made. ValueError, TypeError that say what is not as it has made it."""
    from .files.header import array_of, distinct, one_of, optional, record, text, truth, whole

    def within(interval: str) -> Any:
        return lambda name, value: number(name, value, interval)

    def label(name: str, value: Any) -> Any:
        if not isinstance(value, (bool, str)):
            anything(name, value)
        return value

    anything, above = within("(-inf, inf)"), within("(0, inf)")
    of_text = record({"name": text, "categories": distinct(optional(text))})
    of_numbers = record(
        {"name": text, "median": anything, "mean": anything, "scale": above, "limit": above, "indicator": truth}
    )
    target = record(
        {
            "name": text,
            "task": one_of("classification", "regression"),
            "classes": distinct(label),
            "mean": anything,
            "scale": above,
        }
    )

    def column(name: str, value: Any) -> Any:
        return (of_text if isinstance(value, dict) and "categories" in value else of_numbers)(name, value)

    given: dict[str, Any] = record({"format": whole(1, FORMAT), "target": target, "columns": array_of(column)})(
        "its table", data
    )
    if bool(given["target"]["classes"]) != (given["target"]["task"] == "classification"):
        raise ValueError("its table.target.classes must be there for a classification, and only for one")
    return given


@dataclass(frozen=True)
class Prepared:
    """A table made ready to train on.

    Attributes
    ----------
    preprocessing : Preprocessing
    training : (X, y)
        For `fit`: float32 (rows, inputs), and what `Target.encode` gives.
    validation : (X, y) or None
    notes : list of str
        What was left out and why.
    """

    preprocessing: Preprocessing
    training: tuple[NDArray[np.float32], NDArray[Any]]
    validation: tuple[NDArray[np.float32], NDArray[Any]] | None
    notes: list[str]

    @property
    def n_validation(self) -> int:
        return len(self.validation[1]) if self.validation else 0

    @property
    def n_rows(self) -> int:
        return len(self.training[1]) + self.n_validation


def prepare(
    table: Table, target: str | None = None, task: Task | None = None, validation: float = 0.2, seed: int = 0
) -> Prepared:
    """Find out what to predict, split the rows, learn the preprocessing from the training rows, and apply it.

    Parameters
    ----------
    table : Table
    target, task
        Column and kind; None: found out, see `find_target` and `Target.find`.
    validation : float
        Fraction of the rows, in [0, 1).
    seed : int
        Decides which rows.

    Raises
    ------
    DataError
        If the table does not have what is needed.
    """
    name = find_target(table, target)
    table = known_rows(table, name)
    found = Target.find(table, name, task)
    labels = found.encode(table) if found.classes else None
    rows, held_out = split(table.n_rows, validation, seed, labels)
    if not len(rows) or (validation and not len(held_out)):
        raise DataError(f"{table.name}: {table.n_rows} rows are too few to validate on {validation:g} of them")
    preprocessing, notes = Preprocessing.fit(table, found, rows)
    x, y = preprocessing.transform(table), preprocessing.target.encode(table)
    return Prepared(
        preprocessing,
        (x[rows], y[rows]),
        (x[held_out], y[held_out]) if len(held_out) else None,
        [*table.notes, *notes],
    )


def _fit_number(name: str, values: NDArray[np.float64], missing: NDArray[np.bool_], where: str) -> NumberColumn:
    with np.errstate(over="ignore"):  # such values cannot be standardised, as the next line finds
        median = float(np.median(values[~missing]))
    mean, scale = _mean_and_scale(np.where(missing, median, values), where)
    gaps = bool(missing.any())
    return NumberColumn(name, median, mean, scale or float(gaps), LIMIT, gaps)


def _one_unit(ranges: dict[str, tuple[float, float]]) -> bool:
    """Whether the number columns look like parts of one thing (pixels, answers on one scale, yes or no): all start at
    the same value, and most end at the same.
    """
    lows = {low for low, _ in ranges.values()}
    highs = [high for _, high in ranges.values()]
    return len(ranges) > 1 and len(lows) == 1 and max(map(highs.count, set(highs))) > len(highs) / 2


def _sharing_a_scale(columns: list[NumberColumn | TextColumn]) -> list[NumberColumn | TextColumn]:
    """The same with the root mean square of the deviations as the scale of every number column.

    A pixel at the rim that is hardly ever set is then not blown up to the weight of those in the middle: an
    eighth fewer errors on digits.
    """
    scales = np.array([column.scale for column in columns if isinstance(column, NumberColumn)])
    largest = float(scales.max())
    scale = largest * float(np.sqrt(((scales / largest) ** 2).mean()))
    return [replace(column, scale=scale) if isinstance(column, NumberColumn) else column for column in columns]


def _fit_text(name: str, column: NDArray[Any], missing: NDArray[np.bool_]) -> tuple[TextColumn | None, list[str]]:
    """No column and no note: constant."""
    texts, counts = np.unique(column[~missing].astype(str), return_counts=True)
    n_known = int(counts.sum())
    if len(texts) == n_known and n_known > 20:
        return None, [f"left out column {name!r}: its {n_known} texts are all different"]
    notes = []
    if len(texts) > MAX_CATEGORIES:
        notes.append(f"column {name!r} has {len(texts)} categories; the {MAX_CATEGORIES} most frequent are told apart")
        frequent = np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]
        texts = texts[np.sort(frequent)]
    categories: tuple[str | None, ...] = tuple(map(str, texts))
    if missing.any():
        categories += (None,)
    return (TextColumn(name, categories) if len(categories) > 1 else None), notes


def _mean_and_scale(values: NDArray[np.float64], where: str) -> tuple[float, float]:
    """Mean and standard deviation; the latter is exactly 0 for equal values."""
    if values.min() == values.max():
        return float(values[0]), 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean, scale = float(values.mean()), float(values.std())
    if not np.isfinite(scale) or scale == 0:
        raise DataError(f"{where} has values from {values.min():g} to {values.max():g}: cannot be standardised")
    return mean, scale


def _missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    if column.dtype == object:
        return np.array([value is None for value in column], bool)
    return np.isnan(column) if column.dtype == np.float64 else np.zeros(len(column), bool)


def _numbers(column: NDArray[Any], where: str) -> NDArray[np.float64]:
    """As float64 with NaN where missing."""
    if column.dtype == object:
        for row, value in enumerate(column):
            if value is not None and not _is_number(value):
                raise DataError(f"{where} must be numeric, but row {row + 1} is {value!r}")
        return np.array([np.nan if value is None else float(value) for value in column], np.float64)
    values = column.astype(np.float64, copy=False)
    infinite = np.isinf(values)
    if infinite.any():
        raise DataError(f"{where} is infinite in row {int(infinite.argmax()) + 1}")
    return values


def _texts(column: NDArray[Any]) -> list[str | None]:
    """As text with None where missing; whole numbers are written without a point."""
    if column.dtype == object:
        return list(column)
    if column.dtype == bool:
        return [str(value) for value in column.tolist()]
    return [None if math.isnan(value) else f"{value:.15g}" for value in column.tolist()]


def _check_known(missing: NDArray[np.bool_], where: str) -> None:
    if missing.any():
        raise DataError(f"{where} has no value in row {int(missing.argmax()) + 1}")


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except (TypeError, ValueError):
        return False


def _key(value: Any) -> Any:
    """What makes two class values the same in files that were read differently: True and "True", 1 and 1.0."""
    return str(value) if isinstance(value, bool) else value


def _columns(names: Iterable[str]) -> str:
    names = list(names)
    return f"column{'s' if len(names) > 1 else ''} {some(names, most=5)}"


def some(values: Iterable[Any], most: int = 10) -> str:
    """The first few, for a message."""
    texts = [f"{value:g}" if isinstance(value, float) else repr(value) for value in values]
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")
