"""Adan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .base import Optimizer

if TYPE_CHECKING:
    from ..structure import NoDecay, Params
    from .base import LearningRate


class Adan(Optimizer):
    """Nesterov's momentum from the change of the gradient, over the root of the mean square of what it foresees.

    ``d = g - (g of the step before)``, 0 at the first step; ``m = m + (1 - beta1) (g - m)``,
    ``w = w + (1 - beta2) (d - w)``, ``n = beta3 n + (1 - beta3) (g + beta2 d)^2``,
    ``u = lr (m / (1 - beta1^t) + beta2 w / (1 - beta2^t)) / (sqrt(n) / sqrt(1 - beta3^t) + eps)``,
    ``p = (p - u) / (1 + lr weight_decay)``, or with ``no_prox`` ``p = p (1 - lr weight_decay) - u``.

    Parameters
    ----------
    params : array, list of arrays, or list of dicts
        As for `SGD`.
    lr : float or callable
        As for `SGD`; often 5 to 10 times Adam's.
    betas : (float, float, float)
        Each in [0, 1): how much is kept of the gradient's mean, its change's, and the square's.
    eps : float
        >= 0.
    weight_decay : float or callable
        >= 0; see above.
    no_prox : bool
        Decay before the step, as AdamW does, instead of after it.
    maximize : bool
        Ascend instead.
    no_decay : bool, str, list of str, or callable
        As for `SGD`.

    Notes
    -----
    For trainings with large batches, and the first choice of some for vision transformers and diffusion: it bears
    larger learning rates than AdamW, but moves half as much memory again.

    Four states of the parameter's shape, "exp_avg", "exp_avg_sq", "exp_avg_diff" and "neg_pre_grad", the gradient of
    the step before with its sign changed. As the authors' code, whose betas are what is kept; the paper and some
    packages have one minus them. max_grad_norm there is clip_norm of `step` here.
    optax weighs d and w with 1 - beta2 in the place of beta2.

    References
    ----------
    X. Xie, P. Zhou, H. Li, Z. Lin, S. Yan, Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models
    (2022), arXiv:2208.06677.
    """

    _name = "adan"
    _rule = "adan"
    _decoupled = True

    def __init__(
        self,
        params: Params,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float, float] = (0.98, 0.92, 0.99),
        eps: float = 1e-8,
        weight_decay: LearningRate = 0.0,
        no_prox: bool = False,
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
            no_prox=no_prox,
            maximize=maximize,
            no_decay=no_decay,
        )
