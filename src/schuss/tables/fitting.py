"""Fitting a table's model: rows split, columns decided, networks trained, logits calibrated, all rows refitted."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from copy import copy, deepcopy
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DivergenceError
from ..threads import get_num_threads, threads
from .folds import folds
from .heads import Head
from .joining import joined
from .model import TableModel, given
from .recipes import Recipe, Task
from .recipes.base import fitted
from .schema import Columns, Schema
from .temperature import best_temperature

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..guidance import RateSweep
    from ..history import History
    from ..losses import Loss
    from ..trained import Trained
    from ..training import EpochRecord
    from .cells import Table
    from .folds import Fold
    from .recipes.base import Member, Training
    from .target import Target

    #: Called after each epoch, with what makes a model of a network as it is; whether training is to end.
    OnEpoch = Callable[[EpochRecord, Callable[[], TableModel]], bool]
    #: Columns, targets and weights of rows.
    Read = tuple[Columns, NDArray[Any], NDArray[np.float64] | None]
    #: Called before the first training: with what columns and outputs are, what is to be told, all rows, the folds.
    OnStart = Callable[[Schema, Head, Sequence[str], Read, Sequence[Fold]], None]

# How fits recover, where they are to.
_RECOVERING = {"on_divergence": "recover", "explosion": 10.0}
# The share of a time limit that epochs are planned for: the rest is for what cannot be foreseen.
_PLANNED = 0.85
# Of seconds, where nothing is left; and of an epoch, to which it is foreseen how many fit.
_LEAST = 1e-6
_PARTS = 1000
# Arguments of a training that a search for its learning rate takes.
_OF_SEARCH = ("X", "y", "loss", "optimizer", "batch_size", "drop_last", "sample_weight", "clip_norm", "dropout_factor")


@dataclass(frozen=True)
class Rows:
    """Rows that a model is fitted to or validated on.

    Attributes
    ----------
    table : Table
    y : (rows,) int64 numbers of classes, or float64
    weights : (rows,) float64 or None
    """

    table: Table
    y: NDArray[Any]
    weights: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Settings:
    """How a model is fitted. `schuss.sklearn.TabularClassifier` documents all of these."""

    recipe: Recipe
    loss: Loss | None = None
    metric: str | None = None
    epochs: int | None = None
    time_limit: float | None = None
    members: int = 1
    refit: bool = False
    calibrate: bool = True
    fraction: float = 0.2
    seed: int = 0
    on_epoch: OnEpoch | None = None
    on_start: OnStart | None = None
    #: Whose columns, encoding and parameters training begins with, where it goes on from a model.
    start: TableModel | None = None
    #: Whether optimizers stay with networks where nothing validates and rates are constant: so that going on from the
    #: model, with epochs more, is one longer training.
    resumable: bool = False
    #: Whether networks recover from divergence, and from losses that explode.
    recovers: bool = False
    #: Whether the first network's training begins with a search for the learning rate, which then is the recipe's.
    finds_rate: bool = False
    verbose: int = 0
    #: Further arguments of fits, for the name of a phase of the training and the number of a network.
    further: Callable[[str, int], dict[str, Any]] | None = None


@dataclass(frozen=True)
class Fitted:
    """A model and how it came about.

    Attributes
    ----------
    model : TableModel
    before : TableModel
        Without a refit: the one whose members have not seen the rows that they validate on.
    histories : tuple of History
        Of each member's training before a refit.
    best_epochs : tuple of int
        Of each member, the epoch whose parameters were kept; the last one where nothing validates.
    notes : tuple of str
        What the user should know.
    held : tuple of (TableModel, (Columns, y, weights))
        Rows that have validated, as they were read, each with a model that has not learned from them: `before` where
        they are the user's own, else each member of it with its fold.
    parts : tuple of folds
        Which rows have trained and validated each member of `before`.
    interrupted : bool
        Whether Ctrl-C has ended it early: what was trained until then is the model.
    rate : RateSweep or None
        What was found, where the learning rate was looked for.
    """

    model: TableModel
    before: TableModel
    histories: tuple[History, ...]
    best_epochs: tuple[int, ...]
    notes: tuple[str, ...]
    held: tuple[tuple[TableModel, Read], ...]
    parts: tuple[Fold, ...]
    interrupted: bool = False
    rate: RateSweep | None = None


class Clock:
    """What is left of a time limit."""

    def __init__(self, limit: float | None) -> None:
        self.limited = limit is not None
        self._end = np.inf if limit is None else time.perf_counter() + limit

    @property
    def left(self) -> float:
        """Seconds; below 0 where none is."""
        return float(self._end - time.perf_counter())


def fit(training: Rows, validation: Rows | None, target: Target, settings: Settings) -> Fitted:
    """Fit a model.

    Parameters
    ----------
    training : Rows
        Every one with a weight above 0.
    validation : Rows or None
        None: a share of the training rows is held out, a fold of its own for each member.
    target : Target
    settings : Settings

    Raises
    ------
    DataError
        If there is nothing to learn from.
    DivergenceError
        If the loss of the first epoch was not finite, with the recipe's cautious form too.
    """
    clock = Clock(settings.time_limit)
    fraction = settings.fraction if validation is None else 0.0
    labels = training.y if target.classes else None
    parts = folds(len(training.y), fraction, settings.members, settings.seed, labels)
    learned = parts[0][0] if len(parts) == 1 else np.unique(np.concatenate([train for train, _ in parts]))
    trainer = _Trainer.of(training, learned, validation, target, settings, clock)
    everything = None
    if settings.refit:
        everything = training if validation is None else _joined(training, validation)
    # Where the caller has let go of them, too, the cells of the tables are gone: they have been read.
    del training, validation
    rate = None
    if settings.finds_rate:
        rate, settings = trainer.with_rate(parts)
    if settings.on_start is not None:
        settings.on_start(trainer.schema, trainer.head, tuple(trainer.notes), trainer.rows, parts)
    try:
        members = trainer.fit(parts)
    except DivergenceError as error:
        cautious = settings.recipe.cautious()
        if cautious is None:
            raise
        told, settings = trainer.notes, replace(settings, recipe=cautious)
        rows = trainer.rows
        trainer = _Trainer(trainer.schema, told, rows, _rows_of(rows, learned), trainer.held, target, settings, clock)
        trainer.phase = "cautious"
        trainer.notes = [*told, f"training began anew, with another start and a smaller rate: {error}"]
        members = trainer.fit(parts)
    parts = [parts[k] for k in trainer.kept]
    best = tuple(member.epochs for member in members)
    networks = tuple(member.network for member in members)
    temperature = trainer.temperature(networks, parts) if settings.calibrate and target.classes else 1.0
    model = before = trainer.model(networks, temperature)
    held = trainer.held_out(before, parts)
    notes = trainer.notes
    interrupted = trainer.interrupted
    if everything is not None and not interrupted:
        again = _Trainer.of(everything, np.arange(len(everything.y)), None, target, settings, clock)
        again.epochs, again.planned, again.phase = trainer.epochs, True, "refit"
        stops = max(1, round(sum(best) / len(best)))
        whole = folds(len(everything.y), 0.0, settings.members, settings.seed)
        try:
            networks = tuple(member.network for member in again.fit(whole, stops))
        except KeyboardInterrupt:  # the model without a refit is there
            again.interrupted = True
        except DivergenceError as error:
            notes = [*notes, f"the refit on all rows is left out: {error}"]
        else:
            if not again.interrupted:
                model = again.model(networks, temperature)
                notes = [*notes, f"refitted on all {len(everything.y)} rows for {stops} epochs"]
        interrupted = again.interrupted
    histories = tuple(member.history for member in members)
    return Fitted(model, before, histories, best, tuple(dict.fromkeys(notes)), held, tuple(parts), interrupted, rate)


class _Trainer:
    """Networks trained by one recipe on one encoding.

    Attributes
    ----------
    schema : Schema
    head : Head
    rows, held : Read
        All rows that train or are held out of training, and validation rows of the user's own or None.
    epochs : int or None
        That schedules are made for; None: the recipe's.
    planned : bool
        Whether those are as many as there is time for.
    notes : list of str
    kept : list of int
        Of the parts, those whose networks are there.
    interrupted : bool
        Whether Ctrl-C has ended the trainings.
    phase : str
        What is trained, by a name of its own.
    """

    def __init__(
        self,
        schema: Schema,
        notes: Sequence[str],
        rows: Read,
        learned: Read,
        held: Read | None,
        target: Target,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.schema, self._target, self._settings, self._clock = schema, target, settings, clock
        self.rows, self.held = rows, held
        self.notes = [*notes, *rows[0].notes]
        self.epochs = settings.epochs
        self.planned = self.interrupted = False
        self.phase = "network"
        self.kept: list[int] = []
        recipe, classes = settings.recipe, len(target.classes)
        start = settings.start
        loss = recipe.loss(Task(classes, classes or 1, settings.loss))
        if start is not None:
            head = start.head
        else:
            head = Head(loss, classes) if classes else Head.of_numbers(loss, learned[1], learned[2])
        limits = None
        if head.standard is not None and head.limited:
            low, high = head.standard.limits()
            limits = float(low[0]), float(high[0])
        self._task = Task(classes, head.outputs, settings.loss, limits, settings.metric)
        self._encoding = recipe.encoding(learned[0], schema.cardinalities) if start is None else start.encoding
        self.head = head

    @classmethod
    def of(
        cls,
        training: Rows,
        learned: NDArray[np.int64],
        validation: Rows | None,
        target: Target,
        settings: Settings,
        clock: Clock,
    ) -> _Trainer:
        """One that learns from these of the rows what columns are and how numbers are spread."""
        whole = len(learned) == len(training.y)
        schema, notes = (
            (settings.start.schema, ())
            if settings.start is not None
            else Schema.decide(training.table if whole else training.table.take(learned))
        )
        rows = schema.read(training.table), training.y, training.weights
        held = None
        if validation is not None:
            held = schema.read(validation.table), validation.y, validation.weights
        return cls(schema, notes, rows, _rows_of(rows, learned), held, target, settings, clock)

    def model(self, networks: tuple[Trained, ...], temperature: float) -> TableModel:
        """Of these networks."""
        head = replace(self.head, activation=networks[0]._graph.activation)
        recipe = self._settings.recipe.to_dict()
        return TableModel(self.schema, self._target, self._encoding, head, networks, temperature, recipe)

    def held_out(self, model: TableModel, parts: Sequence[Fold]) -> tuple[tuple[TableModel, Read], ...]:
        """What has not learned from which rows, for a model whose members these parts have trained."""
        if self.held is not None:
            return ((model, self.held),)
        return tuple(
            (replace(model, networks=(network,)), _rows_of(self.rows, test))
            for network, (_, test) in zip(model.networks, parts, strict=True)
            if len(test)
        )

    # -- training ----------------------------------------------------------------------------------------------------

    def fit(self, parts: Sequence[Fold], stops: int | None = None) -> list[Member]:
        """A network for each part of the rows, side by side; where Ctrl-C ends it, for those that have had an epoch.

        stops: after so many epochs, whatever schedules say.
        """
        seeds = np.random.SeedSequence(self._settings.seed).generate_state(len(parts), np.uint64).tolist()
        if self._clock.limited and not self.planned:
            parts = self._planned(parts, seeds[0])
        trainings = [self._prepared(part, seed, stops) for part, seed in zip(parts, seeds, strict=True)]
        if self._settings.start is not None:
            for training, before in zip(trainings, self._settings.start.networks, strict=True):
                if self._settings.resumable and before.optimizer is not None:
                    training.network = deepcopy(before)  # type: ignore[assignment]  # it is a Network
                else:
                    _carry_over(before, training.network)
        return self._run(trainings)

    def with_rate(self, parts: Sequence[Fold]) -> tuple[RateSweep, Settings]:
        """Look for the learning rate on the first part's rows. It is the recipe's from now on, as in these settings."""
        from ..guidance import find_lr

        seed = int(np.random.SeedSequence(self._settings.seed).generate_state(1, np.uint64)[0])
        training = self._prepared(parts[0], seed, None)
        arguments = training.arguments(self.epochs or training.epochs)
        found = find_lr(training.network, **{name: arguments[name] for name in _OF_SEARCH if name in arguments})
        recipe: Any = self._settings.recipe
        self._settings = replace(self._settings, recipe=replace(recipe, lr=found.suggestion), finds_rate=False)
        beyond = "" if found.diverges is None else f"; from {found.diverges:.2g} on it diverges"
        self.notes.append(
            f"learning rate {found.suggestion:.3g}, found by {found.steps} steps of short trainings{beyond}"
        )
        return found, self._settings

    def _prepared(self, part: Fold, seed: int, stops: int | None) -> Training:
        train, test = part
        columns, y, weights = _rows_of(self.rows, train)
        held = self.held if self.held is not None else _rows_of(self.rows, test) if len(test) else None
        validation = None if held is None else (held[0], self.head.targets(held[1]), *held[2:])
        return self._settings.recipe.prepare(
            columns,
            self.head.targets(y),
            self._task,
            cardinalities=self.schema.cardinalities,
            validation=validation,
            sample_weight=weights,
            seed=seed,
            epochs=self.epochs,
            stop_after=stops,
            encoding=self._encoding,
        )

    def _run(self, trainings: Sequence[Training]) -> list[Member]:
        verbose = self._settings.verbose
        further = self._settings.further
        fits = []
        for k, training in enumerate(trainings):
            more = {} if further is None else further(self.phase, k)
            callbacks = [*self._callbacks(), *([more.pop("callbacks")] if "callbacks" in more else [])]
            fits.append(
                {
                    "network": training.network,
                    **_going_on(training.network, training.arguments(self.epochs or training.epochs)),
                    **more,
                    "callbacks": callbacks,
                    "verbose": verbose if k == 0 else 0,
                    **(_RECOVERING if self._settings.recovers else {}),
                }
            )
        self.kept = list(range(len(trainings)))
        try:
            members = fitted(trainings, fits)
        except KeyboardInterrupt:
            self.kept = [k for k in self.kept if trainings[k].network.epochs_done]
            # A model to go on from is worth more than some of its networks.
            if not self.kept or (self._settings.start is not None and len(self.kept) < len(trainings)):
                raise
            self.interrupted = True
            warnings.warn("Training interrupted by user.", stacklevel=5)
            if len(self.kept) < len(trainings):
                left = len(trainings) - len(self.kept)
                self.notes.append(f"{left} of {len(trainings)} networks had no epoch yet, and are left out")
            trainings = [trainings[k] for k in self.kept]
            members = [training.member(training.network.history) for training in trainings]
        for member, training in zip(members, trainings, strict=True):
            if member.history.stopped == "diverged":
                done = len(member.history)
                self.notes.append(
                    f"training was not finite in epoch {done + 1}; the best before, {member.epochs}, is kept"
                )
            if member.history.recoveries:
                first, last = member.history.recoveries[0], member.history.recoveries[-1]
                self.notes.append(
                    f"training diverged in epoch {first.epoch}: it went back, and on with {last.lr_after:g} for "
                    f"{first.lr_before:g} as the rate"
                )
            # Training is over: what it has left is not for prediction.
            if not (self._settings.resumable and training._validation is None and _is_steady(member.network)):
                member.network.optimizer = None
        return members

    def _callbacks(self) -> list[Callable[[EpochRecord], Any]]:
        """What may end a training before its last epoch."""
        found: list[Callable[[EpochRecord], Any]] = []
        on_epoch = self._settings.on_epoch
        if self._clock.limited:
            found.append(lambda record: self._clock.left < record.seconds / 2)
        if on_epoch is not None:
            found.append(lambda record: on_epoch(record, lambda: self.model((deepcopy(record.network),), 1.0)))
        return found

    def _planned(self, parts: Sequence[Fold], seed: int) -> Sequence[Fold]:
        """Plan no more epochs than there is time for, and where there is none for one, fewer rows of each part."""
        training = self._prepared(parts[0], seed, None)
        # Several go side by side, each on one thread.
        turns = ceil(len(parts) / get_num_threads())
        share = turns * (2 if self._settings.refit else 1)
        seconds = max(self._clock.left * _PLANNED / share, _LEAST)
        probe = copy(training)
        probe.epochs = _PARTS * training.epochs
        with threads(1) if len(parts) > 1 else nullcontext():
            within = probe.epochs_within(seconds * _PARTS) / _PARTS
        self.epochs, self.planned = max(1, min(training.epochs, int(within))), True
        if self.epochs < training.epochs:
            self.notes.append(f"{self.epochs} of {training.epochs} epochs fit the time limit, and are planned")
        if within >= 1.0:
            return parts
        rows = max(self._settings.recipe.batch_size, int(within * len(parts[0][0])))
        if rows >= len(parts[0][0]):
            return parts
        self.notes.append(f"the time limit is shorter than an epoch: {rows} of {len(parts[0][0])} rows train")
        draw = np.random.Generator(np.random.PCG64([seed, 1]))
        return [(np.sort(draw.permutation(train)[:rows]), test) for train, test in parts]

    # -- calibration -------------------------------------------------------------------------------------------------

    def temperature(self, networks: Sequence[Trained], parts: Sequence[Fold]) -> float:
        """By which log loss is least on rows held out: of each row by the members that have held it out."""
        head = self.model(tuple(networks), 1.0).head
        everyone = self.held is not None
        rows = self.rows if self.held is None else self.held
        # Of each network, the rows that it has not learned from.
        pairs = [
            (network, np.arange(len(rows[1])) if everyone else test)
            for network, (_, test) in zip(networks, parts, strict=True)
            if everyone or len(test)
        ]
        if not pairs:
            return 1.0
        outputs = [
            network.predict(given(network, self._encoding.transform(_rows_of(rows, test)[0])))
            for network, test in pairs
        ]
        held, place = np.unique(np.concatenate([test for _, test in pairs]), return_inverse=True)
        places = np.split(place, np.cumsum([len(test) for _, test in pairs])[:-1])
        counts = np.bincount(place)[:, None]

        def probabilities(t: float) -> NDArray[np.float64]:
            total = np.zeros((len(held), head.classes))
            for output, where in zip(outputs, places, strict=True):
                total[where] += head.probabilities([output], t)
            return total / counts

        weights = None if rows[2] is None else rows[2][held]
        if weights is not None and not weights.any():
            return 1.0
        return best_temperature(probabilities, rows[1][held], weights)


def _going_on(network: Trained, arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a fit with the network's own optimizer, where it has one."""
    return arguments if network.optimizer is None else {**arguments, "optimizer": network.optimizer}


def _is_steady(network: Trained) -> bool:
    """Whether nothing that the optimizer does depends on how many steps are still to come."""
    groups = [] if network.optimizer is None else network.optimizer.param_groups
    return all(group.get("schedule") is None and group.get("decay_schedule") is None for group in groups)


def _carry_over(before: Trained, network: Trained) -> None:
    """What a network has learned, to one of the same layers."""
    pairs = [(network.named_parameters(), before.named_parameters()), (network.named_states(), before.named_states())]
    for mine, theirs in pairs:
        if {name: array.shape for name, array in mine.items()} != {name: a.shape for name, a in theirs.items()}:
            raise ValueError("the model to go on from has other layers than those asked for")
    for mine, theirs in pairs:
        for name, array in mine.items():
            array[...] = theirs[name]


def _rows_of(rows: Read, chosen: NDArray[np.int64]) -> Read:
    columns, y, weights = rows
    if len(chosen) == len(y):
        return rows
    part = Columns(columns.numbers[chosen], columns.codes[chosen])
    return part, y[chosen], None if weights is None else weights[chosen]


def _joined(training: Rows, validation: Rows) -> Rows:
    """Both, one after the other."""
    both = (training, validation)
    weights = None
    if any(rows.weights is not None for rows in both):
        weights = np.concatenate([np.ones(len(rows.y)) if rows.weights is None else rows.weights for rows in both])
    table = joined(training.table, validation.table)
    return Rows(table, np.concatenate([rows.y for rows in both]), weights)
