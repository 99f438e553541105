"""Adadelta."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class Adadelta(Optimizer):
    """Steps in units of the parameters: the root mean square of recent updates over that of recent gradients.

    ``sq = rho sq + (1 - rho) g^2``, ``d = sqrt((acc + eps) / (sq + eps)) g``, ``acc = rho acc + (1 - rho) d^2``,
    ``p = p - lr d``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`; the paper has none, which is 1.
    rho : float
        How much of both means is kept at each step; in [0, 1].
    eps : float
        >= 0. It also sets the size of the first steps: about sqrt(eps / (1 - rho)).
    weight_decay : float or callable
        ``weight_decay p`` is added to the gradient; >= 0.
    maximize : bool
        Ascend instead.
    dialect : {"torch", "keras"}
        "keras": the parameters are multiplied by ``1 - lr weight_decay`` instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    For when no learning rate is known: it needs none, but starts slowly, since the first updates are as small as eps
    makes them, and does not settle: updates keep their size while gradients circle around a minimum, so let lr fall in
    the end. Today mostly met in older work; Adam has taken its place.

    Two states of the parameter's shape, "square_avg" and "acc_delta". Libraries agree on the formula; Keras multiplies
    by a learning rate of 0.001 by default, and has rho 0.95 and eps 1e-7.

    References
    ----------
    M. D. Zeiler, ADADELTA: An Adaptive Learning Rate Method (2012), arXiv:1212.5701.
    """

    _name = "adadelta"
    _rule = "adadelta"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: LearningRate = 0.0,
        *,
        maximize: bool = False,
        dialect: str = "torch",
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            rho=rho,
            eps=eps,
            weight_decay=weight_decay,
            maximize=maximize,
            dialect=dialect,
            no_decay=no_decay,
        )
