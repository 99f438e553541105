"""The data sets that comparisons are measured on, among them a file of columns of several kinds."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import schuss
from schuss.comparison.tables import Prepared, prepared

NAMES = ("digits", "wine", "diabetes", "mnist5k", "csv")
ROWS = 1500


def rows_of(name: str) -> Prepared:
    """A named data set as columns of numbers; "csv" is a file that is written and read for it."""
    if name != "csv":
        return prepared(name)
    with tempfile.TemporaryDirectory() as folder:
        return prepared(written(Path(folder)))


def network_of(rows: Prepared, seed: int) -> schuss.Network:
    """The network that comparisons train where none is given."""
    layers = [schuss.Dense(rows.X.shape[1], 100, "relu"), schuss.Dense(100, len(rows.target.classes) or 1)]
    return schuss.Network(layers, seed=seed)


def written(folder: Path) -> Path:
    """A file of rents: numbers with gaps, categories, dates."""
    rng = np.random.default_rng(0)
    area, floor = rng.gamma(9, 8, ROWS).round(1), rng.integers(0, 9, ROWS)
    place, kind = rng.integers(0, 12, ROWS), rng.integers(0, 3, ROWS)
    built = rng.integers(0, 40000, ROWS)
    rent = area * (9 + 0.4 * place) * (1 + 0.1 * (kind == 2)) + 12 * floor + 60 * np.sin(built / 6000)
    rent += rng.normal(0, 60, ROWS)
    days: Any = np.datetime64("1900-01-01") + built
    lines = ["area,floor,district,kind,built,rent"]
    for k in range(ROWS):
        shown = "" if rng.random() < 0.05 else f"{area[k]}"
        lines.append(f"{shown},{floor[k]},d{place[k]},{('old', 'plain', 'new')[kind[k]]},{days[k]},{rent[k]:.2f}")
    path = folder / "rents.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path
