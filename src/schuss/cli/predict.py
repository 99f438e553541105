"""``schuss predict``: a row of predictions for each row of a table, and how good they are where that is known."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from numpy.typing import NDArray

from ..tables import DataError, load_table, open_table
from . import output_files, report, version1
from .answers import Answers, answers_of
from .app import app, told
from .scores import confusion
from .terminal import say, show_table

PREVIEW_ROWS = 5
# How every file of predictions starts: what a file that may be replaced must start with.
FIRST = "prediction"


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="A file that schuss train wrote.")],
    data: Annotated[str, typer.Argument(help="A file with the raw columns, or a data set's name.")],
    out: Annotated[Path | None, typer.Option(help="CSV file for the predictions; - for stdout.")] = None,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Write those of all classes, too.")] = False,
) -> None:
    """Predict a table's rows, one prediction a row, in order. If the target is there, they are scored."""
    with told():
        to_stdout = out == Path("-")
        if out and not to_stdout:
            output_files.check(out, "--out", [".csv"])
            if out.exists() and not out.read_bytes().startswith(FIRST.encode()):
                raise output_files.not_ours(out, "--out")
        answers = answered(model, data, probabilities)
        if out:
            header, columns = columns_of(answers, probabilities)
            if to_stdout:
                write_csv(sys.stdout, header, columns)
                return
            with open(out, "w", newline="", encoding="utf-8") as file:
                write_csv(file, header, columns)
        say(f"{answers.name}: {len(answers.values):,} rows")
        report.tell(answers.notes)
        preview(answers)
        tell_scores(answers)
        say(
            f"wrote {len(answers.values):,} predictions to {out}"
            if out
            else "write them all with --out predictions.csv"
        )


def answered(path: Path, data: str, probabilities: bool) -> Answers:
    """What the model in a file says of a table; it may be one that an older version has written."""
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a file")
    try:
        model = load_table(path)
    except ValueError:
        old = version1.load(path)
        if old is None:
            raise
        if probabilities and not old.classes:
            raise no_classes(path, old.target_name) from None
        return old.answers(data)
    if probabilities and not model.is_classifier:
        raise no_classes(path, model.target.name)
    return answers_of(model, open_table(data))


def no_classes(path: Path, target: str) -> DataError:
    return DataError(f"{path}: predicts a quantity, {target!r}; --probabilities is for classes")


def columns_of(answers: Answers, probabilities: bool) -> tuple[list[str], list[NDArray[Any]]]:
    """Those of the file of predictions, with their names."""
    if answers.quantiles:
        return [f"{FIRST}_{q:g}" for q in answers.quantiles], list(answers.values.T)
    header, columns = [FIRST], [answers.values]
    if answers.deviations is not None:
        header.append("deviation")
        columns.append(answers.deviations)
    if probabilities and answers.probabilities is not None:
        header += [f"probability_{name}" for name in answers.classes]
        columns += list(answers.probabilities.T)
    return header, columns


def write_csv(file: TextIO, header: list[str], columns: list[NDArray[Any]]) -> None:
    """Columns side by side; real numbers with the digits that float32 has."""
    texts = [[f"{v:.9g}" if isinstance(v, float) else v for v in column.tolist()] for column in columns]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(zip(*texts, strict=True))


def preview(answers: Answers) -> None:
    """The first predictions, with their probability, beside the true values if there are any."""
    header, columns = columns_of(answers, False)
    parts = [[shown(value) for value in column[:PREVIEW_ROWS].tolist()] for column in columns]
    if answers.probabilities is not None:
        header.append("probability")
        parts.append([f"{most:.3f}" for most in answers.probabilities[:PREVIEW_ROWS].max(axis=1).tolist()])
    if answers.truth is not None:
        header.append(report.shortened(answers.target_name))
        parts.append(["" if value is None else shown(value) for value in answers.truth[:PREVIEW_ROWS].tolist()])
    rows = zip(*parts, strict=True)
    show_table(["row", *header], ([str(row + 1), *cells] for row, cells in enumerate(rows)))
    if len(answers.values) > PREVIEW_ROWS:
        say(f"... {len(answers.values):,} rows in all")


def shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def tell_scores(answers: Answers) -> None:
    """How good the predictions are, if the table says what is right."""
    if answers.not_scored is not None:
        say(f"not scored: {answers.not_scored}")
    if answers.known is None or not len(answers.known.y):
        return
    rows = f"{len(answers.known.y):,} row{'s' if len(answers.known.y) > 1 else ''}"
    say(f"against {answers.target_name!r} in {rows}:")
    report.show_scores({"score": answers.scores()})
    if answers.classes:
        matrix = confusion(answers.known.values, answers.known.y)
        report.show_confusion(matrix, answers.classes, f"the {rows}")
