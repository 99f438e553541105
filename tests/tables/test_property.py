"""Whatever a table holds and however its file is written: what is read for prediction is what training read."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from schuss.tables import Columns, DataError, Schema, Table, Target, read_table

WORDS = ["", "?", "-", "n.d.", "*", "NA", "None", "null", ".", "nan"]
FIRST, LAST = datetime.datetime(1970, 1, 1), datetime.datetime(2060, 1, 1)
LETTERS = st.characters(codec="utf-8", exclude_characters="\0")


def whole_numbers(draw: st.DrawFn, n: int) -> list[str]:
    low, high = draw(st.sampled_from([(0, 1), (-5, 5), (0, 10**6), (2**53 - 2, 2**53 + 2), (10**18, 10**18 + 3)]))
    return [str(draw(st.integers(low, high))) for _ in range(n)]


def decimals(draw: st.DrawFn, n: int) -> list[str]:
    point, group = draw(st.sampled_from([".", ".,", ". ", ".'", ",", ",.", ", "])).ljust(2, "\0")
    unit = draw(st.sampled_from(["", "", "$", "€", "%", "EUR"]))
    return [written(draw(st.integers(-(10**9), 10**9)), draw(st.integers(0, 3)), point, group, unit) for _ in range(n)]


def written(digits: int, places: int, point: str, group: str, unit: str) -> str:
    """A number of so many decimal places in a form."""
    text = f"{digits / 10**places:,.{places}f}"
    text = text.replace(",", "g").replace(".", "p").replace("g", group.strip("\0")).replace("p", point)
    return text + unit if unit in ("€", "%") else f"{unit}{text}" if unit != "EUR" else f"EUR {text}"


def truths(draw: st.DrawFn, n: int) -> list[str]:
    pair = draw(st.sampled_from([("TRUE", "FALSE"), ("yes", "no"), ("t", "f"), ("True", "False"), ("1", "0")]))
    return [draw(st.sampled_from(pair)) for _ in range(n)]


def categories(draw: st.DrawFn, n: int) -> list[str]:
    some = draw(
        st.lists(st.text(LETTERS, max_size=6) | st.sampled_from([*WORDS, "01", "1,5", '"']), min_size=1, max_size=4)
    )
    return [draw(st.sampled_from(some)) for _ in range(n)]


def texts(draw: st.DrawFn, n: int) -> list[str]:
    return [draw(st.text(LETTERS, max_size=12)) for _ in range(n)]


def dates(draw: st.DrawFn, n: int) -> list[str]:
    form = draw(
        st.sampled_from(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%y", "%d %b %Y", "%Y-%m-%dT%H:%M:%S", "%H:%M"])
    )
    return [draw(st.datetimes(FIRST, LAST)).strftime(form) for _ in range(n)]


def codes(draw: st.DrawFn, n: int) -> list[str]:
    return [f"{draw(st.integers(0, 99)):05d}" for _ in range(n)]


def counting(draw: st.DrawFn, n: int) -> list[str]:
    start = draw(st.integers(0, 1))
    return [str(k + start) for k in range(n)]


KINDS = (whole_numbers, decimals, truths, categories, texts, dates, codes, counting)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """Names and rows of cells."""
    n = draw(st.integers(1, 12) | st.just(40))
    columns = []
    for _ in range(draw(st.integers(1, 5))):
        cells = draw(st.sampled_from(KINDS))(draw, n)
        gaps = draw(st.sampled_from([0.0, 0.0, 0.1, 0.9]))
        words = draw(st.sampled_from([[""], WORDS, ["rubbish"]]))
        random = draw(st.randoms())
        for k in range(n):
            if random.random() < gaps:
                cells[k] = random.choice(words)
        columns.append(cells)
    names = draw(
        st.lists(
            st.text(LETTERS, min_size=1, max_size=4).map(lambda text: "c" + text),
            min_size=len(columns), max_size=len(columns), unique_by=str.strip,
        )
    )  # fmt: skip
    return names, [list(row) for row in zip(*columns, strict=True)]


@st.composite
def files(draw: st.DrawFn, names: list[str], rows: list[list[str]]) -> bytes:
    """A CSV file in any dialect."""
    separator = draw(st.sampled_from(",;\t|"))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    quoting: Any = draw(st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]))
    if len(names) == 1 or any("\n" in cell or "\r" in cell for row in [names, *rows] for cell in row):
        quoting = csv.QUOTE_ALL
    stream = io.StringIO(newline="")
    if draw(st.booleans()):
        stream.write(draw(st.sampled_from([f"sep={separator}{end}", f"# made by hand{end}#{end}", end])))
    extra = [""] * draw(st.integers(0, 1)) if len(names) > 1 else []
    header = draw(st.booleans())
    writer = csv.writer(stream, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow([*names, *(extra if header else [])])
    blank = len(names) > 1 and draw(st.booleans())
    for row in rows:
        writer.writerow([*row, *extra])
        if blank and draw(st.booleans()):
            stream.write(draw(st.sampled_from(["", "  "])) + end)
    text = stream.getvalue()
    if draw(st.booleans()):
        text = text.removesuffix(end)
    encoded = text.encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))
    return gzip.compress(encoded) if draw(st.booleans()) else encoded


def decided(frame: Any) -> Schema | None:
    """None: no column can be learned from."""
    try:
        return Schema.decide(frame)[0]
    except DataError as error:
        if "no column to learn from" not in str(error):
            raise
        return None


def same(one: Columns, two: Columns, rows: Any = slice(None)) -> None:
    assert one.numbers[rows].tobytes() == two.numbers.tobytes()
    assert one.codes[rows].tobytes() == two.codes.tobytes()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tables")


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_prediction_reads_what_training_read(folder: Path, data: st.DataObject) -> None:
    names, rows = data.draw(tables())
    path = folder / "table.csv"
    path.write_bytes(data.draw(files(names, rows)))
    trained = read_table(path)
    assert trained.n_rows == len(rows)
    assert trained.names[: len(names)] == tuple(name.strip() for name in names)
    for k, name in enumerate(trained.names[: len(names)]):
        assert trained.cells(name).take(np.arange(len(rows))).texts() == [row[k].strip() for row in rows]  # type: ignore[union-attr]
    part = np.array(data.draw(st.permutations(range(len(rows)))))[: data.draw(st.integers(1, len(rows)))]
    for training, its_rows in ((trained, slice(None)), (trained.take(part), part)):
        schema = decided(training)
        if schema is None:
            continue
        again = Schema.from_dict(json.loads(json.dumps(schema.to_dict())))
        assert again == schema
        own = schema.read(training)
        assert not own.unknown
        assert own.numbers.shape == (len(training), len(schema.number_names))
        assert own.codes.shape == (len(training), len(schema.category_names))
        assert not np.isinf(own.numbers).any()
        assert (own.codes >= 0).all() and (own.codes <= np.array(schema.cardinalities) + 1).all()
        same(again.read(read_table(path)), own, its_rows)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_target_is_read_as_in_training(folder: Path, data: st.DataObject) -> None:
    n = data.draw(st.integers(4, 30))
    cells = data.draw(st.sampled_from(KINDS))(data.draw, n)  # type: ignore[arg-type]
    cells = [data.draw(st.sampled_from(["", "NA", cell])) for cell in cells]
    path = folder / "target.csv"
    path.write_bytes(data.draw(files(["a", "y"], [["1", cell] for cell in cells])))
    trained = read_table(path)
    try:
        target, _ = Target.decide(trained, "y")
    except DataError:
        return
    again = Target.from_dict(json.loads(json.dumps(target.to_dict())))
    assert again == target
    own, other = target.read(trained), again.read(read_table(path))
    assert len(own) == n and own.tobytes() == other.tobytes()
    if target.classes:
        found = target.decode(own[own >= 0]).tolist()
        kept = [cell.strip() for cell, code in zip(cells, own.tolist(), strict=True) if code >= 0]
        if target.kind == "text":
            assert found == kept
            assert all(cell.strip() == "" for cell, code in zip(cells, own.tolist(), strict=True) if code < 0)
        assert len(set(found)) == len(target.classes)


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([".", ".,", ". ", ".'", ",", ",.", ", ", ",'"]),
    st.sampled_from(["", "$", "€", "%", "EUR"]),
    st.lists(st.tuples(st.integers(-(10**12), 10**12), st.integers(0, 6)), max_size=20),
)
def test_numbers_are_what_is_written(signs: str, unit: str, drawn: list[tuple[int, int]]) -> None:
    point, group = signs.ljust(2, "\0")
    told = [(1234567891, 1), *drawn, (-55, 1)]  # the first and the last leave no doubt
    cells = [written(digits, places, point, group, unit) for digits, places in told]
    schema, _ = Schema.decide({"a": cells})
    expected = [float(f"{digits / 10**places:.{places}f}") for digits, places in told]
    np.testing.assert_array_equal(schema.read({"a": cells}).numbers[:, 0], expected)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_frames_of_every_kind_are_read_alike(data: st.DataObject) -> None:
    pd = pytest.importorskip("pandas")
    names, rows = data.draw(tables())
    names = [name.strip() for name in names]
    assume(len(set(names)) == len(names))
    columns = {name: [row[k] for row in rows] for k, name in enumerate(names)}
    frames: list[Any] = [
        columns,
        pd.DataFrame(columns),
        {name: np.array(cells, object) for name, cells in columns.items()},
    ]
    frames.append(pd.DataFrame({name: pd.array(cells, "string[python]") for name, cells in columns.items()}))
    try:
        import polars as pl
    except ImportError:
        pass
    else:
        frames.append(pl.DataFrame(columns))
    found = [(schema, schema.read(frame)) for frame in frames if (schema := decided(frame)) is not None]
    assert len(found) in (0, len(frames))
    for schema, read in found[1:]:
        assert schema == found[0][0]
        same(read, found[0][1])


def test_rows_are_numbered_as_they_stand_in_a_long_file(tmp_path: Path) -> None:
    n = 40_000  # more than is split at a time
    path = tmp_path / "long.csv"
    lines = [f'{k / 4},"row\n{k % 3}",{k % 5}' + "\n" * (k % 7 == 0) for k in range(n)]
    path.write_text("a,b,c\n" + "\n".join(lines) + "\n")
    found = read_table(path)
    schema, _ = Schema.decide(found)
    read = schema.read(found)
    np.testing.assert_array_equal(read.numbers[:, 0], np.arange(n) / 4)
    np.testing.assert_array_equal(read.codes[:, 0], np.arange(n) % 3 + 1)
    part = np.random.default_rng(0).permutation(n)[:1000]
    same(read, schema.read(found.take(part)), part)
    assert isinstance(found.take(part).take(np.arange(5)), Table)
