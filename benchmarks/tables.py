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
    "first of our columns. spread: the largest (max - min) / median in the row: where it is large, trust nothing. of "
    "limit: limit / our first column."
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
    """

    label: dict[str, str]
    threads: int
    ours: list[str]
    samples: dict[str, list[float]]
    limit: float | None = None
    difference: float | None = None

    @property
    def times(self) -> dict[str, Samples]:
        return {name: Samples(tuple(values)) for name, values in self.samples.items()}


@dataclass
class Result:
    """All rows of a subject, and how to read them."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def row(
    label: Mapping[str, str],
    threads: int,
    ours: Sequence[str],
    times: Mapping[str, Samples],
    limit: float | None,
    difference: float | None,
) -> Row:
    """A row of what `timing.alternate` found."""
    samples = {name: list(found.values) for name, found in times.items()}
    return Row(dict(label), threads, list(ours), samples, limit, difference)


@dataclass(frozen=True)
class Table:
    """Text, ready to be laid out."""

    title: str
    head: list[str]
    body: list[list[str]]
    notes: list[str]

    def text(self) -> str:
        """Aligned columns: the first to the left, the others to the right."""
        lines = [self.head, *self.body]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.head))]
        laid = [
            "  ".join(
                cell.ljust(w) if k == 0 else cell.rjust(w) for k, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]
        laid.insert(1, "  ".join("-" * w for w in widths))
        return "\n".join([f"== {self.title} ==", *(line.rstrip() for line in laid), *self.notes])

    def markdown(self) -> str:
        """The same as Markdown."""
        lines = [f"## {self.title}", "", _piped(self.head), _piped(["---"] + ["---:"] * (len(self.head) - 1))]
        lines += [_piped(line) for line in self.body]
        return "\n".join([*lines, "", *(f"- {line}" for line in self.notes)])


def table(result: Result, baseline: str) -> Table:
    """Medians of everybody, ratios to the baseline and to the best peer, spread, and the part of the limit reached."""
    ours = _in_order(name for row in result.rows for name in row.ours)
    others = _in_order(name for row in result.rows for name in row.samples if name not in row.ours)
    labels = _in_order(name for row in result.rows for name in row.label)
    has_baseline = baseline in others
    with_limit = any(row.limit is not None for row in result.rows)
    with_difference = any(row.difference is not None for row in result.rows)
    head = [*labels, "thr", *ours, *others]
    if has_baseline:
        head += [f"{baseline}/{_short(name)}" for name in ours]
    head += [f"best/{_short(ours[0])}"] if others and ours else []
    head += ["ours min-max", "spread"]
    head += ["limit", "of limit"] if with_limit else []
    head += ["differ"] if with_difference else []
    body = []
    for row in result.rows:
        times = row.times
        mine = times[row.ours[0]]
        peers = {name: found for name, found in times.items() if name not in row.ours}
        cells = [row.label.get(name, "") for name in labels] + [str(row.threads)]
        cells += [_number(times[name].median) if name in times else "-" for name in (*ours, *others)]
        if has_baseline:
            cells += [
                _ratio(times[baseline].ratio(times[name])) if baseline in times and name in times else "-"
                for name in ours
            ]
        if others:
            best = min(peers, key=lambda name: peers[name].median, default=None)
            cells.append("-" if best is None else f"{_ratio(peers[best].ratio(mine))} {best}")
        cells.append(f"{_number(mine.low)}-{_number(mine.high)}")
        cells.append(f"{max((found.high - found.low) / found.median for found in times.values()):.0%}")
        if with_limit:
            cells += ["-", "-"] if row.limit is None else [_number(row.limit), f"{row.limit / mine.median:.0%}"]
        if with_difference:
            cells.append("-" if row.difference is None else f"{row.difference:.0e}")
        body.append(cells)
    return Table(result.title, head, body, result.notes)


def _in_order(names: Any) -> list[str]:
    return list(dict.fromkeys(names))


def _short(name: str) -> str:
    return name.rpartition(" ")[2]


def _number(value: float) -> str:
    """Three digits, or all before the point."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _piped(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
