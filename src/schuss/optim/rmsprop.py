"""RMSProp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class RMSProp(Optimizer):
    """Steps divided by the root of a running mean of squared gradients.

    ``sq = alpha sq + (1 - alpha) g^2``; centered: ``ga = ga + (1 - alpha) (g - ga)`` and
    ``avg = sqrt(max(sq - ga^2, 0)) + eps``, else ``avg = sqrt(sq) + eps``; with momentum
    ``buf = momentum buf + g / avg`` and ``p = p - lr buf``, else ``p = p - lr g / avg``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    alpha : float
        In [0, 1].
    eps, weight_decay, momentum : float
        All >= 0.
    centered : bool
        Divide by an estimate of the standard deviation rather than of the root mean square.
    maximize : bool
        Ascend instead.
    dialect : {"torch", "keras"}
        Where eps is. "keras": ``avg = sqrt(sq + eps)``, centered ``sqrt(max(sq - ga^2, 0) + eps)``; with momentum
        ``buf = momentum buf + lr g / avg`` and ``p = p - buf``, which differs where lr changes; and the parameters are
        multiplied by ``1 - lr weight_decay``.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.
    rows : {None, "lazy", "exact"}
        As for `SGD`.

    Notes
    -----
    For problems that change while they are solved, such as reinforcement learning, and for recurrent networks; in most
    other places Adam, which is this with momentum and a correction of the start, has taken over. The first steps are
    ``sqrt(1 / (1 - alpha))`` times as long as later ones, 10 times by default, since sq begins with zero: a warm-up
    helps.

    Keras adds eps under the root (with 1e-7, rho 0.9 and an lr of 0.001) and keeps ``lr buf`` in the place of buf;
    optax adds it there too unless told otherwise (1e-8, decay 0.9).

    References
    ----------
    T. Tieleman, G. Hinton, Lecture 6.5 of Neural Networks for Machine Learning (2012). A. Graves, Generating Sequences
    with Recurrent Neural Networks (2013), for the centered form.
    """

    _name = "rmsprop"
    _rule = "rmsprop"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        dialect: str = "torch",
        no_decay: NoDecay = None,
        rows: str | None = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            alpha=alpha,
            eps=eps,
            weight_decay=weight_decay,
            momentum=momentum,
            centered=centered,
            maximize=maximize,
            dialect=dialect,
            no_decay=no_decay,
            rows=rows,
        )
