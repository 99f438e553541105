"""Epochs of a `PairwiseRanker`: what is given to the core, what each leaves behind, and when they end."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, log
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from ..arguments import integer, shown
from ..errors import DivergenceError
from ..history import History
from ..progress import Progress
from ..training.early_stopping import Best, EarlyStopping
from ..training.rates import of_steps
from .matrices import Compressed, Entries, compressed, of_entries
from .pairs import Features, Pairs, features, only_liked, pairs
from .ranking import Places, Representation
from .table import Tables

if TYPE_CHECKING:
    from typing_extensions import Self

# Tables of so many bytes are trained as a copy; larger ones where an epoch touches so many times as many rows.
SMALL = 1 << 24
TOUCHED = 16
# Seconds between looks for signals.
SLICE = 0.05
# The most that a pair of WARP weighs.
MOST_RANK_LOSS = 10.0
PATIENCE = 3
METRICS = ("precision_at_K", "recall_at_K", "ndcg_at_K", "auc")
ADVICE = "try a lower learning_rate, or larger item_alpha and user_alpha"
MOST_EPOCHS = 2**31


class Settings(NamedTuple):
    """The constructor's arguments, checked."""

    dim: int
    kos: tuple[int, int]
    adadelta: tuple[float, float] | None
    loss: str
    learning_rate: float | Callable[[int], float]
    item_alpha: float
    user_alpha: float
    max_sampled: int
    popularity: bool
    batch: int
    dtype: np.dtype[Any]

    @property
    def slots(self) -> int:
        """Of a table's rows."""
        return 2 if self.adadelta is None else 3


class Given(NamedTuple):
    """What a fit learns from."""

    pairs: Pairs
    user_features: Features | None
    item_features: Features | None

    @property
    def rows(self) -> tuple[int, int]:
        """That the tables need."""
        users, items = self.pairs.shape
        return (
            users if self.user_features is None else self.user_features.shape[1],
            items if self.item_features is None else self.item_features.shape[1],
        )


class State(NamedTuple):
    """What a ranker has learnt.

    Attributes
    ----------
    tables : Tables
    seen : Compressed
        What each user is known to like.
    seed, epochs, steps : int
        Draws follow from the seed and the number of the epoch.
    """

    tables: Tables
    seen: Compressed
    seed: int
    epochs: int
    steps: int


class Watch(NamedTuple):
    """What is looked at after each epoch.

    Attributes
    ----------
    validation : object
        Interactions, or None.
    kind : str
        The metric's, without K.
    k : int
    stopping : EarlyStopping or None
    """

    validation: Any
    kind: str
    k: int
    stopping: EarlyStopping | None

    @classmethod
    def of(cls, validation: Any, metric: Any, early_stopping: Any) -> Self:
        """That of the arguments of a fit."""
        kind, at, k = metric.partition("_at_") if isinstance(metric, str) else ("", "", "")
        if metric == "auc":
            k = "1"
        elif not (at and f"{kind}_at_K" in METRICS and k.isascii() and k.isdigit() and 1 <= int(k) < 2**31):
            raise ValueError(f"metric must be one of {', '.join(METRICS)}, with a number for K; got {shown(metric)}")
        found = cls(validation, kind, int(k), None)
        if early_stopping is None or early_stopping is False:
            return found
        if not isinstance(early_stopping, EarlyStopping):
            patience = PATIENCE if early_stopping is True else integer("early_stopping", early_stopping, 1)
            early_stopping = EarlyStopping(patience, monitor=found.column, mode="max")
        if validation is None and early_stopping.monitor != "loss":
            raise ValueError("early_stopping needs validation: interactions that are not learnt from; got None")
        return found._replace(stopping=early_stopping)

    @property
    def column(self) -> str:
        """How the history calls it."""
        return "val_auc" if self.kind == "auc" else f"val_{self.kind}_at_{self.k}"

    @property
    def names(self) -> tuple[str, ...]:
        """What is recorded."""
        return ("loss",) if self.validation is None else ("loss", self.column)

    def positives(self, given: Given) -> Compressed | None:
        """The validation's."""
        return None if self.validation is None else compressed("validation", self.validation, given.pairs.shape, True)

    def measured(self, tables: Tables, given: Given, positives: Compressed, seen: Compressed) -> float:
        """The mean over the users that have a positive; NaN: there is none."""
        places = Places(representation(tables, given), positives, within(seen, positives.shape))
        values = places.metric(self.kind, self.k)
        users = np.repeat(np.arange(positives.shape[0]), np.diff(positives.start))
        counted = np.bincount(users[places.place >= 0], minlength=len(values)) > 0
        return float(values[counted].mean()) if counted.any() else float("nan")


def vectors(table: Any, found: Features | None, rows: int | None = None) -> Any:
    """(n, stride): what users or items are, the bias behind the components; rows: of the table that there are."""
    if found is None:
        return np.ascontiguousarray(table[:rows, 0])
    return _core.TableRows(found.shape[0], table, found.rows).representations()


def representation(tables: Tables, given: Given) -> Representation:
    """What scores of those that are learnt from come from, without the users' own biases."""
    users = vectors(tables.users, given.user_features, given.pairs.shape[0])
    items = vectors(tables.items, given.item_features, given.pairs.shape[1])
    dim = tables.dim
    return Representation(
        np.ascontiguousarray(users[:, :dim]), np.ascontiguousarray(items[:, :dim]), np.ascontiguousarray(items[:, dim])
    )


def given(settings: Settings, interactions: Any, user_features: Any, item_features: Any, sample_weight: Any) -> Given:
    """The arguments of a fit, checked."""
    if settings.loss == "warp-kos" and sample_weight is not None:
        raise ValueError("sample_weight must be None for loss='warp-kos', which draws what is learnt from")
    found = pairs(interactions, sample_weight, settings.dtype)
    n_users, n_items = found.shape
    of_users = None if user_features is None else features("user_features", user_features, n_users, settings.dtype)
    of_items = None if item_features is None else features("item_features", item_features, n_items, settings.dtype)
    shape = (
        n_users if of_users is None else of_users.shape[0],
        n_items if of_items is None else of_items.shape[0],
    )
    if settings.loss != "logistic":
        found = only_liked(found)
    return Given(found._replace(shape=shape), of_users, of_items)


def nothing_seen() -> Compressed:
    """Of nobody."""
    return Compressed(np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), (0, 0))


def _entries_of(rows: Compressed) -> Entries:
    users = np.repeat(np.arange(rows.shape[0], dtype=np.int64), np.diff(rows.start))
    return Entries(users, rows.indices.astype(np.int64), np.ones(len(users), np.float32), rows.shape)


def joined(before: Compressed, found: Pairs) -> Compressed:
    """What was known, and what these pairs tell."""
    a, b = _entries_of(before), _entries_of(found.known)
    shape = max(a.shape[0], found.shape[0]), max(a.shape[1], found.shape[1])
    both = [np.concatenate(pair) for pair in zip(a[:3], b[:3], strict=True)]
    return of_entries(Entries(both[0], both[1], both[2], shape), positive=True)


def within(rows: Compressed, shape: tuple[int, int]) -> Compressed:
    """Those of its entries that a matrix of this shape has, as such a matrix."""
    if rows.shape == shape:
        return rows
    users, items, values, _ = _entries_of(rows)
    chosen = (users < shape[0]) & (items < shape[1])
    return of_entries(Entries(users[chosen], items[chosen], values[chosen], shape), positive=True)


def _has_unseen(rows: Compressed, seen: Compressed) -> bool:
    """Whether rows have an entry that these others, of the same shape, do not have."""
    mine, theirs = (found.users * rows.shape[1] + found.items for found in (_entries_of(rows), _entries_of(seen)))
    return not bool(np.isin(mine, theirs).all())


def run(
    ranker: dict[str, Any], begin: State, settings: Settings, given: Given, epochs: int, level: int,
    watch: Watch, history: History,
) -> None:  # fmt: skip
    """So many epochs, or fewer. After each, as a whole, the ranker has what has been learnt by then.

    Parameters
    ----------
    ranker : dict
        Its attributes.
    begin : State
        Whose tables are to be the ranker's.
    settings, given, watch
    epochs, level : int
        How many; `Progress` has the level.
    history : History
        To be the ranker's.
    """
    seen = joined(begin.seen, given.pairs)
    positives = watch.positives(given)
    if positives is not None and not _has_unseen(positives, within(seen, positives.shape)):
        raise ValueError("validation must have an entry greater than 0 that is not learnt from; got none")
    kept = begin.tables
    rows = len(kept.users) + len(kept.items)
    # What an epoch has learnt comes back as a whole, where that costs little beside the epoch.
    copied = kept.flat.nbytes <= SMALL or 3 * len(given.pairs.users) >= TOUCHED * rows
    tables = kept.copy() if copied else kept
    best = Best.of(watch.stopping, watch.names, kept.flat)
    trainer = _trainer(begin._replace(tables=tables), settings, given, seen)
    after = begin._replace(seen=seen)
    progress = Progress(level, begin.epochs + epochs, trainer.steps_per_epoch)
    history.stopped = None
    attributes = {"history_": history, "seed_": begin.seed}
    if not epochs:
        ranker.update(attributes, _learnt=after, n_epochs_=after.epochs)
    try:
        for _ in range(epochs):
            since = perf_counter()
            loss, lr = _epoch(settings, trainer, after, progress)
            after = after._replace(epochs=after.epochs + 1, steps=after.steps + trainer.steps_per_epoch)
            logs = {"loss": loss}
            if positives is not None:
                logs[watch.column] = watch.measured(tables, given, positives, seen)
            seconds = perf_counter() - since
            _core.in_turn(
                [
                    *([(_core.copy_all, [kept.flat], [tables.flat])] if copied else []),
                    (ranker.update, {**attributes, "_learnt": after, "n_epochs_": after.epochs}),
                    *history._appending(after.epochs, seconds, lr, logs),
                    *([] if best is None else best.looking(logs)),
                ]
            )
            progress.epoch(after.epochs, seconds, logs)
            if best is not None and best.is_over:
                history.stopped = "early_stopping"
                break
    except DivergenceError:
        history.stopped = "diverged"
        raise
    except KeyboardInterrupt:
        history.stopped = "interrupted"
        raise
    except BaseException:
        history.stopped = "failed"
        raise
    finally:
        if best is not None:
            _core.in_turn([*best.restoring, (setattr, history, "_monitor", best.monitor)])
        history.stopped = history.stopped or "finished"
        progress.close()


def _trainer(begin: State, settings: Settings, given: Given, seen: Compressed) -> _core.Pairwise:
    """The core's, with whatever it needs for this loss."""
    found, loss = given.pairs, settings.loss
    n_users, n_items = found.shape
    ranks = np.maximum(1, (n_items - 1) // np.arange(1, settings.max_sampled + 1))
    known = within(seen, found.shape)
    of_pairs = (found.users, found.items, found.liked if loss == "logistic" else None, found.weights)
    tables = begin.tables
    return _core.Pairwise(
        loss,
        settings.dim,
        _core.TableRows(n_users, tables.users, _rows(given.user_features), settings.user_alpha),
        _core.TableRows(n_items, tables.items, _rows(given.item_features), settings.item_alpha),
        of_pairs,
        (np.ascontiguousarray(known.start), np.ascontiguousarray(known.indices, np.int32)),
        adadelta=settings.adadelta,
        popular=found.items if loss == "bpr" and settings.popularity else None,
        max_sampled=settings.max_sampled,
        rank_losses=np.array([min(MOST_RANK_LOSS, log(rank)) for rank in ranks.tolist()]),
        kos=settings.kos,
        seed=begin.seed,
        batch=settings.batch,
    )


def _rows(found: Features | None) -> Any:
    return None if found is None else found.rows


def _epoch(settings: Settings, trainer: _core.Pairwise, before: State, progress: Progress) -> tuple[float, float]:
    """One epoch; its mean loss, and the rate of its last step."""
    steps, number, rate = trainer.steps_per_epoch, before.epochs + 1, settings.learning_rate
    lrs = of_steps("learning_rate", rate, before.steps, steps if callable(rate) and steps else 1)
    assert lrs is not None
    trainer.begin(before.epochs, lrs)
    try:
        while trainer.run(SLICE):
            progress.batch(number, trainer.steps, trainer.loss)
        return trainer.loss, float(lrs[-1])
    except ArithmeticError:
        pass
    loss, step = trainer.loss, max(0, min(trainer.steps, steps - 1))
    lr = float(lrs[step if len(lrs) > 1 else 0])
    raise DivergenceError(
        f"training diverged: {'a row' if isfinite(loss) else 'a score'} was NaN or infinite in epoch {number}, by step "
        f"{step + 1} of {steps}, with learning_rate={lr:g}; {ADVICE}",
        epoch=number,
        batch=step + 1,
        lr=lr,
        loss=loss,
    )
