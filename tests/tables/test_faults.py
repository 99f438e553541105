"""Faults that readers of tables have, one a test: what a user's file must give instead."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from schuss.tables import DataError, Schema, Table, Target, find_target, read_table
from schuss.tables.columns import Boolean, Category, Date, Dropped, Number

NAN = np.nan


def table(folder: Path, content: str | bytes, name: str = "data.csv") -> Table:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


def csv_of(**columns: list[str]) -> str:
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(row) for row in rows)]) + "\n"


def column(schema: Schema, name: str) -> Any:
    return next(one for one in schema.columns if one.name == name)


def numbers(schema: Schema, frame: Any, name: str) -> NDArray[np.float64]:
    return schema.read(frame).numbers[:, schema.number_names.index(name)]


def codes(schema: Schema, frame: Any, name: str) -> list[int]:
    found: list[int] = schema.read(frame).codes[:, schema.category_names.index(name)].tolist()
    return found


# ---- truth values ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("true", "false"), [("TRUE", "FALSE"), ("yes", "no"), ("T", "F"), ("True", "false")])
def test_truth_values_with_gaps_are_the_same_in_training_and_prediction(tmp_path: Path, true: str, false: str) -> None:
    cells = [true, false, "", true] * 10
    found = table(tmp_path, csv_of(a=cells, b=[str(k % 7) for k in range(40)]))
    schema, _ = Schema.decide(found)
    assert column(schema, "a") == Boolean("a")
    assert codes(schema, found, "a") == [2, 1, 0, 2] * 10
    whole = table(tmp_path, csv_of(a=[true, false], b=["1", "2"]))
    assert codes(schema, whole, "a") == [2, 1]
    for frame in ({"a": np.array([True, False]), "b": [1, 2]}, {"a": ["1", "0"], "b": [1, 2]}):
        assert codes(schema, frame, "a") == [2, 1]


def test_a_gap_among_truth_values_only_in_prediction(tmp_path: Path) -> None:
    schema, _ = Schema.decide({"a": np.array([True, False, True]), "b": np.array([1.0, 2.0, 3.0])})
    found = table(tmp_path, "a,b\nTRUE,1\n,\nfalse,3\n")
    assert codes(schema, found, "a") == [2, 0, 1]
    np.testing.assert_array_equal(numbers(schema, found, "b"), [1.0, NAN, 3.0])
    assert codes(schema, {"a": [True, None, False], "b": [1, None, 3]}, "a") == [2, 0, 1]


@pytest.mark.parametrize("gap", ["", "NA"])
def test_a_target_of_truth_values_with_one_gap(tmp_path: Path, gap: str) -> None:
    found = table(tmp_path, csv_of(a=["1"] * 9, y=["TRUE", "FALSE", "TRUE"] * 2 + [gap, "FALSE", "TRUE"]))
    target, notes = Target.decide(found, "y")
    assert (target.task, target.classes) == ("classification", (False, True))
    assert "left out 1 of 9 rows that have no 'y'" in notes
    assert target.read(found).tolist() == [1, 0, 1, 1, 0, 1, -1, 0, 1]
    assert target.decode(np.array([1, 0])).tolist() == [True, False]


# ---- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["?", "-", "n.d.", "*", "NA", "None", "null", ".", "N/A", "#N/A", "nan"])
def test_one_cell_in_ten_that_is_no_number_leaves_the_column_numeric(tmp_path: Path, word: str) -> None:
    cells = [word if k % 10 == 3 else f"{k / 8}" for k in range(40)]
    found = table(tmp_path, csv_of(a=cells))
    schema, notes = Schema.decide(found)
    assert column(schema, "a") == Number("a")
    expected = [NAN if k % 10 == 3 else k / 8 for k in range(40)]
    np.testing.assert_array_equal(numbers(schema, found, "a"), expected)
    assert any(repr(word) in note and "4 rows" in note for note in notes)


@pytest.mark.parametrize("late", [False, True])
def test_quoted_decimal_commas_wherever_they_stand(tmp_path: Path, late: bool) -> None:
    cells = ["1", "22", "350"] * 100 + ['"1,5"', '"-2,25"']
    found = table(tmp_path, csv_of(a=cells if late else cells[::-1]))
    schema, _ = Schema.decide(found)
    assert column(schema, "a") == Number("a", ",")
    read = numbers(schema, found, "a")
    assert sorted(set(read.tolist())) == [-2.25, 1, 1.5, 22, 350]


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1.234,56", "12,5", "1.000.000", "-7"], [1234.56, 12.5, 1e6, -7.0]),
        (["$1,234.56", "-$12", "$-3.5", "$ 7"], [1234.56, -12, -3.5, 7]),
        (["12%", "3.5 %", "-1%", "100%"], [12, 3.5, -1, 100]),
        (["1 234,5", "999", "1\u00a0000\u00a0000", "0,25"], [1234.5, 999, 1e6, 0.25]),
        (["1'234.5", "12", "7’654’321", "0.5"], [1234.5, 12, 7654321, 0.5]),
        (["1.234,50 €", "7 €", "0,99 €", "12"], [1234.5, 7, 0.99, 12]),
        (["EUR 5", "EUR 1,234.5", "EUR -2", "EUR 0.1"], [5, 1234.5, -2, 0.1]),
        (["(1,234.50)", "12.25", "3", "4"], [-1234.5, 12.25, 3, 4]),
        (["−5", "2.5e3", "+1", ".5"], [-5, 2500, 1, 0.5]),
    ],
)
def test_thousands_currencies_and_percent(tmp_path: Path, texts: list[str], values: list[float]) -> None:
    found = table(tmp_path, csv_of(a=[f'"{text}"' for text in texts], b=["1", "2", "3", "4"]))
    schema, _ = Schema.decide(found)
    np.testing.assert_array_equal(numbers(schema, found, "a"), values)
    again = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
    np.testing.assert_array_equal(numbers(again, found, "a"), values)


def test_what_a_number_is_is_not_guessed_anew_in_prediction(tmp_path: Path) -> None:
    schema, _ = Schema.decide(table(tmp_path, csv_of(a=['"1.234,5"', '"7,25"', '"12"'])))
    found = table(tmp_path, csv_of(a=['"1.234"', '"1,5"', '"1.5"', '"12%"']))
    read = schema.read(found)
    np.testing.assert_array_equal(read.numbers[:, 0], [1234, 1.5, NAN, NAN])
    assert read.notes == (
        "column 'a': taken as missing: 2 of 4 cells, no numbers as in training, such as '1.5', '12%'",
    )


def test_text_in_all_rows_of_a_number_column_is_an_error(tmp_path: Path) -> None:
    schema, _ = Schema.decide(table(tmp_path, csv_of(a=["1", "2", "3"])))
    with pytest.raises(DataError, match=r"data: column 'a' must be numbers as in training; row 2 is 'red'"):
        schema.read(table(tmp_path, csv_of(a=["", "red", "blue"], b=["1", "1", "1"])))


@pytest.mark.parametrize(
    ("others", "value", "decimal"),
    [([], 1234.0, "."), (["0,5", "12,25"], 1.234, ","), (["0.5", "12.25"], 1234.0, ".")],
)
def test_a_comma_that_could_be_either_is_read_as_in_the_other_columns_and_told(
    tmp_path: Path, others: list[str], value: float, decimal: str
) -> None:
    columns = {"a": ['"1,234"', '"950"', '"22,100"', '"3"']}
    if others:
        columns["b"] = [f'"{text}"' for text in others * 2]
    found = table(tmp_path, csv_of(**columns))
    schema, notes = Schema.decide(found)
    assert numbers(schema, found, "a")[0] == value
    assert column(schema, "a").decimal == decimal
    assert any("'1,234' is read as" in note for note in notes)


def test_a_semicolon_says_that_commas_are_decimal(tmp_path: Path) -> None:
    found = table(tmp_path, "a;b\n1,234;x\n2,500;y\n3,125;x\n")
    schema, _ = Schema.decide(found)
    assert numbers(schema, found, "a").tolist() == [1.234, 2.5, 3.125]


def test_codes_with_leading_zeros_are_text(tmp_path: Path) -> None:
    found = table(tmp_path, csv_of(zip=["01234", "98765", "01234", "00501"]))
    schema, notes = Schema.decide(found)
    assert column(schema, "zip") == Category("zip", ("00501", "01234", "98765"))
    assert any("leading zeros" in note for note in notes)


# ---- classes and categories ------------------------------------------------------------------------------------------


def test_none_and_na_are_names_of_classes(tmp_path: Path) -> None:
    found = table(tmp_path, csv_of(a=list("123456"), y=["None", "NA", "Mild", "None", "NA", "Mild"]))
    target, notes = Target.decide(found, "y")
    assert target.classes == ("Mild", "NA", "None")
    assert target.decode(target.read(found)).tolist() == ["None", "NA", "Mild", "None", "NA", "Mild"]
    assert "'y': 'NA' is a class, not a missing value" in notes


def test_none_and_na_are_categories_among_text(tmp_path: Path) -> None:
    found = table(tmp_path, csv_of(a=["None", "NA", "", "Mild", "Mild", "?"]))
    schema, _ = Schema.decide(found)
    assert column(schema, "a").categories == ("?", "Mild", "NA", "None")
    assert codes(schema, found, "a") == [4, 3, 0, 2, 2, 1]


@pytest.mark.parametrize("gap", [[], [""]])
def test_labels_of_19_digits_are_not_merged(tmp_path: Path, gap: list[str]) -> None:
    labels = ["1234567890123456788", "1234567890123456789"] * 3 + gap
    found = table(tmp_path, csv_of(a=[str(k) for k in range(len(labels))], y=labels))
    target, _ = Target.decide(found, "y")
    assert target.classes == (1234567890123456788, 1234567890123456789)
    decoded = target.decode(target.read(found)[:6])
    assert decoded.dtype == np.int64 and decoded.tolist() == [int(label) for label in labels[:6]]


def test_identifiers_of_19_digits_are_told_apart(tmp_path: Path) -> None:
    ids = ["1234567890123456788", "1234567890123456789", "1234567890123456790"] * 2
    found = table(tmp_path, csv_of(shop=ids))
    schema, _ = Schema.decide(found)
    assert codes(schema, found, "shop") == [1, 2, 3] * 2
    assert codes(schema, {"shop": np.array([1234567890123456790])}, "shop") == [3]


def test_categories_that_training_did_not_see_are_counted_and_told(tmp_path: Path) -> None:
    schema, _ = Schema.decide(table(tmp_path, csv_of(a=["red", "blue", "red"], b=["1", "2", "3"])))
    read = schema.read(table(tmp_path, csv_of(a=["green", "red", "green", "", "pink"], b=["1"] * 5)))
    assert read.codes[:, 0].tolist() == [3, 2, 3, 0, 3]
    assert read.unknown == {"a": (3, ("green", "pink"))}
    assert read.notes == ("column 'a': 3 of 5 rows with categories that training did not see, such as 'green', 'pink'",)


def test_rare_categories_share_a_code_and_are_not_unknown() -> None:
    cells = [f"c{k % 300:03d}" for k in range(2000)]
    schema, notes = Schema.decide({"a": cells})
    assert schema.cardinalities == (256,)
    read = schema.read({"a": [*cells, "new"]})
    assert read.codes.max() == 257 and read.unknown == {"a": (1, ("new",))}
    assert any("300 categories" in note for note in notes)


# ---- dates -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "days"),
    [
        (["2020-01-31", "1970-01-02", ""], [18292, 1, NAN]),
        (["31.01.2020", "2.1.1970", "n.d."], [18292, 1, NAN]),
        (["1/31/2020", "1/2/1970", ""], [18292, 1, NAN]),
        (["31/01/2020", "02/01/1970", ""], [18292, 1, NAN]),
        (["31-Jan-2020", "02-Jan-1970", ""], [18292, 1, NAN]),
        (["January 31, 2020", "Jan 2, 1970", ""], [18292, 1, NAN]),
        (["2020-01-31T12:00:00", "1970-01-02 06:00", ""], [18292.5, 1.25, NAN]),
        (["2020-01-31T12:00:00+02:00", "1970-01-02T00:00:00Z", ""], [18292 + 10 / 24, 1, NAN]),
        (["Jan-31-2020", "Jan-2-1970", ""], [18292, 1, NAN]),
        (["2020Q2", "1970 q1", ""], [18353, 0, NAN]),
        (["Feb-20", "January-1970", ""], [18293, 0, NAN]),
        (["Feb 2020", "January 1970", ""], [18293, 0, NAN]),
        (["2020-02", "1970-01", ""], [18293, 0, NAN]),
        (["12:00", "6:00:00", ""], [0.5, 0.25, NAN]),
        (["1/31/20 6:00 PM", "1/2/70 12:00 AM", ""], [18292.75, 1, NAN]),
    ],
)
def test_dates_in_text(tmp_path: Path, texts: list[str], days: list[float]) -> None:
    found = table(tmp_path, csv_of(when=[f'"{text}"' for text in texts], b=["1", "2", "3"]))
    schema, _ = Schema.decide(found)
    assert isinstance(column(schema, "when"), Date)
    np.testing.assert_array_equal(numbers(schema, found, "when"), days)


def test_dates_are_the_same_in_csv_and_parquet(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    when = pd.date_range("2019-11-28 05:17:33.123456", periods=50, freq="29h")
    frame = pd.DataFrame({"when": when, "b": np.arange(50) % 7})
    frame.loc[7, "when"] = pd.NaT
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    frame["when"] = frame["when"].dt.tz_localize("UTC").dt.tz_convert("Europe/Berlin")
    frame.to_parquet(tmp_path / "zone.parquet")
    tables = [read_table(tmp_path / name) for name in ("a.csv", "a.parquet", "zone.parquet")]
    schemas = [Schema.decide(one)[0] for one in tables]
    assert schemas[0] == schemas[1] == schemas[2]
    assert schemas[0].number_names == ("when", "when month", "when weekday", "when hour", "b")
    first = schemas[0].read(tables[0])
    assert first.numbers[0, 1:4].tolist() == [11, 3, 5]  # a Thursday in November
    for one in tables[1:]:
        np.testing.assert_array_equal(first.numbers, schemas[0].read(one).numbers)


def test_days_and_months_that_could_be_either_are_told() -> None:
    schema, notes = Schema.decide({"a": ["03/04/2020", "05/06/2020"], "b": [1, 2]})
    assert column(schema, "a").order == "mdy"
    assert any(
        "read as dates (month, day, year), though it could be the other way round: column 'a'" in n for n in notes
    )
    schema, _ = Schema.decide({"a": ["03/04/2020", "05/06/2020"], "b": ["13/04/2020", "05/06/2020"]})
    assert column(schema, "a").order == column(schema, "b").order == "dmy"


# ---- columns that are no inputs --------------------------------------------------------------------------------------


def test_names_of_rows_are_no_feature_in_small_tables(tmp_path: Path) -> None:
    found = table(tmp_path, "car,mpg\nMazda RX4,21\nDatsun 710,22.8\nHornet,21.4\nValiant,18.1\n")
    schema, notes = Schema.decide(found)
    assert schema.category_names == ()
    assert "left out column 'car': all texts are different" in notes
    for name in ('""', "", "id", "rownames"):
        found = table(tmp_path, f"{name},mpg\n1,21\n2,22.8\n3,21.4\n4,18.1\n")
        schema, notes = Schema.decide(found)
        assert schema.number_names == ("mpg",)
        assert any("a number of its own for each row" in note for note in notes)


def test_nearly_unique_text_is_left_out() -> None:
    schema, notes = Schema.decide({"a": [f"sentence {k % 60}" for k in range(100)], "b": np.arange(100) % 9})
    assert isinstance(column(schema, "a"), Dropped)
    assert "left out column 'a': nearly all texts are different" in notes


def test_constant_and_empty_columns_are_left_out(tmp_path: Path) -> None:
    found = table(tmp_path, csv_of(a=["1", "1", "1"], b=["", "", ""], c=["x", "x", "x"], d=["1", "2", "NA"]))
    schema, notes = Schema.decide(found)
    assert schema.used_names == ("d",)
    assert "left out columns 'a', 'c': the same value in every training row" in notes
    assert "left out column 'b': no values" in notes
    with pytest.raises(DataError, match="no column to learn from"):
        Schema.decide(found, leave=("d",))


def test_an_index_in_parquet_is_left_out_with_a_word(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=pd.Index([5, 3, 9], name="key"))
    frame.to_parquet(tmp_path / "a.parquet")
    found = read_table(tmp_path / "a.parquet")
    assert found.names == ("a",)
    assert "the index ('key') is left out" in found.notes[0]
    kept = Schema.decide({"a": frame["a"].to_numpy(), "__index_level_0__": [5, 3, 5]})  # as polars reads such a file
    assert kept[0].number_names == ("a",) and any("the index of a pandas frame" in note for note in kept[1])
    frame.reset_index(drop=True).iloc[[2, 0, 1]].to_parquet(tmp_path / "b.parquet")
    assert "the index is left out" in read_table(tmp_path / "b.parquet").notes[0]
    assert "the index ('key') is left out" in Schema.decide(frame)[1][0]
    frame.reset_index().to_parquet(tmp_path / "c.parquet")
    assert not read_table(tmp_path / "c.parquet").notes


# ---- files -----------------------------------------------------------------------------------------------------------

ROWS = [["a", "b", "c"], ["1.5", "red", "7"], ["2.5", "blue, or so", "8"], ["", "red", "9"]]


def written(separator: str) -> str:
    return "".join(separator.join(f'"{cell}"' if " " in cell else cell for cell in row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    "content",
    [
        written(","),
        written(";"),
        written("\t"),
        written("|"),
        "sep=;\n" + written(";"),
        '"sep=;"\r\n' + written(";").replace("\n", "\r\n"),
        written(",").replace("\n", "\r"),
        "# made by hand, in May\n#\n" + written(","),
        "\n\n" + written(","),
        written(",").replace("\n", ",\n"),
        written(",").replace("\n", "\n\n"),
        written("\t").encode("utf-16"),
        written(",").encode("utf-16-le"),
        written(",").encode("utf-8-sig"),
        written(";").encode("utf-32"),
    ],
)
def test_every_dialect_is_the_same_table(tmp_path: Path, content: str | bytes) -> None:
    found = table(tmp_path, content)
    assert [found.cells(name).distinct()[0] for name in "abc"] == [
        ["1.5", "2.5"],
        ["red", "blue, or so"],
        ["7", "8", "9"],
    ]
    assert found.n_rows == 3


def test_header_cells_with_newlines_in_quotes(tmp_path: Path) -> None:
    found = table(tmp_path, 'weight,"size\n(cm)",y\n1,2,"a\nb"\n3,4,c\n')
    assert found.names == ("weight", "size\n(cm)", "y")
    assert found.cells("y").distinct()[0] == ["a\nb", "c"]


def test_latin_1_is_read_and_told(tmp_path: Path) -> None:
    found = table(tmp_path, "a;b\nGröße;5€\n".encode("cp1252"))
    assert found.cells("a").distinct()[0] == ["Größe"] and found.cells("b").distinct()[0] == ["5€"]
    assert "not UTF-8; read as Windows-1252" in found.notes[0]


def test_json_of_records_lines_and_columns(tmp_path: Path) -> None:
    records = [{"a": 1234567890123456789, "b": "x"}, {"a": 2, "b": None}]
    texts = [
        json.dumps(records),
        "\n".join(map(json.dumps, records)),
        json.dumps({"a": [records[0]["a"], 2], "b": ["x", None]}),
    ]
    for text in texts:
        found = table(tmp_path, text, "data.json")
        assert found.cells("a").distinct()[0] == ["2", "1234567890123456789"]
        assert found.cells("b").distinct()[1].tolist() == [0, -1]


def test_excel_is_read_or_refused_by_its_engine(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    path = tmp_path / "data.csv"  # what it is, its bytes say
    try:
        pd.DataFrame({"a": [1, 2], "b": ["NA", "x"]}).to_excel(tmp_path / "data.xlsx", index=False)
    except ImportError:
        import zipfile

        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("xl/workbook.xml", "")
        with pytest.raises(DataError, match="is an Excel workbook; reading it needs openpyxl: pip install openpyxl"):
            read_table(path)
        return
    (tmp_path / "data.xlsx").rename(path)
    assert read_table(path).cells("b").distinct()[0] == ["NA", "x"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xd0\xcf\x11\xe0" + b"\0" * 50, "is an old Excel workbook"),
        (b"SQLite format 3\0" + b"\0" * 50, "is an SQLite database"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"\x80\x04\x95", "is a pickle, which can run any code"),
        (b"<!DOCTYPE html><html></html>", "is a web page or XML"),
        (b"@RELATION iris\n@ATTRIBUTE a REAL\n", "is an ARFF file"),
        (b"%PDF-1.7", "is a PDF document"),
        (b"a,b\n1,2\n\0\1\2\3", "is not a CSV text file in UTF-8"),
        (b"", "is empty"),
        (b"  \n\n", "is empty"),
        (b"a,b\n", "has no rows"),
        (b"a,a\n1,2\n", "has two columns called 'a'"),
        (b"a,b\n1,2\n1,2,3\n", "rows have more values than the header has names: 3 for 2"),
        (b"a,b\n1,5,2\n3,25,4\n", "rows have more values"),
        (b'a,b\n1,"x\n2,y\n3,z\n', "a quote that is opened in row 1 is not closed"),
        (b'{"a": [1, 2', "a"),
    ],
)
def test_what_is_no_table_is_refused_in_words(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        table(tmp_path, content, "data.json" if content.startswith(b"{") else "data.csv")
    assert "\n" not in str(caught.value)


def test_a_wrong_target_is_told_with_the_right_one() -> None:
    with pytest.raises(DataError, match="target 'Y2' is not known; did you mean 'y2'"):
        find_target(["a", "y1", "y2"], "Y2")


def test_two_columns_of_one_name_are_refused() -> None:
    pd = pytest.importorskip("pandas")
    with pytest.raises(DataError, match=re.escape("has two columns called 'a'")):
        Schema.decide(pd.DataFrame([[1, 2]], columns=["a", "a"]))
