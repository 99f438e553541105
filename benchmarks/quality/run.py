"""Train models on tables and keep the scores: python -m benchmarks.quality.run --help."""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import os
import signal
import time
import warnings
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from threadpoolctl import threadpool_limits

from . import results
from .loading import Data, load
from .models import GROUPS, MODELS
from .scores import SCORES
from .splits import SPLITS, Split, split
from .tables import CLASSIFICATION, PARITY, REGRESSION, TABLES

PACKAGE = {"lightgbm": "lightgbm", "pytabkit": "pytabkit", "schuss": "schuss"}


# One thread each. What is imported late reads these; what is there already is told by threadpoolctl.
THREADS = {"OMP_NUM_THREADS": "1", "SCHUSS_NUM_THREADS": "1"}


class TooLong(Exception):
    """A fit took longer than it may."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise TooLong


def version(model: str) -> str:
    """Return the package of a model with its version."""
    package = PACKAGE.get(model.split("-")[0], "scikit-learn")
    if package == "schuss":  # from a checkout it has no metadata
        return f"schuss {importlib.import_module('schuss').__version__}"
    return f"{package} {importlib.metadata.version(package)}"


def measure(name: str, quantity: bool, rows: Split, seed: int, limit: float) -> dict[str, Any]:
    """Fit one model on one split and score it; a fit that fails or takes too long is a result too."""
    task = "regression" if quantity else "classification"
    try:
        model = MODELS[name](quantity, seed)
        previous = signal.signal(signal.SIGALRM, _stop)
        signal.setitimer(signal.ITIMER_REAL, limit)
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            model.fit(rows.X_train, rows.y_train)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
        seconds = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        return {"scores": SCORES[task](model, rows), **seconds, "version": version(name)}
    except TooLong:
        return {"too_long": limit}
    except Exception as error:  # The others still have to run; the summary names what failed.
        return {"error": f"{type(error).__name__}: {error}"[:500]}


@cache
def table(name: str) -> Data:
    """Return a table, read once."""
    return load(TABLES[name])


def names(text: str, groups: dict[str, tuple[str, ...]], known: tuple[str, ...]) -> list[str]:
    """Return the names in a list with commas; a group stands for its members."""
    chosen = [name for word in text.split(",") for name in groups.get(word, (word,))]
    unknown = sorted(set(chosen) - set(known))
    if unknown:
        raise SystemExit(f"{', '.join(unknown)}: not one of {', '.join([*groups, *known])}")
    return chosen


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="peers", help=f"names or groups, with commas: {', '.join(GROUPS)}")
    parser.add_argument("--tables", default="all", help="names or all, regression, classification, parity")
    parser.add_argument("--splits", type=int, default=SPLITS, help="the first so many")
    parser.add_argument("--seeds", type=int, help="so many trainings a split; without, one, seeded with its number")
    parser.add_argument("--rows", type=int, default=10**9, help="only tables of at most so many rows")
    parser.add_argument("--limit", type=float, default=300, help="seconds of a fit; what takes longer is left out")
    parser.add_argument("--again", action="store_true", help="try again what failed or took too long")
    parser.add_argument("--out", type=Path, required=True, help="JSON lines; what is there is not measured again")
    return parser.parse_args()


def main() -> None:
    """Go through splits, tables and models in this order, so that all tables have something soon."""
    options = arguments()
    groups = {
        "all": tuple(TABLES),
        "regression": tuple(each.name for each in REGRESSION),
        "classification": tuple(each.name for each in CLASSIFICATION),
        "parity": PARITY,
    }
    chosen = names(options.tables, groups, tuple(TABLES))
    models = names(options.models, dict(GROUPS), tuple(MODELS))
    done = results.read([options.out])
    if options.again:
        done = {key: row for key, row in done.items() if "scores" in row}
    slow = {(row["table"], row["model"]) for row in done.values() if "too_long" in row}
    os.environ.update(THREADS)
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        for number in range(options.splits):
            for name in chosen:
                data = table(name)
                seeds = range(options.seeds) if options.seeds else (number,)
                todo = [(each, seed) for seed in seeds for each in models if (name, number, seed, each) not in done]
                if len(data.X) > options.rows or not todo:
                    continue
                rows = split(data, number)
                quantity = data.table.task == "regression"
                for model, seed in todo:
                    if (name, model) in slow:
                        continue
                    row = {"table": name, "task": data.table.task, "rows": len(data.X)}
                    row |= {"split": number, "seed": seed, "model": model}
                    row |= measure(model, quantity, rows, seed, options.limit)
                    results.append(options.out, row)
                    print(*results.key(row), row.get("scores") or row, f"{row.get('wall', 0):.1f} s", flush=True)
                    if "too_long" in row:
                        slow.add((name, model))


if __name__ == "__main__":
    main()
