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
from ..progress import Progress
from ..training.rates import of_steps
from .matrices import Compressed, Entries, of_entries
from .pairs import Features, Pairs, features, only_liked, pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from typing_extensions import Self

    from .pairwise import PairwiseRanker
    from .table import Table

# Bytes of tables up to which an epoch that does not end is undone.
MOST_COPIED = 1 << 28
# Seconds between looks for signals.
SLICE = 0.05
# The most that a pair of WARP weighs.
MOST_RANK_LOSS = 10.0
PATIENCE = 3
METRICS = ("precision_at_K", "recall_at_K", "ndcg_at_K", "auc")
ADVICE = "try a lower learning_rate, or larger item_alpha and user_alpha"


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


class Given(NamedTuple):
    """What a fit learns from."""

    pairs: Pairs
    user_features: Features | None
    item_features: Features | None

    @property
    def user_rows(self) -> int:
        """Rows that the users' table needs."""
        return self.pairs.shape[0] if self.user_features is None else self.user_features.shape[1]

    @property
    def item_rows(self) -> int:
        """Rows that the items' table needs."""
        return self.pairs.shape[1] if self.item_features is None else self.item_features.shape[1]


class Watch(NamedTuple):
    """What is looked at after each epoch.

    Attributes
    ----------
    validation : object
        Interactions, or None.
    name : str
        The metric's.
    k : int
    patience : int
        0: no early stopping.
    """

    validation: Any
    name: str
    k: int
    patience: int

    @classmethod
    def of(cls, validation: Any, metric: Any, early_stopping: Any) -> Self:
        """That of the arguments of a fit."""
        if early_stopping is None or early_stopping is False:
            patience = 0
        else:
            patience = PATIENCE if early_stopping is True else integer("early_stopping", early_stopping, 1)
        if patience and validation is None:
            raise ValueError("early_stopping needs validation: interactions that are not learnt from; got None")
        kind, at, k = metric.partition("_at_") if isinstance(metric, str) else ("", "", "")
        if metric == "auc":
            return cls(validation, "auc", 1, patience)
        if at and f"{kind}_at_K" in METRICS and k.isascii() and k.isdigit() and int(k) >= 1:
            return cls(validation, kind, int(k), patience)
        raise ValueError(f"metric must be one of {', '.join(METRICS)}, with a number for K; got {shown(metric)}")

    @property
    def column(self) -> str:
        """How the history calls it."""
        return f"val_{self.name}" if self.name == "auc" else f"val_{self.name}_at_{self.k}"

    def measured(self, model: PairwiseRanker, given: Given, known: Compressed) -> float:
        """The mean over the users that have a positive; NaN: there is none."""
        from .matrices import compressed
        from .ranking import Places, of_factors

        users, items = model._represented_by(given.user_features, given.item_features)
        dim = model.no_components
        found = of_factors(users[:, :dim], items[:, :dim], items[:, dim])
        positives = compressed("validation", self.validation, found.shape, True)
        places = Places(found, positives, within(known, found.shape))
        values = places.metric(self.name, self.k)
        of = np.repeat(np.arange(positives.shape[0]), np.diff(positives.start))
        counted = np.bincount(of[places.place >= 0], minlength=len(values)) > 0
        return float(values[counted].mean()) if counted.any() else float("nan")


def seed_of(random_state: Any) -> int:
    """The seed of all draws."""
    if random_state is None:
        return int(np.random.default_rng().integers(2**63))
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**63))
    if hasattr(random_state, "randint"):
        return int(random_state.randint(2**31 - 1))
    return integer("random_state", random_state, 0, 2**64 - 1)


def given(settings: Settings, interactions: Any, user_features: Any, item_features: Any, sample_weight: Any) -> Given:
    """The arguments of a fit, checked."""
    if settings.loss == "warp-kos" and sample_weight is not None:
        raise ValueError("sample_weight must be None for loss='warp-kos', which makes a step for each user")
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
    return Given(found._replace(shape=shape, known=reshaped(found.known, shape)), of_users, of_items)


def reshaped(rows: Compressed, shape: tuple[int, int]) -> Compressed:
    """The same entries in a matrix that is at least as large."""
    start = np.concatenate([rows.start, np.full(shape[0] - rows.shape[0], rows.start[-1])])
    return Compressed(start, rows.indices, rows.values, shape)


def within(rows: Compressed, shape: tuple[int, int]) -> Compressed:
    """The entries that are inside of a shape."""
    if rows.shape == shape:
        return rows
    users = np.repeat(np.arange(rows.shape[0], dtype=np.int64), np.diff(rows.start))
    chosen = (users < shape[0]) & (rows.indices < shape[1])
    found = Entries(users[chosen], rows.indices[chosen].astype(np.int64), rows.values[chosen], shape)
    return of_entries(found, positive=True)


def joined(a: Compressed | None, b: Compressed) -> Compressed:
    """The entries of both."""
    if a is None:
        return b
    shape = max(a.shape[0], b.shape[0]), max(a.shape[1], b.shape[1])
    users = [np.repeat(np.arange(rows.shape[0], dtype=np.int64), np.diff(rows.start)) for rows in (a, b)]
    items = [rows.indices.astype(np.int64) for rows in (a, b)]
    values = np.ones(len(items[0]) + len(items[1]))
    return of_entries(Entries(np.concatenate(users), np.concatenate(items), values, shape), positive=True)


def run(model: PairwiseRanker, settings: Settings, given: Given, epochs: int, level: int, watch: Watch) -> None:
    """So many epochs, or fewer."""
    known = joined(model._known, given.pairs.known)
    model._known = known
    users, items = model._tables()
    trainer = _trainer(model, settings, given, known, users, items)
    arrays = [users.array, items.array]
    best: list[NDArray[Any]] = []
    progress = Progress(level, model.epochs_ + epochs, trainer.steps_per_epoch)
    try:
        waited, highest = 0, -float("inf")
        for _ in range(epochs):
            since = perf_counter()
            logs = {"loss": _epoch(model, settings, trainer, arrays, progress)}
            if watch.validation is not None:
                value = watch.measured(model, given, known)
                model.history_.setdefault(watch.column, [float("nan")] * (model.epochs_ - 1)).append(value)
                logs[watch.column] = value
                waited = 0 if value > highest else waited + 1
                if watch.patience and value > highest:
                    highest, best = value, [array.copy() for array in arrays]
                    model.best_epoch_ = model.epochs_
            progress.epoch(model.epochs_, perf_counter() - since, logs)
            if watch.patience and waited >= watch.patience:
                break
    finally:
        model._settle()
        if best:
            _core.copy_all(arrays, best)
        progress.close()


def _trainer(
    model: PairwiseRanker, settings: Settings, given: Given, known: Compressed, users: Table, items: Table
) -> _core.Pairwise:
    """The core's, with whatever it needs for this loss."""
    found, loss = given.pairs, settings.loss
    n_users, n_items = found.shape
    tries = np.arange(1, settings.max_sampled + 1)
    ranks = np.maximum(1, (n_items - 1) // tries)
    seen = found.users, found.items, found.liked if loss == "logistic" else None, found.weights
    if loss == "warp-kos":
        seen = np.arange(n_users, dtype=np.int32), found.items[:0], None, None
    start, indices = within(known, found.shape).places
    return _core.Pairwise(
        loss,
        settings.dim,
        _core.TableRows(n_users, users.array, _rows(given.user_features), settings.user_alpha),
        _core.TableRows(n_items, items.array, _rows(given.item_features), settings.item_alpha),
        seen,
        (np.ascontiguousarray(start), np.ascontiguousarray(indices, np.int32)),
        adadelta=settings.adadelta,
        popular=found.items if loss == "bpr" and settings.popularity else None,
        max_sampled=settings.max_sampled,
        rank_losses=np.array([min(MOST_RANK_LOSS, log(rank)) for rank in ranks.tolist()]),
        kos=settings.kos,
        seed=model._seed,
        batch=settings.batch,
    )


def _rows(found: Features | None) -> Any:
    return None if found is None else found.rows


def _epoch(
    model: PairwiseRanker, settings: Settings, trainer: _core.Pairwise, arrays: list[NDArray[Any]], progress: Progress
) -> float:
    """One epoch; its mean loss."""
    steps, number = trainer.steps_per_epoch, model.epochs_ + 1
    rate = settings.learning_rate
    lrs = of_steps("learning_rate", rate, model._steps, steps if callable(rate) else 1)
    assert lrs is not None
    trainer.begin(model.epochs_, lrs if steps else np.ones(1))
    if sum(array.nbytes for array in arrays) <= MOST_COPIED:
        model._undone = (arrays, [array.copy() for array in arrays])
    try:
        while trainer.run(SLICE):
            progress.batch(number, trainer.steps, trainer.loss)
        finite = trainer.is_finite()
    except ArithmeticError:
        finite = False
    loss = trainer.loss
    if not finite:
        step = min(trainer.steps, steps - 1)
        lr = float(lrs[step if len(lrs) > 1 else 0])
        what = "a row was" if isfinite(loss) else "a score was"
        raise DivergenceError(
            f"training diverged: {what} NaN or infinite in epoch {number}, by step {step + 1} of {steps}, with "
            f"learning_rate={lr:g}; {ADVICE}",
            epoch=number,
            batch=step + 1,
            lr=lr,
            loss=loss,
        )
    # One call: no signal handler runs in between.
    history = {name: [*values] for name, values in model.history_.items()}
    history["loss"].append(loss)
    model.__dict__.update(_undone=None, epochs_=number, _steps=model._steps + steps, history_=history)
    return loss
