"""Whole trainings of pytabkit's RealMLP and of ours on public tables: are the test scores those of one method?

    python -m benchmarks.realmlp_parity --recipe realmlp-s --seeds 5 --epochs 256

Both get the same rows to train on, to find the best epoch by, and to be scored on; the seeds change the rows of the
second kind, the start, and the order of rows. Ours takes the decay as pytabkit does, with the rate's factor twice.

    python -m benchmarks.realmlp_parity --recipe realmlp --beside once

puts our fits with decay that takes that factor once beside it instead: which is better?
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import schuss
from schuss.tables import Columns, Standardise
from schuss.tables.recipes import BY_NAME, Task

from .peers import module

PEERS = {"realmlp": "RealMLP_TD", "realmlp-s": "RealMLP_TD_S"}


@dataclass(frozen=True)
class Rows:
    """A table as both take it: a frame for pytabkit, columns for ours, and one target.

    Attributes
    ----------
    y : (rows,) array
        Classes from 0, or quantities.
    cardinalities : tuple of int
        Categories of each column of codes.
    """

    frame: Any
    columns: Columns
    y: NDArray[Any]
    cardinalities: tuple[int, ...]
    classes: int

    def taken(self, index: NDArray[np.int64]) -> Columns:
        return Columns(self.columns.numbers[index], self.columns.codes[index])


def rows_of(frame: Any, y: NDArray[Any], classes: int) -> Rows:
    """From a frame without missing values; text and booleans are categories, in sorted order."""
    numbers = [name for name in frame if frame[name].dtype.kind in "iuf"]
    words = [name for name in frame if name not in numbers]
    codes, cardinalities = np.zeros((len(frame), len(words)), np.int64), []
    for k, name in enumerate(words):
        texts, place = np.unique(frame[name].astype(str).to_numpy(), return_inverse=True)
        codes[:, k] = place + 1
        cardinalities.append(len(texts))
    values = frame[numbers].to_numpy(np.float64)
    return Rows(frame[numbers + words], Columns(values, codes), y, tuple(cardinalities), classes)


def loaded(name: str) -> Rows:
    """A table of the list, as numbers."""
    from .quality.loading import load
    from .quality.tables import TABLES

    data = load(TABLES[name])
    if data.table.task == "regression":
        return rows_of(data.X, data.y.to_numpy(np.float64), 0)
    labels, y = np.unique(data.y.astype(str).to_numpy(), return_inverse=True)
    return rows_of(data.X, y, len(labels))


def parted(rows: Rows, seed: int | None, among: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Four fifths and one fifth of the rows, each class in its share."""
    from sklearn.model_selection import train_test_split

    classes = rows.y[among] if rows.classes else None
    most, rest = train_test_split(among, test_size=0.2, random_state=seed, stratify=classes)
    return np.sort(most), np.sort(rest)


def ours(
    rows: Rows, train: Any, held: Any, test: Any, recipe: str, seed: int, epochs: int, decay: str = "twice"
) -> NDArray[np.float64]:
    """What our network says of the test rows: probabilities or quantities."""
    if rows.classes:
        task, target, standard = Task.of_classes(rows.classes), rows.y, None
    else:
        standard = Standardise.fit(rows.y[train, None])
        low, high = standard.limits()
        task, target = Task(limits=(float(low[0]), float(high[0]))), standard.transform(rows.y[:, None])
    chosen = BY_NAME[recipe](epochs=epochs, decay_by_rate=decay)
    member = chosen.fit(
        rows.taken(train),
        target[train],
        task,
        cardinalities=rows.cardinalities,
        validation=(rows.taken(held), target[held]),
        seed=seed,
    )
    out = member.outputs(rows.taken(test)).astype(np.float64)
    if standard is not None:
        found: NDArray[np.float64] = standard.inverse(out)[:, 0]
        return found
    shares = np.exp(out - out.max(axis=1, keepdims=True))
    probabilities: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
    return probabilities


def theirs(rows: Rows, train: Any, held: Any, test: Any, recipe: str, seed: int, epochs: int) -> NDArray[np.float64]:
    """What pytabkit's says of them."""
    name = f"{PEERS[recipe]}_{'Classifier' if rows.classes else 'Regressor'}"
    model = getattr(module("pytabkit"), name)(
        n_epochs=epochs, random_state=seed, verbosity=0, device="cpu", n_threads=schuss.get_num_threads()
    )
    index = np.concatenate([train, held])
    model.fit(rows.frame.iloc[index], rows.y[index], val_idxs=np.arange(len(train), len(index)))
    found = model.predict_proba if rows.classes else model.predict
    return np.asarray(found(rows.frame.iloc[test]), np.float64)


def scores(rows: Rows, test: Any, predicted: NDArray[np.float64]) -> dict[str, float]:
    """Root mean squared error, or the share of errors and the log loss."""
    y = rows.y[test]
    if not rows.classes:
        return {"rmse": float(np.sqrt(np.mean((predicted.reshape(-1) - y) ** 2)))}
    right = np.clip(predicted[np.arange(len(y)), y], 1e-12, 1.0)
    return {"error": float(np.mean(predicted.argmax(axis=1) != y)), "log_loss": float(-np.log(right).mean())}


def compared(name: str, recipe: str, seeds: int, epochs: int, beside: str) -> dict[str, Any]:
    """Scores of both for all seeds, and the seconds they took."""
    other: Callable[..., NDArray[np.float64]] = theirs if beside == "pytabkit" else partial(ours, decay=beside)
    rows = loaded(name)
    among, test = parted(rows, 0, np.arange(len(rows.y)))
    found: dict[str, Any] = {"table": name, "rows": len(rows.y), "recipe": recipe, "epochs": epochs}
    for who, fit in (("ours", ours), (beside, other)):
        found[who], start = {}, time.perf_counter()
        for seed in range(seeds):
            train, held = parted(rows, seed + 1, among)
            for metric, value in scores(rows, test, fit(rows, train, held, test, recipe, seed, epochs)).items():
                found[who].setdefault(metric, []).append(value)
        found[f"{who} s"] = (time.perf_counter() - start) / seeds
    return found | {"beside": beside}


def lines(found: dict[str, Any]) -> list[str]:
    """A line a metric: means and deviations over seeds, and the difference in units of its standard error."""
    told, beside = [], found["beside"]
    for metric in found["ours"]:
        mine, peer = np.array(found["ours"][metric]), np.array(found[beside][metric])
        error = np.sqrt((mine.var(ddof=1) + peer.var(ddof=1)) / len(mine)) if len(mine) > 1 else np.nan
        apart = (mine.mean() - peer.mean()) / error if error > 0 else 0.0
        within = peer.min() <= mine.mean() <= peer.max() or mine.min() <= peer.mean() <= mine.max()
        told.append(
            f"{found['table']:16} {found['rows']:6} {metric:8} ours {mine.mean():.5f} +- {mine.std():.5f}  "
            f"{beside} {peer.mean():.5f} +- {peer.std():.5f}  apart {apart:+.1f} standard errors  "
            f"{'within' if within else 'OUTSIDE'} the spread  "
            f"({found['ours s']:.1f} and {found[f'{beside} s']:.1f} s a fit)"
        )
    return told


def main() -> None:
    from .quality.tables import PARITY

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=list(PARITY), help=f"default: {', '.join(PARITY)}")
    parser.add_argument("--recipe", choices=list(PEERS), default="realmlp-s")
    parser.add_argument("--beside", choices=["pytabkit", "once", "twice"], default="pytabkit")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="add each table's scores to this file, a line each")
    options = parser.parse_args()
    schuss.set_num_threads(options.threads)
    torch = module("torch")
    if options.beside == "pytabkit":
        if torch is None or module("pytabkit") is None:
            sys.exit("needs pytabkit==1.7.3")
        torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    for name in options.tables:
        found = compared(name, options.recipe, options.seeds, options.epochs, options.beside)
        print(*lines(found), sep="\n", flush=True)
        if options.json is not None:
            with options.json.open("a") as file:
                file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
