"""Several fits at once, each on one thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from inspect import signature
from typing import TYPE_CHECKING, Any

from .. import _core
from ..arguments import items, shown
from ..errors import DivergenceError
from ..losses import Loss, resolve
from ..network import Network
from .epochs import SLICE
from .fitting import Fit, prepared
from .resuming import from_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..history import History


def fit_side_by_side(fits: Iterable[Mapping[str, Any]]) -> list[History | DivergenceError]:
    """Fit several networks at once, each on one thread: all together take as long as one, where there are threads.

    Each becomes what its own `Network.fit` would make of it, to the last bit. Networks that are too small for several
    threads gain most: members of an ensemble, folds of a cross-validation, a search over arguments.

    Parameters
    ----------
    fits : iterable of dicts
        "network", a `Network`, "X", "y" and whatever else `Network.fit` takes, by its names. Each network once, and
        each with its own optimizer; data may be shared. Losses that are functions of Python's are not for this.

    Returns
    -------
    list of History or DivergenceError
        What fit would return, or raise: a network that diverges ends its own fit, and the others go on.

    Raises
    ------
    ValueError, TypeError
        If something is not as described; the message says in which of the fits. Nothing has changed.
    KeyboardInterrupt
        On Ctrl-C. Each network whose fit was not over is left as fit would leave it.
    RuntimeError
        If one of the networks is being fitted already.

    Notes
    -----
    Epochs are evaluated, and callbacks called, one network after the other, on all threads. An exception from a
    callback or a schedule ends all fits.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(100, 4)), rng.integers(0, 2, 100)
    >>> nets = [schuss.Network([schuss.Dense(4, 8, "relu"), schuss.Dense(2)], seed=seed) for seed in range(4)]
    >>> found = schuss.fit_side_by_side(dict(network=net, X=X, y=y, loss="cross_entropy", epochs=5) for net in nets)
    >>> [len(history) for history in found]
    [5, 5, 5, 5]
    """
    given = items("fits", fits, "dicts of a network, X, y and arguments of fit")
    networks = [_network_of(k, one) for k, one in enumerate(given)]
    if len(set(map(id, networks))) < len(networks):
        raise ValueError("fits must have each network once; got one twice")
    for k, network in enumerate(networks):
        if network._fitting:
            raise RuntimeError(f"the network of fits[{k}] is being fitted already")
    try:
        for network in networks:
            network._fitting = True
        with ExitStack() as stack:  # what checkpoints have brought is undone where another fit is not as described
            ready = [_prepared(k, one, stack) for k, one in enumerate(given)]
        return _Side(_begun(ready)).run()
    finally:
        for network in networks:
            network._fitting = False


def _network_of(k: int, given: Any) -> Network:
    if not isinstance(given, Mapping):
        raise TypeError(f"fits[{k}] must be a dict of a network, X, y and arguments of fit; got {shown(given)}")
    for name in ("network", "X", "y"):
        if name not in given:
            raise ValueError(f"fits[{k}] must have network, X and y; {name} is missing")
    if not isinstance(given["network"], Network):
        raise TypeError(f"fits[{k}]'s network must be a Network; got {shown(given['network'])}")
    return given["network"]


def _prepared(k: int, given: Mapping[str, Any], stack: ExitStack) -> Callable[[], Fit]:
    """One fit, whose arguments are checked."""
    rest = {name: value for name, value in given.items() if name != "network"}
    try:
        bound = signature(Network.fit).bind(given["network"], **rest)
        bound.apply_defaults()
        arguments = dict(bound.arguments)
        if not isinstance(resolve(arguments["loss"]), Loss):
            raise ValueError(f"loss must be a compiled one, by name or as an object; got {shown(arguments['loss'])}")
        network = arguments.pop("self")
        return prepared(network, **stack.enter_context(from_checkpoint(network, arguments)))
    except (ValueError, TypeError) as error:
        raise type(error)(f"fits[{k}]: {error}") from error


def _begun(ready: Iterable[Callable[[], Fit]]) -> list[Fit]:
    """All of them, or none, where a callback refuses to begin."""
    fits: list[Fit] = []
    try:
        for begin in ready:
            fits.append(begin())
    except BaseException:
        for fit in fits:
            fit.leave("failed")
        raise
    return fits


class _Side:
    """Fits that are begun, and what has come of them."""

    def __init__(self, fits: list[Fit]) -> None:
        self._fits = fits
        self._results: dict[int, History | DivergenceError] = {}
        self._endings = _core.Endings([fit.steps.context for fit in fits])

    def run(self) -> list[History | DivergenceError]:
        """All epochs of all fits."""
        reason = "failed"
        try:
            with self._endings:
                self._run_all()
        except KeyboardInterrupt:
            reason = "interrupted"
            raise
        finally:
            for k, fit in enumerate(self._fits):
                if k not in self._results:
                    if fit.steps.trainer.batches_done > 0:
                        fit.steps.write_last()
                    fit.close(reason)
        return [self._results[k] for k in range(len(self._fits))]

    def _run_all(self) -> None:
        waiting = list(range(len(self._fits)))
        for k in list(waiting):
            stopped = self._fits[k].over
            if stopped is None:
                self._fits[k].begin_epoch()
            else:
                waiting.remove(k)
                self._end(k, stopped)
        while waiting:
            goes_on, begun = [], []
            for k, found in zip(waiting, self._steps(waiting), strict=True):
                if found is True or (found is False and self._fits[k].steps.next_part()):
                    trainer = self._fits[k].steps.trainer
                    self._fits[k].watch(trainer.batches_done, trainer.loss)
                    goes_on.append(k)
                elif self._end_epoch(k, found):
                    begun.append(k)
            # Those whose turn has not come are the next.
            threads = _core.get_num_threads()
            waiting = goes_on[threads:] + goes_on[:threads] + begun

    def _steps(self, waiting: list[int]) -> list[object]:
        """Steps of these fits for a while. For each True, if its epoch goes on, False or an exception."""
        trainers = [self._fits[k].steps.trainer for k in waiting]
        if len(trainers) > 1:
            return _core.run_side_by_side(trainers, SLICE)
        try:
            return [trainers[0].run(SLICE)]  # on all threads
        except _core.NotFinite as error:
            return [error]

    def _end_epoch(self, k: int, found: object) -> bool:
        """Whether another one has begun."""
        fit = self._fits[k]
        try:
            stopped = fit.end_epoch(found)
        except DivergenceError as error:
            self._endings.end(fit.steps.context, error)
            fit.close("diverged")
            self._results[k] = error
            return False
        if stopped is None:
            fit.begin_epoch()
            return True
        self._end(k, stopped)
        return False

    def _end(self, k: int, stopped: str) -> None:
        """A fit is over, for this reason."""
        fit = self._fits[k]
        self._endings.end(fit.steps.context)
        fit.close(stopped)
        self._results[k] = fit.history
