"""What curves of losses over rates say, whatever the sign of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# A loss has left when it is above the start by so many times what the start scatters, or the loss has fallen before.
FAR = 4.0
# The safe rate is this much below the one where training diverges.
CAUTION = 10.0
# How fast a trial's weight falls with what it lacks of the best one's progress.
SOFT = 0.2
# First losses that say where the start is, and how it scatters.
FIRST = 8


@dataclass(frozen=True)
class Start:
    """The loss before the rates have any effect.

    Attributes
    ----------
    loss : float
    scatter : float
        Half of what the losses of single batches range over.
    """

    loss: float
    scatter: float

    @classmethod
    def of(cls, sweeps: Sequence[Floats]) -> Start:
        """That of sweeps, which begin at rates too small to matter."""
        first = np.concatenate([losses[:FIRST] for losses in sweeps])
        first = first[np.isfinite(first)]
        if not len(first):
            return cls(float("nan"), 0.0)
        return cls(float(np.median(first)), float(np.ptp(first)) / 2)


def smoothed(curve: Floats) -> Floats:
    """The running median of three; infinite values are as large as any."""
    if len(curve) < 3:
        return curve.copy()
    inner = np.median(np.stack([curve[:-2], curve[1:-1], curve[2:]]), axis=0)
    return np.concatenate([[curve[0]], inner, [curve[-1]]])


def even(curve: Floats) -> Floats:
    """A finite curve's running mean over a few neighbours, so that single batches say less."""
    reach = len(curve) // 16
    return np.array([curve[max(0, i - reach) : i + reach + 1].mean() for i in range(len(curve))])


def left_at(curve: Floats, start: Start) -> int | None:
    """Where a smoothed curve is first so far above its start that it has diverged; None if it is nowhere."""
    lowest = np.minimum.accumulate(np.minimum(curve, start.loss))
    with np.errstate(invalid="ignore"):
        far = ~np.isfinite(curve) | (curve - start.loss > FAR * np.maximum(start.scatter, start.loss - lowest))
    # Where nothing has fallen or scatters yet, any rise counts from the rounding on.
    far &= ~np.isfinite(curve) | (curve - start.loss > 1e-6 * abs(start.loss))
    found = np.flatnonzero(far)
    return int(found[0]) if len(found) else None


def last_low(curve: Floats, start: Start) -> int:
    """The last point of a finite curve that is as low as any, as far as single batches let one know."""
    return int(np.flatnonzero(curve <= curve.min() + 0.5 * start.scatter)[-1])


def median_curve(sweeps: Sequence[Floats], n: int) -> Floats:
    """The median of sweeps over so many rates. One that has ended counts as infinite from there on."""
    padded = np.full((len(sweeps), n), np.inf)
    for row, losses in zip(padded, sweeps, strict=True):
        row[: len(losses)] = np.where(np.isfinite(losses), losses, np.inf)
    lower = np.sort(padded, axis=0)[(len(sweeps) - 1) // 2 : len(sweeps) // 2 + 1]
    mean: Floats = lower.mean(axis=0)
    return mean


def valley(rates: Floats, curve: Floats) -> float:
    """The rate two thirds along the longest fall of a finite curve, in the rate's logarithm."""
    length = np.ones(len(curve), int)
    for i in range(1, len(curve)):
        for j in range(i):
            if curve[i] < curve[j] and length[j] + 1 > length[i]:
                length[i] = length[j] + 1
    end = int(length.argmax())
    begin = end - int(length[end]) + 1
    low, high = np.log(rates[begin]), np.log(rates[end])
    return float(np.exp(low + (high - low) * 2 / 3))


def steepest(rates: Floats, curve: Floats) -> float:
    """Where a finite curve falls most by the rate's logarithm, as lines through a few neighbours say."""
    reach = max(1, len(rates) // 10)
    last = int(curve.argmin())
    logs = np.log(rates)
    slopes = []
    for i in range(last + 1):
        part = slice(max(0, i - reach), i + reach + 1)
        x = logs[part] - logs[part].mean()
        slopes.append(float((x * (curve[part] - curve[part].mean())).sum() / max((x * x).sum(), 1e-300)))
    return float(rates[int(np.argmin(slopes))])


def reached(losses: Floats, steps: int) -> float:
    """The mean loss of the second half of a trial's steps: where it has come to. NaN if it has diverged."""
    return float(losses[steps // 2 :].mean()) if len(losses) == steps else float("nan")


def progress(starts: Sequence[float], reached: Sequence[float]) -> float:
    """How far the trials of one rate have come below their starts on average; 0 for those that have not."""
    pairs = zip(starts, reached, strict=False)
    return float(np.mean([max(start - loss, 0.0) if np.isfinite(loss) else 0.0 for start, loss in pairs]))


def weights(gains: Floats) -> Floats:
    """What rates weigh by their progress: 1 for the best, 0 for one without any."""
    most = gains.max()
    if not most > 0:
        return np.zeros_like(gains)
    found: Floats = (np.exp((gains / most - 1.0) / SOFT) - np.exp(-1.0 / SOFT)) / (1.0 - np.exp(-1.0 / SOFT))
    return found


def centre(rates: Floats, gains: Floats) -> float:
    """The weighted mean of rates, in their logarithms, by their progress."""
    weighs = weights(gains)
    return float(np.exp((weighs * np.log(rates)).sum() / weighs.sum()))
