"""Numbers of a comparison of optimizers. What is made of them, tables, drawings and pages, is elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

# Points whose mean counts: a single one may be luck where few rows are judged.
IN_A_ROW = 3


def lasting(curve: Sequence[float]) -> float:
    """The least loss that lasts: the least mean of three points in a row, or of all if they are fewer."""
    width = min(IN_A_ROW, len(curve))
    return min(sum(curve[k : k + width]) / width for k in range(len(curve) - width + 1))


@dataclass(frozen=True)
class Tried:
    """What one rate came to with one seed when it left the search.

    Attributes
    ----------
    lr : float
        The learning rate.
    steps : int
        How many steps it was given.
    seed : int
        What the start and the batches followed from.
    loss : float
        The least judged loss up to there, as `lasting` has it. NaN if training diverged.
    """

    lr: float
    steps: int
    seed: int
    loss: float


@dataclass(frozen=True)
class Run:
    """One training of all steps. Curves have a point every so many steps, which `Comparison.every` says.

    Attributes
    ----------
    seed : int
        What the start and the batches followed from.
    losses : tuple of float
        Of each step's batch, as it was before the step.
    train : tuple of float
        Their mean over the steps before each point.
    validation : tuple of float or None
        Loss on the validation rows at each point. None: there were none.
    seconds : tuple of float
        What the steps up to each point took, on one thread, without anything else.
    score : float
        The metric after the last step, on the validation rows, or without any on the training rows. NaN if training
        diverged.
    diverged : bool
        Whether a loss, a gradient or a parameter was not finite. The curves end before it.
    """

    seed: int
    losses: tuple[float, ...]
    train: tuple[float, ...]
    validation: tuple[float, ...] | None
    seconds: tuple[float, ...]
    score: float
    diverged: bool

    @property
    def judged(self) -> tuple[float, ...]:
        """The curve that decides: validation where there is one, else training."""
        return self.train if self.validation is None else self.validation

    @property
    def best(self) -> float:
        """The least judged loss, as `lasting` has it. NaN if training diverged."""
        return nan if self.diverged else lasting(self.judged)


@dataclass(frozen=True)
class Contender:
    """An optimizer at the rate that was found for it. Numbers of runs are medians over seeds.

    Attributes
    ----------
    label : str
        What it is called, as "SGD + momentum".
    optimizer : str
        Its name, as "sgd".
    arguments : dict
        What it was given besides the rate.
    lr : float
        Its rate.
    band : tuple of float
        The least and the greatest rate with which it does nearly as well.
    tried : tuple of Tried
        The search: every rate with every seed, by rate.
    runs : tuple of Run
        At this rate, one a seed. Empty if every rate diverged.
    best, final : float
        The least judged loss, as `lasting` has it, and that of the last point. NaN if it diverged.
    spread : float
        Greatest best loss less the least, over seeds.
    score : float
        The metric after the last step.
    steps_to_target, seconds_to_target : float or None
        Until the judged loss was at the target for the first time. None: it never was.
    at_time : float
        The least judged loss within the comparison's seconds, as `lasting` has it.
    """

    label: str
    optimizer: str
    arguments: dict[str, Any]
    lr: float
    band: tuple[float, float]
    tried: tuple[Tried, ...]
    runs: tuple[Run, ...]
    best: float
    final: float
    spread: float
    score: float
    steps_to_target: float | None
    seconds_to_target: float | None
    at_time: float

    @property
    def width(self) -> float:
        """The band of good rates as a factor."""
        return self.band[1] / self.band[0] if self.band[0] > 0 else nan


@dataclass(frozen=True)
class Other:
    """A model of another kind on the same rows.

    Attributes
    ----------
    name : str
        As "majority", "linear" or "gradient boosting".
    loss : float
        The judged loss, where the model has one; else NaN.
    score : float
        The metric.
    seconds : float
        What fitting took.
    """

    name: str
    loss: float
    score: float
    seconds: float


@dataclass(frozen=True)
class Measured:
    """Numbers of optimizers side by side on one data set.

    Attributes
    ----------
    name : str
        Of the data.
    task : str
        "classification" or "regression".
    rows, validation_rows, features : int
        Rows trained on, held out, and columns.
    loss, metric : str
        Their names. Losses are less when better; of the metrics accuracy and r2 are greater when better.
    judged : str
        "validation" or "training": the curve that decides.
    network : str
        What was trained.
    batch_size, steps : int
        Of each training.
    every : int
        Steps from one point of the curves to the next.
    epochs : float
        How often the steps go over the rows.
    seconds : float
        The budget of time.
    seeds : tuple of int
        One training each.
    start : float
        The judged loss at the start, the median over seeds.
    target : float
        The loss whose reaching is counted.
    contenders : tuple of Contender
        Best first.
    others : tuple of Other
        Models of other kinds.
    recommended : str
        Label of the first.
    lead : float
        How much less its best loss is than the next one's, as a share of the next one's; NaN if there is no next.
    within_spread : bool
        Whether that is less than what seeds alone make of it.
    took : float
        Seconds of the whole comparison.
    notes : tuple of str
        What else is to be known.
    """

    name: str
    task: str
    rows: int
    validation_rows: int
    features: int
    loss: str
    metric: str
    judged: str
    network: str
    batch_size: int
    steps: int
    every: int
    epochs: float
    seconds: float
    seeds: tuple[int, ...]
    start: float
    target: float
    contenders: tuple[Contender, ...]
    others: tuple[Other, ...]
    recommended: str
    lead: float
    within_spread: bool
    took: float
    notes: tuple[str, ...]

    def __getitem__(self, label: str) -> Contender:
        """The contender of this label."""
        for contender in self.contenders:
            if contender.label == label:
                return contender
        raise KeyError(f"{label!r} was not compared; compared: {', '.join(c.label for c in self.contenders)}")
