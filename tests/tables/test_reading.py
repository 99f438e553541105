"""Files and names of data sets become tables of raw cells, or one line that says why not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from schuss.tables import DataError, Schema, Table, open_table, read_table
from schuss.tables.cells import Text

CSV = "a,b\n1,x\n2,y\n"


def texts(table: Table) -> dict[str, list[str]]:
    found = {}
    for name in table.names:
        cells = table.cells(name)
        assert isinstance(cells, Text)
        found[name] = cells.texts()
    return found


def read(folder: Path, content: str | bytes, name: str = "data.csv") -> Table:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


def zipped(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("inner.csv", data)
    return stream.getvalue()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zipped])
def test_compressed_files_whatever_their_name(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    table = read(tmp_path, pack(CSV.encode()))
    assert texts(table) == {"a": ["1", "2"], "b": ["x", "y"]}


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    for data in (gzip.compress(CSV.encode())[:-9], zipped(CSV.encode())[:-30], bz2.compress(CSV.encode())[:-9]):
        with pytest.raises(DataError, match=r"^.*data.csv: "):
            read(tmp_path, data)
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(2), b=np.zeros(2))
    with pytest.raises(DataError, match="is an archive of NumPy arrays"):
        read(tmp_path, stream.getvalue())


@pytest.mark.parametrize(
    ("file", "name"),
    [("cars.csv", "cars"), ("cars.csv.gz", "cars"), ("cars.v2.TXT", "cars.v2"), ("cars", "cars"), (".csv", ".csv")],
)
def test_the_name_of_a_table(tmp_path: Path, file: str, name: str) -> None:
    assert read(tmp_path, CSV, file).name == name


def test_a_file_without_a_header(tmp_path: Path) -> None:
    table = read(tmp_path, "1.5,2\n3,4\n")
    assert texts(table) == {"column_1": ["1.5", "3"], "column_2": ["2", "4"]}
    assert table.notes == (f"{tmp_path}/data.csv has no header line; its columns are called column_1 to column_2",)
    assert texts(read(tmp_path, "1,5;2\n3;4\n")) == {"column_1": ["1,5", "3"], "column_2": ["2", "4"]}
    assert read(tmp_path, "name,2019,2020\nx,1,2\n").notes == (
        f"the first line of {tmp_path}/data.csv is taken as the names of its columns",
    )


def test_tables_that_r_has_written(tmp_path: Path) -> None:
    table = read(tmp_path, '"mpg" "cyl"\n"Mazda RX4" 21 6\n"Datsun" 22.8 4\n"Hornet 4" 21.4 6\n')
    assert texts(table)["mpg"] == ["21", "22.8", "21.4"] and table.names == ("row", "mpg", "cyl")
    assert table.nameless == {"row"}
    assert read(tmp_path, '"mpg","cyl"\n"1",21,6\n"2",22.8,4\n').names == ("row", "mpg", "cyl")


def test_a_header_that_is_a_comment(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "#chrom\tstart\nchr1\t1\nchr2\t5\n")) == {
        "chrom": ["chr1", "chr2"],
        "start": ["1", "5"],
    }
    assert read(tmp_path, "# by hand, 2020\na,b\n1,2\n").names == ("a", "b")


def test_one_column(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "a\n1,5\n\n2,5\n\n\n")) == {"a": ["1,5", "", "2,5"]}
    assert texts(read(tmp_path, 'a\n"x, y"\n""\n')) == {"a": ["x, y", ""]}
    assert texts(read(tmp_path, "full name\nAda Lovelace\nAlan Turing\n")) == {
        "full name": ["Ada Lovelace", "Alan Turing"]
    }


def test_rows_of_other_lengths(tmp_path: Path) -> None:
    table = read(tmp_path, "a,b\n1\n2,y,\n\n3,z,,\n")
    assert texts(table) == {"a": ["1", "2", "3"], "b": ["", "y", "z"]}
    assert table.notes == (
        f"1 row of {tmp_path}/data.csv with fewer cells than the header; the rest counts as empty",
        f"left out 1 empty line of {tmp_path}/data.csv",
    )


def test_inner_quotes_and_spaces(tmp_path: Path) -> None:
    table = read(tmp_path, 'a, b ,c\n5" pipe, "x, y", 1 \n6" pipe,"say ""so""",\t2\n')
    assert texts(table) == {"a": ['5" pipe', '6" pipe'], "b": ["x, y", 'say "so"'], "c": ["1", "2"]}


def test_rows_are_taken_in_any_order(tmp_path: Path) -> None:
    table = read(tmp_path, CSV)
    assert texts(table.take(np.array([1, 1, 0]))) == {"a": ["2", "2", "1"], "b": ["y", "y", "x"]}
    assert texts(table.take(np.array([False, True]))) == {"a": ["2"], "b": ["y"]}
    assert len(table.take(np.array([], np.int64))) == 0 and "a" in table and "c" not in table


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder, not a file"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="no such file"):
        open_table("./digits")
    with pytest.raises(DataError, match="did you mean 'digits'"):
        open_table("digit")


def test_named_data_sets_have_a_schema() -> None:
    pytest.importorskip("sklearn")
    table = open_table("iris")
    schema, notes = Schema.decide(table, leave=("target",))
    assert schema.number_names == table.names[:4] and table.name == "iris" and not notes
    assert schema.read(table).numbers.shape == (150, 4)


def test_parquet_keeps_whole_numbers_with_gaps_exact(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(
        {"a": pd.array([2**60 + 1, None, 3], "Int64"), "b": [True, None, False], "c": ["NA", None, "x"]}
    )
    frame.to_parquet(tmp_path / "data.csv")
    table = read_table(tmp_path / "data.csv")
    assert [table.cells(name).distinct()[0] for name in "abc"] == [
        ["3", str(2**60 + 1)],
        ["False", "True"],
        ["NA", "x"],
    ]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1" + b"\0" * 40)
    with pytest.raises(DataError, match="is a Parquet file that cannot be read"):
        read_table(tmp_path / "bad.parquet")


@pytest.mark.parametrize(
    "text", ['{"data": [{"a": 1}, {"a": 2}]}', '{"columns": ["a"], "data": [[1], [2]]}', '{"a": {"0": 1, "1": 2}}']
)
def test_forms_of_json(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text, "data.json").cells("a").distinct()[0] == ["1", "2"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "is JSON, but no array of objects"),
        ("[]", "is JSON, but no array of objects"),
        ("{", "is no valid JSON"),
        ('{"columns": ["a"], "data": [[1, 2]]}', "data.json: "),
        ('[{"a": [1]}]', "column 'a' holds values of type list"),
        ('{"a": [1], "b": [1, 2]}', "equally long"),
    ],
)
def test_json_that_is_no_table(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Schema.decide(read(tmp_path, text, "data.json"))


def test_a_table_that_begins_with_a_bracket_is_no_json(tmp_path: Path) -> None:
    assert texts(read(tmp_path, "[a],{b}\n1,2\n")) == {"[a]": ["1"], "{b}": ["2"]}


WHOLE_FILES = (
    b"a,b,c\n1,x,2020-01-01\n2,y,2021-02-03\n3,z,\n" * 3,
    'ä;b\n"1.234,5";x\n2,5;"y\nz"\n'.encode(),
    "a\tb\n1\t2\n".encode("utf-16"),
    b'[{"a":1,"b":"x"},{"a":2,"b":null}]',
    gzip.compress(CSV.encode()),
    zipped(CSV.encode()),
)
SCRAPS = (
    b"\0",
    b'"',
    b",",
    b";",
    b"\n",
    b"\r",
    b"#",
    b"sep=",
    b"{",
    b"[",
    b"\xff\xfe",
    b"\x80",
    b"1e999",
    b"(",
    b"$",
    b"99:99",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(WHOLE_FILES), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 4), st.sampled_from(SCRAPS)))
)
def test_damaged_files_are_read_or_refused_in_one_line(
    folder: Path, data: bytes, cuts: list[tuple[int, int, bytes]]
) -> None:
    for place, gone, scrap in cuts:
        data = data[:place] + scrap + data[place + gone :]
    try:
        table = read(folder, data)
        schema, _ = Schema.decide(table)
        columns = schema.read(table)
    except DataError as error:
        if "\n" in str(error):
            raise
    else:
        assert len(columns.numbers) == len(columns.codes) == table.n_rows
