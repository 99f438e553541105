"""What a comparison of optimizers has found, as plain data."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files.writing import replace
from .table import as_table, verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# Of a saved comparison. A file of a newer one is refused.
VERSION = 1


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
class Comparison:
    """Optimizers side by side on one data set.

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

    def __str__(self) -> str:
        return as_table(self)

    def __getitem__(self, label: str) -> Contender:
        """The contender of this label."""
        for contender in self.contenders:
            if contender.label == label:
                return contender
        raise KeyError(f"{label!r} was not compared; compared: {', '.join(c.label for c in self.contenders)}")

    @property
    def verdict(self) -> str:
        """The recommendation, in a sentence."""
        return verdict(self)

    def to_dict(self, *, times: bool = True) -> dict[str, Any]:
        """Plain dicts, lists, numbers and text; None stands for NaN.

        Parameters
        ----------
        times : bool
            Without, all seconds and what follows from them are None: the rest is the same in every run.
        """
        found: dict[str, Any] = _plain(dataclasses.asdict(self))
        if not times:
            found.update(seconds=None, took=None)
            for other in found["others"]:
                other["seconds"] = None
            for contender in found["contenders"]:
                contender.update(seconds_to_target=None, at_time=None)
                for run in contender["runs"]:
                    run["seconds"] = []
        return found

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Comparison:
        """What `to_dict` gave.

        Raises
        ------
        ValueError
            If something is missing or not of its kind.
        """
        try:
            given = _fields(cls, found)
            given["contenders"] = tuple(_contender(one) for one in found["contenders"])
            given["others"] = tuple(Other(**_fields(Other, one)) for one in found["others"])
            return cls(**given)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"this is no comparison: {type(error).__name__}: {error}") from error

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON, which `schuss.comparison.load` reads. The file is there whole or not at all."""
        text = json.dumps({"schuss comparison": VERSION, **self.to_dict()}, allow_nan=False)
        replace(os.path.realpath(path), text.encode())


def load(path: str | os.PathLike[str]) -> Comparison:
    """Read a comparison that was saved.

    Raises
    ------
    ValueError
        If the file is not one, or of a newer version.
    OSError
        If it cannot be read.
    """
    try:
        found = json.loads(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not a saved comparison: {error}") from None
    version = found.get("schuss comparison") if isinstance(found, dict) else None
    if not isinstance(version, int):
        raise ValueError(f"{path} is not a saved comparison")
    if version > VERSION:
        raise ValueError(f"{path} is of version {version} of comparisons; this schuss reads up to {VERSION}")
    return Comparison.from_dict(found)


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, float):
        if isnan(value):
            return None
        return value if isfinite(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return str(value)


# Fields that may be None as such; everywhere else None is NaN.
_OPTIONAL = ("validation", "steps_to_target", "seconds_to_target")


def _number(value: Any) -> Any:
    if value is None:
        return nan
    return {"inf": inf, "-inf": -inf}.get(value, value) if isinstance(value, str) else value


def _fields(kind: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    """Values of a dataclass's fields, tuples where lists were."""
    given: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        value = found[field.name]
        if isinstance(value, list):
            value = tuple(_number(one) for one in value)
        elif value is None:
            value = None if field.name in _OPTIONAL else nan
        elif "float" in str(field.type):
            value = _number(value)
        given[field.name] = value
    return given


def _all(kind: Any, found: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    return tuple(kind(**_fields(kind, one)) for one in found)


def _contender(found: Mapping[str, Any]) -> Contender:
    given = _fields(Contender, found)
    given["tried"], given["runs"] = _all(Tried, found["tried"]), _all(Run, found["runs"])
    return Contender(**given)
