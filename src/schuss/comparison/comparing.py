"""`schuss.compare`: everything checked, then searches, other models, and what is to be said of it all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import ceil, inf, isfinite, isnan, nan
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ..arguments import flag, integer, number, shown
from . import candidates, engine
from .data import Contender, Other, Run, lasting
from .others import others as other_models
from .problem import problem as checked_problem
from .results import Comparison

if TYPE_CHECKING:
    from ..losses import Loss
    from ..network import Network

# Steps of each training where nothing is said, and the fewest and the most times that they then go over the rows.
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 2000, 8, 200
# Curves have about so many points.
POINTS = 64
# The target is this far down from the start towards the best loss of all.
TARGET = 0.98


def compare(
    X: Any,
    y: Any = None,
    *,
    network: Network | Sequence[Any] | None = None,
    loss: str | Loss | None = None,
    optimizers: Any = None,
    validation_data: tuple[Any, Any] | None = None,
    validation_fraction: float | None = None,
    batch_size: int | None = 32,
    epochs: int | None = None,
    steps: int | None = None,
    seconds: float | None = None,
    seeds: int | Iterable[int] = 3,
    scale: bool | None = None,
    others: bool = True,
    target: str | None = None,
    name: str | None = None,
    progress: Callable[[str, float], object] | None = None,
) -> Comparison:
    """Compare optimizers on data of one's own, each at the learning rate that is best for it.

    Rates are found by successive halving: all rates of a ladder by twos get few steps, the better half of them twice as
    many, and so on; the ladder grows where the best is at its edge, and at the end the best rate's neighbours have had
    all steps, too. All optimizers begin with the same parameters and see the same batches, once for each seed.

    Parameters
    ----------
    X : array of shape (rows, columns), or a table
        Numbers, or with a network whatever that takes. Or a name of a data set, a path of a file or a DataFrame, with
        columns of any kind, one of which is the `target`: they are brought into numbers as `schuss.tables` does.
    y : array
        Labels of any kind, or quantities. Text, truth values and whole numbers with at most 20 different values are
        labels unless `loss` says otherwise. None with a table.
    network : Network, or sequence of layers or of int, optional
        What is trained: a network's layers (its parameters are not used), layers, or the widths of hidden ones with
        relu. Default: ``(100,)``.
    loss : str or Loss, optional
        Default: cross_entropy or mse.
    optimizers : optional
        A list of names, classes or ``(name, arguments)``, or a dict of these by labels, such as
        ``{"slow Adam": ("adam", {"betas": (0.99, 0.999)})}``. An "lr" among the arguments is where the search for the
        rate begins. Default: SGD, with and without momentum, AdaGrad, RMSProp, Adam, AdamW and Lion.
    validation_data : (X, y), optional
        Rows whose loss decides.
    validation_fraction : float, optional
        In [0, 1): share of the rows held out for that instead, of each class the same. Default: 0.2. With 0 the
        training loss decides.
    batch_size : int or None
        Rows a step. None: all.
    epochs, steps : int, optional
        How long each training is; one of them. Default: 2000 steps, but 8 to 200 epochs. Steps are rounded up to whole
        epochs.
    seconds : float, optional
        The budget of time that `Contender.at_time` is for. Default: what the quickest optimizer took for all steps.
        Times decide nothing.
    seeds : int or iterable of int
        How many trainings each rate gets, or their seeds. The rows held out follow from the first.
    scale : bool, optional
        Whether columns, and the target of mse, mae and huber, are scaled. Default: unless a network or its layers are
        given.
    others : bool
        Whether models of other kinds are fitted, too: the majority or mean, and with scikit-learn a linear model and
        gradient boosting.
    target : str, optional
        Of a table: the column to predict. Default: target, label, class, y, or the last.
    name : str, optional
        What the data are called.
    progress : callable, optional
        Called now and then with what is being done, as text, and the share of it all that is done.

    Returns
    -------
    Comparison
        ``print`` shows its table. The same call finds the same numbers, to the last digit and for any number of
        threads; only times are others.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    KeyboardInterrupt
        On Ctrl-C, within about 50 ms and the batches at hand.

    Notes
    -----
    Whatever diverges ends that training alone. A rate counts by the median over seeds of the least judged loss that
    lasts for three points of its curve: about what early stopping would find.

    References
    ----------
    K. Jamieson, A. Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization (2016).

    Examples
    --------
    >>> import numpy as np, schuss
    >>> X = np.random.default_rng(0).normal(size=(200, 4))
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "same", "different")
    >>> found = schuss.compare(X, y, optimizers=["sgd", "adam"], epochs=20, others=False)
    >>> [one.label for one in found.contenders], found.recommended
    (['Adam', 'SGD'], 'Adam')
    """
    begun = perf_counter()
    chosen = candidates.resolve(optimizers)
    found_seeds = _seeds(seeds)
    others = flag("others", others)
    limit = None if seconds is None else number("seconds", seconds, "(0, inf)")
    if progress is not None and not callable(progress):
        raise TypeError(f"progress must be callable; got {shown(progress)}")
    if name is not None and not isinstance(name, str):
        raise TypeError(f"name must be text; got {shown(name)} ({type(name).__name__})")
    notes: list[str] = []
    if y is None:
        from .tables import prepared

        fraction = 0.2 if validation_fraction is None else validation_fraction
        ready = prepared(X, target, fraction=fraction, seed=found_seeds[0], regression=_is_of_quantities(loss))
        if validation_data is not None:
            raise ValueError("validation_data must be None with a table, of which rows are held out")
        X, y, validation_data, name = ready.X, ready.y, ready.validation_data, name or ready.name
        validation_fraction = 0.0 if validation_data is None else None
        scale = False if scale is None else scale
        loss = "cross_entropy" if loss is None and ready.target.classes else loss
        notes += ready.notes
    elif target is not None:
        raise ValueError(f"target must be None where y is given; got {shown(target)}")
    what = checked_problem(
        X,
        y,
        network=network,
        loss=loss,
        validation_data=validation_data,
        validation_fraction=validation_fraction,
        batch_size=batch_size,
        scale=scale,
        seed=found_seeds[0],
    )
    steps_an_epoch = ceil(what.rows / what.batch_size)
    points, epochs_a_point = _length(epochs, steps, steps_an_epoch)
    start = median(what.judged(what.network(seed)) for seed in found_seeds)
    share = 0.9 if others else 1.0
    told = None if progress is None else lambda text, done: progress(text, share * done)
    found = engine.contenders(what, chosen, found_seeds, points, epochs_a_point, start, told)
    models: tuple[Other, ...] = ()
    said: tuple[str, ...] = ()
    if others:
        if progress is not None:
            progress("other models", share)
        models, said = other_models(what)
    every = epochs_a_point * steps_an_epoch
    goal = _target(start, found)
    budget = _quickest(found) if limit is None else limit
    found = [_completed(one, goal, budget, every) for one in found]
    found.sort(key=lambda one: inf if isnan(one.best) else one.best)
    if limit is not None and limit > _quickest(found):
        notes.append("The budget of seconds is longer than some trainings took: they count as they ended.")
    if what.validation is None:
        notes.append("No rows were held out: losses are of the rows trained on.")
    lead, within = _lead(found)
    comparison = Comparison(
        name=name or "data",
        task=what.task,
        rows=what.rows,
        validation_rows=what.held,
        features=what.columns,
        loss=what.loss.name,
        metric=what.metric,
        judged="training" if what.validation is None else "validation",
        network=what.described,
        batch_size=what.batch_size,
        steps=points * every,
        every=every,
        epochs=float(points * epochs_a_point),
        seconds=budget,
        seeds=tuple(found_seeds),
        start=start,
        target=goal,
        contenders=tuple(found),
        others=models,
        recommended=found[0].label,
        lead=lead,
        within_spread=within,
        took=perf_counter() - begun,
        notes=(*notes, *what.notes, *said),
    )
    if progress is not None:
        progress("done", 1.0)
    return comparison


def _is_of_quantities(loss: Any) -> bool | None:
    """Whether a loss is one of quantities; None: nothing is said."""
    from ..losses import Loss, resolve
    from .problem import OF_CLASSES, OF_TWO

    if loss is None:
        return None
    found = resolve(loss)
    return not isinstance(found, (*OF_CLASSES, *OF_TWO)) if isinstance(found, Loss) else None


def _seeds(given: Any) -> list[int]:
    if isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping)):
        found = [integer(f"seeds[{k}]", seed, 0, 2**64 - 1) for k, seed in enumerate(given)]
        if not found or len(set(found)) < len(found):
            raise ValueError(f"seeds must be different ones, at least one; got {shown(given)}")
        return found
    return list(range(integer("seeds", given, 1, 1000)))


def _length(epochs: Any, steps: Any, steps_an_epoch: int) -> tuple[int, int]:
    """Points of a whole training's curves, and epochs from one to the next."""
    if epochs is not None and steps is not None:
        raise ValueError(f"steps must be None with epochs; got {shown(steps)}")
    if epochs is not None:
        wanted = integer("epochs", epochs, 1)
        points = max(k for k in range(1, min(POINTS, wanted) + 1) if wanted % k == 0)
        if points >= min(POINTS, wanted) // 2:
            return points, wanted // points
    elif steps is not None:
        wanted = ceil(integer("steps", steps, 1) / steps_an_epoch)
    else:
        wanted = min(max(ceil(STEPS / steps_an_epoch), FEWEST_EPOCHS), MOST_EPOCHS)
    epochs_a_point = ceil(wanted / POINTS)
    return ceil(wanted / epochs_a_point), epochs_a_point


def _target(start: float, found: Sequence[Contender]) -> float:
    best = min((one.best for one in found if not isnan(one.best)), default=nan)
    return start - TARGET * (start - best)


def _quickest(found: Sequence[Contender]) -> float:
    """What the quickest took for all steps, the median over seeds."""
    taken = [median(run.seconds[-1] for run in one.runs if not run.diverged) for one in found if one.runs]
    return min(taken, default=nan)


def _completed(one: Contender, target: float, seconds: float, every: int) -> Contender:
    """With what depends on the target and on time."""
    ended = [run for run in one.runs if not run.diverged]
    if not ended:
        return one
    first = [_first(run, target) for run in ended]
    steps = median(inf if k is None else (k + 1) * every for k in first)
    times = median(inf if k is None else run.seconds[k] for k, run in zip(first, ended, strict=True))
    return dataclasses.replace(
        one,
        steps_to_target=steps if isfinite(steps) else None,
        seconds_to_target=times if isfinite(times) else None,
        at_time=median(_within(run, seconds) for run in ended),
    )


def _first(run: Run, target: float) -> int | None:
    """The first point at which the target is reached."""
    return next((k for k, loss in enumerate(run.judged) if loss <= target), None)


def _within(run: Run, seconds: float) -> float:
    """The least judged loss of the points by this time; before the first one, that of the first."""
    known = [loss for loss, at in zip(run.judged, run.seconds, strict=True) if at <= seconds]
    return lasting(known or run.judged[:1])


def _lead(found: Sequence[Contender]) -> tuple[float, bool]:
    """How much better the first is than the next, and whether seeds alone make more of a difference."""
    if len(found) < 2 or isnan(found[1].best):
        return nan, False
    first, following = found[:2]
    ahead = following.best - first.best
    lead = ahead / abs(following.best) if following.best != 0 else nan
    return lead, ahead <= max(first.spread, following.spread)
