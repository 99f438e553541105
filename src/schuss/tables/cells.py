"""Columns of any frame in a few plain forms, so that what a column is can be decided in one place.

A frame is a pandas or polars DataFrame, a dict of arrays, a 2-D NumPy array, or a `Table` of a file's cells. Nothing is
lost on the way: whole numbers stay exact, gaps do not turn them into floats, and text stays as it is written. Neither
pandas nor polars is imported here: a frame brings its own.
"""

from __future__ import annotations

import datetime
import decimal
import itertools
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .errors import DataError

__all__ = ["Cells", "Table", "Text", "Typed", "table_of"]

Kind = Literal["number", "whole", "truth", "time"]
CALLED: dict[str, str] = {"number": "numbers", "whole": "numbers", "truth": "truth values", "time": "dates"}
SEPARATOR = "\0"
EXACT = 2**53  # the largest whole number up to which float64 holds every one
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_MICROSECOND = datetime.timedelta(microseconds=1)


@dataclass(frozen=True, eq=False)
class Typed:
    """Cells whose type is known.

    Attributes
    ----------
    kind : "number", "whole", "truth" or "time"
    values : ndarray (rows,)
        float64 with NaN; int64 or uint64; bool; int64 microseconds since 1970, in UTC if they have a zone.
    missing : ndarray (rows,) of bool
    """

    kind: Kind
    values: NDArray[Any]
    missing: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: NDArray[Any]) -> Typed:
        return Typed(self.kind, self.values[rows], self.missing[rows])

    def distinct(self) -> tuple[list[str], NDArray[np.int64]]:
        """The different values as text, and for each row which of them it is; -1: missing."""
        known = self.values[~self.missing]
        values, inverse = np.unique(known, return_inverse=True)
        codes = np.full(len(self), -1, np.int64)
        codes[~self.missing] = inverse
        if self.kind == "time":
            return [str(value) for value in values.astype("datetime64[us]")], codes
        return [text_of(value) for value in values.tolist()], codes


@dataclass(frozen=True, eq=False)
class Text:
    """Cells of text; an empty one is a missing value.

    The cells of a file are kept as a few long texts: a text of its own for each would take ten times as much memory.

    Attributes
    ----------
    parts : tuple of str or list of str
        Cells one after the other, a str for many of them with `SEPARATOR` between.
    length : int
    declared : bool
        Whether whoever made the frame has said that these are categories, even if they look like numbers.
    """

    parts: tuple[str | list[str], ...]
    length: int
    declared: bool = False

    def __len__(self) -> int:
        return self.length

    def lists(self) -> Iterator[list[str]]:
        """The cells, some at a time."""
        for part in self.parts:
            yield part.split(SEPARATOR) if isinstance(part, str) else part

    def texts(self) -> list[str]:
        """The cells, all at a time."""
        return list(itertools.chain.from_iterable(self.lists()))

    def take(self, rows: NDArray[Any]) -> Text:
        texts = self.texts()
        if rows.dtype == bool:
            rows = np.flatnonzero(rows)
        return text_cells([texts[row] for row in rows.tolist()], declared=self.declared)

    def distinct(self) -> tuple[list[str], NDArray[np.int64]]:
        """The different texts without spaces around, and for each row which of them it is; -1: missing."""
        place: dict[str, int] = {}
        found: dict[str, int] = {}
        codes = [np.empty(0, np.int64)]
        for texts in self.lists():
            for text in dict.fromkeys(texts):
                if text not in found:
                    bare = text.strip()
                    found[text] = place.setdefault(bare, len(place)) if bare else -1
            codes.append(np.fromiter(map(found.__getitem__, texts), np.int64, len(texts)))
        return list(place), np.concatenate(codes)


Cells = Typed | Text


def text_cells(texts: list[str], *, declared: bool = False) -> Text:
    """Cells of text in the form that takes least memory."""
    joined = SEPARATOR.join(texts)
    whole = not texts or joined.count(SEPARATOR) == len(texts) - 1
    return Text((joined if whole and texts else list(texts),), len(texts), declared)


def text_of(value: Any) -> str:
    """A value as a category's text: 3, 3.0 and "3" are the same."""
    if isinstance(value, (float, np.floating)):
        value = float(value)
        return str(int(value)) if value.is_integer() and abs(value) <= EXACT else repr(value)
    return str(value)


class Table:
    """Named columns of equal length.

    Attributes
    ----------
    name : str
        Of the file, or "table".
    names : tuple of str
        Of the columns.
    n_rows : int
    notes : tuple of str
        What reading had to decide, for the user to see.
    nameless : frozenset of str
        Columns that had no name and were given one.
    decimal_comma : bool or None
        What the file's separator says of the decimal sign; None: nothing.
    """

    def __init__(
        self,
        name: str,
        columns: Mapping[str, Cells | Callable[[], Cells]],
        n_rows: int,
        notes: Iterable[str] = (),
        nameless: Iterable[str] = (),
        decimal_comma: bool | None = None,
    ) -> None:
        self.name = name
        self._columns = dict(columns)
        self.names = tuple(self._columns)
        self.n_rows = n_rows
        self.notes = tuple(notes)
        self.nameless = frozenset(nameless)
        self.decimal_comma = decimal_comma

    def __len__(self) -> int:
        return self.n_rows

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __repr__(self) -> str:
        return f"Table({self.name!r}, {self.n_rows} rows, columns {', '.join(map(repr, self.names))})"

    def cells(self, name: str) -> Cells:
        """A column. It may be made anew at each call."""
        found = self._columns[name]
        return found() if callable(found) else found

    def renamed(self, names: Iterable[str]) -> Table:
        """The same columns by other names, in order."""
        columns = {new: self._columns[old] for new, old in zip(names, self.names, strict=True)}
        return Table(self.name, columns, self.n_rows, self.notes, self.nameless, self.decimal_comma)

    def take(self, rows: NDArray[Any]) -> Table:
        """The table of these rows: numbers of rows, or a truth value for each."""
        rows = np.asarray(rows)
        n_rows = int(rows.sum()) if rows.dtype == bool else len(rows)

        def part_of(name: str) -> Callable[[], Cells]:
            return lambda: self.cells(name).take(rows)

        return Table(
            self.name, {name: part_of(name) for name in self.names}, n_rows, self.notes, self.nameless,
            self.decimal_comma,
        )  # fmt: skip


def table_of(frame: Any, name: str = "table") -> Table:
    """Any frame as a `Table`.

    Raises
    ------
    DataError
        If two columns have one name, lengths differ, or it is no such frame.
    """
    if isinstance(frame, Table):
        return frame
    module = type(frame).__module__.partition(".")[0]
    if module == "pandas" and hasattr(frame, "iloc") and hasattr(frame, "columns"):
        labels = list(frame.columns)
        columns = [_later(_of_pandas, frame.iloc[:, k]) for k in range(len(labels))]
        index = [str(label) for label in frame.index.names if label is not None]
        notes = (
            [f"the index ({', '.join(map(repr, index))}) is left out; reset_index() makes columns of it"]
            if index
            else []
        )
        return _checked(name, labels, columns, len(frame), notes)
    if module == "polars" and hasattr(frame, "get_columns"):
        series = frame.get_columns()
        return _checked(name, frame.columns, [_later(_of_polars, one) for one in series], frame.height)
    if isinstance(frame, Mapping):
        columns = [_later(_of_any, values) for values in frame.values()]
        single = next((label for label, values in frame.items() if not hasattr(values, "__len__")), None)
        if single is not None:
            raise DataError(f"{name}: column {str(single)!r} must be an array; got {type(frame[single]).__name__}")
        lengths = {label: len(values) for label, values in frame.items()}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{name}: columns must be equally long; got {lengths}")
        return _checked(name, list(frame), columns, next(iter(lengths.values()), 0))
    array = np.asarray(frame) if isinstance(frame, (np.ndarray, list, tuple)) else None
    if array is not None and array.ndim == 2:
        columns = [_later(_of_array, array[:, k]) for k in range(array.shape[1])]
        return _checked(name, [f"column_{k + 1}" for k in range(array.shape[1])], columns, len(array))
    raise DataError(
        f"{name}: must be a pandas or polars DataFrame, a dict of arrays or a 2-D array; got {type(frame).__name__}"
        + (f" of shape {array.shape}" if array is not None else "")
    )


def check_names(where: str, names: Iterable[str]) -> None:
    """Refuse two columns of one name."""
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise DataError(f"{where}: has two columns called {twice[0]!r}")


def _checked(
    name: str, labels: list[Any], columns: list[Callable[[], Cells]], n_rows: int, notes: Iterable[str] = ()
) -> Table:
    names = [str(label).strip() for label in labels]
    check_names(name, names)
    nameless = [text for text in names[:1] if text in ("", "None", "Unnamed: 0")]

    def of(label: str, make: Callable[[], Cells]) -> Callable[[], Cells]:
        def cells() -> Cells:
            try:
                return make()
            except (TypeError, ValueError, OverflowError) as error:
                raise DataError(f"{name}: column {label!r} {error}") from None

        return cells

    made = {label: of(label, make) for label, make in zip(names, columns, strict=True)}
    return Table(name, made, n_rows, notes, nameless)


def _later(make: Callable[[Any], Cells], source: Any) -> Callable[[], Cells]:
    return lambda: make(source)


def _of_any(values: Any) -> Cells:
    module = type(values).__module__.partition(".")[0]
    if module == "pandas" and hasattr(values, "dtype"):
        return _of_pandas(values)
    if module == "polars" and hasattr(values, "to_list"):
        return _of_polars(values)
    if isinstance(values, np.ndarray):
        return _of_array(values)
    array = np.empty(len(values), object)
    array[:] = list(values)
    return _of_array(array)


def _of_array(values: NDArray[Any]) -> Cells:
    if np.ma.isMaskedArray(values):
        gaps = np.ma.getmaskarray(values)
        values = np.asarray(values.astype(object))
        values[gaps] = None
    if values.ndim != 1:
        raise TypeError(f"must be 1-D; got shape {values.shape}")
    kind = values.dtype.kind
    if kind == "b":
        return Typed("truth", values, np.zeros(len(values), bool))
    if kind in "iu":
        return Typed("whole", values.astype(np.uint64 if kind == "u" else np.int64), np.zeros(len(values), bool))
    if kind == "f":
        with np.errstate(over="ignore"):
            numbers = values.astype(np.float64)
        return Typed("number", numbers, np.isnan(numbers))
    if kind == "M":
        return _times(values, np.isnat(values))
    if kind == "m":
        return _days(values)
    if kind in "UT":
        return text_cells([str(text) for text in values.tolist()])
    if kind == "O":
        return _of_objects(values)
    if kind == "S":
        return text_cells([text.decode() for text in values.tolist()])
    raise TypeError(f"holds {values.dtype} values; expected numbers, truth values, dates or text")


def _times(values: NDArray[Any], missing: NDArray[np.bool_]) -> Typed:
    micro = values.astype("datetime64[us]").astype(np.int64)
    return Typed("time", np.where(missing, 0, micro), missing)


def _days(values: NDArray[Any]) -> Typed:
    missing = np.isnat(values)
    micro = values.astype("timedelta64[us]").astype(np.int64)
    return Typed("number", np.where(missing, np.nan, micro / 86_400e6), missing)


def _is_gap(value: Any) -> bool:
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating, decimal.Decimal)) and bool(value != value)


def _of_objects(values: NDArray[Any]) -> Cells:
    """Python objects: of one type if they are, else as text."""
    listed = values.tolist()
    types = set(map(type, listed))
    if types == {str}:
        return text_cells(listed)
    missing = np.fromiter(map(_is_gap, listed), bool, len(listed))
    known = [value for value, gone in zip(listed, missing.tolist(), strict=True) if not gone]
    types = set(map(type, known))

    def of(*kinds: type) -> bool:
        return all(issubclass(one, kinds) for one in types)

    def spread(filler: Any, made: Any, dtype: Any) -> NDArray[Any]:
        whole: NDArray[Any] = np.full(len(listed), filler, dtype)
        whole[~missing] = made
        return whole

    if not known:
        return Typed("number", np.full(len(listed), np.nan), missing)
    truths = of(bool, np.bool_)
    if truths:
        return Typed("truth", spread(False, known, bool), missing)
    without_truths = not any(issubclass(one, (bool, np.bool_)) for one in types)
    if without_truths and of(int, np.integer):
        least, most = min(known), max(known)
        if least >= -(2**63) and most < 2**63:
            return Typed("whole", spread(0, known, np.int64), missing)
        if least >= 0 and most < 2**64:
            return Typed("whole", spread(0, known, np.uint64), missing)
    elif without_truths and of(int, float, np.integer, np.floating, decimal.Decimal):
        return Typed("number", spread(np.nan, [float(value) for value in known], np.float64), missing)
    elif of(datetime.date):  # a datetime is a date, too
        return Typed("time", spread(0, [_micro(value) for value in known], np.int64), missing)
    elif of(np.datetime64):
        return _times(spread(np.datetime64("NaT"), known, "datetime64[us]"), missing)
    elif of(datetime.timedelta):
        days = [value / datetime.timedelta(days=1) for value in known]
        return Typed("number", spread(np.nan, days, np.float64), missing)
    bad = next((value for value in known if isinstance(value, (list, tuple, dict, set, np.ndarray, complex))), None)
    if bad is not None:
        raise TypeError(f"holds values of type {type(bad).__name__}; expected numbers, truth values, dates or text")
    texts = (
        "" if gone else value.decode() if isinstance(value, bytes) else text_of(value)
        for value, gone in zip(listed, missing.tolist(), strict=True)
    )
    return text_cells(list(texts))


def _micro(value: datetime.date) -> int:
    if not isinstance(value, datetime.datetime):
        value = datetime.datetime(value.year, value.month, value.day)
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.timezone.utc)
    return (value - _EPOCH) // _MICROSECOND


def _of_pandas(series: Any) -> Cells:
    """A pandas Series or Index. The frame is there, so pandas is imported."""
    pd = sys.modules["pandas"]
    dtype = series.dtype
    missing = np.asarray(series.isna(), bool)
    types = pd.api.types
    if isinstance(dtype, pd.SparseDtype):
        return _of_pandas(series.sparse.to_dense())
    if isinstance(dtype, pd.CategoricalDtype):
        names = [text_of(value) for value in dtype.categories.tolist()]
        codes = np.asarray(series.cat.codes)
        return text_cells([names[code] if code >= 0 else "" for code in codes.tolist()], declared=True)
    if isinstance(dtype, pd.PeriodDtype):
        return _of_pandas(series.dt.to_timestamp())
    if isinstance(dtype, np.dtype):
        if types.is_datetime64_dtype(dtype):
            return _times(series.to_numpy(), missing)
        return _of_array(series.to_numpy())
    if isinstance(dtype, pd.DatetimeTZDtype):
        return _times(series.dt.tz_convert("UTC").dt.tz_localize(None).to_numpy(), missing)
    if types.is_bool_dtype(dtype):
        return Typed("truth", series.to_numpy(dtype=bool, na_value=False), missing)
    if types.is_integer_dtype(dtype):
        exact = np.uint64 if types.is_unsigned_integer_dtype(dtype) else np.int64
        return Typed("whole", series.to_numpy(dtype=exact, na_value=0), missing)
    if types.is_float_dtype(dtype):
        numbers = series.to_numpy(dtype=np.float64, na_value=np.nan)
        return Typed("number", numbers, np.isnan(numbers))
    if isinstance(dtype, pd.StringDtype):
        return text_cells(series.to_numpy(dtype=object, na_value="").tolist())
    return _of_objects(series.astype(object).to_numpy())


def _of_polars(series: Any) -> Cells:
    """A polars Series, without its becoming pandas'."""
    pl = sys.modules["polars"]
    dtype = series.dtype
    missing = np.asarray(series.is_null().to_numpy(), bool)
    if dtype == pl.Boolean:
        return Typed("truth", np.asarray(series.fill_null(False).to_numpy(), bool), missing)
    if dtype.is_integer():
        if dtype in (pl.UInt64, pl.UInt32, pl.UInt16, pl.UInt8):
            return Typed("whole", series.fill_null(0).to_numpy().astype(np.uint64), missing)
        if dtype in (pl.Int64, pl.Int32, pl.Int16, pl.Int8):
            return Typed("whole", series.fill_null(0).to_numpy().astype(np.int64), missing)
        return _of_objects(np.array(series.to_list(), object))
    if dtype.is_numeric():
        numbers = series.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype(np.float64)
        return Typed("number", numbers, np.isnan(numbers))
    if dtype == pl.String:
        return text_cells(series.fill_null("").to_list())
    if dtype in (pl.Categorical, pl.Enum):
        return text_cells(series.cast(pl.String).fill_null("").to_list(), declared=True)
    if dtype == pl.Date or dtype == pl.Datetime:
        micro = series.cast(pl.Datetime("us", getattr(dtype, "time_zone", None))).to_physical().fill_null(0)
        return Typed("time", micro.to_numpy().astype(np.int64), missing)
    if dtype == pl.Duration:
        micro = series.cast(pl.Duration("us")).to_physical().fill_null(0).to_numpy()
        return Typed("number", np.where(missing, np.nan, micro / 86_400e6), missing)
    if dtype == pl.Null:
        return Typed("number", np.full(len(series), np.nan), missing)
    values = np.empty(len(series), object)
    values[:] = series.to_list()
    return _of_objects(values)
