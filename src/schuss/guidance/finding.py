"""`find_lr`: which learning rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import inputs, losses
from ..arguments import clipping, flag, integer, number, shown
from ..augment import of_inputs
from ..losses import Loss
from ..network import Network
from ..optim import Averaged, Optimizer, Rprop, Switch
from ..sequences import joined
from ..training import optimizers
from ..training.epochs import Epochs
from ..training.fitting import check_carried_batches, check_carrying
from ..training.split import split
from .runs import Runs
from .sweep import Plan, search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..augment import Augment
    from ..passes import AnyLoss
    from .result import RateSweep

    Floats = NDArray[np.float64]

# A twentieth of a training of 20 epochs is an epoch. Small networks, whose steps take microseconds, are worth more of
# them: so many operations, and steps within these limits.
OPERATIONS = 1e9
FEWEST, MOST = 120, 1000
# Steps of a loop of one's own that cannot begin anew, and of one that can.
OWN, OWN_ANEW = 100, 400


def find_lr(
    net: Any,
    X: Any = None,
    y: Any = None,
    *,
    loss: AnyLoss | None = None,
    optimizer: Optimizer | Averaged | str | None = None,
    batch_size: int | None = 32,
    drop_last: bool = False,
    sample_weight: Any = None,
    class_weight: str | Mapping[int, float] | Any = None,
    lengths: Any = None,
    carry_state: bool = False,
    augment: Augment | None = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    dropout_factor: float | Callable[[int], float] | None = None,
    lr_min: float | None = None,
    lr_max: float | None = None,
    steps: int | None = None,
    sweeps: int = 3,
    seed: int | None = None,
    reset: Callable[[], Any] | None = None,
) -> RateSweep:
    """Find a learning rate: by sweeps over all rates, and short trainings at those that look best.

    Everything happens on copies: parameters, optimizer, counters and draws of the network stay as they are, whatever
    ends this, and a later training is the same to the last bit.

    Parameters
    ----------
    net : Network, estimator of schuss.sklearn, or callable
        An estimator is cloned, and the rate is for its ``learning_rate_init``, or for the ``lr`` of its recipe. A
        callable is a step of a training loop of your own: ``step(lr)`` makes one at this rate and returns its loss.
    X, y : array
        As `Network.fit` takes them; or the estimator's.
    loss, optimizer, batch_size, drop_last, sample_weight, class_weight, lengths, carry_state, augment, clip_norm, \
clip_value, dropout_factor
        As in `Network.fit`. An optimizer goes on from its state, at other rates than its own or its schedule's. With
        groups, all get the same rate, times their lr_factor.
    lr_min, lr_max : float, optional
        Limits of the rates. Default: from 1e-6 to 10, or wherever training neither stands still nor diverges.
    steps : int, optional
        Training steps to spend, about. Default: as many as an epoch has, a twentieth of a training of 20 epochs, from
        120 to 1000; small networks, of which a step takes microseconds, get more than that up to 1000. More make the
        answer more stable. For a callable that cannot begin anew: 100, the rates of its one sweep.
    sweeps : int
        How many, each on other batches.
    seed : int, optional
        From 0 to 2**64 - 1: which batches. Default: the network's.
    reset : callable, optional
        For a callable: called without arguments before each training and at the end, it is to bring back whatever a
        step changes. Without it, nothing can be tried twice: there is one sweep, and afterwards your loop is where
        that has left it.

    Returns
    -------
    RateSweep
        Its ``suggestion`` is the rate to use; ``plot`` draws everything.

    Raises
    ------
    ValueError, TypeError
        If an argument is not as described.
    KeyboardInterrupt
        On Ctrl-C, within about 50 ms and the batch at hand.
    RuntimeError
        If the network is being fitted by another thread, or around a callback.

    Notes
    -----
    A sweep is a training whose rate rises exponentially from step to step; it ends where the loss is NaN or far above
    its start: by four times what it has fallen before, or what single batches scatter. Then rates that are powers of 2
    around the lowest point are trained with from the same start, for some 20 steps each on the same batches, and
    further ones while the best lie at the edge. The suggestion is their mean in the logarithm, weighted by how far the
    loss has fallen. All of it depends on the seed alone, not on threads or time.

    Examples
    --------
    >>> import numpy as np, schuss
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 4))
    >>> net = schuss.Network([schuss.Dense(4, 16, "relu"), schuss.Dense(1)], seed=0)
    >>> found = schuss.find_lr(net, X, X[:, 0] * X[:, 1], loss="mse", optimizer="adam")
    >>> 0.001 < found.suggestion < 0.3
    True
    >>> history = net.fit(X, X[:, 0] * X[:, 1], loss="mse", optimizer="adam", lr=found.suggestion)
    """
    low = None if lr_min is None else number("lr_min", lr_min, "(0, inf)")
    high = None if lr_max is None else number("lr_max", lr_max, "(0, inf)")
    if low is not None and high is not None and low >= high:
        raise ValueError(f"lr_max must be above lr_min; got {lr_min} and {lr_max}")
    steps = None if steps is None else integer("steps", steps, 20)
    sweeps = integer("sweeps", sweeps, 1, 100)
    seed = None if seed is None else integer("seed", seed, 0, 2**64 - 1)
    of_network = {
        "loss": loss, "optimizer": optimizer, "sample_weight": sample_weight, "class_weight": class_weight,
        "lengths": lengths, "augment": augment, "clip_norm": clip_norm, "clip_value": clip_value,
        "dropout_factor": dropout_factor,
    }  # fmt: skip
    if not isinstance(net, Network):
        of_recipe, of_estimator = getattr(net, "_recipe_rate", None), getattr(net, "_rate_runs", None)
        if of_recipe is not None or of_estimator is not None:
            _refuse(of_network, "an estimator, which has its own", but=("sample_weight",))
        if of_recipe is not None:
            _refuse({"lr_min": low, "lr_max": high, "steps": steps, "seed": seed}, "a tabular estimator")
            recipe_rate: RateSweep = of_recipe(X, y, sample_weight)
            return recipe_rate
        if of_estimator is not None:
            make, of_epoch, rows, parameters = of_estimator(X, y, sample_weight, seed)
            return search(make, Plan(low, high, steps or worth(of_epoch, rows, parameters), sweeps), tries=True)
        if not callable(net):
            raise TypeError(
                "net must be a Network, a perceptron or tabular estimator of schuss.sklearn, or a function of the "
                f"rate; got {shown(net)}"
            )
        _refuse({"X": X, "y": y, "seed": seed, **of_network}, "a function of the rate")
        return _of_function(net, reset, low, high, steps, sweeps)
    if reset is not None:
        raise ValueError("reset must be None with a network, which is copied")
    if loss is None:
        raise ValueError("loss must be given, as in fit; got None")
    if net._fitting:
        raise RuntimeError("this network is being fitted already, by another thread or around this callback")
    chosen = losses.resolve(loss)
    batch_size = None if batch_size is None else integer("batch_size", batch_size, 1)
    drop_last, carry_state = flag("drop_last", drop_last), flag("carry_state", carry_state)
    check_carrying(net, carry_state, False, 0.0)
    clip_value, clip_norm = clipping(clip_value, clip_norm)
    changes = of_inputs(augment, net.inputs)
    data, _ = split(net, joined(X, lengths), y, chosen, None, 0.0, sample_weight, class_weight)
    rows = inputs.rows(data[0])
    batch_size = rows if batch_size is None else min(batch_size, rows)
    check_carried_batches(carry_state and not drop_last, rows, batch_size)
    if isinstance(optimizer, Switch):
        raise TypeError("optimizer must be one of the two of the Switch, whose rates differ; got both")
    resolved, _ = optimizers.resolve(net, optimizer, None)
    # A new one is made on a copy: one of the network's own is copied with it.
    given: Any = optimizer if isinstance(optimizer, (Optimizer, Averaged)) else resolved
    if isinstance(given, Rprop):
        raise ValueError("optimizer must have a learning rate that steps take; Rprop's is where step sizes start")

    def copied() -> tuple[Network, Epochs]:
        network, inner = deepcopy([net, given])
        inner = inner.optimizer if isinstance(inner, Averaged) else inner
        network.optimizer, network._wrapper = inner, None
        epochs = Epochs(
            network,
            inner,
            chosen.spec if isinstance(chosen, Loss) else partial(_quiet, chosen),
            data,
            batch_size,
            clip_value=clip_value,
            clip_norm=clip_norm,
            drop_last=drop_last,
            carries=carry_state,
            augment=changes,
            dropout_factor=dropout_factor,
        )
        return network, epochs

    of_draws = None if carry_state else net.seed if seed is None else seed
    make = Runs(copied, of_draws, isinstance(chosen, Loss))
    of_epoch = rows // batch_size if drop_last else -(-rows // batch_size)
    return search(make, Plan(low, high, steps or worth(of_epoch, batch_size, net.n_parameters), sweeps), tries=True)


def _quiet(loss: losses.LossFunction, prediction: Any, target: Any) -> tuple[float, Any]:
    """A loss of one's own, without warnings: rates at which it overflows are looked for."""
    with np.errstate(all="ignore"):
        return losses.evaluated(loss, prediction, target)


def worth(of_epoch: int, batch_size: int, parameters: int) -> int:
    """Steps to spend where an epoch has so many."""
    cheap = OPERATIONS / (6.0 * batch_size * max(parameters, 1))
    return int(np.clip(max(of_epoch, cheap), FEWEST, MOST))


def _refuse(given: Mapping[str, Any], kind: str, but: Sequence[str] = ()) -> None:
    """ValueError if one of these arguments is given, which are for a network."""
    for name, value in given.items():
        if value is not None and name not in but:
            raise ValueError(f"{name} must not be given with {kind}; got {shown(value)}")


def _of_function(
    step: Callable[[float], Any], reset: Callable[[], Any] | None, low: float | None, high: float | None,
    steps: int | None, sweeps: int,
) -> RateSweep:  # fmt: skip
    """For a training loop of the caller's own."""
    if reset is not None and not callable(reset):
        raise TypeError(f"reset must be callable; got {shown(reset)}")

    def one(ladder: Floats, ends: Callable[[Floats], bool] | None) -> Floats:
        found: list[float] = []
        for rate in ladder:
            with np.errstate(all="ignore"):  # rates at which it overflows are looked for
                given = step(float(rate))
            value = np.asarray(given)
            if value.size != 1 or value.dtype.kind not in "biuf":
                raise TypeError(f"the step must return its loss, a number; got {shown(given)}")
            found.append(float(value.reshape(())))
            if not isfinite(found[-1]) or (ends is not None and ends(np.array(found))):
                break
        return np.array(found)

    def make(ladders: Sequence[Floats], draws: Sequence[int], ends: Callable[[Floats], bool] | None) -> list[Floats]:
        found = []
        for ladder in ladders:
            if reset is not None:
                reset()
            found.append(one(ladder, ends))
        return found

    try:
        if reset is None:
            return search(make, Plan(low, high, 4 * (steps or OWN), 1), tries=False)
        return search(make, Plan(low, high, steps or OWN_ANEW, sweeps), tries=True)
    finally:
        if reset is not None:
            reset()
