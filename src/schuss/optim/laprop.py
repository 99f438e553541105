"""LaProp."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class LaProp(Optimizer):
    """Adam with its parts in the other order: gradients are divided by their size first, and then averaged.

    ``v = beta2 v + (1 - beta2) g^2``, ``d = g / (sqrt(v) / sqrt(1 - beta2^t) + eps)``,
    ``m = m + (1 - beta1) (d - m)``, ``p = p - lr / (1 - beta1^t) m``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    betas : (float, float)
        Each in [0, 1).
    eps : float
        >= 0.
    weight_decay : float or callable
        ``weight_decay p`` is added to the gradient; >= 0.
    decoupled_weight_decay : bool
        Multiply the parameters by ``1 - lr weight_decay`` instead, as AdamW does.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    For gradients whose size changes from step to step, or where Adam is unstable with a small beta2: no element of a
    step is larger than about ``lr / sqrt(1 - beta2)``, whatever beta1 is, and beta2 may be chosen freely, down to 0.

    Two states of the parameter's shape, "exp_avg" and "exp_avg_sq". The authors' code has lr in the average, which
    differs from this, the paper's form, only while lr changes.

    References
    ----------
    L. Ziyin, Z. T. Wang, M. Ueda, LaProp: Separating Momentum and Adaptivity in Adam (2020), arXiv:2002.04839.
    """

    _name = "laprop"
    _rule = "laprop"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 4e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-15,
        weight_decay: LearningRate = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
            no_decay=no_decay,
        )
