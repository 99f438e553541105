"""Whether `schuss.compare` finds what a plain grid search does: every rate with all steps, by `fit`.

python -m benchmarks.compare_grid docs/compare_grid.json [digits wine ...]
"""

from __future__ import annotations

import json
import sys
from math import inf, isfinite
from pathlib import Path
from statistics import median
from typing import Any

import schuss
from schuss.comparison.candidates import resolve
from schuss.comparison.data import lasting

from .compare_data import NAMES, network_of, rows_of

# Factors of two on each side of the rate at which the search begins.
BESIDE = 7


def grid(name: str) -> dict[str, Any]:
    """A comparison, and the grid search beside it."""
    rows = rows_of(name)
    arguments: dict[str, Any] = {"validation_data": rows.validation_data, "scale": False, "others": False}
    found = schuss.compare(rows.X, rows.y, name=name, **arguments)
    again = schuss.compare(rows.X, rows.y, name=name, **arguments)
    assert json.dumps(found.to_dict(times=False)) == json.dumps(again.to_dict(times=False))
    answers: dict[str, dict[str, Any]] = {}
    for candidate in resolve(None):
        one = found[candidate.label]
        rates = [candidate.usual * 2.0**k for k in range(-BESIDE, BESIDE + 1)]
        if one.lr not in rates:
            rates.append(one.lr)
        fits, keys = [], []
        for lr in rates:
            for seed in found.seeds:
                net = network_of(rows, seed)
                fits.append(
                    {
                        "network": net,
                        "X": rows.X,
                        "y": rows.y,
                        "loss": found.loss,
                        "optimizer": candidate.made(list(net.parameters), lr),
                        "epochs": int(found.epochs),
                        "batch_size": 32,
                        "validation_data": rows.validation_data,
                    }
                )
                keys.append(lr)
        epochs_a_point = round(found.epochs * found.every / found.steps)
        losses: dict[float, list[float]] = {}
        for lr, history in zip(keys, schuss.fit_side_by_side(fits), strict=True):
            value = inf
            if isinstance(history, schuss.History):
                value = lasting(history["val_loss"][epochs_a_point - 1 :: epochs_a_point].tolist())
            losses.setdefault(lr, []).append(float(value))
        medians = {lr: median(values) for lr, values in losses.items()}
        best = min(sorted(medians), key=lambda lr: medians[lr])
        assert medians[one.lr] == one.best, "the comparison's own rate has another loss"
        answers[candidate.label] = {
            "rate": one.lr, "loss": one.best, "grid_rate": best, "grid_loss": medians[best],
            "behind": (one.best - medians[best]) / (found.start - medians[best]), "spread": one.spread,
            "losses": {f"{lr:g}": loss if isfinite(loss) else None for lr, loss in sorted(medians.items())},
        }  # fmt: skip
    winner = min(answers, key=lambda label: answers[label]["grid_loss"])
    return {
        "recommended": found.recommended,
        "grid_winner": winner,
        "same_winner": winner == found.recommended,
        "same_rate_of_winner": answers[winner]["grid_rate"] == answers[winner]["rate"],
        "recommended_behind_grid": (answers[found.recommended]["loss"] - answers[winner]["grid_loss"])
        / (found.start - answers[winner]["grid_loss"]),
        "steps_searched": sum(tried.steps for one in found.contenders for tried in one.tried),
        "steps_of_grid": 7 * len(found.seeds) * (2 * BESIDE + 1) * found.steps,
        "took": found.took,
        "optimizers": answers,
    }


def main() -> None:
    """Measure, print, write."""
    path, *names = sys.argv[1:]
    answers = json.loads(Path(path).read_text()) if Path(path).exists() else {}
    for name in names or NAMES:
        one = answers[name] = grid(name)
        print(
            f"{name}: recommended {one['recommended']}, the grid's winner {one['grid_winner']} "
            f"({'same' if one['same_rate_of_winner'] else 'another'} rate), "
            f"{100 * one['recommended_behind_grid']:.2f}% of the way down behind the grid's best"
        )
        for label, of in one["optimizers"].items():
            print(
                f"  {label:<15} {of['rate']:<10.4g} {of['loss']:<9.4f} grid {of['grid_rate']:<10.4g} "
                f"{of['grid_loss']:<9.4f} behind {100 * of['behind']:.2f}%, spread {of['spread']:.4f}"
            )
        Path(path).write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
