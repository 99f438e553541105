"""Averaged SGD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class ASGD(Optimizer):
    """Gradient descent with a falling rate, and the average of the parameters on the way.

    ``eta = lr / (1 + lambd lr (t - 1))^alpha``, ``p = p - eta (g + lambd p)``, then
    ``ax = ax + (p - ax) / max(1, t - 1 - t0)``: p at first, from step t0 + 3 on the mean of p after steps t0 + 2 to t.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`: the rate of the first step, before it falls.
    lambd : float
        Decay of the parameters, and how fast the rate falls; >= 0.
    alpha : float
        Power by which it falls, in [0, 1]. Averaging has its theory between 1/2 and 1.
    t0 : float
        Where averaging starts, in steps; >= 0. The default never comes in most trainings: choose it.
    weight_decay : float or callable
        ``weight_decay p`` is added to the gradient; >= 0.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    For noisy gradients, near a minimum: the average has far less noise than p, and for convex problems the best rate
    that any method can have. It is the state "ax", which the optimizer only keeps: take it from `state_dict` when
    training is over. `SGD` with an average of parameters does the same for other rules.

    Formula and defaults are torch's. There eta is rounded to float32, whatever the parameters, and a changed lr counts
    one step late; here at once. eta and mu are in the state_dict as in torch's, but not read from one: they follow from
    the step.

    References
    ----------
    B. T. Polyak, A. B. Juditsky, Acceleration of Stochastic Approximation by Averaging (1992). L. Bottou, Stochastic
    Gradient Descent Tricks (2012), for this rate.
    """

    _name = "asgd"
    _rule = "asgd"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: LearningRate = 0.0,
        *,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            lambd=lambd,
            alpha=alpha,
            t0=t0,
            weight_decay=weight_decay,
            maximize=maximize,
            no_decay=no_decay,
        )
