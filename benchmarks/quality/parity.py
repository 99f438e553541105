"""Whole trainings of pytabkit's RealMLP and ours, some seeds on one split: python -m benchmarks.quality.parity FILE."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, stdev

from . import results
from .markdown import markdown
from .tables import TABLES

# Ours, and the original.
PAIRS = (("schuss-realmlp-s", "pytabkit-td-s"), ("schuss-realmlp", "pytabkit-td"))
SCORES = {"regression": ("rmse",), "classification": ("log_loss", "accuracy")}

# By table, model and score: one value a seed.
Values = dict[tuple[str, str, str], list[float]]


def collect(paths: Iterable[Path], number: int) -> Values:
    """Return the scores on one split, by seed."""
    values: Values = defaultdict(list)
    for (table, split, _, model), row in sorted(results.read(paths).items()):
        if split == number and "scores" in row:
            for score, value in row["scores"].items():
                values[table, model, score].append(value)
    return values


def _range(values: Sequence[float]) -> str:
    return f"{fmean(values):.4g} ({min(values):.4g} to {max(values):.4g})"


def compare(values: Values, ours: str, original: str) -> str:
    """Return the table of one pair: means with ranges, and how far apart they are in the original's deviations."""
    rows = []
    for name, table in TABLES.items():
        for score in SCORES[table.task]:
            mine, theirs = values.get((name, ours, score), []), values.get((name, original, score), [])
            if mine and len(theirs) > 1:
                apart = (fmean(mine) - fmean(theirs)) / (stdev(theirs) or float("nan"))
                inside = "yes" if min(theirs) <= fmean(mine) <= max(theirs) else "no"
                seeds = f"{len(mine)}, {len(theirs)}"
                rows.append([name, score, seeds, _range(mine), _range(theirs), f"{apart:+.1f}", inside])
    head = ["table", "score", "seeds", ours, original, "apart in deviations", "our mean in its range"]
    return markdown(head, rows)


def main() -> None:
    """Print one table for each pair."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="JSON lines that benchmarks.quality.run wrote with --seeds")
    parser.add_argument("--split", type=int, default=0)
    options = parser.parse_args()
    values = collect(options.files, options.split)
    for ours, original in PAIRS:
        print(compare(values, ours, original), "\n")


if __name__ == "__main__":
    main()
