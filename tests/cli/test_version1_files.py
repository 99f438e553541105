"""Models of version 1: files become tables as they always did for them, or one line that says why not."""

from __future__ import annotations

import datetime
import gzip
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("typer")

from schuss.cli.version1_files import open_table, read
from schuss.tables import DataError


def write(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("packed", [False, True])
def test_csv(separator: str, packed: bool, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    lines = ["size,name,ok,gap", '1.5,"a, b; c",True,', "-2e3,d,False,7"]
    content = "\r\n".join(line.replace(",", separator) for line in lines[:1] + lines[2:]).encode()
    content += b"\r\n1.5" + separator.encode() + b'"a, b; c"' + separator.encode() + b"True" + separator.encode()
    path = write(tmp_path, gzip.compress(content) if packed else content, "my.data.csv" + ".gz" * packed)
    table = read(path)
    assert table.name == "my.data"
    assert list(table.columns) == ["size", "name", "ok", "gap"]
    np.testing.assert_array_equal(table.columns["size"], [-2000.0, 1.5])
    assert table.columns["name"].tolist() == ["d", "a, b; c"]
    assert table.columns["ok"].dtype == bool
    np.testing.assert_array_equal(table.columns["gap"], [7.0, np.nan])
    assert table.notes == ()


def test_csv_peculiarities(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    comma = read(write(tmp_path, "a;b\n1,5;x\n2;y\n"))
    np.testing.assert_array_equal(comma.columns["a"], [1.5, 2.0])

    headless = read(write(tmp_path, "5.1,3.5,x\n".replace("x", "0") + "4.9,3.0,1\n"))
    assert list(headless.columns) == ["column_1", "column_2", "column_3"] and headless.n_rows == 2
    assert "no header" in headless.notes[0]

    numbered = read(write(tmp_path, "0,1,2\n5,6,7\n"))
    assert list(numbered.columns) == ["0", "1", "2"] and numbered.n_rows == 1

    doubtful = read(write(tmp_path, "57,Bern,high\n23,Genf,low\n"))
    assert list(doubtful.columns) == ["57", "Bern", "high"] and "as the names of its columns" in doubtful.notes[0]

    counted = read(write(tmp_path, ",a\n0,6\n1,7\n"))
    assert list(counted.columns) == ["a"] and "counts the rows" in counted.notes[0]

    latin = read(write(tmp_path, "größe,b\n1,é\n".encode("latin-1")))
    assert list(latin.columns) == ["größe", "b"] and "Latin-1" in latin.notes[0]

    as_text = read(write(tmp_path, "a,b\n1,01\n2,02\n"), text=["b", "absent"])
    assert as_text.columns["b"].tolist() == ["01", "02"]

    mark = read(write(tmp_path, "\ufeffa, b\n1, x\n2,\n"))
    assert list(mark.columns) == ["a", "b"] and mark.columns["b"].tolist() == ["x", None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"a,b\n", "has no rows"),
        (b"a,b\n1,2\n1,2,3\n", "line 3"),
        (b"a,b\n1,2,3\n1,2,3\n", "more values than"),
        (b"a,a\n1,2\n", "two columns called 'a'"),
        (b'a,b\n1,"x\n', "EOF inside string"),
        (b"\x89PNG\0\0\0", "not a CSV"),
        (b"\x1f\x8bgarbage", "data.csv: "),
    ],
)
def test_bad_csv(content: bytes, message: str, tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    with pytest.raises(DataError, match=message) as caught:
        read(write(tmp_path, content))
    assert "data.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_folder_and_missing_file(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    with pytest.raises(DataError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "absent.csv")


def test_parquet(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, None], dtype="Int64"),
            "real": [1.5, None],
            "text": ["a", None],
            "flag": [True, False],
            "day": [datetime.date(1970, 1, 11), None],
            "kind": pd.Categorical(["u", "v"]),
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    columns = read(tmp_path / "t.parquet").columns
    np.testing.assert_array_equal(columns["whole"], [1.0, np.nan])
    np.testing.assert_array_equal(columns["real"], [1.5, np.nan])
    assert columns["text"].tolist() == ["a", None]
    assert columns["flag"].dtype == bool
    np.testing.assert_array_equal(columns["day"], [10.0, np.nan])
    assert columns["kind"].tolist() == ["u", "v"]

    pd.DataFrame({"lists": [[1], [2]]}).to_parquet(tmp_path / "lists.parquet")
    with pytest.raises(DataError, match="column 'lists' holds"):
        read(tmp_path / "lists.parquet")
    with pytest.raises(DataError, match=r"bad\.parquet"):
        read(write(tmp_path, b"PAR1 but not really", "bad.parquet"))


@pytest.mark.parametrize(("data", "message"), [("digit", "did you mean 'digits'"), ("nope.csv", "no such file")])
def test_unknown_names(data: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=message):
        open_table(data)
