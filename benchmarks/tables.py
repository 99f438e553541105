"""Results: rows as measured, tables as printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .timing import Samples

LEGEND = (
    "Microseconds (import: milliseconds), medians. thr: threads, each on a CPU of its own; with one, CPU time is "
    "measured, which other programs hardly touch, with more the wall clock. X/Y: how many times longer X takes than "
    "our Y, the median over rounds in which all took turns; best: the fastest of the others. ours min-max: of the "
    "first of our columns. spread: the largest (max - min) / median in the row: where it is large, trust nothing. "
    "limit: what the machine needs at least; of limit: limit / our first column; best/limit: the most that "
    "best/Y could be, for any program."
)


@dataclass
class Row:
    """One measurement: everybody at one size.

    Attributes
    ----------
    label : dict of str
        What was measured, by column.
    threads : int
    ours : list of str
        Names of our own columns; the first is the one that is compared.
    samples : dict
        Microseconds of each contender, by name; one number a round.
    limit : float or None
        Microseconds that the machine needs at least.
    difference : float or None
        Largest relative difference of the results.
    aside : list of str
        Names of columns that stand beside, and are not among those that the best is chosen from.
    bare : str or None
        Name of a column that is a limit, measured in turns with the others.
    moved : int
        Bytes read and written, if they are counted.
    """

    label: dict[str, str]
    threads: int
    ours: list[str]
    samples: dict[str, list[float]]
    limit: float | None = None
    difference: float | None = None
    aside: list[str] = field(default_factory=list)
    bare: str | None = None
    moved: int = 0

    @property
    def times(self) -> dict[str, Samples]:
        return {name: Samples(tuple(values)) for name, values in self.samples.items()}

    @property
    def best(self) -> str | None:
        """Name of the fastest of the others."""
        others = [name for name in self.samples if name not in [*self.ours, *self.aside, self.bare]]
        times = self.times
        return min(others, key=lambda name: times[name].median, default=None)


@dataclass
class Result:
    """All rows of a subject, how to read them, and the columns that ours are compared with."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    baselines: list[str] = field(default_factory=list)


def row(
    label: Mapping[str, str],
    threads: int,
    ours: Sequence[str],
    times: Mapping[str, Samples],
    limit: float | None,
    difference: float | None,
    aside: Sequence[str] = (),
) -> Row:
    """A row of what `timing.alternate` found."""
    samples = {name: list(found.values) for name, found in times.items()}
    return Row(
        dict(label), threads, list(ours), samples, limit, difference, [name for name in aside if name in samples]
    )


@dataclass(frozen=True)
class Grid:
    """Cells, the first column to the left, the others to the right."""

    head: list[str]
    body: list[list[str]]

    def text(self) -> str:
        """Aligned columns."""
        lines = [self.head, *self.body]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.head))]
        laid = [
            "  ".join(
                cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        laid.insert(1, "  ".join("-" * w for w in widths))
        return "\n".join(line.rstrip() for line in laid)

    def markdown(self) -> str:
        """The same as Markdown."""
        return "\n".join(map(_piped, [self.head, ["---"] + ["---:"] * (len(self.head) - 1), *self.body]))


@dataclass(frozen=True)
class Table:
    """What was measured, and below it what follows from it, ready to be laid out."""

    title: str
    grids: list[Grid]
    notes: list[str]

    def text(self) -> str:
        grids = "\n\n".join(grid.text() for grid in self.grids)
        return "\n".join([f"== {self.title} ==", grids, *self.notes])

    def markdown(self, pictures: Sequence[str] = ()) -> str:
        """With links to pictures between the tables and the notes."""
        shown = "\n".join(f"![{self.title}]({path})" for path in pictures)
        notes = "\n".join(f"- {line}" for line in self.notes)
        parts = [f"## {self.title}", *(grid.markdown() for grid in self.grids), shown, notes]
        return "\n\n".join(part for part in parts if part)


def table(result: Result) -> Table:
    """Medians of everybody and their spread; ratios to the baselines, to the best peer and to those beside; the part of
    the limit reached.
    """
    ours = _in_order(name for row in result.rows for name in row.ours)
    others = _in_order(name for row in result.rows for name in row.samples if name not in row.ours)
    labels = _in_order(name for row in result.rows for name in row.label)
    aside = _in_order(name for row in result.rows for name in row.aside)
    bares = _in_order(row.bare for row in result.rows if row.bare)
    bases = [name for name in result.baselines if name in others]
    peers = len(others) > len(aside) + len(bares)
    limited = any(row.limit is not None for row in result.rows)
    compared = any(row.difference is not None for row in result.rows)
    times = Grid([*labels, "thr", *ours, *others, "ours min-max", "spread"], [])
    ratios = Grid([*labels, "thr"], [])
    ratios.head.extend(f"{base}/{_short(name)}" for base in bases for name in ours)
    ratios.head.extend(["best", *(f"best/{_short(name)}" for name in ours)] if peers else [])
    ratios.head.extend(f"{base}/{_short(ours[0])}" for base in aside)
    ratios.head.extend(["limit", "of limit", *(["best/limit"] if peers else [])] if limited else [])
    ratios.head.extend(column for name in bares for column in ("GB/s", f"{name} GB/s", f"of {name}"))
    ratios.head.extend(["differ"] if compared else [])
    for row in result.rows:
        found = row.times
        mine = found[row.ours[0]]
        label = [*(row.label.get(name, "") for name in labels), str(row.threads)]
        medians = [_number(found[name].median) if name in found else "-" for name in (*ours, *others)]
        spread = max((one.high - one.low) / one.median for one in found.values())
        times.body.append([*label, *medians, f"{_number(mine.low)}-{_number(mine.high)}", f"{spread:.0%}"])
        cells = [_times(found, base, name) for base in bases for name in ours]
        if peers:
            cells += [row.best or "-", *(_times(found, row.best, name) for name in ours)]
        cells += [_times(found, base, row.ours[0]) for base in aside]
        if limited:
            cells += ["-", "-"] if row.limit is None else [_number(row.limit), f"{row.limit / mine.median:.0%}"]
        if limited and peers:
            cells.append(_ratio(found[row.best].median / row.limit) if row.best and row.limit else "-")
        for name in bares:
            cells += _rates(found, row, name)
        if compared:
            cells.append("-" if row.difference is None else f"{row.difference:.0e}")
        ratios.body.append([*label, *cells])
    if not others:
        return Table(result.title, [_joined(times, ratios, len(labels) + 1)], result.notes)
    return Table(result.title, [times, ratios], result.notes)


def _joined(left: Grid, right: Grid, common: int) -> Grid:
    """Side by side; so many columns, the first, are the same in both."""
    body = [a + b[common:] for a, b in zip(left.body, right.body, strict=True)]
    return Grid(left.head + right.head[common:], body)


def _rates(found: Mapping[str, Samples], row: Row, bare: str) -> list[str]:
    """Bandwidth of ours, of the bare loop, and the part of it that ours reaches."""
    mine = found[row.ours[0]]
    if bare not in found:
        return ["-"] * 3
    rates = [f"{row.moved / (1e3 * one.median):.0f}" if row.moved else "-" for one in (mine, found[bare])]
    return [*rates, f"{found[bare].ratio(mine):.0%}"]


def _times(found: Mapping[str, Samples], name: str | None, mine: str) -> str:
    """How many times longer another takes."""
    return _ratio(found[name].ratio(found[mine])) if name is not None and {name, mine} <= found.keys() else "-"


def _in_order(names: Any) -> list[str]:
    return list(dict.fromkeys(names))


def _short(name: str) -> str:
    return name.rpartition(" ")[2]


def _number(value: float) -> str:
    """Three digits, or all before the point."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _ratio(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
