"""What the command line says of a table, of scores and of a model, as lines and small tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..tables import Schema, Target
from ..tables.columns import Boolean, Category, Date, Number
from .scores import Scores
from .terminal import out, say, show_table

# A confusion matrix of more classes is more than one sees at once.
MOST_CLASSES = 10
# Fewer rows, or rows of a class, say little of which epoch is the best.
FEW_ROWS, FEW_OF_A_CLASS = 50, 5
# Of a list of names in one line.
NAMES_WIDTH = 56
CLASSES_WIDTH = 30
PERCENT = ("accuracy", "balanced accuracy")
LONGEST_NAME = 24
CORNER = "true \\ predicted"


def tell(notes: Iterable[str]) -> None:
    """Each in a line of its own, less bright than results."""
    for note in notes:
        say(f"  {note}", style="dim")


def headline(name: str, rows: int, target: Target) -> None:
    """What is learned from how much."""
    what = f"{len(target.classes)} classes" if target.classes else "a quantity"
    classes = f": {listed([quoted(name) for name in target.classes], CLASSES_WIDTH)}" if target.classes else ""
    say(f"{name}: {rows:,} rows; target {target.name!r}: {target.task}, {what}{classes}")


def columns_of(schema: Schema) -> None:
    """What the columns became, a line a kind; the schema's notes say what is left out."""
    named: dict[str, list[str]] = {"numbers": [], "categories": [], "truth values": [], "dates": []}
    for column in schema.columns:
        if isinstance(column, Number):
            named["numbers"].append(column.name)
        elif isinstance(column, Boolean):
            named["truth values"].append(column.name)
        elif isinstance(column, Category):
            named["categories"].append(f"{column.name} ({len(column.categories)})")
        elif isinstance(column, Date):
            parts = f" (day{''.join(f', {part}' for part in column.parts)})"
            named["dates"].append(column.name + parts)
    for kind, names in named.items():
        if names:
            say(f"  {len(names):>4} {kind}: {listed(names)}", style="dim")


def listed(names: Sequence[str], width: int = NAMES_WIDTH) -> str:
    """The first names that have room in a line, and how many there are beyond."""
    shown = [shortened(name) for name in names]
    taken = max(1, sum(length <= width for length in np.cumsum([len(name) + 2 for name in shown]).tolist()))
    rest = len(names) - taken
    return ", ".join(shown[:taken]) + (f" and {rest} more" if rest else "")


def quoted(label: Any) -> str:
    """A class as Python writes it, cut where it is very long."""
    return repr(shortened(label, LONGEST_NAME - 2)) if isinstance(label, str) else str(label)


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """A name in one line, cut where it is very long."""
    name = " ".join(name.split())
    return name if len(name) <= longest else name[: longest - 3] + "..."


def resumed_notes(path: str, exact: bool, before: int, now: int) -> tuple[str, ...]:
    """What going on from a model means."""
    notes: tuple[str, ...] = (
        f"goes on from {path}: its columns, its parameters and, with its seed, its rows of each kind",
        "its rate is constant and nothing validates: on the same table this is one longer training, to the last bit"
        if exact
        else "the rate's schedule and the optimizer begin anew, so this is not one longer training",
    )
    if before != now:
        notes += (f"the table has {now:,} rows, it had {before:,}: some that test now may have been trained on",)
    return notes


# ---- scores -------------------------------------------------------------------------------------------------------


def show_scores(scores: Mapping[str, Scores]) -> None:
    """A column for each part of the rows, a line for each score."""
    show_table(["", *scores], score_rows(scores))


def score_rows(scores: Mapping[str, Scores]) -> Iterator[list[str]]:
    """Of a table of scores; what a part has no value of is empty."""
    for name in dict.fromkeys(name for part in scores.values() for name in part):
        yield [name, *(shown_score(name, part[name]) if name in part else "" for part in scores.values())]


def shown_score(name: str, value: float) -> str:
    """A share as percents, an error with the digits that matter."""
    if not np.isfinite(value):
        return "unknown" if np.isnan(value) else str(value)
    if name in PERCENT or name.startswith("share of rows"):
        return f"{value:.2%}"
    return amount(value) if name in ("RMSE", "MAE") or name.startswith("pinball") else f"{value:.4f}"


def amount(value: float) -> str:
    """Four digits, or all before the point."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:#.4g}"


def show_confusion(matrix: NDArray[np.int64], classes: Sequence[Any], rows: str) -> None:
    """How often which class is taken for which."""
    if len(classes) > MOST_CLASSES:
        return
    names = [shortened(str(name)) for name in classes]
    first = max(len(CORNER), *map(len, names))
    room = max(3, (out.width - first - 2) // len(names) - 2)
    above = [shortened(name, room) for name in names]
    if len(set(above)) < len(above) or room < 6 < max(map(len, names)):  # numbers tell them apart where names do not
        above = [f"({k + 1})" for k in range(len(names))]
        names = [f"({k + 1}) {name}" for k, name in enumerate(names)]
    say(f"\n{rows}, by class:")
    show_table([CORNER, *above], ([name, *map(str, row)] for name, row in zip(names, matrix.tolist(), strict=True)))


def baseline_note(training: NDArray[Any], target: Target, names: Iterable[str]) -> str:
    """What the column of scores without a model stands for."""
    if target.classes:
        counts = np.bincount(training, minlength=len(target.classes))
        often, share = int(counts.argmax()), counts.max() / len(training)
        return f"baseline: the shares of classes in training; {quoted(target.classes[often])} has {share:.1%}"
    if "MAE" not in names:
        return "baseline: the quantiles of training"
    return (
        f"baseline: the mean of training, {amount(float(training.mean()))}; for MAE the median, "
        f"{amount(float(np.median(training)))}"
    )


def few_validate(y: NDArray[Any], target: Target, networks: int, refit: bool) -> tuple[str, ...]:
    """A warning where the rows that validate a network say little, and what to do."""
    what, each = None, " each network" if networks > 1 else ""
    if len(y) < FEW_ROWS:
        what = f"only {len(y)} rows validate{each}"
    elif target.classes:
        counts = np.bincount(y, minlength=len(target.classes))
        if counts.min() < FEW_OF_A_CLASS:
            rare = int(counts.argmin())
            what = f"only {counts[rare]} of the rows that validate{each} are {quoted(target.classes[rare])}"
    if what is None:
        return ()
    if networks > 1:  # together they validate on more, and their epochs have a mean
        also = "" if refit else ", or --refit, for as many epochs as are best on average"
        return f"{what}: which of its epochs is best is uncertain", f"try a larger --validation{also}"
    return (
        f"{what}: which epoch is best is uncertain, and so is its score",
        f"try a larger --validation, or --ensemble 5{'' if refit else ' --refit'}, whose networks validate on other"
        " rows each",
    )
