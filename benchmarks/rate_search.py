"""The learning rate at which an optimizer does best, on a ladder of rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def best_rate(
    ladder: Sequence[float], first: Sequence[float], loss: Callable[[float], float]
) -> tuple[float, dict[float, float]]:
    """The rate of least loss, and the losses of all that were tried.

    Begins with some rates of the ladder, and goes on until both neighbours of the best one are tried.
    """
    tried: dict[float, float] = {}
    ahead = list(first)
    while ahead:
        tried.update((lr, loss(lr)) for lr in ahead)
        place = ladder.index(min(tried, key=lambda lr: tried[lr]))
        ahead = [lr for lr in ladder[max(0, place - 1) : place + 2] if lr not in tried]
    return ladder[place], dict(sorted(tried.items()))
