"""What becomes of fits with any rate, from far too small to far too large: raised, and recovered.

``python -m benchmarks.recovery docs/recovery.json [PICTURE]`` takes half a minute; so does docs/divergence.md tell it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import schuss
from benchmarks.study import main

RATES = [float(f"{10.0**exponent:.3g}") for exponent in np.arange(-5, 3.01, 0.5)]
OPTIMIZERS: dict[str, Callable[[Any, float], schuss.Optimizer]] = {
    "SGD": lambda parameters, lr: schuss.SGD(parameters, lr=lr),
    "momentum": lambda parameters, lr: schuss.SGD(parameters, lr=lr, momentum=0.9),
    "AdaGrad": lambda parameters, lr: schuss.AdaGrad(parameters, lr=lr),
    "RMSProp": lambda parameters, lr: schuss.RMSProp(parameters, lr=lr),
    "Adam": lambda parameters, lr: schuss.Adam(parameters, lr=lr),
    "AdamW": lambda parameters, lr: schuss.AdamW(parameters, lr=lr, weight_decay=0.0),
    "Lion": lambda parameters, lr: schuss.Lion(parameters, lr=lr, weight_decay=0.0),
}
EPOCHS, SEEDS, EXPLOSION = 20, range(5), 10.0


class Problem(NamedTuple):
    """A network's layers, its loss and standardised rows."""

    layers: Callable[[], list[Any]]
    loss: str
    X: Any
    y: Any


def problems() -> dict[str, Problem]:
    """Three of them."""
    from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

    def standard(X: Any) -> Any:
        return ((X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-9)).astype(np.float32)

    images, digits = load_digits(return_X_y=True)
    cells, benign = load_breast_cancer(return_X_y=True)
    patients, progress = load_diabetes(return_X_y=True)
    return {
        "digits": Problem(
            lambda: [schuss.Dense(64, 64, "relu"), schuss.Dense(10)], "cross_entropy", images / 16, digits
        ),
        "logistic regression": Problem(lambda: [schuss.Dense(30, 1)], "binary_cross_entropy", standard(cells), benign),
        "diabetes": Problem(
            lambda: [schuss.Dense(10, 32, "relu"), schuss.Dense(32, 1)],
            "mse",
            standard(patients),
            standard(progress[:, None])[:, 0],
        ),
    }


def fitted(problem: Problem, optimizer: str, lr: float, seed: int = 0, **how: Any) -> dict[str, Any]:
    """What a fit comes to."""
    net = schuss.Network(problem.layers(), seed=seed)
    start, raised = time.perf_counter(), False
    before = net.evaluate(problem.X, problem.y, loss=problem.loss)["loss"]
    try:
        net.fit(
            problem.X,
            problem.y,
            loss=problem.loss,
            optimizer=OPTIMIZERS[optimizer](net.parameters, lr),
            epochs=EPOCHS,
            **how,
        )
    except schuss.DivergenceError:
        raised = True
    seconds = time.perf_counter() - start
    is_finite = all(bool(np.isfinite(array).all()) for array in net.parameters)
    loss = net.evaluate(problem.X, problem.y, loss=problem.loss)["loss"] if is_finite else float("nan")
    return {
        "loss": loss,
        "before": before,
        "raised": raised,
        "finite": is_finite,
        "seconds": seconds,
        "recoveries": len(net.history.recoveries),
        "lr": net.optimizer.param_groups[0]["lr"] if net.optimizer is not None else lr,
    }


def measure(path: Path) -> dict[str, Any]:
    """All fits of the sweep, and of a thousand times the best rate with several seeds."""
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
    recovering: dict[str, Any] = {"on_divergence": "recover", "explosion": EXPLOSION}
    sweep: list[dict[str, Any]] = []
    thousand: list[dict[str, Any]] = []
    for name, problem in problems().items():
        for optimizer in OPTIMIZERS:
            of_one: list[dict[str, Any]] = []
            for lr in RATES:
                plain = fitted(problem, optimizer, lr)
                found = fitted(problem, optimizer, lr, **recovering)
                of_one.append({"problem": name, "optimizer": optimizer, "rate": lr, "raise": plain, "recover": found})
            sweep += of_one
            sound = [one for one in of_one if not one["raise"]["raised"] and np.isfinite(one["raise"]["loss"])]
            best = min(sound, key=lambda one: float(one["raise"]["loss"]))["rate"]
            for seed in SEEDS:
                tuned = min(
                    (fitted(problem, optimizer, rate, seed) for rate in (best / 2, best, 2 * best)),
                    key=lambda one: float(one["loss"]) if not one["raised"] else float("inf"),
                )
                found = fitted(problem, optimizer, 1000 * best, seed, **recovering)
                thousand.append(
                    {
                        "problem": name,
                        "optimizer": optimizer,
                        "best": best,
                        "seed": seed,
                        "tuned": tuned,
                        "found": found,
                    }
                )
    result = {"epochs": EPOCHS, "explosion": EXPLOSION, "sweep": sweep, "thousand": thousand}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return result


def excess(one: dict[str, Any]) -> float:
    """By how much of the tuned rate's loss that of a thousand times the rate is above it."""
    return float(one["found"]["loss"] / one["tuned"]["loss"] - 1)


def of_gain(one: dict[str, Any]) -> float:
    """The same as a share of what the tuned rate gains over the network before training."""
    tuned = one["tuned"]
    return float((one["found"]["loss"] - tuned["loss"]) / (tuned["before"] - tuned["loss"]))


def summary(result: dict[str, Any]) -> str:
    """Tables in Markdown."""
    names = ("problem", "optimizer", "best rate", "tuned loss", "1000 x, recovered", "excess", "worst seed")
    lines = [f"| {' | '.join((*names, 'of the gain', 'time'))} |"]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    keys = dict.fromkeys((one["problem"], one["optimizer"]) for one in result["thousand"])
    for problem, optimizer in keys:
        of = [one for one in result["thousand"] if (one["problem"], one["optimizer"]) == (problem, optimizer)]
        tuned, found = (float(np.median([one[what]["loss"] for one in of])) for what in ("tuned", "found"))
        away = [excess(one) for one in of]
        times = np.median([one["found"]["seconds"] / one["tuned"]["seconds"] for one in of])
        lines.append(
            f"| {problem} | {optimizer} | {of[0]['best']:g} | {tuned:.4g} | {found:.4g} | {np.median(away):+.1%} | "
            f"{max(away):+.1%} | {np.median([of_gain(one) for one in of]):+.1%} | x {times:.1f} |"
        )
    every = result["thousand"]
    near = [sum(share(one) <= 0.02 for one in every) for share in (excess, of_gain)]
    lines.append(
        f"\nOf {len(every)} fits with 1000 times the best rate {near[0]} end within 2% of the tuned loss, and "
        f"{near[1]} within 2% of what training gains."
    )
    sweep = result["sweep"]
    for how in ("raise", "recover"):
        raised = sum(one[how]["raised"] for one in sweep)
        broken = sum(not one[how]["finite"] for one in sweep)
        lines.append(f"\n{how}: of {len(sweep)} fits {raised} raised, {broken} left parameters that are not finite.")
    return "\n".join(lines)


def table(result: dict[str, Any]) -> str:
    """The losses of the sweep in Markdown: as it is, then recovered."""
    lines = ["| problem | optimizer | " + " | ".join(f"{rate:.0e}" for rate in RATES[::2]) + " |"]
    lines.append("| --- | --- |" + " ---: |" * len(RATES[::2]))
    for problem, optimizer in dict.fromkeys((one["problem"], one["optimizer"]) for one in result["sweep"]):
        cells = []
        for one in result["sweep"]:
            if (one["problem"], one["optimizer"]) == (problem, optimizer) and one["rate"] in RATES[::2]:
                plain = "raised" if one["raise"]["raised"] else f"{one['raise']['loss']:.2g}"
                cells.append(f"{plain} / {one['recover']['loss']:.2g}")
        lines.append(f"| {problem} | {optimizer} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(result: dict[str, Any], picture: str) -> None:
    """Final loss over the rate, one panel a problem, one line an optimizer; dashed without recovery."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(one["problem"] for one in result["sweep"]))
    figure = Figure(figsize=(12, 4.2), layout="constrained")
    for panel, name in zip(figure.subplots(1, len(names)), names, strict=True):
        before = next(one["raise"]["before"] for one in result["sweep"] if one["problem"] == name)
        for k, optimizer in enumerate(OPTIMIZERS):
            of = [one for one in result["sweep"] if (one["problem"], one["optimizer"]) == (name, optimizer)]
            rates = [one["rate"] for one in of]
            plain = [np.nan if one["raise"]["raised"] else one["raise"]["loss"] for one in of]
            panel.plot(rates, plain, "--", color=f"C{k}", alpha=0.5, linewidth=1)
            panel.plot(rates, [one["recover"]["loss"] for one in of], color=f"C{k}", label=optimizer)
        panel.set(
            xscale="log", yscale="log", title=name, xlabel="learning rate asked for", ylabel="final training loss"
        )
        panel.axhline(before, color="0.6", linewidth=0.8)
        panel.set_ylim(top=5 * before)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=len(OPTIMIZERS))
    figure.suptitle('on_divergence="recover" with explosion=10 (solid), and without (dashed); grey: before training')
    figure.savefig(picture, dpi=110)


if __name__ == "__main__":
    main(measure, draw, *sys.argv[1:])
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    print(summary(found), table(found), sep="\n\n")
