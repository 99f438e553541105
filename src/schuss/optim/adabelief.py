"""AdaBelief."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class AdaBelief(Optimizer):
    """Adam that divides by how far gradients are from their mean, rather than from zero.

    ``m = m + (1 - beta1) (g - m)``, ``s = beta2 s + (1 - beta2) (g - m)^2 + eps``,
    ``p = p - lr / (1 - beta1^t) m / (sqrt(s) / sqrt(1 - beta2^t) + eps)``; with ``amsgrad`` the largest s so far takes
    s's place in the last line; with ``rectify`` the last line is RAdam's, with s for v.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    betas : (float, float)
        Each in [0, 1).
    eps : float
        >= 0. It is added to s at every step, so s is never below it: with 1e-16 the denominator never below 1e-8.
    weight_decay : float or callable
        The parameters are multiplied by ``1 - lr weight_decay``; >= 0.
    decoupled_weight_decay : bool
        False: ``weight_decay p`` is added to the gradient instead.
    amsgrad, rectify, maximize : bool
        See above; ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    In the place of Adam: where gradients change little from step to step it takes larger steps. The authors advise eps
    1e-16 where Adam does better than SGD, 1e-8 where SGD does better.

    Two states of the parameter's shape, "exp_avg" and "exp_avg_var"; with amsgrad a third, "max_exp_avg_var". The
    authors' package has rectify by default, and calls decoupled_weight_decay weight_decouple; with rectify and amsgrad
    together it does not use the largest s, here it is used. optax has one eps for s and another for the denominator.

    References
    ----------
    J. Zhuang, T. Tang, Y. Ding, S. Tatikonda, N. Dvornek, X. Papademetris, J. S. Duncan, AdaBelief Optimizer: Adapting
    Stepsizes by the Belief in Observed Gradients (2020), arXiv:2010.07468.
    """

    _name = "adabelief"
    _rule = "adabelief"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        weight_decay: LearningRate = 0.0,
        amsgrad: bool = False,
        *,
        decoupled_weight_decay: bool = True,
        rectify: bool = False,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            amsgrad=amsgrad,
            decoupled_weight_decay=decoupled_weight_decay,
            rectify=rectify,
            maximize=maximize,
            no_decay=no_decay,
        )
