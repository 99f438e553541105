"""What the results say: python -m benchmarks.quality.summary FILE... prints Markdown."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

import pandas as pd

from . import results
from .markdown import markdown
from .models import GROUPS, MODELS
from .scores import RANKED_BY
from .tables import CLASSIFICATION, REGRESSION

BESIDE = {"regression": "r2", "classification": "accuracy"}


@dataclass
class Scored:
    """The results of one model on one table, by split.

    Attributes
    ----------
    ranked : dict of float
        What models are ranked by; less is better.
    beside : dict of float
        The score that is shown beside it.
    wall, cpu : list of float
        Seconds of each fit.
    """

    ranked: dict[int, float] = field(default_factory=dict)
    beside: dict[int, float] = field(default_factory=dict)
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


# By table, then by model.
Scores = Mapping[str, Mapping[str, Scored]]


def collect(paths: Sequence[Path], task: str, models: Sequence[str]) -> dict[str, dict[str, Scored]]:
    """Return the scores of one kind of table."""
    order = [each.name for each in (REGRESSION if task == "regression" else CLASSIFICATION)]
    scored: dict[str, dict[str, Scored]] = {name: {} for name in order}
    for (table, number, seed, model), row in results.read(paths).items():
        if table not in scored or model not in models or "scores" not in row or seed != number:
            continue
        entry = scored[table].setdefault(model, Scored())
        entry.ranked[number] = row["scores"][RANKED_BY[task]]
        entry.beside[number] = row["scores"][BESIDE[task]]
        entry.wall.append(row["wall"])
        entry.cpu.append(row["cpu"])
    return {table: entries for table, entries in scored.items() if entries}


def shared(entries: Mapping[str, Scored]) -> list[int]:
    """Return the splits that all of these models were scored on."""
    return sorted(set.intersection(*(set(entry.ranked) for entry in entries.values())))


def means(entries: Mapping[str, Scored]) -> dict[str, float]:
    """Return each model's mean score over the splits that all of these were scored on."""
    numbers = shared(entries)
    return {model: fmean(entry.ranked[number] for number in numbers) for model, entry in entries.items() if numbers}


def ranks(scores: Scores, models: Sequence[str]) -> pd.DataFrame:
    """Return the rank of each model (columns) on each table (rows) that all of them were scored on; 1 is best."""
    rows = {}
    for table, entries in scores.items():
        if all(model in entries for model in models):
            rows[table] = means({model: entries[model] for model in models})
    return pd.DataFrame(rows, index=list(models)).T.rank(axis=1)


def against(scores: Scores, model: str, other: str) -> tuple[int, int]:
    """Return on how many tables a model is better than another, and on how many both were scored."""
    better = both = 0
    for entries in scores.values():
        if model in entries and other in entries:
            pair = means({model: entries[model], other: entries[other]})
            if pair:
                both += 1
                better += pair[model] < pair[other]
    return better, both


def overall(scores: Scores, models: Sequence[str], other: str) -> str:
    """Return the table of models: ranks, wins, pairwise wins, seconds."""
    placed = ranks(scores, models)
    rows = []
    for model in sorted(models, key=lambda each: placed[each].mean() if len(placed) else 0.0):
        entries = [each[model] for each in scores.values() if model in each]
        better, both = against(scores, model, other)
        rank = f"{placed[model].mean():.2f}" if len(placed) else "-"
        seconds = [f"{median(s for entry in entries for s in getattr(entry, kind)):.2f}" for kind in ("wall", "cpu")]
        total = f"{sum(fmean(entry.cpu) for entry in entries):.0f}"
        versus = "-" if model == other else f"{better} of {both}"
        rows.append([model, str(len(entries)), rank, str(int((placed[model] == 1).sum())), versus, *seconds, total])
    head = ["model", "tables", f"mean rank ({len(placed)} tables)", "wins", f"better than {other}"]
    return markdown([*head, "median s of a fit", "median CPU s", "CPU s of all tables once"], rows)


def each_table(scores: Scores, models: Sequence[str], task: str) -> str:
    """Return the table of tables: the mean score of each model over the splits that all have, the best in bold."""
    rows = []
    for table, entries in scores.items():
        mean, numbers = means(entries), shared(entries)
        best = min(mean.values(), default=None)
        beside = [fmean(entry.beside[number] for number in numbers) for entry in entries.values() if numbers]
        cells = ["-" if each not in mean else f"{mean[each]:.4g}" for each in models]
        cells = [f"**{cell}**" if mean.get(each) == best else cell for each, cell in zip(models, cells, strict=True)]
        rows.append([table, str(len(numbers)), *cells, f"{max(beside):.3f}" if beside else "-"])
    return markdown([f"{RANKED_BY[task]} on", "splits", *models, f"best {BESIDE[task]}"], rows)


def main() -> None:
    """Print one part for each kind of table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, help="JSON lines that benchmarks.quality.run wrote")
    parser.add_argument("--models", default="all", help=f"names or groups, with commas: {', '.join(GROUPS)}")
    parser.add_argument("--against", default="lightgbm", help="the model for pairwise wins")
    options = parser.parse_args()
    wanted = [name for word in options.models.split(",") for name in GROUPS.get(word, (word,))]
    failed = [row for row in results.read(options.files).values() if "scores" not in row]
    for task in RANKED_BY:
        scores = collect(options.files, task, wanted)
        present = [name for name in MODELS if any(name in entries for entries in scores.values())]
        if present:
            print(f"## {task.capitalize()}: {len(scores)} tables\n")
            print(overall(scores, present, options.against), "\n")
            print(each_table(scores, present, task), "\n")
    for row in failed:
        print(f"- {row['table']}, split {row['split']}, {row['model']}: {row.get('error', 'took too long')}")


if __name__ == "__main__":
    main()
