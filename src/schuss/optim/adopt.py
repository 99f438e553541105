"""ADOPT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class ADOPT(Optimizer):
    """Adam made to converge with any beta2: gradients are divided by the v of the step before, and then averaged.

    First step: ``v = g^2``, and nothing else. Then ``u = g / max(sqrt(v), eps)``, limited to ``+-(t - 1)^(1/4)``,
    ``m = m + (1 - beta1) (u - m)``, ``p = p - lr m``, ``v = beta2 v + (1 - beta2) g^2``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`.
    betas : (float, float)
        Each in [0, 1).
    eps : float
        What is divided by at least; >= 0.
    weight_decay : float or callable
        ``weight_decay p`` is added to the gradient; >= 0.
    clip : bool
        Limit u as above. Without, gradients that were near zero at the first step make the next ones huge.
    decoupled_weight_decay : bool
        Multiply the parameters by ``1 - lr weight_decay`` instead, as AdamW does, from the second step on.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    In the place of Adam, with the same learning rates: a second beta near 1 is not needed for its convergence, and
    nothing needs a correction. The first gradients are not used for a step.

    Two states of the parameter's shape, "exp_avg" and "exp_avg_sq". As the authors' code: u is limited by the number of
    steps before this one, and optax counts so too; other packages begin with 2^(1/4) at the second step. There clip is
    a function of that number, clip_lambda, and decoupled_weight_decay is called decouple.

    References
    ----------
    S. Taniguchi, K. Harada, G. Minegishi, Y. Oshima, S. C. Jeong, G. Nagahara, T. Iiyama, M. Suzuki, Y. Iwasawa,
    Y. Matsuo, ADOPT: Modified Adam Can Converge with Any beta2 with the Optimal Rate (2024), arXiv:2411.02853.
    """

    _name = "adopt"
    _rule = "adopt"

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.9999),
        eps: float = 1e-6,
        weight_decay: LearningRate = 0.0,
        *,
        clip: bool = True,
        decoupled_weight_decay: bool = False,
        maximize: bool = False,
        no_decay: NoDecay = None,
    ) -> None:
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            clip=clip,
            decoupled_weight_decay=decoupled_weight_decay,
            maximize=maximize,
            no_decay=no_decay,
        )
