"""What a comparison advises, in words and as a line of Python."""

from __future__ import annotations

from math import isfinite, isnan
from typing import TYPE_CHECKING

from .table import number

if TYPE_CHECKING:
    from .data import Contender, Measured

# Metrics of which more is better.
MORE_IS_BETTER = ("accuracy", "r2")
# Of the way from the start to the best loss: where the last one is that far above the best, training is to stop early.
RISE = 0.02


def optimizer_call(one: Contender) -> str:
    """What makes the optimizer in Python, as ``schuss.SGD(network.parameters, lr=0.05, momentum=0.9)``."""
    from ..optim import BY_NAME

    kind = BY_NAME[one.optimizer].__name__ if one.optimizer in BY_NAME else one.optimizer
    given = [
        "network.parameters",
        f"lr={one.lr:.6g}",
        *(f"{name}={value!r}" for name, value in one.arguments.items() if name != "lr"),
    ]
    return f"schuss.{kind}({', '.join(given)})"


def python_line(found: Measured) -> str | None:
    """A line that trains a network with what is recommended; None where every rate diverged."""
    one = found[found.recommended]
    if not one.runs:
        return None
    epochs = max(1, round(found.epochs))
    rises = found.judged == "validation" and one.final - one.best > RISE * (found.start - one.best)
    stops = ", validation_fraction=0.2, early_stopping=True" if rises else ""
    return (
        f'network.fit(X, y, loss="{found.loss}", optimizer={optimizer_call(one)}, '
        f"batch_size={found.batch_size}, epochs={epochs}{stops})"
    )


def beside_others(found: Measured) -> str | None:
    """Whether a model of another kind does as well as what is recommended; None: none was fitted, or none is known.

    By the judged loss, the network's at its best; where a model has none, by the metric.
    """
    first = found[found.recommended]
    by_loss = isfinite(first.best) and all(isfinite(one.loss) for one in found.others)
    name, ours = (found.loss, first.best) if by_loss else (found.metric, first.score)
    known = {one: one.loss if by_loss else one.score for one in found.others}
    known = {one: value for one, value in known.items() if not isnan(value)}
    if not known or isnan(ours):
        return None
    sign = -1 if not by_loss and found.metric in MORE_IS_BETTER else 1
    best = min(known, key=lambda one: sign * known[one])
    effort = f", fitted in {number(best.seconds)} s" if isfinite(best.seconds) else ""
    sides = f"({name} {number(known[best])}, the network's {number(ours)}{effort})."
    if known[best] == ours:
        return f"Another model does as well: {best.name} {sides}"
    if sign * known[best] < sign * ours:
        return f"Another model does better: {best.name} {sides}"
    return f"The best of the other models is {best.name} {sides}"
