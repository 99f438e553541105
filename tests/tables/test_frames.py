"""Frames of pandas, polars and NumPy: each dtype becomes what it is, with nothing lost on the way."""

from __future__ import annotations

import datetime
import decimal
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from schuss.tables import DataError, Schema, table_of
from schuss.tables.cells import Text, Typed
from schuss.tables.columns import Boolean, Category, Number

NAN = np.nan
LARGE = 2**60 + 1
DAY = 86_400_000_000


def cells(values: Any) -> tuple[str, list[Any]]:
    """Kind of the only column, and its values with None for gaps."""
    found = table_of({"a": values}).cells("a")
    if isinstance(found, Text):
        return ("declared" if found.declared else "text"), [text or None for text in found.texts()]
    assert isinstance(found, Typed)
    pairs = zip(found.values.tolist(), found.missing.tolist(), strict=True)
    return found.kind, [None if gone else value for value, gone in pairs]


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (np.array([True, False]), "truth", [True, False]),
        (np.array([1, LARGE], ">i8"), "whole", [1, LARGE]),
        (np.array([1, 2**64 - 1], np.uint64), "whole", [1, 2**64 - 1]),
        (np.array([1, 2], np.int8), "whole", [1, 2]),
        (np.array([1.5, NAN], np.float16), "number", [1.5, None]),
        (np.array([1.5, NAN], np.longdouble), "number", [1.5, None]),
        (np.array(["a", ""]), "text", ["a", None]),
        (np.array([b"a", b"b"]), "text", ["a", "b"]),
        (np.array(["1970-01-02", "NaT"], "datetime64[D]"), "time", [DAY, None]),
        (np.array(["1970-01-01T00:00:00.000001999", "NaT"], "datetime64[ns]"), "time", [1, None]),
        (np.array([36, "NaT"], "timedelta64[h]"), "number", [1.5, None]),
        (np.ma.array([1, 2], mask=[False, True]), "whole", [1, None]),
        ([1, None, LARGE], "whole", [1, None, LARGE]),
        ([2**63, None], "whole", [2**63, None]),
        ([2**64, None], "text", [str(2**64), None]),
        ([1, 2.5, None], "number", [1, 2.5, None]),
        ([decimal.Decimal("1.5"), decimal.Decimal("NaN")], "number", [1.5, None]),
        ([True, None, np.False_], "truth", [True, None, False]),
        (["a", None, NAN, "b"], "text", ["a", None, None, "b"]),
        (["a", 1, 2.0, True], "text", ["a", "1", "2", "True"]),
        ([datetime.date(1970, 1, 2), None], "time", [DAY, None]),
        (
            [datetime.datetime(1970, 1, 2, tzinfo=datetime.timezone(datetime.timedelta(hours=1)))],
            "time",
            [23 * DAY // 24],
        ),
        ([datetime.timedelta(hours=12), None], "number", [0.5, None]),
        ([None, NAN], "number", [None, None]),
    ],
)
def test_arrays_and_lists(values: Any, kind: str, expected: list[Any]) -> None:
    assert cells(values) == (kind, expected)


@pytest.mark.parametrize("values", [np.array([1j]), [[1], [2]], [{"a": 1}], np.zeros((2, 2))])
def test_what_is_no_column_is_refused_by_name(values: Any) -> None:
    with pytest.raises(DataError, match=r"^table: column 'a' "):
        table_of({"a": values}).cells("a")


PANDAS: list[tuple[Any, Any, str, list[Any]]] = [
    ([1, None, LARGE], "Int64", "whole", [1, None, LARGE]),
    ([1, None, 2**64 - 1], "UInt64", "whole", [1, None, 2**64 - 1]),
    ([1.5, None], "Float32", "number", [1.5, None]),
    ([1.5, None], "float64", "number", [1.5, None]),
    ([True, None], "boolean", "truth", [True, None]),
    (["a", None], "string", "text", ["a", None]),
    (["a", None], "str", "text", ["a", None]),
    (["a", None], object, "text", ["a", None]),
    (["01", None, "2"], "category", "declared", ["01", None, "2"]),
    ([3, None, 2], "category", "declared", ["3", None, "2"]),
    (["1970-01-02", None], "datetime64[ns]", "time", [DAY, None]),
    (["1970-01-02", None], "datetime64[s]", "time", [DAY, None]),
    (["1970-01-02", None], "datetime64[ns, Etc/GMT-1]", "time", [23 * DAY // 24, None]),
    (["1970-01-02", None], "period[D]", "time", [DAY, None]),
    ([0, 5, 0], "Sparse[int64]", "whole", [0, 5, 0]),
    ([1, None, LARGE], "int64[pyarrow]", "whole", [1, None, LARGE]),
    ([1.5, None], "double[pyarrow]", "number", [1.5, None]),
    ([True, None], "bool[pyarrow]", "truth", [True, None]),
    (["a", None], "string[pyarrow]", "text", ["a", None]),
]


@pytest.mark.parametrize(("values", "dtype", "kind", "expected"), PANDAS, ids=[str(row[1]) for row in PANDAS])
def test_pandas(values: list[Any], dtype: Any, kind: str, expected: list[Any]) -> None:
    pd = pytest.importorskip("pandas")
    if "pyarrow" in str(dtype):
        pytest.importorskip("pyarrow")
    assert cells(pd.Series(values, dtype=dtype, index=range(5, 5 + len(values)))) == (kind, expected)


def test_dates_of_arrow_in_pandas() -> None:
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    days = [datetime.date(1970, 1, 2), None]
    for kind in (pa.date32(), pa.timestamp("ns"), pa.timestamp("us", "UTC")):
        assert cells(pd.Series(days, dtype=pd.ArrowDtype(kind))) == ("time", [DAY, None])


def test_polars() -> None:
    pl = pytest.importorskip("polars")
    when = datetime.datetime(1970, 1, 2)
    frame = pl.DataFrame(
        {
            "whole": [1, None, LARGE],
            "small": pl.Series([1, None, 2], dtype=pl.UInt8),
            "number": [1.5, None, NAN],
            "single": pl.Series([1.5, None, 2.5], dtype=pl.Float32),
            "truth": [True, None, False],
            "text": ["a", None, "b"],
            "category": pl.Series(["01", None, "2"], dtype=pl.Categorical),
            "enum": pl.Series(["01", None, "2"], dtype=pl.Enum(["01", "2"])),
            "date": [when.date(), None, when.date()],
            "time": [when, None, when],
            "zone": pl.Series([when, None, when]).dt.replace_time_zone("Etc/GMT-1"),
            "span": [datetime.timedelta(hours=12), None, datetime.timedelta(0)],
            "money": pl.Series([decimal.Decimal("1.5"), None, decimal.Decimal("2")]),
            "null": [None, None, None],
        }
    )
    expected = {
        "whole": ("whole", [1, None, LARGE]),
        "small": ("whole", [1, None, 2]),
        "number": ("number", [1.5, None, None]),
        "single": ("number", [1.5, None, 2.5]),
        "truth": ("truth", [True, None, False]),
        "text": ("text", ["a", None, "b"]),
        "category": ("declared", ["01", None, "2"]),
        "enum": ("declared", ["01", None, "2"]),
        "date": ("time", [DAY, None, DAY]),
        "time": ("time", [DAY, None, DAY]),
        "zone": ("time", [23 * DAY // 24, None, 23 * DAY // 24]),
        "span": ("number", [0.5, None, 0]),
        "money": ("number", [1.5, None, 2]),
        "null": ("number", [None, None, None]),
    }
    for name, found in expected.items():
        assert cells(frame[name]) == found, name
    assert table_of(frame).names == tuple(expected)
    with pytest.raises(DataError, match="column 'a' holds values of type list"):
        table_of(pl.DataFrame({"a": [[1], [2]]})).cells("a")


def test_an_array_of_two_dimensions_has_numbered_columns() -> None:
    x = np.array([[1.0, 2.0], [3.0, NAN], [5.0, 6.0]])
    schema, _ = Schema.decide(x)
    assert schema.number_names == ("column_1", "column_2")
    np.testing.assert_array_equal(schema.read(x).numbers, x)
    mixed = np.array([[1, "a", True], [2, "b", False], [3, "a", None]], object)
    schema, _ = Schema.decide(mixed)
    assert schema.columns == (Number("column_1"), Category("column_2", ("a", "b")), Boolean("column_3"))
    assert schema.read(mixed).codes.tolist() == [[1, 2], [2, 1], [1, 0]]


@pytest.mark.parametrize("frame", [np.zeros(3), np.zeros((1, 2, 3)), "table", 3, None])
def test_what_is_no_frame_is_refused(frame: Any) -> None:
    with pytest.raises(DataError, match="must be a pandas or polars DataFrame, a dict of arrays or a 2-D array; got"):
        Schema.decide(frame)


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="equally long"):
        Schema.decide({"a": [1, 2], "b": [1]})
    with pytest.raises(DataError, match="column 'b' must be an array; got int"):
        Schema.decide({"a": [1, 2], "b": 1})


def test_importing_tables_imports_nothing_large() -> None:
    large = ("pandas", "polars", "sklearn", "pyarrow", "scipy")
    code = f"import sys, schuss, schuss.tables; print([name for name in {large} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
    code = "import sys, schuss; print('schuss.tables' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
